"""A governor under a changing load: who answers in time, how well, and how fast.

    python benchmarks/governor.py runs/demo --out benchmarks/results

Dev examples are answered one by one, each by the governor, the governor that believes its latency
table whatever passes take, the full network and a small one, in turn and in a new random order each
time, so that the load of a moment falls on all alike. The load changes in phases: alone, beside one
and two busy processes, alone again. Then cascades, calibrated on training examples, are compared with
single sub-networks, alone and without a budget. A run without a latency table of this machine gets one
first, which is kept with it.
"""

from __future__ import annotations

import argparse
import datetime
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from commands import this_command
from per_layer_latency import table_of

from dynabert.data.encoding import EncodedSplit, drawn_rows
from dynabert.evaluation import describe_machine
from dynabert.evaluation.quality import read_all
from dynabert.examples import RunExamples, load_examples
from dynabert.files import write_text_atomically
from dynabert.modeling.models import DynaBertForSequenceClassification
from dynabert.runs import Run
from dynabert.serving import Adaptation, Cascade, Governor, Rung, cascade_of, pareto_ladder
from dynabert.serving.cascade import margins
from dynabert.subnet import FULL, Subnet
from dynabert.training.memory import limit_kernel_caches

PHASES = (("alone", 0), ("1 busy process", 1), ("2 busy processes", 2), ("alone again", 0))
RESULT = "governor.md"
SPARE = 1.25  # the default budget: of what the full network is predicted to take for a long text
NO_BUDGET = float("inf")

MakeGovernor = Callable[..., Governor]


@dataclass(frozen=True, kw_only=True)
class Served:
    """One request of one of those that are compared."""

    phase: str
    who: str
    right: bool
    elapsed_ms: float
    met: bool
    subnet: str


def main() -> None:
    parser = argparse.ArgumentParser(description="Answer dev examples under a changing load.")
    parser.add_argument("run", type=Path, help="folder of a run that classifies")
    parser.add_argument("--out", type=Path, required=True, help="folder for the table")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each phase")
    parser.add_argument("--budget-ms", type=float, help="of a request; left out: see the result")
    parser.add_argument("--tokens", type=int, help="longest text; left out: as the run was trained")
    parser.add_argument(
        "--small", default="w0.25-d0.50", help="the small network; no rung scores less"
    )
    parser.add_argument("--window", type=int, default=Adaptation().window)
    parser.add_argument("--quantile", type=float, default=Adaptation().quantile)
    parser.add_argument("--calibrate", type=int, default=1000, help="training examples")
    parser.add_argument("--agreements", type=float, nargs="+", default=[0.9, 0.95, 0.99])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data-dir", type=Path, help="of the run's task; left out: as trained")
    arguments = parser.parse_args()
    limit_kernel_caches()
    arguments.out.mkdir(parents=True, exist_ok=True)
    lines = report(Run.load(arguments.run), arguments)
    write_text_atomically(arguments.out / RESULT, "\n".join(lines))
    print("\n".join(lines))


