"""Every page in a real browser that reaches nothing but the app."""

from __future__ import annotations

import re
import zipfile
from urllib.parse import parse_qs, urlparse

import pytest
from browsing import TIMEOUT_MS, drawn, expect_no_sideways_scrolling, idle, settle
from playwright.sync_api import Page, expect

pytest_plugins = ["browser_fixtures"]
pytestmark = pytest.mark.browser


def expect_charts(page: Page, number: int) -> None:
    expect(page.locator(".js-plotly-plot")).to_have_count(number)


def link(page: Page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlparse(page.url).query).items()}


def test_every_page_shows_its_question_and_its_charts(open_page):
    """The first page opened after the start is a link into the app, not its front door."""
    attention = open_page("/attention?run=tiny&w=0.5&d=0.5&text=a+good+dog&layer=2&head=3")
    page = attention.page
    expect(page.get_by_role("heading", name="What do heads look at?")).to_be_visible()
    expect(page.get_by_label("Sentence")).to_have_value("a good dog")
    expect(page.locator("canvas.grid")).to_have_count(3)
    expect(page).to_have_title("Attention · DynaBERT workbench")
    expect(page.locator("h3.chosen")).to_have_text("Layer 2, head 3")
    expect(page.locator(".width-text")).to_have_text("0.5 (3 of 6 heads)")
    expect(page.get_by_text("2 of 4 layers (2, 4)").first).to_be_visible()
    expect_no_sideways_scrolling(page)
    attention.check()
    page.close()

    for path, question, charts, text in (
        ("/", "What is this model?", 2, "1 of 4 sub-networks collapsed"),
        ("/importance?w=0.5", "Which heads and neurons matter?", 4, "3 of 6 heads"),
        ("/fusion?w=0.5&d=0.5", "Do the heads that are left take over?", 3, "How it is defined"),
        (
            "/try_it?text=a+good+dog",
            "What does every sub-network answer?",
            1,
            "when this text was first",
        ),
        (
            "/survivors?text=a+good+dog+and+a+bad+cat",
            "Which tokens survive?",
            2,
            "with all tokens",
        ),
        ("/search", "Which sub-network should I take?", 0, "has not been searched yet"),
        ("/compare", "Which of two runs is better, and where?", 0, "no second run"),
        ("/take_away?w=0.5", "How do I take a sub-network with me?", 0, "tiny-w0.50-d1.00.zip"),
        ("/learn", "How do I read all this?", 0, "Attention head"),
        ("/?tour=1", "What is this model?", 2, "Tour, 1 of 6"),
        ("/results?table=table3", "Do the paper's results hold here?", 1, "Does rewiring help?"),
        ("/train", "How is it trained?", 0, "What the recipe dynabert does"),
        ("/accuracy?w=0.5&d=1", "What do I lose when I make it smaller?", 1, "0.800"),
    ):
        opened = open_page(path)
        expect(opened.page.get_by_role("heading", name=question)).to_be_visible()
        expect_charts(opened.page, charts)
        expect(opened.page.get_by_text(text).first).to_be_visible()
        expect_no_sideways_scrolling(opened.page)
        opened.check()
        opened.page.close()  # a page that stays open takes its share of the processor


@pytest.mark.parametrize("look", ["light"], indirect=True)
def test_a_click_on_a_small_map_enlarges_its_head(open_page):
    opened = open_page("/attention")
    page = opened.page
    box = drawn(page, "canvas.grid").bounding_box()
    assert box is not None
    # Below and beside the numbers there are 4 layers and 6 heads: layer 2, head 5.
    tile = (box["width"] - 22) / (6 + 1.4)
    page.mouse.click(box["x"] + 22 + 4.4 * tile, box["y"] + 18 + 1.4 * tile)
    expect(page.locator("h3.chosen")).to_have_text("Layer 2, head 5")
    expect(page).to_have_url(re.compile("layer=2&head=5"))
    page.locator("canvas.grid").first.press("ArrowLeft")
    expect(page.locator("h3.chosen")).to_have_text("Layer 2, head 4")
    expect(page).to_have_url(re.compile("layer=2&head=4"))
    # Right of the last head stands the mean of its layer.
    page.mouse.click(box["x"] + 22 + 6.8 * tile, box["y"] + 18 + 2.4 * tile)
    expect(page.locator("h3.chosen")).to_have_text("Layer 3, mean of its heads")
    expect(page).to_have_url(re.compile("layer=3&head=4.*map=layer"))
    opened.check()


@pytest.mark.parametrize("look", ["light"], indirect=True)
def test_maps_are_redrawn_while_a_slider_is_dragged_without_the_server(open_page):
    opened = open_page("/attention?text=a+good+dog")
    page = opened.page
    drawn(page, "canvas.grid")
    box = page.locator("input.width").bounding_box()
    assert box is not None
    said: list[str] = []
    sent = page.evaluate_handle(
        """() => { const sent = []; const send = WebSocket.prototype.send;
        WebSocket.prototype.send = function (...data) { sent.push(1); return send.apply(this, data); };
        return sent; }"""
    )
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] - 6, middle)
    page.mouse.down()
    pictures = set()
    for step in range(6, 0, -1):
        page.mouse.move(box["x"] + 6 + (box["width"] - 12) * (step - 1) / 5, middle)
        said.append(page.locator(".width-text").inner_text())
        pictures.add(page.locator("canvas.grid").nth(1).evaluate("canvas => canvas.toDataURL()"))
    assert said == [
        f"{mult} ({heads} of 6 heads)"
        for mult, heads in zip(
            ("1", "0.833", "0.667", "0.5", "0.333", "0.167"), range(6, 0, -1), strict=True
        )
    ]
    assert len(pictures) == 6
    assert sent.evaluate("sent => sent.length") == 0
    page.mouse.up()
    expect(page).to_have_url(re.compile("w=0.166667"))
    expect(page.get_by_text("Width 0.167, depth 1").first).to_be_visible()
    opened.check()


