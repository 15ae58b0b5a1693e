"""Averages, rollout, and the page of one file that works without app and network."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
import zlib
from pathlib import Path

import numpy as np
import pytest
from browsing import drawn, settle
from playwright.sync_api import Page, expect

from dynabert import Subnet
from dynabert.analysis.attention_maps import attention_maps
from dynabert.analysis.rollout import map_of
from dynabert.runs import Run
from dynabert.web import AtlasView, atlas_component, atlas_page, read_atlas

pytest_plugins = ["browser_fixtures"]
pytestmark = pytest.mark.browser
TEXT = "a good dog sees the old house"
HOSTILE = "</script><img src=x onerror=alert(1)> \u2028 <!--"
# Averages over heads and rollout are made of bytes that are off by up to 0.004 each.
TOLERANCE = 0.004


def opens_alone(page: Page, seen: list[str], path: Path) -> None:
    page.goto(path.as_uri())
    drawn(page, "canvas.grid")
    assert seen == [path.as_uri()]
    seen.clear()


def test_averages_and_rollout_in_the_browser_are_those_of_the_core(runs_dir, tmp_path, offline):
    run = Run.load(runs_dir / "tiny")
    atlas = read_atlas(run, (TEXT,))
    path = tmp_path / "view.html"
    made = atlas_page(run, (TEXT,), atlas, AtlasView(w=0.5, d=0.75, layer=2, head=3))
    # The component's own functions, reached from outside.
    path.write_text(
        made.replace("showAtlas({ data,", "window.of = probabilities;\nshowAtlas({ data,")
    )
    page, seen = offline
    opens_alone(page, seen, path)
    for subnet, name in ((Subnet(), "whole"), (Subnet(0.5, 0.75), "small")):
        maps = attention_maps(run.model(), run.tokenizer(), [TEXT], subnet).maps
        number = atlas.width_mults.index(subnet.width_mult)
        number += len(atlas.width_mults) * atlas.depth_mults.index(subnet.depth_mult)
        for kind in ("head", "layer", "network", "rollout"):
            for layer, head in ((1, 2), (3, 4)):
                found = page.evaluate(
                    """([number, kind, layer, head]) => { const { atlas } = document.querySelector(".atlas");
                    const values = window.of(atlas, number, kind, layer, head);
                    return values && [...values]; }""",
                    [number, kind, layer, head],
                )
                wanted = map_of(maps, kind, layer, head)
                if found is None:
                    assert np.isnan(wanted).all(), (name, kind, layer, head)
                    continue
                found = np.reshape(found, wanted.shape)
                np.testing.assert_allclose(found, wanted, atol=TOLERANCE)
                if kind == "rollout":
                    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize("look", ["light"], indirect=True)
def test_the_choice_of_a_map_is_reachable_by_keys_and_kept_in_the_link(open_page):
    opened = open_page("/attention?text=a+good+dog&w=0.5&layer=2&head=3")
    page = opened.page
    panel = page.locator("canvas.head").nth(1)
    drawn(page, "canvas.head")
    pictures = {panel.evaluate("canvas => canvas.toDataURL()")}
    page.get_by_role("radio", name="Head", exact=True).focus()
    for title in (
        "Layer 2, mean of its heads",
        "Mean of all heads of all layers",
        "Attention rollout over all layers",
    ):
        page.keyboard.press("ArrowRight")
        expect(page.locator("h3.chosen")).to_have_text(title)
        pictures.add(panel.evaluate("canvas => canvas.toDataURL()"))
    assert len(pictures) == 4
    expect(page).to_have_url(re.compile("map=rollout"))
    expect(page.get_by_role("button", name="Rollout (CSV)")).to_be_visible()
    expect(page.locator(".about")).to_contain_text("Abnar and Zuidema 2020")
    page.reload()
    settle(page)
    expect(page.locator("h3.chosen")).to_have_text("Attention rollout over all layers")
    panel.hover()
    expect(page.locator(".readout")).to_have_text(re.compile("full network 0[.].*sub-network 0[.]"))
    opened.check()


@pytest.mark.parametrize("look", ["light"], indirect=True)
def test_a_downloaded_view_works_without_app_and_network(open_page, offline, tmp_path):
    opened = open_page(
        "/attention?text=a+good+dog&w=0.5&d=0.5&layer=4&head=5&map=layer&below=3&token=2"
    )
    drawn(opened.page, "canvas.grid")
    with opened.page.expect_download() as waiting:
        opened.page.get_by_role("button", name="This view (HTML)").click()
    path = tmp_path / waiting.value.suggested_filename
    assert path.name == "tiny-attention.html"
    waiting.value.save_as(path)
    opened.check()

    page, seen = offline
    opens_alone(page, seen, path)
    # It begins with the view that was open.
    expect(page.locator("h3.chosen")).to_have_text("Layer 4, mean of its heads")
    expect(page.locator(".width-text")).to_have_text("0.5 (3 of 6 heads)")
    expect(page.locator(".threshold-text")).to_have_text("0.03")
    expect(page.locator(".readout")).to_have_text(
        "Only what “a” looks at; click again for all tokens."
    )
    about = page.locator(".about-page")
    for text in (
        "tiny",
        "Good or bad <b>words</b>",
        "a good dog",
        "2 layers (2, 4)",
        "transformers",
    ):
        expect(about).to_contain_text(text)
    slider = page.locator("input.width").bounding_box()
    assert slider is not None
    middle = slider["y"] + slider["height"] / 2
    page.mouse.move(slider["x"] + slider["width"] / 2, middle)
    page.mouse.down()
    pictures = set()
    for share in (0.01, 0.3, 0.99):
        page.mouse.move(slider["x"] + share * slider["width"], middle)
        pictures.add(page.locator("canvas.grid").nth(1).evaluate("canvas => canvas.toDataURL()"))
    page.mouse.up()
    assert len(pictures) == 3
    expect(page.locator(".width-text")).to_have_text("1 (6 of 6 heads)")
    page.get_by_text("Rollout", exact=True).click()
    expect(page.locator("h3.chosen")).to_have_text("Attention rollout over all layers")
    page.locator("canvas.grid").first.press("ArrowUp")
    expect(page.locator("h3.chosen")).to_have_text("Layer 3, head 5")
    assert seen == []


def test_a_slider_with_one_place_cannot_be_moved(runs_dir, tmp_path, offline):
    run = Run.load(runs_dir / "tiny")
    atlas = read_atlas(run, (TEXT,))
    columns = len(atlas.width_mults)
    one_width = dataclasses.replace(
        atlas,
        width_mults=atlas.width_mults[-1:],
        places=atlas.places[columns - 1 :: columns],
        numbers=atlas.numbers[columns - 1 :: columns],
    )
    path = tmp_path / "view.html"
    path.write_text(atlas_page(run, (TEXT,), one_width), encoding="utf-8")
    page, seen = offline
    opens_alone(page, seen, path)
    expect(page.get_by_label("Width", exact=True)).to_be_disabled()
    page.get_by_label("Depth", exact=True).press("Home")
    expect(page.locator(".small-title")).to_have_text("Width 1, depth 0.25")


def test_hostile_text_is_shown_letter_by_letter_in_the_file(runs_dir, tmp_path, offline):
    run = Run.load(runs_dir / "tiny")
    path = tmp_path / "view.html"
    path.write_text(atlas_page(run, (HOSTILE,), read_atlas(run, (HOSTILE,))), encoding="utf-8")
    page, seen = offline
    opens_alone(page, seen, path)
    shown = (
        page.locator(".about-page dd").filter(has_text="onerror").evaluate("one => one.textContent")
    )
    assert shown == HOSTILE
    assert page.locator("img").count() == 0
    assert seen == []


def test_the_page_holds_the_very_same_component_and_its_data(runs_dir):
    run = Run.load(runs_dir / "tiny")
    atlas = read_atlas(run, (TEXT,))
    made = atlas_page(run, (TEXT,), atlas)
    assert atlas_component().js in made
    (packed,) = re.findall(r'id="data">([^<]+)<', made)
    data = zlib.decompress(base64.b64decode(packed))
    assert data.endswith(atlas.maps.tobytes())
    length = int.from_bytes(data[:4], "little")
    assert json.loads(data[4 : 4 + length])["tokens"] == list(atlas.tokens)
