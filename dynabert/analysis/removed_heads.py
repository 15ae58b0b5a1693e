"""Answers of the full network without each of its heads, with no more arithmetic than they need.

One forward pass for each head would compute most things again and again. Here

- what lies below a head's layer, and what the heads of that layer make of its input, is computed once
  for all of them;
- networks that lack different heads of a layer are rows of one batch;
- the last layer answers for the first token only, where the head reads nothing else.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dynabert.data.encoding import Batch
from dynabert.evaluation.linear_kernel import fastest_linear
from dynabert.modeling.models import TaskModel
from dynabert.modeling.pretrained import key_mask

# Of one batch, padding included. More do not make better use of a CPU (measured: 1,024 to 4,096 take
# the same time, 16,384 a sixth more) and need memory: 2,048 tokens are 12 MB of a feed-forward
# network with 1,536 neurons.
MOST_TOKENS = 2048


@torch.inference_mode()
def logits_without_each_head(
    model: TaskModel, batch: Batch, *, most_tokens: int = MOST_TOKENS
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """The task's sets of logits, (B, C) each, of the full network, and (P, B, C) each without every one
    of its P heads in turn.

    Heads are counted layer by layer, as this model has them. The model must be in eval mode.
    most_tokens: so many heads of a layer are removed at once as keep a batch within it, at least one.
    """
    batch = {name: value.to(model.device) for name, value in batch.items()}
    tokens = batch["attention_mask"]
    mask = key_mask(tokens)
    num_layers = model.config.num_hidden_layers
    without: list[tuple[Tensor, ...]] = []
    with fastest_linear(model.dtype, model.device):
        hidden = model.backbone.embeddings(batch["input_ids"], batch.get("token_type_ids"))
        num_texts, num_tokens = hidden.shape[:2]
        at_once = max(1, most_tokens // (num_texts * num_tokens))
        for number in range(num_layers):
            attention = model.backbone.encoder.layers[number].attention
            num_queries = _num_queries(model, number)
            context, _ = attention.head_outputs(
                hidden, mask, attention.num_heads, num_queries=num_queries
            )
            hidden = hidden[:, :num_queries]
            for removed in torch.eye(attention.num_heads, device=model.device).split(at_once):
                copies = len(removed)
                kept = (1 - removed).repeat_interleave(num_texts, 0)  # (copies * B, h)
                rows = attention.combine(
                    hidden.repeat(copies, 1, 1), context.repeat(copies, 1, 1, 1), head_mask=kept
                )
                rows = _feed_forward(model, number, rows)
                rows_mask = None if mask is None else mask.repeat(copies, 1, 1, 1)
                for above in range(number + 1, num_layers):
                    rows = _layer(model, above, rows, rows_mask)
                answers = model.read(rows, {"attention_mask": tokens.repeat(copies, 1)})
                without.append(tuple(one.unflatten(0, (copies, num_texts)) for one in answers))
            hidden = _feed_forward(model, number, attention.combine(hidden, context))
        answer = model.read(hidden, {"attention_mask": tokens})
        return answer, tuple(map(torch.cat, zip(*without, strict=True)))


def _layer(model: TaskModel, number: int, hidden: Tensor, mask: Tensor | None) -> Tensor:
    """A whole layer, (B, S, D) -> (B, S, D); of the last one what the head reads."""
    attention = model.backbone.encoder.layers[number].attention
    hidden, _ = attention(
        hidden, mask, attention.num_heads, num_queries=_num_queries(model, number)
    )
    return _feed_forward(model, number, hidden)


def _feed_forward(model: TaskModel, number: int, hidden: Tensor) -> Tensor:
    feed_forward = model.backbone.encoder.layers[number].feed_forward
    output: Tensor = feed_forward(hidden, feed_forward.num_neurons)
    return output


def _num_queries(model: TaskModel, number: int) -> int | None:
    """For how many tokens, from the first, a layer's output is read; None is all."""
    is_last = number == model.config.num_hidden_layers - 1
    return 1 if is_last and not model.reads_all_tokens else None
