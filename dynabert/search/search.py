"""A search for sub-networks of a run that are good and cheap: settings, folder, and the loop.

A search lives in a folder of its run, `searches/NAME`: `search.json` says what was asked for,
`trials.jsonl` what was tried, `front.parquet` what the best are worth on the whole dev set and this
machine's clock. Several processes may carry out one search together.
"""

from __future__ import annotations

import datetime
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dynabert.errors import UserError, explain, explain_plainly
from dynabert.evaluation.latency import LatencySetup, describe_machine
from dynabert.examples import RunExamples
from dynabert.files import write_text_atomically
from dynabert.modeling.models import TaskModel
from dynabert.runs import Run, check_run_name
from dynabert.search.objectives import UNITS, Cost, Objectives, full_network_ms
from dynabert.search.proposals import CROSSOVERS, MUTATIONS, Method, Proposer, front
from dynabert.search.space import Candidate, JointSpace, Lengths, LengthUnit
from dynabert.search.trials import Trial, TrialLog
from dynabert.subnet import NetworkShape, SearchSpace
from dynabert.training.plan import MAX_SEED

SEARCHES = "searches"
SETTINGS = "search.json"
_WORKERS = "workers"  # held by every process that is at work on it
_UNIT = "full_network_ms"
NUM_TRIALS = 150  # as in Dynamic-TinyBERT, Sec. 2.3
# The authors of Dynamic-TinyBERT let lengths fall to 91 of 384 tokens.
FEWEST_PERCENT = 24

# Of `dynabert search`, where they are not called as the settings are.
_OPTIONS = {
    "num_trials": "trials",
    "width_mults": "widths",
    "depth_mults": "depths",
    "batch_size": "batch",
    "num_examples": "examples",
}

Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
Positive = Annotated[int, Field(ge=1)]


class SearchSettings(BaseModel):
    """What is searched for, and how. Dynamic-TinyBERT, Sec. 2.3, with more axes."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    method: Method = "tpe"
    num_trials: Positive = NUM_TRIALS
    width_mults: tuple[float, ...] = (1.0,)
    depth_mults: tuple[float, ...] = (1.0,)
    lengths: LengthUnit | None = "shares"  # None: all tokens are kept
    # That leave a layer: hundredths of a text's tokens, or tokens; None: as the paper's share.
    fewest: Positive | None = None
    cost: Cost = "macs"
    tokens: Positive  # for which cost is counted or timed
    batch_size: Positive = 1  # of what is timed
    repeats: Annotated[int, Field(ge=2)] = 20  # of it
    num_examples: Positive | None = 500  # of dev, for quality; None: all
    at_most: Annotated[float, Field(gt=0)] | None = None  # cost
    # Mutations and crossovers of a generation of the evolution.
    generation: tuple[Positive, Positive] = (MUTATIONS, CROSSOVERS)
    seed: Seed = 0

    @model_validator(mode="after")
    def _nothing_is_ignored(self) -> Self:
        if self.fewest is not None and self.lengths is None:
            raise ValueError(
                f"fewest={self.fewest} is about lengths, and none are searched; leave it out"
            )
        if self.generation != (MUTATIONS, CROSSOVERS) and self.method != "evolution":
            raise ValueError(
                f"a generation is of method evolution, not of {self.method}; leave it out"
            )
        return self

    def space(self, shape: NetworkShape) -> JointSpace:
        """What is looked through in a network of that shape.

        Raises:
            UserError: a multiplier or `fewest` is out of range.
        """
        lengths = None
        if self.lengths is not None:
            most = 100 if self.lengths == "shares" else self.tokens
            fewest = self.fewest or max(1, round(FEWEST_PERCENT / 100 * most))
            lengths = Lengths(unit=self.lengths, fewest=fewest, most=most)
        return JointSpace(shape, SearchSpace(self.width_mults, self.depth_mults), lengths)

    def arguments(self) -> list[str]:
        """The options of `dynabert search` that ask for it; those that are as usual left out."""
        usual = SearchSettings(tokens=self.tokens)
        options = {
            "method": self.method,
            "num_trials": self.num_trials,
            "width_mults": ",".join(map(_exactly, self.width_mults)),
            "depth_mults": ",".join(map(_exactly, self.depth_mults)),
            "lengths": self.lengths or "none",
            "fewest": self.fewest,
            "cost": self.cost,
            "batch_size": self.batch_size,
            "num_examples": self.num_examples or 0,
            "at_most": self.at_most,
            "seed": self.seed,
        }
        arguments = ["--tokens", str(self.tokens)]
        for field, value in options.items():
            if getattr(self, field) != getattr(usual, field):
                arguments += [f"--{_OPTIONS.get(field, field.replace('_', '-'))}", str(value)]
        if self.generation != usual.generation:
            arguments += ["--generation", *map(str, self.generation)]
        return arguments

    @property
    def setup(self) -> LatencySetup:
        """How latency is measured."""
        return LatencySetup(
            tokens=self.tokens, batch_size=self.batch_size, repeats=self.repeats, seed=self.seed
        )


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
            _refuse_links(folder)
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
        try:
            with (self.folder / _WORKERS).open("r") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # nobody ever was
            return False
        return False

    def full_ms(self, measure: Callable[[], float]) -> float:
        """The time of the full network that latencies are told in units of: the first that was measured."""
        path = self.folder / _UNIT
        if not path.exists():
            partial = path.with_name(f"{_UNIT}.{os.getpid()}.partial")
            partial.write_text(repr(measure()), encoding="utf-8")
            with suppress(FileExistsError):  # another process was faster
                os.link(partial, path)
            partial.unlink()
        try:
            value = float(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            value = 0.0
        if not 0 < value < float("inf"):
            raise UserError(f"search {self.folder}: {_UNIT} is damaged; remove the search.")
        return value


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A trial is done."""

    trial: Trial
    done: int
    total: int
    front_size: int
    seconds_left: float


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


