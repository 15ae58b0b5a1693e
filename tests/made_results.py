"""Results with made-up but fixed numbers, for tests only: nothing of it is ever committed."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from dynabert.evaluation.cost import count_macs, num_params
from dynabert.modeling.configuration import DynaBertConfig
from dynabert.reproduction.measures import MEASURES, measures_of
from dynabert.reproduction.results import (
    MeasuredLatency,
    Result,
    Shape,
    SubnetResult,
    write_result,
)
from dynabert.reproduction.tables import FIGURES, TABLES
from dynabert.subnet import Subnet

CONFIG = DynaBertConfig(
    hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536
)
SHAPE = Shape(family="bert", layers=6, hidden=384, heads=12, neurons=1536)


def made_row(
    subnet: Subnet, metrics: Mapping[str, float], *, collapsed: bool = False
) -> SubnetResult:
    resolved = subnet.resolve(CONFIG.shape)
    params = num_params(CONFIG, subnet)
    return SubnetResult(
        subnet=subnet.key,
        layers=resolved.layers,
        heads=resolved.heads,
        neurons=resolved.neurons,
        metrics=dict(metrics),
        loss=0.5,
        collapsed=collapsed,
        num_params=params,
        num_params_total=params + 1000,
        tokens=128,
        macs=count_macs(CONFIG, subnet),
        latency=tuple(
            MeasuredLatency(batch_size=size, tokens=128, median_ms=size * params / 1e6, iqr_ms=0.1)
            for size in (1, 128)
        ),
    )


def made_result(
    task: str = "mrpc",
    recipe: str = "vanilla-w",
    seed: int = 0,
    scores: Mapping[Subnet, float] | None = None,
    *,
    collapsed: Iterable[Subnet] = (),
    **changes: object,
) -> Result:
    """scores: of the sub-networks, as shares, the same for all measures of the task; others may be
    changed by name."""
    gone = set(collapsed)
    metrics = [MEASURES[measure].metric for measure in measures_of(task)]
    rows = tuple(
        made_row(subnet, dict.fromkeys(metrics, score), collapsed=subnet in gone)
        for subnet, score in (scores or {Subnet(): 0.5}).items()
    )
    values: dict[str, object] = {
        **{"backbone": "minilm", "shape": SHAPE, "task": task, "recipe": recipe, "seed": seed},
        **{"command": f"python -m dynabert reproduce {recipe} --task {task}", "commit": "0" * 40},
        **{"created": "2026-11-21T12:00:00+00:00", "machine": "a machine, 2 threads", "threads": 2},
        **{"precision": "bf16", "versions": {"torch": "2.13.0"}, "stages": {"batch_size": 32}},
        **{"limits": (), "max_tokens": 128, "num_train": 3668, "num_train_total": 3668},
        **{"num_dev": 408, "fingerprint": f"{task}-{seed}", "notices": ()},
        **{"stage_seconds": {"fine-tune": 60.0, "width": 120.0}, "wall_seconds": 200.0},
        **{"steps": 345, "latency_machine": "a machine, 2 threads", "rows": rows},
    }
    return Result.model_validate(values | changes)


def fill(
    folder: Path,
    tasks: Iterable[str] = ("mrpc", "rte"),
    seeds: Iterable[int] = (0, 1),
    names: Iterable[str] = (*TABLES, *FIGURES),
) -> Path:
    """Results of whole tables and figures; scores are random, but the same each time."""
    wanted: dict[str, set[Subnet]] = {}
    for name in names:
        if name in TABLES:
            for row in TABLES[name].rows:
                for part in (part for parts in row.parts.values() for part in parts):
                    wanted.setdefault(part.recipe, set()).add(part.subnet)
        else:
            for recipe in FIGURES[name].recipes:
                width, depth = (
                    (0.5, 0.5) if "w0.50" in recipe else (1.0, 0.5 if "0.50" in recipe else 0.75)
                )
                alone = {Subnet(width, depth)} if "bert-" in recipe else set()
                wanted.setdefault(recipe, set()).update(alone or {Subnet(), Subnet(0.5, 0.5)})
    for task in tasks:
        for recipe, subnets in wanted.items():
            for seed in seeds:
                random = np.random.default_rng(zlib.crc32(f"{task}{recipe}{seed}".encode()))
                scores = {
                    subnet: float(
                        0.6 + 0.2 * subnet.width_mult * subnet.depth_mult + random.normal(0, 0.01)
                    )
                    for subnet in sorted(subnets, key=str)
                }
                smallest = min(subnets, key=lambda one: one.width_mult * one.depth_mult)
                gone = [smallest] if recipe == "vanilla-w" else []
                write_result(folder, made_result(task, recipe, seed, scores, collapsed=gone))
    return folder
