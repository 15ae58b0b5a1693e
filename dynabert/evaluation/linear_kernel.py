"""The faster of this processor's two float32 matrix kernels, for evaluating without gradients.

PyTorch multiplies float32 matrices on a CPU with MKL, which on processors of other makers than its
own leaves half of their speed unused; oneDNN, which PyTorch carries too, does not. Both compute in
float32: answers differ by rounding alone. Which is faster is measured once, when first needed.
Latencies are measured without this, as what a user of the model sees.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

# oneDNN must be so much faster to be preferred: a tie is decided by PyTorch.
WORTH_IT = 1.2

_measuring = threading.Lock()


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
    """Inside, linear layers use the faster kernel; gradients must be off."""
    if device.type != "cpu" or dtype != torch.float32 or not _onednn_is_faster():
        yield
        return
    with _OneDnnLinear():
        yield


def _onednn_is_faster() -> bool:
    with _measuring:  # two threads that measure at once would slow each other down
        return _measured()


@functools.lru_cache(maxsize=1)
def _measured() -> bool:
    if not (
        torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    ):
        return False
    x, weight, bias = torch.ones(512, 384), torch.ones(1536, 384), torch.ones(1536)
    try:
        with torch.inference_mode():
            ours, usual = (
                _seconds(kernel, x, weight, bias) for kernel in (onednn_linear, F.linear)
            )
    except (RuntimeError, TypeError):  # another version of PyTorch, or built without it
        return False
    return ours * WORTH_IT < usual


def _seconds(kernel: Callable[..., Tensor], *inputs: Tensor) -> float:
    """The shortest of a few runs, after one that is not counted."""
    times = []
    for _ in range(6):
        start = time.perf_counter()
        kernel(*inputs)
        times.append(time.perf_counter() - start)
    return min(times[1:])
