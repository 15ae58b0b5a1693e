"""The faster of the two float32 matrix kernels that PyTorch carries, for evaluating without gradients.

PyTorch multiplies float32 matrices on a CPU with MKL, which on processors that Intel has not made leaves
half of their speed unused (measured on an AMD EPYC); oneDNN does not. Both compute in float32: answers
differ by rounding alone. The processor's maker decides, not a stopwatch, so that the same machine gives
the same numbers every time. Latencies are measured without this, as what a user of the model sees.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode


def onednn_linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """(..., inputs) -> (..., outputs), as `torch.nn.functional.linear`, in oneDNN; no gradients."""
    # Of a weight that is a slice by columns it would take a path a thousand times as slow.
    product: Tensor = torch.ops.mkldnn._linear_pointwise(
        x, weight.contiguous(), bias, "none", [], ""
    )
    return product


class _OneDnnLinear(TorchFunctionMode):
    """Of this thread: other users of the same model are not affected."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is F.linear and not kwargs and len(args) == 3 and args[2] is not None:
            return onednn_linear(*args)
        return func(*args, **(kwargs or {}))


@contextmanager
def fastest_linear(dtype: torch.dtype, device: torch.device) -> Iterator[None]:
    """Inside, linear layers use the faster kernel; gradients must be off.

    Where autocast computes in another precision, it chooses the kernel itself.
    """
    other_precision = dtype != torch.float32 or torch.is_autocast_enabled(device.type)
    if device.type != "cpu" or other_precision or not _onednn_is_faster():
        yield
        return
    with _OneDnnLinear():
        yield


@functools.lru_cache(maxsize=1)
def _onednn_is_faster() -> bool:
    if not (
        torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    ):
        return False
    cpu_info = Path("/proc/cpuinfo")
    if not cpu_info.is_file() or "AuthenticAMD" not in cpu_info.read_text():
        return False
    try:  # another version of PyTorch may take other arguments
        with torch.inference_mode():
            onednn_linear(torch.ones(2, 3), torch.ones(4, 3), torch.ones(4))
    except (RuntimeError, TypeError):
        return False
    return True
