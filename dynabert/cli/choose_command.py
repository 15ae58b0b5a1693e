"""The verb that says which sub-network to take within a budget: choose."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

import pandas as pd
import typer
from rich.markup import escape
from rich.table import Table

from dynabert.cli.display import TrainingDisplay, apart_from, console
from dynabert.cli.options import AsJson, Batch, DataDir, RunName, RunsDir, check_data_dir
from dynabert.errors import UserError
from dynabert.evaluation.cost import PAPER_TOKENS
from dynabert.examples import load_examples
from dynabert.export import export_command
from dynabert.runs import RUNS_DIR, Run, find_run
from dynabert.search.budget import Budget
from dynabert.search.candidates import Option
from dynabert.search.choice import Choice
from dynabert.search.choice_in_words import budget_in_words, excess_in_words, price_in_words
from dynabert.search.choosing import choose as choose_subnet
from dynabert.training.events import Working
from dynabert.words import figures

NOTHING_FITS = 1  # the exit code


def choose(
    run: RunName,
    latency_ms: Annotated[
        float | None,
        typer.Option(help="Milliseconds that a pass may take on this machine, by its clock."),
    ] = None,
    tokens: Annotated[
        int | None,
        typer.Option(min=1, help="Tokens of each text. [as the run's own results]"),
    ] = None,
    batch: Batch = 1,
    params: Annotated[
        float | None, typer.Option(help="Parameters that its layers may have, for example 2e6.")
    ] = None,
    macs: Annotated[
        float | None,
        typer.Option(help="MACs that it may take for one text of so many tokens, for example 1e8."),
    ] = None,
    floor: Annotated[
        float | None,
        typer.Option(
            help="What it must score at least on dev, in the task's metric, for example 0.85; alone: take "
            "the fastest that does."
        ),
    ] = None,
    keep: Annotated[
        bool,
        typer.Option(
            "--keep/--no-keep",
            help="Keep scores that were not known yet with the run, where it can be written to.",
        ),
    ] = True,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Say which sub-network to take within a budget, on this machine now.

    The best on dev of all that the run has results of, and of the grid of its recipe. Where time is limited,
    they are timed in turn; a latency table (`dynabert latency`) spares that for those that are far too
    slow. Exit code 1, with the nearest miss, where nothing fits.

    Example: python -m dynabert choose demo --latency-ms 5 --tokens 32
    """
    # Refused before the run is opened, which takes a while.
    _check_limits({"--latency-ms": latency_ms, "--params": params, "--macs": macs}, floor)
    budget = Budget(
        latency_ms=latency_ms,
        num_params=params,
        macs=macs,
        floor=floor,
        tokens=PAPER_TOKENS if tokens is None else tokens,
        batch_size=batch,
    )
    opened = find_run(run, runs_dir)
    check_data_dir(opened, data_dir)
    if tokens is None:
        budget = replace(budget, tokens=opened.usual_tokens(opened.results))
    told = apart_from(as_json)

    def on_evaluated(rows: pd.DataFrame) -> None:
        if not keep:
            return
        try:
            opened.check_writable()
            opened.add_results(rows)
        except (UserError, OSError) as error:
            told.print(f"[yellow]Note:[/] not kept: {escape(str(error))}", soft_wrap=True)

    with TrainingDisplay(told) as display:

        def on_progress(phase: str, done: int, total: int) -> None:
            display(Working(what=phase, done=done, total=total))

        choice = choose_subnet(
            opened,
            opened.model(),
            budget,
            load=lambda: load_examples(opened, data_dir),
            on_evaluated=on_evaluated,
            on_progress=on_progress,
        )
    if as_json:
        console.print_json(json.dumps(_as_json(opened, choice)))
    else:
        _report(opened, choice)
    if choice.chosen is None:
        raise typer.Exit(NOTHING_FITS)


