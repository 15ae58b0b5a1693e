"""A complete run without training: a tiny network, rewired, with every file that a run has."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import yaml
from small_data import write_csv
from transformers import AutoTokenizer

from dynabert import DynaBertForSequenceClassification, SearchSpace
from dynabert.data.encoding import encode
from dynabert.data.source import CsvSource, DataSource
from dynabert.evaluation import LatencySetup, describe_machine, sweep
from dynabert.importance import Importance
from dynabert.rewiring import rewire_
from dynabert.run_info import RunInfo, TaskInfo
from dynabert.runs import RECIPE, RESULTS, Run, write_manifest, write_run
from dynabert.training.presets import RECIPES
from dynabert.training.recipe import Recipe
from dynabert.training.stage import Rewire

LAYERS, HEADS, NEURONS = 4, 6, 60
SPACE = SearchSpace((1.0, 0.5), (1.0, 0.5))
MAX_TOKENS = 16
LABELS = ("neg", "pos")
COLLAPSED = "w0.50-d0.50"  # its row says so, whatever it scored


def head_scores() -> torch.Tensor:
    """(L, H): in layer l (from 0) head (l + k) % H is the k-th best."""
    scores = torch.zeros(LAYERS, HEADS)
    for layer in range(LAYERS):
        for rank in range(HEADS):
            scores[layer, (layer + rank) % HEADS] = float(HEADS - rank)
    return scores


def write_tiny_run(
    runs_dir: Path, backbone: Path, name: str = "tiny", *, rewired: bool = True
) -> Run:
    """Write a run on the words-good-or-bad task, 4 layers x 6 heads, four sub-networks evaluated."""
    data_folder = runs_dir.parent / f"{runs_dir.name}-data"
    data_folder.mkdir(parents=True, exist_ok=True)
    train_file, dev_file = write_csv(data_folder, train=16, dev=12)
    source = DataSource(csv=CsvSource(train_file=train_file, dev_file=dev_file))
    data = source.load()
    torch.manual_seed(0)
    model = DynaBertForSequenceClassification.from_hf(
        backbone,
        id2label=dict(enumerate(LABELS)),
        label2id={label: number for number, label in enumerate(LABELS)},
        problem_type="single_label_classification",
    ).eval()
    importance = None
    recipe = RECIPES["dynabert"] if rewired else RECIPES["fine-tune"]
    if rewired:
        about = {"per": "example", "num_examples": "16", "split": "train"}
        neurons = torch.linspace(1, 2, LAYERS * NEURONS).reshape(LAYERS, NEURONS)
        importance = Importance(head_scores(), neurons, about)
        rewire_(model, importance)
    tokenizer = AutoTokenizer.from_pretrained(backbone)
    (dev,) = (
        encode(split, data.task, tokenizer, max_tokens=MAX_TOKENS) for split in data.dev.values()
    )
    space = SPACE if rewired else SearchSpace((1.0,), (1.0,))
    results = sweep(
        model, dev, space, metrics=data.task.metrics, latency=LatencySetup(tokens=8, repeats=2)
    )
    results = with_scores(results)
    recipe = recipe.model_copy(
        update={"width_mults": space.width_mults, "depth_mults": space.depth_mults}
    )

    def save_model(folder: Path) -> None:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)

    metrics_file = data_folder / "metrics.jsonl"
    metrics_file.write_text("".join(json.dumps(record) + "\n" for record in records(recipe)))
    runs_dir.mkdir(parents=True, exist_ok=True)
    return write_run(
        name,
        runs_dir,
        info=run_info(source, data.fingerprint, recipe, data.task.metrics),
        save_model=save_model,
        importance=importance,
        metrics_file=metrics_file,
        results=results,
    )


def with_scores(results: pd.DataFrame) -> pd.DataFrame:
    """Known scores instead of those of an untrained network."""
    scores = {"w1.00-d1.00": 0.9, "w0.50-d1.00": 0.8, "w1.00-d0.50": 0.7, COLLAPSED: 0.5}
    return results.assign(
        accuracy=[scores[key] for key in results["subnet"]],
        collapsed=[key == COLLAPSED for key in results["subnet"]],
        latency_ms=np.arange(len(results), 0, -1, dtype=float),
        latency_ms_iqr=0.2,
    )


def run_info(
    source: DataSource, fingerprint: str, recipe: Recipe, metrics: tuple[str, ...]
) -> RunInfo:
    return RunInfo(
        command="python -m dynabert train words.csv --name tiny",
        created="2026-01-02T03:04:05+00:00",
        backbone="tiny-bert",
        task=TaskInfo(
            name="train",
            title="Good or bad <b>words</b>",
            text_columns=("text",),
            labels=LABELS,
            metrics=metrics,
            source="a CSV file",
            fingerprint=fingerprint,
            num_train=16,
            num_dev=12,
        ),
        data=source,
        recipe=recipe.for_hidden_size(48).model_dump(mode="json"),
        max_tokens=MAX_TOKENS,
        seed=3,
        precision="fp32",
        machine=describe_machine(torch.device("cpu")),
        versions={"dynabert": "0"},
        stage_seconds={stage.name: 10.0 for stage in recipe.stages},
        notices=("only 16 training examples",),
    )


def records(recipe: Recipe) -> list[dict[str, object]]:
    """Two steps and one evaluation of every training stage."""
    lines: list[dict[str, object]] = []
    for stage in recipe.stages:
        if isinstance(stage, Rewire):
            continue
        for step in (1, 2):
            lines.append({"event": "step", "stage": stage.name, "step": step, "loss": 1.0 / step})
        scores = {subnet.key: 0.75 for subnet in stage.subnets.judged}
        lines.append(
            {
                "event": "evaluation",
                "stage": stage.name,
                "step": 2,
                "scores": scores,
                "collapsed": [],
                "mean": 0.75,
            }
        )
    return lines


def as_student(run: Run) -> Run:
    """The run changed, as if its recipe had trained half of its layers alone, and never the full network."""
    path = run.folder / RECIPE
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    values["recipe"] |= {"name": "dynamic-tinybert", "width_mults": [1.0], "depth_mults": [0.5]}
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    results = pd.read_parquet(run.folder / RESULTS)
    results[results["subnet"] == "w1.00-d0.50"].to_parquet(run.folder / RESULTS, index=False)
    write_manifest(run.folder)
    return Run.load(run.folder)


def rewrite_recipe(run: Run, old: str, new: str) -> None:
    """Change a run's recipe.yaml, as another task would have written it."""
    path = run.folder / RECIPE
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    write_manifest(run.folder)


def copy_run(run: Run, runs_dir: Path, name: str | None = None) -> Run:
    """The same run in another runs folder or under another name, to be spoiled or measured further."""
    runs_dir.mkdir(parents=True, exist_ok=True)
    folder = runs_dir / (name or run.name)
    shutil.copytree(run.folder, folder)
    return Run.load(folder)
