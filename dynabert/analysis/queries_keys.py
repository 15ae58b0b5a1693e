"""What attention is computed from: the queries and keys of every head of a sub-network, for one text.

A head's attention is softmax(q k^T / sqrt(d)) over the tokens it may see; with q and k at hand one
can follow, dimension by dimension, why a token looks where it looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from dynabert.analysis.attention_maps import as_inputs, encode_texts, token_texts
from dynabert.modeling.pretrained import DynaBertPreTrainedModel
from dynabert.subnet import FULL, Subnet, check_keeps_all_tokens


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerQueryKey:
    """One executed layer. Layer and heads are numbered from 0, as in the original network."""

    layer: int
    heads: tuple[int, ...]  # (h,) rising, whatever order rewiring has put them in
    queries: np.ndarray  # (h, S, d)
    keys: np.ndarray  # (h, S, d)
    probs: np.ndarray  # (h, S, S) the model's own attention, from (row) to (column)


@dataclass(frozen=True, kw_only=True, eq=False)
class QueryKey:
    """Queries, keys and attention of every head that a sub-network executes."""

    tokens: tuple[str, ...]  # (S,) special tokens included
    second_start: int | None  # the first token of a pair's second text
    layers: tuple[LayerQueryKey, ...]  # in order of execution
    num_heads: int  # of the original network, in its widest layer
    num_cut: int  # tokens left out because the text was too long


@torch.inference_mode()
def query_key(
    model: DynaBertPreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    subnet: Subnet = FULL,
    max_tokens: int | None = None,
) -> QueryKey:
    """Run a sub-network on one text, or on a pair, and keep queries, keys and attention.

    max_tokens: as in `dynabert.analysis.attention_maps.attention_maps`.

    Raises:
        UserError: neither one nor two texts, or an empty one; or a sub-network that drops tokens.
    """
    config = model.config
    check_keeps_all_tokens(subnet.resolve(config.shape), "Queries and keys")
    encoded, num_cut = encode_texts(tokenizer, texts, config, max_tokens)
    resolved = subnet.resolve(config.shape)
    # The inputs of the layers are enough: hooks would be seen by everybody who uses the model.
    out = model.backbone(
        **as_inputs(encoded, model.device),
        subnet=subnet,
        output_attentions=True,
        output_hidden_states=True,
        return_dict=True,
    )
    executed = zip(
        *(resolved.layers, resolved.heads, out.hidden_states[:-1], out.attentions), strict=True
    )
    return QueryKey(
        tokens=token_texts(
            encoded, texts, tokenizer, spelled_by_bytes=config.backbone == "roberta"
        ),
        second_start=_second_start(encoded.sequence_ids()),
        layers=tuple(_of_layer(model, *layer) for layer in executed),
        num_heads=config.original_num_heads or 0,  # never None after __post_init__
        num_cut=num_cut,
    )


def _of_layer(
    model: DynaBertPreTrainedModel, index: int, num_heads: int, hidden: Tensor, probs: Tensor
) -> LayerQueryKey:
    """index: the layer in this model.  hidden: its input (1, S, D).  probs: (1, h, S, S)."""
    attention = model.backbone.encoder.layers[index].attention
    queries, keys = attention.query_key(hidden, num_heads)
    head_ids = attention.head_ids[:num_heads].tolist()
    order = np.argsort(head_ids)
    return LayerQueryKey(
        layer=(model.config.layer_ids or [])[index],
        heads=tuple(sorted(head_ids)),
        queries=_as_array(queries)[order],
        keys=_as_array(keys)[order],
        probs=_as_array(probs)[order],
    )


def _as_array(values: Tensor) -> np.ndarray:
    """The only text of a batch, (h, ...), in the model's precision; NumPy has no bfloat16."""
    wide = torch.promote_types(values.dtype, torch.float32)
    return values[0].to(wide).cpu().numpy()


def _second_start(sequence_ids: Sequence[int | None]) -> int | None:
    # RoBERTa has no segments: what a token belongs to, the tokenizer says.
    return next((place for place, text in enumerate(sequence_ids) if text == 1), None)
