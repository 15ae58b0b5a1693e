"""Distilling how a network attends: TinyBERT's attention matching and MiniLMv2's relations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from dynabert.distillation import mean_over_tokens
from dynabert.modeling.attention import attention_scores
from dynabert.modeling.heads import at_least_float32

AttentionOf = Literal["scores", "probabilities"]


def attention_loss(
    student: Sequence[Tensor],
    teacher: Sequence[Tensor],
    attention_mask: Tensor | None,
    *,
    of: AttentionOf = "scores",
) -> Tensor:
    """The sum over matched layers of the mean squared error of their attention.

    student, teacher: scores q k^T / sqrt(d_h) of matched layers, (B, h, S, S), unmasked. A narrow
    student's heads are compared with the teacher's leftmost ones: in a rewired network those are
    the same heads.
    attention_mask: (B, S), 1 where there is a token; pairs with padding do not count. None: all do.
    of: "scores" as they are (TinyBERT, eq. (7)), or the "probabilities" they come to (as in the
    code of Dynamic-TinyBERT).
    """
    if len(student) != len(teacher):
        raise ValueError(f"{len(student)} layers cannot match {len(teacher)} of the teacher.")
    losses = []
    for ours, theirs in zip(student, teacher, strict=True):
        theirs = theirs[:, : ours.shape[1]]
        if of == "probabilities":
            ours, theirs = (
                masked_softmax(ours, attention_mask),
                masked_softmax(theirs, attention_mask),
            )
        squared = (at_least_float32(ours) - at_least_float32(theirs)).square().mean(1)  # (B, S, S)
        losses.append(_mean_over_pairs(squared, attention_mask))
    return torch.stack(losses).sum()


def relation_loss(
    student: Sequence[Tensor],
    teacher: Sequence[Tensor],
    attention_mask: Tensor | None,
    most_heads: int,
) -> Tensor:
    """Relations among queries, among keys and among values of one layer: the sum of their three
    Kullback-Leibler divergences, each the mean over relation heads and tokens.

    MiniLMv2 (Wang et al., 2021), eqs. (4) to (6). Widths may differ: the vectors of all heads are
    joined and cut again into relation heads, as many in both.

    student, teacher: queries, keys and values, (B, S, a) each, of any width a.
    most_heads: the number of relation heads is the largest up to it that divides both widths.
    """
    heads = num_relation_heads(student[0].shape[-1], teacher[0].shape[-1], most_heads)
    losses = []
    for ours, theirs in zip(student, teacher, strict=True):
        target = masked_softmax(_relations(theirs, heads), attention_mask)
        given = masked_softmax(_relations(ours, heads), attention_mask)
        # Where both are zero (padding) nothing is added.
        logs = target.clamp_min(1e-12).log() - given.clamp_min(1e-12).log()
        per_token = (target * logs).sum(-1).mean(1)  # (B, S)
        losses.append(mean_over_tokens(per_token, attention_mask))
    return torch.stack(losses).sum()


def num_relation_heads(width: int, other_width: int, most: int) -> int:
    """The largest number up to `most` into which both widths can be cut evenly."""
    return max(n for n in range(1, most + 1) if width % n == 0 and other_width % n == 0)


def masked_softmax(scores: Tensor, attention_mask: Tensor | None) -> Tensor:
    """Probabilities (B, h, S, S) of scores, over the keys that are tokens; in float32 or better."""
    scores = at_least_float32(scores)
    if attention_mask is not None:
        keys = attention_mask.bool()[:, None, None, :]
        scores = scores.masked_fill(~keys, torch.finfo(scores.dtype).min)
    return scores.softmax(-1)


def _relations(vectors: Tensor, heads: int) -> Tensor:
    """(B, S, a) -> scaled products of each token's vector with each other's, (B, heads, S, S)."""
    split = at_least_float32(vectors).unflatten(-1, (heads, -1)).transpose(1, 2)
    return attention_scores(split, split)


def _mean_over_pairs(values: Tensor, attention_mask: Tensor | None) -> Tensor:
    """Mean of (B, S, S) over pairs of real tokens."""
    if attention_mask is None:
        return values.mean()
    pairs = attention_mask[:, :, None] * attention_mask[:, None, :]
    return (values * pairs).sum() / pairs.sum()
