"""Tokens dropped inside a layer and put back at the end, against a sentence-by-sentence reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import make_batch, make_hf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import AutoModel

from dynabert import DynaBertForQuestionAnswering, DynaBertForSequenceClassification, Subnet
from dynabert.analysis.head_ablation import ablate_heads
from dynabert.analysis.queries_keys import query_key
from dynabert.analysis.sentences import attention_of
from dynabert.analysis.together import read_together
from dynabert.data.encoding import EncodedSplit
from dynabert.errors import UserError
from dynabert.evaluation.cost import count_macs
from dynabert.evaluation.quality import batch_logits
from dynabert.length_config import LengthConfig, num_left, shrinking
from dynabert.modeling import attention
from dynabert.modeling.configuration import DynaBertConfig
from dynabert.modeling.pretrained import key_mask
from dynabert.modeling.tokens import Tokens
from dynabert.training.stage import Losses
from dynabert.training.step import accumulate_gradients

LENGTHS = (11, 7, 3, 9)
CLASSES = (DynaBertForSequenceClassification, DynaBertForQuestionAnswering)
CONFIGS = [(8, 6, 5, 2), (9, 4, 4, 1), (11, 3, 3, 3), (0.8, 0.6, 0.5, 0.3), (1.0, 0.5, 0.5, 0.2)]
Model = DynaBertForSequenceClassification | DynaBertForQuestionAnswering


def make(kind: type[Model], backbone: str = "bert", **changes: object) -> Model:
    torch.manual_seed(0)
    return kind.from_hf(make_hf(backbone, kind.__name__.removeprefix("DynaBert"), **changes))


@pytest.fixture(params=CLASSES, ids=["classification", "spans"], name="model")
def _model(request: pytest.FixtureRequest, backbone: str) -> Model:
    return make(request.param, backbone)


@pytest.fixture(params=["kept", "streamed"], autouse=True)
def _probabilities(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long batches measure significance a few heads at a time; here, one by one."""
    if request.param == "streamed":
        monkeypatch.setattr(attention, "_AT_HAND_CPU", 0)


@pytest.fixture(name="batch")
def _batch(backbone: str) -> dict[str, Tensor]:
    return make_batch(backbone, lengths=LENGTHS)


def reference(
    model: Model, batch: dict[str, Tensor], row: int, subnet: Subnet
) -> tuple[Tensor, list[list[int]]]:
    """One sentence alone, without padding: its last hidden states, and who leaves each layer."""
    size = int(batch["attention_mask"][row].sum())
    types = batch.get("token_type_ids")
    backbone = model.backbone
    state = backbone.embeddings(
        batch["input_ids"][row : row + 1, :size],
        None if types is None else types[row : row + 1, :size],
    )[0]
    here, left = list(range(size)), []
    for number, heads, neurons, length in subnet.resolve(model.config.shape).executed:
        layer = backbone.encoder.layers[number]
        attend, hidden = layer.attention, state[here]
        query, key, value = (
            projection(hidden)[:, : heads * attend.head_dim]
            .unflatten(-1, (heads, -1))
            .transpose(0, 1)
            for projection in (attend.query, attend.key, attend.value)
        )
        probs = (query @ key.mT / attend.head_dim**0.5).softmax(-1)
        context = (probs @ value).transpose(0, 1).flatten(1)
        out = F.linear(context, attend.output.weight[:, : context.shape[1]], attend.output.bias)
        hidden = attend.norm(hidden + out)
        feed = layer.feed_forward
        inner = feed.activation(feed.inner(hidden)[:, :neurons])
        out = F.linear(inner, feed.output.weight[:, :neurons], feed.output.bias)
        hidden = feed.norm(hidden + out)
        wanted = len(here) if length is None else min(num_left(length, size), len(here))
        received = probs.sum((0, 1)).tolist()
        if isinstance(model, DynaBertForSequenceClassification):
            received[0] = float("inf")
        ranking = sorted(range(len(here)), key=lambda place: -received[place])[:wanted]
        new = state.clone()
        for place in ranking:
            new[here[place]] = hidden[place]
        state, here = new, sorted(here[place] for place in ranking)
        left.append(here)
    return state, left


