"""What a winner among plain architectures is worth when it is trained in full.

    python benchmarks/winner_in_full.py runs/cola --report OUT/cola-plain-teacher.json --out OUT

Trains, by the recipe `plain-student` and with as many epochs as the run had, the winner of an extraction
(`benchmarks/subarchitectures.py --spaces plain`) and the architecture of the same space whose parameters are
nearest to the winner's and whose number of layers is another. Then both, and the run's own sub-networks, are
timed in turn: which sub-network takes as long, and which has as many parameters in its layers? What is
trained is kept (`--work`); the same command goes on after a stop.
"""

from __future__ import annotations

import argparse
import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from commands import this_command
from training import carried_out

from dynabert import Subnet
from dynabert.data.encoding import Encoded
from dynabert.evaluation import describe_machine, evaluate_many
from dynabert.evaluation.latency import random_ids, time_in_turn
from dynabert.examples import load_examples
from dynabert.files import write_text_atomically
from dynabert.modeling.architecture import Architecture
from dynabert.modeling.models import TaskModel
from dynabert.runs import Run
from dynabert.search.ose.plain_report import PlainReport
from dynabert.training import Recipe, Train, TrainingPlan
from dynabert.training.events import Evaluated, Event, StageStarted
from dynabert.training.memory import limit_kernel_caches
from dynabert.training.presets import RECIPES


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One network: how good, how large, how fast."""

    what: str
    name: str
    score: float
    layer_params: int  # without embeddings
    params: int
    latency_ms: float


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the winner of an extraction in full.")
    parser.add_argument("run", type=Path)
    parser.add_argument("--report", type=Path, required=True, help="of the extraction")
    parser.add_argument("--out", type=Path, required=True, help="folder for the table")
    parser.add_argument("--work", type=Path, default=Path("runs/subarchitectures"))
    parser.add_argument("--stages", type=Path, help="cache of stages, to share the fine-tuning")
    parser.add_argument("--data-dir", type=Path, help="of the run's task; left out: as it says")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    limit_kernel_caches()
    run = Run.load(arguments.run)
    report = PlainReport.model_validate_json(arguments.report.read_text(encoding="utf-8"))
    winner = Architecture.parse(report.winner)
    rival = Architecture.parse(nearest_in_size(report))
    students = {
        "winner": trained(run, winner, arguments),
        "as many parameters": trained(run, rival, arguments),
    }
    dev = load_examples(run, arguments.data_dir).dev
    rows = measured(run, students, dev, arguments)
    text = "\n".join(lines(run, report, rows, arguments)) + "\n"
    arguments.out.mkdir(parents=True, exist_ok=True)
    write_text_atomically(arguments.out / f"{run.name}-winner-in-full.md", text)
    print(text)


def nearest_in_size(report: PlainReport) -> str:
    """The architecture with the most similar number of parameters and another number of layers."""
    layers = Architecture.parse(report.winner).layers
    size = {one.key: one.num_params for one in report.members}
    others = [key for key in size if Architecture.parse(key).layers != layers]
    return min(others, key=lambda key: (abs(size[key] - size[report.winner]), key))


def trained(run: Run, architecture: Architecture, arguments: argparse.Namespace) -> Run:
    data = run.info.data
    if arguments.data_dir is not None:
        data = data.moved(arguments.data_dir)
    plan = TrainingPlan(
        name=f"{run.name}-{architecture.key}",
        data=data,
        backbone=run.info.backbone,
        recipe=recipe_of(run, architecture),
        seed=run.info.seed,
        latency=None,
    )
    return carried_out(plan, arguments.work, tell, arguments.stages)


def recipe_of(run: Run, architecture: Architecture) -> Recipe:
    """`plain-student` with the run's epochs: those after its fine-tuning are the student's."""
    theirs = Recipe.model_validate(run.info.recipe)
    epochs = {stage.name: stage.epochs for stage in theirs.train_stages}
    fine_tuning = epochs.pop("fine-tune")
    sizes: dict[str, Any] = {
        name: getattr(architecture, name) for name in ("layers", "heads", "hidden", "neurons")
    }
    changes: dict[str, dict[str, Any]] = {
        "fine-tune": {"epochs": fine_tuning},
        "reduce": sizes,
        "distil-plain": {"epochs": sum(epochs.values())},
    }
    recipe = RECIPES["plain-student"]
    stages = tuple(stage.model_copy(update=changes.get(stage.name, {})) for stage in recipe.stages)
    return recipe.model_copy(update={"stages": stages, "judge_examples": theirs.judge_examples})


def tell(event: Event) -> None:
    if isinstance(event, StageStarted):
        print(f"  {event.stage}: {event.total_steps} steps", flush=True)
    elif isinstance(event, Evaluated):
        print(f"  step {event.step}: {event.metric} {event.mean:.4f}", flush=True)


def measured(
    run: Run, students: dict[str, Run], dev: Encoded, arguments: argparse.Namespace
) -> list[Measured]:
    """The students, then the run's reported sub-networks, timed in turn at batch 1."""
    metric, model = run.info.task.metric, run.model().eval()
    subnets = [Subnet.parse(key) for key in reported(run)]
    networks: list[tuple[str, str, TaskModel]] = [
        (what, str(Architecture.parse(key_of(one))), one.model().eval())
        for what, one in students.items()
    ]
    # Taken out of the run: what is timed computes nothing else.
    networks += [("sub-network", one.key, model.extract(one).eval()) for one in subnets]
    generator = torch.Generator().manual_seed(arguments.seed)
    inputs = random_ids(model, 1, arguments.tokens, generator)
    calls = [lambda network=network: network(input_ids=inputs) for *_, network in networks]
    times = time_in_turn(model, calls, repeats=arguments.repeats, warm_up=5, generator=generator)
    return [
        Measured(
            what=what,
            name=name,
            score=evaluate_many(network, dev, [Subnet()], metrics=(metric,))[0].metrics[metric],
            layer_params=sum(one.numel() for one in network.backbone.encoder.parameters()),
            params=sum(one.numel() for one in network.parameters()),
            latency_ms=float(latency),
        )
        for (what, name, network), latency in zip(networks, np.median(times, axis=0), strict=True)
    ]


