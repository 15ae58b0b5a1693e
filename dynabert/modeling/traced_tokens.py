"""Dropping tokens in an exported graph. It holds for every batch: counts are tensors there, and no
decision depends on a value.

Drop-and-Restore as in `dynabert.modeling.tokens`, which counts in Python so as to skip what a batch
does not need.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from dynabert.length_config import Length, num_left
from dynabert.modeling.tokens import Leaving, Tokens, in_text_order


@dataclass(frozen=True)
class TracedTokens(Tokens):
    """`Tokens` whose rows are as many as the longest text of the batch keeps, whatever batch that is."""

    sizes: Tensor | None = (
        None  # (B) tokens of each text at the beginning; None: nothing was dropped
    )
    left: Tensor | None = None  # (B) of them at work now
    most: int = 0  # tokens that a text may have

    @classmethod
    def of_any(cls, hidden: Tensor, key_mask: Tensor | None, most: int) -> TracedTokens:
        """`Tokens.of` a batch of texts of at most so many tokens."""
        tokens = Tokens.of(hidden, key_mask)
        return cls(tokens.hidden, tokens.real, most=most)

    def remaining(self, length: Length | None) -> Tensor | None:  # type: ignore[override]  # tensors
        """(B) how many of each text's tokens leave a layer with that entry; None: all of them."""
        if length is None:
            return None
        sizes, left = self._counts()
        # Looked up instead of computed: graphs do not round as Python does.
        table = torch.tensor([num_left(length, tokens) for tokens in range(self.most + 1)])
        return torch.minimum(table.to(sizes.device)[sizes], left)

    def leaving(  # type: ignore[override]  # tensors
        self, received: Tensor, remaining: Tensor, *, keep_first: bool
    ) -> Leaving:
        significance = received
        if self.real is not None:
            significance = significance.masked_fill(~self.real, -1.0)
        if keep_first:
            places = torch.arange(significance.shape[1], device=significance.device)
            significance = torch.where(places == 0, torch.inf, significance)
        rows = cast(int, remaining.max().item())  # int() would ask for the value
        torch._check(rows >= 1)
        torch._check(rows <= significance.shape[1])
        # Of equals ONNX's TopK takes the first, as `Tokens` does.
        return in_text_order(significance.topk(rows, dim=1).indices, remaining)

    def without(  # type: ignore[override]  # tensors
        self, leaving: Leaving, remaining: Tensor, hidden: Tensor
    ) -> TracedTokens:
        positions = leaving.rows
        if self.positions is not None:
            positions = self.positions.gather(1, positions)
        return TracedTokens(
            hidden=hidden,
            real=leaving.real,
            positions=positions,
            whole=self.restored,
            sizes=self._counts()[0],
            left=remaining,
            most=self.most,
        )

    def _counts(self) -> tuple[Tensor, Tensor]:
        if self.sizes is not None and self.left is not None:
            return self.sizes, self.left
        batch, rows = self.hidden.shape[:2]
        if self.real is None:
            sizes = torch.full((batch,), rows, dtype=torch.int64, device=self.hidden.device)
        else:
            sizes = self.real.sum(1)
        return sizes, sizes
