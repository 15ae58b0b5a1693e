"""Attention maps lie where their heads were in the original network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import make_hf
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from dynabert import DynaBertForSequenceClassification, Subnet
from dynabert.analysis.attention_maps import attention_maps, kept_heads, pooled
from dynabert.errors import UserError
from dynabert.importance import Importance
from dynabert.rewiring import rewire_

TEXT = "the cat sat on the mat."
LAYERS, HEADS = 4, 6


@pytest.fixture
def tokenizer(tiny_tokenizer_folder: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(tiny_tokenizer_folder)


@pytest.fixture
def original() -> DynaBertForSequenceClassification:
    return DynaBertForSequenceClassification.from_hf(make_hf("bert", dtype=torch.float64))


@pytest.fixture
def scores() -> Importance:
    """Distinct scores, so that every layer has its own order."""
    return Importance(torch.rand(LAYERS, HEADS), torch.rand(LAYERS, 60))


@pytest.fixture
def rewired(
    original: DynaBertForSequenceClassification, scores: Importance
) -> DynaBertForSequenceClassification:
    model = DynaBertForSequenceClassification.from_hf(original.to_hf())
    rewire_(model, scores)
    return model


def test_full_maps_of_a_rewired_network_are_those_of_the_original(original, rewired, tokenizer):
    ids = torch.tensor([tokenizer(TEXT)["input_ids"]])
    expected = torch.stack(original(input_ids=ids, output_attentions=True).attentions)[:, 0]
    got = attention_maps(rewired, tokenizer, [TEXT])
    assert got.tokens == tuple("[CLS] the cat sat on the mat . [SEP]".split())
    np.testing.assert_allclose(got.maps, expected.detach().numpy(), rtol=0, atol=1e-6)
    assert got.num_cut == 0
    assert got.probabilities.sum() == pytest.approx(1)


def test_maps_of_a_subnet_are_blank_exactly_where_heads_and_layers_are_gone(
    rewired, scores, tokenizer
):
    subnet = Subnet(width_mult=0.5, depth_mult=0.75)
    got = attention_maps(rewired, tokenizer, [TEXT], subnet)
    expected = np.zeros((LAYERS, HEADS), dtype=bool)
    for layer in (0, 1, 3):  # 3 of 4 layers, evenly spaced, the last one kept
        best = torch.argsort(scores.heads[layer], descending=True)[:3]
        expected[layer, best.numpy()] = True
    np.testing.assert_array_equal(got.kept, expected)
    np.testing.assert_array_equal(np.isnan(got.maps).all((2, 3)), ~expected)
    np.testing.assert_array_equal(np.isnan(got.maps).any((2, 3)), ~expected)
    np.testing.assert_array_equal(kept_heads(rewired, subnet), expected)
    np.testing.assert_allclose(got.maps[expected].sum(-1), 1, atol=1e-6)


def test_maps_of_an_extracted_model_stay_in_their_places(rewired, tokenizer):
    subnet = Subnet(width_mult=0.5, depth_mult=0.5)
    small = attention_maps(rewired.extract(subnet), tokenizer, [TEXT])
    inside = attention_maps(rewired, tokenizer, [TEXT], subnet)
    np.testing.assert_allclose(small.maps, inside.maps, rtol=0, atol=1e-6)
    np.testing.assert_allclose(small.logits, inside.logits, rtol=0, atol=1e-5)


def test_a_long_text_is_cut_and_says_by_how_much(rewired, tokenizer):
    got = attention_maps(rewired, tokenizer, ["cat " * 30], max_tokens=8)
    assert got.tokens == ("[CLS]", *["cat"] * 6, "[SEP]")
    assert got.num_cut == 24
    assert attention_maps(rewired, tokenizer, ["cat " * 90]).maps.shape[-1] == 40  # its positions


def test_a_pair_is_read_as_two_segments(original, tokenizer):
    got = attention_maps(original, tokenizer, ["the cat", "a dog"])
    assert got.tokens == ("[CLS]", "the", "cat", "[SEP]", "a", "dog", "[SEP]")
    encoded = tokenizer("the cat", "a dog", return_tensors="pt")
    np.testing.assert_allclose(
        got.logits, original(**encoded).logits[0].detach().numpy(), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("texts", [[], [" "], ["a", ""], ["a", "b", "c"]])
def test_a_missing_text_gets_a_sentence(texts, original, tokenizer):
    with pytest.raises(UserError, match="one text or a pair"):
        attention_maps(original, tokenizer, texts)


def test_pooling_keeps_the_largest_value_of_each_block():
    maps = np.zeros((1, 1, 5, 5), dtype=np.float32)
    maps[0, 0, 1, 4] = 0.9
    small, block = pooled(maps, most=3)
    assert block == 2
    np.testing.assert_array_equal(
        small[0, 0], np.array([[0, 0, 0.9], [0, 0, 0], [0, 0, 0]], dtype=np.float32)
    )
    assert pooled(maps, most=5)[1] == 1
