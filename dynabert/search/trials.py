"""What a search has tried, in a file that several workers add to and a kill cannot break.

A line of `trials.jsonl` is one finished trial. A worker that begins one holds the lock of a file named
after its number; a number whose lock nobody holds and that has no line is free, so what a killed
worker had begun is done again and nothing is lost.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from pydantic import BaseModel, ConfigDict, ValidationError

from dynabert.errors import UserError
from dynabert.files import append_line
from dynabert.search.space import Candidate
from dynabert.values import Value

TRIALS = "trials.jsonl"
TOO_DEAR = "too_dear.jsonl"  # what turned out to cost too much when it was measured
_CLAIMS = "claims"


class Trial(Value):
    """A sub-network that was tried."""

    number: int  # from 0
    candidate: Candidate
    subnet: str  # its key
    origin: str  # what proposed it
    quality: float  # the task's metric on the search's examples
    cost: float  # in the search's unit
    seconds: float  # that the trial took, with what proposed it


class TooDear(Value):
    """What costs more than a search allows, which only measuring told."""

    candidate: Candidate
    cost: float  # in the search's unit


class Claim(BaseModel):
    """A trial that a worker is at work on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    candidate: Candidate | None = None  # None: not chosen yet


class TrialLog:
    """The trials of a search in its folder."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.path = folder, folder / TRIALS
        self._claims = folder / _CLAIMS

    def finished(self) -> list[Trial]:
        """Those that are done, by number.

        A line that cannot be read is as if it was not there: the end of one that was being written
        when its worker was killed, or damage. Its trial is then done again.
        """
        found: dict[int, Trial] = {}
        for line in _lines(self.path):
            with suppress(ValidationError):
                trial = Trial.model_validate_json(line)
                found.setdefault(trial.number, trial)
        return [found[number] for number in sorted(found)]

    def too_dear(self) -> set[Candidate]:
        """What some worker has measured and found to cost too much."""
        found: set[Candidate] = set()
        for line in _lines(self._folder / TOO_DEAR):
            with suppress(ValidationError):
                found.add(TooDear.model_validate_json(line).candidate)
        return found

    def under_way(self) -> list[Claim]:
        """Those that a living worker is at work on."""
        try:
            with (self._claims / "lock").open("r") as file:
                # Who looks whether a claim is held must not be taken for its holder.
                fcntl.flock(file, fcntl.LOCK_EX)
                return [claim for claim, held in self._claimed() if held]
        except OSError:  # none was ever made here, or none can be by whoever looks
            return []

    @contextmanager
    def claimed(self, below: int) -> Iterator[OpenClaim | None]:
        """The lowest number below a limit that is neither done nor being worked on; None if there
        is none."""
        self._claims.mkdir(parents=True, exist_ok=True)
        with self._everyone():
            file = self._first_free(below)
        if file is None:
            yield None
            return
        number = int(Path(file.name).name)
        with file:
            try:
                yield OpenClaim(number, file, self._folder)
            finally:  # while the lock is still held; what was done has its line
                Path(file.name).unlink(missing_ok=True)

    def _first_free(self, below: int) -> TextIO | None:
        done = {trial.number for trial in self.finished()}
        for number in range(below):
            file = None if number in done else self._open(number)
            if file is None:
                continue
            # Its worker may have finished it since they were read, and only then let go of it.
            if number not in {trial.number for trial in self.finished()}:
                return file
            file.close()
        return None

    @contextmanager
    def _everyone(self) -> Iterator[None]:
        with (self._claims / "lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _open(self, number: int) -> TextIO | None:
        """The claim file of a number with its lock; None where another worker holds that."""
        path = self._claims / str(number)
        file = path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        file.truncate(0)
        file.write(Claim(number=number).model_dump_json())
        file.flush()
        return file

    def _claimed(self) -> Iterator[tuple[Claim, bool]]:
        try:
            paths = [path for path in self._claims.iterdir() if path.name.isdecimal()]
        except OSError:
            return
        for path in sorted(paths, key=lambda path: int(path.name)):
            with suppress(OSError, ValidationError), path.open(encoding="utf-8") as file:
                claim = Claim.model_validate_json(file.read())
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    yield claim, True
                else:
                    yield claim, False


def _lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}.") from error


class OpenClaim:
    """A number that this worker has, until the end of the block that it was claimed in."""

    def __init__(self, number: int, file: TextIO, folder: Path) -> None:
        self.number = number
        self._file, self._folder = file, folder

    def chosen(self, candidate: Candidate) -> None:
        """Tell other workers what is being tried, so that they try something else."""
        self._file.seek(0)
        self._file.truncate()
        self._file.write(Claim(number=self.number, candidate=candidate).model_dump_json())
        self._file.flush()

    def finish(self, trial: Trial) -> None:
        """Write the trial down, for good."""
        append_line(self._folder / TRIALS, trial.model_dump_json())

    def reject(self, candidate: Candidate, cost: float) -> None:
        """Write down what was measured and costs more than the search allows; no worker tries it again."""
        append_line(
            self._folder / TOO_DEAR, TooDear(candidate=candidate, cost=cost).model_dump_json()
        )
