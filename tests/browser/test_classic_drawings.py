"""BertViz's views in a real browser that reaches nothing but the app."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from browsing import expect_no_sideways_scrolling, settle
from made_query_keys import HEADS, HOSTILE, make_query_key
from playwright.sync_api import Browser, FrameLocator, Locator, Page, expect
from scipy.special import softmax

from dynabert import Subnet
from dynabert.analysis.attention_maps import attention_maps
from dynabert.plots.classic import ClassicView, head_view, model_view, neuron_view
from dynabert.runs import Run

pytest_plugins = ["browser_fixtures"]
pytestmark = pytest.mark.browser

SUB = "/attention?text=a+good+dog&of=sub&w=0.5&d=0.5&layer=2&head=3"
VIEWS = {"head": head_view, "model": model_view, "neuron": neuron_view}


@pytest.fixture
def show(browser: Browser, tmp_path: Path) -> Iterator[Callable[[ClassicView], Page]]:
    """Open a document from the disk, without any network; it must log no error."""
    context = browser.new_context(offline=True, color_scheme="dark")
    wrong: list[str] = []

    def open_document(view: ClassicView) -> Page:
        path = tmp_path / "view.html"
        path.write_text(view.html, encoding="utf-8")
        page = context.new_page()
        page.on(
            "console", lambda entry: wrong.append(entry.text) if entry.type == "error" else None
        )
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "request",
            lambda request: wrong.append(request.url) if request.url != path.as_uri() else None,
        )
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        page.goto(path.as_uri())
        expect(page.locator("#vis svg")).to_have_count(1)
        return page

    yield open_document
    context.close()
    assert wrong == []


def options(frame: FrameLocator | Page, label: str) -> list[str]:
    return frame.get_by_label(label, exact=True).locator("option").all_inner_texts()


def choose(frame: FrameLocator | Page, label: str, option: str) -> None:
    frame.get_by_label(label, exact=True).select_option(option)


def chosen(frame: FrameLocator | Page, label: str) -> str:
    return frame.get_by_label(label, exact=True).locator("option:checked").inner_text()


def test_all_views_are_drawn_with_original_numbers(open_page):
    opened = open_page(f"{SUB}&classic=head")
    page = opened.page
    frame = page.frame_locator("iframe")
    expect(frame.locator("#vis svg")).to_have_count(1)
    assert options(frame, "Layer") == ["2", "4"]
    assert heads_on(frame) == ["Head 2", "Head 3", "Head 4"]
    choose(frame, "Layer", "4")
    assert heads_on(frame) == ["Head 4", "Head 5", "Head 6"]

    page.get_by_role("radio", name="Model view").click()
    expect(frame.locator(".gone")).to_have_count(6)
    texts = frame.locator("svg > text").all_text_contents()
    assert texts == ["Heads", "1", "2", "3", "4", "5", "6", "Layers", "2", "4"]

    page.get_by_role("radio", name="Neuron view").click()
    expect(frame.locator("#expanded")).to_be_visible()
    assert (chosen(frame, "Layer"), chosen(frame, "Head")) == ("2", "3")
    assert options(frame, "Head") == ["2", "3", "4"]
    settle(page)
    expect_no_sideways_scrolling(page)
    opened.check()


def heads_on(frame: FrameLocator | Page) -> list[str | None]:
    squares = frame.locator("rect[aria-pressed=true]")
    return [square.get_attribute("aria-label") for square in squares.all()]


@pytest.mark.parametrize("look", ["light"], indirect=True)
def test_the_neuron_view_computes_the_models_attention(open_page, runs_dir):
    opened = open_page(f"{SUB}&classic=neuron")
    frame = opened.page.frame_locator("iframe")
    choose(frame, "Layer", "4")
    choose(frame, "Head", "5")
    assert (chosen(frame, "Layer"), chosen(frame, "Head")) == ("4", "5")
    run = Run.load(runs_dir / "tiny")
    maps = attention_maps(run.model(), run.tokenizer(), ["a good dog"], Subnet(0.5, 0.5)).maps
    for place, token in enumerate(("[CLS]", "a", "good", "dog", "[SEP]")):
        left = frame.locator("#expanded #leftText text").nth(place)
        assert left.text_content() == token
        left.hover()
        scores = numbers(frame.locator("#dotproducts .dotproduct"))
        np.testing.assert_allclose(softmax(scores), maps[3, 4, place], rtol=0, atol=2e-3)
        products = numbers(frame.locator("#product .element")).reshape(5, 8)
        np.testing.assert_allclose(products.sum(1) / 8**0.5, scores, rtol=0, atol=1e-9)
    opened.check()


def numbers(drawn: Locator) -> np.ndarray:
    return np.array(drawn.evaluate_all("all => all.map((one) => Number(one.dataset.value))"))


@pytest.mark.parametrize("look", ["light"], indirect=True)
def test_a_hostile_sentence_is_shown_and_does_nothing(open_page):
    text = "</script><img src=x onerror=alert(1)>"
    opened = open_page("/attention?classic=head&text=%3C/script%3E%3Cimg+src=x+onerror=alert(1)%3E")
    page = opened.page
    page.on("dialog", lambda dialog: opened.errors.append(dialog.message))
    frame = page.frame_locator("iframe")
    for view in VIEWS:
        page.get_by_role("radio", name=f"{view.capitalize()} view").click()
        expect(frame.locator(f"body.{view} #vis svg")).to_have_count(1)
        assert frame.locator("img").count() == 0
        assert frame.locator("script").count() == 5
    expect(page.get_by_label("Sentence")).to_have_value(text)
    opened.check()


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("second", [None, 5])
def test_hostile_tokens_are_drawn_letter_by_letter(show, view, second):
    page = show(VIEWS[view](make_query_key(HOSTILE, second_start=second)))
    if view == "model":
        page.locator("svg > g > rect:last-of-type").first.click()
        drawn = page.locator("g.detail text").all_text_contents()
    else:
        column = {"head": "#left text", "neuron": "#expanded #leftText text"}[view]
        drawn = page.locator(column).all_text_contents()
    assert drawn[: len(HOSTILE)] == list(HOSTILE)
    assert page.locator("img").count() == 0
    assert page.locator("body > script").count() == 5
    assert page.title() == f"{view.capitalize()} view"


def test_were_something_to_break_out_it_would_neither_run_nor_fetch(browser, tmp_path):
    html = head_view(make_query_key(("a", "b"))).html
    stranger = """<script>document.title = "broken"</script>
    <img src="http://localhost:1/x.png" onerror="document.title = 'broken'">"""
    path = tmp_path / "view.html"
    path.write_text(html.replace("</body>", f"{stranger}</body>"), encoding="utf-8")
    context = browser.new_context()
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda entry: said.append(entry.text) if entry.type == "error" else None)
    page.goto(path.as_uri())
    expect(page.locator("#vis svg")).to_have_count(1)
    assert page.title() == "Head view"
    directives = ("script-src", "default-src")  # the script, and the image
    for directive in directives:
        assert any("Content Security Policy" in text and directive in text for text in said)
    context.close()


def test_chosen_heads_stay_chosen_where_the_layer_has_them(show):
    tokens = ("a", "b", "c")
    page = show(head_view(make_query_key(tokens)))
    assert heads_on(page) == ["Head 1", "Head 3"]
    opacity = "all => Math.max(...all.map((one) => one.getAttribute('stroke-opacity')))"
    probs = {one.layer: one.probs for one in make_query_key(tokens).layers}

    def strongest() -> float:
        return page.locator("#attention line").evaluate_all(opacity)

    # Shared by the heads that are there, not by all six.
    assert strongest() == pytest.approx(probs[1].max() / 2, abs=0.001)
    page.get_by_label("Head 1", exact=True).press("Enter")
    assert heads_on(page) == ["Head 3"]
    assert strongest() == pytest.approx(probs[1][1].max(), abs=0.001)
    choose(page, "Layer", "4")
    assert heads_on(page) == ["Head 2", "Head 5", "Head 6"]  # it has no head 3
    page.get_by_label("Head 6", exact=True).dblclick()
    assert heads_on(page) == ["Head 6"]
    page.get_by_label("Head 6", exact=True).dblclick()
    assert heads_on(page) == ["Head 2", "Head 5", "Head 6"]
    choose(page, "Layer", "2")
    assert heads_on(page) == ["Head 1", "Head 3"]
    assert page.get_by_role("button").count() == 2


def test_heads_have_the_colours_of_the_theme(show):
    found = make_query_key(("a", "b"))
    colour = "one => getComputedStyle(one).fill"
    seen = []
    for theme in ("light", "dark", "auto"):
        page = show(head_view(found, theme=theme))
        squares = [page.get_by_label(f"Head {number}", exact=True) for number in (1, 3)]
        seen.append([square.evaluate(colour) for square in squares])
    assert seen[0] == ["rgb(68, 119, 255)", "rgb(34, 136, 68)"]
    assert (
        seen[1] == seen[2] == ["rgb(187, 153, 255)", "rgb(119, 255, 170)"]
    )  # the reader's is dark


def test_the_neuron_view_shows_a_pair_by_text(show):
    tokens = ("a", "b", "c", "d", "e")
    found = make_query_key(tokens, second_start=2)
    page = show(neuron_view(found, layer=3, head=4))
    assert (chosen(page, "Layer"), chosen(page, "Head")) == ("4", "5")
    one = found.layers[1]
    for rows, columns in itertools.product("ab", "ab"):
        choose(page, "Attention", rows + columns)
        part = {"a": slice(0, 2), "b": slice(2, 5)}
        left = page.locator("#expanded #leftText text").all_text_contents()
        right = page.locator("#expanded #rightText text").all_text_contents()
        assert (left, right) == (list(tokens[part[rows]]), list(tokens[part[columns]]))
        page.locator("#expanded #leftText text").first.hover()
        scores = one.keys[1, part[columns]] @ one.queries[1, part[rows]][0] / 2
        np.testing.assert_allclose(
            numbers(page.locator("#dotproducts .dotproduct")), scores, rtol=0, atol=0.01
        )
    # In another layer the same head where it has it, else its first.
    choose(page, "Layer", "2")
    assert options(page, "Head") == [str(head + 1) for head in HEADS[1]]
    assert chosen(page, "Head") == "1"


def test_a_small_picture_is_enlarged_under_its_own_number(show):
    page = show(model_view(make_query_key(("a", "b", "c"))))
    # The fourth small picture: of layer 4 the second head it has.
    page.locator("svg > g:not(.gone)").nth(3).locator("rect").last.click()
    expect(page.locator("text.detail")).to_have_text("Layer 4, Head 5")
    expect(page.locator(".gone")).to_have_count(7)
