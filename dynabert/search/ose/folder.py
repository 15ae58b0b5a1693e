"""Extractions on disk: `ose/NAME` (of sub-networks) or `ose-plain/NAME` (of architectures) in a run's folder.

`settings.json` says what was asked for, `costs.json` what each member costs, `errors.jsonl` the errors as
they were measured, `report.json` what came of it; who is at work on it holds `lock`. A process that was
killed is taken up where it stopped.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from dynabert.errors import UserError, explain
from dynabert.evaluation.latency import check_tokens
from dynabert.files import append_line, write_text_atomically
from dynabert.locks import alone, is_held
from dynabert.names import check_run_name
from dynabert.runs import Run
from dynabert.search.ose.objective import Member
from dynabert.search.ose.plain_report import PlainReport
from dynabert.search.ose.plain_settings import PlainSettings
from dynabert.search.ose.report import Report
from dynabert.search.ose.settings import SupernetSettings
from dynabert.search.search import refuse_links
from dynabert.values import Value

SETTINGS, COSTS, ERRORS, REPORT = "settings.json", "costs.json", "errors.jsonl", "report.json"
_LOCK = "lock"  # held by the process that is at work on it
_MEMBERS = TypeAdapter(tuple[Member, ...])

SettingsT = TypeVar("SettingsT", SupernetSettings, PlainSettings)
ReportT = TypeVar("ReportT", Report, PlainReport)


@dataclass(frozen=True)
class Kind(Generic[SettingsT, ReportT]):
    """What is extracted: where its extractions are, and what their files hold."""

    folder: str
    settings: type[SettingsT]
    report: type[ReportT]


SUPERNET = Kind("ose", SupernetSettings, Report)
PLAIN = Kind("ose-plain", PlainSettings, PlainReport)


class _Error(Value):
    key: str
    error: float
    seconds: float


@dataclass(frozen=True)
class ExtractionFolder(Generic[SettingsT, ReportT]):
    """An extraction on disk."""

    path: Path
    settings: SettingsT
    kind: Kind[SettingsT, ReportT]

    @property
    def name(self) -> str:
        return self.path.name

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """While this goes on, everybody sees that it is being carried out, and nobody else does.

        Raises:
            UserError: another process is at work on it.
        """
        with alone(self.path / _LOCK, f"extraction {self.name} is being carried out already."):
            yield

    def carried_out(self, work: Callable[[], ReportT]) -> ReportT:
        """The report that is there, or what the work comes to, which is kept. Work that is refused before
        it has measured an error leaves nothing behind.

        Raises:
            UserError: another process is at work on it.
        """
        if (kept := self.report()) is not None:
            return kept
        with self.at_work():
            if (kept := self.report()) is not None:  # another process has ended just now
                return kept
            try:
                report = work()
            except UserError:
                if not (self.path / ERRORS).exists():
                    shutil.rmtree(self.path)
                raise
            self.keep_report(report)
        return report

    @property
    def is_under_way(self) -> bool:
        """Whether it is being carried out, here or in another process."""
        return is_held(self.path / _LOCK)

    @property
    def is_untried(self) -> bool:
        """Whether no error was measured yet, and nobody is about to."""
        return not self.errors() and not self.is_under_way

    def costs(self) -> list[Member] | None:
        """The members with what they cost; None if that was not measured yet."""
        try:
            return [*_MEMBERS.validate_json((self.path / COSTS).read_text(encoding="utf-8"))]
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError, ValueError) as error:
            raise UserError(
                f"extraction {self.path}: {COSTS} is damaged; remove the folder."
            ) from error

    def keep_costs(self, members: list[Member]) -> None:
        text = _MEMBERS.dump_json(tuple(members), indent=1).decode()
        write_text_atomically(self.path / COSTS, text + "\n")

    def errors(self) -> dict[str, tuple[float, float]]:
        """Error and seconds of whatever was tried; a line that cannot be read is not there."""
        try:
            lines = (self.path / ERRORS).read_bytes().splitlines()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise UserError(f"cannot read {self.path / ERRORS}: {error.strerror}.") from error
        found: dict[str, tuple[float, float]] = {}
        for line in lines:
            with suppress(ValidationError):
                one = _Error.model_validate_json(line)
                found.setdefault(one.key, (one.error, one.seconds))
        return found

    def keep_error(self, key: str, error: float, seconds: float) -> None:
        """Write one down.

        Raises:
            UserError: it is not a number.
        """
        if not math.isfinite(error):
            raise UserError(
                f"extraction {self.name}: the error of {key} is {error}, which cannot be weighed. Give a "
                "space without it, and another name."
            )
        append_line(
            self.path / ERRORS, _Error(key=key, error=error, seconds=seconds).model_dump_json()
        )

    def report(self) -> ReportT | None:
        """What came of it; None if it is not done.

        Raises:
            UserError: the file is damaged.
        """
        try:
            text = (self.path / REPORT).read_text(encoding="utf-8")
            report = self.kind.report.model_validate_json(text)
            report.check()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError, ValueError) as error:
            why = explain(error) if isinstance(error, ValidationError) else str(error).rstrip(".")
            raise UserError(
                f"extraction {self.path}: {REPORT} is damaged: {why}. Remove that file; the same command "
                "writes it again."
            ) from error
        return report if report.settings == self.settings else None

    def keep_report(self, report: ReportT) -> None:
        write_text_atomically(self.path / REPORT, report.model_dump_json(indent=1) + "\n")


def open_extraction(
    run: Run, name: str, settings: SettingsT, kind: Kind[SettingsT, ReportT]
) -> ExtractionFolder[SettingsT, ReportT]:
    """The extraction of that name, a new one or the one that was begun; one that has measured no error
    yet can be begun with other settings.

    Raises:
        UserError: one of that name was begun with other settings, or more is to be done and nothing can be
            written.
    """
    check_run_name(name, "an extraction")
    check_tokens(run.config.max_tokens, settings.tokens)
    folder = run.folder / kind.folder / name
    if (folder / SETTINGS).exists():
        begun = load_extraction(folder, kind)
        different = begun.settings.first_difference(settings)
        if different and begun.is_untried:
            run.check_writable()
            (folder / COSTS).unlink(missing_ok=True)
        elif different:
            raise UserError(
                f"run {run.name} has an extraction {name!r} with other settings ({different}: "
                f"{getattr(begun.settings, different)}, now {getattr(settings, different)}); give the same "
                "ones to go on, or another name."
            )
        if begun.settings == settings and begun.report() is not None:
            return begun  # nothing more is written
    run.check_writable()
    folder.mkdir(parents=True, exist_ok=True)
    write_text_atomically(folder / SETTINGS, settings.model_dump_json(indent=1) + "\n")
    return ExtractionFolder(folder, settings, kind)


def discard_extraction(folder: ExtractionFolder[SettingsT, ReportT]) -> None:
    """Remove an extraction with all that it has measured.

    Raises:
        UserError: it is under way, or cannot be removed.
    """
    try:
        with alone(folder.path / _LOCK, f"extraction {folder.name} is under way; stop it first."):
            shutil.rmtree(folder.path)
    except OSError as error:
        raise UserError(f"cannot remove {folder.name}: {error.strerror or error}.") from error


def load_extraction(
    folder: Path, kind: Kind[SettingsT, ReportT]
) -> ExtractionFolder[SettingsT, ReportT]:
    """Open an extraction's folder.

    Raises:
        UserError: it is none, or its settings cannot be read.
    """
    try:
        refuse_links(folder, "extraction")
        values = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        return ExtractionFolder(folder, kind.settings.model_validate(values), kind)
    except ValidationError as error:
        raise UserError(f"extraction {folder}: {SETTINGS}: {explain(error)}") from error
    except UserError:
        raise
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise UserError(f"{folder} is not an extraction: cannot read {SETTINGS}.") from error


def list_extractions(
    run: Run, kind: Kind[SettingsT, ReportT]
) -> list[ExtractionFolder[SettingsT, ReportT]]:
    """A run's extractions, by name; folders that are none are passed over."""
    found = []
    for folder in sorted((run.folder / kind.folder).glob("*")):
        with suppress(UserError):
            check_run_name(folder.name)
            found.append(load_extraction(folder, kind))
    return found
