"""Checkpoints may be chosen by a part of dev; what is reported is of all of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_data import write_csv

from dynabert.data.encoding import drawn_rows, encode
from dynabert.data.source import CsvSource, DataSource
from dynabert.evaluation.quality import evaluate
from dynabert.modeling.heads import ClassificationHead
from dynabert.training import Losses, Recipe, Train, TrainingPlan, train
from dynabert.training.events import Evaluated, Event, StageStarted

SEED, NUM_JUDGING = 3, 7
RECIPE = Recipe(
    name="judged",
    stages=(
        Train(
            name="fine-tune",
            losses=Losses(labels=1.0),
            epochs=2,
            learning_rate=2e-3,
            evaluations=1,
            keep="last",
        ),
    ),
    batch_size=16,
    max_tokens=24,
    judge_examples=NUM_JUDGING,
    width_mults=(1.0,),
    depth_mults=(1.0,),
)


@pytest.fixture
def plan(tiny_backbone: Path, tmp_path: Path) -> TrainingPlan:
    train_file, dev_file = write_csv(tmp_path)
    data = DataSource(csv=CsvSource(train_file=train_file, dev_file=dev_file))
    return TrainingPlan(
        name="judged",
        data=data,
        backbone=str(tiny_backbone),
        recipe=RECIPE,
        seed=SEED,
        precision="fp32",
        latency=None,
    )


def test_so_many_examples_judge_and_all_are_reported(plan: TrainingPlan, tmp_path: Path) -> None:
    events: list[Event] = []
    run = train(plan, tmp_path / "runs", events.append)
    data = plan.data.load()
    (split,) = data.dev.values()
    dev = encode(split, data.task, run.tokenizer(), max_tokens=24)
    drawn = dev.select(drawn_rows(len(dev), NUM_JUDGING, SEED))
    (evaluated,) = (event for event in events if isinstance(event, Evaluated))
    model, metrics = run.model(), data.task.metrics
    assert evaluated.mean == evaluate(model, drawn, metrics=metrics).metrics[metrics[0]]
    whole = evaluate(model, dev, metrics=metrics)
    assert run.results[metrics[0]].tolist() == pytest.approx([whole.metrics[metrics[0]]])
    assert run.results["loss"].tolist() == pytest.approx([whole.loss])
    assert f"checkpoints are chosen by 7 of {len(dev)} dev examples" in run.info.notices


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_checkpoints_are_judged_in_the_precision_of_training(
    plan: TrainingPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    """And what is reported at the end in 32 bits."""
    computed: dict[str, set[torch.dtype]] = {"judge": set(), "report": set()}
    read = ClassificationHead.forward

    def watched(self: ClassificationHead, hidden: torch.Tensor) -> torch.Tensor:
        logits = read(self, hidden)
        if not self.training:
            computed["judge" if evaluating else "report"].add(logits.dtype)
        return logits

    evaluating = True
    monkeypatch.setattr(ClassificationHead, "forward", watched)

    def on_event(event: Event) -> None:
        nonlocal evaluating
        evaluating = not isinstance(event, Evaluated)

    half = TrainingPlan(**vars(plan) | {"precision": precision})
    train(half, tmp_path / "runs", on_event)
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    assert computed == {"judge": {dtype}, "report": {torch.float32}}


def test_as_many_as_there_are_is_all_and_says_nothing(plan: TrainingPlan, tmp_path: Path) -> None:
    everyone = RECIPE.model_copy(update={"judge_examples": 10_000})
    runs = tmp_path / "runs"
    events: list[Event] = []
    many = train(_with(plan, "many", everyone), runs, stage_cache=tmp_path / "cache")
    assert not [notice for notice in many.info.notices if "checkpoints" in notice]
    unset = RECIPE.model_copy(update={"judge_examples": None})
    train(_with(plan, "all", unset), runs, events.append, stage_cache=tmp_path / "cache")
    assert not [event for event in events if isinstance(event, StageStarted)]  # the same: shared
    train(plan, runs, events.append, stage_cache=tmp_path / "cache")
    assert [event.stage for event in events if isinstance(event, StageStarted)] == ["fine-tune"]


def _with(plan: TrainingPlan, name: str, recipe: Recipe) -> TrainingPlan:
    values = vars(plan) | {"name": name, "recipe": recipe}
    return TrainingPlan(**values)
