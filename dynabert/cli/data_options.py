"""The options that say which examples are meant: a task's, or those of CSV files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dynabert.data.source import CsvSource, DataSource, refuse_folder
from dynabert.data.tasks import find_task
from dynabert.errors import UserError

TaskOrCsv = Annotated[
    str,
    typer.Argument(
        help="A GLUE task (cola, sst2, mrpc, rte, stsb, wnli, qnli, qqp, mnli), squad, teaching, "
        "or the path of a CSV file with training rows."
    ),
]
DevFile = Annotated[
    Path | None, typer.Option(help="CSV only: dev rows. Left out: a tenth of the rows.")
]
TextColumns = Annotated[
    list[str] | None,
    typer.Option("--text-column", help="CSV only: text column; twice for pairs. [text]"),
]
LabelColumn = Annotated[str, typer.Option(help="CSV only: label column.")]
Regression = Annotated[
    bool, typer.Option("--regression", help="CSV only: labels are numbers to predict.")
]


def csv_options(
    dev_file: Path | None, text_column: list[str] | None, label_column: str, regression: bool
) -> dict[str, Any]:
    """The options for CSV files by their names; None where one was not given."""
    return {
        "--dev-file": dev_file,
        "--text-column": text_column,
        "--label-column": label_column if label_column != "label" else None,
        "--regression": regression or None,
    }


def chosen_source(
    task: str,
    data_dir: Path | None,
    num_train: int | None,
    seed: int,
    csv_options: dict[str, Any],
) -> DataSource:
    """The examples that the options name.

    csv_options: from `csv_options`.

    Raises:
        UserError: no such task, or options that do not belong together.
    """
    if not task.lower().endswith(".csv"):
        used = [option for option, value in csv_options.items() if value is not None]
        known = find_task(task)
        if used:
            raise UserError(f"{used[0]} is for CSV files only, and {task!r} is not one.")
        if data_dir is not None:
            refuse_folder(known)
        # Absolute, so that the run's examples are found again from another folder.
        folder = data_dir and data_dir.resolve()
        return DataSource(task=task, data_dir=folder, num_train=num_train, seed=seed)
    if data_dir is not None:
        raise UserError("--data-dir is for GLUE tasks and squad; give a CSV file with its path.")
    dev_file: Path | None = csv_options["--dev-file"]
    csv = CsvSource(
        train_file=Path(task).resolve(),
        dev_file=dev_file and dev_file.resolve(),
        text_columns=tuple(csv_options["--text-column"] or ("text",)),
        label_column=csv_options["--label-column"] or "label",
        regression=bool(csv_options["--regression"]),
    )
    return DataSource(csv=csv, num_train=num_train, seed=seed)
