"""Outputs of layers that several sub-networks of a step execute alike, each computed once."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from dynabert.modeling.models import TaskModel, key_mask
from dynabert.subnet import ResolvedSubnet


class Executed(NamedTuple):
    """A layer as a sub-network executes it."""

    layer: int
    num_heads: int
    num_neurons: int
    num_queries: int | None = None  # the first so many tokens only; None: all


class SharedLayers:
    """One network's answers to one batch, as a tree: sub-networks share what they begin with.

    Sub-networks of one width and several depths execute the same layers up to the first that one of
    them leaves out. What they share is one node of autograd's graph, so it is also passed backward
    once, by the sum of what reaches it.
    """

    def __init__(
        self,
        model: TaskModel,
        embedding_output: Tensor,
        attention_mask: Tensor | None,
        *,
        need_states: bool,
    ) -> None:
        """embedding_output: (B, S, D).  attention_mask: (B, S), 1 where there is a token, or None.

        need_states: whether every layer's output is wanted at every token, or only what the head
        reads of the last one's.
        """
        self._layers = model.backbone.encoder.layers
        self._mask = key_mask(attention_mask)
        self._last_queries = None if need_states or model.reads_all_tokens else 1
        self._known: dict[tuple[Executed, ...], Tensor] = {(): embedding_output}

    def states(self, resolved: ResolvedSubnet) -> tuple[Tensor, ...]:
        """The embedding output and each executed layer's, (B, S, D) each; the last (B, 1, D) where
        the head reads no more and nothing else is wanted."""
        *executed, last = executed_layers(resolved)
        path = (*executed, last._replace(num_queries=self._last_queries))
        return tuple(self._after(path[:number]) for number in range(len(path) + 1))

    def _after(self, path: tuple[Executed, ...]) -> Tensor:
        if path not in self._known:
            number, num_heads, num_neurons, num_queries = path[-1]
            layer = self._layers[number]
            hidden, _ = layer.attention(
                self._after(path[:-1]), self._mask, num_heads, num_queries=num_queries
            )
            self._known[path] = layer.feed_forward(hidden, num_neurons)
        return self._known[path]


def executed_layers(resolved: ResolvedSubnet) -> list[Executed]:
    """The layers of a sub-network, in order; two that differ in the first one share none."""
    layers = zip(resolved.layers, resolved.heads, resolved.neurons, strict=True)
    return [Executed(*layer) for layer in layers]
