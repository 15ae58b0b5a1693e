"""Multi-head attention that can run with its leftmost heads only."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dynabert.modeling.configuration import DynaBertConfig
from dynabert.modeling.dropout import Dropout, dropout
from dynabert.modeling.elastic import ElasticLinear
from dynabert.modeling.tokens import take_rows

Choose = Callable[[Tensor], Tensor]
# So many attention probabilities are computed at once: on a CPU what its caches hold, on a GPU
# what its memory should be asked for.
_AT_HAND_CPU, _AT_HAND = 2**19, 2**28


class ElasticAttention(nn.Module):
    """Multi-head attention with output projection, residual and LayerNorm. DynaBERT, eq. (1)."""

    head_ids: Tensor  # (H,) which head of the original network each head is

    def __init__(self, config: DynaBertConfig, layer: int) -> None:
        super().__init__()
        self.num_heads = config.shape.heads[layer]
        self.head_dim = config.shape.head_dim
        width = self.num_heads * self.head_dim
        self.query = ElasticLinear(config.hidden_size, width)
        self.key = ElasticLinear(config.hidden_size, width)
        self.value = ElasticLinear(config.hidden_size, width)
        self.output = ElasticLinear(width, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout_prob)
        self.attention_dropout = config.attention_probs_dropout_prob
        self.register_buffer("head_ids", torch.arange(self.num_heads, dtype=torch.int32))

    def forward(
        self,
        hidden: Tensor,
        attention_mask: Tensor | None,
        num_heads: int,
        *,
        head_mask: Tensor | None = None,
        need_probs: bool = False,
        num_queries: int | None = None,
        choose: Choose | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """The layer's attention output (B, S, D); on request also its probabilities (B, h, S, S).

        hidden: (B, S, D).
        attention_mask: boolean (B, 1, 1, S), True where a key may be seen, or None.
        num_heads: the leftmost heads to use.
        head_mask: factor for each head's output, (h,) or (B, h).
        num_queries: only the output of the first so many tokens is wanted; S becomes that in what
        is returned, except for the keys of the probabilities.
        choose: from the attention that each token receives (B, S) the rows (B, K), rising, whose
        output is wanted; S becomes K in it. What only the others would need is not computed.
        """
        if choose is not None:
            context, probs, rows = self._context_of_chosen(
                hidden, attention_mask, num_heads, choose, need_probs=need_probs
            )
            return self.combine(take_rows(hidden, rows), context, head_mask=head_mask), probs
        context, probs = self.head_outputs(
            hidden, attention_mask, num_heads, need_probs=need_probs, num_queries=num_queries
        )
        return self.combine(_first(hidden, num_queries), context, head_mask=head_mask), probs

    def head_outputs(
        self,
        hidden: Tensor,
        attention_mask: Tensor | None,
        num_heads: int,
        *,
        need_probs: bool = False,
        num_queries: int | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """What each head makes of the layer's input, (B, h, S, d); arguments as of `forward`."""
        query, key = self.query_key(hidden, num_heads, num_queries=num_queries)
        value = self._split(self.value(hidden, num_heads * self.head_dim), num_heads)
        rate = self.attention_dropout if self.training else 0.0
        # On a CPU, scaled_dot_product_attention with dropout does the same, only slower.
        if need_probs or (rate and hidden.device.type == "cpu"):
            probs = attention_probs(query, key, attention_mask)
            return dropout(probs, rate) @ value, probs if need_probs else None
        context = F.scaled_dot_product_attention(
            query, key, value, attn_mask=attention_mask, dropout_p=rate
        )
        return context, None

    def _context_of_chosen(
        self,
        hidden: Tensor,
        attention_mask: Tensor | None,
        num_heads: int,
        choose: Choose,
        *,
        need_probs: bool,
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """What each head makes of the input for chosen rows (B, h, K, d), on request all probabilities
        (B, h, S, S), and the rows (B, K)."""
        query, key = self.query_key(hidden, num_heads)
        rate = self.attention_dropout if self.training else 0.0
        probs = None
        # Short ones are as well kept: they save the second look at the queries.
        few = torch.compiler.is_exporting() or (
            query.shape[:2].numel() * query.shape[2] ** 2 <= _at_hand(query.device)
        )
        if need_probs or few or (rate and hidden.device.type == "cpu"):
            probs = attention_probs(query, key, attention_mask)
            rows = choose(received_of(probs.detach(), attention_mask))
        else:
            with torch.no_grad():
                rows = choose(attention_received(query, key, attention_mask))
        value = self._split(self.value(hidden, num_heads * self.head_dim), num_heads)
        if probs is None:
            context = F.scaled_dot_product_attention(
                _of_heads(query, rows), key, value, attn_mask=attention_mask, dropout_p=rate
            )
        else:
            context = dropout(_of_heads(probs, rows), rate) @ value
        return context, probs if need_probs else None, rows

    def combine(
        self, hidden: Tensor, context: Tensor, *, head_mask: Tensor | None = None
    ) -> Tensor:
        """The attention output (B, S, D) of heads' outputs (B, h, S, d) for the input (B, S, D)."""
        width = context.shape[1] * self.head_dim
        if head_mask is not None:
            context = context * head_mask.to(context.dtype).unsqueeze(-1).unsqueeze(-1)
        context = context.transpose(1, 2).flatten(2)  # (B, S, h * d)
        out = self.output(context, num_inputs=width)
        return self.norm(hidden + self.dropout(out))

    def query_key(
        self, hidden: Tensor, num_heads: int, *, num_queries: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Queries and keys of the leftmost heads, (B, h, S, d) each, of a layer's input (B, S, D).

        num_queries: of how many tokens, from the first, the queries; all of them if left out.
        """
        width = num_heads * self.head_dim
        query = self._split(self.query(_first(hidden, num_queries), width), num_heads)
        return query, self._split(self.key(hidden, width), num_heads)

    def _split(self, x: Tensor, num_heads: int) -> Tensor:
        return x.view(*x.shape[:2], num_heads, self.head_dim).transpose(1, 2)


def _first(hidden: Tensor, num_tokens: int | None) -> Tensor:
    # A slice of all would cost a copy in every backward pass.
    return hidden if num_tokens is None else hidden[:, :num_tokens]


def attention_scores(query: Tensor, key: Tensor) -> Tensor:
    """q k^T / sqrt(d) of vectors (..., S, d), as (..., S, S)."""
    return query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5


def attention_probs(query: Tensor, key: Tensor, attention_mask: Tensor | None) -> Tensor:
    """softmax(q k^T / sqrt(d)), (B, h, S, S); the scale is that of one head, as in BERT's code.

    The paper prints 1/sqrt(d) for the hidden size d; both its code and BERT divide by sqrt(d_h).
    """
    scores = attention_scores(query, key)
    if attention_mask is not None:
        scores = scores.masked_fill(~attention_mask, torch.finfo(scores.dtype).min)
    probs = scores.softmax(-1)
    if attention_mask is None:
        return probs
    seeing = attention_mask.any(-1, keepdim=True)
    if torch.compiler.is_exporting() or not seeing.all():
        probs = probs * seeing  # a text without any token: nothing is seen, as in torch's own
    return probs


def received_of(probs: Tensor, attention_mask: Tensor | None) -> Tensor:
    """The attention that each token receives, (B, S), of probabilities (B, h, S, S): the sum over heads
    and over the tokens that attend, where padding is none of them."""
    over_heads = probs.sum(1, dtype=_exact(probs))  # (B, S, S)
    if attention_mask is not None:
        over_heads = over_heads * attention_mask[:, 0, 0].unsqueeze(-1)
    return over_heads.sum(1)


def attention_received(query: Tensor, key: Tensor, attention_mask: Tensor | None) -> Tensor:
    """`received_of` from queries and keys (B, h, S, d), a few heads at a time: the probabilities of a
    long batch are more than the processor's caches hold, and nobody else needs them."""
    batch, heads, length, head_dim = query.shape
    exact, at_once = _exact(query), max(1, _at_hand(query.device) // length**2)
    voters = query.new_ones(batch, 1, 1, length, dtype=exact)
    if attention_mask is not None:
        voters = attention_mask.to(exact).expand(batch, 1, 1, length)
    query, key = query.flatten(0, 1), key.flatten(0, 1)
    voters = voters.expand(-1, heads, -1, -1).flatten(0, 1)  # (B * h, 1, S)
    unseen = ((1 - voters) * torch.finfo(query.dtype).min).to(query.dtype)
    received = []
    # Sums of many small shares: half precision would blur which is larger.
    with torch.autocast(query.device.type, enabled=False):
        for first in range(0, batch * heads, at_once):
            part = slice(first, first + at_once)
            scores = torch.baddbmm(unseen[part], query[part], key[part].mT, alpha=head_dim**-0.5)
            received.append(torch.bmm(voters[part], scores.softmax(-1, dtype=exact)))
    return torch.cat(received).view(batch, heads, length).sum(1)


def _exact(x: Tensor) -> torch.dtype:
    """The tensor's precision, or float32 if that is higher."""
    return torch.promote_types(x.dtype, torch.float32)


def _at_hand(device: torch.device) -> int:
    return _AT_HAND_CPU if device.type == "cpu" else _AT_HAND


def _of_heads(x: Tensor, rows: Tensor) -> Tensor:
    """Rows (B, K) of (B, h, S, n), as (B, h, K, n)."""
    return x.gather(2, rows[:, None, :, None].expand(-1, x.shape[1], -1, x.shape[-1]))
