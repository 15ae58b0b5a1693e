"""The attention maps of all sub-networks of a text, small enough to send to a browser at once.

Little is left to compute when a slider moves: whoever shows the atlas picks, and adds up averages and
rollout (`dynabert.analysis.rollout`) from what was picked. A probability is one byte, the rounded square
root times 255, because most are small and differences among them matter.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from dynabert.analysis.attention_maps import (
    as_inputs,
    encode_texts,
    in_original_places,
    original_places,
    pooled,
    token_texts,
)
from dynabert.analysis.rollout import layer_averages, network_average, rollout
from dynabert.analysis.together import Reading, read_together
from dynabert.modeling.models import TaskModel
from dynabert.subnet import ResolvedSubnet, Subnet

MOST_BYTES = 1_900_000


@dataclass(frozen=True, kw_only=True, eq=False)
class MapAtlas:
    """Maps of every width with every depth; layers and heads numbered as in the original network.

    Sub-networks that are the same up to a layer share the maps of their heads in it.
    """

    tokens: tuple[str, ...]  # (S,) special tokens included
    special: tuple[bool, ...]  # (S,) whether a token is one
    block: int  # neighbouring tokens that one cell of a map stands for; 1 unless the text is long
    num_cut: int  # tokens left out because the text was too long
    size: tuple[int, int]  # layers and heads of the original network
    width_mults: tuple[float, ...]  # rising
    depth_mults: tuple[float, ...]  # rising
    # Per sub-network, depth by depth: (K, 2) layer and head of its maps, and (K,) where those are.
    places: tuple[np.ndarray, ...]
    numbers: tuple[np.ndarray, ...]
    maps: np.ndarray  # (M, s, s) bytes, as `to_bytes` makes them
    averages: tuple[Averages, ...] | None  # where `block` > 1: merged cells cannot be averaged
    logits: np.ndarray  # (N, C); of spans (N, 2, S), start and end

    def maps_of(self, number: int) -> np.ndarray:
        """(K, s, s) bytes of one sub-network."""
        return self.maps[self.numbers[number]]

    def first_head(self, width_mult: float, depth_mult: float) -> tuple[int, int]:
        """Layer and head, from 0, of the first head that one of the sub-networks has."""
        columns = len(self.width_mults)
        number = self.depth_mults.index(depth_mult) * columns + self.width_mults.index(width_mult)
        layer, head = min(map(tuple, self.places[number].tolist()))
        return layer, head

    def pack(self, extra: Mapping[str, Any] | None = None) -> bytes:
        """One block of bytes: the length of a JSON header (4 bytes, little-endian), the header, the maps.

        The header has this object's fields but the maps and logits.  extra: more fields for it.
        """
        header = {
            "tokens": self.tokens,
            "special": self.special,
            "block": self.block,
            "cells": int(self.maps.shape[-1]),
            "size": self.size,
            "width_mults": self.width_mults,
            "depth_mults": self.depth_mults,
            "places": [places.tolist() for places in self.places],
            "numbers": [numbers.tolist() for numbers in self.numbers],
            "averages": self.averages and [asdict(one) for one in self.averages],
            **(extra or {}),
        }
        text = json.dumps(header, separators=(",", ":")).encode()
        return b"".join([struct.pack("<I", len(text)), text, self.maps.tobytes()])


@dataclass(frozen=True)
class Averages:
    """Which of an atlas's maps are the averages of a sub-network, taken before tokens were merged."""

    layers: dict[int, int]  # by layer
    network: int
    rollout: int


