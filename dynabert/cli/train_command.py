"""`dynabert train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from pydantic import ValidationError

from dynabert.cli.data_options import (
    DevFile,
    LabelColumn,
    Regression,
    TaskOrCsv,
    TextColumns,
    chosen_source,
    csv_options,
)
from dynabert.cli.display import TrainingDisplay, console, results_table
from dynabert.cli.options import ChosenPrecision, RunsDir, as_typed
from dynabert.cli.stopping import interruptible
from dynabert.errors import UserError, explain
from dynabert.evaluation.latency import LatencySetup
from dynabert.names import check_run_name
from dynabert.runs import RUNS_DIR
from dynabert.training import TrainingPlan, discard_unfinished, find_recipe
from dynabert.training import train as carry_out
from dynabert.training.recipe import Recipe
from dynabert.training.request import default_name


def train(
    task: TaskOrCsv,
    name: Annotated[
        str | None, typer.Option(help="What to call the run; by default TASK-BACKBONE.")
    ] = None,
    backbone: Annotated[
        str, typer.Option(help="minilm, a folder, or a hub id of a BERT or RoBERTa.")
    ] = "minilm",
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Folder with the task's files: original ones (CoLA/train.tsv, SQuAD/train-v1.1.json, "
            "...) or a copy of the hub's repository. Left out: the hub."
        ),
    ] = None,
    augmentation: Annotated[
        Path | None,
        typer.Option(
            help="Folder that `dynabert augment` wrote, for recipes that train on augmented data."
        ),
    ] = None,
    recipe: Annotated[
        str,
        typer.Option(
            help="dynabert, best, dynabert-w, fine-tune, ... (`dynabert recipes` lists them all), or "
            "the path of a .yaml file."
        ),
    ] = "dynabert",
    change: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="FIELD=VALUE",
            help="Change a field of the recipe or, as STAGE.FIELD, of a stage, for example "
            "batch_size=16 or width.epochs=5. May be repeated.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    num_train: Annotated[
        int | None, typer.Option(help="Train on that many examples, drawn with the seed.")
    ] = None,
    precision: ChosenPrecision = "auto",
    dev_file: DevFile = None,
    text_column: TextColumns = None,
    label_column: LabelColumn = "label",
    regression: Regression = False,
    tokens: Annotated[
        int | None,
        typer.Option(
            help="Tokens per sentence for MACs and latency in the results. [128; squad: 384]"
        ),
    ] = None,
    half: Annotated[
        bool, typer.Option("--half", help="Store the weights in 16 bits: half the size.")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Drop an unfinished training of that name first.")
    ] = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Train a family of sub-networks and keep it as a run.

    Stopped at any moment, the same command goes on where it stopped.

    Example: python -m dynabert train cola --data-dir path/to/glue --name cola-minilm
    """
    source = chosen_source(
        *(task, data_dir, num_train, seed),
        csv_options(dev_file, text_column, label_column, regression),
    ).model_copy(update={"augmentation": augmentation and augmentation.resolve()})
    plan = TrainingPlan(
        name=check_run_name(name or default_name(task, backbone)),
        data=source,
        backbone=backbone,
        recipe=changed(find_recipe(recipe), change or []),
        seed=seed,
        precision=precision,
        latency="usual" if tokens is None else LatencySetup(tokens=tokens),
        half_precision_file=half,
        command=as_typed(),
    )
    if restart:
        discard_unfinished(plan.name, runs_dir)
    with interruptible() as stop, TrainingDisplay() as display:
        run = carry_out(plan, runs_dir, display, stop)
    console.print(results_table(run.results, run.info.task.metrics, f"{run.name}, dev"))
    console.print(f"Run {run.name} is in {run.folder}. See it: python -m dynabert app")


def changed(recipe: Recipe, changes: list[str]) -> Recipe:
    """The recipe with fields changed, each written FIELD=VALUE or STAGE.FIELD=VALUE.

    Raises:
        UserError: no such stage or field, or a value out of range.
    """
    values = recipe.model_dump(mode="json")
    for change in changes:
        path, equals, text = change.partition("=")
        *parents, field = path.split(".")
        target: Any = values
        if parents:
            by_name = {stage["name"]: stage for stage in values["stages"]}
            if parents[0] not in by_name:
                raise UserError(
                    f"--set {change}: recipe {recipe.name} has no stage {parents[0]!r}; "
                    f"its stages are {', '.join(by_name)}."
                )
            target = by_name[parents[0]]
            for parent in parents[1:]:
                target = target.get(parent) if isinstance(target, dict) else None
        if not equals or not isinstance(target, dict) or field not in target:
            known = ", ".join(target) if isinstance(target, dict) else "none"
            raise UserError(f"--set {change}: no such field; there are {known}.")
        try:
            target[field] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise UserError(f"--set {change}: {text!r} is not a value (YAML).") from error
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise UserError(f"recipe {recipe.name}: {explain(error)}") from error
