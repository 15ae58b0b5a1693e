"""From a pretrained encoder and plain text to a small pretrained encoder in Hugging Face's layout."""

from __future__ import annotations

import copy
import datetime
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import torch
from accelerate import Accelerator
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerBase

from dynabert import __version__
from dynabert.backbones import find_backbone, load_tokenizer
from dynabert.data.encoding import drawn_rows
from dynabert.data.masked_text import MaskedSplit, Masking, read_text, text_fingerprint
from dynabert.errors import UserError, first_line
from dynabert.evaluation.latency import describe_machine
from dynabert.evaluation.masked_tokens import MASKED_METRICS
from dynabert.evaluation.quality import evaluate
from dynabert.files import check_free, naming, settle, write_text_atomically
from dynabert.modeling.architecture import Architecture
from dynabert.modeling.conversion import check_source, has_masked_lm_head
from dynabert.modeling.models import DynaBertForMaskedLM
from dynabert.modeling.reduction import check_can_be_cut, cut_student, new_student
from dynabert.rewiring import rewire_
from dynabert.training.calibration import calibrate
from dynabert.training.checkpoint import FinishedStage, Workspace, reading
from dynabert.training.events import Notice, OnEvent, StageStarted, Working, ignore
from dynabert.training.lock import locked
from dynabert.training.loop import Setting, train_stage
from dynabert.training.memory import limit_kernel_caches
from dynabert.training.precision import resolve_precision
from dynabert.training.pretraining_plan import Pretraining
from dynabert.training.recorder import Recorder
from dynabert.training.seeds import seed_from
from dynabert.training.stage import Train
from dynabert.training.stopping import StopSignal

ABOUT = "pretraining.json"  # in the folder of the result
_PLAN = "plan.json"  # in that of an unfinished one
DEV_SHARE, MOST_DEV_ROWS = 0.05, 1000
IMPORTANCE_ROWS = 256


class Quality(BaseModel):
    """How a network finds masked tokens of held-out text."""

    model_config = ConfigDict(frozen=True)

    accuracy: float
    loss: float  # exp(loss) is the perplexity
    params: int  # of the whole network, the output weights (which are the embeddings) once


