"""Answers of question answering: from start and end logits to texts and their scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

from dynabert.data.squad.windows import EncodedWindows
from dynabert.errors import UserError
from dynabert.evaluation.answer_scores import (
    ANSWER_METRICS,
    AnswerScore,
    answer_score,
    normalized,
)
from dynabert.evaluation.intervals import Interval, mean_interval
from dynabert.evaluation.tally import Evaluation, Tally
from dynabert.subnet import Subnet

# Of the starts and of the ends the best so many are tried with one another; an answer is at most so
# many tokens long. As in BERT's code.
N_BEST, MAX_ANSWER_TOKENS = 20, 30
COLLAPSED_SHARE = 0.99  # of the questions, that are answered alike


class SpanAnswers(NamedTuple):
    """What one network answers to N questions."""

    texts: Sequence[str]  # exact parts of the passages; "" where it found no answer
    letters: np.ndarray  # (N, 2) of the passage: the answer's first, and the one after its last
    # (N,) softmax of the starts times softmax of the ends, over the window that the answer is from.
    probabilities: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class SpanEvaluation(Evaluation):
    """What one sub-network answered to the N questions of a split."""

    ids: Sequence[str]
    found: SpanAnswers
    f1: np.ndarray  # (N,) of each question
    em: np.ndarray  # (N,)

    @property
    def texts(self) -> Sequence[str]:
        return self.found.texts

    @property
    def answers(self) -> dict[str, str]:
        """The answer to each question by its id: what SQuAD's own evaluation reads."""
        return dict(zip(self.ids, self.texts, strict=True))

    @property
    def num_examples(self) -> int:
        return len(self.ids)


