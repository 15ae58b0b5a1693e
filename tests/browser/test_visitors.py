"""Several visitors at once: each sees the numbers of what that visitor chose, and no other."""

from __future__ import annotations

import re

import pytest
from browsing import Watched, settle, watch
from playwright.sync_api import Browser, Page, expect

pytest_plugins = ["browser_fixtures"]
pytestmark = pytest.mark.browser

# Page, width, depth, a text that stands there for this visitor, and the sub-network's score.
VISITORS = (
    ("accuracy", "1", "1", "6 of 6 heads", "0.900"),
    ("attention", "0.5", "1", "Width 0.5, depth 1", "0.800"),
    ("try_it", "1", "0.5", "when this text was first", "0.700"),
    ("fusion", "0.5", "0.5", "Width 0.5, depth 0.5", "0.500"),
    ("importance", "0.5", "1", "keeps 3 of 6 heads", "0.800"),
    ("take_away", "1", "0.5", "tiny-w1.00-d0.50.zip", "0.700"),
    ("", "0.5", "0.5", "1 of 4 sub-networks collapsed", "0.500"),
    ("compare", "1", "1", "no second run", "0.900"),
)


def expect_score(page: Page, score: str) -> None:
    tile = page.get_by_test_id("stMetric").filter(has_text="Accuracy")
    expect(tile.get_by_test_id("stMetricValue")).to_have_text(re.compile(f"^{score}"))


def test_visitors_at_the_same_time_each_see_their_own_sub_network(browser: Browser, server: str):
    contexts = [browser.new_context() for _ in VISITORS]
    try:
        visits: list[Watched] = [watch(context.new_page()) for context in contexts]
        for visit, (path, width, depth, _, _) in zip(visits, VISITORS, strict=True):
            address = f"{server}/{path}?run=tiny&w={width}&d={depth}"
            visit.page.goto(address, wait_until="commit")  # the others need not wait for this one
        for visit, (*_, text, _) in zip(visits, VISITORS, strict=True):
            settle(visit.page)
            expect(visit.page.get_by_text(text).first).to_be_visible()
        # Then all go to one page, where the same tiles show another number to each.
        for visit in visits:
            visit.page.get_by_role("link", name="Accuracy and size").click()
        for visit, (*_, score) in zip(visits, VISITORS, strict=True):
            expect_score(visit.page, score)
        for visit, (_, width, depth, _, score) in zip(visits, VISITORS, strict=True):
            settle(visit.page)
            expect_score(visit.page, score)  # still, after everyone else's scripts have run
            # What is 1 may be left out of the link.
            for name, value in (("w", width), ("d", depth)):
                assert f"{name}=0.5" in visit.page.url or value == "1"
            visit.check()
    finally:
        for context in contexts:
            context.close()
