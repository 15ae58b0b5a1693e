"""Dynamic-TinyBERT's Table 1 here: what each of its procedures is worth when tokens are dropped.

    python benchmarks/length_axis.py --task mrpc --data-dir path/to/glue --out benchmarks/results/length_axis

Each procedure is trained (with `--epochs-scale` of its epochs, the teacher with `--teacher-epochs`), then
150 length configurations of its student are tried, and the best measured on all of dev. What is finished is
kept as it ends; the same command goes on after a stop. When all of a task's procedures are there, or with
`--time`, what is best of them is timed in turn; then the README is written anew.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from commands import this_command
from fronts import best_at
from timed_together import REPEATS, time_together, timing_sentence
from training import trained

from dynabert.evaluation import count_macs, describe_machine, evaluate
from dynabert.evaluation.table import result_row
from dynabert.examples import RunExamples, load_examples
from dynabert.files import write_text_atomically
from dynabert.modeling.models import TaskModel
from dynabert.reproduction.collect import current_commit
from dynabert.runs import Run
from dynabert.search.front import (
    BATCH_SIZES,
    latency_column,
    measure_front,
    num_unmeasured,
    reference_row,
)
from dynabert.search.loop import run_search
from dynabert.search.proposals import front
from dynabert.search.search import Search, open_search
from dynabert.search.settings import SearchSettings
from dynabert.subnet import FULL, Subnet
from dynabert.training import RECIPES
from dynabert.training.memory import limit_kernel_caches
from dynabert.training.recipe import Recipe
from dynabert.training.stage import Train

PROCEDURES = {
    "dynamic-tinybert": "no LengthDrop",
    "dynamic-tinybert-naive": "naive",
    "dynamic-tinybert-v1": "v1",
    "dynamic-tinybert-v2": "v2",
    "dynamic-tinybert-v3": "v3",
    "dynamic-tinybert-v4": "v4",
}
# Table 1 of the paper, SQuAD: F1 at full length, best speed-up within 1 point of BERT-base.
PUBLISHED = {
    "dynamic-tinybert": (88.71, 3.3),
    "dynamic-tinybert-naive": (88.24, 3.54),
    "dynamic-tinybert-v1": (88.11, 3.7),
    "dynamic-tinybert-v2": (88.12, 3.46),
    "dynamic-tinybert-v3": (88.00, 3.3),
    "dynamic-tinybert-v4": (88.3, 3.64),
}
WITHIN = 1.0  # points of the metric that may be lost
TIMES_CHEAPER = (2.0, 2.5, 3.0, 4.0, 5.0)  # than the teacher, by MACs


def main() -> None:
    parser = argparse.ArgumentParser(description="Train and search Dynamic-TinyBERT's procedures.")
    parser.add_argument("--task", default="mrpc")
    parser.add_argument("--data-dir", type=Path, help="left out: the hub")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs/length-axis"))
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--epochs-scale", type=float, default=0.25)
    parser.add_argument("--teacher-epochs", type=float, default=8.0)
    parser.add_argument("--trials", type=int, default=150)
    parser.add_argument("--search-examples", type=int, help="of dev, for a trial; left out: all")
    parser.add_argument("--judge-examples", type=int, help="of dev, for checkpoints; left out: all")
    parser.add_argument("--tokens", type=int, default=64, help="for MACs and latency")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--measured", type=int, help="of a front, on all of dev; left out: all")
    parser.add_argument(
        "--narrowed", type=int, default=0, help="so many more, where a front loses the point"
    )
    parser.add_argument("--only", choices=PROCEDURES, action="append")
    parser.add_argument("--time", action="store_true", help="only time the results in --out again")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="passes of each that is timed")
    arguments = parser.parse_args()
    limit_kernel_caches()
    arguments.out.mkdir(parents=True, exist_ok=True)
    wanted = () if arguments.time else arguments.only or PROCEDURES
    paths = {
        name: arguments.out / f"{arguments.task}-{name}-s{arguments.seed}.json" for name in wanted
    }
    missing = {name: path for name, path in paths.items() if not path.exists()}
    for name, path in missing.items():
        write_text_atomically(path, json.dumps(measured(name, arguments), indent=1) + "\n")
    found = results_of(arguments.out, arguments.task, arguments.seed).values()
    if arguments.time or (len(found) == len(PROCEDURES) and untimed(found)):
        time_fronts(arguments.out, arguments.task, arguments.seed, repeats=arguments.repeats)
    write_readme(arguments.out)


def results_of(out: Path, task: str, seed: int) -> dict[Path, dict[str, Any]]:
    return {path: json.loads(path.read_text()) for path in out.glob(f"{task}-*-s{seed}.json")}


def untimed(results: Iterable[dict[str, Any]]) -> bool:
    """Whether some of the results of one task and seed were not timed with the others."""
    timed = {str(one.get("timed")) for one in results}
    return len(timed) > 1 or timed == {"None"}


def time_fronts(out: Path, task: str, seed: int, *, repeats: int = REPEATS) -> None:
    """Time the fronts of all procedures in turn, and keep that with their results."""
    found = results_of(out, task, seed)
    if not found:
        raise SystemExit(
            f"{out} has no results of {task}, seed {seed}; train first, without --time."
        )
    rows = [row for result in found.values() for row in result["front"]]
    (tokens,) = {int(result["tokens"]) for result in found.values()}
    timed = time_together(task, rows, tokens=tokens, repeats=repeats)
    for path, result in found.items():
        write_text_atomically(path, json.dumps(result | {"timed": timed}, indent=1) + "\n")


def measured(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """The results of one procedure, trained and searched unless that was done before."""
    recipe = shortened(RECIPES[name], arguments)
    run = trained(
        recipe,
        name=f"{arguments.task}-{name}-s{arguments.seed}",
        task=arguments.task,
        data_dir=arguments.data_dir,
        seed=arguments.seed,
        runs_dir=arguments.runs_dir,
    )
    model, examples, metric = run.model(), load_examples(run), run.info.task.metric
    settings = SearchSettings(
        num_trials=arguments.trials,
        depth_mults=recipe.depth_mults,
        tokens=arguments.tokens,
        num_examples=arguments.search_examples,
        num_measured=arguments.measured,
        seed=arguments.seed,
    )
    search = open_search(run, "tpe", settings, command=this_command())
    trials = run_search(
        search,
        model,
        examples,
        on_trial=lambda tried: print(f"  {tried.done}/{tried.total} {tried.trial}", flush=True),
    )
    table = measure_front(search, model, examples, batch_sizes=())  # timed with the others, later
    table = narrowed(search, model, examples, table, arguments.narrowed)
    columns = ["subnet", metric, "macs", "is_reference"]
    return {
        "procedure": name,
        "task": arguments.task,
        "metric": metric,
        "seed": arguments.seed,
        "command": this_command(),
        "commit": current_commit(),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": describe_machine(torch.device("cpu")),
        "versions": run.info.versions,
        "epochs": {stage.name: stage.epochs for stage in recipe.train_stages},
        "stage_seconds": run.info.stage_seconds,
        "search_seconds": sum(trial.seconds for trial in trials),
        "trials": len(trials),
        "search_examples": arguments.search_examples,
        "tokens": arguments.tokens,
        "teacher": teacher_score(run),
        "teacher_macs": count_macs(model, FULL, arguments.tokens),
        "num_front": len(table) - 1 + num_unmeasured(table),
        "front": table[columns].to_dict("records"),
    }


def narrowed(
    search: Search, model: TaskModel, examples: RunExamples, table: pd.DataFrame, number: int
) -> pd.DataFrame:
    """A front's table with up to so many rows more, on all of dev: where it loses the point, halved."""
    metric, space = search.info.metric, search.settings.space(model.config.shape)
    best = sorted(front(search.trials), key=lambda trial: trial.cost)
    keys = [space.subnet(trial.candidate).key for trial in best]
    wanted = float(reference_row(table)[metric]) - WITHIN / 100
    for _ in range(number):
        key = next_to_judge(keys, dict(zip(table["subnet"], table[metric], strict=True)), wanted)
        if key is None:
            break
        judged = evaluate(model, examples.dev, Subnet.parse(key), metrics=(metric,))
        row = result_row(model, judged, None, search.settings.setup) | {"is_reference": False}
        print(f"  {key}: {judged.metrics[metric]:.4f} on all of dev", flush=True)
        table = pd.concat([table, pd.DataFrame([row])], ignore_index=True)
    return table


