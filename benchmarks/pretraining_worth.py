"""What masked-LM distillation on plain text is worth for a student that then learns a task.

    python benchmarks/pretraining_worth.py --task cola --data-dir path/to/data --out OUT

Pretrains a student on the passages of SQuAD, without questions (`dynabert pretrain`), then trains students of
that architecture for the task, alike but for what they begin with: random weights, a cut of the fine-tuned
teacher, or the pretrained weights, after shorter and longer pretraining (`--pretrain-epochs`). What is
finished is kept (`--work`); the same command goes on after a stop.
"""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from commands import this_command
from training import trained

from dynabert.data.loading import load_task_data
from dynabert.data.tasks import find_task
from dynabert.files import write_text_atomically
from dynabert.modeling.architecture import Architecture
from dynabert.runs import Run
from dynabert.training import RECIPES, Recipe
from dynabert.training.events import Evaluated, Event, StageStarted, StepDone
from dynabert.training.memory import limit_kernel_caches
from dynabert.training.pretraining import Pretrained, pretrain
from dynabert.training.pretraining_plan import ask_pretraining

BACKBONE = "minilm"


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a student with and without pretraining.")
    parser.add_argument("--task", default="cola")
    parser.add_argument("--data-dir", type=Path, help="left out: the hub")
    parser.add_argument("--out", type=Path, required=True, help="folder for the table")
    parser.add_argument("--work", type=Path, default=Path("runs/pretraining-worth"))
    parser.add_argument("--architecture", default="2-6-192-384", help="layers-heads-hidden-neurons")
    parser.add_argument("--pretrain-epochs", type=float, nargs="+", default=[3, 12])
    parser.add_argument("--head-epochs", type=float, default=6)
    parser.add_argument("--fine-tune-epochs", type=float, default=4)
    parser.add_argument("--student-epochs", type=float, default=8)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    limit_kernel_caches()
    arguments.work.mkdir(parents=True, exist_ok=True)
    sizes = sizes_of(arguments.architecture)
    pretrained = {
        epochs: pretrained_for(epochs, sizes, arguments) for epochs in arguments.pretrain_epochs
    }
    starts: dict[str, dict[str, Any]] = {
        "random weights": {**sizes, "start": "scratch"},
        "a cut of the fine-tuned teacher": {**sizes, "start": "teacher"},
    }
    for epochs, (folder, _) in pretrained.items():
        starts[f"{epochs:g} epochs of text"] = {"pretrained": str(folder)}
    found = {
        what: [student(what, start, seed, sizes, arguments) for seed in arguments.seeds]
        for what, start in starts.items()
    }
    write_text_atomically(
        arguments.out / f"{arguments.task}.md",
        "\n".join(lines(found, {e: about for e, (_, about) in pretrained.items()}, arguments))
        + "\n",
    )


def sizes_of(architecture: str) -> dict[str, int]:
    one = Architecture(*map(int, architecture.split("-")))
    return {name: getattr(one, name) for name in ("layers", "heads", "hidden", "neurons")}


def pretrained_for(
    epochs: float, sizes: Mapping[str, int], arguments: argparse.Namespace
) -> tuple[Path, Pretrained]:
    """A folder with the student, pretrained for so long, and what is known of it."""
    name = "-".join(map(str, sizes.values()))
    folder = arguments.work / f"pretrained-{name}-{epochs:g}"
    plan = ask_pretraining(
        backbone=BACKBONE,
        texts=(passages(arguments),),
        epochs=epochs,
        head_epochs=arguments.head_epochs,
        **sizes,
    )
    if folder.exists():
        found = Pretrained.load(folder)
        if found.plan != plan:
            raise SystemExit(f"{folder} was pretrained otherwise; give another folder for work.")
        return folder, found
    print(folder.name, flush=True)
    return folder, pretrain(plan, folder, command=this_command(), on_event=tell)


