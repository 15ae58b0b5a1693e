"""A small run for searches, which each test may write to."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_run import as_student, copy_run, write_tiny_run

from dynabert.runs import Run


@pytest.fixture(scope="session")
def searchable(tmp_path_factory: pytest.TempPathFactory, tiny_backbone: Path) -> Run:
    """A run that is only copied."""
    return write_tiny_run(tmp_path_factory.mktemp("searchable") / "runs", tiny_backbone)


@pytest.fixture
def student(run: Run) -> Run:
    """The same, as if its recipe had trained a student of half the layers, and never the full network."""
    return as_student(run)


@pytest.fixture
def run(searchable: Run, tmp_path: Path) -> Run:
    """A copy of it in a runs folder of its own."""
    return copy_run(searchable, tmp_path / "runs")
