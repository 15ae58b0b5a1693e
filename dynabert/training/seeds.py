"""Seeds of stages, steps and epochs from that of a training."""

from __future__ import annotations

import numpy as np


def seed_from(*numbers: int) -> int:
    """One seed made of several numbers, such that neighbouring ones share nothing."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))
