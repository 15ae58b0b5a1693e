"""`dynabert app`: start the browser app."""

from __future__ import annotations

import errno
import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from dynabert.cli.display import console
from dynabert.cli.options import RunsDir
from dynabert.errors import UserError
from dynabert.runs import RUNS_DIR, RUNS_DIR_VARIABLE

APP_FILE = Path(__file__).resolve().parents[2] / "app.py"
RESULTS_DIR_VARIABLE = "DYNABERT_RESULTS_DIR"
TRAINING_VARIABLE = "DYNABERT_TRAINING"
_LOCAL = ("localhost", "127.0.0.1", "::1")


def app(
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port to try first; the next free one is used.")
    ] = 8501,
    address: Annotated[
        str, typer.Option(help="0.0.0.0 lets other machines in; there is no password.")
    ] = "localhost",
    training: Annotated[
        bool | None,
        typer.Option(
            "--training/--no-training",
            help="Whether visitors may start trainings on this machine. By default as "
            f"{TRAINING_VARIABLE} (on or off) says, else only where no other machine is let in.",
        ),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(help="Folder with the results of reproductions. [default: the checkout's]"),
    ] = None,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Start the app in the browser.

    Example: python -m dynabert app --port 8600
    """
    if not APP_FILE.is_file():
        raise UserError(
            "the app is not part of the installed package: run this in a copy of the repository."
        )
    if runs_dir.exists() and not runs_dir.is_dir():
        raise UserError(f"--runs-dir {runs_dir} is no folder.")
    free = free_port(port, address)
    if free != port:
        console.print(f"Port {port} is taken; using {free}.")
    host = f"[{address}]" if ":" in address else address  # of an IPv6 address
    console.print(f"The app is at http://{escape(host)}:{free} (Ctrl+C stops it).")
    command = [sys.executable, "-m", "streamlit", "run", str(APP_FILE)]
    options = ["--server.port", str(free), "--server.address", address, "--server.headless", "true"]
    environment = os.environ | {RUNS_DIR_VARIABLE: str(runs_dir.resolve())}
    if results is not None:
        environment[RESULTS_DIR_VARIABLE] = str(results.resolve())
    if training is not None:
        environment[TRAINING_VARIABLE] = "on" if training else "off"
    elif address not in _LOCAL:
        environment.setdefault(TRAINING_VARIABLE, "off")
    sys.stdout.flush()
    os.chdir(APP_FILE.parent)  # Streamlit reads .streamlit/config.toml from where it is started
    # In this one's place: who stops this process by its number stops the app.
    os.execve(sys.executable, [*command, *options], environment)


def free_port(first: int, address: str, tries: int = 50) -> int:
    """The first port from `first` on that nothing listens at.

    Raises:
        UserError: none of them is free.
    """
    if not address:
        raise UserError("--address is empty; localhost, or 0.0.0.0 to let other machines in.")
    try:
        found = socket.getaddrinfo(address, None, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise UserError(f"no address {address!r}: {why}.") from error
    # Of a name that means both, such as localhost, the older kind, as before.
    family, *_, place = min(found, key=lambda one: one[0] != socket.AF_INET)
    end = min(first + tries, 65536)
    for port in range(first, end):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((place[0], port, *place[2:]))  # of an IPv6 address also its scope
            except OSError as error:
                if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    raise UserError(f"{address!r} is no address of this machine.") from error
                continue
            return port
    raise UserError(f"no free port from {first} to {end - 1}; give another with --port.")
