"""A user's own CSV files as a task."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from datasets import Dataset

from dynabert.data.loading import TaskData, check_columns, label_reader
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
        UserError: a file or column is missing, a value is empty, or a dev label never occurs in
        training.
    """
    if not 1 <= len(columns.text) <= 2:
        raise UserError(f"one or two text columns can be read, got {', '.join(columns.text)}.")
    train_rows = _read(train_file, columns)
    notices = []
    if dev_file is None:
        num_dev = max(1, math.floor(len(train_rows) * DEV_SHARE))
        if len(train_rows) <= num_dev:
            raise UserError(
                f"{train_file} has {len(train_rows)} rows, too few to set a dev set aside."
            )
        shuffled = train_rows.sample(frac=1, random_state=seed)
        dev_rows, train_rows = shuffled[:num_dev], shuffled[num_dev:].sort_index()
        notices.append(f"no dev file: {num_dev} rows drawn with seed {seed} are the dev set")
        dev_where = str(train_file)
    else:
        dev_rows, dev_where = _read(dev_file, columns), str(dev_file)
    labels = (
        None if columns.regression else _classes(train_rows[columns.label].tolist(), train_file)
    )
    task = Task(
        name=train_file.stem,
        title=train_file.name,
        text_columns=columns.text,
        labels=labels,
        metrics=("spearman", "pearson") if columns.regression else ("accuracy", "f1_macro"),
    )
    return TaskData(
        task=task,
        train=_dataset(train_rows, task, columns, str(train_file)),
        dev={"dev": _dataset(dev_rows, task, columns, dev_where)},
        source=f"CSV: {train_file}" + (f", {dev_file}" if dev_file else ""),
        notices=tuple(notices),
    )


def _read(path: Path, columns: CsvColumns) -> pd.DataFrame:
    if not path.is_file():
        raise UserError(f"there is no file {path}.")
    try:
        # As text throughout: "NA", "null" and "1e3" are words a sentence may well be.
        rows = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a readable CSV file: {error}") from error
    wanted = [*columns.text, columns.label]
    check_columns(rows.columns, wanted, str(path))
    for column in wanted:
        empty = rows.index[rows[column].str.strip() == ""]
        if len(empty):
            # The header is line 1; pandas counts rows from 0.
            raise UserError(f"{path}, row {empty[0] + 2}: column {column!r} is empty.")
    if rows.empty:
        raise UserError(f"{path} has a header but no rows.")
    return rows[wanted]


def _classes(labels: Sequence[str], path: Path) -> tuple[str, ...]:
    found = set(labels)
    if not 2 <= len(found) <= 1000:
        raise UserError(
            f"{path} has {len(found)} different labels; classification needs 2 to 1000 "
            "(for numbers to predict, choose regression)."
        )
    if all(label.lstrip("-").isdigit() for label in found):
        return tuple(sorted(found, key=int))
    return tuple(sorted(found))


def _dataset(rows: pd.DataFrame, task: Task, columns: CsvColumns, where: str) -> Dataset:
    number = label_reader(task.labels, task, where=where)
    lines = [int(row) + 2 for row in rows.index]
    labels = [
        number(label, f"row {line}")
        for line, label in zip(lines, rows[columns.label].tolist(), strict=True)
    ]
    return Dataset.from_dict(
        {name: rows[name].tolist() for name in columns.text} | {"label": labels}
    )
