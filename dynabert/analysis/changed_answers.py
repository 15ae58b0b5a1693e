"""The examples that a sub-network answers otherwise than the full network does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.special import softmax

from dynabert.evaluation.answer_scores import normalized
from dynabert.evaluation.labels import LabelEvaluation
from dynabert.evaluation.spans import SpanEvaluation

LOST, GAINED, OTHER = "right → wrong", "wrong → right", "wrong → other wrong"
CHANGES = (LOST, GAINED, OTHER)


_COLUMNS = {"change", "label", "full", "full_probability", "subnet", "subnet_probability"}


def _own(name: str) -> str:
    """A name for a column from outside that none of the table's own has."""
    return f"{name} (text)" if name in _COLUMNS else name


def changed_answers(
    full: LabelEvaluation,
    small: LabelEvaluation,
    columns: Mapping[str, Sequence[object]],
    names: Sequence[str],
) -> pd.DataFrame:
    """A row per example whose class the sub-network answers otherwise, its surest answers first.

    full, small: of one classification split.
    columns: what to show of each example, (N,) each, for example its text.
    names: of the classes.
    Columns: change (one of `CHANGES`), those given, label, full and full_probability, subnet and
    subnet_probability: the answers, and how probable each network thinks its own.
    """
    labels = full.labels.astype(int)
    before, after = full.predictions, small.predictions
    rows = np.flatnonzero(before != after)
    lost, gained = (before == labels)[rows], (after == labels)[rows]
    table = pd.DataFrame(
        {
            "change": np.select([lost, gained], [LOST, GAINED], OTHER),
            **{_own(name): [values[int(row)] for row in rows] for name, values in columns.items()},
            "label": [names[labels[row]] for row in rows],
            "full": [names[before[row]] for row in rows],
            "full_probability": softmax(full.logits, axis=1)[rows, before[rows]],
            "subnet": [names[after[row]] for row in rows],
            "subnet_probability": softmax(small.logits, axis=1)[rows, after[rows]],
        }
    )
    order = np.lexsort((-table["subnet_probability"], table["change"].map(CHANGES.index)))
    return table.iloc[order].reset_index(drop=True)


def changed_spans(
    full: SpanEvaluation, small: SpanEvaluation, columns: Mapping[str, Sequence[object]]
) -> pd.DataFrame:
    """A row per question whose answer the sub-network gives in other words, the largest loss first.

    Articles, punctuation and case make no other words (`dynabert.evaluation.answer_scores`).
    columns: what to show of each question, (N,) each.
    Columns: change (of the answer's F1), those given, full and full_probability, subnet and
    subnet_probability.
    """
    change = small.f1 - full.f1
    rows = [
        number
        for number, texts in enumerate(zip(full.texts, small.texts, strict=True))
        if len(set(map(normalized, texts))) > 1
    ]
    rows.sort(key=lambda number: change[number])
    return pd.DataFrame(
        {
            "change": change[rows],
            **{_own(name): [values[row] for row in rows] for name, values in columns.items()},
            "full": [full.texts[row] for row in rows],
            "full_probability": full.found.probabilities[rows],
            "subnet": [small.texts[row] for row in rows],
            "subnet_probability": small.found.probabilities[rows],
        }
    )


def changed_values(
    full: LabelEvaluation, small: LabelEvaluation, columns: Mapping[str, Sequence[object]]
) -> pd.DataFrame:
    """A row per example of a regression, the largest change of its value first.

    Columns: change (subnet - full), those given, label, full, subnet.
    """
    before, after = (one.predictions.astype(float) for one in (full, small))
    table = pd.DataFrame(
        {
            "change": after - before,
            **{_own(name): list(values) for name, values in columns.items()},
            "label": full.labels.astype(float),
            "full": before,
            "subnet": after,
        }
    )
    order = np.argsort(-np.abs(table["change"].to_numpy()), kind="stable")
    return table.iloc[order].reset_index(drop=True)
