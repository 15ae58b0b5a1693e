"""How sure a score is that was measured on part of a split.

Each interval is for the value on the *whole* split, of which the examples read so far are a random
sample without replacement. The usual intervals, which are for endlessly many examples, are therefore
narrowed by the finite-population correction sqrt((N - n) / (N - 1)) (Cochran, "Sampling Techniques",
Sec. 2.6): nothing is unsure any more once all are read.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from dynabert.evaluation.metrics import METRICS

Z = 1.959964  # 95 %
TABLES, WEIGHTINGS = 1000, 400  # bootstrap samples
# Added to the counts that are resampled, in all: a network without a mistake in 64 examples may
# still make one.
PSEUDO_EXAMPLES = 2.0
RANGES = {"accuracy": (0.0, 1.0), "f1": (0.0, 1.0), "f1_macro": (0.0, 1.0)}  # others: -1 to 1


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A score on the examples read, and the 95 % interval for the score on all of them."""

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """For "value ± half_width"."""
        return (self.high - self.low) / 2


def score_interval(
    metric: str,
    labels: np.ndarray,
    predictions: np.ndarray,
    total: int,
    *,
    num_classes: int,
    generator: np.random.Generator,
) -> Interval:
    """The metric on the n examples read, and where it will come to lie on all `total` of them.

    labels, predictions: (n,), of a random sample without replacement.
    num_classes: of a classification; a regression has none.
    generator: of the bootstrap samples.

    Accuracy: Wilson's interval. Other metrics: the bootstrap, whose deviations are multiplied by the
    correction; of classifications over the table of labels and answers, of correlations over the
    examples, on Fisher's scale.
    """
    value = METRICS[metric](labels, predictions)
    left = correction(len(labels), total)
    if left == 0:
        return Interval(value=value, low=value, high=value)
    if metric == "accuracy":
        low, high = _wilson(value, len(labels) / left**2)
    elif metric in _OF_TABLES:
        table = np.zeros((num_classes, num_classes))
        np.add.at(table, (labels, predictions), 1)
        low, high = _of_tables(_OF_TABLES[metric], value, table, left, generator)
    else:
        low, high = _of_correlation(metric, value, labels, predictions, left, generator)
    lowest, highest = RANGES.get(metric, (-1.0, 1.0))
    return Interval(
        value=value, low=max(lowest, min(value, low)), high=min(highest, max(value, high))
    )


def mean_interval(values: np.ndarray, total: int) -> Interval:
    """The mean of a score from 0 to 1 that each example has (n,), and its interval on all `total`.

    The normal interval, whose variance counts a 0 and a 1 more than were seen: as with the bootstrap
    above, a faultless beginning does not make sure.
    """
    value = float(values.mean())
    seen = np.append(values, (0.0, 1.0))
    spread = Z * correction(len(values), total) * seen.std(ddof=1) / math.sqrt(len(seen))
    return Interval(
        value=value, low=max(0.0, value - float(spread)), high=min(1.0, value + float(spread))
    )


def correction(read: int, total: int) -> float:
    """The finite-population correction: 1 of endlessly many examples, 0 when all are read."""
    return math.sqrt((total - read) / (total - 1)) if total > read else 0.0


def _wilson(share: float, examples: float) -> tuple[float, float]:
    """Wilson's interval; it is neither empty at 0 and 1 nor does it leave that range."""
    middle = share + Z**2 / (2 * examples)
    spread = Z * math.sqrt(share * (1 - share) / examples + Z**2 / (4 * examples**2))
    scale = 1 + Z**2 / examples
    return (middle - spread) / scale, (middle + spread) / scale


def _of_tables(
    measure: Callable[[np.ndarray], np.ndarray],
    value: float,
    table: np.ndarray,
    left: float,
    generator: np.random.Generator,
) -> tuple[float, float]:
    """Interval from tables (C, C) of labels (rows) and answers like the one seen."""
    read = int(table.sum())
    shares = (table + PSEUDO_EXAMPLES / table.size) / (read + PSEUDO_EXAMPLES)
    drawn = generator.multinomial(read, shares.ravel(), TABLES).reshape(TABLES, *table.shape)
    low, high = np.quantile(measure(drawn), (0.025, 0.975)) - measure(shares[None])[0]
    return float(value + left * low), float(value + left * high)


def _mcc(tables: np.ndarray) -> np.ndarray:
    """Matthews correlation of tables (..., C, C); 0 where it is undefined. Gorodkin (2004)."""
    total = tables.sum((-2, -1))
    right = np.trace(tables, axis1=-2, axis2=-1)
    labels, answers = tables.sum(-1), tables.sum(-2)
    above = right * total - (labels * answers).sum(-1)
    below = np.sqrt((total**2 - (labels**2).sum(-1)) * (total**2 - (answers**2).sum(-1)))
    return np.divide(above, below, out=np.zeros_like(below), where=below > 0)


def _f1_of_classes(tables: np.ndarray) -> np.ndarray:
    """(..., C) F1 of each class; 0 where it occurs neither as label nor as answer."""
    right = np.diagonal(tables, axis1=-2, axis2=-1)
    both = (tables.sum(-1) + tables.sum(-2)).astype(float)
    return np.divide(2.0 * right, both, out=np.zeros_like(both), where=both > 0)


_OF_TABLES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mcc": _mcc,
    "f1": lambda tables: _f1_of_classes(tables)[..., 1],
    "f1_macro": lambda tables: _f1_of_classes(tables).mean(-1),
}


def _of_correlation(
    metric: str,
    value: float,
    labels: np.ndarray,
    predictions: np.ndarray,
    left: float,
    generator: np.random.Generator,
) -> tuple[float, float]:
    """Interval from random weights of the examples read: the Bayesian bootstrap, Rubin (1981)."""
    read = len(labels)
    if read < 4 or np.ptp(labels) == 0 or not np.isfinite(predictions).all():
        return -1.0, 1.0
    pairs = np.stack([labels, predictions]).astype(float)
    if metric == "spearman":
        pairs = stats.rankdata(pairs, axis=-1)
    # Ranks are those among the examples read; ranking for each weighting anew would change little and
    # cost much.
    weights = generator.standard_exponential((WEIGHTINGS, read))
    weights /= weights.sum(1, keepdims=True)
    first, second = pairs - pairs.mean(-1, keepdims=True)
    means = weights @ np.stack([first, second, first**2, second**2, first * second], axis=1)
    covariance = means[:, 4] - means[:, 0] * means[:, 1]
    spread = (means[:, 2] - means[:, 0] ** 2) * (means[:, 3] - means[:, 1] ** 2)
    samples = np.divide(
        covariance, np.sqrt(np.maximum(spread, 0)), out=np.zeros(WEIGHTINGS), where=spread > 0
    )
    centre = float(_fisher(np.asarray(value)))
    low, high = np.quantile(_fisher(samples), (0.025, 0.975)) - centre
    return math.tanh(centre + left * low), math.tanh(centre + left * high)


def _fisher(correlations: np.ndarray) -> np.ndarray:
    return np.asarray(np.arctanh(np.clip(correlations, -1 + 1e-9, 1 - 1e-9)))
