"""What to train, as few plain values: a page asks for them, the command line carries them out."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dynabert.backbones import check_backbone
from dynabert.data.augmentation import check_augmentable
from dynabert.data.source import DataSource
from dynabert.data.tasks import find_task
from dynabert.errors import UserError, explain_plainly
from dynabert.names import check_run_name, in_run_letters
from dynabert.runs import runs_dir_option
from dynabert.training.augmented import find_augmentation
from dynabert.training.plan import MAX_SEED
from dynabert.training.presets import RECIPES

TEACHING = "teaching"


class TrainingRequest(BaseModel):
    """A named task, a backbone and a preset. Anything finer is for the command line or a recipe file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    task: str = TEACHING
    data_dir: Path | None = None  # of a GLUE task; None: the hub
    backbone: str = "minilm"
    recipe: str = "dynabert"
    augmentation: Path | None = None  # where the recipe trains on augmented data
    num_train: Annotated[int, Field(ge=1)] | None = None  # None: all
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = 0
    half: bool = False  # store the weights in 16 bits

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        check_run_name(self.name)
        if not self.backbone.strip() or self.backbone.startswith(
            "-"
        ):  # it would pass for an option
            raise ValueError(
                f"a backbone is minilm, a folder or a hub id such as bert-base-uncased, got {self.backbone!r}"
            )
        if self.recipe not in RECIPES:
            raise ValueError(f"recipe {self.recipe!r} is none of {', '.join(RECIPES)}")
        if RECIPES[self.recipe].augmented_stages:
            check_augmentable(find_task(self.task))
        if RECIPES[self.recipe].augmented_stages and self.augmentation is None:
            raise ValueError(
                f"the recipe {self.recipe} trains on augmented data; give the folder of an augmentation "
                "(python -m dynabert augment writes one)"
            )
        if find_task(self.task).name == TEACHING and self.data_dir is not None:
            raise ValueError("the teaching set is generated; it takes no data folder")
        return self

    @property
    def source(self) -> DataSource:
        return DataSource(
            task=self.task,
            data_dir=self.data_dir,
            num_train=self.num_train,
            seed=self.seed,
            augmentation=self.augmentation,
        )

    def check(self) -> None:
        """Refuse at once what the training would refuse, as far as no network is needed to see it.

        The examples are read (seconds for the largest tasks), the backbone's weights are not.

        Raises:
            UserError: no such data, too few examples, an augmentation of other data, or not a
            backbone.
        """
        if self.data_dir is not None or find_task(self.task).name == TEACHING:
            find_augmentation(self.source, self.source.load(), RECIPES[self.recipe])
        check_backbone(self.backbone)

    def arguments(self, runs_dir: Path) -> list[str]:
        """What follows `python -m dynabert`."""
        arguments = ["train", self.task, "--backbone", self.backbone, "--name", self.name]
        arguments += ["--recipe", self.recipe, "--seed", str(self.seed)]
        if self.data_dir is not None:
            arguments += ["--data-dir", str(self.data_dir)]
        if self.augmentation is not None:
            arguments += ["--augmentation", str(self.augmentation)]
        if self.num_train is not None:
            arguments += ["--num-train", str(self.num_train)]
        if self.half:
            arguments.append("--half")
        return [*arguments, *runs_dir_option(runs_dir)]

    def command(self, runs_dir: Path) -> str:
        """The same as a line for a terminal."""
        return shlex.join(["python", "-m", "dynabert", *self.arguments(runs_dir)])


def request_training(**values: object) -> TrainingRequest:
    """A request from what somebody typed.

    Raises:
        UserError: a value is unknown or out of range.
    """
    try:
        return TrainingRequest.model_validate(values)
    except ValidationError as error:
        raise UserError(explain_plainly(error)) from error


def default_name(task: str, backbone: str) -> str:
    """What to call a run: task and backbone, in the letters that a run's name may have."""
    stem = Path(task).stem if task.lower().endswith(".csv") else task
    return in_run_letters(f"{stem}-{Path(backbone).resolve().name}")
