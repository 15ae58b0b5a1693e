"""What every verb says of bad input, and of itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml
from command_line import damaged
from small_data import write_csv
from typer.testing import CliRunner

from dynabert.cli.main import app
from dynabert.runs import write_manifest

pytest_plugins = ["trained_run"]


@pytest.mark.parametrize("verb", typer.main.get_command(app).commands)
def test_every_verb_has_help_with_an_example(verb: str) -> None:
    shown = CliRunner().invoke(app, [verb, "--help"])
    assert shown.exit_code == 0
    assert f"Example: python -m dynabert {verb}" in " ".join(shown.output.split())


def test_bad_input_is_one_sentence_and_exit_code_2(
    runs_dir: Path, tiny_backbone: Path, tmp_path: Path
) -> None:
    train_file, _ = write_csv(tmp_path)
    wrong_label = tmp_path / "wrong.csv"
    wrong_label.write_text("text,label\ngood film,maybe\n", encoding="utf-8")
    glue = tmp_path / "glue" / "CoLA"
    glue.mkdir(parents=True)
    (glue / "train.tsv").write_text("x\t1\t\tthe cat sat\nx\t7\t\ta dog ran\n", encoding="utf-8")
    (glue / "dev.tsv").write_text("x\t1\t\tthe cat sat\n", encoding="utf-8")
    train = ("train", train_file, "--backbone", tiny_backbone, "--runs-dir", tmp_path / "runs")
    hurt = damaged(runs_dir, tmp_path)
    said = ("--text", "a good dog", "--out", tmp_path / "view.html", "--second-text", "b")
    cases: list[tuple[tuple[str | Path, ...], str]] = [
        (("train", "colla"), "unknown task 'colla'; known are cola, sst2"),
        (("train", train_file, "--backbone", "nosuch"), "unknown backbone 'nosuch'"),
        (("evaluate", "tiny", "--width", "0"), "width_mult must be a number in (0, 1]"),
        (("evaluate", "tiny", "--width", "1.5"), "got 1.5"),
        (("evaluate", "tiny", "--depth", "nan"), "depth_mult must be a number in (0, 1]"),
        (("evaluate", "tiny", "--subnet", "w0.5x"), "w0.5x"),
        (("evaluate", "nosuch"), "there is no run 'nosuch'; runs in"),
        ((*train, "--text-column", "sentence"), "has no column 'sentence'; it has 'text', 'label'"),
        ((*train, "--dev-file", wrong_label), "label 'maybe' does not belong to train"),
        (
            ("train", "cola", "--backbone", tiny_backbone, "--data-dir", glue.parent),
            "line 2: label '7' does not belong to cola; its labels are 0, 1",
        ),
        (("train", "cola", "--data-dir", tmp_path / "none"), "does not exist"),
        ((*train, "--name", "../up"), "'../up' cannot name a run"),
        ((*train, "--recipe", "magic"), "unknown recipe 'magic'; known are dynabert"),
        ((*train, "--set", "width.epochs=-1"), "greater than 0 (got -1"),
        ((*train, "--set", "nosuch=1"), "no such field"),
        ((*train, "--num-train", "0"), "must be between 1 and 87, got 0"),
        ((*train, "--seed", "-1"), "seed must be from 0 to 4294967295, got -1"),
        ((*train, "--tokens", "100000"), "reads at most 40 tokens, got --tokens 100000"),
        ((*train, "--data-dir", tmp_path), "--data-dir is for GLUE tasks"),
        ((*train, "--set", "fine-tune.name=../evil"), "should match pattern"),
        (("train", "teaching", "--data-dir", tmp_path), "the teaching set is generated"),
        (("train", "my task"), "unknown task 'my task'"),
        (("train", "cola", "--label-column", "x"), "--label-column is for CSV files only"),
        (("sweep", "tiny", "--drops", "0,1"), "--drops takes shares from 0 to below 1"),
        (("sweep", "tiny", "--drops", "0,x"), "for example 1,0.5, got '0,x'"),
        (("sweep", "tiny", "--widths", "1,a"), "--widths takes numbers separated by commas"),
        (("sweep", "tiny", "--out", "table.txt"), "--out writes .csv or .parquet"),
        (("sweep", "tiny", "--out", tmp_path / "no" / "t.csv"), "there is no folder"),
        (("importance", "tiny", "--split", "dev"), "--split says how to measure; give --measure"),
        (("extract", "tiny", "--out", train_file / "x"), "train.csv is no folder"),
        # A folder will do instead of a name, and nothing is overwritten.
        (("extract", runs_dir / "tiny", "--width", "0.5", "--out", glue), "exists already"),
        (("attention", "tiny", *said), "reads one text at a time"),
        (("attention", "tiny", *said, "--width", "5"), "--width must be a number in (0, 1]"),
        (
            ("evaluate", hurt, "--runs-dir", tmp_path),
            f"run {tmp_path / hurt} is damaged: model.safetensors is not the file that was written",
        ),
        (("evaluate", "tiny", "--subnet", f"w1-y{'9' * 5000}"), "is not a number"),
        (("app", "--address", ""), "--address is empty"),
        (("app", "--runs-dir", "/dev/null"), "--runs-dir /dev/null is no folder"),
        (("app", "--address", "no.such.host.invalid"), "no address 'no.such.host.invalid'"),
    ]
    # One process for all of them: what takes time is importing torch.
    script = (
        "import json, sys\n"
        "from dynabert.cli import main\n"
        "for arguments in json.loads(sys.argv[1]):\n"
        "    sys.argv = ['dynabert', *arguments]\n"
        "    try: main()\n"
        "    except SystemExit as stop: print('\\0', stop.code, file=sys.stderr, flush=True)\n"
    )
    runs = ("--runs-dir", runs_dir)
    commands = [
        [str(a) for a in (*arguments, *(() if "--runs-dir" in arguments else runs))]
        for arguments, _ in cases
    ]
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps(commands)],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )
    parts = done.stderr.split("\0")
    assert len(parts) == len(cases) + 1, done.stderr[-2000:]
    message = parts[0]
    for (arguments, sentence), rest in zip(cases, parts[1:], strict=True):
        code, _, following = rest.partition("\n")
        text = " ".join(message.split())
        assert sentence in text, f"{arguments}: {text}"
        assert "Traceback" not in text
        assert code.strip() == "2", f"{arguments}: exit code {code}"
        message = following


@pytest.mark.parametrize(
    ("verb", "option"),
    [
        ("sweep", "--latency-batch"),
        ("choose", "--batch"),
        ("search", "--batch"),
        ("ose", "--batch"),
        ("latency", "--batch"),
    ],
)
@pytest.mark.parametrize(
    ("batch", "said"),
    [("0", "greater than or equal to 1"), ("1025", "less than or equal to 1024")],
)
def test_a_pass_that_is_timed_is_of_a_thousand_texts_at_most(
    runs_dir: Path, verb: str, option: str, batch: str, said: str
) -> None:
    done = CliRunner().invoke(app, [verb, "tiny", option, batch, "--runs-dir", str(runs_dir)])
    assert done.exit_code == 2
    told = " ".join(done.output.replace("│", "").split())
    assert option in told
    assert said in told


def test_a_folder_for_generated_examples_is_refused_by_every_verb(
    runs_dir: Path, tmp_path: Path
) -> None:
    shutil.copytree(runs_dir / "tiny", tmp_path / "tiny")
    path = tmp_path / "tiny" / "recipe.yaml"
    values = yaml.safe_load(path.read_text(encoding="utf-8")) | {"data": {"task": "teaching"}}
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    write_manifest(tmp_path / "tiny")
    out = str(tmp_path / "out")
    for verb, *options in (
        ("evaluate",),
        ("sweep",),
        ("importance",),
        ("importance", "--measure"),
        ("ablate",),
        ("extract", "--out", out),
        ("extract", "--format", "onnx-int8", "--out", out),
        ("search", "--trials", "2"),
        ("ose", "--epsilon", "1"),
        ("ose-plain",),
        ("choose", "--params", "1e9"),
    ):
        command = [verb, "tiny", *options, "--data-dir", "/tmp", "--runs-dir", str(tmp_path)]
        done = CliRunner().invoke(app, command)
        assert "the teaching set is generated" in str(done.exception), verb
    assert not (tmp_path / "out").exists()
