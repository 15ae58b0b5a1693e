"""Dropout that does not spend a sixth of a training step on random numbers.

On a CPU, `torch.nn.functional.dropout` draws one Bernoulli number after another. Here four random
16-bit numbers are cut from each 64-bit one; the drop rate is rounded to 1 / 65536 for that. On
other devices PyTorch's own kernels are fast and are used as they are.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_LEVELS = 2**16


def dropout(x: Tensor, rate: float) -> Tensor:
    """Elements of x, each zero with probability `rate`, the others divided by 1 - rate."""
    levels = round(rate * _LEVELS)
    if levels == 0:
        return x
    if x.device.type != "cpu" or levels == _LEVELS:
        return F.dropout(x, rate)
    count = x.numel()
    # `None` as the upper end means the whole range of the type.
    numbers = torch.empty((count + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    kept = numbers.view(torch.int16)[:count].view(x.shape) >= levels - _LEVELS // 2
    return x * kept.to(x.dtype).mul_(_LEVELS / (_LEVELS - levels))


class Dropout(nn.Module):
    """`dropout` while training, nothing otherwise."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        return dropout(x, self.rate) if self.training else x

    def extra_repr(self) -> str:
        return f"rate={self.rate}"