def reported(run: Run) -> list[str]:
    recipe = Recipe.model_validate(run.info.recipe)
    return [one.key for one in recipe.reported]


def key_of(run: Run) -> str:
    config = run.config
    shape = config.shape
    return Architecture(
        shape.num_layers, min(shape.heads), config.hidden_size, min(shape.neurons)
    ).key


def within(subnets: list[Measured], winner: Measured, cost: str, what: str) -> dict[str, Measured]:
    """The best sub-network that costs no more than the winner; where none does, the one that costs least."""
    most = getattr(winner, cost)
    if some := [one for one in subnets if getattr(one, cost) <= most]:
        return {f"the run's best sub-network that is {what}": max(some, key=lambda one: one.score)}
    nearest = min(subnets, key=lambda one: (getattr(one, cost), -one.score))
    return {f"none of the run's sub-networks is {what}; the nearest": nearest}


def lines(
    run: Run, report: PlainReport, rows: list[Measured], arguments: argparse.Namespace
) -> list[str]:
    winner, *others = rows
    subnets = [one for one in rows if one.what == "sub-network"]
    chosen = {
        "the winner, trained in full": winner,
        "a student with about as many parameters": others[0],
        **within(subnets, winner, "latency_ms", "as fast"),
        **within(subnets, winner, "layer_params", "as small in its layers"),
        "the run's full network": next(one for one in subnets if one.name == Subnet().key),
    }
    distil = recipe_of(run, Architecture.parse(report.winner)).stages[-1]
    assert isinstance(distil, Train)
    return [
        f"# {run.name}: the winner among {len(report.members)} plain architectures, trained in full",
        "",
        f"`{this_command()}`, {datetime.date.today()}, {describe_machine(torch.device('cpu'))}; the "
        f"run's seed {run.info.seed}; students learn for {distil.epochs:g} epochs, as many as the stages "
        f"after its fine-tuning had. Latency: median of {arguments.repeats} passes of one text of "
        f"{arguments.tokens} tokens, all in turn.",
        "",
        f"| | network | dev {run.info.task.metric} | parameters (M) | of them in layers (M) | ms |",
        "|---|---|--:|--:|--:|--:|",
        *(
            f"| {what} | {one.name.replace('<', '&lt;')} | {100 * one.score:.1f} | {one.params / 1e6:.2f} | "
            f"{one.layer_params / 1e6:.2f} | {one.latency_ms:.2f} |"
            for what, one in chosen.items()
        ),
    ]


if __name__ == "__main__":
    main()
