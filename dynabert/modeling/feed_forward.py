"""The position-wise feed-forward network that can run with its leftmost neurons only."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN

from dynabert.modeling.configuration import DynaBertConfig
from dynabert.modeling.dropout import Dropout
from dynabert.modeling.elastic import ElasticLinear


class ElasticFeedForward(nn.Module):
    """Two linear layers with an activation between, residual and LayerNorm. DynaBERT, eq. (2)."""

    neuron_ids: Tensor  # (F,) which neuron of the original network each neuron is

    def __init__(self, config: DynaBertConfig, layer: int) -> None:
        super().__init__()
        self.num_neurons = config.shape.neurons[layer]
        self.inner = ElasticLinear(config.hidden_size, self.num_neurons)
        self.activation = ACT2FN[config.hidden_act]
        self.output = ElasticLinear(self.num_neurons, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout_prob)
        self.register_buffer("neuron_ids", torch.arange(self.num_neurons, dtype=torch.int32))

    def forward(
        self, hidden: Tensor, num_neurons: int, *, neuron_mask: Tensor | None = None
    ) -> Tensor:
        """(B, S, D) -> (B, S, D), through the leftmost `num_neurons` neurons.

        neuron_mask: factor for each neuron's output, (f,) or (B, f).
        """
        inner = self.activation(self.inner(hidden, num_neurons))  # (B, S, f)
        if neuron_mask is not None:
            inner = inner * neuron_mask.to(inner.dtype).unsqueeze(-2)
        out = self.output(inner, num_inputs=num_neurons)
        return self.norm(hidden + self.dropout(out))
