"""From a finished run to the result that is kept of it."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import torch

import dynabert
from dynabert.modeling.configuration import DynaBertConfig
from dynabert.reproduction.results import (
    MeasuredLatency,
    Result,
    Shape,
    SubnetResult,
    backbone_name,
)
from dynabert.run_info import RunInfo
from dynabert.runs import Run
from dynabert.subnet import Subnet

_PACKAGE = Path(dynabert.__file__).parent


def current_commit() -> str | None:
    """The commit of the checkout that this package runs from, "+changes" where its files differ.

    None outside a checkout, or without git.
    """

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(_PACKAGE), *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=30
        ).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", "__init__.py")  # installed inside another project?
        commit = git("rev-parse", "HEAD")
        return f"{commit}+changes" if git("status", "--porcelain", "--", ".") else commit
    except (OSError, subprocess.SubprocessError):
        return None


def result_of(
    run: Run,
    *,
    task: str,
    recipe: str,
    command: str,
    commit: str | None,
    limits: tuple[str, ...],
    num_train_total: int,
    wall_seconds: float,
    latency: Mapping[Subnet, tuple[MeasuredLatency, ...]],
    latency_machine: str | None,
) -> Result:
    """The result of a run.  latency: of its sub-networks; those that are not in it have none."""
    info = run.info
    return Result(
        backbone=backbone_name(info.backbone),
        shape=shape_of(run.config),
        task=task,
        recipe=recipe,
        seed=info.seed,
        command=command,
        commit=commit,
        created=info.created,
        machine=info.machine,
        threads=torch.get_num_threads(),
        precision=info.precision,
        versions=info.versions,
        stages=info.recipe,
        limits=limits,
        max_tokens=info.max_tokens,
        num_train=info.task.num_train,
        num_train_total=num_train_total,
        num_dev=info.task.num_dev,
        fingerprint=info.task.fingerprint,
        notices=info.notices,
        augmentation=info.augmentation,
        stage_seconds=info.stage_seconds,
        wall_seconds=round(wall_seconds, 1),
        steps=count_steps(run),
        latency_machine=latency_machine if latency else None,
        rows=_rows(run, info, latency),
    )


def shape_of(config: DynaBertConfig) -> Shape:
    return Shape(
        family=config.backbone,
        layers=config.original_num_layers or config.num_hidden_layers,
        hidden=config.hidden_size,
        heads=config.original_num_heads or config.num_attention_heads,
        neurons=config.original_num_neurons or config.intermediate_size,
    )


def count_steps(run: Run) -> int:
    """Optimiser steps of all stages, from what was recorded while it trained."""
    last: dict[str, int] = {}
    for record in run.metrics:
        stage, step = record.get("stage"), record.get("step")
        if stage is not None and step is not None:
            last[stage] = max(last.get(stage, 0), int(step))
    return sum(last.values())


def _rows(
    run: Run, info: RunInfo, latency: Mapping[Subnet, tuple[MeasuredLatency, ...]]
) -> tuple[SubnetResult, ...]:
    table = run.results
    # Of a second dev split a metric carries its name: accuracy_mismatched.
    metrics = [
        column
        for column in table.columns
        for metric in info.task.metrics
        if column == metric or column.startswith(f"{metric}_")
    ]
    return tuple(
        SubnetResult(
            subnet=row["subnet"],
            layers=tuple(map(int, row["layers"])),
            heads=tuple(map(int, row["heads"])),
            neurons=tuple(map(int, row["neurons"])),
            metrics={metric: float(row[metric]) for metric in dict.fromkeys(metrics)},
            loss=float(row["loss"]),
            collapsed=bool(row["collapsed"]),
            num_params=int(row["num_params"]),
            num_params_total=int(row["num_params_total"]),
            tokens=int(row["tokens"]),
            macs=int(row["macs"]),
            latency=latency.get(Subnet.parse(row["subnet"]), ()),
        )
        for row in table.to_dict("records")
    )
