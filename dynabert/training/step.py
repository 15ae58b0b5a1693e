"""The gradients of a training step: the sum over its sub-networks (Algorithm 1, lines 8 to 14)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dynabert.attention_matching import attention_loss, relation_loss
from dynabert.data.encoding import Batch
from dynabert.distillation import (
    cosine_loss,
    hidden_loss,
    matched_states,
    prediction_losses,
    teacher_state,
)
from dynabert.errors import UserError
from dynabert.modeling.attention import attention_scores
from dynabert.modeling.models import TaskModel
from dynabert.modeling.shared_layers import SharedLayers
from dynabert.subnet import FULL, ExecutedLayer, ResolvedSubnet, Subnet
from dynabert.training.stage import Losses, Teacher

TEACHING = Teacher()


class Answer(NamedTuple):
    """What a network gives a loss to work with."""

    network: TaskModel
    resolved: ResolvedSubnet  # which of its layers and heads answered
    logits: tuple[Tensor, ...]  # the task's sets: (B, C), or start and end (B, S) each
    # The embedding output, then each executed layer's, (B, S, D); of the last one only what the head
    # reads where no loss wants more.
    states: tuple[Tensor, ...]

    def detached(self) -> Answer:
        """The same as a teacher's: nothing learns through it."""
        states = tuple(state.detach() for state in self.states)
        return self._replace(logits=tuple(logits.detach() for logits in self.logits), states=states)


def accumulate_gradients(
    student: TaskModel,
    batch: Batch,
    subnets: Sequence[Subnet],
    losses: Losses,
    *,
    teacher: TaskModel | None = None,
    teaching: Teacher = TEACHING,
    largest_losses: Losses | None = None,
    projection: nn.Module | None = None,
    autocast: Callable[[], AbstractContextManager[None]] = nullcontext,
    backward: Callable[[Tensor], None] = torch.Tensor.backward,
) -> Tensor:
    """Add the sum of the sub-networks' gradients to the student's; returns their losses (N,).

    Work that sub-networks share is done once, forward and backward: the embedding output of the
    batch, and the layers that they begin with alike (see `SharedLayers`), where they also see the
    same dropout; from where they part, each draws its own. One backward pass carries the collected
    gradients into the vocabulary. The teacher runs once for each of its widths, not once for each
    sub-network. In in-place distillation it teaches the first sub-network only, whose answers, as
    they are in this step, teach the others.

    batch: as from `EncodedSplit.batch`, on the student's device.
    subnets: for in-place distillation of more than answers the first must execute all layers.
    teaching: how wide the teacher is, and whom it teaches.
    largest_losses: of the first, where it teaches the others and learns from something else itself.
    projection: from the student's hidden size to the teacher's, where they differ; it learns, too.
    autocast, backward: an accelerator's, for mixed precision.
    """
    need_states = any(one.need_states for one in (losses, largest_losses) if one is not None)
    mask = batch["attention_mask"]
    # Where nothing is padded, the cheaper unmasked losses and attention do the same.
    needed_mask = None if mask.device.type == "cpu" and bool(mask.all()) else mask

    with autocast():
        embedding_output = _embed(student, batch)
        if teacher is not None:
            with torch.no_grad():
                teacher_embedding = _embed(teacher, batch)
    learns = embedding_output.requires_grad  # the encoder; else the head alone does
    shared = embedding_output.detach().requires_grad_(learns)

    def layers_of(network: TaskModel, embedded: Tensor) -> SharedLayers:
        return SharedLayers(network, embedded, needed_mask, need_states=need_states)

    def answer(network: TaskModel, subnet: Subnet, layers: SharedLayers) -> Answer:
        resolved = subnet.resolve(network.config.shape)
        states = layers.states(resolved)
        return Answer(network, resolved, network.read(states[-1], batch), states)

    @lru_cache(maxsize=1)  # all that learn from it come one after another
    def teach(subnet: Subnet) -> Answer:
        assert teacher is not None
        with torch.no_grad():
            return answer(teacher, subnet, layers_of(teacher, teacher_embedding))

    inplace = teaching.distillation == "inplace"
    if inplace and losses.need_states:
        _check_largest(subnets[0], student)
    largest: Answer | None = None  # what it answered, where it teaches
    values = torch.zeros(len(subnets))
    for group in _learning_together(subnets, student, teaching, taught=teacher is not None):
        with autocast():
            layers, found = layers_of(student, shared), []
            for number in group:
                given = answer(student, subnets[number], layers)
                own, taught = losses, largest
                if inplace and number == 0:
                    own, largest = largest_losses or losses, given.detached()
                if teacher is not None and own.need_teacher and not (inplace and number):
                    taught = teach(_teacher_subnet(subnets[number], teaching))
                found.append(subnet_loss(given, taught, batch, own, needed_mask, projection))
        backward(torch.stack(found).sum())
        values[group] = torch.stack(found).detach().to(values)
    if learns:
        assert shared.grad is not None  # every loss depends on the embedding output
        embedding_output.backward(shared.grad)
    return values


