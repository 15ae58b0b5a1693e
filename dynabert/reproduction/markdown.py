"""Tables of the comparison as Markdown, for a terminal and for the committed README."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from dynabert.files import write_text_atomically
from dynabert.reproduction.circumstances import (
    backbone_sentence,
    budget_sentences,
    duration,
    machine_sentences,
    task_title,
)
from dynabert.reproduction.compare import Cell, Comparison, column_title, gaps
from dynabert.reproduction.figure_markdown import figure_part
from dynabert.reproduction.findings import HOW_DECIDED, findings
from dynabert.reproduction.layout import Row, Table
from dynabert.reproduction.results import Result
from dynabert.reproduction.tables import FIGURES, TABLES
from dynabert.words import count

README = "README.md"
_MOST_COLUMNS = 12
LINES = ("paper", "ours", "difference")
EMPTY = "–"
CROSS = "✕"  # a sub-network that answers every dev example alike


def show(comparison: Comparison) -> str:
    """A table with everything that must be known of it."""
    table = comparison.table
    parts = [f"## {table.full_title}", "", f"Each cell: {table.cell}, in percent."]
    if table.about:
        parts += ["", table.about]
    parts += ["", *_circumstances(comparison)]
    for block in blocks(table, table.measures):
        parts += ["", *_block(comparison, block)]
    legend = LEGEND if table.is_ours else f"{LEGEND} {HOW_DECIDED}"
    parts += ["", legend, "", *_findings(comparison)]
    if empty := _empty(comparison):
        parts += ["", "Empty cells:", "", *empty]
    return "\n".join(parts) + "\n"


LEGEND = (
    "Ours: mean ± standard deviation over the seeds (number of seeds). The difference is ours minus the "
    "paper's, in points. Collapsed sub-networks answer every dev example alike; they are counted in the "
    "mean."
)


def blocks(table: Table, measures: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Measures side by side, as many as there is room for."""
    size = max(1, _MOST_COLUMNS // len(table.headings))
    for start in range(0, len(measures), size):
        yield tuple(measures[start : start + size])


def line_of(cell: Cell | None, line: str) -> str:
    """What a cell says on one of its `LINES`."""
    if cell is None:
        return ""
    if line == "paper":
        return EMPTY if cell.paper is None else f"{cell.paper:.1f}"
    if line == "difference":
        return EMPTY if cell.difference is None else f"{cell.difference:+.1f}"
    if cell.ours is None:
        return EMPTY
    spread = "" if cell.spread is None else f" ± {cell.spread:.1f}"
    collapsed = f", {cell.collapsed}/{cell.num_subnets} collapsed" if cell.collapsed else ""
    return f"{cell.ours:.1f}{spread} ({len(cell.seeds)}{collapsed})"


def lines_of(row: Row) -> tuple[str, ...]:
    """Which of the `LINES` a row has: one of ours has only those."""
    return ("ours",) if row.is_ours else LINES


def _block(comparison: Comparison, measures: Sequence[str]) -> list[str]:
    table = comparison.table
    places = [(measure, heading) for measure in measures for heading in table.headings]
    head = [column_title(measure, heading) for measure, heading in places]
    lines = [f"| | | {' | '.join(head)} |", "|---|---|" + "--:|" * len(places)]
    for row in table.rows:
        for number, line in enumerate(lines_of(row)):
            shown = [
                line_of(comparison.cells.get((row.label, measure, heading)), line)
                for measure, heading in places
            ]
            label = row.label if number == 0 else ""
            lines.append(f"| {label} | {line} | {' | '.join(shown)} |")
    return lines


def as_printed(comparison: Comparison) -> pd.DataFrame:
    """The whole table as short texts: columns "Row", "" (which of the `LINES`), and one for each place.

    Ours is marked with `CROSS` where a sub-network collapsed, and says in a word why it is empty.
    """
    table = comparison.table
    places = [(measure, heading) for measure in table.measures for heading in table.headings]
    rows = []
    for row in table.rows:
        for line in lines_of(row):
            shown = {
                column_title(*place): _short(comparison.cells.get((row.label, *place)), line)
                for place in places
            }
            rows.append({"Row": row.label, "": line, **shown})
    return pd.DataFrame(rows)


def _short(cell: Cell | None, line: str) -> str:
    if cell is None or line != "ours":
        return line_of(cell, line)
    if cell.ours is None:
        return cell.why_in_a_word or EMPTY
    spread = "" if cell.spread is None else f" ± {cell.spread:.1f}"
    cross = f" {CROSS}" if cell.collapsed else ""
    return f"{cell.ours:.1f}{spread}{cross} ({len(cell.seeds)})"


def _circumstances(comparison: Comparison) -> list[str]:
    used = comparison.used
    if not used:
        return [f"Nothing of it has been measured with backbone {comparison.backbone} yet."]
    said = [backbone_sentence(comparison.backbone, used[0].shape)]
    said += [*budget_sentences(used), *machine_sentences(used)]
    return [f"- {sentence}" for sentence in said]


def _findings(comparison: Comparison) -> list[str]:
    return [f"- {finding.sentence()}" for finding in findings(comparison)]


def _empty(comparison: Comparison) -> list[str]:
    return [
        f"- {', '.join(gap.columns)}: {gap.why}."
        + (f" Run `{gap.command}`." if gap.command else "")
        for gap in gaps(comparison)
    ]


def readme(results: Sequence[Result], without: Mapping[str, str]) -> str:
    """The README of a folder of results: what was measured of each table, by backbone."""
    parts = [
        "# The paper's tables, measured here",
        "",
        "Made by `python -m dynabert reproduce --readme` from the JSON files beside it, one for each "
        "training: `<backbone>/<task>/<recipe>-s<seed>.json`. The paper is DynaBERT (Hou et al., 2020, "
        "arXiv 2004.04037).",
    ]
    if not results:
        return "\n".join([*parts, "", "Nothing has been measured yet."]) + "\n"
    for backbone in dict.fromkeys(result.backbone for result in results):
        own = [result for result in results if result.backbone == backbone]
        parts += ["", f"# Backbone {backbone}", "", backbone_sentence(backbone, own[0].shape)]
        parts += ["", f"{LEGEND} {HOW_DECIDED}"]
        missing = []
        for table in TABLES.values():
            comparison = Comparison(table, backbone, own, without)
            if any(cell.ours is not None for cell in comparison.cells.values()):
                parts += ["", *_measured_part(comparison)]
            elif table.family == own[0].shape.family:
                missing.append(table.label)
        for figure in FIGURES.values():
            if part := figure_part(figure, own, backbone):
                parts += ["", *part]
            elif own[0].shape.family == "bert":
                missing.append(figure.label)
        if missing:
            parts += ["", f"Nothing measured of: {', '.join(missing)}."]
        parts += ["", "## Trainings", "", *_trainings(own)]
    return "\n".join(parts) + "\n"


def _measured_part(comparison: Comparison) -> list[str]:
    """A table without the columns that have nothing of ours."""
    table = comparison.table
    measured = [
        measure
        for measure in table.measures
        if any(
            cell.ours is not None for cell in comparison.cells.values() if cell.measure == measure
        )
    ]
    parts = [f"## {table.full_title}", "", f"Each cell: {table.cell}, in percent."]
    parts += ["", table.about] if table.about else []
    parts += ["", *(f"- {said}" for said in budget_sentences(comparison.used))]
    for block in blocks(table, measured):
        parts += ["", *_block(comparison, block)]
    parts += ["", *_findings(comparison)]
    absent = [column_title(measure, "") for measure in table.measures if measure not in measured]
    if absent:
        parts += ["", f"Not measured here: {', '.join(absent).rstrip('.')}."]
    return parts


def _trainings(results: Sequence[Result]) -> list[str]:
    lines = [
        "| Task | Recipe | Seed | Steps | Training | Ended | Machine | Commit |",
        "|---|---|--:|--:|--:|---|---|---|",
    ]
    for result in results:
        commit = result.commit or EMPTY
        short = commit[:10] + ("+changes" if commit.endswith("+changes") else "")
        lines.append(
            f"| {task_title(result.task)} | {result.recipe} | {result.seed} | {result.steps:,} | "
            f"{duration(result.train_seconds)} | {result.created[:10]} | {result.machine}, "
            f"{result.precision} | {short} |"
        )
    total = sum(result.train_seconds for result in results)
    return [*lines, "", f"{count(len(results), 'training')}, {duration(total)}."]


def write_readme(folder: Path, results: Sequence[Result], without: Mapping[str, str]) -> Path:
    """Bring the README of a folder of results up to date."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / README
    write_text_atomically(path, readme(results, without))
    return path