def open_search(run: Run, name: str, settings: SearchSettings, *, command: str = "") -> Search:
    """The search of that name, a new one or the one that was begun.

    Raises:
        UserError: one of that name was begun with other settings, or they contradict each other.
    """
    ask_search(**settings.model_dump())  # `model_copy` does not ask
    check_run_name(name, "search")
    if settings.tokens > run.config.max_tokens:
        raise UserError(
            f"this model reads at most {run.config.max_tokens} tokens, got {settings.tokens}."
        )
    folder = run.folder / SEARCHES / name
    settings = _normal(settings, run)
    settings.space(run.config.shape)  # refuses at once
    if (folder / SETTINGS).exists():
        search = Search.load(folder)
        settings = settings.model_copy(update={"repeats": search.settings.repeats})
        if search.info.metric != run.info.task.metric:
            raise UserError(f"the search {name!r} of {run.name} is not of its task.")
        if different := _first_difference(search.settings, settings):
            raise UserError(
                f"{run.name} has a search {name!r} with other settings ({different}); give the same ones "
                "to go on, or another name."
            )
        info = search.info.model_copy(update={"settings": settings})  # it may be given more trials
    else:
        info = SearchInfo(
            settings=settings,
            command=command,
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            machine=describe_machine(torch.device("cpu")),
            metric=run.info.task.metric,
        )
    run.check_writable()
    folder.mkdir(parents=True, exist_ok=True)
    write_text_atomically(folder / SETTINGS, info.model_dump_json(indent=1) + "\n")
    return Search(folder, info)


def run_search(
    search: Search,
    model: TaskModel,
    examples: RunExamples,
    *,
    on_trial: Callable[[Tried], None] = lambda tried: None,
) -> list[Trial]:
    """Try what has not been tried yet, and return everything that was.

    May be interrupted at any moment: trials that are done stay done, one that was begun is done
    again.

    Raises:
        UserError: nothing in the space is as cheap as the settings ask; tells the nearest miss.
    """
    with search.at_work():
        return _run(search, model, examples, on_trial)


