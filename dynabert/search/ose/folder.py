"""Extractions on disk: `ose/NAME` in a run's folder.

`settings.json` says what was asked for, `costs.json` what each member costs, `errors.jsonl` the errors as
they were measured, `report.json` what came of it. A process that was killed is taken up where it stopped.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from dynabert.errors import UserError, explain
from dynabert.files import write_text_atomically
from dynabert.runs import Run, check_run_name
from dynabert.search.ose.objective import Member
from dynabert.search.ose.report import Report
from dynabert.search.ose.settings import SupernetSettings
from dynabert.search.search import refuse_links

EXTRACTIONS = "ose"
SETTINGS, COSTS, ERRORS, REPORT = "settings.json", "costs.json", "errors.jsonl", "report.json"
_MEMBERS = TypeAdapter(tuple[Member, ...])


class _Error(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    key: str
    error: float
    seconds: float


@dataclass(frozen=True)
class ExtractionFolder:
    """An extraction on disk."""

    path: Path
    settings: SupernetSettings

    @property
    def name(self) -> str:
        return self.path.name

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
        """Error and seconds of each member that was tried; a line that cannot be read is not there."""
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
        line = _Error(key=key, error=error, seconds=seconds).model_dump_json()
        with (self.path / ERRORS).open("ab+") as file:
            if file.tell():  # the end of a line that was being written when a process was killed
                file.seek(-1, 2)
                line = line if file.read(1) == b"\n" else f"\n{line}"
            file.write(f"{line}\n".encode())

    def report(self) -> Report | None:
        """What came of it; None if it is not done.

        Raises:
            UserError: the file is damaged.
        """
        try:
            text = (self.path / REPORT).read_text(encoding="utf-8")
            report = Report.model_validate_json(text)
            report.check()
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise UserError(
                f"extraction {self.path}: {REPORT}: {explain(error)}. Remove that file; the same command "
                "writes it again."
            ) from error
        except (OSError, UnicodeDecodeError, ValueError) as error:
            raise UserError(
                f"extraction {self.path}: {REPORT} is damaged: {error}. Remove that file; the same command "
                "writes it again."
            ) from error
        return report if report.settings == self.settings else None

    def keep_report(self, report: Report) -> None:
        write_text_atomically(self.path / REPORT, report.model_dump_json(indent=1) + "\n")


def open_extraction(run: Run, name: str, settings: SupernetSettings) -> ExtractionFolder:
    """The extraction of that name, a new one or the one that was begun.

    Raises:
        UserError: one of that name was begun with other settings, or nothing can be written.
    """
    check_run_name(name, "search")
    if settings.tokens > run.config.max_tokens:
        raise UserError(
            f"this model reads at most {run.config.max_tokens} tokens, got {settings.tokens}."
        )
    folder = run.folder / EXTRACTIONS / name
    if (folder / SETTINGS).exists():
        begun = load_extraction(folder).settings
        wanted = settings.model_copy(update={"epsilons": begun.epsilons})  # more may be asked for
        if begun != wanted:
            field = next(
                f for f in type(begun).model_fields if getattr(begun, f) != getattr(wanted, f)
            )
            raise UserError(
                f"{run.name} has an extraction {name!r} with other settings ({field}: "
                f"{getattr(begun, field)}, now {getattr(settings, field)}); give the same ones to go on, or "
                "another name."
            )
    run.check_writable()
    folder.mkdir(parents=True, exist_ok=True)
    write_text_atomically(folder / SETTINGS, settings.model_dump_json(indent=1) + "\n")
    return ExtractionFolder(folder, settings)


def load_extraction(folder: Path) -> ExtractionFolder:
    """Open an extraction's folder.

    Raises:
        UserError: it is none, or its settings cannot be read.
    """
    try:
        refuse_links(folder, "extraction")
        values = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        return ExtractionFolder(folder, SupernetSettings.model_validate(values))
    except ValidationError as error:
        raise UserError(f"extraction {folder}: {SETTINGS}: {explain(error)}") from error
    except UserError:
        raise
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise UserError(f"{folder} is not an extraction: cannot read {SETTINGS}.") from error


def list_extractions(run: Run) -> list[ExtractionFolder]:
    """A run's extractions, by name; folders that are none are passed over."""
    found = []
    for folder in sorted((run.folder / EXTRACTIONS).glob("*")):
        with suppress(UserError):
            check_run_name(folder.name)
            found.append(load_extraction(folder))
    return found
