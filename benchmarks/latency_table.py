"""How well a table of layers' times tells the latency of whole sub-networks, on this machine.

    python benchmarks/latency_table.py runs/demo --out benchmarks/results

For each number of tokens a table is measured, as `dynabert latency` does, with what it says of its own error
on sub-networks that it has not seen. Then the paper's twelve are timed in turn at exactly so many tokens,
again and again, as whoever serves one of them would use it, and compared with the table. The run keeps none.
"""

from __future__ import annotations

import argparse
import datetime
import time
from pathlib import Path

import numpy as np
import torch
from commands import this_command

from dynabert.evaluation import LatencySetup, describe_machine, measure_latency
from dynabert.evaluation.latency_parts import measure_latency_table
from dynabert.files import write_text_atomically
from dynabert.modeling.models import TaskModel
from dynabert.runs import Run
from dynabert.subnet import PAPER_DEPTHS, PAPER_WIDTHS, SearchSpace

TOKENS = (32, 64, 128)


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare latency tables with the clock.")
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder for latency_table.md")
    parser.add_argument("--tokens", type=int, nargs="+", default=TOKENS)
    parser.add_argument("--batch", type=int, default=1, help="texts of a pass")
    parser.add_argument("--repeats", type=int, default=30, help="passes of each of the twelve")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    model = Run.load(arguments.run).model()
    rows = [compared(model, tokens, arguments) for tokens in arguments.tokens]
    text = "\n".join(
        [
            "# Latency tables and the clock",
            "",
            f"`{this_command()}`, {datetime.date.today()}, {describe_machine(torch.device('cpu'))}, "
            f"seed {arguments.seed}; {arguments.run.name}, texts of a pass: {arguments.batch}.",
            "",
            "*Unseen*: random sub-networks of random lengths, timed in turn with all that the table is made "
            "from, as it says of itself. *The twelve*: the paper's widths and depths at exactly so many "
            f"tokens, medians of {arguments.repeats} passes in turn, without anything else. Off: "
            "|predicted / measured - 1|.",
            "",
            "| tokens | measured in, s | unseen: off, mean | worst | the twelve: off, mean | worst | "
            "predicted / measured, mean |",
            "|--:|--:|--:|--:|--:|--:|--:|",
            *rows,
        ]
    )
    print(text)
    write_text_atomically(arguments.out / "latency_table.md", text + "\n")


def compared(model: TaskModel, tokens: int, arguments: argparse.Namespace) -> str:
    """A row: what a table for so many tokens took, and how far off it is."""
    start = time.perf_counter()
    table = measure_latency_table(
        model, max_tokens=tokens, batch_size=arguments.batch, seed=arguments.seed
    )
    seconds = time.perf_counter() - start
    subnets = list(SearchSpace(width_mults=PAPER_WIDTHS, depth_mults=PAPER_DEPTHS))
    setup = LatencySetup(
        tokens=tokens,
        batch_size=arguments.batch,
        repeats=arguments.repeats,
        seed=arguments.seed,
    )
    measured = [found.median_ms for found in measure_latency(model, subnets, setup)]
    ratios = np.array([table.predict(model, subnet, tokens) for subnet in subnets]) / measured
    off = np.abs(ratios - 1)
    return (
        f"| {tokens} | {seconds:.0f} | {table.error:.1%} | {table.worst:.1%} | {off.mean():.1%} | "
        f"{off.max():.1%} | {ratios.mean():.2f} |"
    )


if __name__ == "__main__":
    main()