def at_work(
    model: Model, embedded: Tensor, attention_mask: Tensor | None, subnet: Subnet
) -> list[Tensor]:
    """(B, S) of each layer: which tokens leave it."""
    tokens, found = Tokens.of(embedded, key_mask(attention_mask)), []
    for executed in subnet.resolve(model.config.shape).executed:
        tokens, _ = model.backbone.encoder.execute(tokens, executed)
        found.append(tokens.at_work(embedded.shape[1]))
    return found


@pytest.mark.parametrize("lengths", CONFIGS, ids=str)
@pytest.mark.parametrize(("width", "depth"), [(1.0, 1.0), (0.5, 1.0), (0.5, 0.5)])
def test_every_sentence_is_as_alone(
    model: Model,
    batch: dict[str, Tensor],
    lengths: tuple[float, ...],
    width: float,
    depth: float,
) -> None:
    """So neither padding nor the other sentences of a batch change an answer."""
    subnet = Subnet(width, depth, lengths[:2] if depth == 0.5 else lengths)
    out = model.backbone(**batch, subnet=subnet)
    embedded = model.backbone.embeddings(batch["input_ids"], batch.get("token_type_ids"))
    leaving = at_work(model, embedded, batch["attention_mask"], subnet)
    for row, size in enumerate(LENGTHS):
        expected, left = reference(model, batch, row, subnet)
        torch.testing.assert_close(out.last_hidden_state[row, :size], expected, atol=1e-9, rtol=0)
        assert [one[row].nonzero().flatten().tolist() for one in leaving] == left


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_configuration_is_as_the_reference(data: st.DataObject) -> None:
    model = make(data.draw(st.sampled_from(CLASSES)))
    batch = make_batch("bert", lengths=LENGTHS)
    entry = st.integers(1, 14) if data.draw(st.booleans()) else st.floats(0.05, 1.0)
    lengths = sorted(data.draw(st.lists(entry, min_size=4, max_size=4)), reverse=True)
    subnet = Subnet(data.draw(st.sampled_from([1.0, 0.5])), 1.0, tuple(lengths))
    assert Subnet.parse(subnet.key) == subnet
    out = model.backbone(**batch, subnet=subnet).last_hidden_state
    for row, size in enumerate(LENGTHS):
        expected, _ = reference(model, batch, row, subnet)
        torch.testing.assert_close(out[row, :size], expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize("lengths", [(11,) * 4, (99, 50, 12, 11), (1.0,) * 4], ids=str)
def test_nothing_dropped_changes_nothing(
    model: Model, batch: dict[str, Tensor], lengths: tuple[float, ...]
) -> None:
    whole = model(**batch, output_hidden_states=True, output_attentions=True)
    same = model(
        **batch,
        subnet=Subnet(length_config=lengths),
        output_hidden_states=True,
        output_attentions=True,
    )
    for name, value in whole.items():
        torch.testing.assert_close(same[name], value, atol=1e-12, rtol=0, msg=name)


def test_a_dropped_token_carries_the_output_of_the_layer_before(
    model: Model, batch: dict[str, Tensor]
) -> None:
    subnet = Subnet(1.0, 1.0, (8, 6, 4, 2))
    out = model(**batch, subnet=subnet, output_hidden_states=True, output_attentions=True)
    dropped = 0
    for row in range(len(LENGTHS)):
        _, left = reference(model, batch, row, subnet)
        for layer in range(4):
            gone = set(range(LENGTHS[row])) - set(left[layer])
            dropped += len(gone)
            before, after = (out.hidden_states[number][row] for number in (layer, layer + 1))
            for place in gone:
                assert torch.equal(after[place], before[place])
            for place in left[layer]:
                assert not torch.equal(after[place], before[place])
            # What was gone when the layer began neither attends nor is attended to.
            for place in set(range(LENGTHS[row])) - set(left[layer - 1] if layer else range(99)):
                assert out.attentions[layer][row, :, place].abs().max() == 0
                assert out.attentions[layer][row, :, :, place].abs().max() == 0
    assert dropped > 20


def test_a_classifier_keeps_its_first_token_and_spans_need_not() -> None:
    kept = []
    for kind in CLASSES:
        model = make(kind)
        batch = make_batch("bert", lengths=LENGTHS)
        for layer in model.backbone.encoder.layers:  # nobody attends to the first token
            torch.nn.init.zeros_(layer.attention.query.weight)
            torch.nn.init.ones_(layer.attention.query.bias)
            layer.attention.key.weight.data = layer.attention.key.weight.data.abs()
        states = model.backbone.embeddings(batch["input_ids"], batch["token_type_ids"])
        states = states.abs()
        states[:, 0] = -9.0
        leaving = at_work(model, states, None, Subnet(1.0, 1.0, (2, 2, 2, 1)))
        kept.append(leaving[0][:, 0].tolist())
    assert kept == [[True] * 4, [False] * 4]


def test_what_is_dropped_is_not_computed(backbone: str) -> None:
    """The feed-forward network and the attention's output see the rows that leave the layer."""
    model = make(DynaBertForSequenceClassification, backbone)
    batch = make_batch(backbone, lengths=LENGTHS)
    rows: list[int] = []
    for layer in model.backbone.encoder.layers:
        for module in (layer.attention, layer.attention.output, layer.feed_forward):
            module.register_forward_pre_hook(lambda _m, args: rows.append(args[0].shape[1]))
    model(**batch, subnet=Subnet(1.0, 1.0, (8, 6, 6, 2)), output_hidden_states=True)
    assert rows == [11, 8, 8, 8, 6, 6, 6, 6, 6, 6, 2, 2]
    rows.clear()
    # A share of each text's own: the longest of the batch decides.
    model(**batch, subnet=Subnet(1.0, 1.0, (0.5, 0.5, 0.5, 0.1)), output_hidden_states=True)
    assert rows == [11, 6, 6, 6, 6, 6, 6, 6, 6, 6, 2, 2]
    rows.clear()
    # To answer, a classifier's last layer needs one row.
    batch_logits(model, batch, [Subnet(1.0, 1.0, (8, 6, 6, 2))])
    assert rows[-3:] == [6, 1, 1]


@pytest.mark.parametrize("lengths", CONFIGS, ids=str)
def test_every_way_to_run_it_agrees(
    model: Model, batch: dict[str, Tensor], lengths: tuple[float, ...]
) -> None:
    subnet = Subnet(0.5, 1.0, lengths)
    out = model(**batch, subnet=subnet)
    mask = batch["attention_mask"]
    (found, *more) = batch_logits(model, batch, [subnet])
    expected = model.logits_of(out, mask)
    for ours, theirs in zip((found, *more), expected, strict=True):
        torch.testing.assert_close(torch.from_numpy(ours[0]).double(), theirs, atol=1e-5, rtol=1e-5)
    one = {name: value[:1] for name, value in batch.items() if name != "attention_mask"}
    alone = model(**one, subnet=subnet, output_attentions=True)
    _, reading = read_together(model, one, [Subnet(), subnet])
    for ours, theirs in zip(reading.attentions, alone.attentions, strict=True):
        torch.testing.assert_close(ours, theirs[0], atol=1e-9, rtol=0)
    logits = torch.stack([one_set[0] for one_set in model.logits_of(alone)]).squeeze(0)
    torch.testing.assert_close(reading.logits, logits, atol=1e-9, rtol=0)


@pytest.mark.parametrize("lengths", CONFIGS, ids=str)
def test_attention_is_as_alone_and_0_where_tokens_are_gone(
    model: Model, batch: dict[str, Tensor], lengths: tuple[float, ...]
) -> None:
    """Rows that only fill up the batch do attend while it runs; nobody is shown that."""
    subnet = Subnet(1.0, 1.0, lengths)
    together = model(**batch, subnet=subnet, output_attentions=True).attentions
    for row, size in enumerate(LENGTHS):
        one = {name: value[row : row + 1, :size] for name, value in batch.items()}
        alone = model(**one, subnet=subnet, output_attentions=True).attentions
        for ours, theirs in zip(together, alone, strict=True):
            torch.testing.assert_close(ours[row, :, :size, :size], theirs[0], atol=1e-9, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("padded", [False, True])
def test_significance_is_the_same_a_few_heads_at_a_time(
    dtype: torch.dtype, padded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    query, key = (3 * torch.randn(3, 5, 9, 4, dtype=torch.float64) for _ in range(2))
    query, key = query.to(dtype), key.to(dtype)
    mask = key_mask(torch.arange(9)[None] < torch.tensor([9, 4, 1])[:, None]) if padded else None
    probs = attention.attention_probs(query, key, mask)
    expected = attention.received_of(probs, mask)
    if mask is not None:
        assert expected[1, 4:].abs().max() == 0
    assert expected.sum(1).tolist() == pytest.approx([45, 20, 5] if padded else [45] * 3, rel=0.02)
    for at_hand in (0, 81, 3 * 81, 10**9):
        monkeypatch.setattr(attention, "_AT_HAND_CPU", at_hand)
        found = attention.attention_received(query, key, mask)
        assert found.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
        tolerance = 0.1 if dtype == torch.bfloat16 else 1e-5
        torch.testing.assert_close(found, expected.to(found.dtype), atol=tolerance, rtol=0)


@pytest.mark.parametrize("lengths", [(8, 6, 4, 2), (0.8, 0.6, 0.4, 0.3), (3, 3, 1, 1)], ids=str)
def test_a_subnet_taken_out_carries_its_lengths(
    model: Model, batch: dict[str, Tensor], lengths: tuple[float, ...], tmp_path: Path
) -> None:
    subnet = Subnet(0.5, 0.5, lengths[::2])
    small = model.extract(subnet)
    expected = model(**batch, subnet=subnet)[0]
    torch.testing.assert_close(small(**batch)[0], expected, atol=1e-9, rtol=0)
    small.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path, dtype=torch.float64)
    assert again.config.length_config == list(lengths[::2])
    torch.testing.assert_close(again(**batch)[0], expected, atol=1e-9, rtol=0)
    # Its encoder alone drops the same tokens: of spans the first one may be among them.
    bare = AutoModel.from_pretrained(tmp_path, dtype=torch.float64)
    theirs = model.backbone(**batch, subnet=subnet).last_hidden_state
    torch.testing.assert_close(bare(**batch).last_hidden_state, theirs, atol=1e-9, rtol=0)
    # It can be cut further, in depth and in length.
    deeper = small(**batch, subnet=Subnet(depth_mult=0.5))[0]
    theirs = model(**batch, subnet=Subnet(0.5, layers=(3,), length_config=lengths[2:3]))[0]
    torch.testing.assert_close(deeper, theirs, atol=1e-9, rtol=0)
    longer = small(**batch, subnet=Subnet(length_config=(11, 11)))[0]
    torch.testing.assert_close(longer, model(**batch, subnet=Subnet(0.5, 0.5))[0])
    with pytest.raises(UserError, match="cannot drop tokens"):
        model.extract(Subnet(length_config=lengths)).to_hf()


def test_models_of_one_configuration_do_not_change_each_others() -> None:
    config = make(DynaBertForSequenceClassification).config
    given = config.to_dict()
    classifier = DynaBertForSequenceClassification(config)
    reader = DynaBertForQuestionAnswering(config)
    kept = [one.config.keeps_first_token for one in (classifier, reader)]
    assert kept == [True, False]
    assert config.to_dict() == given


def test_a_step_learns_through_what_is_left() -> None:
    """Gradients of sub-networks with lengths are those of each alone, in float64."""
    model = make(DynaBertForSequenceClassification, hidden_dropout_prob=0.0)
    model.train()
    for layer in model.backbone.encoder.layers:
        layer.attention.attention_dropout = 0.0
    model.head.dropout.rate = 0.0
    batch = make_batch("bert", lengths=LENGTHS) | {"labels": torch.tensor([0, 2, 1, 1])}
    subnets = [
        Subnet(),
        Subnet(1.0, 1.0, (9, 7, 4, 2)),
        Subnet(1.0, 1.0, (9, 7, 3, 2)),
        Subnet(0.5, 0.5, (0.7, 0.3)),
    ]
    sum(
        F.cross_entropy(model(**batch, subnet=one).logits, batch["labels"]) for one in subnets
    ).backward()
    expected = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    accumulate_gradients(model, batch, subnets, Losses(labels=1.0))
    for name, parameter in model.named_parameters():
        if name in expected:
            torch.testing.assert_close(parameter.grad, expected[name], atol=1e-10, rtol=1e-8)


@pytest.mark.parametrize(
    ("lengths", "giga"),
    [
        (None, 4.76),
        ((315, 251, 242, 159, 142, 33), 2.55),
        ((269, 253, 252, 202, 104, 34), 2.48),
    ],
)
def test_macs_are_the_published_ones(lengths: tuple[int, ...] | None, giga: float) -> None:
    """MiniLM-L6 at 384 tokens, of the README of QuaLA-MiniLM."""
    config = DynaBertConfig(
        hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536
    )
    macs = count_macs(config, Subnet(length_config=lengths), tokens=384)
    assert macs / 1e9 == pytest.approx(giga, abs=0.005)


def test_macs_of_bert_base_at_384_tokens() -> None:
    assert count_macs(DynaBertConfig(), tokens=384) / 1e9 == pytest.approx(35.3, abs=0.05)


def test_shares_count_the_texts_own_tokens() -> None:
    config = LengthConfig((0.5, 0.25))
    assert config.tokens_left(10) == (5, 3)
    assert config.tokens_left(3) == (2, 2)
    assert config.tokens_left(1) == (1, 1)
    assert LengthConfig((0.1,)).tokens_left(30) == (3,)  # 0.1 * 30 is a little more than 3
    assert LengthConfig((8, 4)).tokens_left(6) == (6, 4)


@given(st.integers(1, 48), st.floats(0.0, 0.95))
def test_every_layer_drops_the_same_share(num_layers: int, drop: float) -> None:
    config = shrinking(num_layers, drop)
    assert config.entries == pytest.approx(
        [(1 - drop) ** number for number in range(1, num_layers + 1)], abs=1.01e-4
    )
    assert LengthConfig.parse(config.key) == config
    assert len(config.key) <= 7 * num_layers  # it names files


def test_one_token_is_not_all_of_them() -> None:
    """1 and 1.0 are equal numbers, and name opposite things."""
    assert LengthConfig((1, 1)) != LengthConfig((1.0, 1.0))
    assert len({Subnet(length_config=(1, 1)), Subnet(length_config=(1.0, 1.0))}) == 2
    assert LengthConfig((1, 0.5)) == LengthConfig((1.0, 0.5))


@given(st.lists(st.floats(0.001, 1.0), min_size=1, max_size=12), st.integers(1, 512))
def test_tokens_left_never_rise(shares: list[float], tokens: int) -> None:
    left = LengthConfig(tuple(sorted(shares, reverse=True))).tokens_left(tokens)
    assert all(
        1 <= later <= earlier <= tokens for earlier, later in zip(left, left[1:], strict=False)
    )


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ((), "a number for each layer"),
        (("8",), "a number for each layer"),
        ((True,), "a number for each layer"),
        ((8, 0), "at least 1 token"),
        ((4, 8), "no more tokens can leave"),
        ((0.5, 0.6), "no more tokens can leave"),
        ((0.5, 0.0), r"in \(0, 1\]"),
        ((1.5,), r"in \(0, 1\]"),
        ((8, 0.5), r"in \(0, 1\]"),
        (0.5, "a number for each layer"),
        ((float("nan"),), r"in \(0, 1\]"),
    ],
)
def test_what_is_no_length_configuration_is_refused(entries: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        LengthConfig(entries)  # type: ignore[arg-type]


@pytest.mark.parametrize("key", ["", "l", "l8.x", "r0.5_x", "x8", "l8_4"])
def test_what_names_no_lengths_is_refused(key: str) -> None:
    with pytest.raises(UserError, match="is no length configuration"):
        LengthConfig.parse(key)


def test_lengths_fit_the_layers_that_run() -> None:
    model = make(DynaBertForSequenceClassification)
    with pytest.raises(UserError, match="is for 4 layers, and this sub-network executes 2"):
        model(**make_batch(), subnet=Subnet(1.0, 0.5, (8, 6, 4, 2)))
    with pytest.raises(ValueError, match="one number for each of the 4 layers"):
        DynaBertConfig(num_hidden_layers=4, length_config=[8, 4])


def as_split() -> EncodedSplit:
    return EncodedSplit(
        input_ids=[[5, 6, 7], [8, 9]],
        token_type_ids=None,
        labels=np.array([0, 1]),
        pad_token_id=0,
        max_tokens=8,
        num_truncated=0,
    )


def test_what_is_not_defined_where_tokens_are_dropped_is_refused() -> None:
    model = make(DynaBertForSequenceClassification)
    dropping = Subnet(1.0, 1.0, (8, 6, 4, 2))
    with pytest.raises(UserError, match="Queries and keys are of networks that keep all tokens"):
        query_key(model, None, ["a"], dropping)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="Functions of heads are of networks that keep all tokens"):
        attention_of(model, [], dropping)
    with pytest.raises(UserError, match="of this one 8, 6, 4, 2 tokens leave the layers"):
        ablate_heads(model.extract(dropping), as_split(), metric="accuracy")
