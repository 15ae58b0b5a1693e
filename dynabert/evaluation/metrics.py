"""The tasks' metrics, and the check for a network that answers every example alike."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import stats
from sklearn import metrics

# Predictions of a regression that vary less than this share of the labels' spread are "all alike".
COLLAPSED_SPREAD = 0.01


def _correlation(measure: Callable[..., tuple[float, float]]) -> Callable[..., float]:
    def correlation(labels: np.ndarray, predictions: np.ndarray) -> float:
        # Undefined where either side is constant; a constant answer has earned nothing.
        known = np.isfinite(predictions).all()
        if len(labels) < 2 or not known or np.ptp(predictions) == 0 or np.ptp(labels) == 0:
            return 0.0
        return float(measure(labels, predictions)[0])

    return correlation


METRICS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "accuracy": lambda labels, predictions: float(metrics.accuracy_score(labels, predictions)),
    "f1": lambda labels, predictions: float(metrics.f1_score(labels, predictions, zero_division=0)),
    "f1_macro": lambda labels, predictions: float(
        metrics.f1_score(labels, predictions, average="macro", zero_division=0)
    ),
    "mcc": lambda labels, predictions: float(metrics.matthews_corrcoef(labels, predictions)),
    "pearson": _correlation(stats.pearsonr),
    "spearman": _correlation(stats.spearmanr),
}


def predictions_from_logits(logits: np.ndarray) -> np.ndarray:
    """(N, C) -> class numbers (N,), or for one output the predicted values (N,)."""
    return logits[:, 0] if logits.shape[1] == 1 else logits.argmax(1)


def score(names: tuple[str, ...], labels: np.ndarray, predictions: np.ndarray) -> dict[str, float]:
    """The named metrics of predictions (N,) against labels (N,)."""
    return {name: METRICS[name](labels, predictions) for name in names}


def is_collapsed(labels: np.ndarray, predictions: np.ndarray) -> bool:
    """Whether (nearly) every example gets the same answer although the labels differ.

    Such a network has a score, often the share of the majority class, but has learned nothing; its
    score must never stand without this mark. Classes: one class for every example. Regression: a
    spread below `COLLAPSED_SPREAD` of the labels' own, or values that are not numbers.
    """
    if np.ptp(labels) == 0:
        return False
    if not np.isfinite(predictions).all():
        return True
    if np.issubdtype(labels.dtype, np.floating):
        return bool(np.std(predictions) < COLLAPSED_SPREAD * np.std(labels))
    return bool(np.ptp(predictions) == 0)
