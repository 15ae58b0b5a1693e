"""What the approximation guarantee of OSE assumes, checked on what was found."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import kendalltau

from dynabert.search.ose.algorithm import Tried


@dataclass(frozen=True, kw_only=True)
class Assumptions:
    """How far the order of parameters is that of inference cost and of error (Kendall's tau).

    The algorithm may skip architectures because, where the AB^nC property holds, more parameters mean more
    inference cost and less error: tau is then 1 and -1. NaN where all values are equal.
    """

    params_inference: float
    params_error: float
    inference_error: float
    # Of errors after few steps with those after more, by what they are; empty where nothing was trained.
    short_long: Mapping[str, float]
    strongly_convex: bool  # the loss; never of a Transformer

    @property
    def is_ordered(self) -> bool:
        """Whether parameters, inference cost and error agree in every pair."""
        return self.params_inference == 1 and self.params_error == -1

    @property
    def guarantee_holds(self) -> bool:
        """Whether the approximation guarantee may be claimed: the strong AB^nC property.

        arXiv 2010.08512: in addition to the order a strongly convex loss; so never for BERT.
        """
        return self.strongly_convex and self.is_ordered

    @property
    def in_words(self) -> str:
        """One sentence on what may be claimed."""
        if self.guarantee_holds:
            return "The conditions of the approximation guarantee hold."
        missing = (
            [] if self.is_ordered else ["parameters, inference cost and error disagree in order"]
        )
        if not self.strongly_convex:
            missing.append("the loss of a Transformer is not strongly convex")
        return f"No approximation guarantee: {' and '.join(missing)}."


def check_assumptions(
    tried: Sequence[Tried],
    *,
    short_long: Mapping[str, tuple[Sequence[float], Sequence[float]]] | None = None,
    strongly_convex: bool = False,
) -> Assumptions:
    """The assumptions on what was tried.

    short_long: pairs of errors of the same architectures, after few steps and after more.
    """
    params = [one.member.num_params for one in tried]
    inference = [one.member.inference for one in tried]
    errors = [one.error for one in tried]
    return Assumptions(
        params_inference=rank_agreement(params, inference),
        params_error=rank_agreement(params, errors),
        inference_error=rank_agreement(inference, errors),
        short_long={name: rank_agreement(*pair) for name, pair in (short_long or {}).items()},
        strongly_convex=strongly_convex,
    )


def rank_agreement(one: Sequence[float], other: Sequence[float]) -> float:
    """Kendall's tau-b: 1 where both order all pairs alike, -1 where oppositely, NaN where one is constant."""
    if len(one) < 2:
        return float("nan")
    with np.errstate(invalid="ignore", divide="ignore"):
        tau = float(kendalltau(one, other).statistic)
    return (
        1.0 if np.isclose(tau, 1, atol=1e-12) else -1.0 if np.isclose(tau, -1, atol=1e-12) else tau
    )


def defined(value: float) -> float | None:
    """The value; None, which files can hold, where it is not a number."""
    return None if math.isnan(value) else value
