"""What a table decides: the difference between two of its rows, in the paper and here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from dynabert.reproduction.budgets import same_budget, trained_alike
from dynabert.reproduction.compare import Comparison, deviation
from dynabert.reproduction.layout import WHOLE, Question
from dynabert.reproduction.measures import title_of
from dynabert.reproduction.published import AVERAGE

# A difference is decided where it is unlike nothing at this level, over at least so many seeds.
LEVEL = 0.05
FEWEST_SEEDS = 3
HOW_DECIDED = (
    f"Undecided: fewer than {FEWEST_SEEDS} seeds, a paired t-test over them does not tell the difference "
    f"from nothing at the {LEVEL:.0%} level, or the paper has none."
)

Verdict = Literal["as in the paper", "unlike the paper", "undecided", "not in the paper"]


@dataclass(frozen=True, kw_only=True)
class Gain:
    """How much more one row scores than another on one measure, in points.

    The seeds are paired: each of them trained both rows on the same examples, and as long.
    """

    mean: float
    spread: float | None  # standard deviation over the seeds; None for one seed
    seeds: tuple[int, ...]
    collapsed: int  # sub-networks, of both rows and all seeds, that answer every example alike

    @property
    def is_decided(self) -> bool:
        """Whether a paired t-test over the seeds tells it from nothing: two-sided, at `LEVEL`."""
        if self.spread is None or len(self.seeds) < FEWEST_SEEDS:
            return False
        quantile = stats.t.ppf(1 - LEVEL / 2, len(self.seeds) - 1)
        return abs(self.mean) > quantile * self.spread / math.sqrt(len(self.seeds))

    def __str__(self) -> str:
        seeds = f"seed{'' if len(self.seeds) == 1 else 's'} {', '.join(map(str, self.seeds))}"
        spread = "" if self.spread is None else f" ± {self.spread:.1f}"
        networks = f"sub-network{'' if self.collapsed == 1 else 's'} collapsed"
        collapsed = f"; {self.collapsed} {networks}" if self.collapsed else ""
        return f"{self.mean:+.1f}{spread} ({seeds}{collapsed})"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The answer to a question, by measure."""

    question: Question
    paper: Mapping[str, float]  # the paper's difference; empty where it has no such row
    ours: Mapping[str, Gain]
    trained_unlike: tuple[
        str, ...
    ] = ()  # measures of which both rows are there, but not comparable
    is_ours: bool = False  # of a table that the paper does not have

    @property
    def paper_mean(self) -> float | None:
        """Over all its measures."""
        return float(np.mean(list(self.paper.values()))) if self.paper else None

    @property
    def paper_mean_of_measured(self) -> float | None:
        """Over the measures that we have too."""
        shared = [self.paper[measure] for measure in self.ours if measure in self.paper]
        return float(np.mean(shared)) if shared else None

    @property
    def measured(self) -> list[str]:
        """What an average is over: of the paper's measures those that we have, or all of ours."""
        shared = [measure for measure in self.ours if measure in self.paper]
        return shared if self.paper else [*self.ours]

    @property
    def our_mean(self) -> float | None:
        """Over the same measures as `paper_mean_of_measured`; all of ours where the paper does not say."""
        gains = [self.ours[measure].mean for measure in self.measured]
        return float(np.mean(gains)) if gains else None

    def verdict(self, measure: str) -> Verdict:
        """Whether ours points where the paper's does.

        Undecided where a difference of nothing could look so (see `Gain.is_decided`).
        """
        gain = self.ours[measure]
        if measure not in self.paper:
            return "not in the paper"
        if not gain.is_decided or not self.paper[measure]:
            return "undecided"
        same = (gain.mean > 0) == (self.paper[measure] > 0)
        return "as in the paper" if same else "unlike the paper"

    def sentence(self) -> str:
        """Question and answers in words."""
        return " ".join([self.question.text, *self.answers()])

    def answers(self) -> list[str]:
        """The paper's answer and ours, a sentence each."""
        said = [] if self.is_ours else [self._in_the_paper()]
        if not self.ours:
            return [*said, *(self._unlike() or ["Here: not yet measured."])]
        here = ", ".join(f"{gain} on {title_of(name)}" for name, gain in self.ours.items())
        said.append(f"Here: {here}.")
        if len(self.measured) > 1:
            beside = self.paper_mean_of_measured
            which = "these" if len(self.measured) == len(self.ours) else "the paper's"
            said.append(
                f"On average over {which} {len(self.measured)}: {self.our_mean:+.1f}"
                + ("." if beside is None else f"; in the paper {beside:+.1f}.")
            )
        return [*said, *self._verdicts(), *self._unlike()]

    def _unlike(self) -> list[str]:
        if not self.trained_unlike:
            return []
        where = ", ".join(map(title_of, self.trained_unlike))
        return [f"Not comparable on {where}: the two rows were given different numbers of epochs."]

    def _verdicts(self) -> list[str]:
        """Which way ours point, by verdict; nothing where the paper does not say."""
        by_verdict: dict[Verdict, list[str]] = {}
        for measure in self.ours:
            said = title_of(measure)
            if len(self.paper) > 1 and measure in self.paper:
                said += f" (paper {self.paper[measure]:+.1f})"
            by_verdict.setdefault(self.verdict(measure), []).append(said)
        by_verdict.pop("not in the paper", None)
        if not by_verdict:
            return []
        parts = [f"{verdict} on {', '.join(names)}" for verdict, names in by_verdict.items()]
        return [f"Direction: {'; '.join(parts)}."]

    def _in_the_paper(self) -> str:
        if self.paper_mean is None:
            return "The paper does not say."
        if len(self.paper) == 1:
            ((measure, value),) = self.paper.items()
            return f"Paper: {value:+.1f} points on {title_of(measure)}."
        return f"Paper: {self.paper_mean:+.1f} points on average over {len(self.paper)} scores."


def findings(comparison: Comparison) -> list[Finding]:
    """The answers to all questions of a table."""
    return [_answer(comparison, question) for question in comparison.table.questions]


def _answer(comparison: Comparison, question: Question) -> Finding:
    table = comparison.table
    better, than = (table.mean_row(labels, headings) for labels, headings in question.sides)
    paper: dict[str, float] = {}
    ours: dict[str, Gain] = {}
    unlike: list[str] = []
    for measure in table.measures:
        if measure == AVERAGE:
            continue
        high, low = (row.published.get((measure, WHOLE)) for row in (better, than))
        if high is not None and low is not None:
            paper[measure] = high - low
        first, second = (
            {one.seed: one for one in same_budget(comparison.by_seed(row, measure, WHOLE))}
            for row in (better, than)
        )
        same_examples = [
            (first[seed], second[seed])
            for seed in sorted(first.keys() & second.keys())
            if first[seed].examples == second[seed].examples
        ]
        pairs = [
            (one, other)
            for one, other in same_examples
            if trained_alike((*one.results, *other.results))
        ]
        if same_examples and not pairs:
            unlike.append(measure)
        if pairs:
            gains = [one.value - other.value for one, other in pairs]
            ours[measure] = Gain(
                mean=float(np.mean(gains)),
                spread=deviation(gains),
                seeds=tuple(one.seed for one, _ in pairs),
                collapsed=sum(one.collapsed + other.collapsed for one, other in pairs),
            )
    return Finding(
        question=question,
        paper=paper,
        ours=ours,
        trained_unlike=tuple(unlike),
        is_ours=table.is_ours,
    )
