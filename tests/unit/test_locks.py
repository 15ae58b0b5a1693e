"""Whether somebody else holds a lock."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from dynabert.locks import Held, alone, is_held


@pytest.mark.parametrize("kind", [fcntl.LOCK_SH, fcntl.LOCK_EX])
def test_a_lock_is_seen_while_it_is_held(tmp_path: Path, kind: int) -> None:
    path = tmp_path / "lock"
    assert not is_held(path)
    with path.open("w") as file:
        assert not is_held(path)
        fcntl.flock(file, kind)
        assert is_held(path, by_many=kind == fcntl.LOCK_SH)
    assert not is_held(path)


@pytest.mark.parametrize("by_many", [False, True])
@pytest.mark.parametrize(("others", "held"), [(4, False), (5, True)])
def test_one_who_only_looks_is_not_taken_for_a_holder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, others: int, held: bool, by_many: bool
) -> None:
    """It is tried again while somebody who looks is in the way: up to five times."""
    path, tries = tmp_path / "lock", []
    path.touch()

    def flock(_file: object, kind: int) -> None:
        tries.append(kind)
        if len(tries) <= others:
            raise BlockingIOError

    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.setattr("dynabert.locks.time.sleep", lambda _seconds: None)
    assert is_held(path, by_many=by_many) is held
    wanted = (fcntl.LOCK_EX if by_many else fcntl.LOCK_SH) | fcntl.LOCK_NB
    assert tries == [wanted] * 5


def test_a_file_that_may_only_be_read_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch(mode=0o444)
    with path.open("r") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        assert is_held(path, by_many=True)
    assert not is_held(path, by_many=True)


def test_a_lock_whose_file_was_removed_meanwhile_is_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two processes that wait for the same file, and find it gone, one alone gets the new one's."""
    path = tmp_path / "lock"
    waits = []

    def sleep(_seconds: float) -> None:  # the holder ends, and removes the file
        if not waits:
            path.unlink()
            holder.close()
        waits.append(_seconds)

    monkeypatch.setattr("dynabert.locks.time.sleep", sleep)
    holder = path.open("w")
    fcntl.flock(holder, fcntl.LOCK_EX)
    with alone(path, "held"):
        assert is_held(path)
    assert waits
    with alone(path, "held"), pytest.raises(Held, match="twice"), alone(path, "twice"):
        pass
