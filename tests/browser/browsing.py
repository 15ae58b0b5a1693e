"""Waiting for the app in a browser."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import urlparse

from playwright.sync_api import ConsoleMessage, Locator, Page, Request, Route, WebSocket, expect

TIMEOUT_MS = 60_000
expect.set_options(timeout=TIMEOUT_MS)  # a busy machine is slow, not wrong

# On a page other than the first, Streamlit asks for these beside the page's own address before it
# finds them at the root.
KNOWN_MISSING = ("/_stcore/health", "/_stcore/host-config")


@dataclass
class Watched:
    """A page, and what went wrong in it."""

    page: Page
    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    connections: list[WebSocket] = field(default_factory=list)

    def go_back(self) -> None:
        """Press Back, and wait until the server's answer stands there.

        Without the wait for the answer, a second press may overtake the script that the first one
        started, which then writes its page into the history once more.
        """
        with self.connections[-1].expect_event("framereceived", timeout=TIMEOUT_MS):
            self.page.go_back()
        idle(self.page)

    def check(self) -> None:
        assert self.outside == []
        assert not self.errors, self.errors
        assert self.page.get_by_test_id("stException").count() == 0


def watch(page: Page) -> Watched:
    """The page, from now on watched and kept from every address but the app's."""
    watched = Watched(page)
    page.set_default_timeout(TIMEOUT_MS)

    def only_local(route: Route, request: Request) -> None:
        if urlparse(request.url).hostname == "localhost":
            route.continue_()
        else:
            watched.outside.append(request.url)
            route.abort()

    def note(message: ConsoleMessage) -> None:
        address = str(message.location.get("url", ""))
        if message.type == "error" and not urlparse(address).path.endswith(KNOWN_MISSING):
            watched.errors.append(f"{message.text} ({address})")

    page.route(lambda address: address.startswith("http"), only_local)
    page.on("websocket", lambda connection: watched.connections.append(connection))
    page.on("console", note)
    page.on("pageerror", lambda error: watched.errors.append(str(error)))
    return watched


def settle(page: Page) -> None:
    """Wait until the script has run and its title stands there."""
    app = page.get_by_test_id("stApp")
    expect(page.locator("h1").first).to_be_visible(timeout=TIMEOUT_MS)
    expect(app).to_have_attribute("data-test-script-state", "notRunning")


def idle(page: Page) -> None:
    """Wait until the browser has drawn what it has: a busy one makes one step of a page's two."""
    settle(page)
    page.evaluate("() => new Promise((done) => requestIdleCallback(done))")


def drawn(page: Page, canvas: str) -> Locator:
    """The first such canvas, once something is on it."""
    first = page.locator(canvas).first
    expect(page.locator(".atlas")).to_have_attribute("data-redraw-ms", re.compile("."))
    return first


def expect_no_sideways_scrolling(page: Page) -> None:
    main = page.get_by_test_id("stMain")
    assert main.evaluate("element => element.scrollWidth - element.clientWidth") <= 1