def next_to_judge(keys: Sequence[str], scores: Mapping[str, float], wanted: float) -> str | None:
    """The middle of those between the cheapest with a wanted score and the one before it that has less.

    keys: of a front, by rising cost.
    """
    good = [place for place, key in enumerate(keys) if scores.get(key, -math.inf) >= wanted]
    end = min(good, default=len(keys))
    start = max((place + 1 for place, key in enumerate(keys[:end]) if key in scores), default=0)
    return keys[(start + end) // 2] if start < end else None


def shortened(recipe: Recipe, arguments: argparse.Namespace) -> Recipe:
    """The procedure with its epochs scaled; the teacher, which all have in common, as long as asked."""
    stages = []
    for stage in recipe.stages:
        if isinstance(stage, Train):
            epochs = stage.epochs * arguments.epochs_scale
            if stage.name == "fine-tune":
                epochs = arguments.teacher_epochs
            stage = stage.model_copy(update={"epochs": epochs})
        stages.append(stage)
    changes = {"stages": tuple(stages), "judge_examples": arguments.judge_examples}
    return recipe.model_copy(update=changes)


def teacher_score(run: Run) -> float:
    """The fine-tuned network's score, of the checkpoint that was kept."""
    return max(
        float(record["mean"])
        for record in run.metrics
        if record.get("event") == "evaluation" and record["stage"] == "fine-tune"
    )


def write_readme(out: Path) -> None:
    """All results of a folder as tables, for each task and seed."""
    found = [json.loads(path.read_text()) for path in sorted(out.glob("*.json"))]
    groups: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for result in found:
        groups.setdefault((result["task"], result["seed"]), []).append(result)
    lines = [
        "# Dynamic-TinyBERT's procedures",
        "",
        "Table 1 of Dynamic-TinyBERT (arXiv 2111.09645) in another setting: minilm's six layers are the "
        "teacher, three of them the student, and the training is shorter; so only the order compares with "
        "the paper's, not the size of the numbers. The paper's speed-up is the best, against the teacher "
        "(BERT-base), of what is within 1 point of the teacher; here *within 1 point of the teacher* is "
        "that. *Within 1 point of itself*: of the length configurations that lose at most one point of the "
        "student's own dev score at full length, the best against the student at full length, in each "
        "column its own. Learning rates are those of the other recipes here (see docs/departures.md).",
    ]
    for results in groups.values():
        lines += section(results)
    text = "\n".join(lines) + "\n"
    (out / "README.md").write_text(text, encoding="utf-8")
    print(text)


def section(results: list[dict[str, Any]]) -> list[str]:
    """What is said of one task and seed."""
    first = results[0]
    metric, by_name = first["metric"], {result["procedure"]: result for result in results}
    not_timed = untimed(results)
    if not_timed:  # times of different minutes do not compare
        by_name = {name: result | {"timed": {"full": {}}} for name, result in by_name.items()}
    ordered = [by_name[name] for name in PROCEDURES if name in by_name]
    missing = [title for name, title in PROCEDURES.items() if name not in by_name]
    rows = [row for result in results for row in result["front"]]
    again = f"`--time --task {first['task']} --seed {first['seed']}`"
    clock = f"Not timed yet ({again})." if not_timed else timing_sentence(first["timed"], rows)
    heads, part = [f"{times:g}x" for times in TIMES_CHEAPER], any(map(is_part, ordered))
    return [
        "",
        f"## {first['task']}, seed {first['seed']}",
        "",
        f"`{first['command']}` and so on; {first['trials']} trials each (Optuna's TPE, MACs of "
        f"{first['tokens']} tokens, quality on {tried_on(results)}). The teacher's dev "
        f"{metric}: {100 * first['teacher']:.1f}. {clock}",
        *([f"Not trained yet: {', '.join(missing)}."] if missing else []),
        "",
        "| procedure | epochs | minutes | full length | faster than the teacher, batch 1 | batch 32 | "
        "within 1 point of itself: fewer MACs | faster, batch 1 | batch 32 | within 1 point of the "
        "teacher: faster, batch 1 | batch 32 | paper: F1 full / speed-up | trained |",
        "|---|---|" + "--:|" * 10 + "---|",
        *map(row, ordered),
        "",
        f"Its Figures 2 and 3 as numbers: the best {metric} at so many times fewer MACs than the teacher "
        f"({first['teacher_macs'] / 1e6:,.0f} million)"
        + ("; between the few that were measured, on straight lines." if part else "."),
        "",
        f"| procedure | {' | '.join(heads)} |",
        "|---|" + "--:|" * len(heads),
        *map(curve, ordered),
    ]


def tried_on(results: Sequence[dict[str, Any]]) -> str:
    """What a trial is judged by, in words; results from before there was a choice have no number."""
    (number,) = {result.get("search_examples") for result in results}
    shown = [len(result["front"]) - 1 for result in results]
    all_of_it = [result.get("num_front", many) for result, many in zip(results, shown, strict=True)]
    part = f"{in_words(shown)} of each front's {in_words(all_of_it)}"
    if number is None:
        return "all of dev" + ("" if shown == all_of_it else f"; {part} are shown")
    return f"{number:,} of dev, {'the fronts' if shown == all_of_it else part} then on all of it"


def in_words(numbers: Sequence[int]) -> str:
    lowest, highest = min(numbers), max(numbers)
    return f"{lowest}" if lowest == highest else f"{lowest} to {highest}"


def row(result: dict[str, Any]) -> str:
    metric, front = result["metric"], result["front"]
    student = next(one for one in front if one["is_reference"])
    epochs = ", ".join(f"{name} {count:g}" for name, count in result["epochs"].items())
    minutes = sum(result["stage_seconds"].values()) / 60
    f1, speed = PUBLISHED[result["procedure"]]
    columns = [latency_column(size) for size in BATCH_SIZES]
    full = result["timed"]["full"]
    timed = [column for column in columns if column in full]
    blank = ["-"] * (len(columns) - len(timed))
    itself = [best_within(result, student[metric], student, one) for one in ("macs", *timed)]
    teacher = [best_within(result, result["teacher"], full, one) for one in timed]
    cells = [
        *(
            PROCEDURES[result["procedure"]],
            epochs,
            f"{minutes:.0f}",
            f"{100 * student[metric]:.1f}",
        ),
        *(*(f"{full[one] / student[one]:.2f}x" for one in timed), *blank),
        *(*itself, *blank, *teacher, *blank, f"{f1} / {speed}x"),
        f"{result['created'][:10]}, {result['machine']}",
    ]
    return f"| {' | '.join(cells)} |"


def best_within(result: dict[str, Any], score: float, beside: dict[str, float], column: str) -> str:
    """How many times less of a cost the cheapest has that is within a point of a score, and its own score."""
    metric = result["metric"]
    good = [one for one in result["front"] if one[metric] >= score - WITHIN / 100 - 1e-12]
    if not good:
        return "none"
    best = min(good, key=lambda one: one[column])
    return f"{beside[column] / best[column]:.2f}x ({100 * best[metric]:.1f})"


def curve(result: dict[str, Any]) -> str:
    """The best score at each cost."""
    front, full = pd.DataFrame(result["front"]), float(result["teacher_macs"])
    if is_part(result):
        cells = [between(front, result["metric"], full / times) for times in TIMES_CHEAPER]
    else:
        cells = [best_at(front, result["metric"], "macs", full, times) for times in TIMES_CHEAPER]
    return f"| {PROCEDURES[result['procedure']]} | {' | '.join(cells)} |"


def is_part(result: dict[str, Any]) -> bool:
    """Whether only some of the front were measured on all of dev."""
    return len(result["front"]) - 1 < result.get("num_front", 0)


def between(front: pd.DataFrame, metric: str, macs: float) -> str:
    """The score at a cost, on straight lines between what was measured: the next cheaper one may be far
    away, and of another front's near."""
    points = front.sort_values("macs")
    best = points[metric].cummax()
    score = np.interp(macs, points["macs"], best, left=math.nan)
    return "none" if math.isnan(score) else f"{100 * score:.1f}"


if __name__ == "__main__":
    main()
