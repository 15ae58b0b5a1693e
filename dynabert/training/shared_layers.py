"""Outputs of layers that several sub-networks of a step execute alike, each computed once."""

from __future__ import annotations

from torch import Tensor

from dynabert.modeling.models import TaskModel
from dynabert.modeling.pretrained import key_mask
from dynabert.modeling.tokens import Tokens
from dynabert.subnet import ExecutedLayer, ResolvedSubnet

# What was executed, each layer with the number of first tokens it was executed for (None: all).
Steps = tuple[tuple[ExecutedLayer, int | None], ...]


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
        self._encoder = model.backbone.encoder
        self._last_queries = None if need_states or model.reads_all_tokens else 1
        self._known: dict[Steps, Tokens] = {
            (): Tokens.of(embedding_output, key_mask(attention_mask))
        }

    def states(self, resolved: ResolvedSubnet) -> tuple[Tensor, ...]:
        """The embedding output and each executed layer's, (B, S, D) each; the last (B, 1, D) where
        the head reads no more and nothing else is wanted."""
        *executed, last = resolved.executed
        path = (*((layer, None) for layer in executed), (last, self._last_queries))
        return tuple(self._after(path[:number]).restored for number in range(len(path) + 1))

    def _after(self, path: Steps) -> Tokens:
        if path not in self._known:
            executed, num_queries = path[-1]
            self._known[path], _ = self._encoder.execute(
                self._after(path[:-1]), executed, num_queries=num_queries
            )
        return self._known[path]