def report(run: Run, arguments: argparse.Namespace) -> list[str]:
    model, examples = run.model(), load_examples(run, arguments.data_dir)
    if not isinstance(model, DynaBertForSequenceClassification) or run.info.task.labels is None:
        raise SystemExit(f"{run.name} does not classify.")
    tokens = min(arguments.tokens or run.info.max_tokens, model.config.max_tokens)
    table = table_of(run, model, tokens, arguments.seed)
    results, metric, small = run.all_results, run.info.task.metric, Subnet.parse(arguments.small)
    if small.key not in set(results["subnet"]):
        raise SystemExit(f"{run.name} has no result of {small}; see `dynabert sweep --keep`.")
    floor = float(results.set_index("subnet").loc[small.key, metric])
    ladder = pareto_ladder(results, metric, model, table, tokens=tokens, least_score=floor)
    dev = of_length(examples.dev, tokens)
    long_text = int(np.quantile(dev.lengths, 0.9))
    full_ms = table.predict(model, FULL, long_text)
    budget = arguments.budget_ms or SPARE * full_ms
    adaptation = Adaptation(window=arguments.window, quantile=arguments.quantile)

    def governor(
        rungs: Sequence[Rung], how: Adaptation | None = None, cascade: Cascade | None = None
    ) -> Governor:
        return Governor(
            model,
            examples.tokenizer,
            rungs,
            [table],
            adaptation=how,
            cascade=cascade,
            max_tokens=tokens,
        )

    governors = {
        "governor": governor(ladder, adaptation),
        "without adaptation": governor(ladder),
        "full network": governor([Rung(subnet=FULL, score=0.0)]),
        small.key: governor([Rung(subnet=small, score=0.0)]),
    }
    random = np.random.default_rng(arguments.seed)
    for one in governors.values():  # what is met for the first time is slow
        one.model(**inputs_of(dev, 0), subnet=one.ladder[-1].subnet)
    served: list[Served] = []
    for phase, busy in PHASES:
        print(f"{phase}: {arguments.seconds:g} s", file=sys.stderr, flush=True)
        with busy_processes(busy):
            served += serve(phase, governors, dev, budget, arguments.seconds, random)
    cascades = compare_cascades(model, examples, dev, ladder, governor, arguments, random)
    return [
        "# A governor under a changing load",
        "",
        f"`{this_command()}`, {datetime.date.today()}, "
        f"{describe_machine(torch.device('cpu'))}, seed {arguments.seed}.",
        "",
        f"{run.name}, dev examples one by one, {budget:.1f} ms each, from tokens to the answer; "
        f"{SPARE * full_ms:.1f} ms is {SPARE} times what the table predicts of the full network for "
        f"{long_text} tokens, the length that a tenth of dev exceeds.",
        f"The latency table is off by {table.error:.1%} on average. All are asked in turn. The governor",
        f"prepares for the {adaptation.quantile:g} quantile of measured / predicted of its last "
        f"{adaptation.window} passes.",
        "",
        *phase_table(served, governors),
        "",
        "How often each sub-network ran, in percent of a phase's requests:",
        "",
        *rung_table(served, ladder),
        "",
        "## Cascades",
        "",
        f"Alone, without a budget. Calibrated on {arguments.calibrate} training examples to agree with the",
        "full network in so many of them; the other shares are of dev.",
        *cascades,
        "",
    ]


def of_length(split: EncodedSplit, tokens: int) -> EncodedSplit:
    """The examples that are not longer."""
    kept = np.flatnonzero(split.lengths <= tokens)
    if not len(kept):
        raise SystemExit(f"no example of dev has at most {tokens} tokens.")
    return split.select(kept)


def inputs_of(split: EncodedSplit, row: int) -> dict[str, torch.Tensor]:
    return {name: value for name, value in split.batch([row]).items() if name != "labels"}


@contextmanager
def busy_processes(number: int) -> Iterator[None]:
    """So many processes that compute without end, ended with the block."""
    work = "import numpy as n\na = n.ones((256, 256))\nwhile True: a = (a @ a) * 0 + 1"
    started = [subprocess.Popen([sys.executable, "-c", work]) for _ in range(number)]
    try:
        if started:
            time.sleep(1.0)  # until they compute
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def serve(
    phase: str,
    governors: Mapping[str, Governor],
    dev: EncodedSplit,
    budget: float,
    seconds: float,
    random: np.random.Generator,
) -> list[Served]:
    """Ask all of them, example after example, until the time is over."""
    served, names = [], list(governors)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        row = int(random.integers(len(dev)))
        inputs = inputs_of(dev, row)
        for place in random.permutation(len(names)).tolist():
            answer = governors[names[place]].answer_inputs(inputs, budget)
            served.append(
                Served(
                    phase=phase,
                    who=names[place],
                    right=bool(answer.choices[0] == dev.labels[row]),
                    elapsed_ms=answer.record.elapsed_ms,
                    met=answer.record.met,
                    subnet=answer.record.subnet.key,
                )
            )
    return served