def best_spans(
    start: np.ndarray, end: np.ndarray, inside: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The span with the highest start + end logit in each window: first and last token, and that sum.

    start, end: (..., S).  inside: (..., S) or what broadcasts to it, True at the passage's tokens.
    Only spans of the `N_BEST` starts and ends, in that order and of at most `MAX_ANSWER_TOKENS` tokens,
    are answers. Where there is none the sum is -inf.
    """
    start, end = (np.where(inside, logits, -np.inf) for logits in (start, end))
    most = min(N_BEST, start.shape[-1])
    starts, ends = (
        np.argpartition(-logits, most - 1, axis=-1)[..., :most] for logits in (start, end)
    )  # (..., n)
    sums = (
        np.take_along_axis(start, starts, -1)[..., :, None]
        + np.take_along_axis(end, ends, -1)[..., None, :]
    )
    tokens = ends[..., None, :] - starts[..., :, None] + 1
    sums[(tokens < 1) | (tokens > MAX_ANSWER_TOKENS)] = -np.inf
    flat = sums.reshape(*sums.shape[:-2], -1)
    best = flat.argmax(-1)[..., None]
    first = np.take_along_axis(starts, best // most, -1)[..., 0]
    last = np.take_along_axis(ends, best % most, -1)[..., 0]
    return first, last, np.take_along_axis(flat, best, -1)[..., 0]


class SpanTally(Tally):
    """Keeps of each window its best span; the logits of all would be hundreds of megabytes."""

    batch_size = 16  # windows are long

    def __init__(self, split: EncodedWindows, networks: int) -> None:
        self.split = split
        shape = (networks, len(split))
        self.best = np.full(shape, -np.inf, dtype=np.float32)
        self.first = np.zeros(shape, dtype=np.int32)  # tokens of the passage
        self.last = np.zeros(shape, dtype=np.int32)
        self.log_probability = np.zeros(shape, dtype=np.float32)
        self.loss = np.zeros(shape, dtype=np.float32)
        self.gold = [tuple(map(normalized, answers)) for answers in split.gold]
        self.known: dict[tuple[int, str], AnswerScore] = {}  # sub-networks often agree

    def add(self, rows: Sequence[int], logits: Sequence[np.ndarray]) -> None:
        split, at = self.split, np.asarray(rows)
        start, end = logits
        begins = split.context_start[at]
        tokens = np.arange(start.shape[-1])
        inside = (tokens >= begins[:, None]) & (tokens < (begins + split.num_tokens[at])[:, None])
        first, last, best = best_spans(start, end, inside)
        of_starts, of_ends = (logsumexp(logits, axis=-1) for logits in (start, end))  # (K, B)
        self.best[:, at] = best
        self.log_probability[:, at] = best - of_starts - of_ends
        # From places in the window to tokens of the passage.
        self.first[:, at] = first - begins + split.first_token[at]
        self.last[:, at] = last - begins + split.first_token[at]
        self.loss[:, at] = (
            (of_starts - _logits_at(start, split.start_positions[at]))
            + (of_ends - _logits_at(end, split.end_positions[at]))
        ) / 2

    def answers(self, number: int) -> SpanAnswers:
        """What network `number` answers to each question; all rows must have been read."""
        rows = self._best_rows(number)
        return SpanAnswers(
            texts=[self._text(number, row) for row in rows],
            letters=np.array([self._letters(number, row) for row in rows]),
            probabilities=np.exp(self.log_probability[number, rows].astype(float)),
        )

    def evaluation(self, number: int, subnet: Subnet, metrics: tuple[str, ...]) -> SpanEvaluation:
        every = np.arange(self.split.num_examples)
        found = self.answers(number)
        earned = self._earned(number, every)
        return SpanEvaluation(
            subnet=subnet,
            metrics=_means(earned, metrics),
            loss=float(self.losses(number).mean()),
            collapsed=self._collapsed(number, found.texts),
            ids=self.split.ids,
            found=found,
            f1=earned[:, 0],
            em=earned[:, 1],
        )

    def scores(self, number: int, metrics: tuple[str, ...]) -> dict[str, float]:
        return _means(self._earned(number, np.arange(self.split.num_examples)), metrics)

    def losses(self, number: int) -> np.ndarray:
        return self.loss[number].astype(float)

    def intervals(
        self,
        number: int,
        metrics: tuple[str, ...],
        examples: np.ndarray,
        generator: np.random.Generator,
    ) -> dict[str, Interval]:
        earned = self._earned(number, examples)
        return {
            name: mean_interval(earned[:, _place(name)], self.split.num_examples)
            for name in metrics
        }

    def _best_rows(self, number: int) -> np.ndarray:
        """(N,) of the windows of each question the one whose span has the highest logits."""
        question_of = self.split.question_of
        order = np.lexsort((-self.best[number], question_of))  # windows of a question stay together
        return order[np.searchsorted(question_of, np.arange(self.split.num_examples))]

    def _letters(self, number: int, row: int) -> tuple[int, int]:
        if self.best[number, row] == -np.inf:
            return 0, 0
        first, last = self.first[number, row], self.last[number, row]
        return self.split.passage_at(row).letters_of(first, last)

    def _text(self, number: int, row: int) -> str:
        return self.split.passage_at(row).text[slice(*self._letters(number, row))]

    def _earned(self, number: int, examples: np.ndarray) -> np.ndarray:
        """(n, 2) F1 and exact match of some questions."""
        earned = np.zeros((len(examples), len(ANSWER_METRICS)))
        rows = self._best_rows(number)[examples]
        for place, (example, row) in enumerate(zip(examples.tolist(), rows, strict=True)):
            text = self._text(number, row)
            if (example, text) not in self.known:
                self.known[example, text] = answer_score(text, self.gold[example])
            earned[place] = self.known[example, text]
        return earned

    def _collapsed(self, number: int, texts: Sequence[str]) -> bool:
        """Whether (nearly) all questions get one text, or an answer that starts or ends at one place,
        although the right answers differ in that."""
        split, rows = self.split, self._best_rows(number)
        (right,) = np.nonzero(split.start_positions)
        moved = split.first_token[right] - split.context_start[right]
        return (
            _all_alike(texts, [answers[0] for answers in self.gold])
            or _all_alike(self.first[number, rows], split.start_positions[right] + moved)
            or _all_alike(self.last[number, rows], split.end_positions[right] + moved)
        )


def _all_alike(given: Sequence[object] | np.ndarray, wanted: Sequence[object] | np.ndarray) -> bool:
    return _largest_share(given) >= COLLAPSED_SHARE > _largest_share(wanted)


def _largest_share(values: Sequence[object] | np.ndarray) -> float:
    """Of the commonest value; 1 where there is none."""
    _, counts = np.unique(np.asarray(values), return_counts=True)
    return float(counts.max() / counts.sum()) if len(counts) else 1.0


def _logits_at(logits: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """(K, B) of logits (K, B, S) those at positions (B,)."""
    at = np.broadcast_to(positions[None, :, None], (*logits.shape[:2], 1))
    return np.take_along_axis(logits, at, -1)[..., 0]


def _place(metric: str) -> int:
    if metric not in ANSWER_METRICS:
        raise UserError(f"answers are scored by {', '.join(ANSWER_METRICS)}, got {metric!r}.")
    return ANSWER_METRICS.index(metric)


def _means(earned: np.ndarray, metrics: tuple[str, ...]) -> dict[str, float]:
    return {name: float(earned[:, _place(name)].mean()) for name in metrics}
