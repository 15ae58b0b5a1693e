"""A user's own CSV files as a task."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from datasets import Dataset

from dynabert.data.loading import TaskData, check_columns, label_reader, read_text
from dynabert.data.tasks import Task
from dynabert.errors import UserError

DEV_SHARE = 0.1  # of the rows, where there is no dev file


@dataclass(frozen=True, kw_only=True)
class CsvColumns:
    """Which columns of a CSV file are read."""

    text: tuple[str, ...] = ("text",)  # one column, or two for pairs
    label: str = "label"
    regression: bool = False  # the label is a number to predict, not a class


def load_csv(
    train_file: Path, dev_file: Path | None = None, *, columns: CsvColumns, seed: int = 0
) -> TaskData:
    """A task made from CSV files with a header line.

    Classes are the labels found in the training rows, in alphabetical order (whole numbers by
    value). Without a dev file, a tenth of the rows, drawn with `seed`, becomes the dev set.

    Raises:
        UserError: a file or column is missing, a column is named twice, a row does not fit the
        header, a value is empty, or a dev label never occurs in training.
    """
    _check_choice(columns)
    train_rows = _read(train_file, columns)
    drawn, notices = dev_file is None, []
    labels = _labels(train_rows, columns, train_file)
    if dev_file is None:
        dev_rows = _set_aside(train_rows, columns, seed, train_file)
        train_rows = train_rows.drop(dev_rows.index)
        notices.append(f"no dev file: {len(dev_rows)} rows drawn with seed {seed} are the dev set")
        dev_where = str(train_file)
    else:
        dev_rows, dev_where = _read(dev_file, columns), str(dev_file)
    task = Task(
        name=train_file.stem,
        title=train_file.name,
        text_columns=_task_columns(columns),
        labels=labels,
        kind="regression" if columns.regression else "classification",
        metrics=("spearman", "pearson") if columns.regression else ("accuracy", "f1_macro"),
    )
    dev = _dataset(dev_rows, task, columns, dev_where)
    if columns.regression and len(set(dev["label"])) < 2:
        raise UserError(
            f"{dev_where}: every label of the dev set is {dev['label'][0]:g}; a correlation needs two "
            f"that differ. Give {'a dev file, or draw with another --seed' if drawn else 'another dev file'}."
        )
    return TaskData(
        task=task,
        train=_dataset(train_rows, task, columns, str(train_file)),
        dev={"dev": dev},
        source=f"CSV: {train_file}" + (f", {dev_file}" if dev_file else ""),
        notices=tuple(notices),
    )


def _check_choice(columns: CsvColumns) -> None:
    if not 1 <= len(columns.text) <= 2:
        raise UserError(f"one or two text columns can be read, got {', '.join(columns.text)}.")
    if len(set(columns.text)) < len(columns.text):
        raise UserError(
            f"the two text columns must differ, got {columns.text[0]!r} twice; "
            "for single texts, name one column."
        )
    if columns.label in columns.text:
        raise UserError(
            f"column {columns.label!r} cannot be both a text and the label; name another column "
            "for one of them."
        )


def _task_columns(columns: CsvColumns) -> tuple[str, ...]:
    """What the task calls the text columns: "label" is taken by the labels of every task."""
    if "label" in columns.text:
        return tuple(f"{name} (text)" for name in columns.text)
    return columns.text


def _read(path: Path, columns: CsvColumns) -> pd.DataFrame:
    """The wanted columns; the index is the number of the row in the file, the header's being 1."""
    if not path.is_file():
        raise UserError(f"there is no file {path}.")
    rows = _parse(path)
    wanted = [*columns.text, columns.label]
    header = _unspaced(rows.iloc[0].tolist(), wanted)
    check_columns(
        header,
        wanted,
        str(path),
        hint=" Say which of them are the text and the label (--text-column, --label-column).",
    )
    for column in wanted:
        if header.count(column) > 1:
            raise UserError(
                f"{path} has {header.count(column)} columns named {column!r}; rename all but one."
            )
    rows = rows[1:].set_axis(header, axis="columns")[wanted].copy()
    for column in wanted:
        empty = rows.index[rows[column].str.strip() == ""]
        if len(empty):
            raise UserError(f"{path}, row {empty[0]}: column {column!r} is empty.")
    if rows.empty:
        raise UserError(f"{path} has a header but no rows.")
    rows[columns.label] = rows[columns.label].str.strip()  # "good film, pos" is of the class pos
    return rows


