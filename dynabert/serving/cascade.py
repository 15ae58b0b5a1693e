"""A fast sub-network answers first, and a better one only where it is unsure."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from dynabert.data.encoding import EncodedSplit
from dynabert.errors import UserError
from dynabert.evaluation.labels import LabelTally
from dynabert.evaluation.quality import read_all
from dynabert.modeling.models import DynaBertForSequenceClassification
from dynabert.subnet import FULL, Subnet

_ROUNDING = 1e-6  # of margins: in another batch float32 gives the last digits differently
_FLOAT_SLACK = 1e-9  # (1 - 0.9) * 10 is not quite 1


@dataclass(frozen=True, kw_only=True)
class Cascade:
    """Which sub-network answers first, and how sure it must be for that to be the answer.

    An example goes on to a better sub-network if its margin, the distance between the probabilities of
    the two most likely classes, is below the threshold.
    """

    first: Subnet
    threshold: float  # 0: nothing goes on; above 1: everything
    # On the examples that it was calibrated on, if all that goes on is answered by the full network:
    agreement: float = float("nan")  # share answered as the full network does
    escalated: float = float("nan")  # share that goes on
    num_examples: int = 0


def margins(logits: np.ndarray) -> np.ndarray:
    """(B,) distance between the probabilities of the two most likely classes; logits: (B, C)."""
    highest = np.sort(softmax(logits.astype(np.float64), axis=-1), axis=-1)
    return np.asarray(highest[:, -1] - highest[:, -2])


def agreement_threshold(first: np.ndarray, full: np.ndarray, agreement: float) -> float:
    """The lowest threshold at which at least such a share of examples is answered as `full` does.

    first, full: (N, C) logits of both.  0 where the first one agrees so often by itself.

    Raises:
        UserError: a share outside (0, 1].
    """
    if not 0 < agreement <= 1:
        raise UserError(f"agreement must be in (0, 1], for example 0.99, got {agreement}.")
    differs = first.argmax(-1) != full.argmax(-1)
    allowed = math.floor((1 - agreement) * len(first) + _FLOAT_SLACK)
    wrong = np.sort(margins(first)[differs])[::-1]
    if len(wrong) <= allowed:
        return 0.0
    # That one must go on, and with it all of a lower margin.
    return float(wrong[allowed] + _ROUNDING)


def calibrate_cascade(
    model: DynaBertForSequenceClassification,
    split: EncodedSplit,
    first: Subnet,
    *,
    agreement: float = 0.99,
    on_batch: Callable[[int], None] | None = None,
) -> Cascade:
    """A cascade that begins with `first` and on `split` answers as the full network does so often.

    split: examples to calibrate on; labels do not count. Take them from the training split, not from
    dev, on which the cascade is judged. A network knows its training examples better than new ones, so
    on those it agrees a little less often.
    on_batch: called with the number of examples done.

    Raises:
        UserError: a share outside (0, 1], or no classifier, or no examples.
    """
    check_classifies(model)
    if not len(split):
        raise UserError("a cascade needs examples to calibrate on, got none.")
    tally = read_all(model, split, [first, FULL], on_batch=on_batch)
    assert isinstance(tally, LabelTally)
    return cascade_of(first, *tally.logits, agreement=agreement)


def cascade_of(first: Subnet, small: np.ndarray, full: np.ndarray, *, agreement: float) -> Cascade:
    """The same of logits (N, C) that `first` and the full network have given.

    Raises:
        UserError: a share outside (0, 1].
    """
    threshold = agreement_threshold(small, full, agreement)
    goes_on = margins(small) < threshold
    agrees = goes_on | (small.argmax(-1) == full.argmax(-1))
    return Cascade(
        first=first,
        threshold=threshold,
        agreement=float(agrees.mean()),
        escalated=float(goes_on.mean()),
        num_examples=len(small),
    )


def check_classifies(model: DynaBertForSequenceClassification) -> None:
    """Raise a UserError unless a model has classes to be unsure between."""
    if not isinstance(model, DynaBertForSequenceClassification) or (model.num_labels or 1) < 2:
        raise UserError("a cascade needs a classifier: only classes have a margin to judge by.")
