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
from dynabert.analysis.needed_tokens import NeededTokens, needed_tokens, num_passes
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


def without(model, inputs, places: list[int], subnet: Subnet) -> np.ndarray:
    """(C,) logits of a classifier that does not see those tokens."""
    mask = torch.ones_like(inputs["input_ids"])
    mask[0, places] = 0
    with torch.inference_mode():
        return model(**inputs, attention_mask=mask, subnet=subnet).logits[0].numpy()


def make_undecided(model, inputs, subnet: Subnet) -> None:
    """Let a third of the tokens decide between the first two of its classes."""
    size = inputs["input_ids"].shape[1]
    rows = np.stack([without(model, inputs, [place], subnet) for place in range(1, size)])
    gaps = rows[:, 0] - rows[:, 1]
    with torch.no_grad():
        model.head.output.bias[1] += float(np.quantile(gaps, 1 / 3))
        model.head.output.bias[2] -= 10


@pytest.mark.parametrize("subnet", [Subnet(), Subnet(0.5, 0.5)])
def test_a_token_that_enters_no_layer_is_not_seen(model, tokenizer, subnet: Subnet) -> None:
    """For a classifier, from the first layer on: the same as a mask on it."""
    inputs = inputs_of(tokenizer, TEXT)
    make_undecided(model, inputs, subnet)
    found = needed_tokens(model, tokenizer, TEXT, subnet)
    full = softmax(without(model, inputs, [], subnet))
    choice, flips = int(full.argmax()), []
    assert np.isnan(found.change[:, 0]).all()  # it reads its first token
    for place in range(1, inputs["input_ids"].shape[1]):
        answer = softmax(without(model, inputs, [place], subnet))
        assert found.change[0, place] == pytest.approx(answer[choice] - full[choice], abs=1e-7)
        flips.append(answer.argmax() != choice)
    assert found.other[0].tolist() == [False, *flips]
    assert 0 < sum(flips) < len(flips)
    assert found.needed == tuple(1 + np.flatnonzero(flips))
    assert found.layers == tuple(subnet.resolve(model.config.shape).layers)


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


def test_enough_is_where_the_answer_stays_the_same(tokenizer) -> None:
    """Against the network with a mask on all tokens that are not kept."""
    inputs, seen = inputs_of(tokenizer, TEXT), set()
    size = inputs["input_ids"].shape[1]
    for seed in range(6):
        torch.manual_seed(seed)
        model = DynaBertForSequenceClassification.from_hf(make_hf())
        make_undecided(model, inputs, Subnet())
        found = needed_tokens(model, tokenizer, TEXT, Subnet())
        by_need = 1 + np.argsort(found.change[0, 1:], kind="stable")
        by_attention = 1 + np.argsort(-found.received[1:], kind="stable")
        for order, enough in (
            (by_need, found.enough_by_need),
            (by_attention, found.enough_by_attention),
        ):
            answers = [
                int(without(model, inputs, order[number:].tolist(), Subnet()).argmax())
                for number in range(size)
            ]
            expected = next(n + 1 for n in range(size) if len(set(answers[n:])) == 1)
            assert enough == expected
            seen.add(expected)
        assert found.kept_step == 1
    assert len(seen - {1, size}) > 1  # not only the extremes were compared


def test_of_spans_another_part_of_the_passage_is_another_answer(tokenizer) -> None:
    torch.manual_seed(0)
    model = DynaBertForQuestionAnswering.from_hf(make_hf("bert", "ForQuestionAnswering"))
    inputs = inputs_of(tokenizer, PAIR)
    size = inputs["input_ids"].shape[1]
    found = needed_tokens(model, tokenizer, PAIR, Subnet())
    inside = (inputs["token_type_ids"][0] == 1).numpy()
    inside[-1] = False

    def answer(subnet: Subnet) -> tuple[int, int]:
        with torch.inference_mode():
            out = model(**inputs, subnet=subnet)
        start, end = out.start_logits[0].numpy(), out.end_logits[0].numpy()
        spans = ((a, b) for a in range(size) for b in range(a, size) if inside[[a, b]].all())
        return max(spans, key=lambda span: start[span[0]] + end[span[1]])

    with torch.inference_mode():
        maps = model(**inputs, output_attentions=True).attentions
    for layer in (1, 2, 3):  # LengthDrop drops the token that receives least, one layer before
        dropped = int(maps[layer - 1][0].sum((0, 1)).argmin())
        lengths = (*(size,) * (layer - 1), *(size - 1,) * (len(maps) - layer + 1))
        other = answer(Subnet(1.0, 1.0, lengths)) != answer(Subnet())
        assert found.other[layer, dropped] == other
    assert found.other.any()
    assert not found.other.all()
    assert 1 < found.enough_by_need < size
    with pytest.raises(UserError, match="nothing to find an answer in"):
        needed_tokens(model, tokenizer, TEXT, Subnet())


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
        kept_step=1,
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
    with pytest.raises(UserError, match="num_layers must be at least 1, got 0"):
        needed_tokens(model, tokenizer, TEXT, Subnet(), num_layers=0)


@pytest.mark.parametrize(
    ("num_layers", "expected"), [(None, 10 * 2.5 + 66), (1, 76), (2, 83.5), (9, 91)]
)
def test_how_much_work_it_is(num_layers: int | None, expected: float) -> None:
    """Of 4 layers: 10 tokens through 4, 3, 2 and 1 of them; and two orders of at most 33 numbers."""
    assert num_passes(10, 4, num_layers) == expected


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
