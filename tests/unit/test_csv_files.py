"""A user's own CSV files."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynabert.data import CsvColumns, load_csv
from dynabert.errors import UserError


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_text(text, encoding=encoding)
    return path


def test_classes_are_sorted_and_words_stay_words(tmp_path: Path) -> None:
    train = write(tmp_path / "t.csv", 'text,label\n"NA, null",pos\n1e3,neg\n"a ""b""",pos\n')
    dev = write(tmp_path / "d.csv", "label,text\nneg,NaN\n", "utf-8-sig")
    data = load_csv(train, dev, columns=CsvColumns())
    assert data.task.labels == ("neg", "pos")
    assert list(data.train["text"]) == ["NA, null", "1e3", 'a "b"']
    assert list(data.train["label"]) == [1, 0, 1]
    assert list(data.dev["dev"]["text"]) == ["NaN"]
    assert data.task.metrics == ("accuracy", "f1_macro")


def test_whole_numbers_sort_by_value(tmp_path: Path) -> None:
    rows = "".join(f"x,{label}\n" for label in (10, 9, -1))
    path = write(tmp_path / "t.csv", "text,label\n" + rows)
    assert load_csv(path, path, columns=CsvColumns()).task.labels == ("-1", "9", "10")


def test_regression_and_pairs(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "a,b,score\nx,y,0.5\nz,w,-3\n")
    columns = CsvColumns(text=("a", "b"), label="score", regression=True)
    data = load_csv(path, path, columns=columns)
    assert data.task.is_regression
    assert data.task.text_columns == ("a", "b")
    assert list(data.train["label"]) == [0.5, -3.0]
    assert data.task.metrics == ("spearman", "pearson")


def test_a_tenth_becomes_dev(tmp_path: Path) -> None:
    rows = "".join(f"text {n},{n % 2}\n" for n in range(40))
    path = write(tmp_path / "t.csv", "text,label\n" + rows)
    data, again, other = (load_csv(path, columns=CsvColumns(), seed=seed) for seed in (1, 1, 2))
    dev, train = list(data.dev["dev"]["text"]), list(data.train["text"])
    assert len(dev) == 4
    assert sorted(dev + train) == sorted(f"text {n}" for n in range(40))
    assert dev == list(again.dev["dev"]["text"]) != list(other.dev["dev"]["text"])
    assert data.notices == ("no dev file: 4 rows drawn with seed 1 are the dev set",)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("sentence,label\nx,1\n", "has no column 'text'; it has 'sentence', 'label'"),
        ("text,label\nx,1\n  ,0\n", "row 3: column 'text' is empty"),
        ("text,label\nx,1\ny,\n", "row 3: column 'label' is empty"),
        ("text,label\n", "has a header but no rows"),
        ("", "is not a readable CSV file"),
        ("text,label\nx,1\ny,1\nz,1\n", "1 different labels; classification needs 2 to 1000"),
        ("text,label\nx,1\n", "has 1 rows, too few to set a dev set aside"),
    ],
)
def test_bad_files(text: str, sentence: str, tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", text)
    with pytest.raises(UserError) as error:
        load_csv(path, columns=CsvColumns())
    assert sentence in str(error.value)


def test_dev_label_that_training_lacks(tmp_path: Path) -> None:
    train = write(tmp_path / "t.csv", "text,label\nx,a\ny,b\n")
    dev = write(tmp_path / "d.csv", "text,label\nx,a\ny,c\n")
    with pytest.raises(
        UserError, match=r"d.csv, row 3: label 'c' does not belong to t; its labels"
    ):
        load_csv(train, dev, columns=CsvColumns())
    with pytest.raises(UserError, match="there is no file"):
        load_csv(tmp_path / "none.csv", columns=CsvColumns())
