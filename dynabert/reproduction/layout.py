"""How a table is laid out: rows, columns, and what one cell is the mean of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from dynabert.reproduction.measures import tasks_of
from dynabert.reproduction.published import Score
from dynabert.subnet import Subnet

Family = Literal["bert", "roberta"]
WHOLE = ""  # the heading of tables that have one column for a measure


@dataclass(frozen=True)
class Part:
    """One sub-network of what a recipe leaves behind."""

    recipe: str
    subnet: Subnet


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of a table. A cell is the mean over its parts."""

    label: str  # as the paper writes it
    parts: Mapping[str, tuple[Part, ...]]  # by heading
    published: Mapping[tuple[str, str], Score] = field(default_factory=dict)  # by measure, heading

    @property
    def is_ours(self) -> bool:
        """Whether the paper has no such row."""
        return not self.published

    @property
    def recipes(self) -> tuple[str, ...]:
        """Names of the presets to train, each once."""
        return tuple(dict.fromkeys(part.recipe for parts in self.parts.values() for part in parts))


@dataclass(frozen=True, kw_only=True)
class Question:
    """Something a table decides by comparing two of its rows, trained alike but for one thing.

    Several labels or headings are compared by the mean over all their cells.
    """

    text: str
    better: (
        str | tuple[str, ...]
    )  # labels of rows: the answer is yes where this one scores more ...
    than: str | tuple[str, ...]  # ... than this one
    heading: str | tuple[str, ...] = WHOLE
    than_heading: str | tuple[str, ...] | None = None  # None: the same

    @property
    def sides(self) -> tuple[tuple[str | tuple[str, ...], str | tuple[str, ...]], ...]:
        """Labels and headings of the two that are compared, the better one first."""
        than = self.heading if self.than_heading is None else self.than_heading
        return (self.better, self.heading), (self.than, than)


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table of the paper, or one of ours that is read in the same way."""

    name: str  # as a command or a link calls it
    number: str  # as the paper does; empty for one of ours
    title: str
    cell: str  # what one cell is, in words
    measures: tuple[str, ...]
    rows: tuple[Row, ...]
    headings: tuple[str, ...] = (WHOLE,)
    family: Family = "bert"
    questions: tuple[Question, ...] = ()
    about: str = ""

    @property
    def label(self) -> str:
        """What it is called in a sentence: "Table 3", or its title."""
        return f"Table {self.number}" if self.number else self.title

    @property
    def full_title(self) -> str:
        return f"Table {self.number}: {self.title}" if self.number else self.title

    @property
    def is_ours(self) -> bool:
        """Whether the paper has no number of it."""
        return all(row.is_ours for row in self.rows)

    @property
    def tasks(self) -> tuple[str, ...]:
        return tasks_of(self.measures)

    @property
    def recipes(self) -> tuple[str, ...]:
        """Names of all presets that its rows need, each once, in the order of the rows."""
        return tuple(dict.fromkeys(recipe for row in self.rows for recipe in row.recipes))

    def row(self, label: str) -> Row:
        return next(row for row in self.rows if row.label == label)

    def mean_row(self, labels: str | tuple[str, ...], headings: str | tuple[str, ...]) -> Row:
        """A row with one cell, `WHOLE`: the mean over the cells of some rows and headings."""
        rows = [self.row(label) for label in _several(labels)]
        cells = [(row, heading) for row in rows for heading in _several(headings)]
        published: dict[tuple[str, str], Score] = {}
        for measure in self.measures:
            scores = [row.published.get((measure, heading)) for row, heading in cells]
            known = [score for score in scores if score is not None]
            if len(known) == len(scores):
                published[measure, WHOLE] = sum(known) / len(known)
        parts = tuple(part for row, heading in cells for part in row.parts[heading])
        return Row(label=", ".join(_several(labels)), parts={WHOLE: parts}, published=published)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """Figure 3 or 4: methods compared by what their sub-networks cost and score."""

    name: str
    number: str
    title: str
    tasks: tuple[str, ...]
    methods: Mapping[str, str]  # recipe: what it is called

    @property
    def label(self) -> str:
        return f"Figure {self.number}"

    @property
    def full_title(self) -> str:
        return f"Figure {self.number}: {self.title}"

    @property
    def recipes(self) -> tuple[str, ...]:
        return tuple(self.methods)


def _several(one_or_more: str | tuple[str, ...]) -> tuple[str, ...]:
    return (one_or_more,) if isinstance(one_or_more, str) else one_or_more


def times(mult: float) -> str:
    """As the paper writes a multiplier: "1.0x", "0.25x"."""
    return f"{mult:.2g}x" if mult < 1 else f"{mult:.1f}x"
