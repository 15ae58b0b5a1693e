"""`dynabert reproduce`: the paper's tables and figures, measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.markup import escape
from rich.table import Table as TerminalTable

from dynabert.cli.display import TrainingDisplay, clock, console
from dynabert.cli.options import ChosenPrecision, RunsDir
from dynabert.cli.stopping import interruptible
from dynabert.errors import UserError, explain
from dynabert.reproduction.compare import Comparison
from dynabert.reproduction.figure_markdown import show_figure
from dynabert.reproduction.latencies import PAPER_SETUPS
from dynabert.reproduction.layout import Figure
from dynabert.reproduction.markdown import show, write_readme
from dynabert.reproduction.plan import PLAN_FILE, Job, Limits, Plan, ask, jobs, read_plan
from dynabert.reproduction.queue import (
    JobEnded,
    JobFailed,
    JobSkipped,
    JobStarted,
    Outcome,
    QueueEvent,
    Workshop,
    carry_out,
)
from dynabert.reproduction.results import RESULTS_DIR, backbone_name, read_results
from dynabert.reproduction.standing import kind_of, seconds_left, seconds_of, standing_of
from dynabert.reproduction.tables import find
from dynabert.reproduction.timing import time_results
from dynabert.runs import RUNS_DIR
from dynabert.training.events import Event, Working
from dynabert.training.plan import MAX_SEED


def reproduce(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="WHAT...",
            help="table1 to table8, table1-roberta, figure3, figure4, recipes, or the name of a recipe.",
        ),
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(help="Only on this task; may be repeated. Left out: all that the table has."),
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder with the tasks' files. Left out: the hub.")
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(help="minilm, a folder, or a hub id. Left out: as the plan says, minilm."),
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(help="Seeds, separated by commas.", show_default="0")
    ] = None,
    num_train: Annotated[
        int | None, typer.Option(min=1, help="Train on that many examples, drawn with the seed.")
    ] = None,
    epochs_scale: Annotated[
        float | None, typer.Option(help="Times the epochs of every stage, for example 0.5.")
    ] = None,
    epochs: Annotated[
        list[str] | None,
        typer.Option(metavar="STAGE=EPOCHS", help="Epochs of one stage; may be repeated."),
    ] = None,
    judge_examples: Annotated[
        int | None,
        typer.Option(
            min=1, help="Choose checkpoints by that many dev examples, drawn with the seed."
        ),
    ] = None,
    no_limits: Annotated[
        bool,
        typer.Option(
            "--no-limits",
            help="Ignore the limits that the plan sets for a task. Without it they hold beside the options "
            "that are given, wherever these say nothing.",
        ),
    ] = False,
    whole_plan: Annotated[bool, typer.Option("--all", help="Everything the plan names.")] = False,
    plan_file: Annotated[
        Path | None, typer.Option("--plan", help=f"Plan file. [default: {PLAN_FILE}]")
    ] = None,
    list_only: Annotated[
        bool, typer.Option("--list", help="Only say what is done and what is missing.")
    ] = False,
    show_only: Annotated[
        bool, typer.Option("--show", help="Only print the tables, ours beside the paper's.")
    ] = False,
    readme_only: Annotated[
        bool, typer.Option("--readme", help="Only write the README of the results folder anew.")
    ] = False,
    results: Annotated[Path, typer.Option(help="Where results are kept.")] = RESULTS_DIR,
    augmentations: Annotated[
        Path | None,
        typer.Option(
            help="Folder with a folder of augmented data for each task, named as it is (rte) or, where a "
            "seed draws examples, with the seed (sst2-s0)."
        ),
    ] = None,
    precision: ChosenPrecision = "auto",
    latency: Annotated[
        bool, typer.Option("--latency/--no-latency", help="Whether to measure latency.")
    ] = True,
    time_only: Annotated[
        bool,
        typer.Option(
            "--time",
            help="Only measure the latency that results lack, on this machine; train nothing.",
        ),
    ] = False,
    keep_runs: Annotated[
        bool, typer.Option("--keep-runs", help="Keep the trained networks as runs.")
    ] = False,
    drop_stages: Annotated[
        bool,
        typer.Option(
            "--drop-stages",
            help="Remove the stages that recipes share once all trainings of their task and seed are done: "
            "they take the size of the network each.",
        ),
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Train again what is there but differs.")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin anew what was cut off, rather than go on.")
    ] = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Measure the tables and figures of the DynaBERT paper, and print them beside the paper's numbers.

    Trains what has no result yet, one network after another; stopped at any moment, the same command goes
    on where it stopped.

    Example: python -m dynabert reproduce table3 --task rte --data-dir path/to/glue --seeds 0,1,2
    """
    modes = {
        "--list": list_only,
        "--show": show_only,
        "--readme": readme_only,
        "--time": time_only,
    }
    if len(asked_for := [name for name, wanted in modes.items() if wanted]) > 1:
        raise UserError(f"{' and '.join(asked_for)} are each a thing of its own; give one of them.")
    plan = _plan(plan_file)
    if readme_only:
        path = write_readme(results, read_results(results), plan.without)
        console.print(f"Wrote {path}.")
        return
    chosen = what or []
    if show_only:
        if not chosen:
            raise UserError("--show needs a table, for example: reproduce table3 --show.")
        _show(chosen, results, backbone_name(backbone or plan.backbone), plan)
        return
    if not (whole_plan or (list_only and not chosen)):
        asked = ask(
            plan.model_copy(update={"limits": {}}) if no_limits else plan,
            chosen,
            tasks=task or (),
            seeds=_seeds("0" if seeds is None else seeds),
            backbone=backbone,
            limits=_limits(num_train, epochs_scale, epochs or [], judge_examples),
        )
    else:
        if chosen or task:
            raise UserError("--all is everything in the plan; leave out tables and --task.")
        given: dict[str, object] = {
            **{"--seeds": seeds, "--num-train": num_train, "--epochs-scale": epochs_scale},
            **{"--epochs": epochs or None, "--judge-examples": judge_examples},
            **{"--no-limits": no_limits or None},
        }
        if used := [option for option, value in given.items() if value is not None]:
            raise UserError(f"--all is as the plan says; {used[0]} is for tables that you name.")
        asked = plan.model_copy(update={"backbone": backbone or plan.backbone})
    wanted = jobs(asked)
    if not wanted:
        raise UserError("the plan names nothing to train; give a table, for example table3.")
    if list_only:
        _list(wanted, results)
        return
    if time_only:
        _time(wanted, results, plan)
        return
    workshop = Workshop(
        results=results,
        runs_dir=runs_dir,
        data_dir=data_dir,
        augmentations=augmentations,
        precision=precision,
        latency=PAPER_SETUPS if latency else (),
        keep_runs=keep_runs,
        drop_stages=drop_stages,
        replace=replace,
        restart=restart,
    )
    with interruptible() as stop, QueueDisplay(results, plan) as display:
        outcome = carry_out(wanted, workshop, display, stop)
    _summary(outcome)
    if outcome.failed:
        raise typer.Exit(1)


