"""A sub-network as a folder with an ONNX file: whole and checked, or not there."""

from __future__ import annotations

import io
import json
import shlex
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from tiny_run import write_tiny_run
from transformers import AutoTokenizer
from typer.testing import CliRunner

from dynabert import Subnet
from dynabert.cli.main import app
from dynabert.errors import UserError
from dynabert.evaluation import evaluate
from dynabert.examples import load_examples
from dynabert.export import apart, export_command, export_onnx, onnx_archive, onnx_folder
from dynabert.export.naming import Format
from dynabert.export.onnx_network import OnnxNetwork
from dynabert.runs import Run

SUBNET = Subnet(0.5, 0.5, (0.8, 0.5))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_backbone: Path) -> Run:
    return write_tiny_run(tmp_path_factory.mktemp("onnx") / "runs", tiny_backbone)


def test_the_file_is_scored_as_the_sub_network_and_its_card_says_how_to_use_it(
    run: Run, tmp_path: Path
) -> None:
    examples, phases, done = load_examples(run), list[str](), list[int]()
    facts = export_onnx(
        *(run, SUBNET, tmp_path / "small"),
        examples=examples,
        on_phase=phases.append,
        on_batch=done.append,
    )
    assert phases == ["writing the graph", "comparing its answers", "scoring", "timing"]
    assert done[-1] == examples.num_dev
    assert facts.difference < 1e-5
    metrics = run.info.task.metrics
    expected = evaluate(run.model(), examples.dev, SUBNET, metrics=metrics)
    assert facts.evaluation is not None
    assert facts.evaluation.metrics == expected.metrics
    assert facts.evaluation.loss == pytest.approx(expected.loss, abs=1e-5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small"]
    known = {one.key: one.value for one in onnx.load(tmp_path / "small/model.onnx").metadata_props}
    assert known["subnet"] == SUBNET.key
    assert json.loads(known["answers"]) == ["neg", "pos"]

    card = (tmp_path / "small" / "README.md").read_text(encoding="utf-8")
    score = f"accuracy {expected.metrics['accuracy']:.4f}"
    assert score in card
    assert "measured with this file" in card
    assert export_command(run, SUBNET, form="onnx", argument=run.name) in card
    # The lines that the card gives, run as they are.
    code = card.split("```python\n")[1].split("```")[0]
    code = code.replace("path/to/this/folder", str(tmp_path / "small"))
    code = code.replace('["..."]', '["the cat is good.", "bad."]')
    names: dict[str, np.ndarray] = {}
    exec(code, names)
    inputs = AutoTokenizer.from_pretrained(tmp_path / "small")(
        ["the cat is good.", "bad."], padding=True, return_tensors="pt"
    )
    with torch.no_grad():
        logits = run.model()(**inputs, subnet=SUBNET).logits
    np.testing.assert_allclose(names["logits"], logits.numpy(), atol=1e-5)


def test_a_graph_that_answers_otherwise_is_not_kept(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = onnx_folder.write_onnx

    def wrong(model, path, inputs):
        model.head.output.bias.data += 0.01
        right(model, path, inputs)

    monkeypatch.setattr(onnx_folder, "write_onnx", wrong)
    with pytest.raises(UserError, match=r"differ by up to 0\.01\. Nothing was written"):
        export_onnx(run, Subnet(0.5, 0.5), tmp_path / "small")
    assert not list(tmp_path.iterdir())
    (tmp_path / "there").mkdir()
    with pytest.raises(UserError, match="there exists already"):
        export_onnx(run, SUBNET, tmp_path / "there")


def test_the_command_scores_eight_bits_by_the_file_itself(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "small"
    arguments = ["extract", str(run.folder), "--width", "0.5", "--out", str(out)]
    result = CliRunner().invoke(app, [*arguments, "--format", "onnx-int8", "--json"])
    assert result.exit_code == 0, result.output
    values = json.loads(result.stdout)
    network, dev = OnnxNetwork(out / "model.onnx"), load_examples(run).dev
    batch = dev.batch(range(len(dev)))
    (logits,) = network(batch)
    share = float((logits.argmax(-1) == batch["labels"].numpy()).mean())
    assert values["metrics"]["accuracy"] == pytest.approx(share)
    assert values["bytes"] == (out / "model.onnx").stat().st_size
    assert values["format"] == "onnx-int8"
    assert values["latency_ms"] > 0 < values["latency_ms_torch"]
    assert "scoring" in result.stderr
    assert "scoring" not in result.stdout


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--format", "onnx", "--no-score"), "--no-score are about the score of an 8-bit file"),
        (("--format", "onnx", "--half"), "--half is for --format transformers, got --format onnx"),
        (("--format", "openvino"), "'openvino' is not one of"),
    ],
)
def test_bad_choices_are_refused_before_any_work(
    run: Run, tmp_path: Path, more: tuple[str, ...], said: str
) -> None:
    arguments = ["extract", str(run.folder), "--out", str(tmp_path / "x"), *more]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code != 0
    assert said in " ".join(f"{result.output} {result.exception}".replace("│", " ").split())
    assert not list(tmp_path.iterdir())


def test_an_archive_is_made_in_a_process_of_its_own(run: Run, tmp_path: Path) -> None:
    lines: list[str] = []
    archive = onnx_archive(run, Subnet(0.5, 0.5), "onnx", on_line=lines.append)
    files = zipfile.ZipFile(io.BytesIO(archive.content))
    folder = "tiny-w0.50-d0.50-onnx"
    assert f"{folder}/model.onnx" in files.namelist()
    assert archive.num_bytes == files.getinfo(f"{folder}/model.onnx").file_size
    assert archive.card == files.read(f"{folder}/README.md").decode()
    assert archive.metrics is None  # in 32 bits it scores as the sub-network does
    assert "writing the graph …" in lines
    assert shlex.split(archive.card.split("Taken away with `")[1].split("`")[0])[4] == "tiny"


@pytest.mark.parametrize(
    ("form", "scored", "more"),
    [("onnx-int8", True, []), ("onnx-int8", False, ["--no-score"]), ("onnx", False, [])],
)
def test_an_archive_is_scored_only_where_that_is_wanted(
    run: Run, monkeypatch: pytest.MonkeyPatch, form: Format, scored: bool, more: list[str]
) -> None:
    asked: list[list[str]] = []

    def run_apart(arguments: list[str], *, on_line: object) -> str:
        asked.append(arguments)
        raise UserError("seen")

    monkeypatch.setattr(apart, "run_apart", run_apart)
    with pytest.raises(UserError, match="seen"):
        onnx_archive(run, SUBNET, form, scored=scored, on_line=lambda line: None)
    (arguments,) = asked
    assert arguments[arguments.index("--format") + 1 : -3] == [form, *more]


def test_an_archive_that_cannot_be_made_says_why(run: Run) -> None:
    """The whole sentence, however long it is."""
    with pytest.raises(UserError) as raised:
        onnx_archive(run, _Rising(), "onnx", on_line=lambda line: None)  # type: ignore[arg-type]
    said = " ".join(str(raised.value).split())
    assert said.startswith("no more tokens can leave a layer than entered it, got (2, 3, 3")
    assert len(said) > 300


class _Rising:
    """A sub-network that there is none of."""

    key = "w1.00-d1.00-l2" + ".3" * 150


def test_whoever_watches_may_end_it(run: Run) -> None:
    class Enough(Exception):
        pass

    def watch(line: str) -> None:
        raise Enough

    with pytest.raises(Enough):
        onnx_archive(run, SUBNET, "onnx", on_line=watch)
