"""The running app, and a browser that reaches nothing else. (Why no conftest.py: see app_fixtures.)"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browsing import Watched, settle, watch
from find_browser import find_browser
from playwright.sync_api import Browser, Page, sync_playwright
from tiny_run import copy_run, write_tiny_run

from dynabert.runs import Run

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 120.0  # a busy machine is slow, not wrong
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@pytest.fixture(scope="session")
def runs_dir(tmp_path_factory: pytest.TempPathFactory, tiny_backbone: Path) -> Path:
    folder = tmp_path_factory.mktemp("browser") / "runs"
    write_tiny_run(folder, tiny_backbone)
    return folder


@pytest.fixture
def other_run(runs_dir: Path) -> Iterator[str]:
    """The name of a run to change, which other tests do not see."""
    run = copy_run(Run.load(runs_dir / "tiny"), runs_dir, "other")
    yield run.name
    shutil.rmtree(run.folder)


@pytest.fixture(scope="session")
def server(runs_dir: Path) -> Iterator[str]:
    """Address of a server, started as a user starts it."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    options = ["--server.headless", "true", "--server.port", str(port)]
    options += ["--server.address", "localhost"]
    log = (runs_dir.parent / "server.log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "app.py", *options],
        cwd=ROOT,
        env=os.environ | {"DYNABERT_RUNS_DIR": str(runs_dir)},
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    address = f"http://localhost:{port}"
    try:
        _wait_until_healthy(address, process)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=SECONDS)
        log.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = find_browser()
    assert program is not None, "no Chromium; run tests/browser/ensure_browser.py"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


def _wait_until_healthy(address: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        assert process.poll() is None, "the server ended at once"
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the server did not start")


@pytest.fixture(params=["light", "dark", "narrow"])
def look(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def open_page(browser: Browser, server: str, look: str) -> Iterator[Callable[[str], Watched]]:
    width = 420 if look == "narrow" else 1280
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if look == "dark" else "light",
    )

    def open_address(path: str) -> Watched:
        watched = watch(context.new_page())
        watched.page.goto(server + path)
        settle(watched.page)
        return watched

    yield open_address
    context.close()


@pytest.fixture
def offline(browser: Browser) -> Iterator[tuple[Page, list[str]]]:
    """A page without a network, and what went wrong or was asked for."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    context.set_offline(True)
    page, seen = context.new_page(), []
    page.on("console", lambda message: seen.append(message.text))
    page.on("pageerror", lambda error: seen.append(str(error)))
    page.on("request", lambda request: seen.append(request.url))
    yield page, seen
    context.close()
