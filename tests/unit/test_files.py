"""Files and folders are whole or not there."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from dynabert.files import append_line, new_folder


def test_a_folder_is_there_when_it_is_whole_and_everybody_may_read_it(tmp_path: Path) -> None:
    with new_folder(tmp_path / "run") as folder:
        (folder / "weights").write_bytes(b"1")
        (folder / "weights").chmod(0o600)
        assert not (tmp_path / "run").exists()
    assert (tmp_path / "run" / "weights").stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_what_a_kill_left_of_a_folder_goes_with_the_next_of_its_name(tmp_path: Path) -> None:
    left, at_work, other = (
        tmp_path / f".{name}.writing"
        for name in ("run[1]-abcd1234", "run[1]-efgh5678", "run[1]-int8-abcd1234")
    )
    for folder in (left, at_work, other):
        folder.mkdir()
    for folder in (left, other):
        os.utime(folder, (time.time() - 2 * 86400,) * 2)
    with new_folder(tmp_path / "run[1]"):
        pass
    assert not left.exists()
    assert at_work.exists()  # another process may be writing it
    assert other.exists()  # of a longer name


@pytest.mark.parametrize("before", [b"", b"one\n", b"one\nhal"])
def test_a_line_is_added_whole(tmp_path: Path, before: bytes) -> None:
    path = tmp_path / "lines"
    path.write_bytes(before)
    append_line(path, "two")
    append_line(path, "three")
    assert path.read_bytes().splitlines() == [*before.splitlines(), b"two", b"three"]
