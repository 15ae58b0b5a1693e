"""What dropping tokens saves: measured time of a forward pass against operations, and against the model.

    python benchmarks/length_cost.py --out benchmarks/results

Every layer drops the same share of the tokens that enter it. Shares of one setting are timed in
turn, in a new random order each time, so that a slow moment of the machine falls on all alike. *Modelled*
is what the table of `dynabert latency` for one text at a time predicts, measured just before.
"""

from __future__ import annotations

import argparse
import datetime
from pathlib import Path
from statistics import mean

import torch
from commands import this_command

from dynabert import DynaBertForQuestionAnswering, Subnet
from dynabert.backbones import find_backbone
from dynabert.evaluation import describe_machine
from dynabert.evaluation.cost import count_macs
from dynabert.evaluation.latency import LatencySetup, measure_latency
from dynabert.evaluation.latency_parts import measure_latency_table
from dynabert.evaluation.latency_table import LatencyTable
from dynabert.length_config import shrinking
from dynabert.modeling.models import TaskModel
from dynabert.training.memory import limit_kernel_caches

DROPS = (0.0, 0.05, 0.1, 0.2, 0.3)
SETTINGS = ((32, 1), (128, 1), (384, 1), (32, 32), (128, 32), (384, 32))  # tokens, sentences
HEADER = (
    "| tokens | batch | every layer drops | tokens left by the last | MACs, millions | ms | modelled, ms | "
    "off | fewer MACs | faster | of what MACs promise |"
)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time sub-networks that drop tokens.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the table")
    parser.add_argument("--repeats", type=int, default=30)
    arguments = parser.parse_args()
    limit_kernel_caches()
    # The head that needs every token: nothing but the length is saved.
    model = DynaBertForQuestionAnswering.from_hf(find_backbone("minilm"))
    layers = model.config.num_hidden_layers
    subnets = [Subnet(length_config=shrinking(layers, drop) if drop else None) for drop in DROPS]
    lines = [
        "# What dropping tokens saves\n",
        f"`{this_command()}`, {datetime.date.today()}, "
        f"{describe_machine(torch.device('cpu'))}, float32; minilm ({layers} layers x "
        f"{model.config.hidden_size}) with a head that reads every token; median of "
        f"{arguments.repeats} interleaved passes (a third of them where a pass has 32 sentences).\n",
        HEADER,
        "|" + "--:|" * HEADER.count(" | ") + "--:|",
    ]
    table = latency_table(model, arguments.repeats)
    errors = []
    for tokens, batch_size in SETTINGS:
        repeats = arguments.repeats if batch_size == 1 else max(5, arguments.repeats // 3)
        setup = LatencySetup(tokens=tokens, batch_size=batch_size, repeats=repeats)
        times = [one.median_ms for one in measure_latency(model, subnets, setup)]
        macs = [count_macs(model, one, tokens) for one in subnets]
        for drop, subnet, time, operations in zip(DROPS, subnets, times, macs, strict=True):
            fewer, faster = macs[0] / operations, times[0] / time
            left = subnet.resolve(model.config.shape).tokens_left(tokens)[-1]
            modelled = ""
            if batch_size == 1:
                predicted = table.predict(model, subnet, tokens)
                errors.append(predicted / time - 1)
                modelled = f"{predicted:,.1f} | {errors[-1]:+.0%}"
            kept = f"{(faster - 1) / (fewer - 1):.0%}" if drop else ""
            lines.append(
                f"| {tokens} | {batch_size} | {drop:.0%} | {left} | {operations / 1e6:,.0f} | "
                f"{time:,.1f} | {modelled or ' | '} | {fewer:.2f} x | "
                f"{faster:.2f} x | {kept} |"
            )
            print(lines[-1], flush=True)
    lines += [
        "",
        f"The model is off by {mean(map(abs, errors)):.1%} on average here, and by {table.error:.1%} on the "
        f"{table.checked} sub-networks and lengths that it was checked on when it was measured.",
    ]
    (arguments.out / "length_cost.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def latency_table(model: TaskModel, repeats: int) -> LatencyTable:
    """As `dynabert latency` measures it, for the longest text here."""
    print("measuring the table", flush=True)
    longest = max(tokens for tokens, _ in SETTINGS)
    return measure_latency_table(model, max_tokens=longest, repeats=repeats)


if __name__ == "__main__":
    main()
