"""The tokens a layer works on when layers before it have dropped some, and which it drops next.

Drop-and-Restore: Kim and Cho, Length-Adaptive Transformer (ACL 2021), Sec. 3, with the significance
of PoWER-BERT. Unlike the papers' code, padding does not vote, significance is measured before
dropout, and the tokens that are left stay in the order of the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from dynabert.length_config import Length, num_left


class Leaving(NamedTuple):
    """Which rows leave a layer."""

    rows: Tensor  # (B, K) of those that entered it, rising
    real: Tensor  # (B, K) False for a row that only fills up the batch


class Counts(NamedTuple):
    """Numbers of tokens of each text of a batch."""

    sizes: tuple[int, ...]  # (B) at the beginning
    left: tuple[int, ...]  # (B) at work now


@dataclass(frozen=True)
class Tokens:
    """What of a batch is at work, and what was dropped on the way."""

    hidden: Tensor  # (B, R, D) of the rows at work
    real: Tensor | None  # (B, R) True for a token, False for padding; None: all are tokens
    counted: Counts | None = None  # None: nothing was dropped yet, so nobody has counted
    positions: Tensor | None = None  # (B, R) where each row stood in the text; None: as it stands
    whole: Tensor | None = None  # (B, S, D) the text when tokens were last dropped

    @classmethod
    def of(cls, hidden: Tensor, key_mask: Tensor | None) -> Tokens:
        """All of a batch (B, S, D).  key_mask: boolean (B, 1, 1, S) of what is a token; None: all."""
        return cls(
            hidden, None if key_mask is None else key_mask[:, 0, 0].expand(hidden.shape[0], -1)
        )

    @property
    def key_mask(self) -> Tensor | None:
        """(B, 1, 1, R): the rows that attention may see."""
        return None if self.real is None else self.real[:, None, None]

    @cached_property  # both the next drop and whoever collects hidden states ask for it
    def restored(self) -> Tensor:
        """(B, S, D): every token in its place, one that was dropped as it was then."""
        if self.positions is None or self.whole is None:
            return self.hidden
        places = self.positions.unsqueeze(-1).expand_as(self.hidden)
        rows = self.hidden.to(self.whole.dtype)
        if self.real is not None:  # what only fills up the batch was dropped before
            rows = torch.where(self.real.unsqueeze(-1), rows, self.whole.gather(1, places))
        return self.whole.scatter(1, places, rows)

    def at_work(self, length: int) -> Tensor:
        """(B, S) True where a token of a text of S positions is at work."""
        batch, rows = self.hidden.shape[:2]
        real = self.real
        if real is None:
            real = torch.ones(batch, rows, dtype=torch.bool, device=self.hidden.device)
        if self.positions is None:
            return real
        return real.new_zeros(batch, length).scatter(1, self.positions, real)

    def positions_of(self, rows: Tensor) -> Tensor:
        """(B, K) where rows (B, K) of those at work stood in the text."""
        return rows if self.positions is None else self.positions.gather(1, rows)

    def after(self, hidden: Tensor) -> Tokens:
        """The same rows as a layer left them, (B, R, D)."""
        return replace(self, hidden=hidden)

    def counts(self) -> Counts:
        """How many tokens each text has and how many of them are at work."""
        if self.counted is not None:
            return self.counted
        batch, rows = self.hidden.shape[:2]
        sizes = (rows,) * batch if self.real is None else tuple(self.real.sum(1).tolist())
        return Counts(sizes, sizes)

    def remaining(self, length: Length | None) -> tuple[int, ...] | None:
        """(B) how many of each text's tokens leave a layer with that entry; None: all of them."""
        if length is None:
            return None
        sizes, left = self.counts()
        remaining = tuple(
            min(num_left(length, size), now) for size, now in zip(sizes, left, strict=True)
        )
        return None if remaining == left else remaining

    def leaving(self, received: Tensor, remaining: Sequence[int], *, keep_first: bool) -> Leaving:
        """The most significant rows of each text, as many as are to leave the layer.

        received: (B, R), the attention that each row receives in it: its significance.
        keep_first: whether the first row stays whatever it receives: a classifier reads it.
        """
        significance = received.clone()
        if self.real is not None:
            significance = significance.masked_fill(~self.real, -1.0)
        if keep_first:
            significance[:, 0] = torch.inf
        # Of equals the first: the choice must not depend on what else is in the batch.
        order = significance.argsort(dim=1, descending=True, stable=True)[:, : max(remaining)]
        return in_text_order(order, torch.tensor(remaining, device=order.device))

    def without(self, leaving: Leaving, remaining: tuple[int, ...], hidden: Tensor) -> Tokens:
        """What is left after a layer dropped the others; they stay as they entered it.

        hidden: (B, K, D), the layer's output for the rows that leave it.
        """
        return Tokens(
            hidden=hidden,
            real=None if min(remaining) == max(remaining) else leaving.real,
            counted=Counts(self.counts().sizes, remaining),
            positions=self.positions_of(leaving.rows),
            whole=self.restored,
        )


def in_text_order(order: Tensor, remaining: Tensor) -> Leaving:
    """The first `remaining` (B) of each text's rows (B, K), most significant first, as they stand in it."""
    real = torch.arange(order.shape[1], device=order.device) < remaining.unsqueeze(1)
    rows, sorting = order.sort(dim=1)
    return Leaving(rows, real.gather(1, sorting))


def take_rows(x: Tensor, rows: Tensor) -> Tensor:
    """Rows (B, K) of (B, R, D), as (B, K, D)."""
    return x.gather(1, rows.unsqueeze(-1).expand(-1, -1, x.shape[-1]))
