"""Width, depth and length in one network, against width and depth, and against length alone.

    python benchmarks/three_axes.py --task mrpc --data-dir path/to/glue --out benchmarks/results/three_axes

Trains the recipes `three-axes` and `best`, which take about as long (both times are shown), then searches:
all three axes of the first, its lengths alone, and width and depth of the second. What is best of each
search is measured on all of dev, and what is best of all is timed in turn, 1 and 32 texts at once. What is
finished is kept (`--runs-dir`); the same command goes on after a stop. `--time` times results that are
there again, without training.
"""

from __future__ import annotations

import argparse
import datetime
import json
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from commands import this_command
from fronts import best_at
from timed_together import time_together, timing_sentence
from training import trained

from dynabert.analysis.choices import depth_choices, width_choices
from dynabert.analysis.pareto import hypervolume
from dynabert.evaluation import describe_machine
from dynabert.examples import load_examples
from dynabert.files import write_text_atomically
from dynabert.reproduction.collect import current_commit
from dynabert.runs import Run
from dynabert.search.front import BATCH_SIZES, latency_column, measure_front
from dynabert.search.loop import Tried, run_search
from dynabert.search.search import open_search
from dynabert.search.settings import SearchSettings
from dynabert.training import RECIPES
from dynabert.training.memory import limit_kernel_caches
from dynabert.training.recipe import Recipe
from dynabert.training.stage import Train

# The front's name: the recipe whose network it is of, and the axes that are searched.
FRONTS = {
    "width, depth and length": ("three-axes", ("width", "depth", "length")),
    "length alone": ("three-axes", ("length",)),
    "width and depth": ("best", ("width", "depth")),
}
TIMES_CHEAPER = (1.5, 2.0, 3.0, 4.0)


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare fronts of one, two and three axes.")
    parser.add_argument("--task", default="mrpc")
    parser.add_argument("--data-dir", type=Path, help="left out: the hub")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs/three-axes"))
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--fine-tune-epochs", type=float, default=8.0)
    parser.add_argument("--epochs-scale", type=float, default=0.57, help="of all later stages")
    parser.add_argument("--trials", type=int, default=150)
    parser.add_argument("--tokens", type=int, default=64, help="for MACs and latency")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--time", action="store_true", help="only time the results in --out again")
    arguments = parser.parse_args()
    limit_kernel_caches()
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / f"{arguments.task}-s{arguments.seed}.json"
    if not arguments.time:
        write_text_atomically(path, json.dumps(trained_and_searched(arguments), indent=1) + "\n")
    time_fronts(path)
    write_readme(arguments.out)


def trained_and_searched(arguments: argparse.Namespace) -> dict[str, Any]:
    """The fronts, and what they took."""
    runs = {
        recipe: trained(
            shortened(RECIPES[recipe], arguments),
            name=f"{arguments.task}-{recipe}-s{arguments.seed}",
            task=arguments.task,
            data_dir=arguments.data_dir,
            seed=arguments.seed,
            runs_dir=arguments.runs_dir,
        )
        for recipe in ("three-axes", "best")
    }
    found = {
        name: searched(runs[recipe], name, axes, arguments)
        for name, (recipe, axes) in FRONTS.items()
    }
    return {
        "task": arguments.task,
        "metric": runs["best"].info.task.metric,
        "seed": arguments.seed,
        "tokens": arguments.tokens,
        "tried": {name: number for name, (number, _) in found.items()},
        "command": this_command(),
        "commit": current_commit(),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": describe_machine(torch.device("cpu")),
        "stage_seconds": {name: run.info.stage_seconds for name, run in runs.items()},
        "fronts": {name: front for name, (_, front) in found.items()},
    }


def time_fronts(path: Path) -> None:
    """Time all sub-networks of a result in turn, and keep that with it."""
    if not path.is_file():
        raise SystemExit(f"{path} is not there; train first, without --time.")
    found = json.loads(path.read_text(encoding="utf-8"))
    rows = [row for front in found["fronts"].values() for row in front]
    found["timed"] = time_together(found["task"], rows, tokens=found["tokens"])
    write_text_atomically(path, json.dumps(found, indent=1) + "\n")


