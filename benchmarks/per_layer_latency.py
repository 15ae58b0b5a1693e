"""One width for all layers against widths of single layers, at equal predicted latency: scores and clock.

    python benchmarks/per_layer_latency.py runs/demo runs/cola --out benchmarks/results

For every width and depth: the uniform sub-network, the one of as many heads and neurons in all that
are distributed by importance, and what `subnet_for_latency` chooses for the latency that this machine's
table predicts of the uniform one. Nothing is trained. All of a run are scored on its whole dev set and
timed in turn, in a new random order each time. A run without a table of this machine gets one first,
which is kept with it.
"""

from __future__ import annotations

import argparse
import datetime
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import torch
from commands import this_command

from dynabert import Subnet
from dynabert.evaluation import LatencySetup, describe_machine, evaluate_many, measure_latency
from dynabert.evaluation.latency_parts import measure_latency_table
from dynabert.evaluation.latency_table import (
    LatencyTable,
    find_latency_table,
    keep_latency_table,
)
from dynabert.examples import load_examples
from dynabert.files import write_text_atomically
from dynabert.modeling.models import TaskModel
from dynabert.runs import Run
from dynabert.search.knapsack import Objective, subnet_for_latency
from dynabert.search.per_layer import subnet_by_importance
from dynabert.subnet import SearchSpace
from dynabert.training.memory import limit_kernel_caches

COMPARISONS: tuple[Objective, ...] = ("raw", "by layer", "shares")
KINDS = ("one width", "equal parameters", "knapsack, raw", "knapsack, by layer", "knapsack, shares")
RESULT = "per_layer_latency.md"


@dataclass(frozen=True, kw_only=True)
class Found:
    """One sub-network, measured."""

    uniform: Subnet  # that it stands beside
    kind: str
    subnet: Subnet
    score: float
    loss: float
    predicted_ms: float
    measured_ms: float
    iqr_ms: float


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare widths at equal predicted latency.")
    parser.add_argument("runs", nargs="+", type=Path, help="folders of runs")
    parser.add_argument("--out", type=Path, required=True, help="folder for the table")
    parser.add_argument("--widths", type=float, nargs="+", default=[0.75, 0.5, 0.25])
    parser.add_argument("--depths", type=float, nargs="+", default=[1.0, 0.5])
    parser.add_argument("--tokens", type=int, help="of a text; left out: as the run's own results")
    parser.add_argument("--repeats", type=int, default=30, help="passes of each sub-network")
    parser.add_argument("--seed", type=int, default=0, help="of the order, and of a new table")
    parser.add_argument("--data-dir", type=Path, help="of the runs' task; left out: as trained")
    arguments = parser.parse_args()
    limit_kernel_caches()
    arguments.out.mkdir(parents=True, exist_ok=True)
    lines = [
        "# Widths of single layers, at equal predicted latency",
        "",
        f"`{this_command()}`, {datetime.date.today()}, "
        f"{describe_machine(torch.device('cpu'))}, seed {arguments.seed}.",
        "",
        "Nothing is trained: all are sub-networks of the same run. *Equal parameters*: as many heads and",
        "neurons in all as the one width keeps, distributed by importance. *Knapsack*: most importance in",
        "the latency that the table predicts of the one width; importance is compared between layers as it",
        "is (raw) or by its share of the norm of its layer (by layer). Measured: median and distance of the",
        f"quartiles of {arguments.repeats} passes of one text, all of a run in turn.",
        "",
    ]
    space = SearchSpace(tuple(arguments.widths), tuple(arguments.depths))
    for folder in arguments.runs:
        lines += report(Run.load(folder), space, arguments)
        write_text_atomically(arguments.out / RESULT, "\n".join(lines))
    print("\n".join(lines))


