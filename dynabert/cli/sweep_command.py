"""`dynabert sweep`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.markup import escape

from dynabert.analysis.survivors import dropping
from dynabert.cli.display import TrainingDisplay, console, results_table
from dynabert.cli.options import (
    ALL_DEPTHS,
    ALL_WIDTHS,
    DataDir,
    Depths,
    Drops,
    LatencyBatch,
    RunName,
    RunsDir,
    Widths,
    check_out_file,
    chosen_drops,
    chosen_space,
)
from dynabert.cli.run_examples import examples_of
from dynabert.evaluation.cost import PAPER_TOKENS
from dynabert.evaluation.latency import LatencySetup, check_tokens, describe_machine
from dynabert.evaluation.table import sweep as sweep_subnets
from dynabert.files import new_file
from dynabert.keeping import check_same_tokens, why_times_differ, without_times
from dynabert.results import as_csv
from dynabert.runs import RUNS_DIR, find_run
from dynabert.training.events import Working


def sweep(
    run: RunName,
    widths: Widths = ALL_WIDTHS,
    depths: Depths = ALL_DEPTHS,
    drops: Drops = "0",
    tokens: Annotated[
        int | None,
        typer.Option(help="Tokens per sentence for MACs and latency. [as the run's own results]"),
    ] = None,
    latency_batch: LatencyBatch = 1,
    out: Annotated[
        Path | None, typer.Option(help="Write the table to this .csv or .parquet file.")
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the rows with the run, for the app.")
    ] = False,
    data_dir: DataDir = None,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Score and time many sub-networks: every width with every depth.

    Example: python -m dynabert sweep demo --widths 1,0.5,0.25 --depths 1,0.5 --out sweep.csv
    """
    shares = chosen_drops(drops)
    # Whatever would be refused after the evaluation is refused at once.
    LatencySetup(tokens=PAPER_TOKENS if tokens is None else tokens, batch_size=latency_batch)
    check_out_file(out, ".csv", ".parquet")
    opened = find_run(run, runs_dir)
    if keep:
        opened.check_writable()
    setup = LatencySetup(
        tokens=opened.usual_tokens(opened.results) if tokens is None else tokens,
        batch_size=latency_batch,
    )
    check_tokens(opened.config.max_tokens, setup.tokens)
    space = chosen_space(widths, depths, opened.config.shape)
    different = None
    if keep:
        check_same_tokens(opened, setup.tokens)
        machine = describe_machine(torch.device("cpu"))
        if (different := why_times_differ(opened, setup, machine)) is not None:
            console.print(
                f"[yellow]Note:[/] latencies are measured but not kept: {escape(different)}.",
                soft_wrap=True,
            )
    examples = examples_of(opened, data_dir, keep=keep)
    model = opened.model()
    subnets = [
        one for subnet in space for one in dropping(subnet, model.config.shape, drops=shares)
    ]
    with TrainingDisplay() as display:
        results = sweep_subnets(
            model,
            examples.dev,
            subnets,
            metrics=opened.info.task.metrics,
            other_splits=examples.other_dev,
            latency=setup,
            on_progress=lambda phase, done, total: display(
                Working(what=phase, done=done, total=total)
            ),
        )
    console.print(results_table(results, opened.info.task.metrics, f"{opened.name}, dev"))
    console.print(
        f"MACs and latency: {setup.tokens} tokens, batch {latency_batch}, "
        f"{describe_machine(torch.device('cpu'))}; ± half the interquartile range."
    )
    if out is not None:
        with new_file(out) as partial:
            if out.suffix == ".csv":
                partial.write_text(as_csv(results), encoding="utf-8")
            else:
                results.to_parquet(partial, index=False)
        console.print(f"Written to {out}.")
    if keep:
        opened.add_results(results if different is None else without_times(results))
        less = "" if different is None else f" without latencies: {escape(different)}"
        console.print(f"Kept with run {opened.name}{less}.", soft_wrap=True)