def _run(
    search: Search, model: TaskModel, examples: RunExamples, on_trial: Callable[[Tried], None]
) -> list[Trial]:
    settings = search.settings
    space = settings.space(model.config.shape)
    unit = None
    if settings.cost == "latency":
        unit = search.full_ms(lambda: full_network_ms(model, settings.setup))
    objectives = Objectives(
        model,
        examples.dev,
        metric=search.info.metric,
        cost=settings.cost,
        setup=settings.setup,
        num_examples=settings.num_examples,
        seed=settings.seed,
        full_ms=unit,
    )
    if not search.trials:
        check_feasible(space, objectives, settings.at_most)
    proposer = Proposer(space, settings.method, seed=settings.seed, generation=settings.generation)

    too_dear: set[Candidate] = set()  # that only measuring told

    def affordable(candidate: Candidate) -> bool:
        if settings.at_most is None:
            return True
        if candidate in too_dear:
            return False
        cost = objectives.predicted_cost(space.subnet(candidate))
        return cost is None or cost <= settings.at_most

    begun, before = time.monotonic(), len(search.trials)
    while True:
        total = Search.load(search.folder).settings.num_trials  # it may be given more meanwhile
        with search.log.claimed(total) as claim:
            if claim is None:
                return search.trials
            start = time.perf_counter()
            history = [one for one in search.trials if space.holds(one.candidate)]
            others = [
                one
                for one in search.log.under_way()
                if one.number != claim.number
                and one.candidate is not None
                and space.holds(one.candidate)
            ]
            while True:
                proposal = proposer.propose(claim.number, history, others, affordable=affordable)
                if proposal is None:  # nothing is left to try
                    return search.trials
                candidate, origin = proposal
                claim.chosen(candidate)
                subnet = space.subnet(candidate)
                cost = objectives.cost_of(subnet)
                if settings.at_most is None or cost <= settings.at_most:
                    break
                too_dear.add(candidate)
            quality = objectives.quality_of(subnet)
            trial = Trial(
                number=claim.number,
                candidate=candidate,
                subnet=subnet.key,
                origin=origin,
                quality=quality,
                cost=cost,
                seconds=time.perf_counter() - start,
            )
            claim.finish(trial)
        trials = search.trials
        new = len(trials) - before
        each = (time.monotonic() - begun) / max(1, new)
        on_trial(
            Tried(
                trial=trial,
                done=len(trials),
                total=total,
                front_size=len(front(trials)),
                seconds_left=each * (total - len(trials)),
            )
        )


def check_feasible(space: JointSpace, objectives: Objectives, at_most: float | None) -> None:
    """Raise a UserError where even the smallest sub-network costs more than allowed."""
    if at_most is None:
        return
    subnet = space.subnet(space.smallest)
    cost = objectives.cost_of(subnet)
    if cost > at_most:
        unit = UNITS[objectives.cost]
        raise UserError(
            f"nothing here costs at most {at_most:,.6g} {unit}: the smallest sub-network, {subnet}, "
            f"costs {cost:,.6g}. Allow more, or let widths, depths or lengths be smaller."
        )


def ask_search(**values: object) -> SearchSettings:
    """Settings from what somebody typed.

    Raises:
        UserError: a value is unknown, out of range, or contradicts another.
    """
    try:
        return SearchSettings.model_validate(values)
    except ValidationError as error:
        raise UserError(explain_plainly(error)) from error


def _exactly(mult: float) -> str:
    return f"{mult:g}" if float(f"{mult:g}") == mult else repr(mult)


def _normal(settings: SearchSettings, run: Run) -> SearchSettings:
    """The same with one spelling: all of dev, and the usual fewest, are left open."""
    changes: dict[str, None] = {}
    if settings.num_examples is not None and settings.num_examples >= run.info.task.num_dev:
        changes["num_examples"] = None
    if settings.lengths == "shares" and settings.fewest == FEWEST_PERCENT:
        changes["fewest"] = None
    return settings.model_copy(update=changes)


def _refuse_links(folder: Path) -> None:
    """Raise a UserError where a file or folder of a search stands for one elsewhere: a run may be a
    stranger's."""
    for path in (folder.parent, folder, *folder.glob("*"), *folder.glob("*/*")):
        if path.is_symlink():
            raise UserError(f"search {folder}: {path.name} is a link to elsewhere; remove it.")


def _first_difference(begun: SearchSettings, wanted: SearchSettings) -> str:
    for name, value in wanted:
        before = getattr(begun, name)
        if name != "num_trials" and before != value:
            return f"{name}: {before}, now {value}"
    return ""
