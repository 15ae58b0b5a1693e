"""`dynabert runs`."""

from __future__ import annotations

from rich.markup import escape
from rich.progress import track
from rich.table import Table

from dynabert.cli.display import console, marked
from dynabert.cli.options import RunsDir
from dynabert.errors import UserError
from dynabert.runs import RUNS_DIR, Run, list_runs


def runs(runs_dir: RunsDir = RUNS_DIR) -> None:
    """List the complete runs.

    Example: python -m dynabert runs
    """
    names = list_runs(runs_dir)
    if not names:
        console.print(f"No runs in {runs_dir} yet. Train one: python -m dynabert train teaching")
        return
    table = Table(title=f"Runs in {runs_dir}", title_justify="left")
    for heading in ("run", "task", "backbone", "recipe", "metric", "largest", "smallest"):
        table.add_column(heading)
    table.add_column("MB", justify="right")
    for name in track(names, description="reading", transient=True, console=console):
        try:
            table.add_row(*_summary(Run.load(runs_dir / name)))
        except UserError as error:
            table.add_row(name, f"[red]{escape(str(error))}[/]")
    console.print(table)


def _summary(run: Run) -> list[str]:
    metric, results = run.info.task.metric, run.reported_results.sort_values("num_params")
    scores = [
        marked(f"{row[metric]:.4f}", row["collapsed"])
        for row in (results.iloc[-1], results.iloc[0])
    ]
    task, recipe = escape(run.info.task.name), escape(str(run.info.recipe.get("name")))
    backbone = escape(run.info.backbone)
    return [run.name, task, backbone, recipe, metric, *scores, f"{run.size_bytes / 1e6:.0f}"]