@pytest.mark.parametrize("look", ["light"], indirect=True)
def test_pointing_shows_the_numbers_and_full_against_full_differs_nowhere(open_page):
    opened = open_page("/attention?text=a+good+dog&layer=2&head=3")
    page = opened.page
    heads = drawn(page, "canvas.head")
    heads.scroll_into_view_if_needed()
    box = heads.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 80, box["y"] + 80)
    readout = page.locator(".readout")
    expect(readout).to_have_text(
        re.compile(r"→.*full network 0[.]\d\d, sub-network 0[.]\d\d, difference below 0[.]01")
    )
    # The same without a pointer.
    page.mouse.move(0, 0)
    heads.press("ArrowRight")
    expect(readout).to_have_text(re.compile(r"^\[CLS\] → a: full network 0[.]\d\d"))
    heads.press("ArrowDown")
    heads.press("ArrowDown")
    expect(readout).to_have_text(re.compile("^good → a: "))
    heads.press("Enter")
    expect(page).to_have_url(re.compile("token=3"))
    # One colour in the difference of a network with itself.
    colours = (
        page.locator("canvas.grid")
        .nth(2)
        .evaluate(
            """canvas => { const { data } = canvas.getContext("2d").getImageData(
            30 * devicePixelRatio, 26 * devicePixelRatio, 8, 8);
        return [...new Set(Array.from({ length: 64 }, (_, n) => data.slice(4 * n, 4 * n + 3).join()))]; }"""
        )
    )
    assert len(colours) == 1
    opened.check()


@pytest.mark.parametrize("look", ["light"], indirect=True)
def test_a_sub_network_is_downloaded(open_page):
    opened = open_page("/take_away?w=0.5&d=0.5")
    with opened.page.expect_download() as waiting:
        opened.page.get_by_role("button", name="tiny-w0.50-d0.50.zip").click()
    assert waiting.value.suggested_filename == "tiny-w0.50-d0.50.zip"
    names = zipfile.ZipFile(waiting.value.path()).namelist()
    assert "tiny-w0.50-d0.50/model.safetensors" in names
    assert "tiny-w0.50-d0.50/README.md" in names
    opened.check()


@pytest.mark.parametrize("look", ["light"], indirect=True)
def test_heads_are_removed_while_the_visitor_looks_elsewhere(other_run, open_page):
    opened = open_page(f"/importance?run={other_run}")
    page = opened.page
    button = page.get_by_role("button", name="Measure now")
    button.click()
    expect(button).to_have_count(0)
    page.get_by_role("link", name="Attention").click()
    expect(page.get_by_role("heading", name="What do heads look at?")).to_be_visible()
    page.get_by_role("link", name="Importance").click()
    expect(page.get_by_text("rank the 24 heads alike by")).to_be_visible(timeout=TIMEOUT_MS)
    expect_charts(page, 6)
    opened.check()


@pytest.mark.parametrize("look", ["light"], indirect=True)
def test_the_view_survives_navigation_and_hostile_text(open_page):
    opened = open_page("/attention?w=0.5")
    page = opened.page
    page.get_by_label("Sentence").fill("<img src=x onerror=alert(1)> <b>b</b>")
    page.get_by_label("Sentence").press("Enter")
    settle(page)
    expect(page.locator("canvas.grid")).to_have_count(3)
    assert page.locator("img[src=x]").count() == 0
    page.get_by_role("link", name="Accuracy and size").click()
    expect(
        page.get_by_role("heading", name="What do I lose when I make it smaller?")
    ).to_be_visible()
    settle(page)
    expect(page.get_by_text("0.800").first).to_be_visible()
    assert link(page)["w"] == "0.5"
    page.get_by_role("link", name="Attention").first.click()  # the menu's
    expect(page.get_by_label("Sentence")).to_have_value("<img src=x onerror=alert(1)> <b>b</b>")
    opened.check()


@pytest.mark.parametrize("look", ["light"], indirect=True)
def test_back_returns_to_the_earlier_view(open_page):
    opened = open_page("/importance?run=tiny&w=0.5")
    page = opened.page
    page.get_by_role("slider").first.press("ArrowRight")
    expect(page.get_by_text("keeps 4 of 6 heads")).to_be_visible()
    expect(page).to_have_url(re.compile("w=0.666667"))
    idle(page)
    page.get_by_role("link", name="Attention").click()
    expect(page.get_by_role("heading", name="What do heads look at?")).to_be_visible()
    settle(page)
    expect(page).to_have_url(re.compile("/attention.*w=0.666667"))
    opened.go_back()
    expect(page).not_to_have_url(re.compile("/attention.*w="))
    if page.url.endswith(
        "/attention"
    ):  # the click is a step of its own, unless the browser was busy
        opened.go_back()
    expect(page.get_by_role("heading", name="Which heads and neurons matter?")).to_be_visible()
    expect(page.get_by_text("keeps 4 of 6 heads")).to_be_visible()
    idle(page)  # a step that is taken while the page is drawn is undone by what it writes
    opened.go_back()
    expect(page.get_by_text("keeps 3 of 6 heads")).to_be_visible()
    opened.check()
