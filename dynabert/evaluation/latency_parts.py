"""Measuring a latency table: every part of a layer in turn, then sub-networks it has not seen."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor

from dynabert.errors import UserError
from dynabert.evaluation.latency import describe_machine, random_ids, time_in_turn
from dynabert.evaluation.latency_table import SHARES, LatencyTable, Values, model_key
from dynabert.length_config import as_length_config
from dynabert.modeling.models import TaskModel
from dynabert.modeling.tokens import Tokens
from dynabert.subnet import ExecutedLayer, Subnet

_TOKENS = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
_STEPS = (1 / 6, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4, 5 / 6, 1)
NUM_FITTED, NUM_CHECKED = 30, 30  # random sub-networks
REPEATS = 15


def measure_latency_table(
    model: TaskModel,
    *,
    max_tokens: int,
    batch_size: int = 1,
    repeats: int = REPEATS,
    warm_up: int = 2,
    seed: int = 0,
    on_repeat: Callable[[int], None] | None = None,
) -> LatencyTable:
    """Time the parts of layers and whole passes of random sub-networks, all in turn.

    Passes of `NUM_FITTED` sub-networks correct the sum of the parts; what that is worth is measured on
    `NUM_CHECKED` others.

    The parts of one kind run through all layers of the model one after another, as in a pass, so that
    their weights come from where they come from in a pass.

    max_tokens: longest text that the table is about.
    on_repeat: called with the number of repeats done.

    Raises:
        UserError: fewer than two tokens or more than the model reads, or numbers below 1.
    """
    if not 2 <= max_tokens <= model.config.max_tokens:
        raise UserError(
            f"max_tokens must be from 2 to {model.config.max_tokens}, got {max_tokens}."
        )
    for name, value in (("batch_size", batch_size), ("repeats", repeats)):
        if value < 1:
            raise UserError(f"{name} must be at least 1, got {value}.")
    generator = torch.Generator().manual_seed(seed)
    parts = _Parts(model, batch_size, max_tokens, generator)
    cases = random_networks(model, NUM_FITTED + NUM_CHECKED, max_tokens, seed)
    passes = [
        functools.partial(model, random_ids(model, batch_size, tokens, generator), subnet=subnet)
        for subnet, tokens in cases
    ]
    times = time_in_turn(
        model,
        [*parts.calls, *passes],
        repeats=repeats,
        warm_up=warm_up,
        generator=generator,
        on_repeat=on_repeat,
    )
    medians = np.median(times, axis=0)
    table = parts.table(medians[: len(parts.calls)], repeats)
    measured = medians[len(parts.calls) :]
    terms = np.array(
        [table.terms(subnet.resolve(model.config.shape), tokens) for subnet, tokens in cases]
    )
    fitted, checked = slice(None, NUM_FITTED), slice(NUM_FITTED, None)
    # Relative errors are made small, so that small networks count as much as large ones.
    # None of the terms takes less than no time.
    correction, _ = nnls(terms[fitted] / measured[fitted, None], np.ones(NUM_FITTED))
    errors = np.abs(terms[checked] @ correction / measured[checked] - 1)
    return dataclasses.replace(
        table,
        correction=correction,
        checked=len(errors),
        error=float(errors.mean()),
        worst=float(errors.max()),
    )


def random_networks(
    model: TaskModel, number: int, max_tokens: int, seed: int
) -> list[tuple[Subnet, int]]:
    """Sub-networks, each with a number of tokens, as often from 1 to 2 as from 32 to 64: any width and
    depth, half of them with lengths."""
    shape, random = model.config.shape, np.random.default_rng(seed)
    heads, found = max(shape.heads), []
    for case in range(number):
        width = int(random.integers(1, heads + 1)) / heads
        subnet = Subnet(width, int(random.integers(1, shape.num_layers + 1)) / shape.num_layers)
        if case % 2:
            layers = len(subnet.resolve(shape).layers)
            shares = np.sort(random.uniform(0.2, 1.0, layers))[::-1].round(2)
            subnet = dataclasses.replace(subnet, length_config=as_length_config(shares.tolist()))
        tokens = round(np.exp(random.uniform(0, np.log(max_tokens))))
        found.append((subnet, min(max(1, tokens), max_tokens)))
    return found


class _Parts:
    """Everything that a table is made from, as calls that can be timed in any order."""

    def __init__(
        self, model: TaskModel, batch_size: int, max_tokens: int, generator: torch.Generator
    ) -> None:
        shape = model.config.shape
        self.model, self.batch_size = model, batch_size
        self.tokens = [count for count in _TOKENS if count < max_tokens] + [max_tokens]
        self.heads, self.neurons = _counts(max(shape.heads)), _counts(max(shape.neurons))
        self.calls: list[Callable[[], object]] = []
        self.hidden = {
            count: torch.randn(
                batch_size,
                count,
                model.config.hidden_size,
                generator=generator,
                dtype=torch.float32,
            ).to(model.device, model.dtype)
            for count in self.tokens
        }
        self.keeping = self._add(self.heads, self._attention)
        self.reading = self._add(self.heads, functools.partial(self._attention, num_queries=1))
        self.dropping = [
            self._add(self.heads, functools.partial(self._attention, share=share))
            for share in SHARES
        ]
        self.feed_forward = self._add(self.neurons, self._feed_forward)

    def table(self, times: Values, repeats: int) -> LatencyTable:
        """times: (N,) milliseconds of each of the calls."""
        shape, model = self.model.config.shape, self.model
        columns = len(self.tokens)

        def of(begin: int, counts: Sequence[int], totals: Sequence[int]) -> Values:
            found = times[begin : begin + len(counts) * columns].reshape(len(counts), columns)
            return found / np.array([[sum(total >= count for total in totals)] for count in counts])

        feed_forward = of(self.feed_forward, self.neurons, shape.neurons)
        # What was timed as attention has a feed-forward network of one neuron in it.
        # What that leaves is never less than nothing, whatever disturbed the clock.
        keeping = np.maximum(of(self.keeping, self.heads, shape.heads) - feed_forward[0], 0)
        reading = np.maximum(of(self.reading, self.heads, shape.heads) - feed_forward[0, 0], 0)
        dropping = np.stack(
            [
                of(begin, self.heads, shape.heads)
                - np.interp([_leaving(n, share) for n in self.tokens], self.tokens, feed_forward[0])
                for begin, share in zip(self.dropping, SHARES, strict=True)
            ],
            axis=-1,
        )
        return LatencyTable(
            tokens=np.array(self.tokens, dtype=float),
            heads=np.array(self.heads, dtype=float),
            neurons=np.array(self.neurons, dtype=float),
            keeping=keeping,
            dropping=np.maximum(dropping, 0),
            reading=reading,
            feed_forward=feed_forward,
            correction=np.array([0.0, 0.0, 0.0, 1.0]),
            batch_size=self.batch_size,
            reads_all_tokens=model.reads_all_tokens,
            model=model_key(model),
            machine=describe_machine(model.device),
            repeats=repeats,
        )

    def _add(self, counts: Sequence[int], part: Callable[[Tensor, int], None]) -> int:
        """Add a call for each count and number of tokens; returns where they begin."""
        begin = len(self.calls)
        for count in counts:
            for hidden in self.hidden.values():
                self.calls.append(functools.partial(part, hidden, count))
        return begin

    def _attention(
        self,
        hidden: Tensor,
        heads: int,
        *,
        share: float | None = None,
        num_queries: int | None = None,
    ) -> None:
        shape, encoder = self.model.config.shape, self.model.backbone.encoder
        length = None if share is None else _leaving(hidden.shape[1], share)
        for layer, total in enumerate(shape.heads):
            if total >= heads:
                executed = ExecutedLayer(layer, heads, 1, length)
                encoder.execute(Tokens.of(hidden, None), executed, num_queries=num_queries)

    def _feed_forward(self, hidden: Tensor, neurons: int) -> None:
        for layer, total in enumerate(self.model.config.shape.neurons):
            if total >= neurons:
                self.model.backbone.encoder.layers[layer].feed_forward(hidden, neurons)


def _counts(most: int) -> list[int]:
    return sorted({1, *(max(1, int(most * step)) for step in _STEPS)})


def _leaving(tokens: int, share: float) -> int:
    return max(1, min(round(share * tokens), tokens - 1)) if tokens > 1 else 1
