"""What whole layers and whole networks look at: averages over heads, and attention rollout.

Rollout (Abnar and Zuidema, "Quantifying Attention Flow in Transformers", 2005.00928, Sec. 3): half of
what leaves a layer has come past its attention by the residual connection, so a layer hands on
A = 0.5 W + 0.5 I, where W is the mean of its heads; the product of the A of all executed layers says
how much of each input token reaches each position. A layer that a sub-network leaves out hands on
everything as it came: it is simply not in the product.

Values W_V and the feed-forward networks play no part in it, so it says where information could come
from, not what is made of it.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from dynabert.errors import UserError

MapKind = Literal["head", "layer", "network", "rollout"]
MAP_KINDS: tuple[MapKind, ...] = get_args(MapKind)


def layer_averages(maps: np.ndarray) -> np.ndarray:
    """(L, S, S) mean over the heads of each layer; NaN where a layer is gone.

    maps: (L, H, S, S) probabilities, NaN where a head is gone.
    """
    there = _there(maps)
    total = np.nansum(maps.astype(np.float64), axis=1)
    counts = there.sum(1)[:, None, None]
    return np.divide(total, counts, out=np.full_like(total, np.nan), where=counts > 0)


def network_average(maps: np.ndarray) -> np.ndarray:
    """(S, S) mean over all heads of all layers, each head counting the same.

    maps: (L, H, S, S) probabilities, NaN where a head is gone.
    """
    return np.asarray(maps[_there(maps)].astype(np.float64).mean(0))


def rollout(maps: np.ndarray) -> np.ndarray:
    """(S, S) how much of each token (column) reaches each position (row); rows sum to 1.

    maps: (L, H, S, S) probabilities, NaN where a head is gone.
    """
    identity = np.eye(maps.shape[-1])
    flow = identity
    for average in layer_averages(maps):
        if np.isnan(average).any():
            continue
        handed_on = 0.5 * average + 0.5 * identity
        flow = handed_on / handed_on.sum(-1, keepdims=True) @ flow
    return flow


def map_of(maps: np.ndarray, kind: MapKind, layer: int = 0, head: int = 0) -> np.ndarray:
    """(S, S) one head, the average of its layer or of the network, or the rollout; NaN where it is gone.

    maps: (L, H, S, S) probabilities, NaN where a head is gone.  layer, head: from 0.

    Raises:
        UserError: another kind.
    """
    match kind:
        case "head":
            return np.asarray(maps[layer, head])
        case "layer":
            return np.asarray(layer_averages(maps)[layer])
        case "network":
            return network_average(maps)
        case "rollout":
            return rollout(maps)
    raise UserError(f"a map is one of {', '.join(MAP_KINDS)}; got {kind!r}.")


def _there(maps: np.ndarray) -> np.ndarray:
    """(L, H) whether there is such a head."""
    return np.asarray(~np.isnan(maps[:, :, 0, 0]))
