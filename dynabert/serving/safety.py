"""How much longer than predicted to be prepared for, learned from what passes took."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

import numpy as np

from dynabert.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Adaptation:
    """How a `SafetyFactor` learns.

    It follows a slower machine as soon as a share of 1 - quantile of the window is slow (after 4 passes
    of 32), and a faster one only when fewer are left that were slow (after 29): what comes too late
    costs more than what could have been better.
    """

    window: int = 32  # passes that are remembered
    quantile: float = 0.9  # of measured / predicted

    def __post_init__(self) -> None:
        if self.window < 1:
            raise UserError(f"window must be at least 1 pass, got {self.window}.")
        if not 0 <= self.quantile <= 1:
            raise UserError(f"quantile must be from 0 to 1, for example 0.9, got {self.quantile}.")


class SafetyFactor:
    """A high quantile of measured / predicted over the latest passes; may be used by several threads.

    At first the window is full of ones: the prediction is believed until passes say otherwise.
    adaptation: None never learns, and `value` stays 1.
    """

    def __init__(self, adaptation: Adaptation | None) -> None:
        self._adaptation = adaptation
        self._ratios = deque([1.0] * adaptation.window if adaptation else (), maxlen=None)
        self._lock = threading.Lock()
        self.value = 1.0

    def add(self, ratio: float) -> None:
        """Remember what a pass took, divided by what was predicted."""
        if self._adaptation is None:
            return
        with self._lock:
            self._ratios.append(ratio)
            self._ratios.popleft()
            self.value = float(
                np.quantile(self._ratios, self._adaptation.quantile, method="higher")
            )
