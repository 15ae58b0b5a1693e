"""From a plan to a run: load, train stage by stage, evaluate, write; and go on where it stopped."""

from __future__ import annotations

import copy
import datetime
import hashlib
import importlib.metadata
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch
import yaml
from accelerate import Accelerator
from safetensors.torch import load_file

from dynabert import __version__
from dynabert.backbones import find_backbone, load_tokenizer
from dynabert.data.augmentation import Augmentation, check_augmentable
from dynabert.data.encoding import (
    Encoded,
    EncodedSplit,
    drawn_rows,
    encode,
    encode_task,
    joined,
    sorted_batches,
)
from dynabert.data.loading import TaskData
from dynabert.data.source import DataSource
from dynabert.errors import UserError
from dynabert.evaluation.latency import DEFAULT_SETUP, LatencySetup, describe_machine
from dynabert.evaluation.quality import evaluate_many
from dynabert.evaluation.table import sweep
from dynabert.importance import Granularity, Importance, compute_importance
from dynabert.modeling.models import TaskModel
from dynabert.rewiring import rewire_
from dynabert.runs import (
    IMPORTANCE,
    Run,
    RunInfo,
    TaskInfo,
    check_run_name,
    unfinished_folder,
    write_run,
    write_text_atomically,
)
from dynabert.task_models import head_config, model_class
from dynabert.training.checkpoint import FinishedStage, Workspace, reading
from dynabert.training.events import Notice, OnEvent, StageStarted, Working, ignore, together
from dynabert.training.lock import locked
from dynabert.training.loop import Recorder, Setting, seed_from, train_stage
from dynabert.training.memory import limit_kernel_caches
from dynabert.training.precision import Precision, resolve_precision
from dynabert.training.progress import ProgressFile
from dynabert.training.recipe import Recipe, Rewire, Stage, Train
from dynabert.training.stage_cache import StageCache, StageResult
from dynabert.training.stopping import StopSignal

