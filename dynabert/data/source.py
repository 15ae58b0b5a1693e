"""Where a run's examples came from, as a value that finds them again."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator

from dynabert.data.csv_files import CsvColumns, load_csv
from dynabert.data.loading import TaskData, load_task_data
from dynabert.data.tasks import Task, find_task
from dynabert.errors import UserError


def refuse_folder(task: Task) -> None:
    """Refuse a folder of files for a task that has none.

    Raises:
        UserError: it has none.
    """
    if task.name == "teaching":
        raise UserError("--data-dir is for GLUE tasks and squad; the teaching set is generated.")


class CsvSource(BaseModel):
    """A user's own CSV files."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    train_file: Path
    dev_file: Path | None = None
    text_columns: tuple[str, ...] = ("text",)
    label_column: str = "label"
    regression: bool = False

    def moved(self, folder: Path) -> Self:
        """The files of the same names in another folder."""
        dev_file = self.dev_file and folder / self.dev_file.name
        return self.model_copy(
            update={"train_file": folder / self.train_file.name, "dev_file": dev_file}
        )

    def arguments(self) -> list[str]:
        """What follows `dynabert train` for these files; what is as usual left out."""
        arguments = [str(self.train_file)]
        if self.dev_file is not None:
            arguments += ["--dev-file", str(self.dev_file)]
        if self.text_columns != ("text",):
            for column in self.text_columns:
                arguments += ["--text-column", column]
        if self.label_column != "label":
            arguments += ["--label-column", self.label_column]
        return [*arguments, "--regression"] if self.regression else arguments

    def load(self, seed: int) -> TaskData:
        columns = CsvColumns(
            text=self.text_columns, label=self.label_column, regression=self.regression
        )
        return load_csv(self.train_file, self.dev_file, columns=columns, seed=seed)


class DataSource(BaseModel):
    """A named task, from the hub or a folder, or CSV files; perhaps only some of its training examples."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str | None = None
    csv: CsvSource | None = None
    data_dir: Path | None = None
    num_train: int | None = None  # None: all
    seed: int = 0  # draws those, the dev rows of a CSV file, and the teaching set
    augmentation: Path | None = (
        None  # folder with more training rows, made from those; not in `load`
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.task is None) == (self.csv is None):
            raise ValueError("give either a task or csv files")
        return self

    def moved(self, folder: Path) -> Self:
        """The same examples, to be found in another folder.

        Raises:
            UserError: they are generated.
        """
        if self.task is not None:
            refuse_folder(find_task(self.task))
        csv = self.csv and self.csv.moved(folder)
        return self.model_copy(update={"csv": csv, "data_dir": None if csv else folder})

    def arguments(self) -> list[str]:
        """What follows `dynabert train` for the same examples; what is as usual left out.

        Not the augmentation, which only some recipes take.
        """
        if self.csv is not None:
            arguments = self.csv.arguments()
        else:
            assert self.task is not None
            arguments = [self.task]
            if self.data_dir is not None:
                arguments += ["--data-dir", str(self.data_dir)]
        if self.num_train is not None:
            arguments += ["--num-train", str(self.num_train)]
        return [*arguments, "--seed", str(self.seed)] if self.seed else arguments

    def load(self) -> TaskData:
        """Read the examples.

        Raises:
            UserError: they are not there or not as they should be.
        """
        if self.csv is not None:
            data = self.csv.load(self.seed)
        else:
            assert self.task is not None
            data = load_task_data(find_task(self.task), self.data_dir, seed=self.seed)
        return data if self.num_train is None else data.limited(self.num_train, self.seed)