@torch.inference_mode()
def build_atlas(
    model: TaskModel,
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
    area = len(tokens) ** 2
    grid = sorted(set(widths)), sorted(set(depths))
    if _num_maps(model, *grid) * area > most_bytes:
        grid = sorted(set(fewer[0])), sorted(set(fewer[1]))
    most_cells = len(tokens)
    if (num_maps := _num_maps(model, *grid)) * area > most_bytes:
        most_cells = int((most_bytes / (num_maps + _num_averages(model, *grid))) ** 0.5)
    subnets = [Subnet(width, depth) for depth in grid[1] for width in grid[0]]
    readings = read_together(model, as_inputs(encoded, model.device), subnets)
    drawer = _Drawer(most_cells)
    numbers = tuple(drawer.take(reading) for reading in readings)
    block = pooled(np.empty((1, len(tokens), len(tokens))), most_cells)[1]
    averages = None
    if block > 1:
        averages = tuple(drawer.take_averages(_placed(model, reading)) for reading in readings)
    return MapAtlas(
        tokens=tokens,
        special=tuple(text is None for text in encoded.sequence_ids()),
        block=block,
        num_cut=num_cut,
        size=(config.original_num_layers or 0, config.original_num_heads or 0),
        width_mults=tuple(grid[0]),
        depth_mults=tuple(grid[1]),
        places=tuple(original_places(model, reading.resolved) for reading in readings),
        numbers=numbers,
        maps=np.concatenate(drawer.maps),
        averages=averages,
        logits=torch.stack([reading.logits for reading in readings]).float().cpu().numpy(),
    )


def to_bytes(probabilities: np.ndarray) -> np.ndarray:
    """round(255 sqrt(p)); the square of a byte over 255 is the probability again."""
    return np.rint(255 * np.sqrt(probabilities)).astype(np.uint8)


# What a head's map in some layer depends on: the layers up to it, and how wide those before it are.
_Before = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]


def _layers(resolved: ResolvedSubnet) -> list[_Before]:
    return [
        (resolved.layers[: place + 1], resolved.heads[:place], resolved.neurons[:place])
        for place in range(len(resolved.layers))
    ]


class _Drawer:
    """The maps of an atlas as they are collected, each that sub-networks share only once."""

    def __init__(self, most_cells: int) -> None:
        self.most_cells = most_cells
        self.maps: list[np.ndarray] = []  # (n, s, s) bytes
        self.count = 0
        self.known: dict[_Before, np.ndarray] = {}  # numbers of maps

    def take(self, reading: Reading) -> np.ndarray:
        """(K,) where the maps of all heads of all executed layers are."""
        numbers = []
        for before, maps in zip(_layers(reading.resolved), reading.attentions, strict=True):
            known = self.known.get(before, np.empty(0, int))
            new = maps[len(known) :].float().cpu().numpy()
            self.known[before] = np.concatenate([known, self._add(new)])
            numbers.append(self.known[before][: len(maps)])
        return np.concatenate(numbers)

    def take_averages(self, maps: np.ndarray) -> Averages:
        """maps: (L, H, S, S) of a sub-network, NaN where a head is gone."""
        of_layers = layer_averages(maps)
        layers = np.flatnonzero(~np.isnan(of_layers[:, 0, 0]))
        numbers = self._add(
            np.concatenate([of_layers[layers], [network_average(maps), rollout(maps)]])
        ).tolist()
        return Averages(dict(zip(layers.tolist(), numbers, strict=False)), *numbers[-2:])

    def _add(self, maps: np.ndarray) -> np.ndarray:
        if len(maps):
            self.maps.append(to_bytes(pooled(maps, self.most_cells)[0]))
        self.count += len(maps)
        return np.arange(self.count - len(maps), self.count)


def _placed(model: TaskModel, reading: Reading) -> np.ndarray:
    """(L, H, S, S) in the original places."""
    rows = [maps[None] for maps in reading.attentions]
    return np.asarray(in_original_places(model, reading.subnet, rows)[0])


def _resolved(
    model: TaskModel, widths: Sequence[float], depths: Sequence[float]
) -> list[ResolvedSubnet]:
    return [
        Subnet(width, depth).resolve(model.config.shape) for width in widths for depth in depths
    ]


def _num_maps(model: TaskModel, widths: Sequence[float], depths: Sequence[float]) -> int:
    """How many different maps there are."""
    heads: dict[_Before, int] = {}
    for one in _resolved(model, widths, depths):
        for before, count in zip(_layers(one), one.heads, strict=True):
            heads[before] = max(count, heads.get(before, 0))
    return sum(heads.values())


def _num_averages(model: TaskModel, widths: Sequence[float], depths: Sequence[float]) -> int:
    return sum(len(one.layers) + 2 for one in _resolved(model, widths, depths))
