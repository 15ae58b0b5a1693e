"""What the answer loses without each token: as the network says that is given only the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import make_hf
from scipy.special import softmax
from transformers import BertTokenizer

from dynabert import DynaBertForQuestionAnswering, DynaBertForSequenceClassification, Subnet, plots
from dynabert.analysis.needed_tokens import NeededTokens, needed_tokens
from dynabert.errors import UserError

TEXT = ["the cat is good and the dog sees it."]
PAIR = ["what is good?", "the cat is good and the dog sees it."]


@pytest.fixture
def model() -> DynaBertForSequenceClassification:
    return DynaBertForSequenceClassification.from_hf(make_hf())


@pytest.fixture
def tokenizer(tiny_tokenizer_folder: Path) -> BertTokenizer:
    return BertTokenizer.from_pretrained(tiny_tokenizer_folder)


def inputs_of(tokenizer: BertTokenizer, texts: list[str]) -> dict[str, torch.Tensor]:
    encoded = tokenizer(*texts, return_tensors="pt")
    return {name: encoded[name] for name in ("input_ids", "token_type_ids")}


def test_a_token_that_enters_no_layer_is_not_seen(model, tokenizer) -> None:
    """For a classifier, from the first layer on: the same as a mask on it."""
    subnet = Subnet(0.5, 0.5)
    found = needed_tokens(model, tokenizer, TEXT, subnet)
    inputs = inputs_of(tokenizer, TEXT)
    size = inputs["input_ids"].shape[1]
    with torch.inference_mode():
        full = softmax(model(**inputs, subnet=subnet).logits[0].numpy())
        choice = int(full.argmax())
        assert np.isnan(found.change[:, 0]).all()  # it reads its first token
        for place in range(1, size):
            mask = torch.ones(1, size, dtype=torch.long)
            mask[0, place] = 0
            without = softmax(model(**inputs, attention_mask=mask, subnet=subnet).logits[0].numpy())
            assert found.change[0, place] == pytest.approx(without[choice] - full[choice], abs=1e-6)
            assert found.other[0, place] == (without.argmax() != choice)
    assert found.layers == (1, 3)
    assert found.needed == tuple(np.flatnonzero(found.other[0]))


@pytest.mark.parametrize("spans", [False, True])
def test_from_a_later_layer_on_it_is_dropped_as_lengthdrop_drops_it(
    model, tokenizer, spans: bool
) -> None:
    texts = PAIR if spans else TEXT
    if spans:
        model = DynaBertForQuestionAnswering.from_hf(make_hf("bert", "ForQuestionAnswering"))
    inputs = inputs_of(tokenizer, texts)
    size = inputs["input_ids"].shape[1]
    found = needed_tokens(model, tokenizer, texts, Subnet())
    with torch.inference_mode():
        out = model(**inputs, output_attentions=True)
        for layer in (1, 2, 3):
            received = out.attentions[layer - 1][0].sum((0, 1)).numpy()
            if not spans:
                received[0] = np.inf
            dropped = int(received.argmin())
            lengths = (*(size,) * (layer - 1), *(size - 1,) * (len(out.attentions) - layer + 1))
            short = model(**inputs, subnet=Subnet(1.0, 1.0, lengths))
            if not spans:
                full, without = (softmax(one.logits[0].numpy()) for one in (out, short))
                expected = (without - full)[full.argmax()]
            else:
                inside = inputs["token_type_ids"][0].numpy() == 1
                inside[-1] = False
                sure, (first, last) = [], (0, 0)
                for one in (out, short):
                    start, end = one.start_logits[0].numpy(), one.end_logits[0].numpy()
                    if not sure:
                        first, last = max(
                            ((a, b) for a in range(size) for b in range(a, size) if inside[[a, b]].all()),
                            key=lambda span: start[span[0]] + end[span[1]],
                        )  # fmt: skip
                    sure.append(softmax(start)[first] * softmax(end)[last])
                expected = sure[1] - sure[0]
            assert found.change[layer, dropped] == pytest.approx(expected, abs=1e-6)


def test_few_layers_and_a_network_that_drops_tokens_itself(model, tokenizer) -> None:
    every = needed_tokens(model, tokenizer, TEXT, Subnet())
    first = needed_tokens(model, tokenizer, TEXT, Subnet(), num_layers=1)
    np.testing.assert_array_equal(first.change, every.change[:1])
    assert first.layers == (0,)
    assert first.enough_by_need == every.enough_by_need
    drops = Subnet(1.0, 1.0, (6, 5, 3, 2))
    dropping = needed_tokens(model, tokenizer, TEXT, drops)
    assert dropping.change.shape == every.change.shape
    # What the network itself has dropped before a layer cannot be missed from it on.
    gone = dropping.change[3]
    assert (gone[1:] == 0).sum() >= len(gone) - 3


def test_enough_is_where_the_answer_stays_the_same(model, tokenizer) -> None:
    """Against the network with a mask on all tokens that are not kept."""
    found = needed_tokens(model, tokenizer, TEXT, Subnet())
    inputs = inputs_of(tokenizer, TEXT)
    size = inputs["input_ids"].shape[1]
    for order, enough in (
        (np.argsort(found.change[0, 1:], kind="stable"), found.enough_by_need),
        (np.argsort(-found.received[1:], kind="stable"), found.enough_by_attention),
    ):
        answers = []
        for number in range(size):
            mask = torch.zeros(1, size, dtype=torch.long)
            mask[0, [0, *(order[:number] + 1)]] = 1
            with torch.inference_mode():
                answers.append(int(model(**inputs, attention_mask=mask).logits.argmax()))
        expected = next(n + 1 for n in range(size) if len(set(answers[n:])) == 1)
        assert enough == expected


def test_a_regression_has_no_other_answer(tokenizer) -> None:
    hf = make_hf(num_labels=1)
    model = DynaBertForSequenceClassification.from_hf(hf)
    found = needed_tokens(model, tokenizer, PAIR, Subnet())
    inputs = inputs_of(tokenizer, PAIR)
    mask = torch.ones_like(inputs["input_ids"])
    mask[0, 3] = 0
    with torch.inference_mode():
        moved = model(**inputs, attention_mask=mask).logits - model(**inputs).logits
    assert found.change[0, 3] == pytest.approx(float(moved), abs=1e-6)
    assert not found.other.any()
    assert found.enough_by_need is None
    assert found.enough_by_attention is None


def made(change: list[list[float]], received: list[float]) -> NeededTokens:
    values = np.array(change)
    return NeededTokens(
        subnet=Subnet(),
        tokens=("[CLS]", "<b>", "dog", "cat")[: values.shape[1]],
        layers=tuple(range(len(values))),
        change=values,
        other=values < -0.5,
        received=np.array(received),
        enough_by_need=2,
        enough_by_attention=3,
        num_cut=0,
    )


def test_rank_correlation_and_table() -> None:
    nan = float("nan")
    found = made([[nan, -0.6, 0.1, -0.2], [nan, 0.0, 0.0, 0.0]], [0.7, 0.2, 0.04, 0.06])
    assert found.rank_correlation == pytest.approx(
        1.0
    )  # 0.6, 0.1, 0.2 in the order of 0.2, 0.04, 0.06
    assert (found.needed, found.moves_most) == ((1,), 1)
    table = found.table()
    assert len(table) == 8
    assert table.iloc[1].to_dict() == {
        "subnet": "w1.00-d1.00", "layer": 1, "place": 1, "token": "<b>", "change": -0.6,
        "other": True, "received": 0.2,
    }  # fmt: skip
    assert np.isnan(made([[nan, -0.6, 0.1]], [0.7, 0.2, 0.1]).rank_correlation)
    assert np.isnan(made([[nan, 0.0, 0.0, 0.0]], [0.7, 0.1, 0.1, 0.1]).rank_correlation)


def test_nothing_to_read(model, tokenizer) -> None:
    with pytest.raises(UserError, match="neither of them empty"):
        needed_tokens(model, tokenizer, [" "], Subnet())


def test_the_picture_is_red_where_the_answer_loses() -> None:
    nan = float("nan")
    found = made([[nan, -0.6, 0.1, -0.2], [nan, 0.0, 0.0, 0.0]], [0.7, 0.2, 0.04, 0.06])
    (heatmap,) = plots.needed_tokens(found).data
    np.testing.assert_allclose(heatmap.z[0][1:], [0.6, -0.1, 0.2], rtol=1e-6)
    assert (heatmap.zmin, heatmap.zmax) == (-0.6, 0.6)
    assert heatmap.text.tolist() == [["", "✕", "", ""], ["", "", "", ""]]
    assert heatmap.customdata[0][1] == "&lt;b&gt;"
    assert plots.needed_tokens(found).layout.yaxis.ticktext == ("from layer 1", "from layer 2")
    (moved,) = plots.needed_tokens(found, is_regression=True).data
    np.testing.assert_allclose(moved.z[0][1:], [-0.6, 0.1, -0.2], rtol=1e-6)
