"""GLUE in its original files and in the hub's layout."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from dynabert.data import TASKS, find_task, load_task_data
from dynabert.data.loading import tasks_in
from dynabert.data.source import DataSource
from dynabert.errors import UserError

# What the first rows of each task's files look like: header, then rows.
FILES = {
    "cola": ("CoLA", ["gj04\t1\t\tThe cat sat.", 'gj04\t0\t*\tThe "cat sat.']),
    "sst2": ("SST-2", ["sentence\tlabel", 'a "good film\t1', "a bad one\t0"]),
    "mrpc": (
        "MRPC",
        [
            "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String",
            '1\t1\t2\tA "cat.\tA cat.',
            "0\t3\t4\tA.\tB.",
        ],
    ),
    "rte": (
        "RTE",
        [
            "index\tsentence1\tsentence2\tlabel",
            "0\tA cat.\tA dog.\tnot_entailment",
            "1\tA.\tA.\tentailment",
        ],
    ),
    "stsb": (
        "STS-B",
        [
            "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore",
            "0\tg\tf\ty\t1\ts\ts\tA cat.\tA dog.\t3.8",
            "1\tg\tf\ty\t2\ts\ts\tA.\tA.\t5.000",
        ],
    ),
    "wnli": ("WNLI", ["index\tsentence1\tsentence2\tlabel", "0\tA.\tB.\t1", "1\tC.\tD.\t0"]),
    "qnli": (
        "QNLI",
        [
            "index\tquestion\tsentence\tlabel",
            "0\tWho?\tHe.\tentailment",
            "1\tWhy?\tNo.\tnot_entailment",
        ],
    ),
}
EXPECTED = {
    "cola": ({"sentence": ["The cat sat.", 'The "cat sat.']}, [1, 0]),
    "sst2": ({"sentence": ['a "good film', "a bad one"]}, [1, 0]),
    "mrpc": ({"sentence1": ['A "cat.', "A."], "sentence2": ["A cat.", "B."]}, [1, 0]),
    "rte": ({"sentence1": ["A cat.", "A."], "sentence2": ["A dog.", "A."]}, [1, 0]),
    "stsb": ({"sentence1": ["A cat.", "A."], "sentence2": ["A dog.", "A."]}, [3.8, 5.0]),
    "wnli": ({"sentence1": ["A.", "C."], "sentence2": ["B.", "D."]}, [1, 0]),
    "qnli": ({"question": ["Who?", "Why?"], "sentence": ["He.", "No."]}, [0, 1]),
}


def write(
    folder: Path, task: str, *, train: str = "train.tsv", rows: list[str] | None = None
) -> Path:
    name, lines = FILES[task]
    (folder / name).mkdir(parents=True, exist_ok=True)
    for file in (train, "dev.tsv"):
        text = "\n".join(rows if rows and file == train else lines) + "\n"
        (folder / name / file).write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("task", FILES)
def test_original_files(task: str, tmp_path: Path) -> None:
    data = load_task_data(find_task(task), write(tmp_path, task))
    texts, labels = EXPECTED[task]
    for split in (data.train, data.dev["dev"]):
        assert {name: list(split[name]) for name in texts} == texts
        assert list(split["label"]) == labels
    assert data.notices == ()


def test_subset_is_named_as_such(tmp_path: Path) -> None:
    data = load_task_data(find_task("QNLI"), write(tmp_path, "qnli", train="train_subset.tsv"))
    assert "only a subset of the training data is here (train_subset.tsv)" in data.notices[0]


def test_one_of_two_dev_files(tmp_path: Path) -> None:
    folder = tmp_path / "MNLI"
    folder.mkdir()
    rows = "sentence1\tsentence2\tgold_label\nA.\tB.\tneutral\nA.\tA.\tentailment\n"
    for name in ("train.tsv", "dev_matched.tsv"):
        (folder / name).write_text(rows, encoding="utf-8")
    data = load_task_data(find_task("mnli"), tmp_path)
    assert list(data.dev) == ["matched"]
    assert list(data.train["label"]) == [1, 0]
    assert data.notices == ("mnli: dev_mismatched.tsv is missing, so there is no mismatched score",)


def test_copy_of_the_hub(tmp_path: Path) -> None:
    folder = tmp_path / "rte"
    folder.mkdir()
    rows = pd.DataFrame({"sentence1": ["A.", "B."], "sentence2": ["C.", "D."], "label": [0, 1]})
    for split in ("train-00000-of-00002", "train-00001-of-00002", "validation-00000-of-00001"):
        rows.assign(idx=[0, 1]).to_parquet(folder / f"{split}.parquet")
    data = load_task_data(find_task("rte"), tmp_path)
    assert list(data.train["label"]) == [0, 1, 0, 1]
    assert data.dev["dev"].column_names == ["sentence1", "sentence2", "label"]
    rows.assign(label=[0, 7]).to_parquet(folder / "train-00000-of-00002.parquet")
    with pytest.raises(UserError, match="row 2: label '7' does not belong to rte"):
        load_task_data(find_task("rte"), tmp_path)


@pytest.mark.parametrize(
    ("task", "rows", "sentence"),
    [
        ("cola", ["x\t1\t\tA.", "x\t2\t\tB."], "line 2: label '2' does not belong to cola"),
        ("cola", ["x\t1\t\tA.", "x\t1"], "line 2: 2 columns, need 4"),
        (
            "rte",
            ["index\tsentence1\tlabel", "0\tA.\tentailment"],
            "has no column 'sentence2'; it has",
        ),
        (
            "rte",
            FILES["rte"][1][:1] + ["0\tA\tB\tmaybe"],
            "its labels are entailment, not_entailment",
        ),
        ("stsb", FILES["stsb"][1][:1] + ["\t" * 8 + "\tnan"], "must be a number from 0 to 5"),
        ("stsb", FILES["stsb"][1][:1] + ["\t" * 8 + "\t5.5"], "must be a number from 0 to 5"),
    ],
)
def test_bad_files(task: str, rows: list[str], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        load_task_data(find_task(task), write(tmp_path, task, rows=rows))
    assert sentence in str(error.value)


@pytest.mark.parametrize("file", ["train.tsv", "dev.tsv"])
@pytest.mark.parametrize(
    ("task", "content", "sentence"),
    [
        ("cola", b"", "is empty; download it again"),
        ("sst2", b"", "is empty; download it again"),
        ("sst2", b"sentence\tlabel\n", "has a header but no rows; download it again"),
        (
            "sst2",
            b"sentence\tlabel\na\t1\ncaf\xe9\t0\n",
            ", line 3: byte 0xe9 is not UTF-8; save the file as UTF-8.",
        ),
    ],
)
def test_unreadable_files(
    task: str, content: bytes, sentence: str, file: str, tmp_path: Path
) -> None:
    path = write(tmp_path, task) / FILES[task][0] / file
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        load_task_data(find_task(task), tmp_path)
    assert f"{path}" in str(error.value)
    assert sentence in str(error.value)


def test_long_sentences_and_line_ends(tmp_path: Path) -> None:
    long = "a " * 100_000
    folder = write(tmp_path, "sst2")
    (folder / "SST-2" / "train.tsv").write_bytes(
        f"sentence\tlabel\r\n{long}\t1\r\nb\u2028c\x85d\t0".encode()
    )
    data = load_task_data(find_task("sst2"), folder)
    assert list(data.train["sentence"]) == [long, "b\u2028c\x85d"]
    assert list(data.train["label"]) == [1, 0]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (b"", "is empty or not a readable parquet file (Parquet file size is 0 bytes); download"),
        (b"PAR1" + b"x" * 50 + b"PAR1", "is empty or not a readable parquet file"),
        ({"sentence": [], "label": []}, "is empty or not a readable parquet file"),
        ({"sentence": ["A.", None], "label": [0, 1]}, "row 2: column 'sentence' is None, must be"),
        ({"sentence": [1, 2], "label": [0, 1]}, "row 1: column 'sentence' is 1, must be a text"),
        ({"sentence": ["A."]}, "has no column 'label'; it has 'sentence'"),
    ],
)
def test_bad_parquet(rows: bytes | dict[str, list[object]], sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "cola" / "train-00000-of-00001.parquet"
    path.parent.mkdir()
    if isinstance(rows, bytes):
        path.write_bytes(rows)
    else:
        pd.DataFrame(rows).to_parquet(path)
    with pytest.raises(UserError) as error:
        load_task_data(find_task("cola"), tmp_path)
    assert str(path) in str(error.value)
    assert sentence in str(error.value)


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="data folder .* does not exist"):
        load_task_data(find_task("cola"), tmp_path / "none")
    with pytest.raises(UserError, match="neither CoLA/ .* nor cola/"):
        load_task_data(find_task("cola"), tmp_path)
    (tmp_path / "CoLA").mkdir()
    with pytest.raises(UserError, match=r"lacks train.tsv, dev.tsv"):
        load_task_data(find_task("cola"), tmp_path)


@pytest.mark.parametrize("name", ["SST-2", "sst2", "sst_2", "Sst-2"])
def test_spellings_of_a_task(name: str) -> None:
    assert find_task(name) is TASKS["sst2"]


def test_unknown_task() -> None:
    with pytest.raises(UserError, match="unknown task 'colla'; known are cola, sst2, mrpc"):
        find_task("colla")


def test_limited_and_fingerprint(tmp_path: Path) -> None:
    source = DataSource(task="cola", data_dir=write(tmp_path, "cola"), num_train=1, seed=4)
    first, again = source.load(), source.load()
    assert list(first.train["sentence"]) == list(again.train["sentence"])
    assert len(first.train) == 1
    assert "trained on 1 of the 2 training examples (drawn with seed 4)" in first.notices[0]
    whole = source.model_copy(update={"num_train": None}).load()
    assert first.fingerprint == again.fingerprint != whole.fingerprint
    lines = FILES["cola"][1]
    write(tmp_path, "cola", rows=[lines[0], lines[1].replace("\t0\t", "\t1\t")])
    assert source.model_copy(update={"num_train": None}).load().fingerprint != whole.fingerprint
    with pytest.raises(UserError, match="must be between 1 and 2, got 3"):
        source.model_copy(update={"num_train": 3}).load()


def test_source_survives_the_record() -> None:
    source = DataSource(task="cola", data_dir=Path("glue"), num_train=5, seed=2)
    assert DataSource.model_validate(source.model_dump(mode="json")) == source
    with pytest.raises(ValueError, match="either a task or csv files"):
        DataSource()


def test_tasks_of_a_data_folder(tmp_path: Path) -> None:
    assert tasks_in(tmp_path) == []
    for name in ("RTE", "cola", "elsewhere"):  # original files, a copy of the hub's, neither
        (tmp_path / name).mkdir()
    assert tasks_in(tmp_path) == ["cola", "rte"]
    assert tasks_in(tmp_path / "none") == []
