"""Cells of tables, the paper's beside ours: means over seeds, how much they vary, and why a cell is empty."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from dynabert.reproduction.budgets import same_budget, trained_alike
from dynabert.reproduction.layout import Row, Table
from dynabert.reproduction.measures import MEASURES, title_of
from dynabert.reproduction.plan import AUGMENTATIONS_DIR, DATA_DIR
from dynabert.reproduction.published import AVERAGE, NOTES, Score
from dynabert.reproduction.results import Result
from dynabert.training.presets import RECIPES

NOT_RUN = "not run yet"
PERCENT = 100.0  # the paper's unit; runs keep shares


@dataclass(frozen=True, kw_only=True)
class SeedValue:
    """A cell as one seed measured it."""

    seed: int
    value: float  # percent, mean over the cell's sub-networks
    collapsed: int  # of them answer every example alike
    num_subnets: int
    results: tuple[Result, ...]  # that it was read from

    @property
    def budget(self) -> tuple[object, ...]:
        return tuple(result.budget for result in self.results)

    @property
    def examples(self) -> frozenset[str]:
        """Fingerprints of what it was trained and judged on."""
        return frozenset(result.fingerprint for result in self.results)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell of a table: the paper's number, ours, and what must be known of them."""

    row: str
    measure: str
    heading: str
    paper: Score
    ours: float | None = None  # percent, mean over the seeds
    spread: float | None = None  # standard deviation over the seeds (n - 1); None for one seed
    seeds: tuple[int, ...] = ()
    collapsed: int = 0  # sub-networks over all seeds that answer every example alike
    num_subnets: int = 0  # over all seeds
    left_out: tuple[int, ...] = ()  # seeds measured with another budget
    why: str = ""  # it is empty
    why_in_a_word: str = ""
    missing: tuple[str, ...] = ()  # recipes that have not been run, where that is why
    note: str = ""  # on the paper's number

    @property
    def difference(self) -> float | None:
        """Ours minus the paper's, in points."""
        return None if self.ours is None or self.paper is None else self.ours - self.paper


def command_for(name: str, task: str, backbone: str, recipes: Iterable[str]) -> str:
    """What measures the cells of a table or figure for one task.

    recipes: that are still to be trained.
    """
    words = ["python", "-m", "dynabert", "reproduce", name, "--task", task]
    words += [] if backbone == "minilm" else ["--backbone", backbone]
    words += ["--data-dir", DATA_DIR]
    if any(recipe in RECIPES and RECIPES[recipe].augmented_stages for recipe in recipes):
        words += ["--augmentations", AUGMENTATIONS_DIR]
    return shlex.join(words)


