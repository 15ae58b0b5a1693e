"""What else `best` could do in its last stage: other teachers, other losses, more for the smallest.

    python benchmarks/last_stage.py --task cola --data-dir path/to/glue --out benchmarks/results/last_stage

All candidates have the stages before that in common, which are trained once, for the epochs that the task
has in benchmarks/reproduction.yaml. Each result is kept as it ends; the same command goes on after a stop,
and writes the README anew. `--only NAME` trains one.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from training import trained

from dynabert.files import write_text_atomically
from dynabert.reproduction.plan import PLAN_FILE, read_plan
from dynabert.subnet import PAPER_DEPTHS, PAPER_WIDTHS, Subnet
from dynabert.training import RECIPES
from dynabert.training.memory import limit_kernel_caches
from dynabert.training.recipe import Recipe
from dynabert.training.stage import Losses, Teacher, Train
from dynabert.training.subnets import Grid

BEST = RECIPES["best"]
WIDE = Teacher(stage="width")  # of whichever stage: the network as it was before them


def larger_steps(last: Train) -> tuple[Train, ...]:
    return (last.model_copy(update={"rate_factor": 2 * last.rate_factor}),)


def full_teacher(last: Train) -> tuple[Train, ...]:
    return (last.model_copy(update={"teacher": WIDE.model_copy(update={"width": "full"})}),)


def relations(last: Train) -> tuple[Train, ...]:
    losses = Losses(prediction=1, hidden=1, relations=1)
    return (last.model_copy(update={"teacher": WIDE, "losses": losses}),)


def states_first(last: Train) -> tuple[Train, ...]:
    half = last.model_copy(update={"teacher": WIDE, "epochs": last.epochs / 2})
    states = {"name": "states", "losses": Losses(hidden=1, attention=1), "keep": "last"}
    return half.model_copy(update=states), half.model_copy(update={"losses": Losses(prediction=1)})


def smallest_longer(last: Train) -> tuple[Train, ...]:
    shallow = Grid(width_mults=last.subnets.width_mults, depth_mults=(min(PAPER_DEPTHS),))
    # Of six layers they compute 15 of 42 parts of what all twelve do: two parts for going back, and the
    # teacher's going forward.
    longer = {"name": "smallest", "subnets": shallow, "epochs": 0.25 * 42 / 15 * last.epochs}
    return (
        last.model_copy(update={"teacher": WIDE, "epochs": 0.75 * last.epochs}),
        last.model_copy(update={"teacher": WIDE, "start_competes": True, **longer}),
    )


# What each does, and how the stages that take the place of the last one are made of it.
CANDIDATES: dict[str, tuple[str, Callable[[Train], tuple[Train, ...]]]] = {
    "best": (
        "the recipe as it is: answers and hidden states of the network of the same width",
        lambda last: (last,),
    ),
    "larger-steps": (
        "twice the learning rate of `best` in this stage, five times that of DynaBERT",
        larger_steps,
    ),
    "full-teacher": (
        "every width learns from the full width, as in the authors' code",
        full_teacher,
    ),
    "relations": (
        "also the relations among the last layer's queries, keys and values (MiniLMv2), weight 1",
        relations,
    ),
    "states-first": (
        "in the first half hidden states and attention, in the second answers alone (TinyBERT's order)",
        states_first,
    ),
    "smallest-longer": (
        "a quarter less for all, and in that time more for the four of half the depth alone, if their scores "
        "gain by it",
        smallest_longer,
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare last stages for the recipe best.")
    parser.add_argument("--task", default="cola")
    parser.add_argument("--data-dir", type=Path, help="left out: the hub")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs/last-stage"))
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=CANDIDATES, action="append")
    arguments = parser.parse_args()
    limit_kernel_caches()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.only or CANDIDATES:
        path = arguments.out / f"{arguments.task}-{name}-s{arguments.seed}.json"
        if not path.exists():
            write_text_atomically(path, json.dumps(measured(name, arguments), indent=1) + "\n")
    write_readme(arguments.out)


def measured(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """The scores of one candidate's twelve sub-networks, trained unless that was done before."""
    run = trained(
        recipe_of(name, arguments.task),
        name=f"{arguments.task}-{name}-s{arguments.seed}",
        task=arguments.task,
        data_dir=arguments.data_dir,
        seed=arguments.seed,
        runs_dir=arguments.runs_dir,
    )
    metric, shared = run.info.task.metric, [stage.name for stage in BEST.stages[:-1]]
    rows = run.results
    return {
        "candidate": name,
        "task": arguments.task,
        "metric": metric,
        "seed": arguments.seed,
        "command": run.info.command,
        "created": run.info.created,
        "machine": run.info.machine,
        "versions": run.info.versions,
        "stages": run.info.recipe,
        "last_stage_seconds": sum(
            seconds for stage, seconds in run.info.stage_seconds.items() if stage not in shared
        ),
        "scores": dict(zip(rows["subnet"], map(float, rows[metric]), strict=True)),
    }


