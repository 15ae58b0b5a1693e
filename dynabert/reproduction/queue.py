"""Carry out what a reproduction still needs, one training after another, keeping each result."""

from __future__ import annotations

import logging
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch

from dynabert.data.augmentation.folder import MANIFEST as AUGMENTED
from dynabert.data.augmentation.folder import read_manifest
from dynabert.data.source import DataSource
from dynabert.errors import UserError, first_line
from dynabert.evaluation.latency import LatencySetup, describe_machine
from dynabert.locks import Held, alone
from dynabert.reproduction.collect import current_commit, result_of
from dynabert.reproduction.latencies import PAPER_SETUPS, LatencyBook
from dynabert.reproduction.plan import AUGMENTATIONS_DIR, Job
from dynabert.reproduction.results import Result, backbone_folder, read_results, write_result
from dynabert.reproduction.standing import seconds_left, standing_of
from dynabert.runs import MANIFEST, Run
from dynabert.subnet import Subnet
from dynabert.training.events import Event, Working
from dynabert.training.pipeline import discard_unfinished, train
from dynabert.training.plan import TrainingPlan
from dynabert.training.precision import Precision
from dynabert.training.presets import RECIPES
from dynabert.training.recipe import in_todays_words
from dynabert.training.stopping import StopSignal

logger = logging.getLogger(__name__)
# In the runs folder, with a folder for each task and seed: what recipes share is trained once.
STAGE_CACHE = ".reproduction-stages"


@dataclass(frozen=True, kw_only=True)
class JobStarted:
    """A training begins, or goes on."""

    job: Job
    number: int  # from 1
    total: int
    seconds_left: float  # of it and those after it, as far as known
    unknown: int  # of them have no known time


@dataclass(frozen=True, kw_only=True)
class JobEnded:
    """A training is over and its result is kept."""

    job: Job
    result: Result
    path: Path


@dataclass(frozen=True, kw_only=True)
class JobSkipped:
    """Nothing is to be done, or nothing can be."""

    job: Job
    why: str


@dataclass(frozen=True, kw_only=True)
class JobFailed:
    """A training did not come to its end; the others go on."""

    job: Job
    why: str


QueueEvent = JobStarted | JobEnded | JobSkipped | JobFailed
OnQueueEvent = Callable[[Event | QueueEvent], None]


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """Where a reproduction finds its data and leaves what it makes."""

    results: Path
    runs_dir: Path
    data_dir: Path | None = None  # None: the hub
    augmentations: Path | None = None  # with a folder for each task, named as in `_augmentation`
    precision: Precision = "auto"
    latency: Sequence[LatencySetup] = PAPER_SETUPS  # none: latency is not measured
    keep_runs: bool = False
    drop_stages: bool = False  # remove shared stages once no job of their task and seed is left
    replace: bool = False  # train again what is there but differs
    restart: bool = False  # begin anew what was cut off

    def source(self, job: Job) -> DataSource:
        """Where the examples of a job are.

        Raises:
            UserError: its recipe trains on augmented data, and there is none.
        """
        values: dict[str, object] = {
            "task": job.task,
            "data_dir": self.data_dir and self.data_dir.resolve(),
            "num_train": job.limits.num_train,
            "seed": job.seed,
        }
        if RECIPES[job.recipe].augmented_stages:
            values["augmentation"] = self._augmentation(job)
        return DataSource.model_validate(values)

    def command(self, job: Job) -> str:
        """What repeats a training, wherever its data may be: its own command, and what is said here."""
        words = [job.command]
        if RECIPES[job.recipe].augmented_stages:
            words.append(f"--augmentations {AUGMENTATIONS_DIR}")
        if self.precision != "auto":
            words.append(f"--precision {self.precision}")
        return " ".join(words)

    def _augmentation(self, job: Job) -> Path:
        """The folder of augmented data of a task, or of the examples that a seed draws from it."""
        drawn = job.limits.num_train
        name = job.task if drawn is None else f"{job.task}-s{job.seed}"
        folder = self.augmentations and (self.augmentations / name).resolve()
        if folder is None or not folder.is_dir():
            same = "" if drawn is None else f" --num-train {drawn} --seed {job.seed}"
            raise UserError(
                f"recipe {job.recipe} trains on augmented data, and there is no folder {name} of it: make "
                f"it with `python -m dynabert augment {job.task} --glove FILE --out FOLDER/{name}{same}` "
                "and give --augmentations FOLDER."
            )
        return folder


