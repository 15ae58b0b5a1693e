"""How fast the app is under the hand, and how many visitors it bears.

    python benchmarks/app_speed.py [--out benchmarks/results] [--browser /usr/bin/chromium]

Starts the app on a copy of the demonstration run that knows the twelve sub-networks of its recipe and no
other, drives it with a headless Chromium, and prints a table: the median, the slowest, and what was
wanted. Times in the browser run from the key that is pressed to the frame that shows the answer.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import quote

import psutil
import torch
from commands import this_command
from playwright.sync_api import Browser, Page, expect, sync_playwright

from dynabert.evaluation import describe_machine
from dynabert.runs import MEASURED

ROOT = Path(__file__).resolve().parents[1]
SIXTEEN = "the old dog by the gate sees a small grey cat on the"  # 14 tokens with [CLS] and [SEP]
MANY = "the old dog sees a small cat . " * 20
VISITORS, INTERACTIONS = 8, 200
PAGES = ("", "importance", "attention", "fusion", "accuracy", "try_it", "take_away", "compare")
ATLAS = """[...document.querySelectorAll("*")].find((one) => one.shadowRoot?.querySelector(".atlas"))
  ?.shadowRoot.querySelector(".atlas")"""
DEEP_COUNT = """() => {
  const count = (root) => [...root.querySelectorAll("*")].reduce(
    (sum, element) => sum + 1 + (element.shadowRoot ? count(element.shadowRoot) : 0), 0);
  return [count(document), count((ATLAS).getRootNode())];
}""".replace("ATLAS", ATLAS)
# Notes when the first tile changes after a key: what it shows, and when that was painted.
WATCH_TILE = """() => {
  const read = () => document.querySelector('[data-testid="stMetric"]')?.innerText ?? "";
  window.seen = [];
  let last = read();
  document.addEventListener("keydown", () => { window.pressed = performance.now(); window.seen = []; }, true);
  new MutationObserver(() => {
    const now = read();
    if (now === last) return;
    last = now;
    const [seen, pressed] = [window.seen, window.pressed];
    requestAnimationFrame(() => seen.push([performance.now() - pressed, now]));
  }).observe(document.body, { subtree: true, childList: true, characterData: true });
  const ask = () => requestAnimationFrame(ask);  // for frames: without a screen there are few
  ask();
}"""
SCRUB = """() => {
  const root = ATLAS, times = [];
  for (const name of ["width", "depth", "width"]) {
    const slider = root.querySelector(`input.${name}`);
    for (let value = Number(slider.max); value >= 0; value--) {
      slider.value = value;
      slider.dispatchEvent(new Event("input"));
      times.push(Number(root.dataset.redrawMs));
    }
  }
  return times;
}""".replace("ATLAS", ATLAS)


@dataclass(frozen=True)
class Line:
    """One row of the table."""

    what: str
    values: list[float]
    unit: str
    wanted: str

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        numbers = [f"{value:,.3g}" for value in (statistics.median(self.values), max(self.values))]
        if len(self.values) == 1:
            numbers[1] = ""
        shown = [number + unit if number else "" for number in numbers]
        return f"| {self.what} | {shown[0]} | {shown[1]} | {self.wanted} |"


def main() -> None:
    arguments = _arguments()
    expect.set_options(timeout=120_000)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        runs_dir = Path(folder) / "runs"
        shutil.copytree(ROOT / "runs" / "demo", runs_dir / "demo")
        (runs_dir / "demo" / MEASURED).unlink(missing_ok=True)
        browser = playwright.chromium.launch(
            executable_path=arguments.browser, args=["--no-sandbox", "--disable-gpu"]
        )
        with _server(runs_dir) as (address, server):
            lines = []
            for line in measure(browser, address, server):
                print(line, file=sys.stderr, flush=True)
                lines.append(line)
        browser.close()
    table = as_table(lines)
    print(table)
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "app_speed.md").write_text(table, encoding="utf-8")


def measure(browser: Browser, address: str, server: psutil.Process) -> Iterator[Line]:
    yield all_at_once(browser, address)
    yield first_page(browser, address)
    yield cached_change(browser, address)
    yield from scrubbing(browser, address)
    yield new_sentence(browser, address)
    yield from long_text(browser, address)
    yield from live_evaluation(browser, address)
    yield memory(browser, address, server)


def all_at_once(browser: Browser, address: str) -> Line:
    """The server's first requests: every visitor on another page, at the same time."""
    contexts = [browser.new_context() for _ in range(VISITORS)]
    opened = [context.new_page() for context in contexts]
    started, seconds = time.perf_counter(), []
    for page, path in zip(opened, PAGES, strict=True):
        page.goto(f"{address}/{path}", wait_until="commit")
    for page in opened:
        _settle(page)
        seconds.append(time.perf_counter() - started)
        assert page.get_by_test_id("stException").count() == 0
    for context in contexts:
        context.close()
    what = f"{VISITORS} visitors at once on a server just started, each on another page: until it stands"
    return Line(what, seconds, "s", "no error")


