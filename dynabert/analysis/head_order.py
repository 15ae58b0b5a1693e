"""In which order the heads of a layer stand, before rewiring and after it, and what a width keeps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from dynabert.modeling.models import TaskModel
from dynabert.subnet import NetworkShape, Subnet


def head_order(model: TaskModel) -> np.ndarray:
    """(L, H) the original number of the head that stands at each place of a layer; -1 where none does.

    A width keeps the first places of every layer. DynaBERT, Sec. 2.1 (network rewiring).
    """
    layers = model.backbone.encoder.layers
    return _order(
        model, [own.attention.head_ids for own in layers], model.config.original_num_heads
    )


def neuron_order(model: TaskModel) -> np.ndarray:
    """(L, F) the same of neurons; F is the most that a layer has."""
    ids = [own.feed_forward.neuron_ids for own in model.backbone.encoder.layers]
    return _order(model, ids, max(map(len, ids)))


def _order(model: TaskModel, ids: Sequence[Tensor], places: int | None) -> np.ndarray:
    config = model.config
    order = np.full((config.original_num_layers or 0, places or 0), -1)
    for layer, own in zip(config.layer_ids or [], ids, strict=True):
        order[layer, : len(own)] = own.cpu().numpy()
    return order


def pretrained_order(order: np.ndarray) -> np.ndarray:
    """(L, H) the same heads of each layer as they stood before they were sorted."""
    return np.array([[*np.sort(row[row >= 0]), *row[row < 0]] for row in order])


def importance_held(
    scores: np.ndarray, order: np.ndarray, widths: Sequence[float], shape: NetworkShape
) -> list[float]:
    """For each width, the share of all heads' importance that the heads it keeps hold.

    scores, order: (L, H) in the original network's numbering; see `head_order`.
    """
    return [
        _share(scores, order, Subnet(width_mult=width).resolve(shape).heads) for width in widths
    ]


def neuron_importance_held(
    scores: np.ndarray, order: np.ndarray, width: float, shape: NetworkShape
) -> float:
    """The share of all neurons' importance that the neurons of a width hold.

    scores, order: (L, F) in the original network's numbering; see `neuron_order`.
    """
    return _share(scores, order, Subnet(width_mult=width).resolve(shape).neurons)


def _share(scores: np.ndarray, order: np.ndarray, counts: Sequence[int]) -> float:
    layers = np.flatnonzero((order >= 0).any(1))  # an extracted network has not all of them
    kept = sum(
        scores[layer, order[layer, :num]].sum() for layer, num in zip(layers, counts, strict=True)
    )
    return float(kept / np.nansum(scores))
