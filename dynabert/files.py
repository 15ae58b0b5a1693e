"""Files that are whole or not there, and whether they are the ones that were written."""

from __future__ import annotations

import errno
import fcntl
import glob
import hashlib
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from safetensors import SafetensorError

from dynabert.errors import UserError, first_line

_STALE_SECONDS = 86400.0  # scoring what a folder gets may take hours


def file_sha256(path: Path) -> str:
    """The sha256 of a file's contents, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _partial_of(path: Path) -> Path:
    """What a file is called until it is whole: no two processes or threads write the same."""
    return path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.partial")


def remove_partials(folder: Path, names: Collection[str]) -> None:
    """Remove what a process that was killed was writing of files of those names."""
    for path in folder.glob("*.partial"):
        if path.name.removesuffix(".partial").rpartition(".")[0] in names:  # the rest is a process
            path.unlink()


def write_once(path: Path, content: bytes) -> None:
    """Write a file that is not there yet, whole; of several processes that do, the first one wins."""
    partial = _partial_of(path)
    try:
        with naming(path, partial):
            partial.write_bytes(content)
            with suppress(FileExistsError):
                os.link(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def append_line(path: Path, line: str) -> None:
    """Write a line at the end of a file, for good; several processes may. The half of a line that one
    left that was killed stays a line of its own."""
    content = f"{line}\n".encode()
    with path.open("ab+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            content = content if file.read(1) == b"\n" else b"\n" + content
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def naming(path: Path, written_as: Path | None = None) -> Iterator[None]:
    """What goes wrong in writing a file or folder names it: a write to a full disk does not, and the
    library that writes tensors has errors of its own.

    written_as: what it is called until it is whole.

    Raises:
        OSError: nothing could be written.
    """
    try:
        yield
    except SafetensorError as error:
        found = re.search(r"\(os error (\d+)\)", str(error))
        number = int(found[1]) if found else errno.EIO
        why = os.strerror(number) if found else first_line(error)
        raise OSError(number, why, str(path)) from error
    except OSError as error:
        if error.filename is not None and error.filename != str(written_as):
            raise
        raise OSError(error.errno or errno.EIO, error.strerror or str(error), str(path)) from error


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A file to write into, which takes the place of `path` when all is written and on the disk; if that
    fails, it is gone, and what `path` was before is still there.

    Raises:
        OSError: it cannot be written; names `path`.
    """
    partial = _partial_of(path)
    try:
        with naming(path, partial):
            yield partial
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            partial.replace(path)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def write_text_atomically(path: Path, text: str) -> None:
    """Replace a file's contents, in UTF-8; see `write_bytes_atomically`."""
    write_bytes_atomically(path, text.encode("utf-8"))


def write_bytes_atomically(path: Path, content: bytes) -> None:
    """Replace a file's contents so that a reader sees either the old or the new, never half.

    Of several processes that write it at once the last one wins.
    """
    with new_file(path) as partial:
        partial.write_bytes(content)


def settle(folder: Path) -> None:
    """See to it that the files of a folder are on the disk, and that everybody may read them."""
    for path in folder.iterdir():
        path.chmod(0o644)  # safetensors files come readable by their owner alone
        with path.open("rb") as file:
            os.fsync(file.fileno())


def remove_stale(folder: Path, pattern: str) -> None:
    """Remove the folders of that pattern that nobody has written into for a day: who did was killed."""
    for path in folder.glob(pattern):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(path)


def check_free(path: Path, otherwise: str) -> None:
    """Raise a UserError where there is something of that name.

    otherwise: what to do then, as the end of a sentence.
    """
    if os.path.lexists(path):
        raise UserError(f"{path} exists already; {otherwise}.")


@contextmanager
def new_folder(path: Path, *, otherwise: str = "give a folder that does not") -> Iterator[Path]:
    """A folder to write into, which becomes `path` when all is written; if that fails, it is gone.

    otherwise: what to do where there is something of that name, as the end of a sentence.

    Raises:
        UserError: there is, or no folder can hold it.
    """
    check_free(path, otherwise)
    parent = path.absolute().parent
    if parent.exists() and not parent.is_dir():
        raise UserError(f"{path} cannot be written: {parent} is no folder.")
    parent.mkdir(parents=True, exist_ok=True)
    remove_stale(parent, f".{glob.escape(path.name)}-????????.writing")
    # Of its own: another process may be writing one of the same name.
    partial = Path(tempfile.mkdtemp(prefix=f".{path.name}-", suffix=".writing", dir=parent))
    partial.chmod(0o755)
    try:
        with naming(path):
            yield partial
            settle(partial)
            partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
