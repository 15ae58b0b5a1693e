"""Every GLUE task in both layouts it is found in: the original files, and the hub's Parquet files."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest
from datasets import ClassLabel, Dataset, Features, Value

from dynabert.data import TASKS, find_task, load_task_data
from dynabert.errors import UserError

FIRST, SECOND = ["A cat sat.", 'The "dog ran.', "Who?"], ["It sat.", "It ate.", "We did."]


class Layout(NamedTuple):
    """How a task is laid out: columns as published, and where its texts and label stand."""

    folder: str  # of the original files
    header: str  # of the original files; "-" for none
    texts: tuple[str, ...]  # of its columns; positions where it has no header
    label: str
    hub_texts: tuple[str, ...]
    spelled: tuple[str, ...] = ("0", "1")  # classes in the original files, in the hub's order
    names: tuple[str, ...] = ("0", "1")  # the hub's names for its classes
    splits: tuple[tuple[str, str, str], ...] = (("dev", "dev.tsv", "validation"),)


_PAIR = ("sentence1", "sentence2")
_NLI = ("entailment", "not_entailment")
_MNLI = ("entailment", "neutral", "contradiction")
LAYOUTS = {
    "cola": Layout("CoLA", "-", ("3",), "1", ("sentence",)),
    "sst2": Layout("SST-2", "sentence label", ("sentence",), "label", ("sentence",)),
    "mrpc": Layout(
        *("MRPC", "Quality|#1 ID|#2 ID|#1 String|#2 String", ("#1 String", "#2 String")),
        *("Quality", _PAIR),
    ),
    "rte": Layout(
        *("RTE", "index sentence1 sentence2 label", _PAIR, "label", _PAIR, _NLI, _NLI),
    ),
    "stsb": Layout(
        "STS-B",
        "index genre filename year old_index source1 source2 sentence1 sentence2 score",
        *(_PAIR, "score", _PAIR, (), ()),
    ),
    "wnli": Layout("WNLI", "index sentence1 sentence2 label", _PAIR, "label", _PAIR),
    "qnli": Layout(
        *("QNLI", "index question sentence label", ("question", "sentence"), "label"),
        *(("question", "sentence"), _NLI, _NLI),
    ),
    "qqp": Layout(
        *("QQP", "id qid1 qid2 question1 question2 is_duplicate", ("question1", "question2")),
        *("is_duplicate", ("question1", "question2")),
    ),
    "mnli": Layout(
        "MNLI",
        "index promptID pairID genre sentence1_binary_parse sentence2_binary_parse sentence1_parse "
        "sentence2_parse sentence1 sentence2 label1 label2 label3 label4 label5 gold_label",
        *(_PAIR, "gold_label", ("premise", "hypothesis"), _MNLI, _MNLI),
        (
            ("matched", "dev_matched.tsv", "validation_matched"),
            ("mismatched", "dev_mismatched.tsv", "validation_mismatched"),
        ),
    ),
}


def labels_of(layout: Layout, shift: int) -> list[float] | list[int]:
    """Every class occurs; each split has its own order."""
    if not layout.spelled:
        return [0.0, 3.25 + shift / 8, 5.0]
    return [(row + shift) % len(layout.spelled) for row in range(len(FIRST))]


def text_columns(layout: Layout, shift: int) -> list[list[str]]:
    first, second = (texts[shift:] + texts[:shift] for texts in (FIRST, SECOND))
    return [first, second][: len(layout.hub_texts)]


def write_original(data_dir: Path, layout: Layout) -> None:
    folder = data_dir / layout.folder
    folder.mkdir()
    names = [file for _, file, _ in layout.splits]
    for shift, name in enumerate(["train.tsv", *names]):
        header = layout.header.split("|" if "|" in layout.header else None)
        columns = ["0", "1", "2", "3"] if layout.header == "-" else header
        if name == "train.tsv" and layout.folder == "MNLI":  # one annotator there, five in dev
            columns = [
                column for column in columns if column not in {f"label{n}" for n in range(2, 6)}
            ]
        lines = [] if layout.header == "-" else ["\t".join(columns)]
        labels = labels_of(layout, shift)
        for row, label in enumerate(labels):
            cells = dict.fromkeys(columns, "x")
            cells |= {
                column: texts[row]
                for column, texts in zip(layout.texts, text_columns(layout, shift), strict=True)
            }
            cells[layout.label] = layout.spelled[int(label)] if layout.spelled else str(label)
            lines.append("\t".join(cells[column] for column in columns))
        text = "\n".join(lines) + "\n"
        (folder / name).write_text(("\ufeff" if layout.folder == "MRPC" else "") + text, "utf-8")


def write_hub(data_dir: Path, task: str, layout: Layout) -> None:
    """As `datasets` writes it: class labels with their names, a column idx, test labels of -1."""
    folder = data_dir / task
    folder.mkdir()
    kind = ClassLabel(names=list(layout.names)) if layout.names else Value("float32")
    features = {name: Value("string") for name in layout.hub_texts}
    features |= {"label": kind, "idx": Value("int32")}
    splits = ["train", *(split for _, _, split in layout.splits), "test"]
    for shift, split in enumerate(splits):
        labels = labels_of(layout, shift) if split != "test" else [-1] * len(FIRST)
        texts = dict(zip(layout.hub_texts, text_columns(layout, shift % 3), strict=True))
        rows = texts | {"label": labels, "idx": list(range(len(FIRST)))}
        path = folder / f"{split}-00000-of-00001.parquet"
        Dataset.from_dict(rows, features=Features(features)).to_parquet(str(path))


def test_every_glue_task_is_here() -> None:
    assert {name for name, task in TASKS.items() if task.hub is not None} >= set(LAYOUTS)
    assert {task.hub[1] for name in LAYOUTS if (task := TASKS[name]).hub} == set(LAYOUTS)


@pytest.mark.parametrize("where", ["original", "hub"])
@pytest.mark.parametrize("task", LAYOUTS)
def test_a_task_is_read_from_both_layouts(task: str, where: str, tmp_path: Path) -> None:
    layout = LAYOUTS[task]
    if where == "original":
        write_original(tmp_path, layout)
    else:
        write_hub(tmp_path, task, layout)
    data = load_task_data(find_task(task), tmp_path)
    assert list(data.dev) == [name for name, _, _ in layout.splits]
    assert data.notices == ()
    for shift, split in enumerate([data.train, *data.dev.values()]):
        assert [list(split[name]) for name in layout.hub_texts] == text_columns(layout, shift)
        assert list(split["label"]) == labels_of(layout, shift)
        assert set(split.column_names) == {*layout.hub_texts, "label"}
    if layout.names and layout.names != ("0", "1"):
        assert TASKS[task].labels == layout.names


def test_both_layouts_hold_the_same_examples(tmp_path: Path) -> None:
    for task, layout in LAYOUTS.items():
        original, hub = tmp_path / f"{task}-original", tmp_path / f"{task}-hub"
        original.mkdir()
        hub.mkdir()
        write_original(original, layout)
        write_hub(hub, task, layout)
        one, other = (load_task_data(find_task(task), folder) for folder in (original, hub))
        assert one.fingerprint == other.fingerprint


def test_torn_lines_of_qqp_are_left_out_and_counted(tmp_path: Path) -> None:
    write_original(tmp_path, LAYOUTS["qqp"])
    path = tmp_path / "QQP" / "train.tsv"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*lines[:2], "7\t1\t2\tWho", "ran?\tWe?\t1", *lines[2:]]), "utf-8")
    data = load_task_data(find_task("qqp"), tmp_path)
    assert list(data.train["question1"]) == FIRST
    assert data.notices == (
        "qqp: 2 of 5 lines of train.tsv have too few columns and were left out",
    )
    path.write_text("\n".join([lines[0], "7\t1\t2\tWho"]), "utf-8")
    with pytest.raises(UserError, match="no line has 6 columns; download it again"):
        load_task_data(find_task("qqp"), tmp_path)
    path.write_text("\n".join([*lines, lines[1][:-1] + "2"]), "utf-8")
    with pytest.raises(UserError, match="line 5: label '2' does not belong to qqp"):
        load_task_data(find_task("qqp"), tmp_path)


def test_hub_files_without_one_of_mnlis_dev_sets_are_refused(tmp_path: Path) -> None:
    write_hub(tmp_path, "mnli", LAYOUTS["mnli"])
    (tmp_path / "mnli" / "validation_mismatched-00000-of-00001.parquet").unlink()
    with pytest.raises(UserError, match=r"holds no validation_mismatched-\*.parquet"):
        load_task_data(find_task("mnli"), tmp_path)
    rows = pd.read_parquet(tmp_path / "mnli" / "test-00000-of-00001.parquet")
    assert set(rows["label"]) == {-1}  # it is never read
