"""The one training loop: every stage of every recipe runs through it."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from dynabert.data.encoding import Encoded, bucketed_batches
from dynabert.errors import UserError
from dynabert.evaluation.quality import evaluate_many
from dynabert.evaluation.tally import Evaluation
from dynabert.modeling.models import TaskModel
from dynabert.subnet import Subnet
from dynabert.training.checkpoint import Position, Workspace
from dynabert.training.events import Advanced, Evaluated, OnEvent, StageStarted, StepDone, Working
from dynabert.training.memory import release_unused
from dynabert.training.optimizer import make_optimizer, schedule
from dynabert.training.projection import new_projection
from dynabert.training.recorder import Recorder
from dynabert.training.seeds import seed_from
from dynabert.training.stage import Train
from dynabert.training.step import TEACHING, accumulate_gradients
from dynabert.training.stopping import StopSignal

CHECKPOINT_SECONDS = 60.0  # how much work a kill can cost
REPORT_STEPS = 10  # steps between two reports of the loss
SILENT_SECONDS = 1.0  # between two reports, before a sign of life

# What the best weights of the stage at work are called in the workspace; no stage can be called so.
BEST = "_best"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What all stages of a run share."""

    accelerator: Accelerator
    precision: str  # "bf16" or "fp32"
    train: Encoded  # what the stage at work trains on
    epoch_examples: int  # how many of them an epoch has: the original training examples
    dev: Encoded  # what checkpoints are chosen by
    metrics: tuple[str, ...]
    batch_size: int
    seed: int
    num_stages: int
    workspace: Workspace
    metrics_bytes: int  # length of metrics.jsonl before the stage
    on_event: OnEvent
    stop: StopSignal
    # How a command sets the learning rate of a stage, where that is not by --set.
    rate_options: Mapping[str, str] = field(default_factory=dict)

    def autocast(self) -> torch.autocast:
        device = self.accelerator.device.type
        return torch.autocast(device, torch.bfloat16, enabled=self.precision == "bf16")


def train_stage(
    stage: Train,
    number: int,
    student: TaskModel,
    teacher: TaskModel | None,
    setting: Setting,
) -> float:
    """Train the student in place through one stage; returns the seconds it took.

    number: of the stage in its recipe, from 0. Every random choice is made from (seed, stage, epoch
    or step), so a stage that goes on from the workspace's saved position ends with the same numbers
    as one that was never interrupted.
    """
    with torch.random.fork_rng():
        return _StageRun(stage, number, student, teacher, setting).run()


