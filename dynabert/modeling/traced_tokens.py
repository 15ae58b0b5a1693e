"""Dropping tokens in an exported graph. It holds for every batch: counts are tensors there, and no
decision depends on a value.

Drop-and-Restore as in `dynabert.modeling.tokens`, which counts in Python so as to skip what a batch
does not need.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor

from dynabert.length_config import Length, num_left
from dynabert.modeling.tokens import Leaving, Tokens, in_text_order


@dataclass(frozen=True, kw_only=True)
class TracedTokens(Tokens):
    """`Tokens` whose rows are as many as the longest text of the batch keeps, whatever batch that is."""

    sizes: Tensor  # (B) tokens of each text at the beginning
    left: Tensor  # (B) of them at work now
    most: int  # tokens that a text may have

    @classmethod
    def of_any(cls, hidden: Tensor, key_mask: Tensor | None, most: int) -> TracedTokens:
        """`Tokens.of` a batch of texts of at most so many tokens."""
        real = Tokens.of(hidden, key_mask).real
        if real is None:
            batch, rows = hidden.shape[:2]
            sizes = torch.full((batch,), rows, dtype=torch.int64, device=hidden.device)
        else:
            sizes = real.sum(1)
        return cls(hidden, real, sizes=sizes, left=sizes, most=most)

    def remaining(self, length: Length | None) -> Tensor | None:  # type: ignore[override]  # tensors
        """(B) how many of each text's tokens leave a layer with that entry; None: all of them."""
        if length is None:
            return None
        # Looked up instead of computed: graphs do not round as Python does.
        table = torch.tensor([num_left(length, tokens) for tokens in range(self.most + 1)])
        return torch.minimum(table.to(self.sizes.device)[self.sizes], self.left)

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
        return replace(
            self,
            hidden=hidden,
            real=leaving.real,
            positions=self.positions_of(leaving.rows),
            whole=self.restored,
            left=remaining,
        )
