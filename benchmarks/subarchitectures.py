"""Optimal subarchitecture extraction on trained runs: who wins, what skipping costs, and what it is worth.

    python benchmarks/subarchitectures.py runs/demo runs/mrpc --out benchmarks/results/ose

Over the sub-networks of each run, with every width and depth: the winner of several epsilons against brute
force and against the sub-networks that the recipe reports, judged on dev. With `--spaces supernet plain`,
also over plain architectures: whether the winner after 3 steps is the winner after 50 and 200. What is done
is kept in a copy of the run (`--work`); the same command goes on after a stop.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from commands import this_command

from dynabert.analysis.choices import depth_choices, width_choices
from dynabert.cli.ose_plain_command import usual_sizes
from dynabert.examples import load_examples
from dynabert.files import write_text_atomically
from dynabert.modeling.architecture import Architecture
from dynabert.runs import Run
from dynabert.search.ose.carry_out import carry_out
from dynabert.search.ose.folder import PLAIN, SUPERNET, open_extraction
from dynabert.search.ose.plain import carry_out_plain
from dynabert.search.ose.plain_report import PlainReport
from dynabert.search.ose.plain_settings import ask_plain
from dynabert.search.ose.report import Finalist, Report
from dynabert.search.ose.settings import ask_ose
from dynabert.training.memory import limit_kernel_caches


def main() -> None:
    parser = argparse.ArgumentParser(description="Carry out optimal subarchitecture extraction.")
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--work", type=Path, default=Path("runs/subarchitectures"))
    parser.add_argument("--data-dir", type=Path, help="of the runs' tasks; left out: as they say")
    parser.add_argument("--epsilons", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--examples", type=int, default=1024, help="of train, for errors")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument(
        "--spaces", nargs="+", choices=SPACES, default=["supernet"], help="what is looked through"
    )
    parser.add_argument("--steps", type=int, nargs="+", default=[3, 50, 200])
    parser.add_argument(
        "--going-on", type=float, default=1.0, help="share of a round that goes on to the next"
    )
    parser.add_argument("--start", choices=("teacher", "scratch"), default="teacher")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    limit_kernel_caches()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for path in arguments.runs:
        run = own_copy(path, arguments.work)
        for space in arguments.spaces:
            SPACES[space](run, arguments)
        write_readme(arguments.out)
    write_readme(arguments.out)


def own_copy(path: Path, work: Path) -> Run:
    """The run in a folder of its own, where extractions may be kept."""
    folder = work / path.resolve().name
    if not folder.exists():
        work.mkdir(parents=True, exist_ok=True)
        partial = work / f".{folder.name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(
            path, partial, ignore=shutil.ignore_patterns("ose", "ose-plain", "searches")
        )
        partial.rename(folder)
    return Run.load(folder)


def supernet(run: Run, arguments: argparse.Namespace) -> None:
    shape = run.config.shape
    settings = ask_ose(
        width_mults=tuple(width_choices(shape)),
        depth_mults=tuple(depth_choices(shape)),
        epsilons=tuple(arguments.epsilons),
        tokens=arguments.tokens,
        num_examples=arguments.examples,
        seed=arguments.seed,
    )
    folder = open_extraction(run, "benchmark", settings, SUPERNET)
    examples = load_examples(run, arguments.data_dir)
    report = carry_out(folder, run, run.model(), examples, command=this_command(), on_progress=tell)
    text = report.model_dump_json(indent=1) + "\n"
    write_text_atomically(arguments.out / f"{run.name}-supernet.json", text)


def plain(run: Run, arguments: argparse.Namespace) -> None:
    settings = ask_plain(
        **usual_sizes(run.config.shape, run.config.hidden_size),
        steps=tuple(arguments.steps),
        going_on=arguments.going_on,  # 1: all of them, so that rounds can be compared whole
        start=arguments.start,
        tokens=arguments.tokens,
        num_examples=arguments.examples,
        seed=arguments.seed,
    )
    folder = open_extraction(run, f"benchmark-{arguments.start}", settings, PLAIN)
    examples = load_examples(run, arguments.data_dir)
    report = carry_out_plain(
        folder, run, run.model(), examples, command=this_command(), on_progress=tell
    )
    text = report.model_dump_json(indent=1) + "\n"
    write_text_atomically(arguments.out / f"{run.name}-plain-{arguments.start}.json", text)


SPACES = {"supernet": supernet, "plain": plain}


def tell(phase: str, done: int, total: int) -> None:
    if done % 10 == 0 or done == total:
        print(f"  {phase}: {done} of {total}", flush=True)


def write_readme(out: Path) -> None:
    """All reports of the folder as tables."""
    lines = [
        "# Optimal subarchitecture extraction, on trained runs",
        "",
        "What it is: [docs](../../../docs/optimal_subarchitecture_extraction.md). W weighs parameters, "
        "multiply-accumulate operations and a loss on training examples; scores are of all of dev, which "
        "no search has seen. No approximation guarantee is claimed: a Transformer's loss is not strongly "
        "convex. Which trainings the runs are of is told there too; the seed draws the training examples.",
    ]
    for path in sorted(out.glob("*-supernet.json")):
        report = Report.model_validate_json(path.read_text(encoding="utf-8"))
        lines += supernet_lines(path.name.removesuffix("-supernet.json"), report)
    for path in sorted(out.glob("*-plain-*.json")):
        name, start = path.stem.rsplit("-plain-", 1)
        plain_report = PlainReport.model_validate_json(path.read_text(encoding="utf-8"))
        lines += plain_lines(name, start, plain_report)
    write_text_atomically(out / "README.md", "\n".join(lines) + "\n")


def supernet_lines(name: str, report: Report) -> list[str]:
    said = report.agreement
    lines = [
        "",
        f"## {name}: {len(report.members)} sub-networks",
        "",
        f"`{report.command}`, {report.created[:10]}, {report.machine}, seed {report.settings.seed}; "
        f"{report.num_examples:,} training examples, {report.seconds:.0f} s for all errors.",
        "",
        f"| epsilon | tried | winner | W | of brute force | dev {report.metric} | parameters (M) | MACs (M) "
        "| latency (ms) | were all errors equal | best reported one that is no larger |",
        "|--:|--:|---|--:|--:|--:|--:|--:|--:|---|---|",
    ]
    for one in report.outcomes:
        winner = report.finalist(one.winner)
        ratio = "" if one.ratio is None else f"{one.ratio:.3f}"
        frozen = "the same" if one.frozen_winner == one.winner else short(one.frozen_winner)
        lines.append(
            f"| {one.epsilon} | {one.num_tried} | {short(one.winner)} | {one.w:.3f} | {ratio} | "
            f"{percent(winner.score)} | {winner.num_params / 1e6:.2f} | {winner.macs / 1e6:.0f} | "
            f"{winner.latency_ms:.2f} | {frozen} | {rival(report, winner)} |"
        )
    lines += [
        "",
        f"Kendall's tau: parameters with MACs {number(said.params_inference)}, parameters with error "
        f"{number(said.params_error)}, error with the loss on dev {number(said.error_dev_loss)}, error with "
        f"{report.metric} on dev {number(said.error_dev_metric)} (the last two over winners and reported "
        "sub-networks).",
    ]
    return lines


def rival(report: Report, winner: Finalist) -> str:
    """The best of the reported sub-networks with no more parameters and no more MACs."""
    smaller = [
        one
        for one in report.finalists
        if one.is_standard
        and one.score is not None
        and one.num_params <= winner.num_params
        and one.macs <= winner.macs
    ]
    if not smaller:
        return "none"
    best = max(smaller, key=lambda one: one.score or 0.0)
    return f"{short(best.key)}, {percent(best.score)}"


def plain_lines(name: str, start: str, report: PlainReport) -> list[str]:
    begin = {"teacher": "cut from the run's network", "scratch": "random at first"}[start]
    lines = [
        "",
        f"## {name}: {len(report.members)} plain architectures, {begin}",
        "",
        f"`{report.command}`, {report.created[:10]}, {report.machine}, seed {report.settings.seed}; "
        f"{report.settings.num_examples:,} training examples for errors, {report.seconds / 60:.0f} minutes.",
        "",
        f"| steps | tried | winner <D, A, H, I> | W | its dev {report.metric} then | were all errors equal "
        "| tau of errors with the round before | tau of W | parameters with error | seconds |",
        "|--:|--:|---|--:|--:|---|--:|--:|--:|--:|",
    ]
    for one in report.rounds:
        frozen = "the same" if one.frozen_winner == one.winner else named(one.frozen_winner)
        lines.append(
            f"| {one.steps} | {len(one.tried)} | {named(one.winner)} | {one.w:.3f} | "
            f"{percent(one.dev_score)} | {frozen} | "
            f"{number(one.error_before)} | {number(one.w_before)} | {number(one.params_error)} | "
            f"{one.seconds:.0f} |"
        )
    first, last = report.rounds[0], report.rounds[-1]
    if first.winner == last.winner:
        lines += ["", f"The winner after {first.steps} steps is the winner after {last.steps}."]
    elif (later := report.first_winner_after_all_steps) is not None:
        place = 1 + sum(one.w > later.w for one in last.tried)
        lines += [
            "",
            f"The winner after {first.steps} steps, {named(first.winner)}, is number {place} of "
            f"{len(last.tried)} after {last.steps} (W {later.w:.3f} against {last.w:.3f}).",
        ]
    else:
        lines += [
            "",
            f"The winner after {first.steps} steps, {named(first.winner)}, was not among the "
            f"{len(last.tried)} that got {last.steps}.",
        ]
    return lines


def named(key: str) -> str:
    return str(Architecture.parse(key)).replace("<", "&lt;")


def short(key: str) -> str:
    """A sub-network's key with multipliers of three digits."""
    return "-".join(f"{part[0]}{float(part[1:]):.3g}" for part in key.split("-"))


def percent(score: float | None) -> str:
    return "" if score is None else f"{100 * score:.1f}"


def number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.2f}"


if __name__ == "__main__":
    main()
