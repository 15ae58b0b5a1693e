"""The app on tiny runs, without a browser.

A plugin, not a conftest.py: other tests import the one above by that name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest
from tiny_run import copy_run, write_tiny_run

from dynabert.runs import MEASURED, Run

ROOT = Path(__file__).resolve().parents[2]
OpenApp = Callable[..., AppTest]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory, tiny_backbone: Path) -> Run:
    """A rewired run that no test writes to."""
    return write_tiny_run(tmp_path_factory.mktemp("app") / "runs", tiny_backbone)


@pytest.fixture(autouse=True)
def _nothing_is_written_to_tiny(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test sees the run as it was written; one that measures something needs `own_run`."""
    yield
    if "tiny" in request.fixturenames:
        measured = request.getfixturevalue("tiny").folder / MEASURED
        written = measured.exists()
        measured.unlink(missing_ok=True)
        assert not written


@pytest.fixture
def own_run(tiny: Run, tmp_path: Path) -> Run:
    """A copy of it that a test may spoil."""
    return copy_run(tiny, tmp_path / "runs")


@pytest.fixture
def long_running_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let AppTest forget, as a server does after its first run, that there is a folder pages/."""
    original = PagesManager.__init__

    def initialize(self: PagesManager, *arguments: object, **options: object) -> None:
        original(self, *arguments, **options)
        PagesManager.uses_pages_directory = False

    monkeypatch.setattr(PagesManager, "__init__", initialize)


@pytest.fixture
def open_app(monkeypatch: pytest.MonkeyPatch, long_running_server: None) -> OpenApp:
    """Open a page of the app on a runs folder, by a link with some parameters."""
    st.cache_resource.clear()
    st.cache_data.clear()
    monkeypatch.chdir(ROOT)

    def open_page(runs_dir: Path, page: str = "overview", **parameters: str) -> AppTest:
        monkeypatch.setenv("DYNABERT_RUNS_DIR", str(runs_dir))
        at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
        for name, value in parameters.items():
            at.query_params[name] = value
        at.run()
        if page != "overview":
            at.switch_page(f"pages/{page}.py").run()
        assert not at.exception, at.exception[0].value
        return at

    return open_page
