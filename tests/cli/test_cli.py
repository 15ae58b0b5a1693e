"""The command line, end to end on a tiny model, as a user types it."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from small_data import write_csv
from transformers import AutoTokenizer
from typer.testing import CliRunner

from dynabert import DynaBertForSequenceClassification, Subnet
from dynabert.cli import attention_command, inspect_commands, serve_commands
from dynabert.cli.main import app
from dynabert.cli.options import as_typed
from dynabert.errors import UserError
from dynabert.evaluation import evaluate
from dynabert.examples import load_examples
from dynabert.importance import Importance
from dynabert.runs import Run, write_manifest
from dynabert.web import AtlasView

ROOT = Path(__file__).resolve().parents[2]
FAST = [
    *("--set", "batch_size=16", "--set", "max_tokens=24"),
    *("--set", "fine-tune.epochs=1", "--set", "width.epochs=1", "--set", "width-depth.epochs=1"),
    *("--set", "rewire.num_examples=16", "--set", "width_mults=[1.0, 0.5]"),
]


def in_a_process(*arguments: str | Path) -> str:
    """What it says when it is started as a user starts it, which takes seconds to import torch."""
    done = subprocess.run(
        [sys.executable, "-m", "dynabert", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def succeed(*arguments: str | Path) -> str:
    done = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def runs_dir(tmp_path_factory: pytest.TempPathFactory, tiny_backbone: Path) -> Path:
    """A runs folder with one run, "tiny", trained by the command line."""
    folder = tmp_path_factory.mktemp("cli")
    train_file, dev_file = write_csv(folder, train=48, dev=24)
    out = in_a_process(
        *("train", train_file, "--dev-file", dev_file, "--backbone", tiny_backbone),
        *("--name", "tiny", "--precision", "fp32", "--tokens", "8", "--seed", "3"),
        *("--runs-dir", folder / "runs", *FAST),
    )
    for stage in ("fine-tune", "rewire", "width", "width-depth", "final"):
        assert f": {stage}" in out
    assert "Run tiny is in" in out
    return folder / "runs"


def test_train_leaves_a_complete_run(runs_dir: Path) -> None:
    run = Run.load(runs_dir / "tiny")
    assert run.info.seed == 3
    assert run.info.command.startswith("python -m dynabert train ")
    assert list(run.results["subnet"]) == [
        f"w{w}-d{d}" for d in ("1.00", "0.75", "0.50") for w in ("1.00", "0.50")
    ]
    assert (run.results["num_examples"] == 24).all()
    assert (run.results["latency_ms"] > 0).all()
    assert [path.name for path in runs_dir.iterdir()] == ["tiny"]  # nothing half-done stays


def test_runs_lists_it(runs_dir: Path) -> None:
    out = in_a_process("runs", "--runs-dir", runs_dir)
    row = next(line for line in out.splitlines() if "tiny" in line)
    assert [cell.strip() for cell in row.split("│")][2:6:3] == ["train", "accuracy"]


def test_the_runs_folder_may_come_from_the_environment(
    runs_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DYNABERT_RUNS_DIR", str(runs_dir))
    assert "tiny" in succeed("runs")
    assert "tiny" not in succeed("runs", "--runs-dir", tmp_path)


def test_evaluate_agrees_with_the_results_table(runs_dir: Path) -> None:
    row = Run.load(runs_dir / "tiny").results.set_index("subnet").loc["w0.50-d0.75"]
    out = succeed(
        *("evaluate", "tiny", "--width", "0.5", "--depth", "0.75", "--json"),
        *("--runs-dir", runs_dir),
    )
    values = json.loads(out)
    assert values["subnet"] == "w0.50-d0.75"
    assert values["heads"] == [3, 3, 3]
    assert values["layers"] == [0, 1, 3]
    assert values["accuracy"] == pytest.approx(row["accuracy"])
    assert values["loss"] == pytest.approx(row["loss"], abs=1e-6)
    assert values["num_params"] == row["num_params"]


def test_standard_output_is_json_alone_however_long_it_takes(
    runs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dynabert.cli.display._LOG_SECONDS", -1.0)  # a line for every batch
    done = CliRunner().invoke(app, ["evaluate", "tiny", "--json", "--runs-dir", str(runs_dir)])
    assert json.loads(done.stdout)["num_examples"] == 24
    assert "evaluating sub-networks: 24 of 24" in done.stderr


def test_sweep_writes_and_keeps_rows(runs_dir: Path, tmp_path: Path) -> None:
    out_file = tmp_path / "sweep.csv"
    succeed(
        *("sweep", "tiny", "--widths", "1,0.33", "--depths", "0.25", "--tokens", "8"),
        *("--out", out_file, "--keep", "--runs-dir", runs_dir),
    )
    rows = pd.read_csv(out_file)
    assert list(rows["subnet"]) == ["w1.00-d0.25", "w0.33-d0.25"]
    assert list(rows["heads"]) == ["[6]", "[1]"]
    assert list(rows["layers"]) == ["[4]", "[4]"]
    kept = Run.load(runs_dir / "tiny").results
    assert set(rows["subnet"]) < set(kept["subnet"])
    assert kept["subnet"].is_unique


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--tokens", "100000"), r"this model reads at most \d+ tokens, got 100000"),
        (("--tokens", "0"), "tokens must be at least 1, got 0"),
        (
            ("--widths", "1,x", "--data-dir", "nowhere"),
            "--widths takes numbers separated by commas",
        ),
        (("--keep",), "cannot write to .*tiny, where the result would be kept"),
    ],
)
def test_sweep_refuses_before_it_evaluates(
    runs_dir: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    evaluated: list[object] = []
    monkeypatch.setattr(inspect_commands, "sweep_subnets", lambda *a, **k: evaluated.append(a))
    access = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: Path(path).name != "tiny" and access(path, mode)
    )
    done = CliRunner().invoke(app, ["sweep", "tiny", *arguments, "--runs-dir", str(runs_dir)])
    assert isinstance(done.exception, UserError)
    assert re.search(said, str(done.exception))
    assert evaluated == []


@pytest.mark.parametrize("verb", ["sweep", "ablate"])
def test_what_was_measured_on_other_examples_is_not_kept(
    runs_dir: Path, tmp_path: Path, verb: str
) -> None:
    write_csv(tmp_path, train=48, dev=20)
    before = Run.load(runs_dir / "tiny").all_results
    done = CliRunner().invoke(
        app,
        [verb, "tiny", "--keep", "--data-dir", str(tmp_path), "--runs-dir", str(runs_dir)],
    )
    assert isinstance(done.exception, UserError)
    assert "--keep needs the run's own" in str(done.exception)
    pd.testing.assert_frame_equal(Run.load(runs_dir / "tiny").all_results, before)


def test_only_costs_that_compare_are_kept(runs_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(runs_dir / "tiny", tmp_path / "tiny")
    one = ("sweep", "tiny", "--widths", "0.5", "--depths", "1", "--runs-dir", str(tmp_path))

    def times() -> tuple[float, float]:
        row = Run.load(tmp_path / "tiny").all_results.set_index("subnet").loc["w0.50-d1.00"]
        return float(row["latency_ms"]), float(row["latency_batch_size"])

    before = times()
    done = CliRunner().invoke(app, [*one, "--keep", "--tokens", "9"])
    assert isinstance(done.exception, UserError)
    assert "tiny counts costs for 8 tokens, got 9" in str(done.exception)
    said = succeed(*one, "--keep", "--latency-batch", "3")
    assert "measured but not kept: the run's are of 1 text at a time" in " ".join(said.split())
    assert "without latencies: the run's are of 1 text at a time" in " ".join(said.split())
    assert times() == before
    succeed(*one, "--keep")
    assert times() != before
    path = tmp_path / "tiny" / "recipe.yaml"
    values = yaml.safe_load(path.read_text(encoding="utf-8")) | {"machine": "a far machine"}
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    write_manifest(tmp_path / "tiny")
    before = times()
    said = succeed(*one, "--keep")
    assert "the run's are of another machine (a far machine)" in " ".join(said.split())
    assert times() == before


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


def test_sweep_over_shares_of_tokens_that_are_dropped(runs_dir: Path, tmp_path: Path) -> None:
    out_file = tmp_path / "drops.csv"
    said = succeed(
        *("sweep", "tiny", "--widths", "0.5", "--depths", "1,0.5", "--drops", "0,0.5"),
        *("--tokens", "8", "--out", out_file, "--keep", "--runs-dir", runs_dir),
    )
    rows = pd.read_csv(out_file)
    kept = Run.load(runs_dir / "tiny")
    assert set(rows["subnet"]) < set(kept.all_results["subnet"])
    assert kept.results["length_config"].isna().all()
    assert list(rows["subnet"]) == [
        "w0.50-d1.00",
        "w0.50-d1.00-r0.5_0.25_0.125_0.0625",
        "w0.50-d0.50",
        "w0.50-d0.50-r0.5_0.25",
    ]
    assert "4,2,2,2" in said
    assert "8,8" in said
    assert (rows["macs"][::2].to_numpy() > rows["macs"][1::2].to_numpy()).all()
    run = Run.load(runs_dir / "tiny")
    examples, metrics = load_examples(run), run.info.task.metrics
    for row in rows.to_dict("records"):
        own = evaluate(run.model(), examples.dev, Subnet.parse(row["subnet"]), metrics=metrics)
        assert row[metrics[0]] == own.metrics[metrics[0]]
        assert row["loss"] == pytest.approx(own.loss)


def test_sweep_of_all_has_every_number_of_heads_and_layers(runs_dir: Path, tmp_path: Path) -> None:
    out_file = tmp_path / "all.csv"
    succeed(
        *("sweep", "tiny", "--widths", "all", "--depths", "all", "--tokens", "4"),
        *("--out", out_file, "--runs-dir", runs_dir),
    )
    rows = pd.read_csv(out_file)
    heads = rows["heads"].map(lambda text: json.loads(text)[0])
    layers = rows["layers"].map(lambda text: len(json.loads(text)))
    assert {*zip(heads, layers, strict=True)} >= {(h, y) for h in range(1, 7) for y in range(1, 5)}
    assert rows["subnet"].is_unique


def test_importance_is_in_original_order(runs_dir: Path, tmp_path: Path) -> None:
    out = succeed("importance", "tiny", "--runs-dir", runs_dir)
    assert "by which the network was rewired, 16 train examples" in " ".join(out.split())
    out_file = tmp_path / "scores.safetensors"
    succeed(
        *("importance", "tiny", "--measure", "--split", "dev", "--out", out_file),
        *("--runs-dir", runs_dir),
    )
    scores = Importance.load(out_file)
    assert scores.heads.shape == (4, 6)
    assert scores.neurons.shape == (4, 60)
    assert scores.about["num_examples"] == "24"


def test_ablate_measures_every_head_and_keeps_it(runs_dir: Path, tmp_path: Path) -> None:
    out_file = tmp_path / "heads.csv"
    shown = " ".join(
        succeed("ablate", "tiny", "--keep", "--out", out_file, "--runs-dir", runs_dir).split()
    )
    assert "dev, 24 examples" in shown
    assert "and 12 more, whose removal raises the loss less" in shown
    kept = Run.load(runs_dir / "tiny").ablation
    assert kept is not None
    assert (kept.num_examples, kept.loss_change.shape) == (24, (4, 6))
    table = pd.read_csv(out_file)
    assert len(table) == 24
    assert table["loss_change"].is_monotonic_decreasing
    row = table.iloc[0]
    expected = kept.loss_change[int(row["layer"]) - 1, int(row["head"]) - 1]
    assert row["loss_change"] == pytest.approx(expected, abs=1e-6)


def test_extract_gives_the_same_answers(runs_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "small"
    succeed(
        *("extract", "tiny", "--width", "0.5", "--depth", "0.5", "--out", out),
        *("--runs-dir", runs_dir),
    )
    small = DynaBertForSequenceClassification.from_pretrained(out).eval()
    assert small.config.shape.heads == (3, 3)
    whole = Run.load(runs_dir / "tiny").model()
    inputs = AutoTokenizer.from_pretrained(out)("the cat is good.", return_tensors="pt")
    with torch.no_grad():
        sliced = whole(**inputs, subnet=Subnet(0.5, 0.5)).logits
        torch.testing.assert_close(small(**inputs).logits, sliced, atol=1e-5, rtol=0)


VERBS = ("train", "evaluate", "sweep", "importance", "ablate", "extract", "runs", "app")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb: str) -> None:
    shown = CliRunner().invoke(app, [verb, "--help"])
    assert shown.exit_code == 0
    assert f"Example: python -m dynabert {verb}" in " ".join(shown.output.split())


@pytest.mark.parametrize(
    ("options", "named", "expected"),
    [
        ((), None, None),  # the app's own default: on
        (("--address", "0.0.0.0"), None, "off"),
        (("--address", "0.0.0.0"), "on", "on"),
        (("--address", "0.0.0.0", "--training"), None, "on"),
        (("--no-training",), "on", "off"),
    ],
)
def test_visitors_from_other_machines_train_only_where_that_is_said(
    options: tuple[str, ...],
    named: str | None,
    expected: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("DYNABERT_TRAINING", raising=False)
    if named is not None:
        monkeypatch.setenv("DYNABERT_TRAINING", named)
    environments: list[dict[str, str]] = []

    def start(program: str, command: list[str], env: dict[str, str]) -> None:
        environments.append(env)

    monkeypatch.setattr(serve_commands.os, "execve", start)
    monkeypatch.setattr(serve_commands.os, "chdir", lambda folder: None)
    assert CliRunner().invoke(app, ["app", *options]).exit_code == 0
    assert [env.get("DYNABERT_TRAINING") for env in environments] == [expected]


def test_an_address_of_either_kind_finds_its_port() -> None:
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family, socket.SOCK_STREAM) as taken:
            try:
                taken.bind((address, 0))
            except OSError:
                continue  # a machine without IPv6
            taken.listen()
            port = taken.getsockname()[1]
            assert serve_commands.free_port(port, address) > port


def test_an_address_without_its_scope_is_no_full_port() -> None:
    try:
        socket.getaddrinfo("fe80::1", None, type=socket.SOCK_STREAM)
        socket.socket(socket.AF_INET6, socket.SOCK_STREAM).close()
    except OSError:
        pytest.skip("a machine without IPv6")
    with pytest.raises(UserError, match="'fe80::1' is no address of this machine"):
        serve_commands.free_port(8501, "fe80::1")


@pytest.mark.parametrize(
    ("processes", "start"),
    [
        (None, "python -m"),
        ("1", "python -m"),
        ("2", "python -m torch.distributed.run --nproc_per_node 2 -m"),
    ],
)
def test_the_command_that_is_kept_starts_as_many_processes(
    monkeypatch: pytest.MonkeyPatch, processes: str | None, start: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["dynabert", "train", "my film.csv"])
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    if processes is not None:
        monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)
    assert as_typed() == f"{start} dynabert train 'my film.csv'"


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


def damaged(runs_dir: Path, folder: Path) -> str:
    """The name of a copy of the run, in that folder, with one byte changed."""
    shutil.copytree(runs_dir / "tiny", folder / "hurt")
    weights = folder / "hurt" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-5] ^= 1
    weights.write_bytes(content)
    return "hurt"


def test_damaged_run_is_listed_as_such(runs_dir: Path, tmp_path: Path) -> None:
    damaged(runs_dir, tmp_path)
    assert "damaged" in succeed("runs", "--runs-dir", tmp_path)


def test_too_long_sentences_are_cut_with_a_notice(tiny_backbone: Path, tmp_path: Path) -> None:
    train_file, dev_file = write_csv(tmp_path, train=32, dev=16)
    with dev_file.open("a", encoding="utf-8") as file:
        file.write(f"{'the cat is good ' * 30},pos\n")
    out = succeed(
        *("train", train_file, "--dev-file", dev_file, "--backbone", tiny_backbone),
        *("--name", "long", "--recipe", "fine-tune", "--set", "fine-tune.epochs=1"),
        *("--precision", "fp32", "--tokens", "8", "--runs-dir", tmp_path / "runs"),
    )
    assert "dev: 1 of 17 examples are longer than 40 tokens and were cut" in out
    assert "the backbone reads at most 40 tokens, fewer than the task's 128" in out
    assert len(Run.load(tmp_path / "runs" / "long").info.notices) == 2


def test_attention_writes_a_page(runs_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "view.html"
    options = ("--runs-dir", runs_dir, "--text", "a good dog", "--out", out)
    said = succeed("attention", "tiny", *options, "--width", "0.5", "--map", "rollout")
    assert "24 sub-networks, 5 tokens" in said
    assert "width 0.5, depth 1: 4 layers" in out.read_text()
    assert "Note:" not in said
    said = succeed("attention", "tiny", *options, "--width", "0.45", "--depth", "0.1")
    assert "opened at width 0.5 and depth 0.25, the nearest" in said


@pytest.mark.parametrize(("given", "is_first"), [((), True), (("--layer", "2"), False)])
def test_attention_opens_with_a_head_that_the_sub_network_has(
    runs_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    given: tuple[str, ...],
    is_first: bool,
) -> None:
    views: list[AtlasView] = []

    def make(run: Run, texts: object, atlas: object, view: AtlasView) -> str:
        views.append(view)
        return "made"

    monkeypatch.setattr(attention_command, "atlas_page", make)
    text = ("--text", "a good dog", "--out", tmp_path / "view.html", "--runs-dir", runs_dir)
    succeed("attention", "tiny", *text, "--width", "0.5", "--depth", "0.5", *given)
    (view,) = views
    run = Run.load(runs_dir / "tiny")
    first, *_ = Subnet(0.5, 0.5).resolve(run.config.shape).executed
    order = run.model().backbone.encoder.layers[first.layer].attention.head_ids.tolist()
    usual = (first.layer + 1, min(order[: first.num_heads]) + 1)
    assert (view.layer, view.head) == (usual if is_first else (2, 1))
