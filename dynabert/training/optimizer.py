"""AdamW and its learning rate, as all stages have them."""

from __future__ import annotations

import torch
from torch import nn


def schedule(step: int, total_steps: int, warmup: float) -> float:
    """Factor of the learning rate before step `step` (from 0): linear warm-up, then linear decay to 0."""
    warmup_steps = round(warmup * total_steps)
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    return (total_steps - step) / max(1, total_steps - warmup_steps)


def make_optimizer(model: nn.Module, weight_decay: float) -> torch.optim.AdamW:
    """AdamW of all that learns, whose learning rate the loop sets; biases and LayerNorms do not decay."""
    decaying: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for parameter in filter(lambda one: one.requires_grad, model.parameters()):
        (decaying if parameter.dim() > 1 else plain).append(parameter)
    groups = [
        {"params": decaying, "weight_decay": weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, fused=True)