class _StageRun:
    """One stage at work: the position in it, the optimizer, and what is written down."""

    def __init__(
        self,
        stage: Train,
        number: int,
        student: TaskModel,
        teacher: TaskModel | None,
        setting: Setting,
    ) -> None:
        self.stage, self.number = stage, number
        self.student, self.teacher, self.setting = student, teacher, setting
        self.accelerator = setting.accelerator
        self.shape = student.config.shape
        self.judged = stage.subnets.judged
        assert stage.peak_rate is not None  # filled in by `Recipe.for_hidden_size`
        self.peak_rate = stage.peak_rate
        self.projection = None
        if teacher is not None:
            seed = seed_from(setting.seed, number, 0, 0, 0)
            self.projection = new_projection(stage, student, teacher, seed)
        # All that learns in the stage; what is kept of it is the student.
        self.learning: nn.Module = student
        if self.projection is not None:
            self.learning = nn.ModuleList([student, self.projection])
        self.optimizer = make_optimizer(self.learning, stage.weight_decay)
        self.recorder = Recorder(setting.workspace.metrics_file, self.accelerator.is_main_process)
        self.epoch, self.batches = 0, self._batches_of_epoch(0)
        # Augmented data is many times as large; the steps of an epoch stay the same.
        share = setting.epoch_examples / len(setting.train)
        self.total_steps = max(1, round(stage.epochs * share * len(self.batches)))
        self.evaluation_steps = {
            max(1, round(self.total_steps * k / stage.evaluations))
            for k in range(1, stage.evaluations + 1)
        }
        self.last_sign = time.perf_counter()  # that it is at work
        self.position = Position(
            stage=number,
            step=0,
            metrics_bytes=setting.metrics_bytes,
            best=None,
            best_step=None,
            seconds=0.0,
        )

    def run(self) -> float:
        self._start_or_resume()
        release_unused()
        # Of several processes one would stop after a step in which the others wait for it.
        alone = self.accelerator.num_processes == 1
        with self.setting.stop.held_back() if alone else nullcontext():
            seconds = self._train()
        if self.stage.keep == "best":
            self.accelerator.wait_for_everyone()
            self.setting.workspace.load_weights(BEST, self.student)
        return seconds

    def _train(self) -> float:
        """All steps that are left; the seconds that the stage's steps took altogether."""
        first_step, before = self.position.step, self.position.seconds
        started = last_checkpoint = self.last_sign = time.perf_counter()
        losses = [torch.tensor(loss) for loss in self.position.losses]
        for step in range(first_step + 1, self.total_steps + 1):
            learning_rate = self.peak_rate * schedule(step - 1, self.total_steps, self.stage.warmup)
            losses.append(self._step(step, learning_rate))
            rate = (step - first_step) / (time.perf_counter() - started)
            if step % REPORT_STEPS == 0 or step in self.evaluation_steps:
                self._report(step, losses, learning_rate, rate)
                losses = []
                release_unused()
            else:
                seconds_left = (self.total_steps - step) / rate
                self._give_sign(
                    Advanced(
                        stage=self.stage.name,
                        step=step,
                        total_steps=self.total_steps,
                        steps_per_second=rate,
                        seconds_left=seconds_left,
                    )
                )
            seconds = before + time.perf_counter() - started
            self.position = replace(self.position, step=step, seconds=seconds)
            if step in self.evaluation_steps:
                self._evaluate(step)
            overdue = time.perf_counter() - last_checkpoint > CHECKPOINT_SECONDS
            stopping = self.setting.stop.asked
            if step in self.evaluation_steps or overdue or stopping:
                self._checkpoint(losses)
                last_checkpoint = time.perf_counter()
                self.setting.stop.heed()
        return before + time.perf_counter() - started

    def _start_or_resume(self) -> None:
        workspace = self.setting.workspace
        saved = workspace.position()
        if saved is not None and saved.stage == self.number:
            workspace.restore(self.learning, self.optimizer)
            self.position = saved
        self.recorder.cut(self.position.metrics_bytes)
        self.setting.on_event(
            StageStarted(
                stage=self.stage.name,
                number=self.number + 1,
                num_stages=self.setting.num_stages,
                total_steps=self.total_steps,
                resumed_at=self.position.step,
            )
        )
        if self.position.step == 0 and self.stage.start_competes:
            self._evaluate(0)

    def _step(self, step: int, learning_rate: float) -> Tensor:
        epoch, place = divmod(step - 1, len(self.batches))
        if epoch != self.epoch:
            self.epoch, self.batches = epoch, self._batches_of_epoch(epoch)
        batch = {
            name: value.to(self.accelerator.device)
            for name, value in self.setting.train.batch(self.batches[place]).items()
        }
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        torch.manual_seed(
            seed_from(self.setting.seed, self.number, step, self.accelerator.process_index)
        )
        self.student.train()
        self.optimizer.zero_grad()
        losses = accumulate_gradients(
            self.student,
            batch,
            self._subnets_of(step),
            self.stage.losses,
            teacher=self.teacher,
            teaching=self.stage.teacher or TEACHING,
            largest_losses=self.stage.largest,
            projection=self.projection,
            autocast=self.setting.autocast,
            backward=self.accelerator.backward,
        )
        average_gradients(self.learning, self.accelerator)
        nn.utils.clip_grad_norm_(self.learning.parameters(), self.stage.max_grad_norm)
        self.optimizer.step()
        return losses.mean()

    def _subnets_of(self, step: int) -> list[Subnet]:
        """What the step trains: the same in every process, and again when it is repeated."""
        generator = torch.Generator().manual_seed(
            seed_from(self.setting.seed, self.number, 0, step)
        )
        return self.stage.subnets.of_step(self.shape, generator)

    def _batches_of_epoch(self, epoch: int) -> list[list[int]]:
        """This process's batches; every process gets equally many of about equal length."""
        generator = torch.Generator().manual_seed(seed_from(self.setting.seed, self.number, epoch))
        setting, processes = self.setting, self.accelerator.num_processes
        batches = bucketed_batches(setting.train.lengths, setting.batch_size, generator)
        if len(batches) < processes:
            raise UserError(
                f"{len(batches)} batches cannot be shared among {processes} processes; "
                "use fewer processes or a smaller batch_size."
            )
        whole_rounds = len(batches) // processes * processes
        return batches[self.accelerator.process_index : whole_rounds : processes]

    def _report(self, step: int, losses: list[Tensor], learning_rate: float, rate: float) -> None:
        event = StepDone(
            stage=self.stage.name,
            step=step,
            total_steps=self.total_steps,
            loss=float(torch.stack(losses).mean()),
            learning_rate=learning_rate,
            steps_per_second=rate,
            seconds_left=(self.total_steps - step) / rate,
        )
        if not math.isfinite(event.loss):
            option = self.setting.rate_options.get(
                self.stage.name, f"--set {self.stage.name}.learning_rate=..."
            )
            raise UserError(
                f"stage {self.stage.name}: the loss is {event.loss} at step {step}. Choose a smaller "
                f"learning rate than {self.peak_rate:g}: {option}"
            )
        self.recorder.write("step", event, omit=("steps_per_second", "seconds_left"))
        self.setting.on_event(event)
        self.last_sign = time.perf_counter()

    def _give_sign(self, event: Advanced | Working) -> None:
        """Tell a small event, where nothing has been told for a while."""
        if time.perf_counter() - self.last_sign > SILENT_SECONDS:
            self.last_sign = time.perf_counter()
            self.setting.on_event(event)

    def _evaluate(self, step: int) -> None:
        total = self.setting.dev.num_examples
        # In the precision of training: in bf16 a checkpoint is judged 2.6 times as fast, and by a few
        # examples otherwise. What is reported of a run at its end is in 32 bits.
        with self.setting.autocast():
            evaluations = evaluate_many(
                self.student,
                self.setting.dev,
                self.judged,
                metrics=self.setting.metrics,
                on_batch=lambda done: self._give_sign(
                    Working(what="score", done=done, total=total)
                ),
            )
        release_unused()
        metric = self.setting.metrics[0]
        quality = mean_quality(evaluations, metric)
        is_best = self.position.best is None or quality > self.position.best
        if is_best:
            self.position = replace(self.position, best=quality, best_step=step)
            if self.stage.keep == "best" and self.accelerator.is_main_process:
                self.setting.workspace.save_weights(BEST, self.student)
        event = Evaluated(
            stage=self.stage.name,
            step=step,
            metric=metric,
            scores={e.subnet.key: e.metrics[metric] for e in evaluations},
            collapsed=tuple(e.subnet.key for e in evaluations if e.collapsed),
            mean=quality[0],
            is_best=is_best,
        )
        self.recorder.write("evaluation", event)
        self.setting.on_event(event)

    def _checkpoint(self, losses: list[Tensor]) -> None:
        self.position = replace(
            self.position,
            metrics_bytes=self.recorder.num_bytes,
            losses=tuple(float(loss) for loss in losses),
        )
        if self.accelerator.is_main_process:
            self.setting.workspace.save_position(self.position, self.learning, self.optimizer)
        release_unused()


def average_gradients(model: nn.Module, accelerator: Accelerator) -> None:
    """Mean of the gradients over all processes, once a step, whatever the number of sub-networks in it."""
    if accelerator.num_processes == 1:
        return
    for parameter in filter(lambda one: one.requires_grad, model.parameters()):
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        parameter.grad = accelerator.reduce(parameter.grad, reduction="mean")


def mean_quality(evaluations: list[Evaluation], metric: str) -> tuple[float, float]:
    """What checkpoints are compared by: the mean metric of the sub-networks; where equal, the lower loss."""
    return (
        float(np.mean([e.metrics[metric] for e in evaluations])),
        -float(np.mean([e.loss for e in evaluations])),
    )
