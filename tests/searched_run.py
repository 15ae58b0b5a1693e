"""A small run for searches, which each test may write to."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml
from tiny_run import copy_run, write_tiny_run

from dynabert.runs import RESULTS, Run, write_manifest


@pytest.fixture(scope="session")
def searchable(tmp_path_factory: pytest.TempPathFactory, tiny_backbone: Path) -> Run:
    """A run that is only copied."""
    return write_tiny_run(tmp_path_factory.mktemp("searchable") / "runs", tiny_backbone)


@pytest.fixture
def student(run: Run) -> Run:
    """The same, as if its recipe had trained a student of half the layers, and never the full network."""
    path = run.folder / "recipe.yaml"
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    values["recipe"] |= {"name": "dynamic-tinybert", "width_mults": [1.0], "depth_mults": [0.5]}
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    results = pd.read_parquet(run.folder / RESULTS)
    results = results[results["subnet"] == "w1.00-d0.50"]
    results.to_parquet(run.folder / RESULTS, index=False)
    write_manifest(run.folder)
    return Run.load(run.folder)


@pytest.fixture
def run(searchable: Run, tmp_path: Path) -> Run:
    """A copy of it in a runs folder of its own."""
    return copy_run(searchable, tmp_path / "runs")
