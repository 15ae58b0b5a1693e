"""From a plan to a run: load, train stage by stage, evaluate, write; and go on where it stopped."""

from __future__ import annotations

import copy
import datetime
import importlib.metadata
import shutil
import time
from contextlib import nullcontext
from pathlib import Path

import pandas as pd
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from dynabert import __version__
from dynabert.errors import UserError
from dynabert.evaluation.latency import describe_machine
from dynabert.evaluation.table import sweep
from dynabert.files import check_free
from dynabert.importance import Importance
from dynabert.modeling.configuration import DynaBertConfig
from dynabert.modeling.models import TaskModel
from dynabert.modeling.reduction import check_can_be_cut, cut_student, new_student
from dynabert.rewiring import rewire_
from dynabert.run_info import RunInfo, TaskInfo
from dynabert.runs import IMPORTANCE, Run, unfinished_folder, write_run
from dynabert.training.calibration import calibrate
from dynabert.training.checkpoint import FinishedStage, Workspace
from dynabert.training.events import Notice, OnEvent, StageStarted, Working, ignore, together
from dynabert.training.lock import locked
from dynabert.training.loop import Setting, train_stage
from dynabert.training.memory import limit_kernel_caches
from dynabert.training.plan import PLAN, TrainingPlan, check_same_plan
from dynabert.training.preparation import Prepared
from dynabert.training.pretrained_student import what_is_computed
from dynabert.training.progress import ProgressFile
from dynabert.training.projection import check_comparable
from dynabert.training.recorder import Recorder
from dynabert.training.seeds import seed_from
from dynabert.training.stage import PREVIOUS, Reduce, Rewire, Train
from dynabert.training.stopping import StopSignal

_PACKAGES = ("torch", "transformers", "accelerate", "datasets")


def train(
    plan: TrainingPlan,
    runs_dir: Path,
    on_event: OnEvent = ignore,
    stop: StopSignal | None = None,
    stage_cache: Path | None = None,
) -> Run:
    """Carry out a plan and return the run it leaves behind.

    An unfinished training of the same name and plan is taken up where it stopped, and ends with the
    same numbers as if it had not stopped.

    stop: heeded between two steps, once the state is saved.
    stage_cache: a folder in which the results of stages are kept and looked for, so that recipes
    which begin alike share what they have in common.

    Raises:
        UserError: bad input, a run of that name exists, or the unfinished one was started
        differently.
        KeyboardInterrupt: it was asked to stop.
    """
    _check_free(runs_dir / plan.name)
    limit_kernel_caches()
    training = _Training(plan, Accelerator(), on_event, stop or StopSignal(), stage_cache)
    folder = unfinished_folder(plan.name, runs_dir)
    folder.mkdir(parents=True, exist_ok=True)
    is_main = training.accelerator.is_main_process
    with locked(folder) if is_main else nullcontext():
        workspace = Workspace(folder)
        _check_still_free(runs_dir / plan.name, folder)
        check_same_plan(plan, training.prepared.found, workspace)
        run = training.run(workspace, runs_dir)
        if is_main:
            shutil.rmtree(folder, ignore_errors=True)
    return run


def _check_free(folder: Path) -> None:
    check_free(folder, "choose another name or remove it first")


def _check_still_free(folder: Path, unfinished: Path) -> None:
    """Another process may have ended the training since, and removed its unfinished folder."""
    try:
        _check_free(folder)
    except UserError:
        if not (unfinished / PLAN).exists():  # it is there for the lock alone
            shutil.rmtree(unfinished, ignore_errors=True)
        raise


def discard_unfinished(name: str, runs_dir: Path) -> None:
    """Forget an unfinished training, if there is one.

    Raises:
        UserError: another process is at work on it.
    """
    folder = unfinished_folder(name, runs_dir)
    if folder.is_dir():
        with locked(folder):
            shutil.rmtree(folder, ignore_errors=True)


