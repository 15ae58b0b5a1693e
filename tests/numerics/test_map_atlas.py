"""The atlas holds the maps of every sub-network, and a browser can find them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from atlas_bytes import unpack
from conftest import make_hf
from transformers import AutoTokenizer

from dynabert import DynaBertForSequenceClassification, Subnet
from dynabert.analysis.attention_maps import attention_maps, pooled
from dynabert.analysis.map_atlas import MapAtlas, build_atlas, to_bytes
from dynabert.analysis.rollout import layer_averages, network_average, rollout
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
            first = np.argwhere(~np.isnan(alone.maps[:, :, 0, 0]))[0]
            assert atlas.first_head(width, depth) == tuple(first)
            np.testing.assert_allclose(atlas.logits[number], alone.logits, atol=1e-5)
            number += 1
    assert number == len(maps)


def test_bytes_keep_small_values_apart():
    values = np.array([0.0, 0.001, 0.002, 0.01, 0.5, 1.0])
    back = (to_bytes(values) / 255.0) ** 2
    assert len(set(back)) == 6
    np.testing.assert_allclose(back, values, rtol=0.08)


def test_sub_networks_that_are_the_same_up_to_a_layer_share_its_maps(rewired, tokenizer):
    atlas = build(rewired, tokenizer)
    # (1 + 3 + 6) heads times (1 + 2 + 3 + 4) layers are 100 maps. The depths run layers 4; 2, 4; 1, 2, 4;
    # 1, 2, 3, 4. First come 4, 2 and 1, whose 40 maps are 18 different ones; the last two depths
    # share layer 2, at the same width.
    assert sum(map(len, atlas.numbers)) == 100
    assert len(atlas.maps) == 100 - 40 + 18 - 10

    def shared(one: int, other: int) -> set[int]:
        return set(atlas.numbers[one]) & set(atlas.numbers[other])

    assert len(shared(0, 2)) == 1  # widths of depth 0.25: the only head of the narrowest
    assert len(shared(7, 10)) == 6  # half the width, depths 0.75 and 1: layers 1 and 2
    assert len(shared(7, 11)) == 3  # another width: layer 1 alone


def test_long_texts_make_do_with_fewer_sub_networks_and_then_with_merged_tokens(rewired, tokenizer):
    # 68 maps of 9 x 9; of the fewer, with (3 + 6) heads times (2 + 4) layers, 54 - 18 + 12.
    assert build(rewired, tokenizer, most_bytes=68 * 81).width_mults == WIDTHS
    fewer = build(rewired, tokenizer, most_bytes=68 * 81 - 1)
    assert (fewer.width_mults, fewer.depth_mults) == ((0.5, 1.0), (0.5, 1.0))
    assert (fewer.block, fewer.averages) == (1, None)
    assert len(fewer.maps) == 48
    merged = build(rewired, tokenizer, most_bytes=2000)
    assert (merged.block, merged.maps.shape[-1]) == (2, 5)
    assert merged.maps.size <= 2000
    for large, small in zip(fewer.maps, merged.maps, strict=False):
        assert small[0, 0] == large[:2, :2].max()
        assert small[4, 4] == large[8, 8]


def test_averages_of_a_long_text_are_taken_before_its_tokens_are_merged(rewired, tokenizer):
    merged = build(rewired, tokenizer, most_bytes=2000)
    assert merged.averages is not None
    header, _ = unpack(merged.pack())
    assert len(header["averages"]) == 4
    for number, subnet in enumerate(
        Subnet(width, depth) for depth in (0.5, 1.0) for width in (0.5, 1.0)
    ):
        alone = attention_maps(rewired, tokenizer, TEXT, subnet).maps
        sent = merged.averages[number]
        wanted = {sent.network: network_average(alone), sent.rollout: rollout(alone)}
        wanted |= {place: layer_averages(alone)[layer] for layer, place in sent.layers.items()}
        assert len(wanted) == len(set(merged.places[number][:, 0])) + 2
        for place, whole in wanted.items():
            expected = pooled(whole[None], 5)[0][0]
            np.testing.assert_allclose((merged.maps[place] / 255.0) ** 2, expected, atol=2 / 255)


def test_averages_and_rollout_made_of_bytes_are_as_good_as_the_bytes(rewired, tokenizer):
    """A byte is off by up to 0.004; a rollout over four layers, of means over heads, by less."""
    atlas = build(rewired, tokenizer)
    errors = {"average": 0.0, "rollout": 0.0}
    subnets = (Subnet(width, depth) for depth in DEPTHS for width in WIDTHS)
    for number, subnet in enumerate(subnets):
        exact = attention_maps(rewired, tokenizer, TEXT, subnet).maps
        rounded = np.full_like(exact, np.nan)
        layers, heads = atlas.places[number].T
        rounded[layers, heads] = (atlas.maps_of(number) / 255.0) ** 2
        for name, made in (("average", network_average), ("rollout", rollout)):
            errors[name] = max(errors[name], float(np.abs(made(exact) - made(rounded)).max()))
    assert errors["average"] < 0.004
    assert errors["rollout"] < 0.002


def test_a_text_that_is_cut_says_so(rewired, tokenizer):
    atlas = build(rewired, tokenizer, ("cat " * 30,), max_tokens=12)
    assert (len(atlas.tokens), atlas.num_cut) == (12, 20)
