"""What dropping tokens saves: measured time of a forward pass against multiply-accumulate operations.

    python benchmarks/length_cost.py --out benchmarks/results

Every layer drops the same share of the tokens that enter it. Shares of one setting are timed in
turn, in a new random order each time, so that a slow moment of the machine falls on all alike.
"""

from __future__ import annotations

import argparse
import datetime
from pathlib import Path

import torch

from dynabert import DynaBertForQuestionAnswering, Subnet
from dynabert.backbones import find_backbone
from dynabert.evaluation import describe_machine
from dynabert.evaluation.cost import count_macs
from dynabert.evaluation.latency import LatencySetup, measure_latency
from dynabert.length_config import shrinking
from dynabert.training.memory import limit_kernel_caches

DROPS = (0.0, 0.05, 0.1, 0.2, 0.3)
SETTINGS = ((32, 1), (128, 1), (384, 1), (32, 32), (128, 32), (384, 32))  # tokens, sentences
HEADER = (
    "| tokens | batch | every layer drops | tokens left by the last | MACs, millions | ms | "
    "fewer MACs | faster | of what MACs promise |"
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
        f"`python benchmarks/length_cost.py --out benchmarks/results`, {datetime.date.today()}, "
        f"{describe_machine(torch.device('cpu'))}, float32; minilm ({layers} layers x "
        f"{model.config.hidden_size}) with a head that reads every token; median of "
        f"{arguments.repeats} interleaved passes (a third of them where a pass has 32 sentences).\n",
        HEADER,
        "|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for tokens, batch_size in SETTINGS:
        repeats = arguments.repeats if batch_size == 1 else max(5, arguments.repeats // 3)
        setup = LatencySetup(tokens=tokens, batch_size=batch_size, repeats=repeats)
        times = [one.median_ms for one in measure_latency(model, subnets, setup)]
        macs = [count_macs(model, one, tokens) for one in subnets]
        for drop, subnet, time, operations in zip(DROPS, subnets, times, macs, strict=True):
            fewer, faster = macs[0] / operations, times[0] / time
            left = subnet.resolve(model.config.shape).tokens_left(tokens)[-1]
            kept = f"{(faster - 1) / (fewer - 1):.0%}" if drop else ""
            lines.append(
                f"| {tokens} | {batch_size} | {drop:.0%} | {left} | {operations / 1e6:,.0f} | "
                f"{time:,.1f} | {fewer:.2f} x | {faster:.2f} x | {kept} |"
            )
            print(lines[-1], flush=True)
    (arguments.out / "length_cost.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
