"""Which tokens leave each layer: as the network itself drops them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import make_hf
from transformers import BertTokenizer

from dynabert import DynaBertForSequenceClassification, Subnet, plots
from dynabert.analysis.survivors import DROPS, dropping, survivor_table, survivors
from dynabert.evaluation.cost import count_macs

TEXT = ["the cat is good and the dog sees it."]


@pytest.fixture
def model() -> DynaBertForSequenceClassification:
    return DynaBertForSequenceClassification.from_hf(make_hf())


@pytest.fixture
def tokenizer(tiny_tokenizer_folder: Path) -> BertTokenizer:
    return BertTokenizer.from_pretrained(tiny_tokenizer_folder)


def test_tokens_are_followed_as_the_network_drops_them(model, tokenizer) -> None:
    shape = model.config.shape
    subnets = dropping(Subnet(0.5, 0.5), shape)
    assert [one.length_config and one.length_config.entries[0] for one in subnets] == [
        None,
        *(pytest.approx(1 - drop) for drop in DROPS[1:]),
    ]
    inputs = tokenizer(*TEXT, return_tensors="pt")
    inputs.pop("attention_mask")
    size = inputs["input_ids"].shape[1]
    model.requires_grad_(False)
    for one in survivors(model, tokenizer, TEXT, subnets):
        out = model(**inputs, subnet=one.subnet, output_attentions=True)
        np.testing.assert_allclose(one.logits, out.logits[0].float().numpy(), rtol=1e-5)
        assert one.layers == (1, 3)
        assert one.num_leaving == one.subnet.resolve(shape).tokens_left(size)
        assert one.macs == count_macs(model, one.subnet, size)
        entered = np.ones(size, dtype=bool)
        for row in range(2):
            received = out.attentions[row][0].sum((0, 1))
            received = (received / received.sum()).numpy()
            np.testing.assert_allclose(one.received[row, entered], received[entered], rtol=1e-6)
            assert np.isnan(one.received[row, ~entered]).all()
            assert not (one.leaving[row] & ~entered).any()
            kept, gone = one.leaving[row].copy(), entered & ~one.leaving[row]
            assert kept[0]  # a classifier reads the first token
            kept[0] = False
            if gone.any():
                assert received[kept].min() >= received[gone].max()
            entered = one.leaving[row]


def test_a_row_for_each_token_of_each_layer(model, tokenizer) -> None:
    found = survivors(model, tokenizer, TEXT, [Subnet(), Subnet(1.0, 1.0, (6, 5, 3, 2))])
    table = survivor_table(found)
    assert len(table) == 2 * 4 * len(found[0].tokens)
    short = table[(table["subnet"] == "w1.00-d1.00-l6.5.3.2") & (table["layer"] == 3)]
    assert short["leaves"].sum() == 3
    assert short["received"].notna().sum() == 5
    assert short["token"].tolist() == list(found[0].tokens)


def test_the_slider_shows_one_of_them_at_a_time(model, tokenizer) -> None:
    found = survivors(model, tokenizer, TEXT, dropping(Subnet(), model.config.shape))
    figure = plots.surviving_tokens(found, DROPS, labels=["<b>no", "yes", "may be"], start=4)
    (slider,) = figure.layout.sliders
    assert (slider.active, len(slider.steps)) == (4, len(DROPS))
    assert [trace.visible for trace in figure.data] == [n == 4 for n in range(len(DROPS))]
    for number, (one, step) in enumerate(zip(found, slider.steps, strict=True)):
        shown, title = step.args
        assert shown["visible"] == [n == number for n in range(len(DROPS))]
        z = np.asarray(figure.data[number].z)
        assert (~np.isnan(z)).sum(1).tolist() == list(one.num_leaving)
        assert "<b><b>" not in title["title.text"]
        if number:
            assert title["title.text"].startswith(f"{one.num_leaving[-1]} of")
    assert torch.is_grad_enabled()
