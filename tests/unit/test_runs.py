"""A run is complete or not there; a damaged one says so."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from tiny_run import write_tiny_run

from dynabert.analysis.choices import keeping_all_tokens
from dynabert.errors import UserError
from dynabert.evaluation.retiming import TIMES
from dynabert.files import write_text_atomically
from dynabert.names import check_run_name
from dynabert.results import as_csv, read_results
from dynabert.runs import (
    Run,
    find_run,
    list_runs,
    unfinished_folder,
    write_manifest,
    write_run,
)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, tiny_backbone: Path) -> Run:
    return write_tiny_run(tmp_path_factory.mktemp("runs"), tiny_backbone)


@pytest.fixture
def copy(written: Run, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written.folder, tmp_path / "copy"))


def test_round_trip(written: Run) -> None:
    again = Run.load(written.folder)
    assert again.info == written.info
    assert list_runs(written.folder.parent) == ["tiny"]
    assert find_run("tiny", written.folder.parent).folder == written.folder
    assert find_run(str(written.folder), Path("nowhere")).name == "tiny"
    first, second = again.model(), again.model()
    assert not first.training
    assert first is not second
    batch = again.tokenizer()(["the cat is good."], return_tensors="pt")
    with torch.no_grad():
        assert torch.equal(first(**batch).logits, second(**batch).logits)
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o644 for path in written.folder.iterdir())
    assert not [path for path in written.folder.iterdir() if path.suffix in (".bin", ".pt", ".pkl")]


def test_flipped_bit(copy: Path) -> None:
    weights = copy / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with pytest.raises(UserError, match=r"is damaged: model\.safetensors is not the file that was"):
        Run.load(copy)


def test_missing_file(copy: Path) -> None:
    (copy / "results.parquet").unlink()
    with pytest.raises(UserError, match=r"is damaged: results\.parquet is missing"):
        Run.load(copy)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/b"])
def test_manifest_stays_in_its_folder(copy: Path, name: str) -> None:
    (copy / "manifest.json").write_text(json.dumps({name: "0"}), encoding="utf-8")
    with pytest.raises(UserError, match=r"manifest\.json is damaged"):
        Run.load(copy)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"config.json": 1}'])
def test_broken_manifest(copy: Path, text: str) -> None:
    (copy / "manifest.json").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"manifest\.json is damaged"):
        Run.load(copy)


def test_manifest_must_name_what_makes_a_run(copy: Path) -> None:
    path = copy / "manifest.json"
    whole = json.loads(path.read_text(encoding="utf-8"))
    for name in ("model.safetensors", "tokenizer.json", "results.parquet", "recipe.yaml"):
        path.write_text(json.dumps({n: d for n, d in whole.items() if n != name}))
        with pytest.raises(UserError, match=f"is damaged: it does not name {name}"):
            Run.load(copy)


def test_damaged_measurements_say_so(copy: Path) -> None:
    run = Run.load(copy)
    rows = run.results
    (copy / "measured.parquet").write_bytes(b"xx")
    with pytest.raises(UserError, match=r"measured\.parquet is damaged.*Remove that file"):
        _ = run.results
    with pytest.raises(UserError, match=r"measured\.parquet is damaged"):
        run.add_results(rows)
    assert (copy / "measured.parquet").read_bytes() == b"xx"


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("config.json", "{", "config.json: "),
        ("model.safetensors", "xx", "cannot load the model"),
        ("recipe.yaml", "command: [", "cannot read recipe.yaml"),
        ("recipe.yaml", "seed: x", "recipe.yaml: command: Field required"),
    ],
)
def test_damage_that_the_manifest_confirms(
    copy: Path, name: str, content: str, sentence: str
) -> None:
    (copy / name).write_text(content, encoding="utf-8")
    write_manifest(copy)

    def open_all() -> None:
        run = Run.load(copy)
        _ = run.config
        run.model()

    with pytest.raises(UserError, match=sentence):
        open_all()


@pytest.mark.parametrize("file", ["results.parquet", "measured.parquet"])
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda rows: rows.drop(columns="macs"), "it has no column macs"),
        (lambda rows: rows.drop(columns="num_params_total"), "it has no column num_params_total"),
        (lambda rows: rows.drop(columns="accuracy"), "it has no column accuracy"),
        (lambda rows: rows.drop(columns="collapsed"), "it has no column collapsed"),
        (lambda rows: rows.assign(collapsed=None), "collapsed is neither true nor false"),
        (lambda rows: rows.assign(tokens=float("nan")), "tokens is no number from 1"),
        (lambda rows: rows.assign(num_examples=0), "num_examples is no number from 1"),
        (lambda rows: rows.assign(loss="much"), "could not convert string to float"),
        (lambda rows: rows.assign(subnet="<script>"), "'<script>' is not a sub-network"),
    ],
)
def test_a_table_that_does_not_say_enough_is_refused(
    copy: Path, file: str, change: Callable[[pd.DataFrame], pd.DataFrame], sentence: str
) -> None:
    change(Run.load(copy).all_results).to_parquet(copy / file, index=False)
    if file == "results.parquet":
        write_manifest(copy)
    run = Run.load(copy)
    for read in (lambda: run.all_results, lambda: run.results, lambda: run.reported_results):
        with pytest.raises(UserError, match=f"{re.escape(file)} is damaged: .*{sentence}"):
            read()


def test_what_a_table_may_leave_out_is_unknown(copy: Path) -> None:
    Run.load(copy).all_results.drop(columns=[*TIMES]).to_parquet(copy / "results.parquet")
    write_manifest(copy)
    assert Run.load(copy).results[[*TIMES]].isna().all(axis=None)
    rows = read_results(copy / "results.parquet", ("accuracy", "mcc"), remedy="Copy it again.")
    assert rows["mcc"].isna().all()
    assert rows["accuracy"].notna().all()


def test_a_run_without_a_size_that_was_scored_is_damaged(copy: Path) -> None:
    rows = Run.load(copy).all_results
    for none in (rows.iloc[:0], rows.assign(length_config="r0.50_0.50")):
        none.to_parquet(copy / "results.parquet", index=False)
        write_manifest(copy)
        with pytest.raises(UserError, match="it has no sub-network of a width and a depth"):
            _ = Run.load(copy).results


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("importance.safetensors", lambda run: run.importance),
        ("metrics.jsonl", lambda run: run.metrics),
        ("results.parquet", lambda run: run.results),
    ],
)
def test_a_part_that_cannot_be_read_is_named(
    copy: Path, name: str, read: Callable[[Run], object]
) -> None:
    (copy / name).write_bytes(b"no such format")
    write_manifest(copy)
    with pytest.raises(UserError, match=f"{re.escape(name)} is damaged"):
        read(Run.load(copy))


def test_crash_while_writing_leaves_no_run(written: Run, tmp_path: Path) -> None:
    def crash(folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_run(
            "r",
            tmp_path,
            info=written.info,
            save_model=crash,
            importance=None,
            metrics_file=written.folder / "metrics.jsonl",
            results=written.results,
        )
    assert list(tmp_path.iterdir()) == []
    # A killed process cannot even tidy up: what it leaves is hidden and has no manifest.
    (tmp_path / ".r.writing").mkdir()
    unfinished_folder("r", tmp_path).mkdir()
    (tmp_path / "plain-folder").mkdir()
    assert list_runs(tmp_path) == []


@pytest.mark.parametrize(
    "name", ["", "..", ".", "a/b", "/abs", "a" * 65, "ä", "a\n", ".hidden", "-x", "a b", "a\0"]
)
def test_hostile_names(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot name a run"):
        check_run_name(name)
    with pytest.raises((UserError, ValueError)):
        find_run(name, tmp_path)


def test_unknown_run_names_the_known(written: Run) -> None:
    with pytest.raises(UserError, match="there is no run 'nope'; runs in .*: tiny"):
        find_run("nope", written.folder.parent)


def test_added_rows_replace_earlier_ones(copy: Path) -> None:
    run = Run.load(copy)
    before = run.results
    row = before.iloc[[0]].assign(accuracy=0.123)
    new = before.iloc[[1]].assign(subnet="w0.33-d1.00", accuracy=0.5)
    run.add_results(pd.concat([row, new]))
    after = Run.load(copy).results.set_index("subnet")["accuracy"]
    assert after[before["subnet"][0]] == 0.123
    assert after["w0.33-d1.00"] == 0.5
    assert len(after) == len(before) + 1


def test_what_a_later_row_does_not_say_stays(copy: Path) -> None:
    run = Run.load(copy)
    both = run.results.iloc[[0, 1]].assign(accuracy_mismatched=[0.4, 0.6])
    run.add_results(both)
    new = both.iloc[[0]].drop(columns="accuracy_mismatched")
    run.add_results(new.assign(accuracy=0.123, latency_ms=float("nan"), latency_ms_iqr=7.0))
    for found in (Run.load(copy).results, pd.read_parquet(copy / "measured.parquet")):
        first = found.set_index("subnet").loc[both["subnet"].iloc[0]]
        assert first["accuracy"] == 0.123
        assert first["accuracy_mismatched"] == 0.4
        assert (first["latency_ms"], first["latency_ms_iqr"]) == (both["latency_ms"].iloc[0], 7.0)
        assert list(first["heads"]) == list(both["heads"].iloc[0])
        assert found["subnet"].is_unique
    assert list(Run.load(copy).results.columns) == [*both.columns]
    assert len(Run.load(copy).results) == len(both) + 2


def test_a_latency_of_other_texts_does_not_stay(copy: Path) -> None:
    run = Run.load(copy)
    row = run.results.iloc[[0]]
    times = {name: float("nan") for name in ("latency_ms", "latency_ms_iqr", "latency_batch_size")}
    run.add_results(row.assign(tokens=row["tokens"] + 1, **times))
    found = Run.load(copy).results.set_index("subnet")
    assert found.loc[row["subnet"], [*times]].isna().all(axis=None)
    assert found["latency_ms"].notna().sum() == len(found) - 1


def test_results_of_networks_that_drop_tokens_are_apart(copy: Path) -> None:
    run = Run.load(copy)
    before = run.results
    key = "w1.00-d1.00-r0.9_0.8_0.7_0.6"
    new = before.iloc[[0]].assign(subnet=key, length_config=key.partition("-r")[2].join(["r", ""]))
    run.add_results(new)
    pd.testing.assert_frame_equal(Run.load(copy).results, before)
    assert Run.load(copy).all_results["subnet"].tolist() == [*before["subnet"], key]
    # Tables from before there were lengths have no such column.
    old = before.drop(columns="length_config")
    assert keeping_all_tokens(old) is not None
    assert len(keeping_all_tokens(old)) == len(old)


def test_a_width_for_each_layer_is_none_of_the_widths_that_a_recipe_reports(copy: Path) -> None:
    run = Run.load(copy)
    before = run.reported_results
    key = "w1.00-d1.00-h1.1.1.1-n8.8.8.8"
    run.add_results(before.iloc[[0]].assign(subnet=key, num_params=1))
    assert key in set(Run.load(copy).results["subnet"])
    pd.testing.assert_frame_equal(Run.load(copy).reported_results, before)


def test_a_csv_file_counts_layers_from_one_and_any_program_reads_its_lists(written: Run) -> None:
    read = pd.read_csv(io.StringIO(as_csv(written.results)))
    assert read["layers"].map(json.loads).tolist() == [
        [layer + 1 for layer in layers] for layers in written.results["layers"]
    ]
    assert read["heads"].map(json.loads).tolist() == [
        [*heads] for heads in written.results["heads"]
    ]
    assert read["accuracy"].tolist() == written.results["accuracy"].tolist()
    other = pd.DataFrame({"layers": [4, 2], "heads": [12, 6]})  # counts, no lists
    assert as_csv(other) == "layers,heads\n4,12\n2,6\n"


def test_name_is_taken(written: Run) -> None:
    with pytest.raises(UserError, match="exists already"):
        write_run(
            "tiny",
            written.folder.parent,
            info=written.info,
            save_model=lambda _: None,
            importance=None,
            metrics_file=written.folder / "metrics.jsonl",
            results=written.results,
        )


def test_two_processes_may_write_one_file_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, mine = os.fsync, os.getpid()

    def while_another_writes(file: int) -> None:
        fsync(file)
        if os.getpid() == mine:
            monkeypatch.setattr(os, "getpid", lambda: mine + 1)
            write_text_atomically(tmp_path / "a", "theirs")

    monkeypatch.setattr(os, "fsync", while_another_writes)
    write_text_atomically(tmp_path / "a", "ours")
    assert (tmp_path / "a").read_text() == "ours"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
