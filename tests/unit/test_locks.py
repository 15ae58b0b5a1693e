"""Whether somebody else holds a lock."""

from __future__ import annotations

import fcntl
import threading
from pathlib import Path

import pytest

from dynabert.locks import is_held


@pytest.mark.parametrize("kind", [fcntl.LOCK_SH, fcntl.LOCK_EX])
def test_a_lock_is_seen_while_it_is_held(tmp_path: Path, kind: int) -> None:
    path = tmp_path / "lock"
    assert not is_held(path)
    with path.open("w") as file:
        assert not is_held(path)
        fcntl.flock(file, kind)
        assert is_held(path)
    assert not is_held(path)


def test_those_who_only_look_are_not_taken_for_holders(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    seen: list[bool] = []
    lookers = [
        threading.Thread(target=lambda: seen.extend(is_held(path) for _ in range(50)))
        for _ in range(2)
    ]
    for looker in lookers:
        looker.start()
    for looker in lookers:
        looker.join()
    assert seen == [False] * 100
