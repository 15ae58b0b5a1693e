"""The gradients of a training step: the sum over its sub-networks (Algorithm 1, lines 8 to 14)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor

from dynabert.data.encoding import Batch
from dynabert.distillation import hidden_loss, matched_states, prediction_losses
from dynabert.errors import UserError
from dynabert.modeling.models import TaskModel
from dynabert.subnet import FULL, Subnet
from dynabert.training.recipe import Losses


class Answer(NamedTuple):
    """What a network gives a loss to work with."""

    logits: tuple[Tensor, ...]  # the task's sets: (B, C), or start and end (B, S) each
    states: tuple[Tensor, ...]  # embedding output, then each executed layer's, (B, S, D); or none


def accumulate_gradients(
    student: TaskModel,
    batch: Batch,
    subnets: Sequence[Subnet],
    losses: Losses,
    *,
    teacher: TaskModel | None = None,
    teacher_width: str = "same",
    autocast: Callable[[], AbstractContextManager[None]] = nullcontext,
    backward: Callable[[Tensor], None] = torch.Tensor.backward,
) -> Tensor:
    """Add the sum of the sub-networks' gradients to the student's; returns their losses (N,).

    Work that sub-networks share is done once. The embedding output of the batch is computed once,
    its gradients are collected, and one backward pass carries them into the vocabulary. (So all
    sub-networks of a step see the same dropout there; in the layers each draws its own.) The
    teacher runs once for each of its widths, not once for each sub-network.

    batch: as from `EncodedSplit.batch`, on the student's device.
    teacher_width: "same" (paper) or "full" (official code), see `dynabert.training.recipe.Teacher`.
    autocast, backward: an accelerator's, for mixed precision.
    """
    mask = batch["attention_mask"]
    # Where nothing is padded, the cheaper unmasked losses and attention do the same.
    needed_mask = None if mask.device.type == "cpu" and bool(mask.all()) else mask

    def answer(model: TaskModel, embedding_output: Tensor, subnet: Subnet) -> Answer:
        out = model(
            embedding_output=embedding_output,
            attention_mask=needed_mask,
            subnet=subnet,
            output_hidden_states=losses.hidden > 0,
        )
        return Answer(model.logits_of(out, needed_mask), out.hidden_states or ())

    def teacher_subnet(subnet: Subnet) -> Subnet:
        if teacher_width != "same":
            return FULL
        if subnet.heads is None and subnet.neurons is None:
            return Subnet(subnet.width_mult)
        if subnet.layers is None and subnet.depth_mult == 1:
            return subnet
        raise UserError(
            f"no teacher is as wide as {subnet.key}: it counts heads or neurons of some layers only. "
            'Use the full-width teacher (width "full").'
        )

    with autocast():
        embedding_output = _embed(student, batch)
        if teacher is not None:
            with torch.no_grad():
                teacher_embedding = _embed(teacher, batch)
    shared = embedding_output.detach().requires_grad_()

    values = torch.zeros(len(subnets))
    order = sorted(range(len(subnets)), key=lambda n: teacher_subnet(subnets[n]).key, reverse=True)
    for wanted, group in groupby(order, key=lambda n: teacher_subnet(subnets[n])):
        taught = None
        if teacher is not None:
            with autocast(), torch.no_grad():
                taught = answer(teacher, teacher_embedding, wanted)
        for number in group:
            subnet = subnets[number]
            with autocast():
                given = answer(student, shared, subnet)
                loss = subnet_loss(student, subnet, given, taught, batch, losses, needed_mask)
            backward(loss)
            values[number] = loss.detach()
    assert shared.grad is not None  # every loss depends on the embedding output
    embedding_output.backward(shared.grad)
    return values


def subnet_loss(
    student: TaskModel,
    subnet: Subnet,
    given: Answer,
    taught: Answer | None,
    batch: Batch,
    losses: Losses,
    attention_mask: Tensor | None,
) -> Tensor:
    """The weighted loss of one sub-network: its labels, and eq. (3) or (4) with a teacher."""
    config = student.config
    terms = []
    if losses.labels:
        terms.append(losses.labels * student.label_loss(given.logits, batch))
    if losses.need_teacher:
        assert taught is not None  # a recipe that distils has a teacher
        if losses.prediction:
            terms.append(losses.prediction * prediction_losses(given.logits, taught.logits))
        if losses.hidden:
            layers = subnet.resolve(config.shape).layers
            matched = matched_states(layers, config.num_hidden_layers, config.depth_choice)
            theirs = [taught.states[state] for state in matched]
            # State 0 is the embedding output, so this is l_emb + l_hidn.
            terms.append(losses.hidden * hidden_loss(given.states, theirs, attention_mask))
    return torch.stack(terms).sum()


def _embed(model: TaskModel, batch: Batch) -> Tensor:
    return model.backbone.embeddings(batch["input_ids"], batch.get("token_type_ids"))
