"""Network rewiring: sort heads and neurons by importance, so that narrow sub-networks keep the best."""

from __future__ import annotations

import torch
from torch import Tensor

from dynabert.importance import Importance
from dynabert.modeling.attention import ElasticAttention
from dynabert.modeling.elastic import ElasticLinear
from dynabert.modeling.feed_forward import ElasticFeedForward
from dynabert.modeling.pretrained import DynaBertPreTrainedModel
from dynabert.subnet import Subnet


@torch.no_grad()
def rewire_(model: DynaBertPreTrainedModel, importance: Importance, *, within: float = 1.0) -> None:
    """Permute the heads and neurons of every layer, in place, to descending importance.

    The full network computes what it did before: heads and neurons are summed (eqs. (1) and (2)),
    so their order does not matter. `head_ids` and `neuron_ids` remember where each came from. Equal
    scores keep their order. DynaBERT, Sec. 2.1.1, Figure 2.

    within: only the leftmost heads and neurons that this width keeps change places, among
    themselves; so sub-networks of that width and wider ones compute what they did before, too.
    Progressive rewiring (Table 8) needs it.

    Raises:
        ValueError: scores of another shape than the model's, or not finite.
    """
    shape = model.config.shape
    layers = model.backbone.encoder.layers
    for name, scores, counts in (
        ("heads", importance.heads, shape.heads),
        ("neurons", importance.neurons, shape.neurons),
    ):
        if tuple(scores.shape) != (shape.num_layers, max(counts)):
            raise ValueError(
                f"importance of {name} must be of shape {(shape.num_layers, max(counts))}, "
                f"got {tuple(scores.shape)}."
            )
        if not all(row[:count].isfinite().all() for row, count in zip(scores, counts, strict=True)):
            raise ValueError(f"importance of {name} has values that are not finite numbers.")
    kept = Subnet(within).resolve(shape)
    for number, layer in enumerate(layers):
        heads = importance.heads[number, : shape.heads[number]]
        neurons = importance.neurons[number, : shape.neurons[number]]
        _reorder_heads_(layer.attention, _descending(heads, kept.heads[number]))
        _reorder_neurons_(layer.feed_forward, _descending(neurons, kept.neurons[number]))


def _descending(scores: Tensor, leftmost: int) -> Tensor:
    """The order that sorts the leftmost scores and leaves the others where they are."""
    order = torch.argsort(scores[:leftmost], descending=True, stable=True)
    return torch.cat([order, torch.arange(leftmost, len(scores), device=order.device)])


def _reorder_heads_(attention: ElasticAttention, order: Tensor) -> None:
    """order: (H,) the new sequence of heads. The output projection's bias belongs to no head."""
    order = order.to(attention.head_ids.device)
    within = torch.arange(attention.head_dim, device=order.device)
    rows = (order[:, None] * attention.head_dim + within).flatten()  # (H * d,)
    for projection in (attention.query, attention.key, attention.value):
        _reorder_outputs_(projection, rows)
    attention.output.weight.copy_(attention.output.weight[:, rows])
    attention.head_ids.copy_(attention.head_ids[order])


def _reorder_neurons_(feed_forward: ElasticFeedForward, order: Tensor) -> None:
    """order: (F,) the new sequence of neurons. The second layer's bias belongs to no neuron."""
    order = order.to(feed_forward.neuron_ids.device)
    _reorder_outputs_(feed_forward.inner, order)
    feed_forward.output.weight.copy_(feed_forward.output.weight[:, order])
    feed_forward.neuron_ids.copy_(feed_forward.neuron_ids[order])


def _reorder_outputs_(linear: ElasticLinear, rows: Tensor) -> None:
    linear.weight.copy_(linear.weight[rows])
    linear.bias.copy_(linear.bias[rows])
