"""Judging answers that are a class or a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from dynabert.data.encoding import EncodedSplit
from dynabert.evaluation.intervals import Interval, score_interval
from dynabert.evaluation.metrics import is_collapsed, predictions_from_logits, score
from dynabert.evaluation.tally import Evaluation, Tally
from dynabert.modeling.heads import example_losses
from dynabert.subnet import Subnet


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelEvaluation(Evaluation):
    """What one sub-network answered on a split of a classification or regression."""

    logits: np.ndarray  # (N, C) in the order of the split
    labels: np.ndarray  # (N,)

    @property
    def predictions(self) -> np.ndarray:
        """(N,) class numbers, or values of a regression."""
        return predictions_from_logits(self.logits)

    @property
    def num_examples(self) -> int:
        return len(self.labels)


class LabelTally(Tally):
    """Keeps all logits, (K, N, C)."""

    batch_size = 64

    def __init__(
        self, split: EncodedSplit, networks: int, num_outputs: int, problem_type: str | None
    ) -> None:
        self.labels, self.problem_type = split.labels, problem_type
        self.logits = np.zeros((networks, len(split), num_outputs), dtype=np.float32)

    def add(self, rows: Sequence[int], logits: Sequence[np.ndarray]) -> None:
        (self.logits[:, rows],) = logits

    def evaluation(self, number: int, subnet: Subnet, metrics: tuple[str, ...]) -> LabelEvaluation:
        logits = self.logits[number]
        predictions = predictions_from_logits(logits)
        return LabelEvaluation(
            subnet=subnet,
            metrics=score(metrics, self.labels, predictions),
            loss=float(self.losses(number).mean()),
            collapsed=is_collapsed(self.labels, predictions),
            logits=logits,
            labels=self.labels,
        )

    def scores(self, number: int, metrics: tuple[str, ...]) -> dict[str, float]:
        return score(metrics, self.labels, predictions_from_logits(self.logits[number]))

    def losses(self, number: int) -> np.ndarray:
        answers, wanted = torch.from_numpy(self.logits[number]), torch.from_numpy(self.labels)
        losses: np.ndarray = example_losses(answers, wanted, self.problem_type).double().numpy()
        return losses

    def intervals(
        self,
        number: int,
        metrics: tuple[str, ...],
        examples: np.ndarray,
        generator: np.random.Generator,
    ) -> dict[str, Interval]:
        logits = self.logits[number, examples]
        predictions = predictions_from_logits(logits)
        return {
            name: score_interval(
                name,
                self.labels[examples],
                predictions,
                len(self.labels),
                num_classes=logits.shape[1],
                generator=generator,
            )
            for name in metrics
        }
