"""Exact match and F1 of an answer's text, as SQuAD v1.1's evaluation defines them.

Rajpurkar et al., "SQuAD: 100,000+ Questions for Machine Comprehension of Text" (1606.05250), Sec. 6.1:
punctuation and articles do not count, and of several right answers the most alike one does. Here they
lie between 0 and 1, as all metrics of this project, not between 0 and 100.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

ANSWER_METRICS = ("f1", "em")

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


class AnswerScore(NamedTuple):
    """What one answer earns; the names are those of the metrics."""

    f1: float
    em: float


def normalized(text: str) -> str:
    """Lower case, without ASCII punctuation, articles and surplus spaces, in this order."""
    text = text.lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", text).split())


def answer_score(answer: str, gold: Iterable[str]) -> AnswerScore:
    """The best F1 and the best match of an answer with any of the right ones.

    F1 is over words, as bags. An answer without a word has none in common, so its F1 is 0 even where
    the right answer has none either; it still matches that exactly.
    gold: already `normalized`.
    """
    given = normalized(answer)
    words = given.split()
    counts = Counter(words)
    best, match = 0.0, 0.0
    for wanted in gold:
        match = max(match, float(given == wanted))
        theirs = wanted.split()
        common = (counts & Counter(theirs)).total()
        if common:
            best = max(best, 2 * common / (len(words) + len(theirs)))
    return AnswerScore(f1=best, em=match)
