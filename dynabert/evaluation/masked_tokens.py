"""Judging answers that are pieces of a vocabulary, in place of masked tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from dynabert.data.masked_text import MaskedSplit
from dynabert.evaluation.intervals import Interval, score_interval
from dynabert.evaluation.tally import Evaluation, Tally
from dynabert.labels import IGNORED_LABEL
from dynabert.subnet import Subnet

MASKED_METRICS = ("accuracy",)  # the share of masked tokens that are found out


@dataclass(frozen=True, kw_only=True, eq=False)
class MaskedEvaluation(Evaluation):
    """How one sub-network did; `loss` is the mean over masked tokens, exp(loss) their perplexity."""

    num_rows: int
    num_masked: int

    @property
    def num_examples(self) -> int:
        return self.num_rows


class MaskedTally(Tally):
    """Keeps of every row how many tokens were asked for and found, and the loss: logits are too many."""

    batch_size = 32

    def __init__(self, split: MaskedSplit, networks: int) -> None:
        self.split = split
        self.asked = np.zeros(len(split), dtype=np.int64)
        self.found = np.zeros((networks, len(split)), dtype=np.int64)
        self.loss = np.zeros((networks, len(split)))
        self.answers: list[set[int]] = [set() for _ in range(networks)]

    def add(self, rows: Sequence[int], logits: Sequence[np.ndarray]) -> None:
        """logits: one set (K, M, V), of the tokens that are masked when these rows stand together."""
        labels = self.split.batch(rows)["labels"]
        asked = labels != IGNORED_LABEL
        row_of = asked.nonzero()[:, 0].numpy()
        wanted = labels[asked]
        self.asked[rows] = asked.sum(1).numpy()
        (one_set,) = logits
        for network, answers in enumerate(map(torch.from_numpy, one_set)):
            best = answers.argmax(-1)
            self.answers[network].update(best.unique().tolist())
            right = (best == wanted).numpy()
            losses = F.cross_entropy(answers.float(), wanted, reduction="none").double().numpy()
            self.found[network, rows] = np.bincount(row_of, right, len(rows)).astype(np.int64)
            self.loss[network, rows] = np.bincount(row_of, losses, len(rows))

    def evaluation(self, number: int, subnet: Subnet, metrics: tuple[str, ...]) -> MaskedEvaluation:
        return MaskedEvaluation(
            subnet=subnet,
            metrics=self.scores(number, metrics),
            loss=float(self.loss[number].sum() / self.asked.sum()),
            collapsed=len(self.answers[number]) == 1,
            num_rows=len(self.split),
            num_masked=int(self.asked.sum()),
        )

    def scores(self, number: int, metrics: tuple[str, ...]) -> dict[str, float]:
        assert set(metrics) <= set(MASKED_METRICS)
        return dict.fromkeys(metrics, float(self.found[number].sum() / self.asked.sum()))

    def losses(self, number: int) -> np.ndarray:
        mean: np.ndarray = self.loss[number] / np.maximum(1, self.asked)
        return mean

    def intervals(
        self,
        number: int,
        metrics: tuple[str, ...],
        examples: np.ndarray,
        generator: np.random.Generator,
    ) -> dict[str, Interval]:
        asked, found = self.asked[examples].sum(), self.found[number, examples].sum()
        answers = np.arange(asked) < found
        return {
            name: score_interval(
                name,
                np.ones(asked, dtype=np.int64),
                answers.astype(np.int64),
                int(self.asked.sum()),
                num_classes=2,
                generator=generator,
            )
            for name in metrics
        }
