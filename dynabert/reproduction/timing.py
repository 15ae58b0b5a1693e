"""Latency for results that were made without: it depends on shapes alone, so nothing is trained again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import torch

from dynabert.backbones import find_backbone
from dynabert.data.tasks import find_task
from dynabert.evaluation.latency import LatencySetup, describe_machine
from dynabert.modeling.models import TaskModel
from dynabert.reproduction.latencies import PAPER_SETUPS, LatencyBook, OnProgress
from dynabert.reproduction.plan import Job
from dynabert.reproduction.results import Result, backbone_name, read_results, write_result
from dynabert.subnet import Subnet
from dynabert.task_models import head_config, model_class


def without_latency(results: Iterable[Result], jobs: Sequence[Job]) -> list[Result]:
    """The results of some jobs that have no latency."""
    wanted = {(backbone_name(job.backbone), job.task, job.recipe, job.seed) for job in jobs}
    return [
        one
        for one in results
        if (one.backbone, one.task, one.recipe, one.seed) in wanted
        and not any(row.latency for row in one.rows)
    ]


def time_results(
    folder: Path,
    jobs: Sequence[Job],
    *,
    setups: Sequence[LatencySetup] = PAPER_SETUPS,
    on_progress: OnProgress | None = None,
) -> Iterator[Path]:
    """Measure, on this machine now, what the results of some jobs lack; yields each file as it is complete.

    Shapes that were timed before are not timed again (`LatencyBook`).

    folder: of all results.

    Raises:
        UserError: a backbone is not there, or a result is damaged.
    """
    models: dict[tuple[str, str], TaskModel] = {}
    for backbone in dict.fromkeys(job.backbone for job in jobs):
        own = [job for job in jobs if job.backbone == backbone]
        book = LatencyBook(folder, backbone)
        for result in without_latency(read_results(folder), own):
            kind = find_task(result.task).kind
            if (backbone, kind) not in models:
                models[backbone, kind] = untrained(backbone, result.task)
            model = models[backbone, kind]
            subnets = [Subnet.parse(row.subnet) for row in result.rows]
            times = book.measured(model, subnets, setups, on_progress=on_progress)
            rows = tuple(
                row.model_copy(update={"latency": times[subnet]})
                for row, subnet in zip(result.rows, subnets, strict=True)
            )
            machine = describe_machine(torch.device("cpu"))
            timed = result.model_copy(update={"rows": rows, "latency_machine": machine})
            yield write_result(folder, timed)


def untrained(backbone: str, task: str) -> TaskModel:
    """One of the shape that was trained; how long a pass takes does not depend on its weights."""
    known = find_task(task)
    return (
        model_class(known.kind)
        .from_hf(find_backbone(backbone), **head_config(known))
        .float()
        .eval()
    )
