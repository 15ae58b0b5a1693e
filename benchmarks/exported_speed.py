"""What sub-networks that are taken away weigh, take and score: in PyTorch, as ONNX, as ONNX in 8 bits.

    python benchmarks/exported_speed.py runs/demo --out benchmarks/results

All three ways of one sub-network are timed on the same inputs: several passes of each, in five rounds, each
in a random order.
Scores are of the files themselves, on all of dev.
"""

from __future__ import annotations

import argparse
import datetime
import tempfile
from pathlib import Path

import numpy as np
import torch
from commands import this_command

from dynabert import Subnet
from dynabert.evaluation import LatencySetup, describe_machine, evaluate
from dynabert.examples import load_examples
from dynabert.export import export_bytes
from dynabert.export.onnx_file import quantize_onnx, write_onnx
from dynabert.export.onnx_network import OnnxNetwork, evaluate_onnx, time_beside
from dynabert.files import write_text_atomically
from dynabert.reproduction.collect import current_commit
from dynabert.runs import Run
from dynabert.training.memory import limit_kernel_caches

SUBNETS = (Subnet(), Subnet(0.5), Subnet(1.0, 0.5), Subnet(0.5, 0.5), Subnet(0.25, 0.5))
SETTINGS = ((16, 1), (128, 1), (32, 32))  # tokens, texts
WAYS = ("PyTorch", "ONNX", "ONNX, 8-bit")


def main() -> None:
    parser = argparse.ArgumentParser(description="Time and score sub-networks as ONNX files.")
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder for the table")
    parser.add_argument("--repeats", type=int, default=40)
    arguments = parser.parse_args()
    limit_kernel_caches()
    arguments.out.mkdir(parents=True, exist_ok=True)
    run = Run.load(arguments.run)
    model, tokenizer = run.model(), run.tokenizer()
    dev, task = load_examples(run).dev, run.info.task
    settings = " | ".join(f"{tokens} x {texts}, ms" for tokens, texts in SETTINGS)
    lines = [
        "# Sub-networks as ONNX files",
        "",
        f"`{this_command()}`  ",
        f"{describe_machine(torch.device('cpu'))}, {datetime.date.today()}; run `{run.name}`, seed "
        f"{run.info.seed}; commit {current_commit()}. "
        f"Median of {arguments.repeats} passes, tokens x texts; in brackets how many times as fast as "
        f"PyTorch in 32 bits. Dev {task.metric} on all {dev.num_examples:,} examples, by "
        "the file itself.",
        "",
        f"| sub-network | way | MB | dev {task.metric} | other answers | {settings} |",
        "|---|---|--:|--:|--:|" + "--:|" * len(SETTINGS),
    ]
    with tempfile.TemporaryDirectory() as scratch:
        for subnet in SUBNETS:
            exact, small = Path(scratch) / "exact.onnx", Path(scratch) / "small.onnx"
            taken = model.extract(subnet)
            write_onnx(taken, exact, tokenizer.model_input_names)
            quantize_onnx(exact, small)
            networks = OnnxNetwork(exact), OnnxNetwork(small)
            found = [
                evaluate(model, dev, subnet, metrics=task.metrics),
                *(evaluate_onnx(one, model, subnet, dev, metrics=task.metrics) for one in networks),
            ]
            times = [
                time_beside(
                    taken,
                    networks,
                    LatencySetup(tokens=tokens, batch_size=texts, repeats=arguments.repeats),
                )
                for tokens, texts in SETTINGS
            ]
            sizes = [export_bytes(model, subnet), *(one.stat().st_size for one in (exact, small))]
            for number, way in enumerate(WAYS):
                changed = int(np.sum(found[number].predictions != found[0].predictions))
                cells = [
                    f"{row[number].median_ms:.2f}"
                    + (f" ({row[0].median_ms / row[number].median_ms:.1f})" if number else "")
                    for row in times
                ]
                lines.append(
                    f"| {subnet.key} | {way} | {sizes[number] / 1e6:.1f} | "
                    f"{100 * found[number].metrics[task.metric]:.1f} | {changed if number else ''} | "
                    f"{' | '.join(cells)} |"
                )
                print(lines[-1], flush=True)
            write_text_atomically(arguments.out / "exported_speed.md", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
