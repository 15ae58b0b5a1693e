"""The elastic encoder: a stack of Transformer layers of which a sub-network runs some, narrowed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dynabert.modeling.attention import ElasticAttention
from dynabert.modeling.configuration import DynaBertConfig
from dynabert.modeling.feed_forward import ElasticFeedForward
from dynabert.modeling.tokens import Leaving, Tokens
from dynabert.modeling.traced_tokens import TracedTokens
from dynabert.subnet import ExecutedLayer, ResolvedSubnet


class EncoderOutput(NamedTuple):
    """What the executed layers produced. Dropped tokens are put back in their places."""

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
    """Transformer layers; a `ResolvedSubnet` says which run, how wide, and how many tokens leave them."""

    layers: Sequence[ElasticLayer]

    def __init__(self, config: DynaBertConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(  # type: ignore[assignment]  # it is a sequence of them
            ElasticLayer(config, layer) for layer in range(config.num_hidden_layers)
        )
        self.max_tokens = config.max_tokens
        self.keeps_first_token = config.keeps_first_token

    def forward(
        self,
        hidden: Tensor,
        attention_mask: Tensor | None,
        resolved: ResolvedSubnet,
        *,
        head_mask: Tensor | None = None,
        num_queries: int | None = None,
        output_attentions: bool = False,
        output_hidden_states: bool = False,
    ) -> EncoderOutput:
        """hidden: embedding output (B, S, D).  attention_mask: boolean (B, 1, 1, S) or None.

        head_mask: factors for head outputs, (L, H) or (L, B, H), rows and columns as the model's
        own layers and heads (those that the sub-network leaves out are not read).
        num_queries: only the last hidden state of the first so many tokens is wanted, (B, num_queries,
        D): the last layer computes no other, unless hidden states or attentions are asked for.
        attentions: of a token that was dropped before, and to it, 0.
        """
        length = hidden.shape[1]
        tokens = self._tokens(hidden, attention_mask)
        states, attentions = [hidden], []
        if num_queries is not None and num_queries < 1:
            raise ValueError(f"num_queries must be at least 1, got {num_queries}.")
        if output_attentions or output_hidden_states:
            num_queries = None
        for number, executed in enumerate(resolved.executed, start=1):
            mask = None if head_mask is None else head_mask[executed.layer]
            before = tokens
            tokens, probs = self.execute(
                tokens,
                executed,
                head_mask=None if mask is None else mask[..., : executed.num_heads],
                need_probs=output_attentions,
                num_queries=num_queries if number == len(resolved.executed) else None,
            )
            if probs is not None:
                attentions.append(_in_place(probs, before, length))
            if output_hidden_states:
                states.append(tokens.restored)
        return EncoderOutput(
            last_hidden_state=states[-1] if output_hidden_states else tokens.restored,
            hidden_states=tuple(states) if output_hidden_states else None,
            attentions=tuple(attentions) if output_attentions else None,
        )

    def _tokens(self, hidden: Tensor, attention_mask: Tensor | None) -> Tokens:
        if torch.compiler.is_exporting():
            return TracedTokens.of_any(hidden, attention_mask, self.max_tokens)
        return Tokens.of(hidden, attention_mask)

    def execute(
        self,
        tokens: Tokens,
        executed: ExecutedLayer,
        *,
        head_mask: Tensor | None = None,
        need_probs: bool = False,
        num_queries: int | None = None,
    ) -> tuple[Tokens, Tensor | None]:
        """One layer's output; on request also its probabilities, (B, h, R, R) of the rows that entered.

        num_queries: only the output of the first so many rows is wanted; no layer comes after it.
        """
        layer, found = self.layers[executed.layer], list[Leaving]()
        remaining = tokens.remaining(executed.length) if num_queries is None else None

        def choose(received: Tensor) -> Tensor:
            assert remaining is not None
            found.append(tokens.leaving(received, remaining, keep_first=self.keeps_first_token))
            return found[0].rows

        hidden, probs = layer.attention(
            tokens.hidden,
            tokens.key_mask,
            executed.num_heads,
            head_mask=head_mask,
            need_probs=need_probs,
            num_queries=num_queries,
            choose=None if remaining is None else choose,
        )
        hidden = layer.feed_forward(hidden, executed.num_neurons)
        if remaining is not None:
            return tokens.without(found[0], remaining, hidden), probs
        if num_queries is not None:  # of a few rows alone there are no places to put them back to
            return Tokens(hidden, None), probs
        return tokens.after(hidden), probs


def _in_place(probs: Tensor, entered: Tokens, length: int) -> Tensor:
    """Probabilities among the rows that entered a layer (B, h, R, R) as ones among all positions,
    (B, h, S, S); 0 from and to what had been dropped."""
    positions = entered.positions
    if positions is None:
        return probs
    if entered.real is not None:  # rows that only fill up the batch see tokens, too
        probs = probs * entered.real[:, None, :, None]
    batch, heads = probs.shape[:2]
    found = probs.new_zeros(batch, heads, length, length)
    index = torch.arange(batch, device=probs.device)[:, None, None]
    found.movedim(1, -1)[index, positions[:, :, None], positions[:, None, :]] = probs.movedim(1, -1)
    return found
