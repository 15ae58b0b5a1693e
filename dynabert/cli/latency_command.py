"""The verb that measures what layers take: latency."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from dynabert.cli.display import TrainingDisplay, console
from dynabert.cli.options import Batch, RunName, RunsDir
from dynabert.evaluation.cost import count_macs
from dynabert.evaluation.latency_parts import REPEATS, measure_latency_table
from dynabert.evaluation.latency_table import MOST_ERROR, LatencyTable, keep_latency_table
from dynabert.modeling.models import TaskModel
from dynabert.runs import RUNS_DIR, Run, find_run
from dynabert.subnet import Subnet
from dynabert.training.events import Working
from dynabert.training.plan import MAX_SEED


def latency(
    run: RunName,
    tokens: Annotated[
        int | None,
        typer.Option(min=2, help="Longest text it is about. [as the run's own results]"),
    ] = None,
    batch: Batch = 1,
    repeats: Annotated[int, typer.Option(min=2, help="Of each measurement.")] = REPEATS,
    seed: Annotated[
        int, typer.Option(min=0, max=MAX_SEED, help="Of the networks it is checked on.")
    ] = 0,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Measure what layers take on this machine, by heads, neurons and tokens; and how well that tells
    the latency of whole sub-networks.

    Kept with the run, for `dynabert search --cost modelled`. Best when nothing else runs.

    Example: python -m dynabert latency demo --tokens 64
    """
    opened = find_run(run, runs_dir)
    opened.check_writable()
    model = opened.model()
    with TrainingDisplay() as display:
        table = measure_latency_table(
            model,
            max_tokens=tokens or opened.usual_tokens(opened.results),
            batch_size=batch,
            repeats=repeats,
            seed=seed,
            on_repeat=lambda done: display(Working(what="latency", done=done, total=repeats)),
        )
    keep_latency_table(table, opened.folder, model.device)
    console.print(_table(opened, model, table))
    console.print(
        f"{escape(table.machine)}. On {table.checked} sub-networks that it was not made from, it is off by "
        f"{table.error:.1%} on average, {table.worst:.1%} at most.",
        soft_wrap=True,
    )
    if not table.is_trusted:
        console.print(
            f"[yellow]That is more than {MOST_ERROR:.0%} on average: a search with --cost modelled refuses "
            "it. Use --cost latency, which times every sub-network, or measure again when the machine is "
            "quiet.[/]",
            soft_wrap=True,
        )
    console.print(f"Kept with run {escape(opened.name)}.")


def _table(run: Run, model: TaskModel, table: LatencyTable) -> Table:
    tokens = [count for count in (table.max_tokens // 4, table.max_tokens // 2) if count]
    tokens.append(table.max_tokens)
    shown = Table(
        title=f"{run.name}: modelled latency, ms, {table.batch_size} "
        f"text{'' if table.batch_size == 1 else 's'} per pass",
        title_justify="left",
    )
    shown.add_column("sub-network")
    shown.add_column(f"MACs (M), {table.max_tokens} tokens", justify="right")
    for count in tokens:
        shown.add_column(f"{count} tokens", justify="right")
    for key in run.reported_results["subnet"]:
        subnet = Subnet.parse(key)
        times = (f"{table.predict(model, subnet, count):.2f}" for count in tokens)
        shown.add_row(key, f"{count_macs(model, subnet, table.max_tokens) / 1e6:.0f}", *times)
    return shown
