"""`dynabert evaluate`."""

from __future__ import annotations

import dataclasses
import json

from dynabert.cli.display import TrainingDisplay, apart_from, console, finite, in_figures
from dynabert.cli.options import (
    AsJson,
    DataDir,
    Depth,
    RunName,
    RunsDir,
    SubnetKey,
    Width,
    chosen_subnet,
)
from dynabert.cli.run_examples import examples_of
from dynabert.evaluation.cost import num_params
from dynabert.evaluation.quality import evaluate as evaluate_subnet
from dynabert.evaluation.quality import metric_on
from dynabert.runs import RUNS_DIR, find_run
from dynabert.training.events import Working


def evaluate(
    run: RunName,
    width: Width = 1.0,
    depth: Depth = 1.0,
    subnet: SubnetKey = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Score one sub-network on the dev set.

    Example: python -m dynabert evaluate demo --width 0.5 --depth 0.75
    """
    chosen = chosen_subnet(width, depth, subnet)
    opened = find_run(run, runs_dir)
    model = opened.model()
    resolved = chosen.resolve(model.config.shape)
    told, metrics = apart_from(as_json), opened.info.task.metrics
    examples = examples_of(opened, data_dir, told=told)
    with TrainingDisplay(told) as display:
        total = examples.num_dev
        result = evaluate_subnet(
            model,
            examples.dev,
            chosen,
            metrics=metrics,
            other_splits=examples.other_dev,
            on_batch=lambda done: display(Working(what="evaluate", done=done, total=total)),
        )
    if as_json:
        values = {
            "subnet": chosen.key,
            **dataclasses.asdict(resolved),
            "length_config": resolved.length_config and resolved.length_config.key,
            **result.metrics,
            "loss": result.loss,
            "collapsed": result.collapsed,
            "num_examples": result.num_examples,
            "num_params": num_params(model, chosen),
        }
        console.print_json(json.dumps(finite(values)))
        return
    console.print(f"{opened.name}, {chosen.key}: {resolved}")
    scores = in_figures(result.metrics, metrics)
    console.print(f"dev, {result.num_examples:,} examples: {scores}  loss {result.loss:.4f}")
    for split, others in examples.other_dev.items():
        scores = "  ".join(
            f"{name} {result.metrics[metric_on(split, name)]:.4f}" for name in metrics
        )
        console.print(f"dev {split}, {others.num_examples:,} examples: {scores}")
    if result.collapsed:
        console.print("[red]Collapsed: it gives every example the same answer.[/]")
