"""A search that a small run can carry out."""

from __future__ import annotations

from collections.abc import Sequence

from dynabert.examples import load_examples
from dynabert.runs import Run
from dynabert.search.loop import run_search
from dynabert.search.search import Search
from dynabert.search.settings import SearchSettings
from dynabert.search.trials import Trial

SETTINGS = SearchSettings(
    num_trials=18, width_mults=(1.0, 0.5), depth_mults=(1.0, 0.5), tokens=12, num_examples=8, seed=5
)


def do(search: Search, run: Run, **options) -> Sequence[Trial]:
    return run_search(search, run.model(), load_examples(run), **options)