def first_page(browser: Browser, address: str) -> Line:
    seconds = []
    for _ in range(7):
        context = browser.new_context()
        page = context.new_page()
        started = time.perf_counter()
        page.goto(address)
        page.locator(".js-plotly-plot .main-svg").first.wait_for()
        seconds.append(time.perf_counter() - started)
        context.close()
    return Line("first page, server warm, browser without a cache", seconds, "s", "≤ 3 s")


def cached_change(browser: Browser, address: str) -> Line:
    """Between depths 1 and 0.75 of the full width, both known."""
    with _page(browser, f"{address}/take_away?w=1&d=1") as page:
        slider = page.get_by_role("slider").nth(0)
        page.evaluate(WATCH_TILE)
        times = []
        for number in range(21):
            slider.focus()
            slider.press("ArrowLeft" if number % 2 == 0 else "ArrowRight")
            page.wait_for_function("() => window.seen.length")
            times.append(page.evaluate("() => window.seen[0][0]"))
            _settle(page)
    return Line(
        "change of a control, everything known, until it is painted", times[1:], "ms", "≤ 200 ms"
    )


def scrubbing(browser: Browser, address: str) -> Iterator[Line]:
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    frames: list[object] = []
    page.on("websocket", lambda one: one.on("framesent", lambda frame: frames.append(frame)))
    page.goto(f"{address}/attention?text={quote(SIXTEEN)}")
    _drawn(page)
    sent = len(frames)
    times = page.evaluate(SCRUB)
    page.wait_for_timeout(500)
    yield Line("a slider dragged at 14 tokens: all maps redrawn", times, "ms", "≤ 16 ms")
    yield Line("frames sent to the server meanwhile", [float(len(frames) - sent)], "", "0")
    context.close()


def new_sentence(browser: Browser, address: str) -> Line:
    with _page(browser, f"{address}/attention?text={quote(SIXTEEN)}") as page:
        _drawn(page)
        box, times = page.get_by_label("Sentence"), []
        for word in ("fox", "cow", "man", "boy", "girl", "bird", "horse", "king", "queen"):
            box.fill(SIXTEEN.replace("dog", word))
            start = page.evaluate("() => performance.now()")
            box.press("Enter")
            shown = page.wait_for_function(
                f"""(word) => ({ATLAS})?.atlas?.tokens.includes(word)
                  && new Promise((done) => requestAnimationFrame(() => done(performance.now())))""",
                arg=word,
                polling="raf",
            )
            times.append(shown.json_value() - start)
            _settle(page)
    return Line(
        "a new sentence of 14 tokens: all maps of all sub-networks drawn", times, "ms", "≤ 1,000 ms"
    )


