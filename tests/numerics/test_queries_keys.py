"""Queries and keys are those that the model's attention comes from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import make_hf
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from dynabert import DynaBertForSequenceClassification, Subnet
from dynabert.analysis.attention_maps import attention_maps
from dynabert.analysis.queries_keys import query_key
from dynabert.errors import UserError
from dynabert.importance import Importance
from dynabert.rewiring import rewire_

TEXT = "the cat sat on the mat."
PAIR = ["the cat", "a dog sat"]
LAYERS, HEADS, HEAD_DIM = 4, 6, 8
SUBNETS = [Subnet(), Subnet(0.5, 0.75), Subnet(1 / 6, 0.5), Subnet(layers=(1, 3), heads=(2, 5))]


@pytest.fixture
def tokenizer(backbone: str, tiny_tokenizer_folder: Path) -> PreTrainedTokenizerBase:
    """BERT's by words, RoBERTa's by bytes and without segments."""
    if backbone == "bert":
        return AutoTokenizer.from_pretrained(tiny_tokenizer_folder)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())[:80]
    vocab = {
        piece: number for number, piece in enumerate(["<s>", "<pad>", "</s>", "<unk>", *letters])
    }
    spelling = Tokenizer(models.BPE(vocab=vocab, merges=[], unk_token="<unk>"))
    spelling.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    spelling.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return PreTrainedTokenizerFast(
        tokenizer_object=spelling, bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )


def rewired(backbone: str, dtype: torch.dtype) -> DynaBertForSequenceClassification:
    model = DynaBertForSequenceClassification.from_hf(
        make_hf(backbone, dtype=dtype, vocab_size=200, max_position_embeddings=64)
    )
    rewire_(model, Importance(torch.rand(LAYERS, HEADS), torch.rand(LAYERS, 60)))
    return model


def softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


@pytest.mark.parametrize("subnet", SUBNETS, ids=str)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("texts", [[TEXT], PAIR], ids=["text", "pair"])
def test_softmax_of_queries_times_keys_is_the_models_attention(
    backbone, tokenizer, subnet, dtype, tolerance, texts
):
    model = rewired(backbone, dtype)
    found = query_key(model, tokenizer, texts, subnet)
    maps = attention_maps(model, tokenizer, texts, subnet)
    assert found.tokens == maps.tokens
    there = np.zeros((LAYERS, HEADS), dtype=bool)
    for one in found.layers:
        assert one.queries.shape == one.keys.shape == (len(one.heads), len(found.tokens), HEAD_DIM)
        products = np.einsum("hqd,hkd->hqk", one.queries, one.keys)
        np.testing.assert_allclose(
            softmax(products / HEAD_DIM**0.5), one.probs, rtol=0, atol=tolerance
        )
        # By original numbers, as the maps are (which are kept in float32).
        np.testing.assert_allclose(
            one.probs, maps.maps[one.layer, list(one.heads)], rtol=0, atol=1e-6
        )
        there[one.layer, list(one.heads)] = True
    np.testing.assert_array_equal(there, maps.kept)


def test_queries_and_keys_of_the_full_network_are_hugging_faces(backbone, tokenizer):
    """Of its own modules, before any rewiring."""
    hf = make_hf(backbone, vocab_size=200, max_position_embeddings=64)
    model = DynaBertForSequenceClassification.from_hf(hf)
    rewire_(model, Importance(torch.rand(LAYERS, HEADS), torch.rand(LAYERS, 60)))
    seen: dict[str, torch.Tensor] = {}
    for name, module in hf.named_modules():
        if name.endswith((".query", ".key")):
            module.register_forward_hook(
                lambda module, given, out, name=name: seen.update({name: out.detach()})
            )
    encoded = tokenizer(TEXT, return_tensors="pt")
    hf(**{name: encoded[name] for name in ("input_ids", "token_type_ids") if name in encoded})
    for one in query_key(model, tokenizer, [TEXT]).layers:
        for name, ours in (("query", one.queries), ("key", one.keys)):
            (theirs,) = (
                out for key, out in seen.items() if f".{one.layer}." in key and key.endswith(name)
            )
            theirs = theirs[0].unflatten(-1, (HEADS, HEAD_DIM)).transpose(0, 1)
            np.testing.assert_allclose(ours, theirs.numpy(), rtol=0, atol=1e-12)


def test_an_extracted_model_has_the_same_queries_and_keys(backbone, tokenizer):
    model, subnet = rewired(backbone, torch.float64), Subnet(0.5, 0.75)
    inside = query_key(model, tokenizer, [TEXT], subnet)
    outside = query_key(model.extract(subnet), tokenizer, [TEXT])
    assert outside.num_heads == inside.num_heads == HEADS
    for one, other in zip(inside.layers, outside.layers, strict=True):
        assert (one.layer, one.heads) == (other.layer, other.heads)
        for name in ("queries", "keys", "probs"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=0, atol=1e-12)


def test_the_second_text_of_a_pair_starts_after_the_separators(backbone, tokenizer):
    model = rewired(backbone, torch.float32)
    found = query_key(model, tokenizer, PAIR)
    assert found.second_start is not None
    assert "".join(found.tokens[found.second_start :]).startswith("a")
    assert found.tokens[found.second_start - 1] == {"bert": "[SEP]", "roberta": "</s>"}[backbone]
    assert query_key(model, tokenizer, [TEXT]).second_start is None


def test_a_missing_text_gets_a_sentence(backbone, tokenizer):
    with pytest.raises(UserError, match="one text or a pair"):
        query_key(rewired(backbone, torch.float32), tokenizer, [" "])