def _learning_together(
    subnets: Sequence[Subnet], student: TaskModel, teaching: Teacher, *, taught: bool
) -> list[list[int]]:
    """Numbers of the sub-networks, in groups that have a lesson and their first layer in common.

    In in-place distillation the first sub-network comes first.
    """

    groups: dict[tuple[str, ExecutedLayer], list[int]] = {}
    for number, subnet in enumerate(subnets):
        lesson = ""
        if taught and teaching.distillation == "conventional":
            lesson = _teacher_subnet(subnet, teaching).key
        first = subnet.resolve(student.config.shape).executed[0]
        groups.setdefault((lesson, first), []).append(number)
    # What has a lesson in common comes one after another: it is heard once.
    return [groups[key] for key in sorted(groups, key=lambda key: key[0])]


def _check_largest(subnet: Subnet, student: TaskModel) -> None:
    if len(subnet.resolve(student.config.shape).layers) < student.config.num_hidden_layers:
        raise UserError(
            f"in-place distillation needs a largest sub-network with all layers, got {subnet.key}."
        )


def _teacher_subnet(subnet: Subnet, teaching: Teacher) -> Subnet:
    """The sub-network of the teacher that a sub-network of the student learns from."""
    if teaching.width != "same":
        return FULL
    if subnet.heads is None and subnet.neurons is None:
        return Subnet(subnet.width_mult)
    if subnet.layers is None and subnet.depth_mult == 1:
        return replace(subnet, length_config=None)  # who teaches reads everything
    raise UserError(
        f"no teacher is as wide as {subnet.key}: it counts heads or neurons of some layers only. "
        'Use the full-width teacher (width "full").'
    )


def subnet_loss(
    given: Answer,
    taught: Answer | None,
    batch: Batch,
    losses: Losses,
    attention_mask: Tensor | None,
    projection: nn.Module | None = None,
) -> Tensor:
    """The weighted loss of one sub-network: its labels, and what it takes over from a teacher."""
    config = given.network.config
    terms = []
    if losses.labels:
        terms.append(losses.labels * given.network.label_loss(given.logits, batch))
    if not losses.need_teacher:
        return torch.stack(terms).sum()
    assert taught is not None  # a recipe that distils has a teacher
    if losses.prediction:
        loss = prediction_losses(given.logits, taught.logits, losses.temperature, losses.divergence)
        terms.append(losses.prediction * loss)
    project = nn.Identity() if projection is None or taught.network is given.network else projection

    def of_teacher(state: int) -> int:
        """The number of the teacher's state for one of the student's architecture."""
        return teacher_state(
            state, config.num_hidden_layers, taught.network.config.num_hidden_layers
        )

    if losses.hidden:
        layers = given.resolved.layers
        matched = matched_states(layers, config.num_hidden_layers, config.depth_choice)
        theirs = [taught.states[of_teacher(state)] for state in matched]
        ours = [project(state) for state in given.states]
        # State 0 is the embedding output, so this is l_emb + l_hidn.
        terms.append(losses.hidden * hidden_loss(ours, theirs, attention_mask))
    if losses.attention:
        places = range(len(given.resolved.layers))
        # The teacher executes all layers, so the place of one is its number.
        matching = [of_teacher(layer + 1) - 1 for layer in given.resolved.layers]
        attention = attention_loss(
            [_attention_scores(given, place) for place in places],
            # Computed from the teacher's weights, which in in-place distillation are the student's.
            [_attention_scores(taught, layer).detach() for layer in matching],
            attention_mask,
            of=losses.attention_of,
        )
        terms.append(losses.attention * attention)
    if losses.relations:
        relations = relation_loss(
            _last_vectors(given),
            [vectors.detach() for vectors in _last_vectors(taught)],
            attention_mask,
            max(config.shape.heads),
        )
        terms.append(losses.relations * relations)
    if losses.cosine:
        loss = cosine_loss(project(given.states[-1]), taught.states[-1], attention_mask)
        terms.append(losses.cosine * loss)
    return torch.stack(terms).sum()


def _attention_scores(answer: Answer, place: int) -> Tensor:
    """q k^T / sqrt(d_h) of the layer executed at that place, (B, h, S, S), from its input."""
    attention = answer.network.backbone.encoder.layers[answer.resolved.layers[place]].attention
    return attention_scores(
        *attention.query_key(answer.states[place], answer.resolved.heads[place])
    )


def _last_vectors(answer: Answer) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values of the last executed layer, all heads joined, (B, S, a) each."""
    attention = answer.network.backbone.encoder.layers[answer.resolved.layers[-1]].attention
    width, hidden = answer.resolved.heads[-1] * attention.head_dim, answer.states[-2]
    query, key, value = (
        projection(hidden, width)
        for projection in (attention.query, attention.key, attention.value)
    )
    return query, key, value


def _embed(model: TaskModel, batch: Batch) -> Tensor:
    return model.backbone.embeddings(batch["input_ids"], batch.get("token_type_ids"))
