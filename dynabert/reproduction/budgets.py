"""Whether trainings were shortened alike, so that what sets them apart is what they are about."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, Protocol, TypeVar

from dynabert.reproduction.results import Result
from dynabert.training.presets import RECIPES


class Budgeted(Protocol):
    """Something that was measured with a budget."""

    @property
    def budget(self) -> tuple[object, ...]: ...


Measured = TypeVar("Measured", bound=Budgeted)


def same_budget(values: Sequence[Measured]) -> list[Measured]:
    """Those of them that were trained alike: the largest group, the first of these if in doubt."""
    if not values:
        return []
    chosen, _ = Counter(one.budget for one in values).most_common(1)[0]
    return [one for one in values if one.budget == chosen]


def trained_alike(results: Iterable[Result]) -> bool:
    """Whether stages of one name had as many epochs in all of them, or as many times what their presets
    say."""
    return all(_alike(one, other) for one, other in combinations(results, 2))


def _alike(one: Result, other: Result) -> bool:
    ours, theirs = _epochs(one.stages), _epochs(other.stages)
    presets = [_preset_epochs(result.recipe) for result in (one, other)]
    for stage in ours.keys() & theirs.keys():
        if math.isclose(ours[stage], theirs[stage], rel_tol=1e-3):
            continue
        first, second = (preset.get(stage) for preset in presets)
        if first is None or second is None:
            return False
        if not math.isclose(ours[stage] / first, theirs[stage] / second, rel_tol=1e-3):
            return False
    return True


def _epochs(recipe: Mapping[str, Any]) -> dict[str, float]:
    stages = recipe.get("stages", ())
    return {stage["name"]: float(stage["epochs"]) for stage in stages if "epochs" in stage}


def _preset_epochs(recipe: str) -> dict[str, float]:
    if recipe not in RECIPES:
        return {}
    return {stage.name: stage.epochs for stage in RECIPES[recipe].train_stages}
