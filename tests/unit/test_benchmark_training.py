"""A benchmark takes a run that is there only if it was trained as asked."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from dynabert.training import RECIPES
from dynabert.training.recipe import Recipe

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def trained_so(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    from training import trained_so

    yield lambda done, wanted: trained_so(SimpleNamespace(info=info(done)), wanted)
    for name in ("training", "commands"):
        sys.modules.pop(name, None)


def info(recipe: Recipe) -> SimpleNamespace:
    """As a run keeps its recipe: every learning rate filled in for the backbone."""
    return SimpleNamespace(recipe=recipe.for_hidden_size(384).model_dump(mode="json"))


def changed(recipe: Recipe, stage: str, **fields: object) -> Recipe:
    stages = [one.model_copy(update=fields) if one.name == stage else one for one in recipe.stages]
    return recipe.model_copy(update={"stages": tuple(stages)})


@pytest.mark.parametrize("name", ["best", "three-axes", "dynamic-tinybert-v4", "plain-student"])
def test_the_same_recipe_is_the_same(trained_so, name):
    assert trained_so(RECIPES[name], RECIPES[name])


def test_a_student_of_another_hidden_size_learnt_at_a_rate_of_its_own(trained_so):
    small = changed(RECIPES["plain-student"], "reduce", hidden=12)
    assert trained_so(small, small)
    assert not trained_so(small, RECIPES["plain-student"])


@pytest.mark.parametrize(
    "fields", [{"epochs": 9.0}, {"rate_factor": 1.0}, {"learning_rate": 1.0}, {"keep": "last"}]
)
def test_one_field_of_one_stage_makes_another_training(trained_so, fields):
    best = RECIPES["best"]
    assert not trained_so(best, changed(best, "width", **fields))
    assert not trained_so(best, best.model_copy(update={"stages": best.stages[:-1]}))
