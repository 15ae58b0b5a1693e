"""Function fusion: do the heads that are left take over what the removed ones did?

DynaBERT, Sec. 3.4, says so of pictures: in a narrow sub-network heads "start to exhibit" patterns
that other heads had in the full one. Here it is a number. Two heads are as similar as the
distributions of their attention: 1 minus the Jensen-Shannon divergence (base 2), averaged over the
tokens of a sentence, then over sentences.

A head r that the sub-network has not is *covered* by the surviving head most similar to r as it was
in the full network. Its fusion is how much better the surviving heads cover it now than the very same
heads did in the full network:

    fusion(r) = max_k sim(k in the sub-network, r) - max_k sim(k in the full network, r)

over surviving heads k. Above 0, somebody has moved towards r's function; the full network against
itself removes nothing and moves nobody. Attention that merely becomes more even grows more similar to
everything, so the same difference is taken for r with its columns shuffled (one order of the tokens
for each sentence, special tokens in their places): the fusion that chance gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from dynabert.analysis.sentences import Sentence

_RESAMPLES = 500


@dataclass(frozen=True, kw_only=True, eq=False)
class Fusion:
    """A sub-network's heads beside those of the full network; heads as rows (layer, head), from 0."""

    heads: np.ndarray  # (K, 2) of the sub-network
    full_heads: np.ndarray  # (A, 2) of the full network
    similarity: np.ndarray  # (K, A) of a head in the sub-network to one in the full network
    shuffled: np.ndarray  # (K, A) the same, with the latter's columns shuffled
    removed: np.ndarray  # (R, 2) heads that only the full network has
    cover: np.ndarray  # (R,) row in `heads` that is most similar to each of them now
    covered: np.ndarray  # (R,) how similar
    covered_before: np.ndarray  # (R,) how well the surviving heads covered it in the full network
    chance: np.ndarray  # (R,) fusion with shuffled columns
    interval: tuple[float, float]  # 95 % of `above_chance`; NaN without removed heads
    num_sentences: int

    @property
    def fusion(self) -> np.ndarray:
        """(R,) of each removed head; in [-1, 1]."""
        return self.covered - self.covered_before

    @property
    def mean(self) -> float:
        """Over all removed heads; 0 where none is removed."""
        return float(self.fusion.mean()) if len(self.removed) else 0.0

    @property
    def above_chance(self) -> float:
        """Mean fusion less that of shuffled columns; `interval` is its bootstrap over sentences."""
        return self.mean - self.chance_mean

    @property
    def chance_mean(self) -> float:
        return float(self.chance.mean()) if len(self.removed) else 0.0

    def resemblance(self) -> pd.DataFrame:
        """A row per head of the sub-network: the head of the full network that it resembles most.

        Columns: layer, head, like_layer, like_head (from 1), similarity, chance (to that head
        shuffled), to_itself (to the same head in the full network).
        """
        best = self.similarity.argmax(1)
        rows = np.arange(len(self.heads))
        place = {tuple(head): number for number, head in enumerate(self.full_heads.tolist())}
        own = [place[tuple(head)] for head in self.heads.tolist()]
        return pd.DataFrame(
            {
                "layer": self.heads[:, 0] + 1,
                "head": self.heads[:, 1] + 1,
                "like_layer": self.full_heads[best, 0] + 1,
                "like_head": self.full_heads[best, 1] + 1,
                "similarity": self.similarity[rows, best],
                "chance": self.shuffled[rows, best],
                "to_itself": self.similarity[rows, own],
            }
        )

    def absorbed(self) -> pd.DataFrame:
        """A row per removed head, largest fusion first: who covers it, how well, and how well before.

        Columns: layer, head, by_layer, by_head (from 1), similarity, before, fusion, chance.
        """
        by = self.heads[self.cover]
        table = pd.DataFrame(
            {
                "layer": self.removed[:, 0] + 1,
                "head": self.removed[:, 1] + 1,
                "by_layer": by[:, 0] + 1,
                "by_head": by[:, 1] + 1,
                "similarity": self.covered,
                "before": self.covered_before,
                "fusion": self.fusion,
                "chance": self.chance,
            }
        )
        return table.sort_values("fusion", ascending=False, kind="stable", ignore_index=True)

    def by_layer(self) -> pd.DataFrame:
        """A row per layer that lost heads: layer (from 1), num_removed, mean fusion and chance."""
        table = pd.DataFrame(
            {"layer": self.removed[:, 0] + 1, "fusion": self.fusion, "chance": self.chance}
        )
        grouped = table.groupby("layer", as_index=False)
        return grouped.agg(
            num_removed=("fusion", "size"), fusion=("fusion", "mean"), chance=("chance", "mean")
        )


