"""One width for all layers against widths by importance, at equal parameters and MACs.

    python benchmarks/per_layer_widths.py runs/cola runs/mrpc --out benchmarks/results

Nothing is trained: both are sub-networks of the same run, on its whole dev set.
"""

from __future__ import annotations

import argparse
import datetime
import statistics
from pathlib import Path

import torch

from dynabert import PAPER_SPACE, Subnet
from dynabert.evaluation import describe_machine, evaluate_many
from dynabert.examples import load_examples
from dynabert.runs import Run
from dynabert.search.per_layer import subnet_by_importance

NARROW = [subnet for subnet in PAPER_SPACE if subnet.width_mult < 1]
KINDS = ("one width", "raw", "by layer")


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare uniform with per-layer widths.")
    parser.add_argument("runs", nargs="+", type=Path, help="folders of runs")
    parser.add_argument("--out", type=Path, required=True, help="folder for the table")
    arguments = parser.parse_args()
    lines = [
        "# Widths of single layers by importance, without training again\n",
        f"`python benchmarks/per_layer_widths.py RUN ... --out benchmarks/results`, "
        f"{datetime.date.today()}, {describe_machine(torch.device('cpu'))}.\n",
        "Mean over the nine sub-networks of width below 1 (widths 0.75, 0.5, 0.25 x depths 1, 0.75, 0.5). "
        "All three have the same parameters and MACs. Importance is compared between layers as it is "
        "(raw) or divided by the norm of its layer (by layer). How the runs were trained: see "
        "[tasks](tasks/README.md); demo is the run that comes with the app.\n",
        "| run | metric | one width | raw | by layer | better of nine: raw | by layer | "
        "dev loss: one width | raw | by layer |",
        "|---|---|" + "--:|" * 8,
    ]
    for folder in arguments.runs:
        lines.append(row(Run.load(folder)))
        print(lines[-1])
    (arguments.out / "per_layer_widths.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def row(run: Run) -> str:
    model, importance, dev = run.model(), run.importance, load_examples(run).dev
    assert importance is not None, f"{run.name} was never rewired"
    metric = run.info.task.metric
    chosen: dict[str, list[Subnet]] = {
        "one width": NARROW,
        "raw": [subnet_by_importance(model, importance, one) for one in NARROW],
        "by layer": [
            subnet_by_importance(model, importance, one, comparison="by layer") for one in NARROW
        ],
    }
    found = {
        kind: evaluate_many(model, dev, subnets, metrics=run.info.task.metrics)
        for kind, subnets in chosen.items()
    }
    scores = {kind: [one.metrics[metric] for one in found[kind]] for kind in KINDS}
    losses = {kind: statistics.mean(one.loss for one in found[kind]) for kind in KINDS}
    better = [
        sum(a > b for a, b in zip(scores[kind], scores["one width"], strict=True))
        for kind in KINDS[1:]
    ]
    cells = [
        *(f"{100 * statistics.mean(scores[kind]):.1f}" for kind in KINDS),
        *map(str, better),
        *(f"{losses[kind]:.3f}" for kind in KINDS),
    ]
    return f"| {run.name} | {metric} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