def _unspaced(header: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """The header, without the spaces around names that are wanted and stand nowhere as they are."""
    return [
        name.strip() if name.strip() in wanted and name.strip() not in header else name
        for name in header
    ]


def _parse(path: Path) -> pd.DataFrame:
    """Every field as text, the header as the first row, without blank rows; numbered from 1."""
    text = read_text(path).lstrip("\r\n")
    header = text.partition("\n")[0]
    if "," not in header and (other := next((one for one in ";\t|" if one in header), None)):
        raise UserError(
            f"{path}: its columns seem to be separated by {other!r}; separate them by commas."
        )
    try:
        # As text throughout: "NA", "null" and "1e3" are words a sentence may well be. With the
        # header among the rows, pandas neither renames columns nor takes the first for an index.
        rows = pd.read_csv(
            io.StringIO(text), header=None, dtype=str, na_filter=False, skip_blank_lines=False
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise UserError(_what_is_wrong(path, str(error).strip())) from error
    rows.index += 1
    blank = (rows.apply(lambda column: column.str.strip()) == "").all(axis="columns")
    return rows[~blank]


def _what_is_wrong(path: Path, error: str) -> str:
    """pandas's complaint as a sentence."""
    if fields := re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", error):
        expected, row, got = fields.groups()
        return (
            f"{path}, row {row}: {got} fields, but the header has {expected}; "
            "put a text with commas in quotation marks."
        )
    if quote := re.search(r"EOF inside string starting at row (\d+)", error):  # counted from 0
        return f"{path}, row {int(quote[1]) + 1}: a quotation mark is opened and never closed."
    return f"{path} is not a readable CSV file: {error}."


def _set_aside(rows: pd.DataFrame, columns: CsvColumns, seed: int, path: Path) -> pd.DataFrame:
    """The rows that become the dev set: drawn, and such that training keeps one of every class."""
    least = 2 if columns.regression else 1  # a correlation is of at least two
    num_dev = max(least, math.floor(len(rows) * DEV_SHARE))
    counted = f"{len(rows)} row{'' if len(rows) == 1 else 's'}"
    too_few = f"{path} has {counted}, too few to set a dev set aside"
    if len(rows) <= num_dev:
        raise UserError(f"{too_few}.")
    # pandas draws with numpy's legacy generator, whose seeds end at 32 bits.
    drawn = rows.sample(frac=1, random_state=seed if seed < 2**32 else np.random.default_rng(seed))
    left = set(drawn[columns.label][num_dev:])
    if not columns.regression and not left.issuperset(drawn[columns.label]):
        drawn = drawn[drawn[columns.label].duplicated()]  # the first of each class stays
        if drawn.empty:
            raise UserError(f"{too_few}: every label is there once. Give a dev file.")
    return drawn[:num_dev]


def _labels(rows: pd.DataFrame, columns: CsvColumns, path: Path) -> tuple[str, ...] | None:
    """The classes; None of a regression."""
    return None if columns.regression else _classes(rows[columns.label].tolist(), path)


def _classes(labels: Sequence[str], path: Path) -> tuple[str, ...]:
    found = set(labels)
    if not 2 <= len(found) <= 1000:
        raise UserError(
            f"{path} has {len(found)} different label{'' if len(found) == 1 else 's'}; classification "
            "needs 2 to 1000 (for numbers to predict, choose regression)."
        )
    if all(re.fullmatch(r"-?[0-9]{1,18}", label) for label in found):
        return tuple(sorted(found, key=lambda label: (int(label), label)))
    return tuple(sorted(found))


def _dataset(rows: pd.DataFrame, task: Task, columns: CsvColumns, where: str) -> Dataset:
    number = label_reader(task.labels, task, where=where)
    labels = [
        number(label, f"row {row}")
        for row, label in zip(rows.index, rows[columns.label].tolist(), strict=True)
    ]
    texts = [rows[name].tolist() for name in columns.text]
    return Dataset.from_dict(dict(zip(task.text_columns, texts, strict=True)) | {"label": labels})
