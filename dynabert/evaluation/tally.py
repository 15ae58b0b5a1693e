"""What sub-networks have answered so far: filled batch by batch, then judged."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dynabert.evaluation.intervals import Interval
from dynabert.subnet import Subnet


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation(ABC):
    """How one sub-network did on a split; each kind of task adds what it answered."""

    subnet: Subnet
    metrics: dict[str, float]
    loss: float  # mean over what a batch is made of, against the labels
    collapsed: bool  # answers every example alike

    @property
    @abstractmethod
    def num_examples(self) -> int:
        """How many examples were scored."""


class Tally(ABC):
    """Answers of K networks to the rows of a split, as far as they have been read.

    Networks are sub-networks, or the full one without each of its heads. A row is what a batch is
    made of: an example, or a window of one.
    """

    batch_size: int  # of evaluation, where the caller does not say

    @abstractmethod
    def add(self, rows: Sequence[int], logits: Sequence[np.ndarray]) -> None:
        """Take in the task's sets of logits, (K, B, C) or (K, B, S) each, for B rows."""

    @abstractmethod
    def evaluation(self, number: int, subnet: Subnet, metrics: tuple[str, ...]) -> Evaluation:
        """What network `number` comes to; all rows must have been read."""

    @abstractmethod
    def scores(self, number: int, metrics: tuple[str, ...]) -> dict[str, float]:
        """Its metrics alone."""

    @abstractmethod
    def losses(self, number: int) -> np.ndarray:
        """Its loss on each row."""

    @abstractmethod
    def intervals(
        self,
        number: int,
        metrics: tuple[str, ...],
        examples: np.ndarray,
        generator: np.random.Generator,
    ) -> dict[str, Interval]:
        """Its metrics on some examples, a random sample, with intervals for the whole split.

        generator: of bootstrap samples, where a metric needs them.
        """
