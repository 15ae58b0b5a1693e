"""In which order the heads of a layer stand, before rewiring and after it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dynabert.modeling.models import TaskModel
from dynabert.subnet import NetworkShape, Subnet


def head_order(model: TaskModel) -> np.ndarray:
    """(L, H) the original number of the head that stands at each place of a layer; -1 where none does.

    A width keeps the first places of every layer. DynaBERT, Sec. 2.1 (network rewiring).
    """
    config = model.config
    order = np.full((config.original_num_layers or 0, config.original_num_heads or 0), -1)
    for layer, own in zip(config.layer_ids or [], model.backbone.encoder.layers, strict=True):
        ids = own.attention.head_ids
        order[layer, : len(ids)] = ids.cpu().numpy()
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
    held = []
    for width in widths:
        counts = Subnet(width_mult=width).resolve(shape).heads
        layers = np.flatnonzero((order >= 0).any(1))  # an extracted network has not all of them
        kept = sum(
            scores[layer, order[layer, :num]].sum()
            for layer, num in zip(layers, counts, strict=True)
        )
        held.append(float(kept / np.nansum(scores)))
    return held