def _time(wanted: list[Job], results: Path, plan: Plan) -> None:
    with TrainingDisplay() as display:

        def on_progress(what: str, done: int, total: int) -> None:
            display(Working(what=what, done=done, total=total))

        number = 0
        for path in time_results(results, wanted, on_progress=on_progress):
            number += 1
            console.print(f"Latency added: {escape(str(path))}", soft_wrap=True)
    if number:
        write_readme(results, read_results(results), plan.without)
    else:
        console.print("No result of these lacks latency.")


class QueueDisplay(TrainingDisplay):
    """Shows the trainings of a reproduction, and within each what `TrainingDisplay` shows."""

    def __init__(self, results: Path, plan: Plan) -> None:
        super().__init__()
        self._results, self._plan = results, plan

    def __call__(self, event: Event | QueueEvent) -> None:
        match event:
            case JobSkipped():
                console.print(f"{escape(str(event.job))}: {escape(event.why)}", soft_wrap=True)
            case JobStarted():
                console.print(
                    f"\n[bold]Training {event.number} of {event.total}: {escape(str(event.job))}[/]"
                    f"{_left(event)}"
                )
            case JobEnded():
                seconds = clock(event.result.wall_seconds)
                console.print(f"  done in {seconds}: {escape(str(event.path))}", soft_wrap=True)
                self._write_readme()
            case JobFailed():
                console.print(f"  [red]failed:[/] {escape(event.why)}", soft_wrap=True)
            case _:
                super().__call__(event)

    def _write_readme(self) -> None:
        try:
            write_readme(self._results, read_results(self._results), self._plan.without)
        except UserError as error:  # a damaged result must not stop the trainings that are left
            console.print(f"  [red]README not written:[/] {escape(str(error))}", soft_wrap=True)


