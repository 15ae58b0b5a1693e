"""Reducing a network to a plain architecture: cut from it, or of the same kind and new."""

from __future__ import annotations

import math
from typing import TypeVar

import torch
from torch import Tensor, nn

from dynabert.errors import UserError
from dynabert.modeling.architecture import Architecture
from dynabert.modeling.attention import ElasticAttention
from dynabert.modeling.configuration import DynaBertConfig
from dynabert.modeling.heads import ClassificationHead, MaskedTokenHead, SpanHead
from dynabert.modeling.models import TaskModel
from dynabert.subnet import spread_layers

Model = TypeVar("Model", bound=TaskModel)


def new_student(teacher: Model, architecture: Architecture, seed: int) -> Model:
    """A network of that architecture with random weights, as for pretraining from scratch."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        student = type(teacher)(architecture.config(teacher.config))
    student.to(device=teacher.device)  # type: ignore[call-arg]  # HF's wrapper
    return student.train(teacher.training)


@torch.no_grad()
def cut_student(teacher: Model, architecture: Architecture) -> Model:
    """A network of that architecture with weights of the teacher's; nothing is trained.

    - layers: evenly spaced, the last one among them (DynaBERT's rule, for any number);
    - dimensions: those that LayerNorms let vary most (`kept_dimensions`);
    - neurons: the leftmost of each layer, which are the most important where the teacher is rewired;
    - heads: the leftmost; where the student's are smaller, those of each head's dimensions whose queries
      and keys (values and outputs) are largest; where they are larger or more, the leftmost dimensions of
      all heads together, so a student's head may be made of two of the teacher's.

    With the teacher's own sizes it computes what the teacher does.

    Raises:
        UserError: something is larger than the teacher's.
    """
    check_can_be_cut(teacher.config, architecture)
    layers = spread_layers(architecture.layers, teacher.config.shape.num_layers)
    student = new_student(teacher, architecture, seed=0)
    kept = kept_dimensions(teacher, architecture.hidden)
    ours, theirs = student.backbone, teacher.backbone
    for embedding in ("word", "position", "token_type"):
        target, source = (getattr(side.embeddings, embedding).weight for side in (ours, theirs))
        target.copy_(source[:, kept])
    _cut_norm_(ours.embeddings.norm, theirs.embeddings.norm, kept)
    for place, index in enumerate(layers):
        layer, origin = ours.encoder.layers[place], theirs.encoder.layers[index]
        cut_attention_(layer.attention, origin.attention, kept)
        _cut_norm_(layer.attention.norm, origin.attention.norm, kept)
        inner = torch.arange(architecture.neurons, device=kept.device)
        _cut_linear_(layer.feed_forward.inner, origin.feed_forward.inner, inner, kept)
        _cut_linear_(layer.feed_forward.output, origin.feed_forward.output, kept, inner)
        _cut_norm_(layer.feed_forward.norm, origin.feed_forward.norm, kept)
    _cut_head_(student.head, teacher.head, kept)
    return student


def kept_dimensions(teacher: TaskModel, number: int) -> Tensor:
    """(number,) of the hidden dimensions, rising: those with the largest sum of g^2 + b^2 over LayerNorms.

    g and b are a LayerNorm's gain and bias: what it puts out has about that mean square, whatever comes in.
    """
    norms = [module for module in teacher.backbone.modules() if isinstance(module, nn.LayerNorm)]
    energy = sum(norm.weight.double() ** 2 + norm.bias.double() ** 2 for norm in norms)
    assert isinstance(energy, Tensor)
    return torch.topk(energy, number).indices.sort().values


def check_can_be_cut(teacher: DynaBertConfig, architecture: Architecture) -> None:
    """Refuse what `cut_student` would refuse.

    Raises:
        UserError: something is larger than the teacher's.
    """
    shape = teacher.shape
    attention = min(shape.heads) * shape.head_dim
    for what, wanted, most in (
        ("layers", architecture.layers, shape.num_layers),
        ("hidden dimensions", architecture.hidden, min(teacher.hidden_size, attention)),
        ("neurons", architecture.neurons, min(shape.neurons)),
    ):
        if wanted > most:
            raise UserError(
                f"{architecture} has {wanted} {what}, and the network it would be cut from {most}; take "
                "smaller ones, or let students start from scratch."
            )


def cut_attention_(target: ElasticAttention, source: ElasticAttention, kept: Tensor) -> None:
    """Give a smaller layer's attention its part of a larger one's weights; see `cut_student`.

    kept: (D,) the hidden dimensions that are kept.
    """
    scores = source.query.weight.norm(dim=1) * source.key.weight.norm(dim=1)
    values = source.value.weight.norm(dim=1) * source.output.weight.norm(dim=0)
    looking, carrying = (_attention_rows(target, source, size) for size in (scores, values))
    _cut_linear_(target.query, source.query, looking, kept)
    _cut_linear_(target.key, source.key, looking, kept)
    _cut_linear_(target.value, source.value, carrying, kept)
    _cut_linear_(target.output, source.output, kept, carrying)
    # Scores are divided by the root of the head's size: they stay what those dimensions made of them.
    factor = math.sqrt(target.head_dim / source.head_dim)
    target.query.weight.mul_(factor)
    target.query.bias.mul_(factor)


def _cut_head_(target: nn.Module, source: nn.Module, kept: Tensor) -> None:
    """Give a student's head its part of the teacher's, which is of the same kind."""
    if isinstance(target, ClassificationHead | MaskedTokenHead):
        assert isinstance(source, ClassificationHead | MaskedTokenHead)
        _cut_linear_(target.dense, source.dense, kept, kept)
    if isinstance(target, MaskedTokenHead):
        assert isinstance(source, MaskedTokenHead)
        _cut_norm_(target.norm, source.norm, kept)
        target.output.bias.copy_(source.output.bias)
    else:
        assert isinstance(target, ClassificationHead | SpanHead)
        assert isinstance(source, ClassificationHead | SpanHead)
        outputs = torch.arange(target.output.out_features, device=kept.device)
        _cut_linear_(target.output, source.output, outputs, kept)


def _attention_rows(target: ElasticAttention, source: ElasticAttention, size: Tensor) -> Tensor:
    """Which of the source's dimensions of all heads the target's are. size: (h * d,) how large each is."""
    wanted = target.num_heads * target.head_dim
    if target.head_dim > source.head_dim or target.num_heads > source.num_heads:
        return torch.arange(wanted, device=size.device)
    by_head = size.view(source.num_heads, source.head_dim)[: target.num_heads]
    best = by_head.topk(target.head_dim, dim=1).indices.sort(dim=1).values
    first = torch.arange(target.num_heads, device=size.device)[:, None] * source.head_dim
    return (first + best).flatten()


def _cut_linear_(target: nn.Linear, source: nn.Linear, rows: Tensor, columns: Tensor) -> None:
    target.weight.copy_(source.weight[rows][:, columns])
    target.bias.copy_(source.bias[rows])


def _cut_norm_(target: nn.LayerNorm, source: nn.LayerNorm, kept: Tensor) -> None:
    target.weight.copy_(source.weight[kept])
    target.bias.copy_(source.bias[kept])
