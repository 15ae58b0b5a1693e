"""Reading a task's examples: from the hub, a local copy of it, the original files, or the generator."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, concatenate_datasets, load_dataset
from datasets.exceptions import DatasetsError

from dynabert.data.squad import check_questions, read_squad
from dynabert.data.tasks import TASKS, OriginalFiles, Task
from dynabert.errors import UserError
from dynabert.hub import hub_answers

ONLY_A_SUBSET = "only a subset of the training data is here"
FLOAT32_MAX = float(np.finfo(np.float32).max)  # targets of a regression are kept in float32


@dataclass(frozen=True, kw_only=True)
class TaskData:
    """The examples of one task: its text columns and "label", and what else the source had.

    Of a task of spans "answers" stands for "label", as `dynabert.data.squad.read_squad` has it.
    """

    task: Task
    train: Dataset
    dev: Mapping[str, Dataset]  # usually one, "dev"; MNLI has two
    source: str  # where it came from, in words
    notices: tuple[str, ...] = field(default=())  # what a reader of the results must know

    @property
    def fingerprint(self) -> str:
        """sha256 over every text and label: two runs with the same one saw the same examples."""
        return self._sha256({"train": self.train, **self.dev})

    @property
    def train_fingerprint(self) -> str:
        """The same over the training examples alone, in their order."""
        return self._sha256({"train": self.train})

    def _sha256(self, splits: Mapping[str, Dataset]) -> str:
        digest = hashlib.sha256()
        for name, split in splits.items():
            digest.update(f"{name}:{len(split)}\n".encode())
            for row in zip(*(split[name] for name in self.task.columns), strict=True):
                digest.update(json.dumps(row, ensure_ascii=False).encode() + b"\n")
        return digest.hexdigest()

    def limited(self, num_train: int, seed: int) -> TaskData:
        """The same data with `num_train` training examples, drawn without replacement.

        Raises:
            UserError: fewer than 1, or more than there are.
        """
        total = len(self.train)
        if not 1 <= num_train <= total:
            raise UserError(
                f"number of training examples must be between 1 and {total}, got {num_train}."
            )
        if num_train == total:
            return self
        train = self.train.shuffle(seed=seed, keep_in_memory=True).select(range(num_train))
        notice = (
            f"trained on {num_train:,} of the {total:,} training examples (drawn with seed {seed})"
        )
        return replace(self, train=train, notices=(*self.notices, notice))


def load_task_data(task: Task, data_dir: Path | None = None, *, seed: int = 0) -> TaskData:
    """The training and dev examples of a named task.

    data_dir: a folder with the task's original files (`CoLA/train.tsv`, `SQuAD/train-v1.1.json`, ...)
        or with a copy of the hub's repository (`cola/train-00000-of-00001.parquet`, ...), or one that
        holds such a folder as `glue/` or `squad/`. Left out: the hub.
    seed: of the teaching set; the other tasks do not depend on it.

    Raises:
        UserError: the files are not there or not as they should be; says what was looked for.
    """
    if task.name == "teaching":
        return _generate_teaching(task, seed)
    if data_dir is None:
        return _from_hub(task)
    if not data_dir.is_dir():
        raise UserError(f"data folder {data_dir} does not exist.")
    assert task.original is not None  # true of every named task but teaching
    assert task.hub is not None
    for root in (data_dir, data_dir / task.collection):
        if (folder := _original_folder(task.original, root)) is not None:
            return _from_original_files(task, task.original, folder, data_dir)
        if (root / task.hub[1]).is_dir():
            return _from_hub_copy(task, root / task.hub[1], data_dir)
    raise UserError(
        f"{data_dir} has neither {task.original.folder}/ (the original files, with "
        f"{task.original.train_file} in it) nor {task.hub[1]}/ (a copy of the hub's repository, with "
        "train-*.parquet in it)."
    )


def _original_folder(original: OriginalFiles, root: Path) -> Path | None:
    """Where in a folder the original files are: below it or, if their names say whose they are, in it."""
    if (root / original.folder).is_dir():
        return root / original.folder
    names = [original.train_file, original.train_subset, *(name for _, name in original.dev_files)]
    tells = not original.train_file.startswith("train.")  # train.tsv may be any task's
    return root if tells and any((root / name).is_file() for name in names) else None


def tasks_in(data_dir: Path) -> list[str]:
    """Names of the tasks that have a folder of files in a data folder; what is in them is not looked at."""
    return [
        task.name
        for task in TASKS.values()
        if task.original
        and task.hub
        and any(
            _original_folder(task.original, root) or os.path.isdir(root / task.hub[1])
            for root in (data_dir, data_dir / task.collection)
        )
    ]


def _generate_teaching(task: Task, seed: int) -> TaskData:
    from dynabert.data import teaching

    generated = teaching.generate_teaching_set(seed)
    train, dev = (
        Dataset.from_list(teaching.to_rows(part)) for part in (generated.train, generated.dev)
    )
    return TaskData(
        task=task, train=train, dev={"dev": dev}, source=f"generated from the grammar, seed {seed}"
    )


def _from_hub(task: Task) -> TaskData:
    assert task.hub is not None
    repository, configuration = task.hub
    hub_answers()
    try:
        splits = load_dataset(repository, configuration)
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(
            f"cannot load {task.name} from the Hugging Face hub ({repository}). Without a network, give a "
            "folder with its files: --data-dir FOLDER."
        ) from error
    return TaskData(
        task=task,
        train=checked_split(splits["train"], task, f"{repository}, train"),
        dev={
            name: checked_split(splits[split], task, f"{repository}, {split}")
            for name, split in task.hub_dev_splits
        },
        source=f"hub: {repository}, {configuration}",
    )


def _from_hub_copy(task: Task, folder: Path, data_dir: Path) -> TaskData:
    def read(split: str) -> Dataset:
        files = sorted(folder.glob(f"{split}-*.parquet"))
        if not files:
            raise UserError(f"{folder} holds no {split}-*.parquet.")
        parts = [checked_split(read_parquet(file), task, str(file)) for file in files]
        return concatenate_datasets(parts)

    return TaskData(
        task=task,
        train=read("train"),
        dev={name: read(split) for name, split in task.hub_dev_splits},
        source=f"copy of the hub's files in {data_dir}",
    )


def read_parquet(path: Path) -> Dataset:
    """The rows of a Parquet file.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return Dataset.from_parquet(str(path), keep_in_memory=True)
    except (OSError, ValueError, RuntimeError, DatasetsError) as error:
        raise UserError(
            f"{path} is empty or not a readable parquet file ({error.__cause__ or error}); "
            "download it again."
        ) from error