def shortened(recipe: Recipe, arguments: argparse.Namespace) -> Recipe:
    stages = []
    for stage in recipe.stages:
        if isinstance(stage, Train):
            scaled = round(stage.epochs * arguments.epochs_scale, 3)
            epochs = arguments.fine_tune_epochs if stage.name == "fine-tune" else scaled
            stage = stage.model_copy(update={"epochs": epochs})
        stages.append(stage)
    return recipe.model_copy(update={"stages": tuple(stages)})


def searched(
    run: Run, name: str, axes: tuple[str, ...], arguments: argparse.Namespace
) -> tuple[int, list[dict[str, Any]]]:
    """The trials of a search by MACs, and its front, measured on all of dev; the reference is its largest."""
    model, examples, metric = run.model(), load_examples(run), run.info.task.metric
    shape = run.config.shape
    settings = SearchSettings(
        num_trials=arguments.trials,
        width_mults=tuple(width_choices(shape)) if "width" in axes else (1.0,),
        depth_mults=tuple(depth_choices(shape)) if "depth" in axes else (1.0,),
        lengths="shares" if "length" in axes else None,
        tokens=arguments.tokens,
        num_examples=None,
        seed=arguments.seed,
    )
    search = open_search(run, "-".join(axes), settings, command=this_command())

    def say(tried: Tried) -> None:
        print(f"  {name}: {tried.done}/{tried.total} {tried.trial}", flush=True)

    trials = run_search(search, model, examples, on_trial=say)
    table = measure_front(search, model, examples, batch_sizes=())  # timed with the others, later
    columns = ["subnet", metric, "macs", "is_reference"]
    return len(trials), [
        {str(name): value for name, value in row.items()}
        for row in table[columns].to_dict("records")
    ]


def write_readme(out: Path) -> None:
    lines = [
        "# One, two and three axes",
        "",
        "Fronts of a network that is adaptive in width, depth and length, and of one that was trained for",
        "width and depth in about the same time. *Best at n times*: the highest dev score of a sub-network",
        "that is at least n times cheaper than the full network; `-`: none is. *Area*: the share that a",
        "front dominates between the full network's cost and half of the best score of a full network.",
    ]
    for path in sorted(out.glob("*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        lines += section(found) if "timed" in found else ["", f"{path.name}: not timed (`--time`)."]
    write_text_atomically(out / "README.md", "\n".join(lines) + "\n")


def section(found: dict[str, Any]) -> list[str]:
    metric = found["metric"]
    seconds = {name: sum(each.values()) for name, each in found["stage_seconds"].items()}
    times = ", ".join(f"`{name}` {total / 60:.0f} min" for name, total in seconds.items())
    tried = ", ".join(f"{name} {number}" for name, number in found["tried"].items())
    lines = [
        "",
        f"## {found['task']}, seed {found['seed']}",
        "",
        f"`{found['command']}`, {found['created'][:10]}, {found['machine']}; training: {times}; "
        f"trials: {tried} (TPE, MACs of {found['tokens']} tokens, quality on all of dev).",
        "",
        timing_sentence(
            found["timed"], [row for front in found["fronts"].values() for row in front]
        ),
    ]
    costs = {"macs": "MACs", **{latency_column(n): f"latency, batch {n}" for n in BATCH_SIZES}}
    fronts = {name: pd.DataFrame(rows) for name, rows in found["fronts"].items()}
    largest = {name: table[table["is_reference"]].iloc[0] for name, table in fronts.items()}
    lowest = 0.5 * max(float(one[metric]) for one in largest.values())
    for column, title in costs.items():
        heads = [f"best at {times:g}x" for times in TIMES_CHEAPER]
        lines += [
            "",
            f"| by {title} | full | {' | '.join(heads)} | area |",
            "|---|--:|" + "--:|" * (len(heads) + 1),
        ]
        for name, table in fronts.items():
            full = largest[name]
            cells = [best_at(table, metric, column, float(full[column]), n) for n in TIMES_CHEAPER]
            area = hypervolume(
                table[column].to_numpy(),
                table[metric].to_numpy(),
                most_cost=float(full[column]),
                least_quality=lowest,
            ) / (float(full[column]) * (1 - lowest))
            lines.append(
                f"| {name} | {100 * full[metric]:.1f} | {' | '.join(cells)} | {area:.3f} |"
            )
    return lines


if __name__ == "__main__":
    main()
