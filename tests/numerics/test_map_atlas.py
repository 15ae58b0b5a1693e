"""The atlas holds the maps of every sub-network, and a browser can find them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from atlas_bytes import unpack
from conftest import make_hf
from transformers import AutoTokenizer

from dynabert import DynaBertForSequenceClassification, Subnet
from dynabert.analysis.attention_maps import attention_maps
from dynabert.analysis.map_atlas import MapAtlas, build_atlas, to_bytes
from dynabert.importance import Importance
from dynabert.rewiring import rewire_

WIDTHS, DEPTHS = (1 / 6, 0.5, 1.0), (0.25, 0.5, 0.75, 1.0)
TEXT = ("the cat sat on a mat.",)


@pytest.fixture(scope="module")
def tokenizer(tiny_tokenizer_folder):
    return AutoTokenizer.from_pretrained(tiny_tokenizer_folder)


@pytest.fixture(scope="module")
def rewired() -> DynaBertForSequenceClassification:
    torch.manual_seed(0)
    model = DynaBertForSequenceClassification.from_hf(make_hf(vocab_size=200, dtype=torch.float32))
    rewire_(model, Importance(torch.rand(4, 6), torch.rand(4, 60)))
    return model


def build(model, tokenizer, text=TEXT, **options) -> MapAtlas:
    few = ((0.5, 1.0), (0.5, 1.0))
    return build_atlas(model, tokenizer, text, widths=WIDTHS, depths=DEPTHS, fewer=few, **options)


def test_every_sub_network_is_found_in_the_bytes(rewired, tokenizer):
    atlas = build(rewired, tokenizer)
    header, maps = unpack(atlas.pack({"more": 1}))
    assert header["more"] == 1
    assert header["tokens"] == ["[CLS]", "the", "cat", "sat", "on", "a", "mat", ".", "[SEP]"]
    assert [n for n, special in enumerate(header["special"]) if special] == [0, 8]
    assert (header["block"], header["cells"], header["size"]) == (1, 9, [4, 6])
    number = 0
    for depth in DEPTHS:
        for width in WIDTHS:
            alone = attention_maps(rewired, tokenizer, TEXT, Subnet(width, depth))
            found = np.full((4, 6, 9, 9), np.nan)
            for (layer, head), matrix in zip(header["places"][number], maps[number], strict=True):
                found[layer, head] = (matrix / 255.0) ** 2
            np.testing.assert_allclose(found, alone.maps, atol=2 / 255)
            np.testing.assert_allclose(atlas.logits[number], alone.logits, atol=1e-5)
            number += 1
    assert number == len(maps)


def test_bytes_keep_small_values_apart():
    values = np.array([0.0, 0.001, 0.002, 0.01, 0.5, 1.0])
    back = (to_bytes(values) / 255.0) ** 2
    assert len(set(back)) == 6
    np.testing.assert_allclose(back, values, rtol=0.08)


def test_long_texts_make_do_with_fewer_sub_networks_and_then_with_merged_tokens(rewired, tokenizer):
    # 1 + 3 + 6 heads times 1 + 2 + 3 + 4 layers are 100 maps of 9 x 9; the fewer are 54 - 27.
    assert build(rewired, tokenizer, most_bytes=8100).width_mults == WIDTHS
    fewer = build(rewired, tokenizer, most_bytes=8099)
    assert (fewer.width_mults, fewer.depth_mults) == ((0.5, 1.0), (0.5, 1.0))
    assert fewer.block == 1
    merged = build(rewired, tokenizer, most_bytes=2000)
    assert (merged.block, merged.maps[0].shape[-1]) == (2, 5)
    assert sum(maps.size for maps in merged.maps) <= 2000
    whole = dict(zip(map(tuple, fewer.places[0]), fewer.maps[0], strict=True))
    for place, small in zip(map(tuple, merged.places[0]), merged.maps[0], strict=True):
        assert small[0, 0] == whole[place][:2, :2].max()
        assert small[4, 4] == whole[place][8, 8]


def test_a_text_that_is_cut_says_so(rewired, tokenizer):
    atlas = build(rewired, tokenizer, ("cat " * 30,), max_tokens=12)
    assert (len(atlas.tokens), atlas.num_cut) == (12, 20)