def recipe_of(name: str, task: str) -> Recipe:
    """A candidate with the epochs that the plan of reproductions gives the task."""
    about, stages = CANDIDATES[name]
    recipe, _ = read_plan(PLAN_FILE).limits_of(task).apply(BEST)
    *before, last = recipe.stages
    assert isinstance(last, Train)
    return Recipe.model_validate(
        recipe.model_dump() | {"name": name, "about": about, "stages": (*before, *stages(last))}
    )


def write_readme(out: Path) -> None:
    """All results of a folder as tables, one for each task and seed."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(out.glob("*.json"))]
    groups: dict[tuple[str, int], dict[str, dict[str, Any]]] = {}
    for result in found:
        of_group = groups.setdefault((result["task"], result["seed"]), {})
        of_group[result["candidate"]] = result
    lines = [
        "# The last stage of `best`",
        "",
        "Candidates for the stage in which width and depth are distilled together; all have the stages",
        "before it in common. Dev scores in percent: the mean of the twelve sub-networks, and of the four",
        "of each depth. Minutes are those of the stages compared, which differ.",
        "",
        *(f"- `{name}`: {about}" for name, (about, _) in CANDIDATES.items()),
    ]
    for (task, seed), results in groups.items():
        first = next(iter(results.values()))
        depths = [f"depth {depth:g}" for depth in PAPER_DEPTHS]
        lines += [
            "",
            f"## {task}, seed {seed}, {first['metric']}",
            "",
            f"`{first['command']}` and so on",
            "",
            f"| candidate | mean of twelve | above `best` | {' | '.join(depths)} | smallest | minutes | "
            "measured |",
            f"|---|{'--:|' * (len(depths) + 4)}---|",
            *(row(name, results) for name in CANDIDATES if name in results),
        ]
    write_text_atomically(out / "README.md", "\n".join(lines) + "\n")


def row(name: str, results: dict[str, dict[str, Any]]) -> str:
    result = results[name]
    by_depth: dict[float, list[float]] = {depth: [] for depth in PAPER_DEPTHS}
    for key, score in result["scores"].items():
        by_depth[Subnet.parse(key).depth_mult].append(100 * score)
    smallest = 100 * result["scores"][Subnet(min(PAPER_WIDTHS), min(PAPER_DEPTHS)).key]
    numbers = [*(sum(scores) / len(scores) for scores in by_depth.values()), smallest]
    known = name != "best" and "best" in results
    gained = f"{mean(result) - mean(results['best']):+.1f}" if known else "-"
    cells = " | ".join(f"{number:.1f}" for number in numbers)
    return (
        f"| `{name}` | {mean(result):.1f} | {gained} | {cells} | {result['last_stage_seconds'] / 60:.0f} | "
        f"{result['created'][:10]}, {result['machine']} |"
    )


def mean(result: dict[str, Any]) -> float:
    """Over all sub-networks, in percent."""
    return 100 * sum(result["scores"].values()) / len(result["scores"])


if __name__ == "__main__":
    main()
