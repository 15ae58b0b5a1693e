"""Networks that measurements train, each once: a run that is there already is taken as it is."""

from __future__ import annotations

from pathlib import Path

from commands import this_command

from dynabert.data.source import DataSource
from dynabert.runs import Run
from dynabert.training import Recipe, Train, TrainingPlan, train
from dynabert.training.events import Evaluated, Event, OnEvent


def tell(event: Event) -> None:
    """One line for each evaluation."""
    if isinstance(event, Evaluated):
        print(f"  {event.stage} {event.step}: {event.mean:.4f}", flush=True)


def trained(
    recipe: Recipe,
    *,
    name: str,
    task: str,
    data_dir: Path | None,
    seed: int,
    runs_dir: Path,
    on_event: OnEvent = tell,
) -> Run:
    """minilm trained on a task; what recipes of one task and seed begin with alike is trained once."""
    plan = TrainingPlan(
        name=name,
        data=DataSource(task=task, data_dir=data_dir, seed=seed),
        backbone="minilm",
        recipe=recipe,
        seed=seed,
        latency=None,
        command=this_command(),
    )
    return carried_out(plan, runs_dir, on_event, runs_dir / ".stages" / f"{task}-s{seed}")


def carried_out(
    plan: TrainingPlan, runs_dir: Path, on_event: OnEvent, stage_cache: Path | None
) -> Run:
    """The run that a plan leaves behind; the program ends where one of its name was trained otherwise."""
    folder = runs_dir / plan.name
    if not folder.exists():
        print(plan.name, flush=True)
        return train(plan, runs_dir, on_event, stage_cache=stage_cache)
    run = Run.load(folder)
    if not trained_so(run, plan.recipe):
        raise SystemExit(f"{folder} was trained otherwise; give another folder for runs.")
    return run


def trained_so(run: Run, recipe: Recipe) -> bool:
    """Whether a run has the recipe's stages; a learning rate that these leave open may be any."""
    theirs = Recipe.model_validate(run.info.recipe).stages
    if len(theirs) != len(recipe.stages):
        return False
    for one, wanted in zip(theirs, recipe.stages, strict=True):
        if isinstance(one, Train) and isinstance(wanted, Train) and wanted.learning_rate is None:
            wanted = wanted.model_copy(update={"learning_rate": one.learning_rate})
        if one != wanted:
            return False
    return True
