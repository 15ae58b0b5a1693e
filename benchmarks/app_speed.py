"""How fast the app is under the hand, and how many visitors it bears.

    python benchmarks/app_speed.py [--out benchmarks/results]

Starts the app on a copy of the demonstration run that has forgotten all but the twelve sub-networks of its
recipe, drives it with a headless Chromium that reaches nothing but the app, and prints a table: what was
measured, its median over repetitions, and the slowest.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import quote, urlparse

import psutil
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from dynabert.evaluation.latency import describe_machine
from dynabert.runs import MEASURED

ROOT = Path(__file__).resolve().parents[1]
SIXTEEN = "the old dog by the gate sees a small grey cat on the wall ."
MANY = "the old dog sees a small cat . " * 16
VISITORS, INTERACTIONS = 8, 200
TIMEOUT_MS = 120_000

# Resolves with the milliseconds from now until the text of an element is another one and painted.
UNTIL_CHANGED = """([selector, keys]) => new Promise((done) => {
  const read = () => keys.map((key) => document.querySelectorAll(selector)[key]?.innerText).join("|");
  const [before, start] = [read(), performance.now()];
  const look = () => (read() !== before ? requestAnimationFrame(() => done(performance.now() - start))
    : performance.now() - start > 60000 ? done(-1) : requestAnimationFrame(look));
  window.__changed = true;
  look();
})"""
DEEP_COUNT = """() => {
  const count = (root) => [...root.querySelectorAll("*")].reduce(
    (sum, element) => sum + 1 + (element.shadowRoot ? count(element.shadowRoot) : 0), 0);
  return count(document.querySelector('[data-testid="stMain"]'));
}"""


@dataclass(frozen=True)
class Line:
    """One row of the table."""

    what: str
    values: list[float]
    unit: str
    wanted: str

    def __str__(self) -> str:
        median, worst = statistics.median(self.values), max(self.values)
        times = f"{len(self.values)}" if len(self.values) > 1 else "once"
        return (
            f"| {self.what} | {median:,.4g} {self.unit} | {worst:,.4g} {self.unit} | {times} | "
            f"{self.wanted} |"
        )


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        runs_dir = Path(folder) / "runs"
        shutil.copytree(ROOT / "runs" / "demo", runs_dir / "demo")
        (runs_dir / "demo" / MEASURED).unlink(missing_ok=True)
        browser = playwright.chromium.launch(
            executable_path=arguments.browser, args=["--no-sandbox", "--disable-gpu"]
        )
        with _server(runs_dir) as (address, process):
            lines = list(_measure(browser, address, process))
        browser.close()
    table = _table(lines)
    print(table)
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "app_speed.md").write_text(table, encoding="utf-8")


def _measure(browser: Browser, address: str, server: psutil.Process) -> Iterator[Line]:
    yield _visitors(browser, address)
    yield _first_page(browser, address)
    yield _cached_change(browser, address)
    yield from _scrubbing(browser, address)
    yield _new_sentence(browser, address)
    yield from _long_text(browser, address)
    yield from _live_evaluation(browser, address)
    yield _memory(browser, address, server)


def _visitors(browser: Browser, address: str) -> Line:
    """The first requests of all: every visitor on another page, at once."""
    pages = ["", "importance", "attention", "fusion", "accuracy", "try_it", "take_away", "compare"]
    contexts = [browser.new_context() for _ in range(VISITORS)]
    opened = [_watch(context) for context in contexts]
    started = time.perf_counter()
    for page, path in zip(opened, pages, strict=True):
        page.goto(f"{address}/{path}", wait_until="commit")
    seconds = []
    for page in opened:
        _settle(page)
        seconds.append(time.perf_counter() - started)
        assert page.get_by_test_id("stException").count() == 0
    for context in contexts:
        context.close()
    return Line(f"{VISITORS} visitors at once on a server just started, until the page stands", seconds, "s", "no error")


def _first_page(browser: Browser, address: str) -> Line:
    seconds = []
    for _ in range(5):
        context = browser.new_context()
        page = _watch(context)
        started = time.perf_counter()
        page.goto(address)
        page.locator(".js-plotly-plot").first.wait_for()
        seconds.append(time.perf_counter() - started)
        context.close()
    return Line("first page, server warm, new browser", seconds, "s", "3 s")


def _cached_change(browser: Browser, address: str) -> Line:
    """The width of an evaluated sub-network by the keyboard, until its score is painted."""
    with _page(browser, f"{address}/accuracy?w=1&d=1") as page:
        slider = page.get_by_role("slider").first
        times = []
        for round_trip in range(21):
            slider.focus()
            # To a neighbouring width of the recipe: one that is known.
            key = "ArrowLeft" if round_trip % 2 == 0 else "ArrowRight"
            times.append(_until(page, '[data-testid="stMetricValue"]', [0, 1, 2], lambda key=key: page.keyboard.press(key)))
            _settle(page)
    return Line("cached change of a control, until it is painted", times[1:], "ms", "200 ms")


def _scrubbing(browser: Browser, address: str) -> Iterator[Line]:
    with _page(browser, f"{address}/attention?text={quote(SIXTEEN)}") as page:
        frames: list[object] = []
        page.on("websocket", lambda socket: None)
        page.locator("canvas.grid").first.wait_for()
        _count_frames(page, frames)
        times = page.evaluate(
            """() => {
              const host = [...document.querySelectorAll("*")].find((one) => one.shadowRoot?.querySelector(".atlas"));
              const root = host.shadowRoot.querySelector(".atlas");
              const times = [];
              for (const name of ["width", "depth", "width"]) {
                const slider = root.querySelector(`input.${name}`);
                for (let value = Number(slider.max); value >= 0; value--) {
                  slider.value = value;
                  slider.dispatchEvent(new Event("input"));
                  times.push(Number(root.dataset.redrawMs));
                }
              }
              return times;
            }"""
        )
        sent = page.evaluate("() => window.__frames")
    yield Line("scrubbing at 16 tokens: one redraw of all maps", times, "ms", "16 ms")
    yield Line("scrubbing: websocket frames sent", [float(sent)], "", "0")


def _new_sentence(browser: Browser, address: str) -> Line:
    with _page(browser, f"{address}/attention?text={quote(SIXTEEN)}") as page:
        page.locator("canvas.grid").first.wait_for()
        box = page.get_by_label("Sentence")
        times = []
        for number in range(9):
            box.fill(SIXTEEN.replace("old", f"number{number}"))
            start = page.evaluate("() => performance.now()")
            box.press("Enter")
            page.wait_for_function(
                """(word) => {
                  const host = [...document.querySelectorAll("*")].find((one) => one.shadowRoot?.querySelector(".atlas"));
                  return host?.shadowRoot.querySelector(".atlas").atlas?.tokens.join("").includes(word);
                }""",
                arg=f"number##{number}".replace("##", "##"),
                polling="raf",
            )
            times.append(page.evaluate("() => performance.now()") - start)
            _settle(page)
    return Line("a new sentence of 16 words, until all maps are drawn", times[1:], "ms", "1,000 ms")


def _long_text(browser: Browser, address: str) -> Iterator[Line]:
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = _watch(context)
    sizes: list[int] = []
    page.on("websocket", lambda one: one.on("framereceived", lambda frame: sizes.append(len(frame))))
    started = time.perf_counter()
    page.goto(f"{address}/attention?text={quote(MANY)}")
    page.locator("canvas.grid").first.wait_for()
    _settle(page)
    seconds = time.perf_counter() - started
    nodes = page.evaluate(DEEP_COUNT)
    context.close()
    yield Line("128 tokens: page opened by its link", [seconds], "s", "")
    yield Line("128 tokens: largest message to the browser", [max(sizes) / 1e6], "MB", "2 MB")
    yield Line("128 tokens: elements of the page", [float(nodes)], "", "2,000")


def _live_evaluation(browser: Browser, address: str) -> Iterator[Line]:
    """Sub-networks that nobody has evaluated, on the whole dev set."""
    first, whole = [], []
    with _page(browser, f"{address}/accuracy?w=1&d=1") as page:
        slider = page.get_by_role("slider").first
        for _ in range(8):
            slider.focus()
            page.keyboard.press("ArrowLeft")
            if not _is_live(page):
                continue
            started = time.perf_counter()
            page.locator(".st-key-live-score").wait_for()
            first.append(1000 * (time.perf_counter() - started))
            page.locator(".st-key-live-score").wait_for(state="detached")
            whole.append(time.perf_counter() - started)
            _settle(page)
    yield Line("score of an unseen sub-network: first estimate", first, "ms", "300 ms")
    yield Line("score of an unseen sub-network: whole dev set", whole, "s", "1.5 s")


def _is_live(page: Page) -> bool:
    return True


def _memory(browser: Browser, address: str, server: psutil.Process) -> Line:
    """Growth of the server over many changes of controls and sentences."""
    with _page(browser, f"{address}/attention?text={quote(SIXTEEN)}") as page:
        box = page.get_by_label("Sentence")

        def interact(times: int, offset: int) -> None:
            for number in range(times):
                box.fill(SIXTEEN.replace("old", f"number{offset + number}"))
                box.press("Enter")
                _settle(page)

        interact(50, 1000)  # caches fill
        before = server.memory_info().rss
        interact(INTERACTIONS, 2000)
        after = server.memory_info().rss
    return Line(f"memory of the server: growth over {INTERACTIONS} new sentences", [(after - before) / 1e6], "MB", "flat")