@dataclass
class Outcome:
    """What became of the jobs."""

    done: list[Job] = field(default_factory=list)
    skipped: list[JobSkipped] = field(default_factory=list)
    failed: list[JobFailed] = field(default_factory=list)


def carry_out(
    jobs: Sequence[Job],
    workshop: Workshop,
    on_event: OnQueueEvent = lambda event: None,
    stop: StopSignal | None = None,
) -> Outcome:
    """Train what has no result yet, in order, and keep each result as soon as it is there.

    A failed training is reported and the next one begins. Interrupted, the same call goes on with the
    training that was cut off.

    Raises:
        KeyboardInterrupt: it was asked to stop.
    """
    stop = stop or StopSignal()
    commit = current_commit()  # now: the files may change while it trains
    outcome = Outcome()
    examples = _Examples()

    def skip(job: Job, why: str) -> None:
        outcome.skipped.append(JobSkipped(job=job, why=why))
        on_event(outcome.skipped[-1])

    def skips(job: Job) -> bool:
        why = _why_skip(job, workshop, examples)
        if why is not None:
            skip(job, why)
        return why is not None

    wanted = [job for job in jobs if not skips(job)]
    elsewhere: list[Job] = []  # another process was at work on them: it may need their stages still
    for number, job in enumerate(wanted):
        try:
            with _at_work_on(job, workshop):
                if skips(job):  # another process was faster
                    continue
                seconds, unknown = seconds_left(wanted[number:], _readable(workshop.results))
                on_event(
                    JobStarted(
                        job=job,
                        number=number + 1,
                        total=len(wanted),
                        seconds_left=seconds,
                        unknown=unknown,
                    )
                )
                result = _carry_out_one(job, workshop, on_event, stop, commit)
                path = write_result(workshop.results, result)
                if not workshop.keep_runs:
                    shutil.rmtree(workshop.runs_dir / run_name(job), ignore_errors=True)
        except Held as error:
            skip(job, str(error))
            elsewhere.append(job)
            continue
        except Exception as error:  # whatever it is, the other trainings do not depend on it
            if not isinstance(error, UserError):
                logger.debug("%s failed", job, exc_info=True)
            kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
            outcome.failed.append(JobFailed(job=job, why=f"{kind}{first_line(error)}"))
            on_event(outcome.failed[-1])
            continue
        if workshop.drop_stages:
            failed = [one.job for one in outcome.failed]
            _drop_stages(job, [*wanted[number + 1 :], *failed, *elsewhere], workshop)
        outcome.done.append(job)
        on_event(JobEnded(job=job, result=result, path=path))
    return outcome


def run_name(job: Job) -> str:
    """What the run of a job is called while it exists."""
    name = f"repro-{backbone_folder(job.backbone)}-{job.task}-{job.recipe}-s{job.seed}"
    return re.sub(r"[^A-Za-z0-9._-]", "-", name)[-64:].lstrip("._-")


def stage_cache(job: Job, workshop: Workshop) -> Path:
    """The folder with the stages that a job shares with others of its task and seed."""
    name = f"{backbone_folder(job.backbone)}-{job.task}-s{job.seed}"
    return workshop.runs_dir / STAGE_CACHE / name


def _drop_stages(job: Job, to_come: Sequence[Job], workshop: Workshop) -> None:
    """Remove the stages that nobody is left to share."""
    folder = stage_cache(job, workshop)
    if all(stage_cache(other, workshop) != folder for other in to_come):
        shutil.rmtree(folder, ignore_errors=True)


class _Examples:
    """Fingerprints of examples, each read once: many trainings have the same."""

    def __init__(self) -> None:
        self._known: dict[DataSource, str] = {}

    def fingerprint(self, source: DataSource) -> str:
        plain = source.model_copy(update={"augmentation": None})
        if plain not in self._known:
            self._known[plain] = plain.load().fingerprint
        return self._known[plain]


