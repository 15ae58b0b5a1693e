"""Training a student for a few steps, and its error then: the e of OSE over plain architectures."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from dynabert.data.encoding import Batch, Encoded, bucketed_batches, drawn_rows
from dynabert.distillation import prediction_losses
from dynabert.errors import UserError
from dynabert.evaluation.quality import evaluate
from dynabert.modeling.architecture import Architecture
from dynabert.modeling.models import TaskModel
from dynabert.modeling.reduction import cut_student, new_student
from dynabert.search.ose.plain_settings import PlainSettings
from dynabert.subnet import FULL
from dynabert.training.precision import resolve_precision
from dynabert.training.seeds import seed_from

DIVERGED = 1e9  # the error of a student whose loss was no number any more
_MAX_GRAD_NORM = 1.0  # with AdamW, as in training


class ShortTraining:
    """The same few batches, from the same beginning, for every architecture.

    Students learn from some training examples (the section B of the papers) and are judged by others, which
    none of them has seen; the teacher's answers to a batch are computed once for all.
    """

    def __init__(self, teacher: TaskModel, train: Encoded, settings: PlainSettings) -> None:
        """teacher: a trained network, whose weights are not touched.

        Raises:
            UserError: too few training examples.
        """
        drawn = drawn_rows(train.num_examples, None, settings.seed)
        judged, learnt = np.split(drawn, [settings.num_examples])
        if len(learnt) < settings.batch_size:
            raise UserError(
                f"{train.num_examples} training examples are too few for {settings.num_examples} that errors "
                f"are measured on and a batch of {settings.batch_size}; measure errors on fewer."
            )
        self.teacher, self.settings = teacher, settings
        self.judged, self.learnt = train.select(judged), train.select(learnt)
        self.precision = resolve_precision("auto", teacher.device)
        self._answers: dict[int, tuple[Tensor, ...]] = {}
        self._batches = self._first_batches(max(settings.steps))

    def error_of(self, architecture: Architecture, rate: float, steps: int) -> float:
        """The mean loss against the labels after so many steps; `DIVERGED` where it is none."""
        student = self.trained(architecture, rate, steps)
        if student is None:
            return DIVERGED
        loss = evaluate(student, self.judged, FULL, metrics=()).loss
        return loss if math.isfinite(loss) and loss > 0 else DIVERGED

    def trained(self, architecture: Architecture, rate: float, steps: int) -> TaskModel | None:
        """A student after so many steps, in eval mode; None where its loss was no finite number."""
        if self.settings.start == "teacher":
            student = cut_student(self.teacher, architecture)
        else:
            student = new_student(self.teacher, architecture, self.settings.seed)
        student.train()
        optimizer = self._optimizer(student, rate)
        with torch.random.fork_rng():
            for step in range(steps):
                torch.manual_seed(seed_from(self.settings.seed, step))  # dropout
                loss = self._loss(student, step)
                if not loss.isfinite():
                    return None
                optimizer.zero_grad()
                loss.backward()
                if self.settings.optimizer == "adamw":
                    nn.utils.clip_grad_norm_(student.parameters(), _MAX_GRAD_NORM)
                optimizer.step()
                clip_weights_(student, self.settings.clip)
        return student.eval()

    def _first_batches(self, number: int) -> list[list[int]]:
        batches: list[list[int]] = []
        epoch = 0
        while len(batches) < number:
            generator = torch.Generator().manual_seed(seed_from(self.settings.seed, epoch))
            batches += bucketed_batches(self.learnt.lengths, self.settings.batch_size, generator)
            epoch += 1
        return batches[:number]

    def _optimizer(self, student: TaskModel, rate: float) -> torch.optim.Optimizer:
        if self.settings.optimizer == "sgd":
            return torch.optim.SGD(student.parameters(), lr=rate)
        return torch.optim.AdamW(student.parameters(), lr=rate, weight_decay=0.0, fused=True)

    def _loss(self, student: TaskModel, step: int) -> Tensor:
        settings, device = self.settings, student.device
        rows = self._batches[step]
        batch = {name: value.to(device) for name, value in self.learnt.batch(rows).items()}
        with torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            logits = _logits(student, batch)
        total = torch.zeros((), device=device)
        if settings.labels:
            total = total + settings.labels * student.label_loss(logits, batch)
        if settings.prediction:
            taught = self._taught(step, batch)
            total = total + settings.prediction * prediction_losses(logits, taught)
        return total

    @torch.no_grad()
    def _taught(self, step: int, batch: Batch) -> tuple[Tensor, ...]:
        if step not in self._answers:
            device = self.teacher.device.type
            with torch.autocast(device, torch.bfloat16, enabled=self.precision == "bf16"):
                self._answers[step] = tuple(one.float() for one in _logits(self.teacher, batch))
        return self._answers[step]


@torch.no_grad()
def clip_weights_(model: nn.Module, bound: float | None) -> None:
    """Keep every parameter within -bound and bound: the compact set of weights that OSE's proofs assume."""
    if bound is not None:
        for parameter in model.parameters():
            parameter.clamp_(-bound, bound)


def _logits(model: TaskModel, batch: Batch) -> tuple[Tensor, ...]:
    """The task's sets of logits, (B, C), or start and end (B, S) each."""
    asked = ("input_ids", "attention_mask", "token_type_ids")
    out = model(**{name: batch[name] for name in asked if name in batch})
    return model.logits_of(out, batch["attention_mask"])
