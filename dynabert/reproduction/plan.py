"""Which trainings a reproduction needs, as data: tables x tasks x seeds, in order of value."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError, field_validator

from dynabert.data.tasks import find_task
from dynabert.errors import UserError, explain, why_unreadable
from dynabert.reproduction.tables import find
from dynabert.training.plan import MAX_SEED
from dynabert.training.presets import RECIPES
from dynabert.training.recipe import Recipe
from dynabert.training.stage import Train
from dynabert.values import Value

DATA_DIR, AUGMENTATIONS_DIR = "path/to/data", "path/to/augmentations"  # in commands
PLAN_FILE = Path("benchmarks/reproduction.yaml")  # in the checkout
Positive = Annotated[float, Field(gt=0)]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]


class Limits(Value):
    """Less training than the presets ask for, where the machine or the time is small."""

    num_train: Annotated[int, Field(ge=1)] | None = None  # examples; None: all
    epochs_scale: Positive = 1.0  # times the epochs of every stage
    epochs: dict[str, Positive] = {}  # of the stages of these names, instead
    judge_examples: Annotated[int, Field(ge=1)] | None = None  # as `Recipe.judge_examples`

    @field_validator("epochs")
    @classmethod
    def _stages_exist(cls, epochs: dict[str, float]) -> dict[str, float]:
        known = {stage.name for recipe in RECIPES.values() for stage in recipe.train_stages}
        if unknown := sorted(epochs.keys() - known):
            raise ValueError(
                f"no recipe has a stage {unknown[0]!r}; there are {', '.join(sorted(known))}"
            )
        return epochs

    def over(self, others: Limits) -> Limits:
        """Both: these where they say something, the others where they do not."""
        scaled = {stage: epochs * self.epochs_scale for stage, epochs in others.epochs.items()}
        return Limits(
            num_train=others.num_train if self.num_train is None else self.num_train,
            epochs_scale=others.epochs_scale * self.epochs_scale,
            epochs=scaled | self.epochs,
            judge_examples=(
                others.judge_examples if self.judge_examples is None else self.judge_examples
            ),
        )

    def apply(self, recipe: Recipe) -> tuple[Recipe, tuple[str, ...]]:
        """The recipe as it is trained, and in words what that changes."""
        stages, changes = [], []
        for stage in recipe.stages:
            if isinstance(stage, Train):
                epochs = self.epochs.get(stage.name, stage.epochs * self.epochs_scale)
                if epochs != stage.epochs:
                    changes.append(
                        f"stage {stage.name}: {epochs:g} instead of {stage.epochs:g} epochs"
                    )
                    stage = stage.model_copy(update={"epochs": epochs})
            stages.append(stage)
        changed: dict[str, Any] = {"stages": tuple(stages)}
        if self.judge_examples is not None:
            changes.append(
                f"checkpoints are chosen by at most {self.judge_examples:,} dev examples"
            )
            changed["judge_examples"] = self.judge_examples
        return recipe.model_copy(update=changed), tuple(changes)


NO_LIMITS = Limits()


class Entry(Value):
    """Tables, figures or single recipes to carry out on some tasks, from some seeds."""

    what: Annotated[tuple[str, ...], Field(min_length=1)]
    tasks: Annotated[tuple[str, ...], Field(min_length=1)]
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0,)


class Plan(Value):
    """A plan file."""

    backbone: str = "minilm"
    limits: dict[str, Limits] = {}  # by task
    without: dict[str, str] = {}  # tasks that cannot be trained here, and why
    entries: tuple[Entry, ...] = ()

    @field_validator("limits", "without")
    @classmethod
    def _tasks_exist(cls, by_task: dict[str, Any]) -> dict[str, Any]:
        """By the tasks' own names: "SST-2" and "sst2" are the same."""
        return {find_task(task).name: value for task, value in by_task.items()}

    def limits_of(self, task: str) -> Limits:
        return self.limits.get(task, NO_LIMITS)


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training that is wanted."""

    backbone: str
    task: str
    recipe: str
    seed: int
    limits: Limits = NO_LIMITS

    def __str__(self) -> str:
        return f"{self.task}, {self.recipe}, seed {self.seed}"

    @property
    def command(self) -> str:
        """What repeats this one training, wherever the data may be."""
        words = ["python", "-m", "dynabert", "reproduce", self.recipe, "--task", self.task]
        folder = Path(self.backbone).is_dir()
        backbone = f"path/to/{Path(self.backbone).name}" if folder else self.backbone
        words += ["--backbone", backbone, "--seeds", str(self.seed)]
        words.append("--no-limits")  # of a plan file, whatever it may say by then
        if self.limits.num_train is not None:
            words += ["--num-train", str(self.limits.num_train)]
        if self.limits.epochs_scale != 1:
            words += ["--epochs-scale", _exact(self.limits.epochs_scale)]
        for stage, epochs in self.limits.epochs.items():
            words += ["--epochs", f"{stage}={_exact(epochs)}"]
        if self.limits.judge_examples is not None:
            words += ["--judge-examples", str(self.limits.judge_examples)]
        return shlex.join([*words, "--data-dir", DATA_DIR])


def _exact(number: float) -> str:
    """Short, but all of it: 8 rather than 8.0, and no digit lost of a third."""
    return str(number).removesuffix(".0")


def ask(
    plan: Plan,
    what: Sequence[str],
    *,
    tasks: Sequence[str] = (),
    seeds: Sequence[int] = (0,),
    backbone: str | None = None,
    limits: Limits = NO_LIMITS,
) -> Plan:
    """A plan of one entry, with what it leaves open taken from another plan.

    tasks: none are all those that the tables and figures have and that can be trained here.
    limits: of every task, over those of the plan.

    Raises:
        UserError: nothing was asked for, or a recipe without a task.
    """
    if not what:
        raise UserError("say what to reproduce, for example table3, or --all for the whole plan.")
    chosen = tuple(find_task(task).name for task in tasks)
    if not chosen:
        if recipes := [name for name in what if name in RECIPES]:
            raise UserError(f"recipe {recipes[0]} needs a task: --task rte, for example.")
        chosen = tuple(task for task in tasks_in(what) if task not in plan.without)
    return plan.model_copy(
        update={
            "backbone": backbone or plan.backbone,
            "limits": plan.limits | {task: limits.over(plan.limits_of(task)) for task in chosen},
            "entries": (Entry(what=tuple(what), tasks=chosen, seeds=tuple(seeds)),),
        }
    )


def jobs(plan: Plan) -> list[Job]:
    """The distinct trainings of a plan, in its order: what several tables share is trained once.

    Within an entry a seed is completed before the next, and a task before the next.

    Raises:
        UserError: a table, recipe or task that does not exist, or a task that a table does not have.
    """
    wanted: dict[tuple[str, str, int], Job] = {}
    for entry in plan.entries:
        tasks = [find_task(task).name for task in entry.tasks]
        by_task = {task: list(_recipes(entry.what, task)) for task in tasks}
        if idle := [task for task, recipes in by_task.items() if not recipes]:
            raise UserError(
                f"{', '.join(entry.what)}: there is no {idle[0]} in it; there are "
                f"{', '.join(tasks_in(entry.what))}."
            )
        for seed in entry.seeds:
            for task in tasks:
                for recipe in by_task[task]:
                    job = Job(
                        backbone=plan.backbone,
                        task=task,
                        recipe=recipe,
                        seed=seed,
                        limits=plan.limits_of(task),
                    )
                    wanted.setdefault((task, recipe, seed), job)
    return list(wanted.values())


def tasks_in(what: Sequence[str]) -> tuple[str, ...]:
    """The tasks that tables and figures have."""
    return tuple(dict.fromkeys(task for name in what for task in find(name).tasks))


def _recipes(what: Sequence[str], task: str) -> Iterator[str]:
    for name in what:
        if name in RECIPES:
            yield name
        elif task in (found := find(name)).tasks:
            yield from found.recipes


def read_plan(path: Path) -> Plan:
    """A plan from a YAML file.

    Raises:
        UserError: no such file, not YAML, or a field that is unknown or out of range.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Plan.model_validate(values)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"cannot read the plan {path}: {why_unreadable(error)}.") from error
    except ValidationError as error:
        raise UserError(f"plan {path}: {explain(error)}") from error