def _why_skip(job: Job, workshop: Workshop, examples: _Examples) -> str | None:
    standing = standing_of(job, workshop.results)
    match standing.status:
        case "missing":
            return None
        case "no recipe":
            return f"there is no recipe {job.recipe!r}"
        case "differs":
            if workshop.replace:
                return None
            return (
                f"there is a result, but {standing.why}; --replace trains it again and replaces it"
            )
    assert standing.result is not None
    if job.recipe not in RECIPES:
        return "done"
    try:
        source = workshop.source(job)
        fingerprint = examples.fingerprint(source)
        augmentation = source.augmentation and read_manifest(source.augmentation / AUGMENTED)
    except (UserError, OSError):
        return "done; its data are not here to compare with"
    different = ""
    if augmentation and augmentation.plan.method != standing.result.augmentation:
        different = "on rows that were augmented in another way"
    elif fingerprint != standing.result.fingerprint:
        different = "of other examples"
    elif workshop.precision not in ("auto", standing.result.precision):
        different = f"in {standing.result.precision}"
    if not different:
        return "done"
    if workshop.replace:
        return None
    return f"there is a result, but {different}; --replace trains it again and replaces it"


@contextmanager
def _at_work_on(job: Job, workshop: Workshop) -> Iterator[None]:
    """From its training until its result is kept no other process is at work on a job.

    Raises:
        Held: one is.
    """
    workshop.runs_dir.mkdir(parents=True, exist_ok=True)
    path = workshop.runs_dir / f".{run_name(job)}.reproducing"
    with alone(path, "another process is at work on it"):
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _readable(folder: Path) -> list[Result]:
    try:
        return read_results(folder)
    except UserError:  # a damaged file must not stop a training; whoever reads it says so
        return []


def _carry_out_one(
    job: Job,
    workshop: Workshop,
    on_event: OnQueueEvent,
    stop: StopSignal,
    commit: str | None,
) -> Result:
    recipe, limits = job.limits.apply(RECIPES[job.recipe])
    source = workshop.source(job)
    plan = TrainingPlan(
        name=run_name(job),
        data=source,
        backbone=job.backbone,
        recipe=recipe,
        seed=job.seed,
        precision=workshop.precision,
        latency=None,  # measured once for all runs, below
        command=workshop.command(job),
    )
    if workshop.restart:
        discard_unfinished(plan.name, workshop.runs_dir)
    started = time.perf_counter()
    run = _finished_before(plan, workshop.runs_dir)
    if run is None:
        run = train(plan, workshop.runs_dir, on_event, stop, stage_cache=stage_cache(job, workshop))
    seconds = time.perf_counter() - started

    def progress(what: str, done: int, total: int) -> None:
        on_event(Working(what=what, done=done, total=total))

    model = run.model()
    subnets = [Subnet.parse(key) for key in run.results["subnet"]]
    book = LatencyBook(workshop.results, job.backbone)
    latency = book.measured(model, subnets, workshop.latency, on_progress=progress)
    return result_of(
        run,
        task=job.task,
        recipe=job.recipe,
        command=plan.command,
        commit=commit,
        limits=limits,
        num_train_total=_num_to_draw_from(source, run),
        wall_seconds=seconds,
        latency=latency if workshop.latency else {},
        latency_machine=describe_machine(torch.device("cpu")),
    )


def _num_to_draw_from(source: DataSource, run: Run) -> int:
    """How many training examples there are, of which a run may have had some."""
    if source.num_train is None:
        return run.info.task.num_train
    return len(source.model_copy(update={"num_train": None}).load().train)


def _finished_before(plan: TrainingPlan, runs_dir: Path) -> Run | None:
    """The run of that name, if it was left by a call that was interrupted before it kept the result.

    Raises:
        UserError: there is a run of that name, but another one.
    """
    folder = runs_dir / plan.name
    if not (folder / MANIFEST).is_file():
        return None
    run = Run.load(folder)
    recipe = plan.recipe.for_hidden_size(run.config.hidden_size).model_dump(mode="json")
    if (
        run.info.backbone == plan.backbone  # others may have a folder of the same name
        and in_todays_words(run.info.recipe) == recipe
        and run.info.seed == plan.seed
        and plan.precision in ("auto", run.info.precision)
        and run.info.task.fingerprint == plan.data.load().fingerprint
    ):
        return run
    raise UserError(f"{folder} is another run than the one wanted; remove it first.")
