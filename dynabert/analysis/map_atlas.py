"""The attention maps of all sub-networks of a text, small enough to send to a browser at once.

Nothing is left to compute when a slider moves: whoever shows the atlas only picks. A probability is one
byte, the rounded square root times 255, because most are small and differences among them matter.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from dynabert.analysis.attention_maps import (
    as_inputs,
    encode_texts,
    original_places,
    pooled,
    token_texts,
)
from dynabert.analysis.together import Reading, read_together
from dynabert.modeling.models import DynaBertForSequenceClassification
from dynabert.subnet import Subnet

MOST_BYTES = 1_900_000


@dataclass(frozen=True, kw_only=True, eq=False)
class MapAtlas:
    """Maps of every width with every depth; layers and heads numbered as in the original network."""

    tokens: tuple[str, ...]  # (S,) special tokens included
    special: tuple[bool, ...]  # (S,) whether a token is one
    block: int  # neighbouring tokens that one cell of a map stands for; 1 unless the text is long
    num_cut: int  # tokens left out because the text was too long
    size: tuple[int, int]  # layers and heads of the original network
    width_mults: tuple[float, ...]  # rising
    depth_mults: tuple[float, ...]  # rising
    places: tuple[
        np.ndarray, ...
    ]  # per sub-network, depth by depth: (K, 2) layer and head of its maps
    maps: tuple[np.ndarray, ...]  # per sub-network: (K, s, s) bytes, as `to_bytes` makes them
    logits: np.ndarray  # (N, C)

    def pack(self, extra: Mapping[str, Any] | None = None) -> bytes:
        """One block of bytes: the length of a JSON header (4 bytes, little-endian), the header, the maps.

        The header has this object's fields; `starts` says where the maps of each sub-network begin,
        counted from the end of the header. extra: more fields for it.
        """
        starts = np.cumsum([0, *(maps.size for maps in self.maps[:-1])]).tolist()
        header = {
            "tokens": self.tokens,
            "special": self.special,
            "block": self.block,
            "cells": int(self.maps[0].shape[-1]),
            "size": self.size,
            "width_mults": self.width_mults,
            "depth_mults": self.depth_mults,
            "places": [places.tolist() for places in self.places],
            "starts": starts,
            **(extra or {}),
        }
        text = json.dumps(header).encode()
        return b"".join(
            [struct.pack("<I", len(text)), text, *(maps.tobytes() for maps in self.maps)]
        )


@torch.inference_mode()
def build_atlas(
    model: DynaBertForSequenceClassification,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    *,
    widths: Sequence[float],
    depths: Sequence[float],
    fewer: tuple[Sequence[float], Sequence[float]],
    max_tokens: int | None = None,
    most_bytes: int = MOST_BYTES,
) -> MapAtlas:
    """Read one text, or a pair, with every width and depth.

    fewer: the widths and depths to make do with where all would be more than most_bytes. Where even
    those would be more, neighbouring tokens are merged (the largest value of each block).

    Raises:
        UserError: neither one nor two texts, or an empty one.
    """
    config = model.config
    encoded, num_cut = encode_texts(tokenizer, texts, config, max_tokens)
    tokens = token_texts(encoded, texts, tokenizer, spelled_by_bytes=config.backbone == "roberta")
    grid = sorted(set(widths)), sorted(set(depths))
    if _num_maps(model, *grid) * len(tokens) ** 2 > most_bytes:
        grid = sorted(set(fewer[0])), sorted(set(fewer[1]))
    most_cells = int((most_bytes / _num_maps(model, *grid)) ** 0.5)
    subnets = [Subnet(width, depth) for depth in grid[1] for width in grid[0]]
    readings = read_together(model, as_inputs(encoded, model.device), subnets)
    maps = [_as_bytes(reading, most_cells) for reading in readings]
    return MapAtlas(
        tokens=tokens,
        special=tuple(text is None for text in encoded.sequence_ids()),
        block=pooled(np.empty((1, len(tokens), len(tokens))), most_cells)[1],
        num_cut=num_cut,
        size=(config.original_num_layers or 0, config.original_num_heads or 0),
        width_mults=tuple(grid[0]),
        depth_mults=tuple(grid[1]),
        places=tuple(original_places(model, reading.resolved) for reading in readings),
        maps=tuple(maps),
        logits=torch.stack([reading.logits for reading in readings]).float().cpu().numpy(),
    )


def to_bytes(probabilities: np.ndarray) -> np.ndarray:
    """round(255 sqrt(p)); the square of a byte over 255 is the probability again."""
    return np.rint(255 * np.sqrt(probabilities)).astype(np.uint8)


def _as_bytes(reading: Reading, most_cells: int) -> np.ndarray:
    """(K, s, s) of all heads of all executed layers."""
    maps = torch.cat(reading.attentions).float().cpu().numpy()
    return to_bytes(pooled(maps, most_cells)[0])


def _num_maps(
    model: DynaBertForSequenceClassification, widths: Sequence[float], depths: Sequence[float]
) -> int:
    return sum(
        sum(Subnet(width, depth).resolve(model.config.shape).heads)
        for width in widths
        for depth in depths
    )
