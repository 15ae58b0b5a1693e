"""A linear layer that can run with fewer inputs and outputs than it has weights for."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class ElasticLinear(nn.Linear):
    """nn.Linear whose leftmost inputs and outputs can be used alone.

    The slice is a view: less width is less arithmetic, nothing is copied and nothing is masked.
    DynaBERT, Sec. 2.1.
    """

    def forward(
        self, x: Tensor, num_outputs: int | None = None, num_inputs: int | None = None
    ) -> Tensor:
        """(..., num_inputs) -> (..., num_outputs); left out means all."""
        weight: Tensor = self.weight
        bias: Tensor = self.bias
        if num_inputs is not None and num_inputs < self.in_features:
            weight = weight[:, :num_inputs]
        if num_outputs is not None and num_outputs < self.out_features:
            weight, bias = weight[:num_outputs], bias[:num_outputs]
        return F.linear(x, weight, bias)
