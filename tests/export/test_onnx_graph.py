"""The ONNX graph of a sub-network, against the network it was made from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from conftest import make_batch, make_hf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dynabert import DynaBertForQuestionAnswering, DynaBertForSequenceClassification, Subnet
from dynabert.errors import UserError
from dynabert.export import onnx_file
from dynabert.export.onnx_file import INPUTS, output_names, quantize_onnx, write_onnx
from dynabert.export.onnx_network import OnnxNetwork
from dynabert.modeling.models import TaskModel

CLASSES = (DynaBertForSequenceClassification, DynaBertForQuestionAnswering)
BATCHES = ((11, 7, 3, 9), (5,), (1,), (20, 2), (4, 4, 4, 4, 4))


def make(kind: type[TaskModel], backbone: str) -> TaskModel:
    torch.manual_seed(0)
    hf = make_hf(backbone, kind.__name__.removeprefix("DynaBert"), dtype=torch.float32)
    return kind.from_hf(hf).eval()


def differences(network: OnnxNetwork, model: TaskModel, subnet: Subnet, backbone: str) -> float:
    """The largest of any logit, over batches of many shapes."""
    largest = 0.0
    for lengths in BATCHES:
        batch = make_batch(backbone, lengths=lengths)
        given = {name: batch[name] for name in network.inputs}
        with torch.no_grad():
            expected = model.logits_of(model(**given, subnet=subnet), batch["attention_mask"])
        for wanted, got in zip(expected, network(given), strict=True):
            assert got.shape == tuple(wanted.shape)
            largest = max(largest, float(np.abs(got - wanted.numpy()).max()))
    return largest


@pytest.mark.parametrize(
    ("kind", "backbone", "subnet"),
    [
        (DynaBertForSequenceClassification, "bert", Subnet(0.5, 0.5)),
        (DynaBertForSequenceClassification, "roberta", Subnet(1.0, 0.75, (0.8, 0.5, 0.3))),
        (DynaBertForQuestionAnswering, "bert", Subnet(0.5, 0.75, (6, 4, 2))),
    ],
    ids=["narrow", "shares", "counts"],
)
def test_the_file_answers_as_the_sub_network_does_whatever_the_batch(
    tmp_path: Path, kind: type[TaskModel], backbone: str, subnet: Subnet
) -> None:
    model, path = make(kind, backbone), tmp_path / "model.onnx"
    inputs = INPUTS if backbone == "bert" else INPUTS[:2]
    write_onnx(model.extract(subnet), path, inputs)
    network = OnnxNetwork(path)
    assert network.inputs == inputs
    assert tuple(one.name for one in onnx.load(path).graph.output) == output_names(model)
    assert differences(network, model, subnet, backbone) < 1e-5
    # An export must leave nothing behind: the network runs as it did.
    assert not torch.compiler.is_exporting()


def test_eight_bits_are_a_quarter_of_the_size_and_nearly_the_same_answers(tmp_path: Path) -> None:
    torch.manual_seed(0)
    hf = make_hf(
        "bert", dtype=torch.float32, hidden_size=96, intermediate_size=384, vocab_size=4999
    )
    model = DynaBertForSequenceClassification.from_hf(hf).eval()
    exact, small = tmp_path / "exact.onnx", tmp_path / "small.onnx"
    write_onnx(model, exact)
    quantize_onnx(exact, small)
    assert 3.0 < exact.stat().st_size / small.stat().st_size < 4.0
    batch = make_batch("bert", lengths=(11,) * 64)
    (wanted,), (got,) = OnnxNetwork(exact)(batch), OnnxNetwork(small)(batch)
    assert 0 < np.abs(got - wanted).max()
    assert np.corrcoef(got.flatten(), wanted.flatten())[0, 1] > 0.99


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(onnx_file, "PACKAGES", ("onnx", "no_such_package"))
    with pytest.raises(UserError, match="need no_such_package; install with: pip install no_such"):
        write_onnx(make(DynaBertForSequenceClassification, "bert"), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


@st.composite
def _lengths(draw: st.DrawFn) -> tuple[float, ...]:
    if draw(st.booleans()):
        entries = draw(st.lists(st.integers(1, 12), min_size=4, max_size=4))
    else:
        entries = draw(st.lists(st.floats(0.05, 1.0), min_size=4, max_size=4))
    return tuple(sorted(entries, reverse=True))


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    lengths=_lengths(),
    sizes=st.lists(st.integers(1, 14), min_size=1, max_size=5),
    kind=st.sampled_from(CLASSES),
    backbone=st.sampled_from(("bert", "roberta")),
)
def test_the_way_graphs_drop_tokens_is_the_way_networks_do(
    monkeypatch: pytest.MonkeyPatch,
    lengths: tuple[float, ...],
    sizes: list[int],
    kind: type[TaskModel],
    backbone: str,
) -> None:
    """What is traced for a graph, run as it is: with counts as tensors, and looking at no value."""
    model, batch = make(kind, backbone).double(), make_batch(backbone, lengths=tuple(sizes))
    subnet, mask = Subnet(1.0, 1.0, lengths), batch["attention_mask"]
    with torch.no_grad():
        expected = model.logits_of(model(**batch, subnet=subnet), mask)
        with monkeypatch.context() as exporting:
            exporting.setattr(torch.compiler, "is_exporting", lambda: True)
            traced = model.logits_of(model(**batch, subnet=subnet), mask)
    for wanted, got in zip(expected, traced, strict=True):
        torch.testing.assert_close(got, wanted, atol=1e-10, rtol=0)
