"""Ctrl-C and the end of a process, heeded where nothing is lost."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)


class StopSignal:
    """A request to stop. While it is held back it only waits to be heeded; else it stops at once.

    The loop of a stage holds it back until the step at work is done and saved, which may take an
    evaluation. A second request is not held back.
    """

    def __init__(self) -> None:
        self.asked = False
        self._held = False

    def ask(self, *_: object) -> None:
        """Stop as soon as nothing gets lost. May be a signal's handler.

        Raises:
            KeyboardInterrupt: that is now, or it was asked for before.
        """
        again, self.asked = self.asked, True
        if again or not self._held:
            raise KeyboardInterrupt
        logger.warning("Stopping when the step at work is saved; ask again to stop at once.")

    def heed(self) -> None:
        """Everything is saved: stop here if that was asked for.

        Raises:
            KeyboardInterrupt: it was.
        """
        if self.asked:
            raise KeyboardInterrupt

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """While this goes on, a first request waits for `heed`."""
        self._held = True
        try:
            yield
        finally:
            self._held = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """While this goes on, Ctrl-C and SIGTERM ask to stop. In the main thread only."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(number, self.ask) for number in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)