def _from_original_files(
    task: Task, original: OriginalFiles, folder: Path, data_dir: Path
) -> TaskData:
    def read(path: Path) -> Dataset:
        if task.kind == "spans":
            return read_squad(path)
        return _read_tsv(path, task, original, notices)

    notices: list[str] = []
    train_file = folder / original.train_file
    if not train_file.is_file() and (folder / original.train_subset).is_file():
        train_file = folder / original.train_subset
        notices.append(
            f"{task.name}: {ONLY_A_SUBSET} ({train_file.name}); scores are not scores for the task"
        )
    dev = {}
    for name, file_name in original.dev_files:
        if (folder / file_name).is_file():
            dev[name] = read(folder / file_name)
        else:
            notices.append(f"{task.name}: {file_name} is missing, so there is no {name} score")
    if not train_file.is_file() or not dev:
        wanted = [original.train_file, *(file_name for _, file_name in original.dev_files)]
        missing = [file_name for file_name in wanted if not (folder / file_name).is_file()]
        raise UserError(f"{folder} lacks {', '.join(missing)}.")
    train = read(train_file)
    return TaskData(
        task=task,
        train=train,
        dev=dev,
        source=f"original files in {data_dir}",
        notices=tuple(notices),
    )


def _read_tsv(path: Path, task: Task, original: OriginalFiles, notices: list[str]) -> Dataset:
    # No quoting: the files contain stray quotation marks, which a CSV reader would join rows at.
    lines = io.StringIO(read_text(path), newline=None)
    rows = [line.rstrip("\n").split("\t") for line in lines]
    if not rows:
        raise UserError(f"{path} is empty; download it again.")
    wanted = (*original.text_columns, original.label_column)
    first = 1
    if any(isinstance(column, str) for column in wanted):
        header, rows, first = rows[0], rows[1:], 2
        check_columns(header, [str(column) for column in wanted], str(path))
        positions = [header.index(str(column)) for column in wanted]
        if not rows:
            raise UserError(f"{path} has a header but no rows; download it again.")
    else:
        positions = [int(column) for column in wanted]
    columns: list[list[str]] = [[] for _ in positions]
    lines_read = []
    for number, row in enumerate(rows, start=first):
        if len(row) <= max(positions):
            if original.leaves_out_short_lines:
                continue
            raise UserError(
                f"{path}, line {number}: {len(row)} columns, need {max(positions) + 1}."
            )
        lines_read.append(number)
        for column, position in zip(columns, positions, strict=True):
            column.append(row[position])
    if not lines_read:
        raise UserError(f"{path}: no line has {max(positions) + 1} columns; download it again.")
    if short := len(rows) - len(lines_read):
        notices.append(
            f"{task.name}: {short:,} of {len(rows):,} lines of {path.name} have too few columns and were "
            "left out"
        )
    *texts, labels = columns
    to_number = label_reader(original.labels, task, where=str(path))
    numbers = [
        to_number(label, f"line {line}") for line, label in zip(lines_read, labels, strict=True)
    ]
    return Dataset.from_dict(dict(zip(task.text_columns, texts, strict=True)) | {"label": numbers})