def passages(arguments: argparse.Namespace) -> Path:
    """A file with each passage of SQuAD once."""
    path: Path = arguments.work / "passages.txt"
    if not path.exists():
        squad = load_task_data(find_task("squad"), arguments.data_dir)
        contexts = (text for split in (squad.train, squad.dev) for text in split["context"])
        texts = dict.fromkeys(" ".join(text.split()) for text in contexts)
        write_text_atomically(path, "\n".join(texts) + "\n")
    return path


def student(
    what: str,
    start: Mapping[str, Any],
    seed: int,
    sizes: Mapping[str, int],
    arguments: argparse.Namespace,
) -> Run:
    changes: dict[str, dict[str, Any]] = {
        "fine-tune": {"epochs": arguments.fine_tune_epochs},
        "reduce": dict(start),
        "distil-plain": {"epochs": arguments.student_epochs},
    }
    recipe = RECIPES["plain-student"]
    stages = tuple(stage.model_copy(update=changes.get(stage.name, {})) for stage in recipe.stages)
    wanted: Recipe = recipe.model_copy(update={"stages": stages})
    sized = "-".join(map(str, sizes.values()))
    name = f"{arguments.task}-{sized}-{what.replace(' ', '-')}-s{seed}"
    return trained(
        wanted,
        name=name,
        task=arguments.task,
        data_dir=arguments.data_dir,
        seed=seed,
        runs_dir=arguments.work,
        on_event=tell,
    )


def tell(event: Event) -> None:
    if isinstance(event, StageStarted):
        print(f"  {event.stage}: {event.total_steps} steps", flush=True)
    elif isinstance(event, StepDone) and event.step % 500 == 0:
        print(f"  {event.step}: loss {event.loss:.3f}, {event.seconds_left:.0f} s left", flush=True)
    elif isinstance(event, Evaluated):
        print(f"  step {event.step}: {event.metric} {event.mean:.4f}", flush=True)


def score(run: Run) -> float:
    return 100 * float(run.results[run.info.task.metric].iloc[0])


def lines(
    found: Mapping[str, list[Run]],
    pretrained: Mapping[float, Pretrained],
    arguments: argparse.Namespace,
) -> list[str]:
    one = next(iter(found.values()))[0]
    text = next(iter(pretrained.values()))
    distil = next(
        stage
        for stage in Recipe.model_validate(one.info.recipe).train_stages
        if stage.name == "distil-plain"
    )
    rows = [
        "# What pretraining on text is worth for a plain student",
        "",
        f"`{this_command()}`, {datetime.date.today()}, {text.machine}.",
        "",
        f"Text: the passages of SQuAD at hand, {text.num_train:,} rows of "
        f"{text.num_tokens:,} tokens. Student: {Architecture(**sizes_of(arguments.architecture))}. Teacher: "
        "minilm, which has no masked-LM head: one was trained on the same text for "
        f"{arguments.head_epochs:g} epochs, and finds {100 * text.teacher.accuracy:.1f} % of the masked "
        "tokens.",
        "",
        "| pretrained for | masked tokens found (%) | loss | minutes |",
        "|--:|--:|--:|--:|",
    ]
    rows += [
        f"| {epochs:g} epochs | {100 * about.student.accuracy:.1f} | {about.student.loss:.2f} | "
        f"{about.stage_seconds['distil'] / 60:.0f} |"
        for epochs, about in pretrained.items()
    ]
    seeds = ", ".join(map(str, arguments.seeds))
    rows += [
        "",
        f"Then {one.info.task.title}, recipe `plain-student`: {distil.epochs:g} epochs of the fine-tuned "
        f"teacher's answers and the labels, seeds {seeds}; the mean dev {one.info.task.metric} and its "
        "standard deviation over these seeds (pretraining has one, 0).",
        "",
        "| the student begins with | mean | each seed |",
        "|---|--:|---|",
    ]
    for what, runs in found.items():
        scores = [score(run) for run in runs]
        spread = f" ± {np.std(scores, ddof=1):.1f}" if len(scores) > 1 else ""
        rows.append(
            f"| {what} | {np.mean(scores):.1f}{spread} | {', '.join(f'{s:.1f}' for s in scores)} |"
        )
    print("\n".join(rows))
    return rows


if __name__ == "__main__":
    main()
