"""Attention maps of a sub-network, each in the place its head had in the original network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import BatchEncoding, PreTrainedTokenizerBase

from dynabert.analysis.class_answer import ClassAnswer
from dynabert.errors import UserError
from dynabert.modeling.configuration import DynaBertConfig
from dynabert.modeling.heads import joined
from dynabert.modeling.models import TaskModel
from dynabert.subnet import FULL, ResolvedSubnet, Subnet


@dataclass(frozen=True, kw_only=True, eq=False)
class AttentionMaps(ClassAnswer):
    """What every head of a sub-network attends to in one text, and what the sub-network answers.

    maps: (L, H, S, S) probabilities, from (row) to (column); layers and heads are numbered as in the
    network the model was made from, whatever rewiring did since. NaN where a head or layer is gone.
    """

    tokens: tuple[str, ...]  # (S,) special tokens included
    maps: np.ndarray
    logits: np.ndarray  # (C,); of spans (2, S), start and end
    num_cut: int  # tokens left out because the text was too long

    @property
    def kept(self) -> np.ndarray:
        """(L, H) whether the sub-network has that head."""
        return ~np.isnan(self.maps[:, :, 0, 0])


@torch.inference_mode()
def attention_maps(
    model: TaskModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    subnet: Subnet = FULL,
    max_tokens: int | None = None,
) -> AttentionMaps:
    """Run a sub-network on one text, or on a pair, and keep its attention probabilities.

    max_tokens: longest input, special tokens included; a longer one is cut (of a pair, the longer
    text). Left out, the longest that the model reads.

    Raises:
        UserError: neither one nor two texts, or an empty one.
    """
    config = model.config
    encoded, num_cut = encode_texts(tokenizer, texts, config, max_tokens)
    tokens = token_texts(encoded, texts, tokenizer, spelled_by_bytes=config.backbone == "roberta")
    out = model(**as_inputs(encoded, model.device), subnet=subnet, output_attentions=True)

    (maps,) = in_original_places(model, subnet, out.attentions)
    return AttentionMaps(
        tokens=tokens,
        maps=maps,
        logits=joined(model.logits_of(out))[0].float().cpu().numpy(),
        num_cut=num_cut,
    )


def encode_texts(
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    config: DynaBertConfig,
    max_tokens: int | None = None,
) -> tuple[BatchEncoding, int]:
    """One text or a pair as the model reads it, and how many tokens were cut from it.

    max_tokens: longest input, special tokens included; left out, the longest that the model reads.

    Raises:
        UserError: neither one nor two texts, or an empty one.
    """
    if len(texts) not in (1, 2) or not all(text.strip() for text in texts):
        raise UserError(f"give one text or a pair, neither of them empty; got {list(texts)!r}.")
    limit = min(max_tokens or config.max_tokens, config.max_tokens)
    encoded = tokenizer(*texts, return_offsets_mapping=True, verbose=False)
    num_tokens = len(encoded["input_ids"])
    if num_tokens > limit:
        encoded = tokenizer(
            *texts, return_offsets_mapping=True, truncation="longest_first", max_length=limit
        )
    return encoded, num_tokens - len(encoded["input_ids"])


def as_inputs(encoded: BatchEncoding, device: torch.device) -> dict[str, Tensor]:
    """A batch of one for the model's forward."""
    return {
        name: torch.tensor([encoded[name]], device=device)
        for name in ("input_ids", "token_type_ids")
        if name in encoded
    }


def in_original_places(
    model: TaskModel, subnet: Subnet, attentions: Sequence[Tensor]
) -> np.ndarray:
    """(B, L, H, S, S) probabilities, where those layers and heads were in the original network.

    attentions: (B, h, S, S) of each layer that the sub-network executes.  NaN where a head or layer
    is gone.
    """
    config = model.config
    batch, _, tokens, _ = attentions[0].shape
    maps = np.full((batch, *_original_size(config), tokens, tokens), np.nan, dtype=np.float32)
    layers, heads = original_places(model, subnet.resolve(config.shape)).T
    maps[:, layers, heads] = torch.cat(tuple(attentions), dim=1).float().cpu().numpy()
    return maps


def original_places(model: TaskModel, resolved: ResolvedSubnet) -> np.ndarray:
    """(K, 2) layer and head, in the original network, of each head that a sub-network executes."""
    layer_ids = model.config.layer_ids or []
    return np.array(
        [
            (layer_ids[layer], head)
            for layer, num_heads in zip(resolved.layers, resolved.heads, strict=True)
            for head in model.backbone.encoder.layers[layer].attention.head_ids[:num_heads].tolist()
        ]
    )


def kept_heads(model: TaskModel, subnet: Subnet) -> np.ndarray:
    """(L, H) whether a sub-network has that head; numbered as in `AttentionMaps.maps`."""
    kept = np.zeros(_original_size(model.config), dtype=np.bool_)
    layers, heads = original_places(model, subnet.resolve(model.config.shape)).T
    kept[layers, heads] = True
    return kept


def pooled(maps: np.ndarray, most: int) -> tuple[np.ndarray, int]:
    """The maps with blocks of neighbouring tokens merged until at most `most` remain, and the block's size.

    maps: (..., S, S) -> (..., s, s); each value is the largest of its block, so that a sharp line
    of attention stays visible.
    """
    tokens = maps.shape[-1]
    block = -(-tokens // most)
    if block == 1:
        return maps, 1
    starts = np.arange(0, tokens, block)
    return np.maximum.reduceat(np.maximum.reduceat(maps, starts, axis=-1), starts, axis=-2), block


def _original_size(config: DynaBertConfig) -> tuple[int, int]:
    # Neither is None after the configuration's __post_init__.
    return config.original_num_layers or 0, config.original_num_heads or 0


def token_texts(
    encoded: BatchEncoding,
    texts: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    *,
    spelled_by_bytes: bool,
) -> tuple[str, ...]:
    """The tokens of one text or pair as a person reads them."""
    tokens = list(tokenizer.convert_ids_to_tokens(encoded["input_ids"]))
    if spelled_by_bytes:  # RoBERTa writes a space as "Ġ" and other letters as their bytes
        places = zip(encoded.sequence_ids(), encoded["offset_mapping"], strict=True)
        for number, (text, (start, end)) in enumerate(places):
            if text is not None:
                tokens[number] = texts[text][start:end]
    return tuple(tokens)
