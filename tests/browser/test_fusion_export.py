"""Head functions and fusion as one file that works without app and network."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from tiny_run import HEADS, LAYERS

from dynabert import Subnet
from dynabert.analysis.sentences import read_sentences
from dynabert.runs import Run
from dynabert.web import fusion_page, measure_functions

pytest_plugins = ["browser_fixtures"]
pytestmark = pytest.mark.browser
LONGEST = 16


@pytest.mark.parametrize("look", ["light"], indirect=True)
def test_the_downloaded_page_goes_from_sub_network_to_sub_network(
    open_page, offline, runs_dir, tmp_path
):
    opened = open_page("/fusion?text=a+good+dog+sees&w=0.333&d=0.5")
    opened.page.get_by_role("button", name="Prepare a page").click()
    button = opened.page.get_by_role("button", name="These sub-networks (HTML)")
    expect(button).to_be_visible()
    with opened.page.expect_download() as waiting:
        button.click()
    path = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(path)
    opened.check()

    page, seen = offline
    page.goto(path.as_uri())
    choice = page.get_by_label("Sub-network")
    # The four that the run reports, and the one that was shown.
    expect(choice.locator("option")).to_have_text(
        ["Full network", "Width 1, depth 0.5", "Width 0.5, depth 1", "Width 0.5, depth 0.5"]
        + ["Width 0.333, depth 0.5"]
    )
    expect(page.locator(".small-title")).to_have_text("Width 0.333, depth 0.5")
    run = Run.load(runs_dir / "tiny")
    sentences = read_sentences(run.tokenizer(), ["a good dog sees"], max_tokens=LONGEST)
    for subnet, title, left in (
        (Subnet(1 / 3, 0.5), "Width 0.333, depth 0.5", 4),
        (Subnet(1.0, 0.5), "Width 1, depth 0.5", 12),
    ):
        choice.select_option(label=title)
        heads = page.locator("table[data-of=small] td")
        expect(heads).to_have_count(LAYERS * HEADS)
        expect(heads.filter(has_text="✕")).to_have_count(LAYERS * HEADS - left)
        (_, measured) = measure_functions(run.model(), sentences, [subnet])
        assert measured.fusion is not None
        cells = page.locator(".summary tr.chosen td").all_inner_texts()
        assert cells[:3] == [title, str(left), str(LAYERS * HEADS - left)]
        numbers = [float(cell.replace("−", "-")) for cell in (*cells[3:6], cells[7])]
        fusion = measured.fusion
        wanted = [fusion.mean, fusion.chance_mean, fusion.above_chance, fusion.covered.mean()]
        assert numbers == pytest.approx(wanted, abs=0.0006)
        expect(page.locator(".absorbed tr")).to_have_count(LAYERS * HEADS - left + 1)
        expect(page.locator(".bars rect")).to_have_count(len(fusion.by_layer()))
    choice.select_option(label="Full network")
    expect(page.locator(".measured")).to_be_hidden()
    expect(page.get_by_text("has lost no head")).to_be_visible()
    assert seen == [path.as_uri()]


def test_hostile_text_is_shown_letter_by_letter_in_the_file(runs_dir, tmp_path, offline):
    run = Run.load(runs_dir / "tiny")
    text = "</script><img src=x>"
    sentences = read_sentences(run.tokenizer(), [text], max_tokens=40)
    measured = measure_functions(run.model(), sentences, [Subnet(0.5)])
    path = tmp_path / "fusion.html"
    path.write_text(fusion_page(run, sentences, measured, Subnet(0.5)), encoding="utf-8")
    page, seen = offline
    page.goto(path.as_uri())
    expect(page.locator(".about-page dd").nth(3)).to_have_text(text)
    expect(page.locator(".small-title")).to_have_text("Width 0.5, depth 1")
    assert page.locator("img").count() == 0
    assert seen == [path.as_uri()]
