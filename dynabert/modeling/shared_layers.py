"""Outputs of layers that several sub-networks execute alike on one batch, each computed once.

Sub-networks of one width and several depths execute the same layers up to the first that one of them
leaves out; those with token counts, up to the first layer that other tokens leave.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from torch import Tensor

from dynabert.modeling.encoder import ElasticEncoder
from dynabert.modeling.models import TaskModel
from dynabert.modeling.pretrained import key_mask
from dynabert.modeling.tokens import Tokens
from dynabert.subnet import ExecutedLayer, ResolvedSubnet


class Step(NamedTuple):
    """One layer as it is executed; equal steps compute the same."""

    executed: ExecutedLayer
    num_queries: int | None  # for how many first tokens; None: all


Steps = tuple[Step, ...]


class SharedLayers:
    """One network's answers to one batch, as a tree: sub-networks share what they begin with.

    What they share is one node of autograd's graph, so it is also passed backward once, by the sum of
    what reaches it. Everything is kept as long as this is; `last_states` keeps little.
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
        self._last_queries = None if need_states else num_read(model)
        self._known: dict[Steps, Tokens] = {
            (): Tokens.of(embedding_output, key_mask(attention_mask))
        }

    def states(self, resolved: ResolvedSubnet) -> tuple[Tensor, ...]:
        """The embedding output and each executed layer's, (B, S, D) each; the last (B, 1, D) where
        the head reads no more and nothing else is wanted."""
        path = steps_of(resolved, self._last_queries)
        return tuple(self._after(path[:number]).restored for number in range(len(path) + 1))

    def _after(self, path: Steps) -> Tokens:
        if path not in self._known:
            self._known[path] = _execute(self._encoder, self._after(path[:-1]), path[-1])
        return self._known[path]


def last_states(
    model: TaskModel,
    embedding_output: Tensor,
    attention_mask: Tensor | None,
    subnets: Sequence[ResolvedSubnet],
) -> Iterator[tuple[int, Tensor]]:
    """What the head reads of each sub-network, with its place in `subnets`; in an order of their own.

    Kept in memory are the outputs of the layers after which sub-networks part.
    embedding_output, attention_mask: as of `SharedLayers`.  Yields: (B, S, D), or (B, 1, D) where the
    head reads the first token only.
    """
    paths = [steps_of(resolved, num_read(model)) for resolved in subnets]
    start = Tokens.of(embedding_output, key_mask(attention_mask))
    yield from _walk(model.backbone.encoder, start, paths, range(len(paths)), 0)


def _walk(
    encoder: ElasticEncoder,
    tokens: Tokens,
    paths: Sequence[Steps],
    places: Sequence[int],
    done: int,
) -> Iterator[tuple[int, Tensor]]:
    """Go on with the paths at those places, which have their first `done` steps in common."""
    while True:
        branches: dict[Step, list[int]] = {}
        for place in places:
            if len(paths[place]) == done:
                yield place, tokens.restored
            else:
                branches.setdefault(paths[place][done], []).append(place)
        if not branches:
            return
        *parting, (step, places) = branches.items()
        for other, together in parting:
            yield from _walk(encoder, _execute(encoder, tokens, other), paths, together, done + 1)
        # Nothing more begins here: what came in need not be kept.
        tokens, done = _execute(encoder, tokens, step), done + 1


def _execute(encoder: ElasticEncoder, tokens: Tokens, step: Step) -> Tokens:
    after, _ = encoder.execute(tokens, step.executed, num_queries=step.num_queries)
    return after


def num_read(model: TaskModel) -> int | None:
    """Of how many first tokens the head reads the last layer's output; None: of all."""
    return None if model.reads_all_tokens else 1


def steps_of(resolved: ResolvedSubnet, last_queries: int | None) -> Steps:
    """What a sub-network executes.  last_queries: for how many first tokens its last layer is."""
    *executed, last = resolved.executed
    return (*(Step(layer, None) for layer in executed), Step(last, last_queries))
