"""Networks trained with tokens dropped at random, from the recipe to an answer with fewer tokens."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from small_data import write_csv

from dynabert import Subnet
from dynabert.data.encoding import encode
from dynabert.data.source import CsvSource, DataSource
from dynabert.evaluation.quality import evaluate
from dynabert.length_config import shrinking
from dynabert.training import RECIPES, Recipe, Train, TrainingPlan, train
from dynabert.training.events import Event, StepDone

LENGTH_RECIPES = [name for name in RECIPES if name.startswith(("length-", "dynamic-", "three-"))]


def short(name: str) -> Recipe:
    """The recipe with a few steps in each stage."""
    recipe = RECIPES[name]
    changes = {"epochs": 1.0, "evaluations": 1, "learning_rate": 1e-3}
    stages = tuple(
        stage.model_copy(update=changes) if isinstance(stage, Train) else stage
        for stage in recipe.stages
    )
    return recipe.model_copy(update={"stages": stages, "batch_size": 16, "max_tokens": 24})


def plan_of(
    recipe: Recipe, files: tuple[Path, Path], backbone: Path, *, regression: bool = False
) -> TrainingPlan:
    columns = CsvSource(train_file=files[0], dev_file=files[1], regression=regression)
    data = DataSource(csv=columns)
    return TrainingPlan(
        name="length", data=data, backbone=str(backbone), recipe=recipe, latency=None
    )


@pytest.mark.parametrize("name", LENGTH_RECIPES)
def test_every_procedure_trains(name: str, tiny_backbone: Path, tmp_path: Path) -> None:
    plan = plan_of(short(name), write_csv(tmp_path), tiny_backbone)
    events: list[Event] = []
    run = train(plan, tmp_path / "runs", events.append)
    losses = [event.loss for event in events if isinstance(event, StepDone)]
    assert len(losses) >= len(plan.recipe.train_stages)
    assert all(math.isfinite(loss) and loss > 0 for loss in losses)
    data = plan.data.load()
    dev = encode(data.dev["dev"], data.task, run.tokenizer(), max_tokens=24)
    model = run.model()
    depth = plan.recipe.depth_mults[0]
    subnet = Subnet(depth_mult=depth)
    layers = len(subnet.resolve(model.config.shape).layers)
    fewer = replace(subnet, length_config=shrinking(layers, 0.5))
    whole, short_of_it = (
        evaluate(model, dev, one, metrics=data.task.metrics) for one in (subnet, fewer)
    )
    assert short_of_it.loss != whole.loss
    by_subnet = run.results.set_index("subnet")
    assert by_subnet.loc[subnet.key, "loss"] == pytest.approx(whole.loss, rel=1e-4)
    assert by_subnet["length_config"].isna().all()
    assert len(by_subnet) == len(plan.recipe.reported)


def test_regression_learns_in_place_too(tiny_backbone: Path, tmp_path: Path) -> None:
    """A softmax over one number teaches nothing; the others take over the largest's number."""
    random, files = Random(0), []
    for part, rows in (("train", 64), ("dev", 24)):
        path = tmp_path / f"{part}.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["text", "label"])
            for _ in range(rows):
                good = random.randint(0, 4)
                score = round(good + random.random() / 4, 3)  # not a class: no two alike
                writer.writerow(["the cat is " + "good " * good + "bad " * (4 - good), score])
        files.append(path)
    recipe = short("length-adaptive")
    stage = recipe.stages[1].model_copy(update={"epochs": 12.0, "learning_rate": 3e-3})
    recipe = recipe.model_copy(update={"stages": (recipe.stages[0], stage)})
    plan = plan_of(recipe, (files[0], files[1]), tiny_backbone, regression=True)
    run = train(plan, tmp_path / "runs")
    data = plan.data.load()
    dev = encode(data.dev["dev"], data.task, run.tokenizer(), max_tokens=24)
    model = run.model()
    fewer = Subnet(length_config=shrinking(model.config.num_hidden_layers, 0.2))
    scores = [
        evaluate(model, dev, one, metrics=data.task.metrics).metrics["spearman"]
        for one in (Subnet(), fewer)
    ]
    assert min(scores) > 0.5