def report(run: Run, space: SearchSpace, arguments: argparse.Namespace) -> list[str]:
    """The lines about one run."""
    model, metric = run.model(), run.info.task.metric
    tokens = arguments.tokens or int(run.results["tokens"].iloc[0])
    table = table_of(run, model, tokens, arguments.seed)
    found = measured(run, model, table, tokens, space, arguments)
    off = mean(abs(one.predicted_ms / one.measured_ms - 1) for one in found)
    lines = [
        f"## {run.name}: {tokens} tokens",
        "",
        f"The table was off by {table.error:.1%} on average on the {table.checked} sub-networks that it",
        f"was checked on, and by {off:.1%} on these. Means over the widths "
        f"{', '.join(map(str, space.width_mults))}:",
        "",
        f"| depth | widths | {metric} | dev loss | predicted ms | measured ms |",
        "|--:|---|--:|--:|--:|--:|",
    ]
    for depth in space.depth_mults:
        for kind in KINDS:
            some = [one for one in found if one.uniform.depth_mult == depth and one.kind == kind]
            cells = (
                f"{100 * mean(one.score for one in some):.1f}",
                f"{mean(one.loss for one in some):.3f}",
                f"{mean(one.predicted_ms for one in some):.2f}",
                f"{mean(one.measured_ms for one in some):.2f}",
            )
            lines.append(f"| {depth:g} | {kind} | {' | '.join(cells)} |")
    lines += [
        "",
        f"| beside | widths | heads | neurons | {metric} | dev loss | predicted ms | measured ms (IQR) |",
        "|---|---|---|---|--:|--:|--:|--:|",
    ]
    for one in found:
        resolved = one.subnet.resolve(model.config.shape)
        cells = (
            one.uniform.key,
            one.kind,
            " ".join(map(str, resolved.heads)),
            " ".join(map(str, resolved.neurons)),
            f"{100 * one.score:.1f}",
            f"{one.loss:.3f}",
            f"{one.predicted_ms:.2f}",
            f"{one.measured_ms:.2f} ({one.iqr_ms:.2f})",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def table_of(run: Run, model: TaskModel, tokens: int, seed: int) -> LatencyTable:
    """The run's table of this machine, measured first where there is none."""
    table = find_latency_table(run.folder, model, 1, tokens)
    if table is None:
        run.check_writable()
        print(f"{run.name}: measuring the latency table", file=sys.stderr, flush=True)
        table = measure_latency_table(
            model,
            max_tokens=max(2, tokens),
            seed=seed,
            on_repeat=lambda done: print(f"\r{done} repeats ", end="", file=sys.stderr, flush=True),
        )
        print(file=sys.stderr)
        keep_latency_table(table, run.folder, model.device)
    return table


def measured(
    run: Run,
    model: TaskModel,
    table: LatencyTable,
    tokens: int,
    space: SearchSpace,
    arguments: argparse.Namespace,
) -> list[Found]:
    """Every kind beside every uniform sub-network."""
    importance, task = run.importance, run.info.task
    if importance is None:
        raise SystemExit(f"{run.name} was never rewired: its heads are in no order of importance.")
    cases: list[tuple[Subnet, str, Subnet]] = []
    for uniform in space:
        budget = table.predict(model, uniform, tokens)
        by_budget = [
            subnet_for_latency(
                model,
                importance,
                uniform,
                budget_ms=budget,
                table=table,
                tokens=tokens,
                comparison=comparison,
            )
            for comparison in COMPARISONS
        ]
        equal = subnet_by_importance(model, importance, uniform)
        chosen = (uniform, equal, *by_budget)
        cases += [(uniform, kind, one) for kind, one in zip(KINDS, chosen, strict=True)]
    subnets = [subnet for *_, subnet in cases]
    dev = load_examples(run, arguments.data_dir).dev
    scores = evaluate_many(model, dev, subnets, metrics=task.metrics)
    setup = LatencySetup(tokens=tokens, repeats=arguments.repeats, seed=arguments.seed)
    times = measure_latency(model, subnets, setup)
    return [
        Found(
            uniform=uniform,
            kind=kind,
            subnet=subnet,
            score=score.metrics[task.metric],
            loss=score.loss,
            predicted_ms=table.predict(model, subnet, tokens),
            measured_ms=time.median_ms,
            iqr_ms=time.iqr_ms,
        )
        for (uniform, kind, subnet), score, time in zip(cases, scores, times, strict=True)
    ]


if __name__ == "__main__":
    main()
