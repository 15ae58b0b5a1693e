"""Tables and progress in the terminal."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from dynabert.analysis.choices import resolved_row
from dynabert.evaluation.quality import further_metrics
from dynabert.training.events import (
    Advanced,
    Evaluated,
    Event,
    Notice,
    StageStarted,
    StepDone,
    Working,
)

console = Console(highlight=False)
if not console.is_terminal:
    console.width = 160  # a log file has no edge at which tables must be folded
# Errors, and what is told beside an answer that another program reads.
stderr = Console(stderr=True, highlight=False)


def apart_from(as_json: bool) -> Console:
    """Where to tell notes and progress: not in standard output, where that is to be nothing but JSON."""
    return stderr if as_json else console


# Where nobody watches a moving bar (a log file), one line this often.
_LOG_SECONDS = 30.0
_FEWEST_SECONDS = 2.0  # before it is said how long something will take

_WORK = {
    "augment": "augmenting",
    "tokenize": "reading augmented rows",
    "text": "reading text",
    "importance": "measuring importance",
    "score": "scoring on dev",
    "evaluate": "evaluating sub-networks",
    "ablate": "removing heads one by one",
    "latency": "measuring latency",
}


class TrainingDisplay:
    """Shows the events of a training: a moving bar in a terminal, lines in a log."""

    def __init__(self, where: Console | None = None) -> None:
        self._console = where or console
        self._progress = Progress(
            TextColumn("{task.description:<12}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task: TaskID | None = None
        self._described = ""
        self._last_line = time.monotonic()
        # Of work that is no training: what it is, since when it is told of, how far it was then and is now.
        self._work, self._first_told, self._done_at_first, self._done = "", 0.0, 0, 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        match event:
            case Notice():
                self._console.print(f"[yellow]Note:[/] {escape(event.text)}", soft_wrap=True)
            case StageStarted():
                resumed = f", going on after step {event.resumed_at}" if event.resumed_at else ""
                steps = f", {event.total_steps} steps" if event.total_steps else ""
                self._console.print(
                    f"[bold]Stage {event.number} of {event.num_stages}: {escape(event.stage)}[/]"
                    f"{steps}{resumed}"
                )
            case StepDone():
                note = (
                    f"loss {event.loss:.4f}  {event.steps_per_second:.2f} steps/s  "
                    f"{clock(event.seconds_left)} left"
                )
                self._advance(event.stage, event.step, event.total_steps, note)
            case Advanced():
                note = f"{event.steps_per_second:.2f} steps/s  {clock(event.seconds_left)} left"
                self._advance(event.stage, event.step, event.total_steps, note)
            case Working():
                description = _WORK.get(event.what, event.what)
                self._advance(description, event.done, event.total, self._time_left(event))
            case Evaluated():
                collapsed = (
                    f", [red]{len(event.collapsed)} of {len(event.scores)} collapsed[/]"
                    if event.collapsed
                    else ""
                )
                best = ", best so far" if event.is_best else ""
                low, high = min(event.scores.values()), max(event.scores.values())
                spread = f" (from {low:.4f} to {high:.4f})" if len(event.scores) > 1 else ""
                self._console.print(
                    f"  step {event.step}: dev {event.metric} {event.mean:.4f}{spread}"
                    f"{collapsed}{best}"
                )

    def _time_left(self, event: Working) -> str:
        """Of one kind of work, by how fast it went since it was first told of."""
        now = time.monotonic()
        if event.what != self._work or event.done < self._done:  # the same may come again, later
            self._work, self._first_told, self._done_at_first = event.what, now, event.done
        self._done = event.done
        gone = event.done - self._done_at_first
        if gone == 0 or now - self._first_told < _FEWEST_SECONDS:
            return ""
        return f"{clock((now - self._first_told) / gone * (event.total - event.done))} left"

    def tell(self, what: str, done: int, total: int, note: str, seconds_left: float) -> None:
        """Progress of long work that is not a training: how far, what was found, the time left."""
        self._advance(what, done, total, f"{note}  {clock(seconds_left)} left")

    def _advance(self, description: str, done: int, total: int, note: str) -> None:
        if not self._console.is_terminal:
            if time.monotonic() - self._last_line > _LOG_SECONDS:
                self._last_line = time.monotonic()
                self._console.print(f"  {description}: {done} of {total}  {note}".rstrip())
            return
        if self._task is None or description != self._described:
            if self._task is not None:
                self._progress.remove_task(self._task)
            self._task = self._progress.add_task(description, total=total, note=note)
            self._described = description
        self._progress.update(self._task, completed=done, total=total, note=note)


def results_table(results: pd.DataFrame, metrics: tuple[str, ...], title: str) -> Table:
    """The rows of a sweep as a table; a collapsed sub-network is marked beside its score."""
    table = Table(title=title, title_justify="left")
    for heading in ("width", "depth", "layers", "heads", "neurons"):
        table.add_column(heading, justify="right")
    # Tables from before there were lengths have no such column.
    drops_tokens = "length_config" in results and bool(results["length_config"].notna().any())
    if drops_tokens:
        table.add_column("tokens leaving", justify="right")
    metrics = on_all_splits(results, metrics)
    for metric in metrics:
        table.add_column(metric, justify="right")
    for heading in ("loss", "params (M)", "MACs (M)", "latency (ms)"):
        table.add_column(heading, justify="right")
    for row in results.to_dict("records"):
        latency = "-"
        if not pd.isna(row["latency_ms"]):
            latency = f"{row['latency_ms']:.1f} ±{row['latency_ms_iqr'] / 2:.1f}"
        scores = ["-" if pd.isna(row[metric]) else f"{row[metric]:.4f}" for metric in metrics]
        scores[0] = marked(scores[0], row["collapsed"])
        table.add_row(
            f"{row['width_mult']:g}",
            f"{row['depth_mult']:g}",
            str(len(row["layers"])),
            counts(row["heads"]),
            counts(row["neurons"]),
            *([_tokens_leaving(row)] if drops_tokens else []),
            *scores,
            f"{row['loss']:.4f}",
            f"{row['num_params'] / 1e6:.2f}",
            f"{row['macs'] / 1e6:.0f}",
            latency,
        )
    return table


def on_all_splits(results: pd.DataFrame, metrics: tuple[str, ...]) -> tuple[str, ...]:
    """The columns of some metrics: of MNLI also of its other dev set, such as accuracy_mismatched."""
    return (*metrics, *further_metrics(map(str, results.columns), metrics))


def in_figures(scores: Mapping[str, float], names: Iterable[str]) -> str:
    """For example "accuracy 0.8431  f1 0.8868"."""
    return "  ".join(f"{name} {scores[name]:.4f}" for name in names)


def marked(text: str, collapsed: bool | None) -> str:
    """A score or a name in a table, marked where it is a collapsed network's."""
    return f"{text} [red]collapsed[/]" if collapsed else text


def _tokens_leaving(row: Mapping[Any, Any]) -> str:
    """How many of a text of so many tokens as MACs are counted for leave each layer."""
    return ",".join(map(str, resolved_row(row).tokens_left(int(row["tokens"]))))


def counts(values: list[int]) -> str:
    """One number where all layers agree, else all of them."""
    distinct = {int(value) for value in values}
    return str(distinct.pop()) if len(distinct) == 1 else ",".join(map(str, values))


def clock(seconds: float) -> str:
    """For example "3:20", "2:05:00"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values for JSON, which knows no NaN and no infinity: None in their place."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in values.items()
    }
