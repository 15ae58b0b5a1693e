"""What the authors' code computes, written down again from its description in a few lines.

A plain function over Hugging Face weights: rewired as `reorder_heads` and `reorder_neurons` do, narrowed as
`DynaLinear` does, with the layers that `BertEncoder.forward` runs.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import BertForSequenceClassification


def rewired_state(
    model: BertForSequenceClassification, head_scores: Tensor, neuron_scores: Tensor
) -> dict[str, Tensor]:
    """The weights with heads and neurons of each layer in descending order of score."""
    state = {name: value.clone() for name, value in model.state_dict().items()}
    size = model.config.hidden_size // model.config.num_attention_heads
    for number in range(model.config.num_hidden_layers):
        layer = f"bert.encoder.layer.{number}"
        heads = torch.argsort(head_scores[number], descending=True)
        rows = torch.cat([torch.arange(h * size, (h + 1) * size) for h in heads.tolist()])
        for name in ("query", "key", "value"):
            for part in ("weight", "bias"):
                key = f"{layer}.attention.self.{name}.{part}"
                state[key] = state[key][rows]
        state[f"{layer}.attention.output.dense.weight"] = state[
            f"{layer}.attention.output.dense.weight"
        ][:, rows]
        neurons = torch.argsort(neuron_scores[number], descending=True)
        for part in ("weight", "bias"):
            key = f"{layer}.intermediate.dense.{part}"
            state[key] = state[key][neurons]
        state[f"{layer}.output.dense.weight"] = state[f"{layer}.output.dense.weight"][:, neurons]
    return state


def official_logits(
    state: dict[str, Tensor],
    config: object,
    batch: dict[str, Tensor],
    width_mult: float,
    depth_mult: float,
) -> Tensor:
    """Logits (B, C) of one sub-network."""
    size = config.hidden_size // config.num_attention_heads
    heads = round(config.num_attention_heads * width_mult)
    neurons = int(heads / config.num_attention_heads * config.intermediate_size)
    width, epsilon = heads * size, config.layer_norm_eps
    mask = (1.0 - batch["attention_mask"][:, None, None, :].double()) * -10000.0

    def linear(
        x: Tensor, name: str, outputs: int | None = None, inputs: int | None = None
    ) -> Tensor:
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        return F.linear(x, weight[:outputs, :inputs], bias[:outputs])

    def norm(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(
            x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"], epsilon
        )

    embeddings = "bert.embeddings"
    positions = torch.arange(batch["input_ids"].shape[1])
    hidden = (
        state[f"{embeddings}.word_embeddings.weight"][batch["input_ids"]]
        + state[f"{embeddings}.position_embeddings.weight"][positions]
        + state[f"{embeddings}.token_type_embeddings.weight"][batch["token_type_ids"]]
    )
    hidden = norm(hidden, f"{embeddings}.LayerNorm")
    for step in range(round(depth_mult * config.num_hidden_layers)):
        layer = f"bert.encoder.layer.{math.floor(step / depth_mult)}"
        query, key, value = (
            linear(hidden, f"{layer}.attention.self.{name}", width)
            .unflatten(-1, (heads, size))
            .transpose(1, 2)
            for name in ("query", "key", "value")
        )
        probs = (query @ key.transpose(-1, -2) / math.sqrt(size) + mask).softmax(-1)
        context = (probs @ value).transpose(1, 2).flatten(2)
        attended = linear(context, f"{layer}.attention.output.dense", None, width)
        hidden = norm(attended + hidden, f"{layer}.attention.output.LayerNorm")
        inner = F.gelu(linear(hidden, f"{layer}.intermediate.dense", neurons))
        hidden = norm(
            linear(inner, f"{layer}.output.dense", None, neurons) + hidden,
            f"{layer}.output.LayerNorm",
        )
    pooled = torch.tanh(linear(hidden[:, 0], "bert.pooler.dense"))
    return linear(pooled, "classifier")