def measure_fusion(
    small: Sequence[np.ndarray],
    full: Sequence[np.ndarray],
    sentences: Sequence[Sentence],
    *,
    seed: int = 0,
) -> Fusion:
    """Compare a sub-network's heads with the full network's on the same sentences.

    small, full: (L, H, S, S) of each sentence, as from `dynabert.analysis.sentences.attention_of`.
    seed: of the shuffled columns and of the bootstrap over sentences (500 samples).
    """
    random = np.random.default_rng(seed)
    heads, full_heads = _places(small[0]), _places(full[0])
    there = {tuple(head) for head in heads.tolist()}
    gone = np.array([tuple(head) not in there for head in full_heads.tolist()], dtype=bool)
    removed = full_heads[gone]
    now, now_shuffled, before, before_shuffled = [], [], [], []
    for ours, theirs, sentence in zip(small, full, sentences, strict=True):
        current = _chosen(ours, heads)
        earlier = _chosen(theirs, heads)
        targets = _chosen(theirs, full_heads)
        shuffled = targets[:, :, _shuffled(sentence, random)]
        now.append(similarity(current, targets))
        now_shuffled.append(similarity(current, shuffled))
        before.append(similarity(earlier, targets[gone]))
        before_shuffled.append(similarity(earlier, shuffled[gone]))
    similar, chance = np.stack(now), np.stack(now_shuffled)  # (N, K, A)
    past, past_chance = np.stack(before), np.stack(before_shuffled)  # (N, K, R)
    mean_similar, mean_chance = similar.mean(0), chance.mean(0)

    def gain(present: np.ndarray, past: np.ndarray) -> np.ndarray:
        return present.max(0, initial=0.0) - past.max(0, initial=0.0)

    interval = (np.nan, np.nan)
    if len(removed):
        present, present_chance = similar[:, :, gone], chance[:, :, gone]
        draws = random.multinomial(len(small), np.full(len(small), 1 / len(small)), _RESAMPLES)
        weights = draws / len(small)  # (samples, N)
        means = [
            (
                gain(np.tensordot(row, present, 1), np.tensordot(row, past, 1))
                - gain(np.tensordot(row, present_chance, 1), np.tensordot(row, past_chance, 1))
            ).mean()
            for row in weights
        ]
        low, high = np.percentile(means, (2.5, 97.5))
        interval = (float(low), float(high))
    return Fusion(
        heads=heads,
        full_heads=full_heads,
        similarity=mean_similar,
        shuffled=mean_chance,
        removed=removed,
        cover=mean_similar[:, gone].argmax(0),
        covered=mean_similar[:, gone].max(0),
        covered_before=past.mean(0).max(0),
        chance=gain(mean_chance[:, gone], past_chance.mean(0)),
        interval=interval,
        num_sentences=len(small),
    )


def similarity(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(A, B) 1 - Jensen-Shannon divergence (base 2) of attention maps, mean over their rows.

    first: (A, S, S), second: (B, S, S); rows are distributions. 1 where two are equal, 0 where they
    look at different tokens only.
    """
    one, two = torch.from_numpy(first), torch.from_numpy(second)
    entropies = [_entropy(maps).mean(-1) for maps in (one, two)]  # (A,), (B,)
    middle = torch.stack([_entropy((head + two) / 2).mean(-1) for head in one])  # (A, B)
    divergence = middle - (entropies[0][:, None] + entropies[1][None]) / 2
    return (1 - divergence.clamp(0, 1)).double().numpy()


def _entropy(probabilities: Tensor) -> Tensor:
    """Over the last axis, in bits."""
    return -torch.special.xlogy(probabilities, probabilities).sum(-1) / np.log(2)


def _places(maps: np.ndarray) -> np.ndarray:
    """(N, 2) layer and head of those that are there."""
    return np.argwhere(~np.isnan(maps[:, :, 0, 0]))


def _chosen(maps: np.ndarray, heads: np.ndarray) -> np.ndarray:
    return maps[heads[:, 0], heads[:, 1]]


def _shuffled(sentence: Sentence, random: np.random.Generator) -> np.ndarray:
    """(S,) an order of the tokens in which special ones stay where they are."""
    order = np.arange(len(sentence))
    moving = np.flatnonzero(~sentence.special)
    order[moving] = random.permutation(moving)
    return order
