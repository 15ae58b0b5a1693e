"""Draws the README's pictures of the app anew, from the demonstration run.

    python docs/draw_pictures.py

Each is an SVG file, a text, that holds a screenshot: the repository carries no other binary file than the
demonstration run.
"""

from __future__ import annotations

import base64
import io
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
FOLDER = Path(__file__).parent / "pictures"
SIZE = {"width": 1280, "height": 1180}
PICTURES = {
    "overview": ("/", ".js-plotly-plot .main-svg"),
    "importance": ("/importance?w=0.5", ".js-plotly-plot .main-svg"),
    "attention": (
        "/attention?text=The+author+that+the+guards+like+laughs.&w=0.5&d=0.75&layer=3&head=9",
        "canvas.grid",
    ),
    "accuracy": ("/accuracy?w=0.5&d=0.75", ".js-plotly-plot .main-svg"),
}


def main() -> None:
    expect.set_options(timeout=60_000)
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [*(sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless", "true")]
        + ["--server.port", str(port)],
        cwd=ROOT,
        env=os.environ | {"DYNABERT_RUNS_DIR": str(ROOT / "runs")},
        stdout=subprocess.DEVNULL,
    )
    try:
        _wait(f"http://localhost:{port}/_stcore/health")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
            )
            page = browser.new_context(viewport=SIZE, color_scheme="light").new_page()
            for name, (path, drawn) in PICTURES.items():
                page.goto(f"http://localhost:{port}{path}")
                page.locator(drawn).first.wait_for()
                _settle(page)
                (FOLDER / f"{name}.svg").write_text(as_svg(page.screenshot()), encoding="utf-8")
            browser.close()
    finally:
        server.terminate()
        server.wait(timeout=20)


def as_svg(screenshot: bytes) -> str:
    """A screenshot as the only content of an SVG file."""
    packed = io.BytesIO()
    Image.open(io.BytesIO(screenshot)).convert("RGB").save(packed, "WEBP", quality=82, method=6)
    data = base64.b64encode(packed.getvalue()).decode()
    width, height = SIZE["width"], SIZE["height"]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}">\n'
        f'<image width="{width}" height="{height}" href="data:image/webp;base64,{data}"/>\n</svg>\n'
    )


def _settle(page: Page) -> None:
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    page.evaluate("() => new Promise((done) => requestIdleCallback(done))")
    page.wait_for_timeout(500)  # what fades in has done so


def _wait(address: str) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(address, timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the app did not start")


if __name__ == "__main__":
    main()