def label_reader(
    spellings: Sequence[str] | None, task: Task, *, where: str
) -> Callable[[str, str], int | float]:
    """A function from a label as written, and the place it stands at, to its number.

    spellings: how the classes are written, in the order of their numbers; None for a regression.
    """
    classes = {label: number for number, label in enumerate(spellings or ())}

    def read(label: str, place: str) -> int | float:
        if spellings is not None:
            if label not in classes:
                raise UserError(
                    f"{where}, {place}: label {label!r} does not belong to {task.name}; "
                    f"its labels are {', '.join(classes)}."
                )
            return classes[label]
        low, high = task.label_range or (-FLOAT32_MAX, FLOAT32_MAX)
        try:
            value = float(label)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:  # refuses NaN as well
            raise UserError(
                f"{where}, {place}: label {label!r} does not belong to {task.name}; "
                f"it must be a number from {low:.2g} to {high:.2g}."
            )
        return value

    return read


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, without a byte-order mark (MRPC's files and Excel's have one).

    Raises:
        UserError: it is not UTF-8; names the line.
    """
    content = path.read_bytes()
    try:
        return content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path}, line {line}: byte 0x{content[error.start]:02x} is not UTF-8; "
            "save the file as UTF-8."
        ) from error


def check_columns(
    present: Iterable[str], wanted: Iterable[str], where: str, hint: str = ""
) -> None:
    """Raise a UserError that names the first wanted column which is not there, and those that are."""
    present = list(present)
    for column in wanted:
        if column not in present:
            raise UserError(
                f"{where} has no column {column!r}; it has {', '.join(map(repr, present))}.{hint}"
            )


def checked_split(split: Dataset, task: Task, where: str) -> Dataset:
    """The split with texts that are texts, and plain labels, each of which belongs to the task.

    Raises:
        UserError: a column is missing, or a value is none; names the row, and `where` it is.
    """
    if task.kind == "spans":
        return check_questions(split, where)
    check_columns(split.column_names, [*task.text_columns, "label"], where)
    if not len(split):
        raise UserError(f"{where} has no rows; download it again.")
    labels: list[Any] = list(split["label"])
    number = label_reader(
        None if task.is_regression else [str(n) for n in range(task.num_labels)], task, where=where
    )
    numbers = [number(str(label), f"row {row}") for row, label in enumerate(labels, start=1)]
    columns = {column: list(split[column]) for column in task.text_columns}
    for column, texts in columns.items():
        for row, text in enumerate(texts, start=1):
            if not isinstance(text, str):
                raise UserError(f"{where}, row {row}: column {column!r} is {text}, must be a text.")
    return Dataset.from_dict(columns | {"label": numbers})
