"""Ways of searching, with the same number of trials: how much they find, and how long they take.

    python benchmarks/search_methods.py runs/demo --out benchmarks/results/search_methods

Searches lengths alone, and widths, depths and lengths together, by each method and seed, in a copy of
the run. How much was found is the hypervolume of what was tried so far: the share, of the area between
the full network's cost and a constant answer's quality, that it dominates. Both objectives are what a
search sees: MACs, and quality on a part of dev. A search that is done is not done again.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shutil
import sys
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch
from commands import this_command

from dynabert.analysis.pareto import hypervolume
from dynabert.data.encoding import drawn_rows
from dynabert.evaluation import count_macs, describe_machine
from dynabert.examples import RunExamples, load_examples
from dynabert.files import write_text_atomically
from dynabert.modeling.models import TaskModel
from dynabert.reproduction.collect import current_commit
from dynabert.runs import Run
from dynabert.search.loop import Tried, run_search
from dynabert.search.search import open_search
from dynabert.search.settings import SearchSettings
from dynabert.subnet import FULL
from dynabert.training.memory import limit_kernel_caches

METHODS = {
    "tpe": "TPE (Optuna)",
    "gp": "Gaussian process (Optuna)",
    "evolution": "evolution (Length-Adaptive Transformer)",
    "evolution-small": "evolution, generations of 5 and 5",
    "random": "chance",
}
SPACES: dict[str, dict[str, Any]] = {
    "lengths": {},
    "widths, depths and lengths": {
        "width_mults": (1.0, 0.75, 0.5, 0.25),
        "depth_mults": (1.0, 0.75, 0.5),
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare ways of searching.")
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--work", type=Path, default=Path("runs/search-methods"))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--trials", type=int, default=150)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--examples", type=int, default=500)
    parser.add_argument("--data-dir", type=Path, help="of the run's task; left out: the hub")
    arguments = parser.parse_args()
    limit_kernel_caches()
    arguments.out.mkdir(parents=True, exist_ok=True)
    folder = arguments.work / arguments.run.resolve().name
    if not folder.exists():
        arguments.work.mkdir(parents=True, exist_ok=True)
        partial = arguments.work / f".{folder.name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(arguments.run, partial, ignore=shutil.ignore_patterns("searches"))
        partial.rename(folder)
    run = Run.load(folder)
    if run.info.task.metric != "accuracy":
        raise SystemExit(f"{run.name}: only runs judged by accuracy are compared here.")
    model, examples = run.model(), load_examples(run, data_dir=arguments.data_dir)
    for seed in arguments.seeds:
        for space in SPACES:
            for method in arguments.methods:
                name = f"{'-'.join(space.split(' ')[:1])}-{method}-s{seed}".replace(",", "")
                settings = asked(space, method, seed, arguments)
                path = arguments.out / f"{run.name}-{name}.json"
                if path.exists():
                    before = json.loads(path.read_text())["settings"]
                    if before != settings.model_dump(mode="json"):
                        raise SystemExit(f"{path} is of other settings; give another --out.")
                    continue
                found = searched(run, model, examples, name, space, settings)
                write_text_atomically(path, json.dumps(found, indent=1) + "\n")
                write_readme(arguments.out)
    write_readme(arguments.out)


def asked(space: str, method: str, seed: int, arguments: argparse.Namespace) -> SearchSettings:
    """What a search is asked for."""
    small = {"generation": (5, 5)} if method == "evolution-small" else {}
    return SearchSettings.model_validate(
        {
            "method": method.removesuffix("-small"),
            "num_trials": arguments.trials,
            "tokens": arguments.tokens,
            "num_examples": arguments.examples,
            "seed": seed,
            **SPACES[space],
            **small,
        }
    )


def searched(
    run: Run,
    model: TaskModel,
    examples: RunExamples,
    name: str,
    space: str,
    settings: SearchSettings,
) -> dict[str, Any]:
    """What one search found after each of its trials."""
    search = open_search(run, name, settings)

    def say(tried: Tried) -> None:
        print(f"\r{name}: {tried.done} of {tried.total} ", end="", file=sys.stderr, flush=True)

    trials = run_search(search, model, examples, on_trial=say)
    print(file=sys.stderr)
    cost = np.array([one.cost for one in trials])
    quality = np.array([one.quality for one in trials])
    full = float(count_macs(model, FULL, settings.tokens))
    worst = majority(examples, settings)
    whole = full * (1 - worst)
    return {
        "run": run.name,
        "space": space,
        "method": "evolution-small" if settings.generation == (5, 5) else settings.method,
        "seed": settings.seed,
        "trials": len(trials),
        "dominated": [
            hypervolume(cost[:n], quality[:n], most_cost=full, least_quality=worst) / whole
            for n in range(1, len(trials) + 1)
        ],
        "least_quality": worst,
        "seconds": sum(one.seconds for one in trials),
        "repeated": len(trials) - len({one.subnet for one in trials}),
        "settings": settings.model_dump(mode="json"),
        "machine": describe_machine(torch.device("cpu")),
        "created": datetime.date.today().isoformat(),
        "command": this_command(),
        "commit": current_commit(),
    }


def majority(examples: RunExamples, settings: SearchSettings) -> float:
    """Accuracy of always answering the most frequent class, on the examples of the search."""
    labels = np.asarray(examples.dev.labels)
    if settings.num_examples is not None and settings.num_examples < len(labels):
        labels = labels[drawn_rows(len(labels), settings.num_examples, settings.seed)]
    return float(np.bincount(labels.astype(int)).max() / len(labels))


def write_readme(folder: Path) -> None:
    """The table of all results in the folder."""
    found = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    lines = [
        "# Ways of searching, compared",
        "",
        "What share of the area between the full network's MACs and a constant answer's quality is",
        "dominated by what a search has tried (hypervolume; higher is better), after so many trials: mean",
        "over the seeds, and the lowest and highest of them. *s a trial*: proposed and evaluated.",
        "",
    ]
    for run in sorted({one["run"] for one in found}):
        for space in SPACES:
            some = [one for one in found if (one["run"], one["space"]) == (run, space)]
            if some:
                lines += [f"## {run}: {space}", "", *_table(some), ""]
                told = (f"`{one['command']}`, {one['created']}, {one['machine']}." for one in some)
                lines += [line for said in dict.fromkeys(told) for line in (said, "")]
    write_text_atomically(folder / "README.md", "\n".join(lines))


def _table(found: list[dict[str, Any]]) -> list[str]:
    total = max(one["trials"] for one in found)
    after = [number for number in (25, 50, 100, 150, 300) if number < total] + [total]
    lines = [
        "| method | seeds | "
        + " | ".join(f"{number} trials" for number in after)
        + " | s a trial |",
        "|---|--:|" + "--:|" * (len(after) + 1),
    ]
    for method, title in METHODS.items():
        some = [one for one in found if one["method"] == method]
        if not some:
            continue
        cells = []
        for number in after:
            values = [one["dominated"][number - 1] for one in some if number <= one["trials"]]
            told = f"{mean(values):.3f} ({min(values):.3f} to {max(values):.3f})" if values else ""
            cells.append(told)
        each = mean(one["seconds"] / one["trials"] for one in some)
        lines.append(f"| {title} | {len(some)} | {' | '.join(cells)} | {each:.2f} |")
    return lines


if __name__ == "__main__":
    main()
