"""What logits over classes say."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax


class ClassAnswer:
    """Reads the `logits` of whoever has some."""

    logits: np.ndarray  # (C,); of a regression (1,), the value itself

    @property
    def probabilities(self) -> np.ndarray:
        """(C,) softmax of the logits, for a classification."""
        return np.asarray(softmax(self.logits))

    @property
    def choice(self) -> int:
        """Number of the answered class; 0 of a regression."""
        return int(self.logits.argmax())
