"""The elastic encoder: a stack of Transformer layers of which a sub-network runs some, narrowed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn

from dynabert.modeling.attention import ElasticAttention
from dynabert.modeling.configuration import DynaBertConfig
from dynabert.modeling.feed_forward import ElasticFeedForward
from dynabert.subnet import ResolvedSubnet


class EncoderOutput(NamedTuple):
    """What the executed layers produced."""

    last_hidden_state: Tensor  # (B, S, D)
    hidden_states: (
        tuple[Tensor, ...] | None
    )  # embedding output and each executed layer's, (B, S, D)
    attentions: tuple[Tensor, ...] | None  # each executed layer's probabilities, (B, h, S, S)


class ElasticLayer(nn.Module):
    """One Transformer layer, post-norm as in BERT and RoBERTa."""

    def __init__(self, config: DynaBertConfig, layer: int) -> None:
        super().__init__()
        self.attention = ElasticAttention(config, layer)
        self.feed_forward = ElasticFeedForward(config, layer)


class ElasticEncoder(nn.Module):
    """Transformer layers; a `ResolvedSubnet` says which run and how wide."""

    layers: Sequence[ElasticLayer]

    def __init__(self, config: DynaBertConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(  # type: ignore[assignment]  # it is a sequence of them
            ElasticLayer(config, layer) for layer in range(config.num_hidden_layers)
        )

    def forward(
        self,
        hidden: Tensor,
        attention_mask: Tensor | None,
        resolved: ResolvedSubnet,
        *,
        head_mask: Tensor | None = None,
        output_attentions: bool = False,
        output_hidden_states: bool = False,
    ) -> EncoderOutput:
        """hidden: embedding output (B, S, D).  attention_mask: boolean (B, 1, 1, S) or None.

        head_mask: factors for head outputs, (L, H) or (L, B, H), rows and columns as the model's
        own layers and heads (those that the sub-network leaves out are not read).
        """
        states, attentions = [hidden], []
        executed = zip(resolved.layers, resolved.heads, resolved.neurons, strict=True)
        for index, num_heads, num_neurons in executed:
            layer = self.layers[index]
            hidden, probs = layer.attention(
                hidden,
                attention_mask,
                num_heads,
                head_mask=None if head_mask is None else head_mask[index][..., :num_heads],
                need_probs=output_attentions,
            )
            hidden = layer.feed_forward(hidden, num_neurons)
            states.append(hidden)
            attentions.append(probs)
        return EncoderOutput(
            last_hidden_state=hidden,
            hidden_states=tuple(states) if output_hidden_states else None,
            attentions=tuple(attentions) if output_attentions else None,
        )
