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


def test_space_around_a_label_makes_no_class_of_its_own(tmp_path: Path) -> None:
    train = write(tmp_path / "t.csv", "text, label\n x, pos\ny,neg\nz,pos \n")
    dev = write(tmp_path / "d.csv", "text,label\nx,\tneg\n")
    data = load_csv(train, dev, columns=CsvColumns())
    assert data.task.labels == ("neg", "pos")
    assert list(data.train["label"]) == [1, 0, 1]
    assert list(data.dev["dev"]["label"]) == [0]
    assert list(data.train["text"]) == [" x", "y", "z"]  # a text stays as it is


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


def test_the_dev_rows_of_a_seed_stay_and_any_seed_draws(tmp_path: Path) -> None:
    rows = "".join(f"{n},{n % 2}\n" for n in range(40))
    path = write(tmp_path / "t.csv", "text,label\n" + rows)

    def drawn(seed: int) -> list[str]:
        return list(load_csv(path, columns=CsvColumns(), seed=seed).dev["dev"]["text"])

    assert drawn(0) == ["22", "20", "25", "4"]
    assert drawn(2**32) == drawn(2**32) != drawn(2**100)
    assert len(drawn(2**100)) == 4


@pytest.mark.parametrize("seed", range(12))
def test_a_class_that_is_there_once_stays_in_training(seed: int, tmp_path: Path) -> None:
    rows = "".join(f"text {n},{'pq'[n % 2]}\n" for n in range(27))
    rare = "".join(f"rare {name},{name}\n" for name in "abc")
    path = write(tmp_path / "t.csv", "text,label\n" + rows + rare)
    data = load_csv(path, columns=CsvColumns(), seed=seed)
    dev, train = list(data.dev["dev"]["text"]), list(data.train["text"])
    assert data.task.labels == ("a", "b", "c", "p", "q")
    assert set(data.train["label"]) == {0, 1, 2, 3, 4}
    assert len(dev) == 3
    assert len(set(dev) | set(train)) == len(dev) + len(train) == 30


def test_a_regression_of_one_row_has_none_to_judge(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "text,label\nx,0.5\n")
    with pytest.raises(UserError, match="has 1 row, too few to set a dev set aside\\.$"):
        load_csv(path, columns=CsvColumns(regression=True))


def test_where_every_class_is_there_once_no_dev_set_can_be_drawn(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "text,label\nx,a\ny,b\n")
    with pytest.raises(UserError, match=r"has 2 rows, too few .*: every label is there once. Give"):
        load_csv(path, columns=CsvColumns())


def test_numbers_to_predict_are_no_classes(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "text,label\n" + "".join(f"x,{n}.5\n" for n in range(1001)))
    with pytest.raises(UserError, match=r"1001 different labels; .* choose regression"):
        load_csv(path, columns=CsvColumns())