def phase_table(served: Sequence[Served], who: Mapping[str, Governor]) -> list[str]:
    lines = [
        "| phase | | requests | right, % | in time, % | right and in time, % | median ms | p95 | p99 |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for phase in (*(name for name, _ in PHASES), "all"):
        for name in who:
            some = [one for one in served if one.who == name and phase in (one.phase, "all")]
            if not some:
                continue
            shares = (
                100 * np.mean([one.right for one in some]),
                100 * np.mean([one.met for one in some]),
                100 * np.mean([one.right and one.met for one in some]),
            )
            times = np.quantile([one.elapsed_ms for one in some], (0.5, 0.95, 0.99))
            cells = " | ".join(f"{value:.1f}" for value in (*shares, *times))
            lines.append(f"| {phase} | {name} | {len(some)} | {cells} |")
    return lines


def rung_table(served: Sequence[Served], ladder: Sequence[Rung]) -> list[str]:
    """Of the two governors, rung by rung, the best first."""
    columns = [(who, phase) for who in ("governor", "without adaptation") for phase, _ in PHASES]
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for one in served:
        counts[one.who, one.phase][one.subnet] += 1
    lines = [
        "| sub-network | score | " + " | ".join(f"{who}: {phase}" for who, phase in columns) + " |",
        "|---|--:|" + "--:|" * len(columns),
    ]
    for rung in reversed(ladder):
        cells = [
            f"{100 * counts[column][rung.subnet.key] / max(1, counts[column].total()):.0f}"
            for column in columns
        ]
        if any(counts[column][rung.subnet.key] for column in columns):
            lines.append(f"| {rung.subnet.key} | {100 * rung.score:.1f} | {' | '.join(cells)} |")
    return lines


def compare_cascades(
    model: DynaBertForSequenceClassification,
    examples: RunExamples,
    dev: EncodedSplit,
    ladder: Sequence[Rung],
    governor: MakeGovernor,
    arguments: argparse.Namespace,
    random: np.random.Generator,
) -> list[str]:
    """Cascades from some rungs to the full network, and the rungs themselves.

    What they answer is of all of dev; how long they take of as many examples as a phase has time for.
    """
    lower = [rung for rung in ladder if rung.subnet != FULL]
    places = sorted({round(share * (len(lower) - 1)) for share in (0.0, 1 / 3, 2 / 3)})
    firsts = [lower[place] for place in places] if lower else []
    whole = Rung(subnet=FULL, score=float("inf"))
    rungs = [*firsts, whole]
    train = examples.train.select(
        drawn_rows(len(examples.train), arguments.calibrate, arguments.seed)
    )
    seen, new = (
        read_all(model, split, [rung.subnet for rung in rungs]).logits for split in (train, dev)
    )
    rows: dict[str, tuple[Governor, str, float, np.ndarray]] = {}
    for number, rung in enumerate(rungs):
        answers = new[number].argmax(-1)
        rows[rung.subnet.key] = (governor([rung]), "", 0.0, answers)
        for agreement in arguments.agreements if rung is not whole else ():
            cascade = cascade_of(rung.subnet, seen[number], seen[-1], agreement=agreement)
            goes_on = margins(new[number]) < cascade.threshold
            rows[f"{rung.subnet.key}, {agreement:g}"] = (
                governor([rung, whole], cascade=cascade),
                f"{agreement:g}",
                float(goes_on.mean()),
                np.where(goes_on, new[-1].argmax(-1), answers),
            )
    times = time_all({name: one[0] for name, one in rows.items()}, dev, arguments.seconds, random)
    full = new[-1].argmax(-1)
    lines = [
        f"Latency of {len(next(iter(times.values())))} examples, all in turn.",
        "",
        "| begins with | agreement wanted | goes on, % | agrees with full, % | right, % | mean ms | p95 |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name, (_, wanted, goes_on, answers) in rows.items():
        cells = (
            name.split(",")[0],
            wanted,
            f"{100 * goes_on:.1f}" if wanted else "",
            f"{100 * (answers == full).mean():.1f}",
            f"{100 * (answers == dev.labels).mean():.1f}",
            f"{np.mean(times[name]):.2f}",
            f"{np.quantile(times[name], 0.95):.2f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def time_all(
    governors: Mapping[str, Governor],
    dev: EncodedSplit,
    seconds: float,
    random: np.random.Generator,
) -> dict[str, list[float]]:
    """Milliseconds of each on the same examples, without a budget."""
    served = serve("alone", governors, dev, NO_BUDGET, seconds, random)
    return {name: [one.elapsed_ms for one in served if one.who == name] for name in governors}


if __name__ == "__main__":
    main()
