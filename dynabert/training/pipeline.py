"""From a plan to a run: load, train stage by stage, evaluate, write; and go on where it stopped."""

from __future__ import annotations

import copy
import datetime
import importlib.metadata
import os
import shutil
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from dynabert import __version__
from dynabert.backbones import find_backbone, load_tokenizer
from dynabert.data.encoding import Encoded, EncodedSplit, drawn_rows, encode_task
from dynabert.errors import UserError
from dynabert.evaluation.latency import DEFAULT_SETUP, LatencySetup, describe_machine
from dynabert.evaluation.quality import evaluate_many
from dynabert.evaluation.table import sweep
from dynabert.files import file_sha256
from dynabert.importance import Importance
from dynabert.modeling.models import TaskModel
from dynabert.modeling.reduction import cut_student, new_student, pretrained_student
from dynabert.rewiring import rewire_
from dynabert.runs import (
    IMPORTANCE,
    Run,
    RunInfo,
    TaskInfo,
    unfinished_folder,
    write_run,
)
from dynabert.task_models import head_config, model_class
from dynabert.training.augmented import augmentation_notices, find_augmentation, with_augmented
from dynabert.training.calibration import calibrate
from dynabert.training.checkpoint import FinishedStage, Workspace
from dynabert.training.events import Notice, OnEvent, StageStarted, Working, ignore, together
from dynabert.training.lock import locked
from dynabert.training.loop import Recorder, Setting, seed_from, train_stage
from dynabert.training.memory import limit_kernel_caches
from dynabert.training.plan import TrainingPlan, check_same_plan
from dynabert.training.precision import resolve_precision
from dynabert.training.progress import ProgressFile
from dynabert.training.recipe import PREVIOUS, Recipe, Reduce, Rewire, Train
from dynabert.training.shared_stages import SharedStages, model_digest, tokenizer_digest
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
    if os.path.lexists(runs_dir / plan.name):
        raise UserError(
            f"{runs_dir / plan.name} exists already; choose another name or remove it first."
        )
    limit_kernel_caches()
    # Whatever is wrong with the input shows here, before anything is written.
    training = _Training(plan, Accelerator(), on_event, stop or StopSignal(), stage_cache)
    folder = unfinished_folder(plan.name, runs_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder) if training.accelerator.is_main_process else nullcontext():
        workspace = Workspace(folder)
        check_same_plan(plan, training.found, workspace)
        run = training.run(workspace, runs_dir)
    if training.accelerator.is_main_process:
        shutil.rmtree(folder, ignore_errors=True)
    return run


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
        self.plan, self.accelerator, self.on_event, self.stop = plan, accelerator, on_event, stop
        self.precision = resolve_precision(plan.precision, accelerator.device)
        source = find_backbone(plan.backbone)
        self.data = plan.data.load()
        self.model = self._initial_model(source)
        self.backbone_config = self.model.config
        self.tokenizer = load_tokenizer(source)
        self.recipe = plan.recipe.for_hidden_size(self.model.config.hidden_size)
        self.pretrained = _pretrained_weights(self.recipe)
        self.wanted_tokens = self.recipe.max_tokens or self.data.task.max_tokens
        self.max_tokens = min(self.wanted_tokens, self.model.config.max_tokens)
        self.latency = self._possible_latency()
        self.train_split = self._encode(self.data.train)
        self.dev_splits = {name: self._encode(split) for name, split in self.data.dev.items()}
        self.judge_split = self._choose_judge()
        self.augmentation = find_augmentation(plan.data, self.data, self.recipe)
        self.augmented_split = self._encode_augmented()
        self.notices = self._collect_notices()
        self.shared = self._share_stages(stage_cache)

    @property
    def dev(self) -> Encoded:
        """The split that the metric refers to (of MNLI, the matched genres)."""
        return next(iter(self.dev_splits.values()))

    @property
    def found(self) -> dict[str, Any]:
        """What the plan came to here, by name: it must be the same when training goes on."""
        values: dict[str, Any] = {
            "precision": self.precision,
            "fingerprint of the data": self.data.fingerprint,
            "fingerprint of the augmented data": self.augmentation
            and self.augmentation.fingerprint,
        }
        if self.pretrained:
            values["fingerprint of the pretrained student"] = self.pretrained
        return values

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
        for notice in self.notices:
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

    def _initial_model(self, source: str) -> TaskModel:
        task = self.data.task
        with torch.random.fork_rng():
            torch.manual_seed(seed_from(self.plan.seed))  # a new head is random
            model = model_class(task.kind).from_hf(
                source, depth_choice=self.plan.recipe.depth_choice, **head_config(task)
            )
        return model.to(self.accelerator.device)

    def _possible_latency(self) -> LatencySetup | None:
        wanted, most = self.plan.latency, self.model.config.max_tokens
        if wanted == "usual":  # as long as the task's inputs may be
            return replace(DEFAULT_SETUP, tokens=min(self.data.task.max_tokens, most))
        if wanted is not None and wanted.tokens > most:
            raise UserError(
                f"this backbone reads at most {most} tokens, got --tokens {wanted.tokens}."
            )
        return wanted

    def _encode(self, split: Any) -> Encoded:
        return encode_task(
            split,
            self.data.task,
            self.tokenizer,
            max_tokens=self.max_tokens,
            doc_stride=self.recipe.doc_stride,
        )

    def _choose_judge(self) -> Encoded:
        """What checkpoints are chosen by: dev, or the part of it that the recipe asks for."""
        wanted = self.recipe.judge_examples
        if wanted is None or wanted >= self.dev.num_examples:
            return self.dev
        return self.dev.select(drawn_rows(self.dev.num_examples, wanted, self.plan.seed))

    def _encode_augmented(self) -> EncodedSplit | None:
        """The original rows and the augmented ones."""
        if self.augmentation is None:
            return None
        assert isinstance(self.train_split, EncodedSplit)  # of other tasks there is no augmentation
        return with_augmented(
            self.train_split,
            self.augmentation,
            self.data.task,
            self.tokenizer,
            max_tokens=self.max_tokens,
            on_event=self.on_event,
        )

    def _collect_notices(self) -> tuple[str, ...]:
        splits = {"train": self.train_split, **self.dev_splits}
        cut = [f"{name}: {split.notice}" for name, split in splits.items() if split.notice]
        if self.max_tokens < self.wanted_tokens:
            asking = "task" if self.recipe.max_tokens is None else "recipe"
            cut.append(
                f"the backbone reads at most {self.max_tokens} tokens, fewer than the {asking}'s "
                f"{self.wanted_tokens}"
            )
        if (judging := self.judge_split.num_examples) < self.dev.num_examples:
            cut.append(
                f"checkpoints are chosen by {judging} of {self.dev.num_examples} dev examples"
            )
        usual = self.plan.latency == "usual"
        if usual and self.latency and self.latency.tokens < self.data.task.max_tokens:
            cut.append(f"MACs and latency are for {self.latency.tokens} tokens, all it reads")
        augmented = augmentation_notices(self.augmentation, self.plan.data, self.recipe)
        return (*self.data.notices, *augmented, *cut)

    def _share_stages(self, folder: Path | None) -> SharedStages | None:
        """By everything that the result of a stage depends on beside the stages. To be called
        before any training: the weights are those that it starts from."""
        if folder is None:
            return None
        values = {
            "version": __version__,
            "torch": torch.__version__,
            "device": self.accelerator.device.type,
            "model": model_digest(self.model),
            "tokenizer": tokenizer_digest(self.tokenizer),
            "data": self.data.fingerprint,
            "task": self.data.task.kind,
            "metrics": self.data.task.metrics,
            "max_tokens": self.max_tokens,
            "batch_size": self.recipe.batch_size,
            "processes": self.accelerator.num_processes,
            "precision": self.precision,
            "seed": self.plan.seed,
        }
        if self.pretrained:
            values["pretrained"] = self.pretrained
        if self.data.task.kind == "spans":
            values["doc_stride"] = self.recipe.doc_stride
        if self.judge_split.num_examples < self.dev.num_examples:
            values["judge_examples"] = self.judge_split.num_examples
        augmented = None if self.augmentation is None else self.augmentation.fingerprint
        return SharedStages(folder, self.recipe, values, augmented)

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
        config = self.backbone_config
        for stage in self.recipe.stages[:number]:
            if isinstance(stage, Reduce):
                config = stage.architecture(config).config(config)
        if config.shape == self.model.config.shape and (
            config.hidden_size == self.model.config.hidden_size
        ):
            return self.model
        return type(self.model)(config).to(self.accelerator.device)

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
            precision=self.precision,
            train=self._stage_data(stage),
            epoch_examples=len(self.train_split),
            dev=self.judge_split,
            metrics=self.data.task.metrics,
            batch_size=self.recipe.batch_size,
            seed=self.plan.seed,
            num_stages=len(self.recipe.stages),
            workspace=self.workspace,
            metrics_bytes=metrics_bytes,
            on_event=self.on_event,
            stop=self.stop,
        )

    def _stage_data(self, stage: Train) -> Encoded:
        if stage.data == "original":
            return self.train_split
        assert self.augmented_split is not None  # `find_augmentation` has seen to it
        return self.augmented_split

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
        architecture = stage.architecture(self.model.config)
        if stage.pretrained is not None:
            seed = seed_from(self.plan.seed, number)
            self.model = pretrained_student(self.model, stage.pretrained, seed)
        elif stage.start == "teacher":
            self.model = cut_student(self.model, architecture)
        else:
            self.model = new_student(self.model, architecture, seed_from(self.plan.seed, number))
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
        split = self.train_split if stage.split == "train" else self.dev
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
        metrics = self.data.task.metrics
        (_, dev), *others = self.dev_splits.items()

        def progress(phase: str, done: int, total: int) -> None:
            self.on_event(Working(what=phase, done=done, total=total))

        subnets = list(self.recipe.reported)
        results = sweep(
            self.model,
            dev,
            subnets,
            metrics=metrics,
            # Measured by one process, while the others wait.
            latency=self.latency if self.accelerator.is_main_process else None,
            on_progress=progress,
        )
        for name, split in others:  # MNLI: the mismatched genres
            evaluations = evaluate_many(self.model, split, subnets, metrics=metrics)
            for metric in metrics:
                results[f"{metric}_{name}"] = [e.metrics[metric] for e in evaluations]
        return results

    def _importance(self) -> Importance | None:
        path = self.workspace.folder / IMPORTANCE
        return Importance.load(path) if path.is_file() else None

    def _save_model(self, folder: Path) -> None:
        model = copy.deepcopy(self.model).half() if self.plan.half_precision_file else self.model
        model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    def _info(self) -> RunInfo:
        plan, task, augmentation = self.plan, self.data.task, self.augmentation
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
                source=self.data.source,
                fingerprint=self.data.fingerprint,
                num_train=self.train_split.num_examples,
                num_dev=self.dev.num_examples,
            ),
            data=plan.data,
            recipe=self.recipe.model_dump(mode="json"),
            max_tokens=self.max_tokens,
            doc_stride=self.recipe.doc_stride,
            seed=plan.seed,
            precision=self.precision,
            machine=describe_machine(self.accelerator.device),
            versions=_versions(),
            stage_seconds={name: round(stage.seconds, 1) for name, stage in finished.items()},
            notices=self.notices,
            augmentation=None if augmentation is None else augmentation.manifest.plan.method,
        )


def _pretrained_weights(recipe: Recipe) -> list[str]:
    """sha256 of the weights of each pretrained network that a recipe goes on with."""
    sources = [
        one.pretrained for one in recipe.stages if isinstance(one, Reduce) and one.pretrained
    ]
    return [file_sha256(Path(find_backbone(source)) / "model.safetensors") for source in sources]


def _versions() -> dict[str, str]:
    # This package knows its own version: from a checkout it runs without being installed.
    return {
        "dynabert": __version__,
        **{name: importlib.metadata.version(name) for name in _PACKAGES},
    }
