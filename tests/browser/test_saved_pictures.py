"""What a visitor saves below a chart, as the browser writes it."""

from __future__ import annotations

import struct
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest_plugins = ["browser_fixtures"]
pytestmark = pytest.mark.browser
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("look", ["light"])
def test_a_chart_is_saved_as_data_and_as_pictures(open_page, tmp_path: Path):
    opened = open_page("/?run=tiny")
    page = opened.page
    page.locator(".js-plotly-plot").first.wait_for()
    page.locator(".st-key-save-scores").get_by_role("button").click()
    body = page.get_by_test_id("stPopoverBody")
    saved: dict[str, bytes] = {}
    for button, ending in (
        ("Data (CSV)", "csv"),
        ("Picture (SVG)", "svg"),
        ("Picture (PNG)", "png"),
    ):
        with page.expect_download() as download:
            body.get_by_role("button", name=button).click()
        assert download.value.suggested_filename == f"tiny-scores.{ending}"
        download.value.save_as(tmp_path / ending)
        saved[ending] = (tmp_path / ending).read_bytes()

    rows = saved["csv"].decode().splitlines()
    assert rows[0].startswith("width_mult,depth_mult")
    assert len(rows) == 5

    picture = ElementTree.fromstring(saved["svg"])
    words = ["".join(text.itertext()) for text in picture.iter(f"{SVG}text")]
    assert {"0.900", "0.800", "0.700", "0.500 ✕"} <= set(words)  # the scores in their tiles
    caption = " ".join(words)
    assert "Accuracy by width and depth" in caption
    assert "Run tiny:" in caption
    assert "dynabert 0." in caption
    assert not picture.findall(f".//{SVG}script")

    assert saved["png"].startswith(b"\x89PNG")
    width, height = struct.unpack(">II", saved["png"][16:24])
    assert (width, height) == (2 * int(picture.get("width")), 2 * int(picture.get("height")))
    opened.check()
