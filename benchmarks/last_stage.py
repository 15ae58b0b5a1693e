"""What else `best` could do in its last stage: other teachers, other losses, more for the smallest.

    python benchmarks/last_stage.py --task cola --data-dir path/to/glue --out benchmarks/results/last_stage

All candidates have the stages before that in common, which are trained once. Each result is kept as it
ends; the same command goes on after a stop, and writes the README anew. `--only NAME` trains one.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from training import trained

from dynabert.files import write_text_atomically
from dynabert.subnet import PAPER_DEPTHS, Subnet
from dynabert.training import RECIPES
from dynabert.training.memory import limit_kernel_caches
from dynabert.training.recipe import Grid, Losses, Recipe, Teacher, Train

BEST = RECIPES["best"]
LAST = BEST.train_stages[-1]
WIDTHS = LAST.subnets.width_mults
WIDE = Teacher(stage="width")  # of whichever stage: the network as it was before them


def last(**changes: Any) -> Train:
    """The last stage of `best` with some fields changed."""
    return LAST.model_copy(update={"teacher": WIDE, **changes})


# What each does, and the stages that take the place of the last one.
CANDIDATES: dict[str, tuple[str, tuple[Train, ...]]] = {
    "best": (
        "the recipe as it is: answers and hidden states of the network of the same width",
        (LAST,),
    ),
    "full-teacher": (
        "every width learns from the full width, as in the authors' code",
        (last(teacher=WIDE.model_copy(update={"width": "full"})),),
    ),
    "relations": (
        "also the relations among the last layer's queries, keys and values (MiniLMv2), weight 1",
        (last(losses=Losses(prediction=1, hidden=1, relations=1)),),
    ),
    "states-first": (
        "in the first half hidden states and attention, in the second answers alone (TinyBERT's order)",
        (
            last(
                name="states",
                losses=Losses(hidden=1, attention=1),
                epochs=LAST.epochs / 2,
                keep="last",
            ),
            last(losses=Losses(prediction=1), epochs=LAST.epochs / 2),
        ),
    ),
    "smallest-longer": (
        "a quarter less for all, and in that time more for the four of half the depth alone, if their scores "
        "gain by it",
        (
            last(epochs=0.75 * LAST.epochs),
            # Of six layers they compute 15 of 42 parts of what all twelve do: two parts for going back,
            # and the teacher's going forward.
            last(
                name="smallest",
                subnets=Grid(width_mults=WIDTHS, depth_mults=(min(PAPER_DEPTHS),)),
                epochs=0.25 * 42 / 15 * LAST.epochs,
                start_competes=True,
            ),
        ),
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
        recipe_of(name),
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


def recipe_of(name: str) -> Recipe:
    about, stages = CANDIDATES[name]
    return Recipe.model_validate(
        BEST.model_dump() | {"name": name, "about": about, "stages": (*BEST.stages[:-1], *stages)}
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
            f"| candidate | mean of twelve | {' | '.join(depths)} | smallest | minutes | measured |",
            f"|---|{'--:|' * (len(depths) + 3)}---|",
            *(row(name, results[name]) for name in CANDIDATES if name in results),
        ]
    write_text_atomically(out / "README.md", "\n".join(lines) + "\n")


def row(name: str, result: dict[str, Any]) -> str:
    by_depth: dict[float, list[float]] = {depth: [] for depth in PAPER_DEPTHS}
    for key, score in result["scores"].items():
        by_depth[Subnet.parse(key).depth_mult].append(100 * score)
    groups = [sum(scores) / len(scores) for scores in by_depth.values()]
    smallest = 100 * result["scores"][Subnet(min(WIDTHS), min(PAPER_DEPTHS)).key]
    numbers = [sum(groups) / len(groups), *groups, smallest]
    cells = " | ".join(f"{number:.1f}" for number in numbers)
    minutes = result["last_stage_seconds"] / 60
    return f"| `{name}` | {cells} | {minutes:.0f} | {result['created'][:10]}, {result['machine']} |"


if __name__ == "__main__":
    main()
