"""The verb that looks for good and cheap sub-networks of a run: search."""

from __future__ import annotations

import shlex
from typing import Annotated, Literal

import pandas as pd
import typer
from rich.markup import escape
from rich.table import Table

from dynabert.cli.display import TrainingDisplay, console, marked, on_all_splits
from dynabert.cli.options import Batch, DataDir, RunName, RunsDir, as_typed, chosen_space
from dynabert.errors import UserError
from dynabert.examples import load_examples
from dynabert.runs import RUNS_DIR, Run, find_run
from dynabert.search.front import (
    batch_sizes_of,
    cheapest_within,
    current_front,
    keep_with_run,
    latency_column,
    measure_front,
    num_unmeasured,
    read_front,
    reference_row,
)
from dynabert.search.loop import Tried, run_search
from dynabert.search.objectives import UNITS, Cost
from dynabert.search.proposals import CROSSOVERS, MUTATIONS, Method
from dynabert.search.search import (
    Search,
    damaged_searches,
    list_searches,
    open_search,
    untrained_reference,
)
from dynabert.search.settings import FEWEST_PERCENT, NUM_TRIALS, ask_search, exactly
from dynabert.training.events import Working
from dynabert.training.plan import MAX_SEED
from dynabert.words import count


def search(
    run: RunName,
    name: Annotated[
        str | None,
        typer.Option(help="What the search is called; a folder of the run. [the method]"),
    ] = None,
    method: Annotated[
        Method,
        typer.Option(
            help="tpe and gp: Optuna's samplers (gp takes many seconds for a proposal); evolution: of the "
            "Length-Adaptive Transformer; random."
        ),
    ] = "tpe",
    trials: Annotated[
        int | None,
        typer.Option(min=1, help="Sub-networks to try, in all. [150, or as it was begun]"),
    ] = None,
    widths: Annotated[
        str | None,
        typer.Option(
            help="Width multipliers to choose from, or all: every number of heads. [the recipe's largest]"
        ),
    ] = None,
    depths: Annotated[
        str | None,
        typer.Option(
            help="Depth multipliers to choose from, or all: every number of layers. [the recipe's largest]"
        ),
    ] = None,
    lengths: Annotated[
        Literal["shares", "tokens", "none"],
        typer.Option(
            help="Choose how many tokens leave each layer: as shares of each text's own, as counts (the "
            "papers' form), or keep all."
        ),
    ] = "shares",
    fewest: Annotated[
        int | None,
        typer.Option(
            min=1, help=f"Percent, or tokens, that leave a layer at least. [{FEWEST_PERCENT} %]"
        ),
    ] = None,
    cost: Annotated[
        Cost,
        typer.Option(
            help="What should be little: MACs, latency on this machine, or modelled: as `dynabert latency` "
            "has found it to depend on layers."
        ),
    ] = "macs",
    tokens: Annotated[
        int | None,
        typer.Option(min=1, help="Tokens per text for cost. [as the run's own results]"),
    ] = None,
    batch: Batch = 1,
    examples: Annotated[
        int, typer.Option(min=0, help="Dev examples that quality is measured on; 0: all.")
    ] = 500,
    measured: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Of its best, measure at most so many on all of dev, spread evenly over the front (of "
            "SQuAD that takes minutes for each); 0: all. [all, or as it was begun]",
        ),
    ] = None,
    at_most: Annotated[
        float | None, typer.Option(help="Try nothing that costs more: MACs, or milliseconds.")
    ] = None,
    within: Annotated[
        float,
        typer.Option(min=0, help="Name the cheapest that loses at most so many points (of 100)."),
    ] = 1.0,
    generation: Annotated[
        tuple[int, int],
        typer.Option(help="Mutations and crossovers of a generation, for method evolution."),
    ] = (MUTATIONS, CROSSOVERS),
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Of proposals and examples.")] = 0,
    again: Annotated[
        bool,
        typer.Option(
            "--measure-again",
            help="Measure its best anew, for example where the machine was busy; no trial is repeated.",
        ),
    ] = False,
    show: Annotated[
        bool, typer.Option("--show", help="Only list the run's searches and their best.")
    ] = False,
    data_dir: DataDir = None,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Look for sub-networks that are good and cheap; trains nothing.

    Stopped at any moment, the same command goes on where it stopped; given in a second terminal, it
    helps.

    Example: python -m dynabert search demo --trials 60
    """
    opened = find_run(run, runs_dir)
    if show:
        _show(opened, within)
        return
    largest = opened.largest
    grid = chosen_space(
        exactly(largest.width_mult) if widths is None else widths,
        exactly(largest.depth_mult) if depths is None else depths,
        opened.config.shape,
    )
    name = method if name is None else name
    begun = next((one for one in list_searches(opened) if one.name == name), None)
    settings = ask_search(
        method=method,
        num_trials=trials or (begun.settings.num_trials if begun else NUM_TRIALS),
        width_mults=grid.width_mults,
        depth_mults=grid.depth_mults,
        lengths=None if lengths == "none" else lengths,
        fewest=fewest,
        cost=cost,
        tokens=tokens or opened.usual_tokens(opened.results),
        batch_size=batch,
        num_examples=examples or None,
        num_measured=(begun.settings.num_measured if begun else None)
        if measured is None
        else measured or None,
        at_most=at_most,
        generation=generation,
        seed=seed,
    )
    loaded = load_examples(opened, data_dir)
    loaded.check_own("A search")  # trials of other examples would not compare
    found = open_search(
        opened,
        name,
        settings,
        command=as_typed(),
    )
    if (notice := untrained_reference(opened, settings)) is not None:
        console.print(f"[yellow]Note:[/] {escape(notice)}", soft_wrap=True)
    model = opened.model()
    with TrainingDisplay() as display:

        def on_trial(tried: Tried) -> None:
            display.tell(
                "searching",
                tried.done,
                tried.total,
                f"front {tried.front_size}  last {tried.trial.quality:.4f}",
                tried.seconds_left,
            )

        done = run_search(found, model, loaded, on_trial=on_trial)
        if found.log.under_way():
            console.print("Another process is at work on the rest.")
            return
        if len(done) < found.settings.num_trials:
            console.print(f"Nothing new was found to try after {len(done)} sub-networks.")
        table = measure_front(
            found,
            model,
            loaded,
            again=again,
            on_progress=lambda phase, done, total: display(
                Working(what=phase, done=done, total=total)
            ),
        )
    keep_with_run(opened, found, table)
    _report(opened, found, table, within)


def _report(run: Run, search: Search, table: pd.DataFrame, within: float) -> None:
    metric, settings = run.info.task.metric, search.settings
    columns = [latency_column(size) for size in batch_sizes_of(table)]
    largest = reference_row(table)
    shown = Table(
        title=f"{run.name}, search {search.name}: front of {int(table['num_trials'].iloc[0])} trials, "
        "all of dev",
        title_justify="left",
    )
    shown.add_column("sub-network")
    metrics = on_all_splits(table, (metric,))
    for heading in (*metrics, "MACs (M)", *(_times(column) for column in columns)):
        shown.add_column(heading, justify="right")
    for row in table.sort_values("macs", ascending=False).to_dict("records"):
        shown.add_row(
            row["subnet"],
            marked(f"{row[metric]:.4f}", row["collapsed"]),
            *(f"{row[name]:.4f}" for name in metrics[1:]),
            f"{row['macs'] / 1e6:.0f}",
            *(f"{row[column]:.2f} ({largest[column] / row[column]:.2f}x)" for column in columns),
        )
    console.print(shown)
    console.print(
        f"MACs and latency: {settings.tokens} tokens, {escape(str(table['machine'].iloc[0]))}; (x): times as "
        "fast as the largest sub-network."
    )
    if missing := num_unmeasured(table):
        console.print(
            f"{count(missing, 'more sub-network')} of its front not measured, as asked (--measured).",
            soft_wrap=True,
        )
    if collapsed := int(table["collapsed"].sum()):
        console.print(
            f"[red]{collapsed} collapsed[/] (one answer for every example) and never recommended.",
            soft_wrap=True,
        )
    timed = latency_column(settings.batch_size)
    by = timed if settings.cost != "macs" and timed in columns else "macs"
    best, found = cheapest_within(table, metric=metric, cost=by, points=within)
    near = f"within {within:g} point{'' if within == 1 else 's'} of the largest sub-network"
    if best["is_reference"]:
        why = "no other on this front has a score that says anything"
        if pd.isna(largest[metric]):
            why = "that one has no score to compare with"
        console.print(f"None {near}: {why}.", soft_wrap=True)
        return
    loss = 100 * (largest[metric] - best[metric])
    said = (
        f"The cheapest {near}: [bold]{best['subnet']}[/]"
        if found
        else f"None {near}; nearest: [bold]{best['subnet']}[/]"
    )
    faster = ", ".join(f"{largest[c] / best[c]:.2f}x as fast ({_times(c)})" for c in columns)
    console.print(
        f"{said}, {metric} {best[metric]:.4f} ({-loss:+.1f} points), "
        f"{largest['macs'] / best['macs']:.2f}x fewer MACs, {faster}.",
        soft_wrap=True,
    )


def _times(column: str) -> str:
    return f"ms, batch {column.rsplit('_', 1)[1]}"


def _show(run: Run, within: float) -> None:
    searches = list_searches(run)
    for reason in damaged_searches(run):
        console.print(f"[red]Left out: {escape(reason)}[/]", soft_wrap=True)
    if not searches:
        console.print(
            f"{run.name} has no searches yet. Begin one: python -m dynabert search "
            f"{escape(shlex.quote(run.argument))}",
            soft_wrap=True,
        )
    for search in searches:
        table = None
        try:
            table = read_front(search)
        except UserError as error:
            console.print(f"[red]{escape(str(error))}[/]", soft_wrap=True)
        if table is not None:
            _report(run, search, table, within)
        if current_front(search) is None:
            unit = UNITS[search.settings.cost]
            console.print(
                f"{run.name}, search {search.name}: {len(search.trials)} of {search.settings.num_trials} "
                f"trials done ({unit}); its best are not measured yet. Go on: "
                f"{escape(search.info.command)}",
                soft_wrap=True,
            )