class _Training:
    def __init__(
        self,
        plan: TrainingPlan,
        accelerator: Accelerator,
        on_event: OnEvent,
        stop: StopSignal,
        stage_cache: Path | None,
    ) -> None:
        self.prepared = Prepared(plan, accelerator, on_event)
        self.plan, self.recipe, self.model = plan, self.prepared.recipe, self.prepared.model
        self.accelerator, self.on_event, self.stop = accelerator, on_event, stop
        self.backbone_config = self.model.config
        self._check_architectures()
        self.shared = None if stage_cache is None else self.prepared.shared_stages(stage_cache)

    def run(self, workspace: Workspace, runs_dir: Path) -> Run:
        self.workspace = workspace
        progress = ProgressFile(
            workspace.folder,
            batch_size=self.recipe.batch_size * self.accelerator.num_processes,
        )
        if self.accelerator.is_main_process:
            self.on_event = together(self.on_event, progress)
        try:
            return self._carry_out(runs_dir)
        except KeyboardInterrupt:
            progress.stopped()
            raise

    def _carry_out(self, runs_dir: Path) -> Run:
        for notice in self.prepared.notices:
            self.on_event(Notice(text=notice))
        self._train_stages()
        if self.plan.half_precision_file:  # what is evaluated is what is stored
            self.model = self.model.half().float()
        results = self._evaluate()
        if self.accelerator.is_main_process:
            write_run(
                self.plan.name,
                runs_dir,
                info=self._info(),
                save_model=self._save_model,
                importance=self._importance(),
                metrics_file=self.workspace.metrics_file,
                results=results,
            )
        self.accelerator.wait_for_everyone()
        return Run.load(runs_dir / self.plan.name)

    def _train_stages(self) -> None:
        stages = self.recipe.stages
        for number, stage in enumerate(stages):
            finished = self.workspace.finished_stages()
            if stage.name in finished:
                continue
            metrics_bytes = 0
            self.model = self._network_at(number)
            if number:
                previous = stages[number - 1].name
                self.workspace.load_weights(previous, self.model)
                metrics_bytes = finished[previous].metrics_bytes
            if not isinstance(stage, Reduce) and self._take_over(number):
                continue
            if isinstance(stage, Rewire):
                seconds = self._rewire(stage, number)
            elif isinstance(stage, Reduce):
                seconds = self._reduce(stage, number)
            else:
                seconds = train_stage(
                    *(stage, number, self.model, self._teacher(stage)),
                    self._setting(stage, metrics_bytes),
                )
            self.accelerator.wait_for_everyone()
            if self.accelerator.is_main_process:
                recorder = Recorder(self.workspace.metrics_file)
                result = FinishedStage(seconds=seconds, metrics_bytes=recorder.num_bytes)
                self.workspace.finish_stage(stage.name, self.model, result)
                if self.shared is not None:
                    self.shared.keep(number, self.workspace, seconds)
            self.accelerator.wait_for_everyone()
        self.model = self._network_at(len(stages))
        self.workspace.load_weights(stages[-1].name, self.model)

    def _network_at(self, number: int) -> TaskModel:
        """A network of the architecture that stage `number` begins with; its weights may be any."""
        config = self._config_at(number)
        if what_is_computed(config) == what_is_computed(self.model.config):
            return self.model
        return type(self.model)(config).to(self.accelerator.device)

    def _config_at(self, number: int) -> DynaBertConfig:
        """Of the network that stage `number` begins with."""
        config = self.backbone_config
        for stage in self.recipe.stages[:number]:
            if isinstance(stage, Reduce):
                student = self.prepared.students.get(stage.name)
                config = student.config if student else stage.architecture(config).config(config)
        return config

    def _check_architectures(self) -> None:
        """Refuse, before hours of training, what a later stage could not do."""
        names = [stage.name for stage in self.recipe.stages]
        for number, stage in enumerate(self.recipe.stages):
            config = self._config_at(number)
            if isinstance(stage, Reduce) and stage.name not in self.prepared.students:
                architecture = stage.architecture(config)
                if stage.start == "teacher":
                    check_can_be_cut(config, architecture)
            elif isinstance(stage, Train) and stage.teacher is not None:
                wanted = stage.teacher.stage
                made = number if wanted == PREVIOUS else names.index(wanted) + 1
                check_comparable(stage, config, self._config_at(made))

    def _take_over(self, number: int) -> bool:
        """Whether another training had computed a stage, whose result is here now."""
        if self.shared is None:
            return False
        name = self.recipe.stages[number].name
        self.accelerator.wait_for_everyone()  # until all have seen that it is not finished
        # One process decides for all: what is kept may come and go between two looks.
        taken = [
            self.accelerator.is_main_process
            and self.shared.take_over(number, self.workspace, self.model)
        ]
        if self.accelerator.num_processes > 1:
            broadcast_object_list(taken)
            if taken[0]:
                self.workspace.load_weights(name, self.model)
        if taken[0]:
            self.on_event(Notice(text=f"stage {name}: taken over, it was computed already"))
        return taken[0]

    def _setting(self, stage: Train, metrics_bytes: int) -> Setting:
        return Setting(
            accelerator=self.accelerator,
            precision=self.prepared.precision,
            train=self.prepared.stage_data(stage),
            epoch_examples=len(self.prepared.train_split),
            dev=self.prepared.judge_split,
            metrics=self.prepared.data.task.metrics,
            batch_size=self.recipe.batch_size,
            seed=self.plan.seed,
            num_stages=len(self.recipe.stages),
            workspace=self.workspace,
            metrics_bytes=metrics_bytes,
            on_event=self.on_event,
            stop=self.stop,
        )

    def _teacher(self, stage: Train) -> TaskModel | None:
        if stage.teacher is None or not stage.needs_teacher_network:
            return None
        if stage.teacher.stage == PREVIOUS:
            return copy.deepcopy(self.model).requires_grad_(False).eval()
        names = [one.name for one in self.recipe.stages]
        teacher = copy.deepcopy(self._network_at(names.index(stage.teacher.stage) + 1))
        self.workspace.load_weights(stage.teacher.stage, teacher)
        return teacher.requires_grad_(False).eval()

    def _reduce(self, stage: Reduce, number: int) -> float:
        started = time.perf_counter()
        self._tell_start(stage, number)
        seed = seed_from(self.plan.seed, number)
        if student := self.prepared.students.get(stage.name):
            self.model = student.load(self.model, seed)
        else:
            architecture = stage.architecture(self.model.config)
            if stage.start == "teacher":
                self.model = cut_student(self.model, architecture)
            else:
                self.model = new_student(self.model, architecture, seed)
        # What was measured is of heads and neurons that are no more.
        if self.accelerator.is_main_process:
            (self.workspace.folder / IMPORTANCE).unlink(missing_ok=True)
        return time.perf_counter() - started

    def _tell_start(self, stage: Rewire | Reduce, number: int) -> None:
        self.on_event(
            StageStarted(
                stage=stage.name,
                number=number + 1,
                num_stages=len(self.recipe.stages),
                total_steps=0,
            )
        )

    def _rewire(self, stage: Rewire, number: int) -> float:
        started = time.perf_counter()
        split = self.prepared.train_split if stage.split == "train" else self.prepared.dev
        self._tell_start(stage, number)
        importance = calibrate(
            self.model,
            split,
            num_examples=stage.num_examples,
            per=stage.per,
            seed=seed_from(self.plan.seed, number),
            on_event=self.on_event,
        )
        about = {**importance.about, "split": stage.split, "seed": str(self.plan.seed)}
        original = importance.in_original_order(self.model)
        rewire_(self.model, importance, within=stage.within)
        if self.accelerator.is_main_process:
            Importance(original.heads, original.neurons, about).save(
                self.workspace.folder / IMPORTANCE
            )
        return time.perf_counter() - started

    def _evaluate(self) -> pd.DataFrame:
        (_, dev), *others = self.prepared.dev_splits.items()

        def progress(phase: str, done: int, total: int) -> None:
            self.on_event(Working(what=phase, done=done, total=total))

        return sweep(
            self.model,
            dev,
            self.recipe.reported,
            metrics=self.prepared.data.task.metrics,
            other_splits=dict(others),  # MNLI: the mismatched genres
            # Measured by one process, while the others wait.
            latency=self.prepared.latency if self.accelerator.is_main_process else None,
            on_progress=progress,
        )

    def _importance(self) -> Importance | None:
        path = self.workspace.folder / IMPORTANCE
        return Importance.load(path) if path.is_file() else None

    def _save_model(self, folder: Path) -> None:
        model = copy.deepcopy(self.model).half() if self.plan.half_precision_file else self.model
        model.save_pretrained(folder)
        self.prepared.tokenizer.save_pretrained(folder)

    def _info(self) -> RunInfo:
        plan, task, augmentation = self.plan, self.prepared.data.task, self.prepared.augmentation
        finished = self.workspace.finished_stages()
        return RunInfo(
            command=plan.command,
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            backbone=plan.backbone,
            task=TaskInfo(
                name=task.name,
                title=task.title,
                text_columns=task.text_columns,
                labels=task.labels,
                kind=task.kind,
                metrics=task.metrics,
                source=self.prepared.data.source,
                fingerprint=self.prepared.data.fingerprint,
                num_train=self.prepared.train_split.num_examples,
                num_dev=self.prepared.dev.num_examples,
            ),
            data=plan.data,
            recipe=self.recipe.model_dump(mode="json"),
            max_tokens=self.prepared.max_tokens,
            doc_stride=self.recipe.doc_stride,
            seed=plan.seed,
            precision=self.prepared.precision,
            machine=describe_machine(self.accelerator.device),
            versions=_versions(),
            stage_seconds={name: round(stage.seconds, 1) for name, stage in finished.items()},
            notices=self.prepared.notices,
            augmentation=None if augmentation is None else augmentation.manifest.plan.method,
        )


def _versions() -> dict[str, str]:
    # This package knows its own version: from a checkout it runs without being installed.
    return {
        "dynabert": __version__,
        **{name: importlib.metadata.version(name) for name in _PACKAGES},
    }