PLAN = "plan.yaml"  # in the folder of an unfinished run: what it was started with
MAX_SEED = 2**32 - 1  # what every random number generator here takes
_PACKAGES = ("torch", "transformers", "accelerate", "datasets")


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """What to train, on what, from what, and how."""

    name: str
    data: DataSource
    backbone: str
    recipe: Recipe
    seed: int = 0
    precision: Precision = "auto"
    # Of the final table. "usual": for as many tokens as the task's inputs may have; None: not measured.
    latency: LatencySetup | Literal["usual"] | None = "usual"
    half_precision_file: bool = False  # store the weights in 16 bits: half the size
    command: str = ""  # what repeats it, for the record

    def __post_init__(self) -> None:
        check_run_name(self.name)
        if not 0 <= self.seed <= MAX_SEED:
            raise UserError(f"seed must be from 0 to {MAX_SEED}, got {self.seed}.")


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
    cache = None if stage_cache is None else StageCache(stage_cache)
    training = _Training(plan, Accelerator(), on_event, stop or StopSignal(), cache)
    folder = unfinished_folder(plan.name, runs_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder) if training.accelerator.is_main_process else nullcontext():
        workspace = Workspace(folder)
        _check_same_plan(plan, training, workspace)
        run = training.run(workspace, runs_dir)
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
        stage_cache: StageCache | None,
    ) -> None:
        self.plan, self.accelerator, self.on_event, self.stop = plan, accelerator, on_event, stop
        self.stage_cache = stage_cache
        self.precision = resolve_precision(plan.precision, accelerator.device)
        self.source = source = find_backbone(plan.backbone)
        self.data = plan.data.load()
        self.model = self._initial_model(source)
        self.tokenizer = load_tokenizer(source)
        self.recipe = plan.recipe.for_hidden_size(self.model.config.hidden_size)
        self.wanted_tokens = self.recipe.max_tokens or self.data.task.max_tokens
        self.max_tokens = min(self.wanted_tokens, self.model.config.max_tokens)
        self.latency = self._possible_latency()
        self.train_split = self._encode(self.data.train)
        self.dev_splits = {name: self._encode(split) for name, split in self.data.dev.items()}
        self.augmentation = find_augmentation(plan.data, self.data, self.recipe)
        self.augmented_split = self._encode_augmented()
        self.notices = self._collect_notices()

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
        return write_run(
            self.plan.name,
            runs_dir,
            info=self._info(),
            save_model=self._save_model,
            importance=self._importance(),
            metrics_file=self.workspace.metrics_file,
            results=results,
        )

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

    def _encode_augmented(self) -> EncodedSplit | None:
        """The original rows and the augmented ones."""
        augmentation = self.augmentation
        if augmentation is None:
            return None

        task, original = self.data.task, self.train_split
        assert isinstance(original, EncodedSplit)  # of other tasks there is no augmentation

        def parts() -> Iterator[EncodedSplit]:
            yield original
            done, total = 0, augmentation.manifest.num_rows
            for shard in augmentation.shards(task):
                yield encode(shard, task, self.tokenizer, max_tokens=self.max_tokens)
                done += len(shard)
                self.on_event(Working(what="tokenize", done=done, total=total))

        return joined(parts())

    def _collect_notices(self) -> tuple[str, ...]:
        splits = {"train": self.train_split, **self.dev_splits}
        cut = [f"{name}: {split.notice}" for name, split in splits.items() if split.notice]
        if self.max_tokens < self.wanted_tokens:
            asking = "task" if self.recipe.max_tokens is None else "recipe"
            cut.append(
                f"the backbone reads at most {self.max_tokens} tokens, fewer than the {asking}'s "
                f"{self.wanted_tokens}"
            )
        usual = self.plan.latency == "usual"
        if usual and self.latency and self.latency.tokens < self.data.task.max_tokens:
            cut.append(f"MACs and latency are for {self.latency.tokens} tokens, all it reads")
        return (*self.data.notices, *self._augmentation_notices(), *cut)

    def _augmentation_notices(self) -> list[str]:
        stages = ", ".join(self.recipe.augmented_stages)
        if self.augmentation is not None:
            about = f"trained on original and augmented rows in {stages}: {self.augmentation.about}"
            return [about, *self.augmentation.manifest.notices]
        if self.plan.data.augmentation is not None:
            return [
                f"the augmentation was not used: no stage of the recipe {self.recipe.name} trains on "
                "augmented data"
            ]
        return []

    def _train_stages(self) -> None:
        stages = self.recipe.stages
        for number, stage in enumerate(stages):
            finished = self.workspace.finished_stages()
            if stage.name in finished:
                continue
            metrics_bytes = 0
            if number:
                previous = stages[number - 1].name
                self.workspace.load_weights(previous, self.model)
                metrics_bytes = finished[previous].metrics_bytes
            if (known := self._find_stage(number)) is not None:
                self._take_over(stage, known)
                continue
            if isinstance(stage, Rewire):
                seconds = self._rewire(stage, number)
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
                self._keep_stage(number, seconds)
            self.accelerator.wait_for_everyone()
        self.workspace.load_weights(stages[-1].name, self.model)

    def _find_stage(self, number: int) -> StageResult | None:
        """The result of a stage that another training has computed already."""
        if self.stage_cache is None:
            return None
        return self.stage_cache.find(self._stage_key(number))

    def _take_over(self, stage: Stage, known: StageResult) -> None:
        """Count a stage as done that another training did."""
        self.on_event(Notice(text=f"stage {stage.name}: taken over, it was computed already"))
        with reading(known.weights):
            self.model.load_state_dict(load_file(known.weights))
        if self.accelerator.is_main_process:
            shutil.copyfile(known.metrics, self.workspace.metrics_file)
            if known.importance is not None:
                shutil.copyfile(known.importance, self.workspace.folder / IMPORTANCE)
            metrics_bytes = known.metrics.stat().st_size
            result = FinishedStage(seconds=known.seconds, metrics_bytes=metrics_bytes)
            self.workspace.finish_stage(stage.name, self.model, result)
        self.accelerator.wait_for_everyone()

    def _keep_stage(self, number: int, seconds: float) -> None:
        """Offer a stage's result to other trainings."""
        if self.stage_cache is None:
            return
        importance = self.workspace.folder / IMPORTANCE
        result = StageResult(
            weights=self.workspace.weights_file(self.recipe.stages[number].name),
            metrics=self.workspace.metrics_file,
            importance=importance if importance.is_file() else None,
            seconds=seconds,
        )
        self.stage_cache.keep(self._stage_key(number), result)

    def _stage_key(self, number: int) -> str:
        """Names everything that the result of a stage depends on."""
        recipe = self.recipe
        # Without defaults: a field that is added later does not make old results unknown.
        stages = [
            stage.model_dump(mode="json", exclude_defaults=True) | {"kind": stage.kind}
            for stage in recipe.stages[: number + 1]
        ]
        values = {
            "version": __version__,
            "weights": self.initial_digest,
            "data": self.data.fingerprint,
            "metrics": self.data.task.metrics,
            "max_tokens": self.max_tokens,
            "batch_size": recipe.batch_size,
            "processes": self.accelerator.num_processes,
            "precision": self.precision,
            "seed": self.plan.seed,
            "stages": stages,
        }
        if self.data.task.kind == "spans":
            values["doc_stride"] = recipe.doc_stride
        if self.augmentation is not None and any(stage.get("data") for stage in stages):
            values["augmented data"] = self.augmentation.fingerprint
        return StageCache.key(values)

    @cached_property
    def initial_digest(self) -> str:
        """sha256 of the weights that training starts from."""
        digest = hashlib.sha256(str(self.model.config.depth_choice).encode())
        for name, tensor in sorted(self._initial_model(self.source).state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def _setting(self, stage: Train, metrics_bytes: int) -> Setting:
        return Setting(
            accelerator=self.accelerator,
            precision=self.precision,
            train=self._stage_data(stage),
            epoch_examples=len(self.train_split),
            dev=next(iter(self.dev_splits.values())),
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
        if stage.teacher is None:
            return None
        teacher = copy.deepcopy(self.model).requires_grad_(False).eval()
        if stage.teacher.stage != "previous":
            self.workspace.load_weights(stage.teacher.stage, teacher)
        return teacher

    def _rewire(self, stage: Rewire, number: int) -> float:
        started = time.perf_counter()
        split = self.train_split if stage.split == "train" else next(iter(self.dev_splits.values()))
        self.on_event(
            StageStarted(
                stage=stage.name,
                number=number + 1,
                num_stages=len(self.recipe.stages),
                total_steps=0,
            )
        )
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
            latency=self.latency,
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
        plan, task = self.plan, self.data.task
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
                num_dev=next(iter(self.dev_splits.values())).num_examples,
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
        )


def find_augmentation(source: DataSource, data: TaskData, recipe: Recipe) -> Augmentation | None:
    """The augmentation that a recipe trains on, verified; None where it trains on none.

    data: what the source loads.

    Raises:
        UserError: the recipe needs one and the source names none, it is damaged, or it was made
        from other training data.
    """
    if not recipe.augmented_stages:
        return None
    check_augmentable(data.task)
    if source.augmentation is None:
        raise UserError(
            f"the recipe {recipe.name} trains on augmented data ({', '.join(recipe.augmented_stages)}), so "
            "give --augmentation FOLDER; make one with: python -m dynabert augment TASK --glove FILE "
            "--out FOLDER"
        )
    augmentation = Augmentation.load(source.augmentation)
    augmentation.check_made_from(data)
    return augmentation


def _versions() -> dict[str, str]:
    # This package knows its own version: from a checkout it runs without being installed.
    return {
        "dynabert": __version__,
        **{name: importlib.metadata.version(name) for name in _PACKAGES},
    }


def calibrate(
    model: TaskModel,
    split: Encoded,
    *,
    num_examples: int | None,
    per: Granularity = "example",
    seed: int = 0,
    batch_size: int = 32,
    on_event: OnEvent = ignore,
) -> Importance:
    """Importance on some examples of a split, drawn without replacement; None takes all of them.

    Of a task of spans an example is a window.

    Raises:
        UserError: fewer than one example.
    """
    if num_examples is not None and num_examples < 1:
        raise UserError(f"num_examples must be at least 1, got {num_examples}.")
    drawn = drawn_rows(len(split), num_examples, seed)
    total = len(drawn)
    order = [drawn[rows].tolist() for rows in sorted_batches(split.lengths[drawn], batch_size)]

    def progress(done: int) -> None:
        on_event(Working(what="importance", done=done, total=total))

    return compute_importance(model, split.batches(order), per=per, on_batch=progress)


def _check_same_plan(plan: TrainingPlan, training: _Training, workspace: Workspace) -> None:
    """Write the plan down, or raise a UserError if training has begun with another one."""
    path = workspace.folder / PLAN
    values: dict[str, Any] = {
        "backbone": plan.backbone,
        "data": plan.data.model_dump(mode="json"),
        "fingerprint of the data": training.data.fingerprint,
        "fingerprint of the augmented data": training.augmentation
        and training.augmentation.fingerprint,
        "seed": plan.seed,
        "precision": training.precision,
        "recipe": plan.recipe.model_dump(mode="json"),
    }
    if not path.is_file() or not workspace.has_begun:
        # The command is for the record: another one may mean the same.
        written = {"command": plan.command} | values
        write_text_atomically(path, yaml.safe_dump(written, sort_keys=False))
        return
    with reading(path):
        earlier = dict(yaml.safe_load(path.read_text(encoding="utf-8")))
    different = [name for name, value in values.items() if earlier.get(name) != value]
    if different:
        name = different[0]
        said = name not in ("recipe", "data") and not name.startswith("fingerprint")
        shown = f" ({earlier.get(name)}, now {values[name]})" if said else ""
        raise UserError(
            f"an unfinished training {plan.name!r} was started with another {name}{shown}. Repeat its "
            "command to go on with it, choose another name, or drop it with --restart."
        )
