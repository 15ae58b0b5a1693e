"""Accuracy by group of examples: which piece of grammar does a sub-network lose first?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dynabert.evaluation.labels import LabelEvaluation


def accuracy_by_group(
    evaluations: dict[str, LabelEvaluation], groups: Sequence[str]
) -> pd.DataFrame:
    """A row per group: its name, number of examples, and the accuracy of each evaluation.

    evaluations: by the name of their column; all of one classification split.
    groups: (N,) the group of each example of that split.
    """
    names = np.asarray(groups)
    rows = []
    for group in dict.fromkeys(groups):
        inside = names == group
        accuracy = {
            column: float((evaluation.predictions[inside] == evaluation.labels[inside]).mean())
            for column, evaluation in evaluations.items()
        }
        rows.append({"group": group, "num_examples": int(inside.sum()), **accuracy})
    return pd.DataFrame(rows)