@dataclass(frozen=True)
class Comparison:
    """A table with the results of one backbone.

    without: tasks that cannot be measured where the results come from, and why.
    """

    table: Table
    backbone: str
    results: Sequence[Result]
    without: Mapping[str, str]

    @cached_property
    def cells(self) -> dict[tuple[str, str, str], Cell]:
        """All cells, by row, measure and heading, in the order of the table."""
        return {
            (row.label, measure, heading): self._cell(row, measure, heading)
            for row in self.table.rows
            for measure in self.table.measures
            for heading in self.table.headings
            if heading in row.parts
        }

    @cached_property
    def used(self) -> tuple[Result, ...]:
        """The results that its cells are made from, in the order of its columns and rows."""
        table = self.table
        shown = _distinct(
            result
            for measure in table.measures
            for row in table.rows
            for heading in row.parts
            for value in same_budget(self.by_seed(row, measure, heading))
            for result in value.results
        )
        tasks, recipes = table.tasks, table.recipes
        return tuple(
            sorted(shown, key=lambda one: (tasks.index(one.task), recipes.index(one.recipe)))
        )

    @cached_property
    def _found(self) -> dict[tuple[str, str], list[Result]]:
        found: dict[tuple[str, str], list[Result]] = {}
        for result in sorted(self.results, key=lambda one: one.seed):
            if self._fits(result):
                found.setdefault((result.task, result.recipe), []).append(result)
        return found

    def _fits(self, result: Result) -> bool:
        return result.backbone == self.backbone and result.shape.family == self.table.family

    def by_seed(self, row: Row, measure: str, heading: str) -> list[SeedValue]:
        """What each seed measured for a cell; only seeds with all that belongs to it, trained alike."""
        if measure == AVERAGE:
            return self._averages(row, heading)
        task, metric = MEASURES[measure].task, MEASURES[measure].metric
        parts = row.parts[heading]
        by_seed: list[dict[int, tuple[Result, float, bool]]] = []
        for part in parts:
            measured = {}
            for result in self._found.get((task, part.recipe), ()):
                line = result.row(part.subnet)
                if line is not None and metric in line.metrics:
                    measured[result.seed] = (result, line.metrics[metric], line.collapsed)
            by_seed.append(measured)
        complete = sorted(set.intersection(*(set(measured) for measured in by_seed)))
        values = []
        for seed in complete:
            found = [measured[seed] for measured in by_seed]
            results = _distinct(result for result, _, _ in found)
            if not trained_alike(results):
                continue
            values.append(
                SeedValue(
                    seed=seed,
                    value=PERCENT * float(np.mean([score for _, score, _ in found])),
                    collapsed=sum(collapsed for _, _, collapsed in found),
                    num_subnets=len(found),
                    results=results,
                )
            )
        return values

    def _averages(self, row: Row, heading: str) -> list[SeedValue]:
        singles = [measure for measure in self.table.measures if measure != AVERAGE]
        columns = [
            {one.seed: one for one in self.by_seed(row, measure, heading)} for measure in singles
        ]
        complete = sorted(set.intersection(*(set(column) for column in columns)))
        return [
            SeedValue(
                seed=seed,
                value=float(np.mean([column[seed].value for column in columns])),
                collapsed=sum(column[seed].collapsed for column in columns),
                num_subnets=sum(column[seed].num_subnets for column in columns),
                results=_distinct(r for column in columns for r in column[seed].results),
            )
            for seed in complete
        ]

    def _cell(self, row: Row, measure: str, heading: str) -> Cell:
        values = self.by_seed(row, measure, heading)
        alike = same_budget(values)
        return Cell(
            row=row.label,
            measure=measure,
            heading=heading,
            paper=row.published.get((measure, heading)),
            ours=float(np.mean([one.value for one in alike])) if alike else None,
            spread=deviation([one.value for one in alike]),
            seeds=tuple(one.seed for one in alike),
            collapsed=sum(one.collapsed for one in alike),
            num_subnets=sum(one.num_subnets for one in alike),
            left_out=tuple(one.seed for one in values if one not in alike),
            why="" if alike else self._why_empty(row, measure),
            why_in_a_word="" if alike else self._in_a_word(row, measure),
            missing=() if alike else self._missing(row, measure),
            note=NOTES.get((self.table.name, row.label, measure, heading), ""),
        )

    def _missing(self, row: Row, measure: str) -> tuple[str, ...]:
        task = "" if measure == AVERAGE else MEASURES[measure].task
        return tuple(r for r in row.recipes if task and (task, r) not in self._found)

    def _in_a_word(self, row: Row, measure: str) -> str:
        if measure != AVERAGE and MEASURES[measure].task in self.without:
            return "no data"
        missing = len(self._missing(row, measure))
        if not missing:
            return ""
        wanted = len(row.recipes)
        return "not run" if missing == wanted else f"{wanted - missing} of {wanted} run"

    def _why_empty(self, row: Row, measure: str) -> str:
        if measure == AVERAGE:
            return "an average over all tasks needs every one of them"
        task = MEASURES[measure].task
        wrong = [r for r in self.results if r.backbone == self.backbone and not self._fits(r)]
        if wrong and not self._found:
            return f"{self.backbone} is not a backbone of the kind this table is about"
        if task in self.without:
            return self.without[task]
        if missing := self._missing(row, measure):
            return f"{NOT_RUN}: {', '.join(missing)}"
        return (
            "not in what was run: another sub-network, score or seed, or networks of one row that were "
            "given different numbers of epochs"
        )


def cell_table(comparison: Comparison) -> pd.DataFrame:
    """A row for each cell: row, measure, heading, paper, ours, spread, difference, seeds, collapsed, ...

    Numbers are in percent, as printed; a missing one is NaN.
    """
    return pd.DataFrame(
        [
            {
                **{"row": cell.row, "measure": title_of(cell.measure), "heading": cell.heading},
                **{"paper": cell.paper, "ours": cell.ours, "spread": cell.spread},
                **{"difference": cell.difference, "seeds": len(cell.seeds)},
                **{"collapsed": cell.collapsed, "num_subnets": cell.num_subnets},
                **{"backbone": comparison.backbone, "why_empty": cell.why, "note": cell.note},
            }
            for cell in comparison.cells.values()
        ]
    ).astype(dict.fromkeys(("paper", "ours", "spread", "difference"), float))


@dataclass(frozen=True, kw_only=True)
class Gap:
    """Why columns of a table have empty cells, and what fills them."""

    columns: tuple[str, ...]
    why: str
    command: str  # empty where none would


def gaps(comparison: Comparison) -> list[Gap]:
    """All empty cells of ours, by task."""
    by_task: dict[str, list[Cell]] = {}
    for cell in comparison.cells.values():
        if cell.ours is None:
            task = "" if cell.measure == AVERAGE else MEASURES[cell.measure].task
            by_task.setdefault(task, []).append(cell)
    found = []
    for task, cells in by_task.items():
        missing = dict.fromkeys(recipe for cell in cells for recipe in cell.missing)
        other = dict.fromkeys(cell.why for cell in cells if not cell.why.startswith(NOT_RUN))
        why = [f"{NOT_RUN}: {', '.join(missing)}"] if missing and not other else list(other)
        name, backbone = comparison.table.name, comparison.backbone
        command = command_for(name, task, backbone, missing) if task else ""
        columns = dict.fromkeys(title_of(cell.measure) for cell in cells)
        found.append(Gap(columns=tuple(columns), why="; ".join(why), command=command))
    return found


def deviation(values: Sequence[float]) -> float | None:
    """Standard deviation over the seeds (n - 1); None for fewer than two."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def _distinct(results: Iterable[Result]) -> tuple[Result, ...]:
    return tuple({(r.task, r.recipe, r.seed): r for r in results}.values())


def column_title(measure: str, heading: str) -> str:
    """For example "CoLA" or "CoLA 0.75x"."""
    return f"{title_of(measure)} {heading}".strip()