def _left(event: JobStarted) -> str:
    known = event.total - event.number + 1 - event.unknown
    if not known:
        return ""
    rest = f" and {event.unknown} more of unknown length" if event.unknown else ""
    return f", about {clock(event.seconds_left)} left for {known}{rest}"


def _plan(path: Path | None) -> Plan:
    if path is None and not PLAN_FILE.is_file():
        return Plan()
    return read_plan(path or PLAN_FILE)


def _limits(
    num_train: int | None,
    epochs_scale: float | None,
    epochs: list[str],
    judge_examples: int | None,
) -> Limits:
    """What the options say."""
    by_stage = dict(_epochs(option) for option in epochs)
    if epochs_scale is not None and not 0 < epochs_scale <= 1000:
        raise UserError(f"--epochs-scale must be above 0, for example 0.5, got {epochs_scale}.")
    try:
        return Limits(
            num_train=num_train,
            epochs_scale=epochs_scale or 1.0,
            epochs=by_stage,
            judge_examples=judge_examples,
        )
    except ValidationError as error:
        raise UserError(f"--epochs: {explain(error)}") from error


def _epochs(option: str) -> tuple[str, float]:
    stage, _, number = option.partition("=")
    try:
        value = float(number)
    except ValueError:
        value = 0.0
    if not stage or not 0 < value <= 1000:
        raise UserError(f"--epochs takes STAGE=EPOCHS, for example width-depth=2, got {option!r}.")
    return stage, value


def _seeds(text: str) -> list[int]:
    parts = text.replace(",", " ").split()
    if not parts or not all(part.isdecimal() and int(part) <= MAX_SEED for part in parts):
        raise UserError(f"--seeds takes whole numbers separated by commas, 0,1,2, got {text!r}.")
    return [int(part) for part in dict.fromkeys(parts)]


def _show(names: list[str], results: Path, backbone: str, plan: Plan) -> None:
    found = read_results(results)
    for name in names:
        table = find(name)
        if isinstance(table, Figure):
            print_markdown(show_figure(table, found, backbone, plan.without))
        else:
            print_markdown(show(Comparison(table, backbone, found, plan.without)))


def print_markdown(text: str) -> None:
    """As it is: Markdown that is folded is none."""
    console.print(text, markup=False, soft_wrap=True)


def _list(wanted: list[Job], results: Path) -> None:
    found = read_results(results)
    times = seconds_of(found)
    standings = [standing_of(job, results) for job in wanted]
    table = TerminalTable(title=f"Trainings for {wanted[0].backbone}", title_justify="left")
    for heading in ("task", "recipe", "seed", "state", "training"):
        table.add_column(heading)
    for one in standings:
        seconds = times.get(kind_of(one.job))
        if one.result is not None:
            seconds = one.result.train_seconds
        said = f"{one.status}: {one.why}" if one.why else one.status
        about = "" if one.status == "done" else "about "
        table.add_row(
            one.job.task,
            one.job.recipe,
            str(one.job.seed),
            escape(said),
            "-" if seconds is None else f"{about}{clock(seconds)}",
        )
    console.print(table)
    done = sum(one.status == "done" for one in standings)
    missing = [one.job for one in standings if one.status == "missing"]
    seconds, unknown = seconds_left(missing, found)
    said = f"{done} of {len(standings)} done"
    if missing:
        said += f", {len(missing)} missing"
    if known := len(missing) - unknown:
        said += f"; about {clock(seconds)} for {known} of them"
    if unknown:
        said += f"; how long {unknown} take is not known yet"
    console.print(f"{said}.")


def _summary(outcome: Outcome) -> None:
    console.print(
        f"\n{len(outcome.done)} trained, {len(outcome.skipped)} skipped, {len(outcome.failed)} failed."
    )
    for failure in outcome.failed:
        console.print(
            f"[red]Failed:[/] {escape(str(failure.job))}: {escape(failure.why)}", soft_wrap=True
        )