def _check_limits(limits: Mapping[str, float | None], floor: float | None) -> None:
    """Refuse, under the names of the options, what a `Budget` refuses."""
    for option, limit in limits.items():
        if limit is not None and not 0 < limit < math.inf:
            raise UserError(f"{option} must be a number above 0, got {limit:g}.")
    if floor is not None and not -1 <= floor <= 1:
        raise UserError(f"--floor must be from -1 to 1, as all metrics are, got {floor:g}.")
    if floor is None and not any(limit is not None for limit in limits.values()):
        raise UserError(
            f"say what it may cost ({', '.join(limits)}) or what it must score (--floor), for example "
            "--latency-ms 5."
        )


def _as_json(run: Run, choice: Choice) -> dict[str, Any]:
    extract = None if choice.chosen is None else export_command(run, choice.chosen.subnet)
    return {"run": run.name, **choice.as_json(), "extract": extract}


def _report(run: Run, choice: Choice) -> None:
    budget = choice.budget
    shown = Table(
        title=f"{run.name}: {budget_in_words(budget, choice.metric)}",
        title_justify="left",
        caption_justify="left",
    )
    for heading in ("", "sub-network"):
        shown.add_column(heading)
    tokens = f"MACs (M), {budget.tokens} tokens"
    for heading in (f"dev {choice.metric}", "latency (ms)", "params (M)", tokens):
        shown.add_column(heading, justify="right")
    rows = (
        ("chosen", choice.chosen),
        ("runner-up", choice.runner_up),
        ("next step", choice.step_up),
        ("nearest miss", choice.nearest_miss),
    )
    for name, option in rows:
        if option is not None:
            shown.add_row(name, option.key, *_numbers(option))
    console.print(shown)
    timed = sum(bool(option.measured) for option in choice.options)
    texts = f"{budget.batch_size} text{'' if budget.batch_size == 1 else 's'}"
    which = "the slowest median of its measurements" if budget.needs_clock else "median"
    console.print(
        f"{len(choice.options)} sub-networks, {timed} of them timed, {texts} of {budget.tokens} tokens per "
        f"pass, on {escape(choice.machine)}; latency: {which}, ± half its interquartile range.",
        soft_wrap=True,
    )
    if collapsed := sum(option.collapsed for option in choice.options):
        console.print(
            f"[red]{collapsed} collapsed[/] (one answer for every example) and never chosen.",
            soft_wrap=True,
        )
    _conclude(run, choice)
    if choice.warning is not None:  # last, where it is read
        console.print(f"[yellow]Warning:[/] {escape(choice.warning)}", soft_wrap=True)


def _conclude(run: Run, choice: Choice) -> None:
    """What to take and how, or what is in the way."""
    chosen, step, miss = choice.chosen, choice.step_up, choice.nearest_miss
    if chosen is not None:
        console.print(
            f"Take [bold]{chosen.key}[/]: {chosen.subnet.resolve(run.config.shape)}.",
            soft_wrap=True,
        )
        if step is not None:
            console.print(
                f"The next step up, {step.key}, gives {100 * (choice.gain or 0):+.1f} points for "
                f"{price_in_words(choice)}.",
                soft_wrap=True,
            )
        else:
            console.print("Nothing here scores more.")
        console.print(f"  {export_command(run, chosen.subnet)}", soft_wrap=True)
    elif miss is not None:
        over = excess_in_words(choice)
        console.print(
            f"Nothing fits. Nearest is [bold]{miss.key}[/]: {over}.",
            soft_wrap=True,
        )
        console.print(f"  {export_command(run, miss.subnet)}", soft_wrap=True)
    else:
        console.print("Nothing fits: no sub-network here has a score that says anything.")


def _numbers(option: Option) -> list[str]:
    latency = option.latency
    return [
        "-" if math.isnan(option.score) else f"{option.score:.4f}",
        "-" if latency is None else f"{latency.median_ms:.2f} ±{latency.iqr_ms / 2:.2f}",
        f"{option.num_params / 1e6:.2f}",
        figures(option.macs / 1e6, 4),
    ]
