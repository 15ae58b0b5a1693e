"""Where a reproduction stands: what is done, what is missing, and how long that will take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import ValidationError

from dynabert.errors import UserError
from dynabert.reproduction.plan import Job
from dynabert.reproduction.results import Result, backbone_name, read_result, result_path
from dynabert.training.presets import RECIPES
from dynabert.training.recipe import Recipe

Status = Literal["done", "missing", "differs", "no recipe"]


@dataclass(frozen=True, kw_only=True)
class Standing:
    """One wanted training, and what there is of it."""

    job: Job
    status: Status
    why: str = ""  # it differs
    result: Result | None = None


def standing_of(job: Job, folder: Path) -> Standing:
    """Whether a result is there, and the one that is wanted. The data are not looked at."""
    path = result_path(folder, job.backbone, job.task, job.recipe, job.seed)
    known = job.recipe in RECIPES
    if not path.is_file():
        return Standing(job=job, status="missing" if known else "no recipe")
    try:
        result = read_result(path)
    except UserError as error:
        return Standing(job=job, status="differs", why=str(error))
    why = _difference(job, result) if known else ""
    return Standing(job=job, status="differs" if why else "done", why=why, result=result)


def _difference(job: Job, result: Result) -> str:
    if result.backbone != backbone_name(job.backbone):
        return f"it is of backbone {result.backbone}"
    wanted_train = job.limits.num_train or result.num_train_total
    if result.num_train != min(wanted_train, result.num_train_total):
        return f"it trained on {result.num_train:,} examples, not {wanted_train:,}"
    wanted, _ = job.limits.apply(RECIPES[job.recipe])
    try:
        trained = Recipe.model_validate(result.stages)
    except ValidationError:
        return "its recipe is of another version of the program"
    if different := _first_difference(wanted, trained):
        return f"its recipe has another {different}"
    return ""


def _first_difference(wanted: Recipe, trained: Recipe) -> str:
    """The first field that differs. A learning rate that the preset leaves open was filled in."""
    one, other = (recipe.model_dump(mode="json") for recipe in (wanted, trained))
    for values in (one, other):
        values.pop("name")
        values.pop("about")
    stages, trained_stages = one.pop("stages"), other.pop("stages")
    for field, value in one.items():
        if other[field] != value:
            return f"{field} ({other[field]}, now {value})"
    names, trained_names = ([stage["name"] for stage in s] for s in (stages, trained_stages))
    if names != trained_names:
        return f"list of stages ({', '.join(trained_names)}; now {', '.join(names)})"
    for stage, trained_stage in zip(stages, trained_stages, strict=True):
        for field in {**stage, **trained_stage}:
            value, before = stage.get(field), trained_stage.get(field)
            if value != before and not (field == "learning_rate" and value is None):
                return f"{stage['name']}.{field} ({before}, now {value})"
    return ""


def seconds_of(results: Iterable[Result]) -> dict[tuple[str, str, str], float]:
    """Mean training time by backbone, task and recipe: what another seed of it will take."""
    times: dict[tuple[str, str, str], list[float]] = {}
    for result in results:
        key = (result.backbone, result.task, result.recipe)
        times.setdefault(key, []).append(result.train_seconds)
    return {key: float(np.mean(values)) for key, values in times.items()}


def seconds_left(wanted: Sequence[Job], results: Iterable[Result]) -> tuple[float, int]:
    """Training time of jobs whose task and recipe were finished before, and how many have no such time."""
    times = seconds_of(results)
    keys = [kind_of(job) for job in wanted]
    known = [times[key] for key in keys if key in times]
    return sum(known), len(wanted) - len(known)


def kind_of(job: Job) -> tuple[str, str, str]:
    """What trainings of another seed have in common: the key of `seconds_of`."""
    return backbone_name(job.backbone), job.task, job.recipe
