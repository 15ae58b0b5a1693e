"""Ctrl-C while something trains that the same command can take up again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from dynabert.cli.display import console
from dynabert.training.stopping import StopSignal


@contextmanager
def interruptible() -> Iterator[StopSignal]:
    """While this goes on, Ctrl-C and SIGTERM ask to stop; stopped, the command says how it goes on.

    Raises:
        typer.Exit: it was stopped; the exit code is that of a program ended by Ctrl-C.
    """
    stop = StopSignal()
    try:
        with stop.listening():
            yield stop
    except KeyboardInterrupt:
        console.print("Stopped. The same command goes on from here; --restart begins anew.")
        raise typer.Exit(130) from None
