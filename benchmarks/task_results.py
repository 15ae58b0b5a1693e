"""Collect the results of runs into committed tables.

    python benchmarks/task_results.py runs/cola-minilm runs/rte-minilm --out benchmarks/results/tasks

For each run a CSV file with a row for each sub-network, and one README.md with all of them: the
dev scores by width and depth, and the command, seed, machine and time that they came from.
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

import pandas as pd
from commands import portable

from dynabert.files import write_text_atomically
from dynabert.results import as_csv
from dynabert.runs import Run

LATENCIES = (
    "Latencies were measured when a run ended, on the machine named with it and beside whatever else it "
    "did; before 22 November 2026 a classifier's last layer computed more than its head reads. "
    "`python -m dynabert sweep RUN` measures anew; `--keep` keeps latencies of the run's own machine."
)


def main() -> None:
    parser = argparse.ArgumentParser(description="Collect the results of runs into tables.")
    parser.add_argument("runs", nargs="+", type=Path, help="folders of runs")
    parser.add_argument("--out", type=Path, required=True, help="folder for the tables")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    runs = [Run.load(folder) for folder in arguments.runs]
    for run in runs:
        write_text_atomically(arguments.out / f"{run.name}.csv", as_csv(run.results))
    text = f"# Dev scores of the sub-networks\n\n{LATENCIES}\n\n" + "\n".join(map(section, runs))
    write_text_atomically(arguments.out / "README.md", text)
    print(text)


def section(run: Run) -> str:
    """One run in Markdown."""
    info = run.info
    seconds = sum(info.stage_seconds.values())
    stages = ", ".join(f"{name} {value / 60:.1f}" for name, value in info.stage_seconds.items())
    versions = ", ".join(f"{name} {version}" for name, version in info.versions.items())
    parts = [
        f"## {info.task.title}\n",
        f"- Command: `{portable(shlex.split(info.command))}`",
        f"- Backbone {info.backbone}, recipe {info.recipe['name']}, seed {info.seed}, "
        f"{info.precision}, {info.created[:10]}",
        f"- {info.task.num_train:,} training and {info.task.num_dev:,} dev examples "
        f"(sha256 {info.task.fingerprint[:12]}...)",
        f"- Machine: {info.machine}; {versions}",
        f"- Training took {seconds / 60:.1f} minutes ({stages})",
        *(f"- Note: {notice}" for notice in info.notices),
    ]
    for metric in info.task.metrics:
        parts += ["", f"Dev {metric}, in percent:", "", matrix(run.results, metric)]
    costs = run.results.set_index("subnet")
    smallest, full = costs.loc["w0.25-d0.50"], costs.loc["w1.00-d1.00"]
    parts += [
        "",
        f"The smallest has {smallest['num_params'] / full['num_params']:.0%} of the full network's "
        f"Transformer parameters, {smallest['macs'] / full['macs']:.0%} of its MACs, and answers in "
        f"{smallest['latency_ms']:.1f} ms instead of {full['latency_ms']:.1f} ms "
        f"(one sentence of {full['tokens']} tokens, median).",
    ]
    return "\n".join(parts) + "\n"


def matrix(results: pd.DataFrame, metric: str) -> str:
    """Depths down, widths across; a collapsed sub-network is marked."""
    widths = sorted(results["width_mult"].unique(), reverse=True)
    depths = sorted(results["depth_mult"].unique(), reverse=True)
    cells = {(row["width_mult"], row["depth_mult"]): row for row in results.to_dict("records")}
    lines = ["| m_d \\ m_w | " + " | ".join(f"{width:g}x" for width in widths) + " |"]
    lines.append("|---|" + "--:|" * len(widths))
    for depth in depths:
        shown = [
            f"{100 * cells[width, depth][metric]:.1f}"
            + (" (collapsed)" if cells[width, depth]["collapsed"] else "")
            for width in widths
        ]
        lines.append(f"| {depth:g}x | " + " | ".join(shown) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
