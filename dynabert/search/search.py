"""Searches on disk.

A search lives in a folder of its run, `searches/NAME`: `search.json` says what was asked for,
`trials.jsonl` what was tried, `front.parquet` what the best are worth on the whole dev set and this
machine's clock. Several processes may carry out one search together.
"""

from __future__ import annotations

import datetime
import fcntl
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from dynabert.errors import UserError, explain
from dynabert.evaluation.cost import count_macs
from dynabert.evaluation.latency import check_tokens, describe_machine
from dynabert.files import write_once, write_text_atomically
from dynabert.locks import is_held
from dynabert.names import check_run_name
from dynabert.runs import Run
from dynabert.search.objectives import check_feasible
from dynabert.search.settings import CHANGEABLE, FEWEST_PERCENT, SearchSettings, ask_search
from dynabert.search.trials import TOO_DEAR, Trial, TrialLog
from dynabert.subnet import Subnet

SEARCHES = "searches"
SETTINGS = "search.json"
_WORKERS = "workers"  # held by every process that is at work on it
_UNIT = "full_network_ms"
LATENCY_TABLE = "latency_table.safetensors"  # the search's own copy of its run's


class SearchInfo(BaseModel):
    """The contents of `search.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    settings: SearchSettings
    command: str
    created: str  # ISO date and time
    machine: str  # where it was begun
    metric: str


@dataclass(frozen=True)
class Search:
    """A search on disk."""

    folder: Path
    info: SearchInfo

    @classmethod
    def load(cls, folder: Path) -> Search:
        """Open a search's folder.

        Raises:
            UserError: it is none, or its settings cannot be read.
        """
        try:
            refuse_links(folder)
            text = (folder / SETTINGS).read_text(encoding="utf-8")
            return cls(folder, SearchInfo.model_validate_json(text))
        except ValidationError as error:
            raise UserError(f"search {folder}: {SETTINGS}: {explain(error)}") from error
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{folder} is not a search: cannot read {SETTINGS}.") from error

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def settings(self) -> SearchSettings:
        return self.info.settings

    @property
    def log(self) -> TrialLog:
        return TrialLog(self.folder)

    @property
    def trials(self) -> list[Trial]:
        """What was tried so far, by number."""
        return self.log.finished()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """While this goes on, everybody sees that a process is at work on it."""
        with (self.folder / _WORKERS).open("a") as file:
            fcntl.flock(file, fcntl.LOCK_SH)  # there may be several
            yield

    @property
    def is_under_way(self) -> bool:
        """Whether a process is at work on it."""
        return is_held(self.folder / _WORKERS, by_many=True)

    @property
    def is_untried(self) -> bool:
        """Whether nothing was tried yet, and nobody is about to."""
        return not self.trials and not self.is_under_way

    def forget_costs(self) -> None:
        """Remove what costs of trials are told by, and what was too dear: it is for these settings."""
        for name in (_UNIT, LATENCY_TABLE, TOO_DEAR):
            (self.folder / name).unlink(missing_ok=True)

    def full_ms(self, measure: Callable[[], float]) -> float:
        """The time of the full network that latencies are told in units of: the first that was measured."""
        path = self.folder / _UNIT
        if not path.exists():
            write_once(path, repr(measure()).encode())
        try:
            value = float(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            value = 0.0
        if not 0 < value < float("inf"):
            raise UserError(f"search {self.folder}: {_UNIT} is damaged; remove the search.")
        return value


def list_searches(run: Run) -> list[Search]:
    """A run's searches, by name; folders that are none, or of another task, are passed over."""
    found = []
    for folder in sorted((run.folder / SEARCHES).glob("*")):
        with suppress(UserError):
            check_run_name(folder.name)
            search = Search.load(folder)
            if search.info.metric == run.info.task.metric:
                found.append(search)
    return found


def damaged_searches(run: Run) -> list[str]:
    """Why each folder of the run's searches that has settings cannot be opened, by name."""
    found = []
    for path in sorted((run.folder / SEARCHES).glob(f"*/{SETTINGS}")):
        try:
            Search.load(path.parent)
        except UserError as error:
            found.append(str(error))
    return found