def long_text(browser: Browser, address: str) -> Iterator[Line]:
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    sizes: list[int] = []
    page.on(
        "websocket", lambda one: one.on("framereceived", lambda frame: sizes.append(len(frame)))
    )
    started = time.perf_counter()
    page.goto(f"{address}/attention?text={quote(MANY)}")
    _drawn(page)
    seconds = time.perf_counter() - started
    everything, own = page.evaluate(DEEP_COUNT)
    yield Line("128 tokens: page opened by its link and drawn", [seconds], "s", "")
    yield Line("128 tokens: largest message to the browser", [max(sizes) / 1e6], "MB", "≤ 2 MB")
    yield Line("128 tokens: elements of our view", [float(own)], "", "≤ 2,000")
    yield Line("128 tokens: elements of the whole page", [float(everything)], "", "")
    yield Line("128 tokens: a slider dragged", page.evaluate(SCRUB), "ms", "")
    context.close()


def live_evaluation(browser: Browser, address: str) -> Iterator[Line]:
    """Widths from 11 of 12 heads down, at full depth, that nobody has evaluated."""
    first, whole = [], []
    with _page(browser, f"{address}/accuracy?w=1&d=1") as page:
        slider = page.get_by_role("slider").nth(0)
        page.evaluate(WATCH_TILE)
        for _ in range(11):
            slider.focus()
            slider.press("ArrowLeft")
            page.wait_for_function("() => performance.now() - window.pressed > 300")
            _settle(page)
            seen = page.evaluate("() => window.seen")
            estimates = [at for at, text in seen if "read" in text]
            ends = [at for at, text in seen if "vs full" in text or "as the full" in text]
            if estimates and ends:
                first.append(estimates[0])
                whole.append(ends[0] / 1000)
            _settle(page)
    yield Line("an unseen sub-network scored: first estimate", first, "ms", "≤ 300 ms")
    yield Line("an unseen sub-network scored: all 1,560 sentences", whole, "s", "≤ 1.5 s")


def memory(browser: Browser, address: str, server: psutil.Process) -> Line:
    """Another sentence each time, after as many as fill the caches."""
    with _page(browser, f"{address}/attention?text=a") as page:
        box = page.get_by_label("Sentence")

        def interact(first: int, times: int) -> int:
            for number in range(first, first + times):
                box.fill(SIXTEEN.replace("old", f"{number} year old"))
                box.press("Enter")
                page.wait_for_function(
                    f"(word) => ({ATLAS})?.atlas?.tokens.join('').replaceAll('#', '').includes(word)",
                    arg=f"{number}year",
                )
                _settle(page)
            return server.memory_info().rss

        before = interact(1000, 60)
        after = interact(2000, INTERACTIONS)
    grown = (after - before) / 1e6
    what = f"memory of the server: growth over {INTERACTIONS} new sentences, from {before / 1e6:,.0f} MB"
    return Line(what, [grown], "MB", "flat")


def as_table(lines: list[Line]) -> str:
    machine = describe_machine(torch.device("cpu"))
    return "\n".join(
        [
            "# Speed of the app",
            "",
            f"`{this_command()}`  ",
            f"{machine}, server and browser on the same machine; {date.today().isoformat()}",
            "",
            "| | median | slowest | wanted |",
            "|---|--:|--:|--:|",
            *map(str, lines),
            "",
        ]
    )


@contextmanager
def _server(runs_dir: Path) -> Iterator[tuple[str, psutil.Process]]:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    options = ["--server.headless", "true", "--server.port", str(port)]
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "streamlit",
            "run",
            "app.py",
            *options,
            "--server.address",
            "localhost",
        ],
        cwd=ROOT,
        env=os.environ | {"DYNABERT_RUNS_DIR": str(runs_dir)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://localhost:{port}/_stcore/health", timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield f"http://localhost:{port}", psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(timeout=20)


@contextmanager
def _page(browser: Browser, address: str) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.goto(address)
    _settle(page)
    yield page
    context.close()


def _settle(page: Page) -> None:
    expect(page.locator("h1").first).to_be_visible()
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")


def _drawn(page: Page) -> None:
    page.wait_for_function(f"() => ({ATLAS})?.dataset.redrawMs", timeout=120_000)
    _settle(page)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="a folder for the table")
    parser.add_argument(
        "--browser", default=shutil.which("chromium") or shutil.which("google-chrome")
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
