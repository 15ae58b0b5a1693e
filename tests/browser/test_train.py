"""A training that is started in the browser and outlives the page that started it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import settle
from playwright.sync_api import Page, expect
from small_data import write_glue

from dynabert.runs import unfinished_folder
from dynabert.training.background import find_training, kill_training

pytest_plugins = ["browser_fixtures"]
pytestmark = pytest.mark.browser
NAME = "watched"


@pytest.fixture
def cleared(runs_dir: Path) -> Iterator[None]:
    """The runs folder belongs to all browser tests."""
    yield
    if find_training(NAME, runs_dir) is not None:
        kill_training(NAME, runs_dir)
    for folder in (runs_dir / NAME, unfinished_folder(NAME, runs_dir)):
        shutil.rmtree(folder, ignore_errors=True)


def fill(page: Page, label: str, text: str) -> None:
    box = page.get_by_role("textbox", name=label)
    box.fill(text)
    box.press("Enter")
    settle(page)


@pytest.mark.parametrize("look", ["narrow"], indirect=True)
def test_a_training_goes_on_while_the_page_is_reloaded(
    open_page, cleared: None, tiny_backbone: Path, tmp_path: Path
):
    opened = open_page("/train")
    page = opened.page
    for label, choice in (("Task", "SST-2 (sentiment)"), ("Recipe", "fine-tune")):
        page.get_by_role("combobox", name=re.compile(label)).click()
        page.get_by_role("option", name=choice).click()
        settle(page)
    fill(page, "Folder with the data", str(write_glue(tmp_path / "glue")))
    fill(page, "Backbone", str(tiny_backbone))
    fill(page, "Name of the run", NAME)
    page.get_by_role("button", name="Start").click()
    under_way = page.get_by_role("heading", name=f"{NAME} is being trained")
    expect(under_way).to_be_visible()
    expect(page.get_by_role("button", name="Start")).to_have_count(0)
    assert "training=watched" in page.url
    page.reload()
    settle(page)
    expect(under_way).to_be_visible()  # it takes seconds to load what it needs
    expect(page.get_by_text(f"{NAME} is trained.")).to_be_visible()
    opened.check()
    page.get_by_role("button", name="See what it has learned").click()
    expect(page.get_by_role("heading", name="What is this model?")).to_be_visible()
    expect(page).to_have_url(re.compile(f"run={NAME}"))
    expect(page.locator(".js-plotly-plot")).to_have_count(2)
    opened.check()
