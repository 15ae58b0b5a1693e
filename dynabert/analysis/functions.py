"""What a head does: the share of its attention that goes where each known function sends it.

Positional functions (the token before, after, itself), the special tokens and punctuation, and, where
the links of a sentence are known, both directions of each grammatical link. A number means something
only beside what chance gives: even attention for the former; for a link, the same head's attention
over the same distance between words that are not linked (Clark et al., 1906.04341, and Voita et al.,
1905.09418, compare with fixed-offset baselines).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
import pandas as pd

from dynabert.analysis.sentences import Sentence
from dynabert.data.teaching import LinkKind

POSITIONAL = ("previous token", "next token", "same token")
SPECIAL = ("[CLS]", "[SEP]", "punctuation")  # of RoBERTa, <s> and </s>


def _directions(kind: LinkKind) -> tuple[str, str]:
    head, dependent = _ENDS[kind]
    return f"{head} → {dependent}", f"{dependent} → {head}"


# Of each kind of link: what its head is, and its dependent.
_ENDS: dict[LinkKind, tuple[str, str]] = {
    "subject-verb": ("verb", "subject"),
    "determiner-noun": ("noun", "determiner"),
    "antecedent-reflexive": ("antecedent", "reflexive"),
    "verb-object": ("verb", "object"),
}
LINKS = tuple(name for kind in get_args(LinkKind) for name in _directions(kind))
FUNCTIONS = (*POSITIONAL, *SPECIAL, *LINKS)

BROAD, MIXED = "broad", "mixed"
# A head has a function if so much more of its attention goes there than chance would send.
LEAST_EXCESS = 0.15
# ... measured on at least so many tokens.
LEAST_COUNT = 20
# Without a function, a head is broad if its entropy is so near to that of even attention.
LEAST_BREADTH = 0.85


@dataclass(frozen=True, kw_only=True, eq=False)
class FunctionProfile:
    """Functions F of all heads (L, H), numbered as in the original network; NaN where one is gone."""

    observed: np.ndarray  # (F, L, H) mean share of attention; NaN also where no sentence shows it
    chance: np.ndarray  # (F, L, H)
    counts: np.ndarray  # (F,) how many tokens could show it
    breadth: np.ndarray  # (L, H) entropy over that of even attention, mean over tokens

    @property
    def excess(self) -> np.ndarray:
        """(F, L, H) observed above chance."""
        return self.observed - self.chance

    def labels(self) -> np.ndarray:
        """(L, H) the function with the largest excess, "broad", or "mixed"; "" where a head is gone.

        A function shown by few tokens names no head; of a single sentence, where all are few, by less
        than half of those that show another.
        """
        excess = np.nan_to_num(self.excess, nan=-1.0)
        excess[self.counts < min(LEAST_COUNT, self.counts.max() / 2)] = -1.0
        best = excess.argmax(0)
        names = np.array(FUNCTIONS, dtype=object)[best]
        without = excess.max(0) < LEAST_EXCESS
        names[without] = np.where(self.breadth >= LEAST_BREADTH, BROAD, MIXED)[without]
        names[np.isnan(self.breadth)] = ""
        return names

    def table(self) -> pd.DataFrame:
        """A row for each head and function: layer and head (from 1), observed, chance, excess, count."""
        functions, layers, heads = np.nonzero(~np.isnan(self.observed))
        places = functions, layers, heads
        return pd.DataFrame(
            {
                "layer": layers + 1,
                "head": heads + 1,
                "function": [FUNCTIONS[number] for number in functions],
                "observed": self.observed[places],
                "chance": self.chance[places],
                "excess": self.excess[places],
                "num_tokens": self.counts[functions],
            }
        ).sort_values(["layer", "head", "excess"], ascending=[True, True, False], ignore_index=True)


def function_profile(maps: Sequence[np.ndarray], sentences: Sequence[Sentence]) -> FunctionProfile:
    """How much of its attention each head spends on each function, over all sentences.

    maps: (L, H, S, S) of each sentence, as from `dynabert.analysis.sentences.attention_of`.

    Of each function, the tokens that could show it are the words that have such a place to look at:
    for "previous token" those that follow a word or mark, for "verb → subject" the tokens of verbs
    with a subject. The share of attention from them to that place is averaged over all of them.
    """
    layers, heads = maps[0].shape[:2]
    observed, chance = np.zeros((2, len(FUNCTIONS), layers, heads))
    counts = np.zeros(len(FUNCTIONS), dtype=int)
    entropy, num_tokens = np.zeros((layers, heads)), 0
    for sentence, attention in zip(sentences, maps, strict=True):
        wanted, expected, queries = _places(sentence)
        known = np.nan_to_num(attention).astype(np.float64)
        observed += np.einsum("fij,lhij->flh", wanted, known)
        chance += np.einsum("fij,lhij->flh", expected, known)
        # Even attention, for those whose chance depends on nothing else.
        even = len(POSITIONAL) + len(SPECIAL)
        chance[:even] += (wanted[:even].sum((1, 2)) / len(sentence))[:, None, None]
        counts += queries
        reading = ~sentence.special
        entropy += _entropy(known[:, :, reading]).sum(-1) / np.log(len(sentence))
        num_tokens += int(reading.sum())
    gone = np.isnan(maps[0][:, :, 0, 0])
    with np.errstate(invalid="ignore"):
        observed /= counts[:, None, None]
        chance /= counts[:, None, None]
    breadth = entropy / max(num_tokens, 1)
    for values in (observed, chance):
        values[:, gone] = np.nan
    breadth[gone] = np.nan
    return FunctionProfile(observed=observed, chance=chance, counts=counts, breadth=breadth)


def _places(sentence: Sentence) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For every function: the places (i, j) it sends attention to (F, S, S), the weights of those that
    say what chance would give (F, S, S), and the number of tokens that could show it (F,)."""
    size = len(sentence)
    wanted, expected = np.zeros((2, len(FUNCTIONS), size, size))
    queries = np.zeros(len(FUNCTIONS), dtype=int)
    reading = np.flatnonzero(~sentence.special)
    ends = np.flatnonzero(sentence.special)
    for name, step in zip(POSITIONAL, (-1, 1, 0), strict=True):
        number = FUNCTIONS.index(name)
        for token in map(int, reading):
            if not 0 <= token + step < size or sentence.special[token + step]:
                continue
            wanted[number, token, token + step] = 1
            queries[number] += 1
    marks = np.flatnonzero(sentence.punctuation)
    targets = (ends[:1], ends[1:], marks)
    for name, columns in zip(SPECIAL, targets, strict=True):
        rows = np.flatnonzero(sentence.words) if name == "punctuation" else reading
        if len(columns) and len(rows):
            number = FUNCTIONS.index(name)
            wanted[number][np.ix_(rows, columns)] = 1
            queries[number] += len(rows)
    linked = {kind: _linked(sentence, kind) for kind in {link.kind for link in sentence.links}}
    for link in sentence.links:
        for name, source, target in zip(
            _directions(link.kind),
            (link.head, link.dependent),
            (link.dependent, link.head),
            strict=True,
        ):
            number = FUNCTIONS.index(name)
            for token in source:
                alike = [_alike(sentence, linked[link.kind], token, other) for other in target]
                if not all(alike):
                    continue  # nothing to compare with
                queries[number] += 1
                for other, places in zip(target, alike, strict=True):
                    wanted[number, token, other] += 1
                    for place in places:
                        expected[number][place] += 1 / len(places)
    return wanted, expected, queries


def _linked(sentence: Sentence, kind: LinkKind) -> np.ndarray:
    """(S, S) whether two tokens are linked so, in either direction, or are the same."""
    linked = np.eye(len(sentence), dtype=bool)
    for link in sentence.links:
        if link.kind == kind:
            for one, two in ((link.head, link.dependent), (link.dependent, link.head)):
                linked[np.ix_(one, two)] = True
    return linked


def _alike(sentence: Sentence, linked: np.ndarray, token: int, other: int) -> list[tuple[int, int]]:
    """The pairs of words as far apart, in the same direction, that are not linked."""
    distance = other - token
    words = sentence.words
    starts = range(max(0, -distance), len(sentence) - max(0, distance))
    return [
        (start, start + distance)
        for start in starts
        if words[start] and words[start + distance] and not linked[start, start + distance]
    ]


def _entropy(probabilities: np.ndarray) -> np.ndarray:
    """Along the last axis, in nats."""
    safe = np.where(probabilities > 0, probabilities, 1.0)
    return -(probabilities * np.log(safe)).sum(-1)
