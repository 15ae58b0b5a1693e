"""Dynamic-TinyBERT's Table 1 here: what each of its procedures is worth when tokens are dropped.

    python benchmarks/length_axis.py --task mrpc --data-dir path/to/glue --out benchmarks/results/length_axis

Each procedure is trained (with `--epochs-scale` of its epochs, the teacher with `--teacher-epochs`), then
150 length configurations of its student are tried, and the best measured on all of dev and timed. What
is finished is kept as it ends; the same command goes on after a stop, and writes the README anew.
"""

from __future__ import annotations

import argparse
import datetime
import json
from pathlib import Path
from typing import Any

import torch
from commands import this_command
from training import trained

from dynabert.evaluation import count_macs, describe_machine
from dynabert.evaluation.latency import LatencySetup, measure_latency
from dynabert.examples import load_examples
from dynabert.files import write_text_atomically
from dynabert.reproduction.collect import current_commit
from dynabert.runs import Run
from dynabert.search.front import BATCH_SIZES, latency_column, measure_front
from dynabert.search.loop import run_search
from dynabert.search.search import open_search
from dynabert.search.settings import SearchSettings
from dynabert.subnet import FULL, Subnet
from dynabert.training import RECIPES
from dynabert.training.memory import limit_kernel_caches
from dynabert.training.recipe import Recipe, Train

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
    parser.add_argument("--only", choices=PROCEDURES, action="append")
    arguments = parser.parse_args()
    limit_kernel_caches()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.only or PROCEDURES:
        path = arguments.out / f"{arguments.task}-{name}-s{arguments.seed}.json"
        if not path.exists():
            write_text_atomically(path, json.dumps(measured(name, arguments), indent=1) + "\n")
    write_readme(arguments.out)


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
        seed=arguments.seed,
    )
    search = open_search(run, "tpe", settings, command=this_command())
    trials = run_search(
        search,
        model,
        examples,
        on_trial=lambda tried: print(f"  {tried.done}/{tried.total} {tried.trial}", flush=True),
    )
    table = measure_front(search, model, examples)
    student = Subnet.parse(str(table[table["is_reference"]].iloc[0]["subnet"]))
    faster = {}
    for batch_size in BATCH_SIZES:
        setup = LatencySetup(tokens=arguments.tokens, batch_size=batch_size, repeats=20)
        full, small = measure_latency(model, [FULL, student], setup)
        faster[str(batch_size)] = full.median_ms / small.median_ms
    columns = ["subnet", metric, "macs", *map(latency_column, BATCH_SIZES), "is_reference"]
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
        "student_faster_than_teacher": faster,
        "front": table[columns].to_dict("records"),
    }


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
    """All results of a folder as tables, one for each task and seed."""
    found = [json.loads(path.read_text()) for path in sorted(out.glob("*.json"))]
    groups: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for result in found:
        groups.setdefault((result["task"], result["seed"]), []).append(result)
    lines = [
        "# Dynamic-TinyBERT's procedures",
        "",
        "Table 1 of Dynamic-TinyBERT (arXiv 2111.09645) in another setting: minilm's six layers are the "
        "teacher, three of them the student, and the training is shorter; so only the order compares with "
        "the paper's, not the size of the numbers. *Within 1 point*: the cheapest of the searched length "
        "configurations whose dev score is at most one point below the student's own at full length. "
        "Learning rates are those of the other recipes here (see docs/departures.md). How much faster: "
        "only within a day and a machine do they compare; since 22 November 2026 a classifier's last layer "
        "computes what its head reads and no more.",
    ]
    for (task, seed), results in groups.items():
        first = results[0]
        lines += [
            "",
            f"## {task}, seed {seed}",
            "",
            f"`{first['command']}` and so on; {first['trials']} trials each (Optuna's TPE, MACs of "
            f"{first['tokens']} tokens, quality on {tried_on(first)}). The teacher's dev "
            f"{first['metric']}: {100 * first['teacher']:.1f}.",
            "",
            "| procedure | epochs | minutes | full length | within 1 point | fewer MACs | faster, batch 1 | "
            "batch 32 | paper: F1 full / speed-up | measured |",
            "|---|---|--:|--:|--:|--:|--:|--:|--:|---|",
        ]
        by_name = {result["procedure"]: result for result in results}
        lines += [
            row(by_name[name]) if name in by_name else f"| {title} | not trained yet |" + " |" * 8
            for name, title in PROCEDURES.items()
        ]
    text = "\n".join(lines) + "\n"
    (out / "README.md").write_text(text, encoding="utf-8")
    print(text)


def tried_on(result: dict[str, Any]) -> str:
    """What a trial is judged by, in words; results from before there was a choice have no number."""
    number = result.get("search_examples")
    return "all of dev" if number is None else f"{number:,} of dev, the front then on all of it"


def row(result: dict[str, Any]) -> str:
    metric, front = result["metric"], result["front"]
    student = next(one for one in front if one["is_reference"])
    good = [one for one in front if one[metric] >= student[metric] - WITHIN / 100 - 1e-12]
    best = min(good, key=lambda one: one["macs"])
    fewer = student["macs"] / best["macs"]
    faster = [student[column] / best[column] for column in map(latency_column, BATCH_SIZES)]
    epochs = ", ".join(f"{name} {count:g}" for name, count in result["epochs"].items())
    minutes = sum(result["stage_seconds"].values()) / 60
    f1, speed = PUBLISHED[result["procedure"]]
    return (
        f"| {PROCEDURES[result['procedure']]} | {epochs} | {minutes:.0f} | {100 * student[metric]:.1f} | "
        f"{100 * best[metric]:.1f} | {fewer:.2f}x | {faster[0]:.2f}x | {faster[1]:.2f}x | "
        f"{f1} / {speed}x | {result['created'][:10]}, {result['machine']} |"
    )


if __name__ == "__main__":
    main()
