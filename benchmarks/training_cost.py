"""What a training step costs: time, memory, an epoch, and the same padded to 128 in float32.

    python benchmarks/training_cost.py [--data-dir FOLDER_WITH_GLUE] [--out benchmarks/results]

Every way of training runs in a process of its own (so that memory can be told apart), one after
another, on the same batches of 32 sentences: of CoLA with --data-dir, else of the teaching set.
Prints seconds a step, ratios and peak memory, and writes them as a table.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from commands import this_command

from dynabert import PAPER_SPACE, DynaBertForSequenceClassification, Subnet
from dynabert.backbones import find_backbone, load_tokenizer
from dynabert.data.encoding import Batch, EncodedSplit, bucketed_batches, encode
from dynabert.data.source import DataSource
from dynabert.distillation import hidden_loss, matched_states, prediction_loss
from dynabert.evaluation.latency import describe_machine
from dynabert.subnet import FULL, PAPER_WIDTHS
from dynabert.training.loop import REPORT_STEPS
from dynabert.training.memory import limit_kernel_caches, release_unused
from dynabert.training.optimizer import make_optimizer
from dynabert.training.precision import resolve_precision
from dynabert.training.stage import Losses, Teacher
from dynabert.training.step import accumulate_gradients

BATCH_SIZE = 32
PADDED = 128
LABELS, DISTIL = Losses(labels=1.0), Losses(prediction=1.0, hidden=1.0)


@dataclass(frozen=True, kw_only=True)
class Way:
    """A way of training the same thing."""

    title: str
    bf16: bool
    pad_to: int | None = None  # None: each batch to its own longest
    shares: bool = True  # teacher and embedding work done once a step
    steps: int = 12


WAYS = {
    "ours": Way(title="own longest, bf16 where fast, shared work", bf16=True),
    "fp32": Way(title="own longest, fp32, shared work", bf16=False),
    "padded": Way(
        title=f"padded to {PADDED}, fp32, shared work", bf16=False, pad_to=PADDED, steps=3
    ),
    "naive": Way(
        title=f"padded to {PADDED}, fp32, each sub-network on its own",
        bf16=False,
        pad_to=PADDED,
        shares=False,
        steps=3,
    ),
}


def main() -> None:
    arguments = _arguments()
    if arguments.way:
        found = measure(WAYS[arguments.way], arguments.data_dir, whole_epoch=arguments.whole_epoch)
        print(json.dumps(found))
        return
    results = {}
    for name in WAYS:
        command = [sys.executable, __file__, "--way", name]
        if arguments.data_dir:
            command += ["--data-dir", str(arguments.data_dir)]
        if arguments.whole_epoch and name == "ours":
            command.append("--whole-epoch")
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        results[name] = json.loads(done.stdout.splitlines()[-1])
        print(name, results[name], flush=True)
    report = as_table(results, arguments)
    print(report)
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "training_cost.md").write_text(report, encoding="utf-8")


def measure(way: Way, data_dir: Path | None, *, whole_epoch: bool) -> dict[str, float]:
    """Median seconds of a step and seconds of an epoch of each kind, and peak memory in GB."""
    limit_kernel_caches()
    torch.manual_seed(0)
    source = find_backbone("minilm")
    task = "cola" if data_dir else "teaching"
    data = DataSource(task=task, data_dir=data_dir).load()
    split = encode(data.train, data.task, load_tokenizer(source), max_tokens=PADDED)
    student, teacher = (DynaBertForSequenceClassification.from_hf(source) for _ in range(2))
    student.train()
    teacher.eval().requires_grad_(False)
    kinds: dict[str, tuple[list[Subnet], Losses, Teacher]] = {
        "fine-tune": ([FULL], LABELS, Teacher(width="full")),
        "width": ([Subnet(width) for width in PAPER_WIDTHS], DISTIL, Teacher(width="full")),
        "width-depth": (list(PAPER_SPACE), DISTIL, Teacher(width="same")),
    }
    step_of = shared_step if way.shares else separate_step
    found: dict[str, float] = {}
    for kind, (subnets, losses, width) in kinds.items():
        step = step_of(student, teacher, subnets, losses, width, bf16=way.bf16)
        order = bucketed_batches(split.lengths, BATCH_SIZE, torch.Generator().manual_seed(0))
        batches = [padded(split.batch(rows), split, way.pad_to) for rows in order[: way.steps + 1]]
        seconds = [timed(step, batch) for batch in batches][1:]  # the first one warms up
        found[kind] = statistics.median(seconds)
        if whole_epoch:
            started = time.perf_counter()
            for number, rows in enumerate(order, 1):
                step(split.batch(rows))
                if number % REPORT_STEPS == 0:
                    release_unused()
            found[f"{kind} epoch"] = time.perf_counter() - started
        else:
            found[f"{kind} epoch"] = statistics.mean(seconds) * len(order)
    found["memory_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    found["num_steps"] = len(order)
    return found


Step = Callable[[Batch], None]


def shared_step(
    student: DynaBertForSequenceClassification,
    teacher: DynaBertForSequenceClassification,
    subnets: list[Subnet],
    losses: Losses,
    teaching: Teacher,
    *,
    bf16: bool,
) -> Step:
    """The step that `dynabert train` takes."""
    optimizer = make_optimizer(student, 0.0)
    fast = bf16 and resolve_precision("auto", torch.device("cpu")) == "bf16"

    def step(batch: Batch) -> None:
        optimizer.zero_grad()
        accumulate_gradients(
            student,
            batch,
            subnets,
            losses,
            teacher=teacher if losses.need_teacher else None,
            teaching=teaching,
            autocast=lambda: torch.autocast("cpu", torch.bfloat16, enabled=fast),
        )
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()

    return step


def separate_step(
    student: DynaBertForSequenceClassification,
    teacher: DynaBertForSequenceClassification,
    subnets: list[Subnet],
    losses: Losses,
    teaching: Teacher,
    *,
    bf16: bool,
) -> Step:
    """Algorithm 1 word for word: every sub-network runs from the words up, with a teacher pass each."""
    optimizer = make_optimizer(student, 0.0)

    def loss_of(batch: Batch, subnet: Subnet) -> torch.Tensor:
        out = student(**batch, subnet=subnet, output_hidden_states=losses.need_teacher)
        if not losses.need_teacher:
            return out.loss
        inputs = {name: value for name, value in batch.items() if name != "labels"}
        wanted = Subnet(subnet.width_mult) if teaching.width == "same" else FULL
        with torch.no_grad():
            taught = teacher(**inputs, subnet=wanted, output_hidden_states=True)
        layers = subnet.resolve(student.config.shape).layers
        matched = matched_states(layers, student.config.num_hidden_layers)
        theirs = [taught.hidden_states[state] for state in matched]
        return prediction_loss(out.logits, taught.logits) + hidden_loss(
            out.hidden_states, theirs, batch["attention_mask"]
        )

    def step(batch: Batch) -> None:
        optimizer.zero_grad()
        for subnet in subnets:
            loss_of(batch, subnet).backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()

    return step


def padded(batch: Batch, split: EncodedSplit, pad_to: int | None) -> Batch:
    """The batch with its rows filled up to `pad_to` tokens."""
    if pad_to is None:
        return batch
    missing = pad_to - batch["input_ids"].shape[1]
    fill = {"input_ids": split.pad_token_id, "attention_mask": 0, "token_type_ids": 0}
    return {
        name: torch.nn.functional.pad(value, (0, missing), value=fill[name])
        if name in fill
        else value
        for name, value in batch.items()
    }


def timed(step: Step, batch: Batch) -> float:
    started = time.perf_counter()
    step(batch)
    return time.perf_counter() - started


def as_table(results: dict[str, dict[str, float]], arguments: argparse.Namespace) -> str:
    """The measurements side by side, in Markdown."""
    sentences = "CoLA" if arguments.data_dir else "teaching set"
    timed_whole = "of the first row timed whole, of the others " * arguments.whole_epoch
    ours = results["ours"]
    lines = [
        "# Cost of training",
        "",
        f"Command: `{this_command()}`  ",
        f"Machine: {describe_machine(torch.device('cpu'))}  ",
        f"Date: {time.strftime('%Y-%m-%d')}; backbone minilm; {sentences}, batch {BATCH_SIZE}; seed 0; "
        "each way in its own process, one after another.",
        "",
        "Seconds a step (median); width-depth trains 12 sub-networks with their teachers in each step.",
        "",
        "| way | fine-tune | width | width-depth | width-depth / fine-tune | against ours | peak memory |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name, found in results.items():
        lines.append(
            f"| {WAYS[name].title} | {found['fine-tune']:.3f} | {found['width']:.3f} "
            f"| {found['width-depth']:.3f} | {found['width-depth'] / found['fine-tune']:.1f} x "
            f"| {found['width-depth'] / ours['width-depth']:.1f} x | {found['memory_gb']:.2f} GB |"
        )
    lines += [
        "",
        f"Seconds an epoch ({ours['num_steps']:.0f} steps; {timed_whole}mean step x steps):",
        "",
        "| way | fine-tune | width | width-depth |",
        "|---|--:|--:|--:|",
    ]
    for name, found in results.items():
        epochs = " | ".join(
            f"{found[f'{kind} epoch']:.0f}" for kind in ("fine-tune", "width", "width-depth")
        )
        lines.append(f"| {WAYS[name].title} | {epochs} |")
    return "\n".join(lines) + "\n"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data-dir", type=Path, help="folder with the GLUE files: measures CoLA")
    parser.add_argument("--out", type=Path, help="folder for the table")
    parser.add_argument(
        "--whole-epoch", action="store_true", help="time whole epochs of the first way, minutes"
    )
    parser.add_argument("--way", choices=WAYS, help="measure one way only, and print JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
