"""Waiting for Streamlit."""

from __future__ import annotations

from playwright.sync_api import Page, expect

TIMEOUT_MS = 60_000
expect.set_options(timeout=TIMEOUT_MS)  # a busy machine is slow, not wrong


def settle(page: Page) -> None:
    """Wait until the script has run and its title stands there."""
    app = page.get_by_test_id("stApp")
    expect(page.locator("h1").first).to_be_visible(timeout=TIMEOUT_MS)
    expect(app).to_have_attribute("data-test-script-state", "notRunning")


def idle(page: Page) -> None:
    """Wait until the browser has drawn what it has: a busy one makes one step of a page's two."""
    settle(page)
    page.evaluate("() => new Promise((done) => requestIdleCallback(done))")