def open_search(run: Run, name: str, settings: SearchSettings, *, command: str = "") -> Search:
    """The search of that name, a new one or the one that was begun; one that has tried nothing yet can be
    begun with other settings.

    Raises:
        UserError: one of that name was begun with other settings, they contradict each other, or nothing
        is as cheap as they ask.
    """
    settings, search = _asked(run, name, settings)
    run.check_writable()
    folder = run.folder / SEARCHES / name
    if search is not None and _first_difference(search.settings, settings):
        search.forget_costs()
        search = None
    if search is not None:
        changes: dict[str, object] = {"settings": settings}
        if command and any(
            getattr(settings, field) != getattr(search.settings, field) for field in CHANGEABLE
        ):
            changes["command"] = command  # the earlier one would ask for other trials than these
        info = search.info.model_copy(update=changes)
    else:
        info = SearchInfo(
            settings=settings,
            command=command,
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            machine=describe_machine(torch.device("cpu")),
            metric=run.info.task.metric,
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_text_atomically(folder / SETTINGS, info.model_dump_json(indent=1) + "\n")
    return Search(folder, info)


def check_search(run: Run, name: str, settings: SearchSettings) -> None:
    """Raise the UserError that `open_search` would raise; nothing is written."""
    run.check_writable()
    _asked(run, name, settings)


def _asked(run: Run, name: str, settings: SearchSettings) -> tuple[SearchSettings, Search | None]:
    """The settings as a search keeps them, and what was begun under that name, if anything was: with the
    same settings, or without having tried anything."""
    ask_search(**settings.model_dump())  # `model_copy` does not ask
    check_run_name(name, "a search")
    check_tokens(run.config.max_tokens, settings.tokens)
    settings = _normal(settings, run)
    space = settings.space(run.config.shape)  # refuses at once
    if settings.cost == "macs":  # a formula; what else there is must be measured
        macs = functools.partial(count_macs, run.config, tokens=settings.tokens)
        check_feasible(space, "macs", macs, settings.at_most)
    folder = run.folder / SEARCHES / name
    if not (folder / SETTINGS).exists():
        return settings, None
    search = Search.load(folder)
    same = settings.model_copy(update={"repeats": search.settings.repeats})
    different = _first_difference(search.settings, same)
    if different and search.is_untried:
        return settings, search
    if search.info.metric != run.info.task.metric:
        raise UserError(f"the search {name!r} of {run.name} is not of its task.")
    if different:
        raise UserError(
            f"run {run.name} has a search {name!r} with other settings ({different}); give the same ones "
            "to go on, or another name."
        )
    return same, search


def untrained_reference(run: Run, settings: SearchSettings) -> str | None:
    """What must be known where the largest sub-network of a search, which its others are compared with, is
    none that the run's recipe reports; None where it is one."""
    shape = run.config.shape
    largest = Subnet(max(settings.width_mults), max(settings.depth_mults))
    own = run.recipe_grid
    if largest.resolve(shape) in {subnet.resolve(shape) for subnet in own}:
        return None
    return (
        f"{largest.key}, the largest of this search, which the others are compared with, is none that the "
        f"recipe {run.info.recipe.get('name')} reports: it may never have been trained. The largest that "
        f"it reports is {run.largest.key}."
    )


def _normal(settings: SearchSettings, run: Run) -> SearchSettings:
    """The same with one spelling: all of dev, and the usual fewest, are left open."""
    changes: dict[str, None] = {}
    if settings.num_examples is not None and settings.num_examples >= run.info.task.num_dev:
        changes["num_examples"] = None
    if settings.lengths == "shares" and settings.fewest == FEWEST_PERCENT:
        changes["fewest"] = None
    return settings.model_copy(update=changes)


def refuse_links(folder: Path, what: str = "search") -> None:
    """Raise a UserError where a file or folder of a search stands for one elsewhere: a run may be a
    stranger's.

    what: such a folder is called.
    """
    for path in (folder.parent, folder, *folder.glob("*"), *folder.glob("*/*")):
        if path.is_symlink():
            raise UserError(f"{what} {folder}: {path.name} is a link to elsewhere; remove it.")


def _first_difference(begun: SearchSettings, wanted: SearchSettings) -> str:
    for name, value in wanted:
        before = getattr(begun, name)
        if name not in CHANGEABLE and before != value:
            return f"{name}: {before}, now {value}"
    return ""