def test_a_correlation_needs_two_labels_that_differ(tmp_path: Path) -> None:
    rows = "".join(f"text {n},{n / 2}\n" for n in range(10))
    path = write(tmp_path / "t.csv", "text,label\n" + rows)
    columns = CsvColumns(regression=True)
    assert len(load_csv(path, columns=columns).dev["dev"]) == 2
    same = write(tmp_path / "d.csv", "text,label\nx,1.5\ny,1.50\n")
    with pytest.raises(UserError, match=r"d.csv: every label of the dev set is 1.5; a correlation"):
        load_csv(path, same, columns=columns)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("sentence,label\nx,1\n", "has no column 'text'; it has 'sentence', 'label'"),
        ("sentence,label\nx,1\n", "the text and the label (--text-column, --label-column)"),
        ("text;label\nx;1\ny;0\n", "separated by ';'; separate them by commas"),
        ("text\tlabel\nx, y\t1\nz\t0\n", "separated by '\\t'; separate them by commas"),
        ("text,label\nx,1\n  ,0\n", "row 3: column 'text' is empty"),
        ("text,label\nx,1\ny,\n", "row 3: column 'label' is empty"),
        ("text,label\n", "has a header but no rows"),
        ("", "is not a readable CSV file"),
        ("text,label\nx,1\ny,1\nz,1\n", "1 different label; classification needs 2 to 1000"),
        ("text,label\nx,1,2\ny,0,3\n", "row 2: 3 fields, but the header has 2; put a text with"),
        ('text,label\n"x\ny",1\n\ny,0,3\n', "row 4: 3 fields, but the header has 2"),
        ("text,label\nx,1\n\n  \ny\n", "row 5: column 'label' is empty"),
        ("text,label,label\nx,1,2\ny,0,3\n", "has 2 columns named 'label'; rename all but one"),
        ('text,label\nx,0\n\ny,"1\n', "row 4: a quotation mark is opened and never closed"),
        ("\n", "is not a readable CSV file"),
    ],
)
def test_bad_files(text: str, sentence: str, tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", text)
    with pytest.raises(UserError) as error:
        load_csv(path, columns=CsvColumns())
    assert sentence in str(error.value)


def test_not_utf8(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "text,label\nx,1\ncaf\xe9,0\n", "latin-1")
    with pytest.raises(UserError, match=r"t.csv, line 3: byte 0xe9 is not UTF-8; save the file as"):
        load_csv(path, columns=CsvColumns())


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        (CsvColumns(text=("a", "a")), "the two text columns must differ, got 'a' twice"),
        (CsvColumns(text=("a",), label="a"), "column 'a' cannot be both a text and the label"),
        (CsvColumns(text=("label", "a")), "column 'label' cannot be both a text and the label"),
        (CsvColumns(text=("a", "b", "c")), "one or two text columns can be read, got a, b, c"),
    ],
)
def test_bad_choice_of_columns(columns: CsvColumns, sentence: str, tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "a,b,c,label\nw,x,y,1\nx,y,z,0\n")
    with pytest.raises(UserError) as error:
        load_csv(path, columns=columns)
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (("label",), ("label (text)",)),
        (("other", "label"), ("other (text)", "label (text)")),
        (("label", "label (text)"), ("label (text)", "label (text) (text)")),
    ],
)
def test_a_text_column_may_be_named_label(
    text: tuple[str, ...], names: tuple[str, ...], tmp_path: Path
) -> None:
    path = write(
        tmp_path / "t.csv",
        "label,class,other,label (text)\none,b,1,first\ntwo,a,2,second\n",
    )
    data = load_csv(path, path, columns=CsvColumns(text=text, label="class"))
    values = {"label": ["one", "two"], "other": ["1", "2"], "label (text)": ["first", "second"]}
    assert data.task.text_columns == names
    assert [list(data.train[name]) for name in names] == [values[name] for name in text]
    assert list(data.train["label"]) == [1, 0]


def test_unread_columns_may_share_a_name_and_blank_rows_are_skipped(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "\nid,id,text,label\n1,2,x,b\n\n,,,\n3,4,y,a\n")
    data = load_csv(path, path, columns=CsvColumns())
    assert list(data.train["text"]) == ["x", "y"]
    assert list(data.train["label"]) == [1, 0]


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (("²", "1"), ("1", "²")),
        (("--1", "0"), ("--1", "0")),
        (("1" * 5000, "0"), ("0", "1" * 5000)),
        (("1", "01", "0"), ("0", "01", "1")),
    ],
)
def test_labels_that_look_like_whole_numbers(
    labels: tuple[str, ...], classes: tuple[str, ...], tmp_path: Path
) -> None:
    path = write(tmp_path / "t.csv", "text,label\n" + "".join(f"x,{label}\n" for label in labels))
    assert load_csv(path, path, columns=CsvColumns()).task.labels == classes


@pytest.mark.parametrize("label", ["inf", "-inf", "1e39", "nan", "high"])
def test_regression_needs_a_finite_float32(label: str, tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", f"text,label\nx,-3e38\ny,{label}\n")
    with pytest.raises(UserError) as error:
        load_csv(path, path, columns=CsvColumns(regression=True))
    assert f"row 3: label {label!r} does not belong to t; " in str(error.value)
    assert "it must be a number from -3.4e+38 to 3.4e+38." in str(error.value)


def test_dev_label_that_training_lacks(tmp_path: Path) -> None:
    train = write(tmp_path / "t.csv", "text,label\nx,a\ny,b\n")
    dev = write(tmp_path / "d.csv", "text,label\nx,a\ny,c\n")
    with pytest.raises(
        UserError, match=r"d.csv, row 3: label 'c' does not belong to t; its labels"
    ):
        load_csv(train, dev, columns=CsvColumns())
    with pytest.raises(UserError, match="there is no file"):
        load_csv(tmp_path / "none.csv", columns=CsvColumns())
