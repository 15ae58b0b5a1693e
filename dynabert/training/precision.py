"""Which number format a machine trains fastest in."""

from __future__ import annotations

from typing import Literal, get_args

import torch

from dynabert.errors import UserError

Precision = Literal["auto", "bf16", "fp32"]


def resolve_precision(wanted: str, device: torch.device) -> Literal["bf16", "fp32"]:
    """ "auto" becomes bf16 where the hardware computes in it, else fp32.

    Master weights, gradients and the optimizer stay in float32 either way.

    Raises:
        UserError: an unknown precision.
    """
    if wanted not in get_args(Precision):
        raise UserError(
            f"precision must be one of {', '.join(get_args(Precision))}, got {wanted!r}."
        )
    if wanted == "bf16":
        return "bf16"
    if wanted == "auto" and _computes_in_bf16(device):
        return "bf16"
    return "fp32"


def _computes_in_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        # Without these instructions bf16 on a CPU is emulated, and slower than fp32.
        capabilities = torch.cpu.get_capabilities()
        return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))
    return False
