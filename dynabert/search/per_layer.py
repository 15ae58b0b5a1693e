"""Widths of single layers by importance: the same cost as one width for all, spent where it counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from dynabert.importance import Importance
from dynabert.modeling.pretrained import DynaBertPreTrainedModel
from dynabert.subnet import Subnet

Comparison = Literal["raw", "by layer"]


def subnet_by_importance(
    model: DynaBertPreTrainedModel,
    importance: Importance,
    subnet: Subnet,
    *,
    comparison: Comparison = "raw",
) -> Subnet:
    """A sub-network of the same layers, with as many heads and as many neurons in all, distributed
    over the layers by importance.

    Parameters and MACs depend on the totals only, so both are those of `subnet`. Rewiring has sorted
    every layer, so the best of it are its leftmost ones and nothing need be trained again.

    importance: of the original network's heads and neurons, (L, H) and (L, F), as a run keeps it.
    comparison: between layers scores are compared as they are ("raw"), or divided by the norm of
    their layer first ("by layer"; Molchanov et al., 2017, Sec. 2.2).

    Raises:
        ValueError: the importance is not of the network that `model` was made from.
    """
    resolved = subnet.resolve(model.config.shape)
    heads, neurons = executed_scores(model, importance, resolved.layers)
    return replace(
        subnet,
        width_mult=1.0,
        heads=distributed(heads, sum(resolved.heads), comparison),
        neurons=distributed(neurons, sum(resolved.neurons), comparison),
    )


def executed_scores(
    model: DynaBertPreTrainedModel, importance: Importance, layers: Sequence[int]
) -> tuple[list[Tensor], list[Tensor]]:
    """Scores of the heads, and of the neurons, of some layers of a model, in the order it has them.

    importance: as of `subnet_by_importance`.  layers: of the model, counted from 0.

    Raises:
        ValueError: the importance is not of the network that `model` was made from.
    """
    heads: list[Tensor] = []
    neurons: list[Tensor] = []
    for index in layers:
        layer = model.backbone.encoder.layers[index]
        original = (model.config.layer_ids or range(model.config.shape.num_layers))[index]
        for scores, ids, found in (
            (importance.heads, layer.attention.head_ids, heads),
            (importance.neurons, layer.feed_forward.neuron_ids, neurons),
        ):
            if original >= len(scores) or int(ids.max()) >= scores.shape[1]:
                raise ValueError(
                    f"the importance is of {tuple(scores.shape)}, not of this network."
                )
            found.append(scores[original][ids.long()])
    return heads, neurons


def distributed(
    scores: Sequence[Tensor], total: int, comparison: Comparison = "raw"
) -> tuple[int, ...]:
    """How many of each layer's leftmost members to keep, `total` in all and one at least.

    scores: of each layer's members in their order; see `reachable`.
    """
    candidates = []
    for number, layer in enumerate(scores):
        candidates += [(-value, number) for value in reachable(layer, comparison)[1:].tolist()]
    counts = [1] * len(scores)
    for _, number in sorted(candidates)[: total - len(scores)]:
        counts[number] += 1
    return tuple(counts)


def reachable(scores: Tensor, comparison: Comparison = "raw") -> Tensor:
    """What each member of a layer counts: where scores do not fall, no more than those to its left,
    since it cannot be kept without them.

    scores: of the layer's heads or neurons in their order.
    """
    if comparison == "by layer":
        # A layer whose members all count nothing stays so.
        scores = scores / scores.norm().clamp_min(torch.finfo(scores.dtype).tiny)
    return torch.cummin(scores, 0).values