class Pretrained(BaseModel):
    """What is kept beside the weights: how they came about, and how good they are."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    plan: Pretraining
    command: str
    created: str
    version: str
    machine: str
    architecture: str  # its key
    fingerprint: str  # of the text
    num_train: int  # rows of text
    num_dev: int
    num_tokens: int  # of the rows to train on
    teacher: Quality
    student: Quality
    stage_seconds: dict[str, float]

    @classmethod
    def load(cls, folder: Path) -> Pretrained:
        """Of a folder that `pretrain` wrote.

        Raises:
            UserError: it is none.
        """
        try:
            return cls.model_validate_json((folder / ABOUT).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, ValidationError) as error:
            raise UserError(
                f"{folder} was not written by `dynabert pretrain`: {first_line(error)}."
            ) from error


def pretrain(
    plan: Pretraining,
    out: Path,
    *,
    command: str = "",
    on_event: OnEvent = ignore,
    stop: StopSignal | None = None,
) -> Pretrained:
    """Distil a small encoder on text, and write it, with its head, to a folder that is a backbone.

    Where the plan names no sizes, only the head that the backbone lacks is made. Stopped at any moment,
    the same plan goes on where it stopped, and ends with the same numbers.

    Raises:
        UserError: bad input, the folder exists, or an unfinished pretraining began with another plan.
        KeyboardInterrupt: it was asked to stop.
    """
    _check_free(out)
    limit_kernel_caches()
    work = _Pretraining(plan, on_event, stop or StopSignal())
    folder = unfinished_pretraining(out)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        _check_free(out)  # another process may have written it while this one read the text
        work.begin(Workspace(folder))
        about = work.carry_out(out, command)
        shutil.rmtree(folder, ignore_errors=True)
    return about


def _check_free(out: Path) -> None:
    check_free(out, "choose another folder or remove it first")


def unfinished_pretraining(out: Path) -> Path:
    """Where a pretraining is kept until it is done."""
    return out.parent / f".{out.name}.unfinished"


class _Pretraining:
    def __init__(self, plan: Pretraining, on_event: OnEvent, stop: StopSignal) -> None:
        self.plan, self.on_event, self.stop = plan, on_event, stop
        self.accelerator = Accelerator()
        if self.accelerator.num_processes > 1:
            raise UserError("pretraining runs in one process; start it without accelerate launch.")
        self.precision = resolve_precision(plan.precision, self.accelerator.device)
        self.source = source = find_backbone(plan.backbone)
        check_source(source)
        self.has_head = has_masked_lm_head(source)
        with torch.random.fork_rng():
            torch.manual_seed(seed_from(plan.seed))  # a new head is random
            model = DynaBertForMaskedLM.from_hf(source)
        self.teacher = model.to(self.accelerator.device)
        shape = model.config.shape
        self.architecture = plan.reduce.architecture(model.config)
        own = Architecture(
            shape.num_layers, min(shape.heads), model.config.hidden_size, min(shape.neurons)
        )
        self.reduces = self.architecture != own
        if not self.reduces and self.has_head:
            raise UserError(
                f"{plan.backbone} has a masked-language-model head already, so there is nothing to do; name "
                "at least one smaller size: layers, heads, hidden or neurons."
            )
        if plan.start == "teacher":
            check_can_be_cut(model.config, self.architecture)
        if plan.max_tokens > model.config.max_tokens:
            raise UserError(
                f"this backbone reads at most {model.config.max_tokens} tokens, got {plan.max_tokens}."
            )
        self.tokenizer = load_tokenizer(source)
        self.train, self.dev = self._read_text(self.tokenizer)
        self.fingerprint = text_fingerprint(plan.texts)

    def _read_text(self, tokenizer: PreTrainedTokenizerBase) -> tuple[MaskedSplit, MaskedSplit]:
        rows = read_text(
            self.plan.texts,
            tokenizer,
            max_tokens=self.plan.max_tokens,
            on_read=lambda done, total: self.on_event(Working(what="text", done=done, total=total)),
        )
        if len(rows) < 2:
            raise UserError(
                "there must be text for two rows at least: one to train on, one to judge by."
            )
        held_out = min(MOST_DEV_ROWS, max(1, round(DEV_SHARE * len(rows))))
        drawn = drawn_rows(len(rows), None, self.plan.seed)
        split = MaskedSplit(
            input_ids=rows,
            masking=Masking.of(tokenizer, self.plan.masked_share),
            pad_token_id=int(tokenizer.pad_token_id),
            seed=self.plan.seed,
        )
        return split.select(drawn[held_out:]), split.select(drawn[:held_out])

    def begin(self, workspace: Workspace) -> None:
        """Note the plan, or see that the unfinished one is the same."""
        self.workspace = workspace
        path = workspace.folder / _PLAN
        values = {
            **self.plan.model_dump(mode="json"),
            "precision": self.precision,
            "fingerprint of the text": self.fingerprint,
        }
        if not path.is_file() or not workspace.has_begun:
            write_text_atomically(path, json.dumps(values, indent=1))
            return
        with reading(path):
            earlier = dict(json.loads(path.read_text(encoding="utf-8")))
        different = [name for name, value in values.items() if earlier.get(name) != value]
        if different:
            raise UserError(
                f"the unfinished pretraining in {workspace.folder.parent} was started with another "
                f"{different[0].replace('_', ' ')}. Repeat its command to go on with it, choose another "
                "folder, or drop it with --restart."
            )

    def carry_out(self, out: Path, command: str) -> Pretrained:
        if not self.has_head:
            self.on_event(
                Notice(
                    text=f"{self.plan.backbone} has no masked-language-model head: one is trained first, "
                    "while its encoder stays as it is; what it then teaches is as good as the text is long"
                )
            )
            self._stage("head", self.teacher, self._fit_head)
        student = self.teacher
        if self.reduces:
            self._stage("teacher", self.teacher, self._rewire)
            student = new_student(self.teacher, self.architecture, seed_from(self.plan.seed, 2))
            if self.plan.start == "teacher" and "distil" not in self.workspace.finished_stages():
                student = cut_student(self.teacher, self.architecture)
            self._stage("distil", student, self._distil)
        teacher, ours = self._quality(self.teacher), self._quality(student)
        about = Pretrained(
            plan=self.plan,
            command=command,
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            version=__version__,
            machine=describe_machine(self.accelerator.device),
            architecture=self.architecture.key,
            fingerprint=self.fingerprint,
            num_train=len(self.train),
            num_dev=len(self.dev),
            num_tokens=int(self.train.lengths.sum()),
            teacher=teacher,
            student=ours,
            stage_seconds={
                name: round(stage.seconds, 1)
                for name, stage in self.workspace.finished_stages().items()
            },
        )
        self._write(student, about, out)
        return about

    def _stage(
        self,
        name: str,
        model: DynaBertForMaskedLM,
        carry_out: Callable[[DynaBertForMaskedLM], float],
    ) -> None:
        """Do a stage to the model in place, or take what an earlier start of it left."""
        if name not in self.workspace.finished_stages():
            seconds = carry_out(model)
            written = Recorder(self.workspace.metrics_file).num_bytes
            finished = FinishedStage(seconds=seconds, metrics_bytes=written)
            self.workspace.finish_stage(name, model, finished)
        else:
            self.workspace.load_weights(name, model)

    def _fit_head(self, model: DynaBertForMaskedLM) -> float:
        model.backbone.requires_grad_(False)
        try:
            return self._train(self.plan.head_stage(), model, None)
        finally:
            model.backbone.requires_grad_(True)

    def _rewire(self, model: DynaBertForMaskedLM) -> float:
        """Put what matters first: a narrower student is cut from the left."""
        started = time.perf_counter()
        self.on_event(
            StageStarted(
                stage="teacher",
                number=self._number("teacher") + 1,
                num_stages=self._total,
                total_steps=0,
            )
        )
        importance = calibrate(
            model,
            self.train,
            num_examples=IMPORTANCE_ROWS,
            seed=seed_from(self.plan.seed, 1),
            batch_size=8,  # the logits of every token are computed
            on_event=self.on_event,
        )
        rewire_(model, importance)
        return time.perf_counter() - started

    def _distil(self, student: DynaBertForMaskedLM) -> float:
        teacher = copy.deepcopy(self.teacher).requires_grad_(False).eval()
        return self._train(self.plan.distil_stage(student.config), student, teacher)

    def _train(
        self, stage: Train, model: DynaBertForMaskedLM, teacher: DynaBertForMaskedLM | None
    ) -> float:
        finished = list(self.workspace.finished_stages().values())
        setting = Setting(
            accelerator=self.accelerator,
            precision=self.precision,
            train=self.train,
            epoch_examples=len(self.train),
            dev=self.dev,
            metrics=MASKED_METRICS,
            batch_size=self.plan.batch_size,
            seed=self.plan.seed,
            num_stages=self._total,
            workspace=self.workspace,
            metrics_bytes=finished[-1].metrics_bytes if finished else 0,
            on_event=self.on_event,
            stop=self.stop,
            rate_options={
                "head": "--restart --head-rate ...",
                "distil": "--restart --learning-rate ...",
            },
        )
        return train_stage(stage, self._number(stage.name), model, teacher, setting)

    @property
    def _names(self) -> list[str]:
        head = [] if self.has_head else ["head"]
        return [*head, *(["teacher", "distil"] if self.reduces else [])]

    @property
    def _total(self) -> int:
        return len(self._names)

    def _number(self, name: str) -> int:
        return self._names.index(name)

    def _quality(self, model: DynaBertForMaskedLM) -> Quality:
        found = evaluate(model, self.dev, metrics=MASKED_METRICS)
        return Quality(
            accuracy=found.metrics["accuracy"],
            loss=found.loss,
            params=sum(parameter.numel() for parameter in model.parameters()),
        )

    def _write(self, student: DynaBertForMaskedLM, about: Pretrained, out: Path) -> None:
        partial = self.workspace.folder / "result"
        shutil.rmtree(partial, ignore_errors=True)
        text: str = about.model_dump_json(indent=1)
        with naming(out):
            student.to_hf().save_pretrained(partial)
            if not self.reduces:
                _add_pooler(self.source, partial)
            self.tokenizer.save_pretrained(partial)
            (partial / ABOUT).write_text(text + "\n", encoding="utf-8")
            settle(partial)
        if os.path.lexists(out):
            raise UserError(
                f"{out} exists now; what was pretrained is in {partial}, move it yourself."
            )
        partial.rename(out)


def _add_pooler(source: str, folder: Path) -> None:
    """Keep a BERT's pooler, which a masked language model has no use for and a classifier has."""
    file = folder / "model.safetensors"
    tensors = load_file(file)
    with safe_open(Path(source) / "model.safetensors", "pt") as stored:
        for name in stored.keys():  # no mapping
            if (bare := name.removeprefix("bert.")).startswith("pooler."):
                tensors[f"bert.{bare}"] = stored.get_tensor(name).float()
    save_file(tensors, file, metadata={"format": "pt"})


def discard_unfinished_pretraining(out: Path) -> None:
    """Forget an unfinished pretraining, if there is one.

    Raises:
        UserError: another process is at work on it.
    """
    folder = unfinished_pretraining(out)
    if folder.is_dir():
        with locked(folder):
            shutil.rmtree(folder, ignore_errors=True)
