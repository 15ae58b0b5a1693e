"""What a training works with, before its first step: loaded, checked, and tokenized."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from dynabert import __version__
from dynabert.backbones import find_backbone, load_tokenizer
from dynabert.data.encoding import Encoded, EncodedSplit, drawn_rows, encode_task
from dynabert.errors import UserError
from dynabert.evaluation.latency import DEFAULT_SETUP, LatencySetup
from dynabert.modeling.models import TaskModel
from dynabert.task_models import head_config, model_class
from dynabert.training.augmented import augmentation_notices, find_augmentation, with_augmented
from dynabert.training.events import OnEvent
from dynabert.training.plan import PROCESSES, TrainingPlan
from dynabert.training.precision import resolve_precision
from dynabert.training.pretrained_student import find_students
from dynabert.training.seeds import seed_from
from dynabert.training.shared_stages import SharedStages, model_digest, tokenizer_digest
from dynabert.training.stage import Train


class Prepared:
    """The backbone with a new head, the examples of a plan, and what they come to here.

    Whatever is wrong with the input shows here, before anything is written.
    """

    def __init__(self, plan: TrainingPlan, accelerator: Accelerator, on_event: OnEvent) -> None:
        """Read everything.

        Raises:
            UserError: something is missing, damaged or does not fit together.
        """
        self.plan, self.accelerator, self.on_event = plan, accelerator, on_event
        self.precision = resolve_precision(plan.precision, accelerator.device)
        source = find_backbone(plan.backbone)
        self.data = plan.data.load()
        self.model = self._initial_model(source)
        self.tokenizer = load_tokenizer(source)
        # By the stage that goes on with them.
        self.students = find_students(plan.recipe, self.model.config, self.tokenizer)
        self.recipe = plan.recipe.for_hidden_size(
            self.model.config.hidden_size,
            {name: one.config.hidden_size for name, one in self.students.items()},
        )
        self.wanted_tokens = self.recipe.max_tokens or self.data.task.max_tokens
        self.max_tokens = min(self.wanted_tokens, self.model.config.max_tokens)
        self.latency = self._possible_latency()
        self.train_split = self._encode(self.data.train)
        self.dev_splits = {name: self._encode(split) for name, split in self.data.dev.items()}
        self.judge_split = self._choose_judge()
        self.augmentation = find_augmentation(plan.data, self.data, self.recipe)
        self.augmented_split = self._encode_augmented()
        self.notices = self._collect_notices()

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
            PROCESSES: self.accelerator.num_processes,
        }
        if self.students:
            values["fingerprint of the pretrained student"] = self._student_digests
        return values

    @property
    def _student_digests(self) -> list[str]:
        return [one.digest for one in self.students.values()]

    def stage_data(self, stage: Train) -> Encoded:
        """What a stage trains on."""
        if stage.data == "original":
            return self.train_split
        assert self.augmented_split is not None  # `find_augmentation` has seen to it
        return self.augmented_split

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
                f"checkpoints are chosen by {judging:,} of {self.dev.num_examples:,} dev examples"
            )
        usual = self.plan.latency == "usual"
        if usual and self.latency and self.latency.tokens < self.data.task.max_tokens:
            cut.append(f"MACs and latency are for {self.latency.tokens} tokens, all it reads")
        augmented = augmentation_notices(self.augmentation, self.plan.data, self.recipe)
        return (*self.data.notices, *augmented, *cut)

    def shared_stages(self, folder: Path) -> SharedStages:
        """By everything that the result of a stage depends on beside the stages. To be called
        before any training: the weights are those that it starts from."""
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
        # Checkpoints were once judged in 32 bits, whatever trained them.
        if self.precision != "fp32":
            values["judged in"] = self.precision
        if self.data.task.kind == "spans":
            values["doc_stride"] = self.recipe.doc_stride
        if self.judge_split.num_examples < self.dev.num_examples:
            values["judge_examples"] = self.judge_split.num_examples
        augmented = None if self.augmentation is None else self.augmentation.fingerprint
        students = {stage: student.digest for stage, student in self.students.items()}
        return SharedStages(folder, self.recipe, values, augmented, students)
