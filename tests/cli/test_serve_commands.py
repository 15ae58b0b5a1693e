"""`dynabert app`: who may train, and where it is found."""

from __future__ import annotations

import socket

import pytest
from typer.testing import CliRunner

from dynabert.cli import serve_commands
from dynabert.cli.main import app
from dynabert.errors import UserError


@pytest.mark.parametrize(
    ("options", "named", "expected"),
    [
        ((), None, None),  # the app's own default: on
        (("--address", "0.0.0.0"), None, "off"),
        (("--address", "0.0.0.0"), "on", "on"),
        (("--address", "0.0.0.0", "--training"), None, "on"),
        (("--no-training",), "on", "off"),
    ],
)
def test_visitors_from_other_machines_train_only_where_that_is_said(
    options: tuple[str, ...],
    named: str | None,
    expected: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("DYNABERT_TRAINING", raising=False)
    if named is not None:
        monkeypatch.setenv("DYNABERT_TRAINING", named)
    environments: list[dict[str, str]] = []

    def start(program: str, command: list[str], env: dict[str, str]) -> None:
        environments.append(env)

    monkeypatch.setattr(serve_commands.os, "execve", start)
    monkeypatch.setattr(serve_commands.os, "chdir", lambda folder: None)
    assert CliRunner().invoke(app, ["app", *options]).exit_code == 0
    assert [env.get("DYNABERT_TRAINING") for env in environments] == [expected]


def test_an_address_of_either_kind_finds_its_port() -> None:
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family, socket.SOCK_STREAM) as taken:
            try:
                taken.bind((address, 0))
            except OSError:
                continue  # a machine without IPv6
            taken.listen()
            port = taken.getsockname()[1]
            assert serve_commands.free_port(port, address) > port


def test_an_address_without_its_scope_is_no_full_port() -> None:
    try:
        socket.getaddrinfo("fe80::1", None, type=socket.SOCK_STREAM)
        socket.socket(socket.AF_INET6, socket.SOCK_STREAM).close()
    except OSError:
        pytest.skip("a machine without IPv6")
    with pytest.raises(UserError, match="'fe80::1' is no address of this machine"):
        serve_commands.free_port(8501, "fe80::1")
