"""What our numbers were measured with, in sentences: backbone, budget, machine, time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from dynabert.data.augmentation.settings import FEWER_VECTORS, GLOVE_ALONE
from dynabert.data.loading import ONLY_A_SUBSET
from dynabert.data.tasks import find_task
from dynabert.reproduction.layout import times
from dynabert.reproduction.measures import COMPLETE_TRAIN, MEASURES, measures_of
from dynabert.reproduction.results import Result, Shape
from dynabert.subnet import PAPER_DEPTHS, NetworkShape, Subnet
from dynabert.words import count

BERT_BASE = (12, 768)  # layers, hidden units: the paper's backbones
_OF_STAGE = "stage "  # how a limit begins that changes a stage's epochs
BERT_BASE_IN_WORDS = "12 layers x 768"


def backbone_sentence(backbone: str, shape: Shape) -> str:
    """Whether our scores can be laid beside the paper's at all."""
    name = "RoBERTa-base" if shape.family == "roberta" else "BERT-base"
    if (shape.layers, shape.hidden) == BERT_BASE:
        return f"{backbone} has the size of {name} ({shape}), the paper's backbone."
    return (
        f"{backbone} is not {name}: {shape} instead of {BERT_BASE_IN_WORDS}. Differences from the paper "
        "mix the backbone with the method; what can be compared is how much one row gains over another."
        + _rounded_depths(shape)
    )


def _rounded_depths(shape: Shape) -> str:
    """How many layers the paper's depths run, where that is not the share that they are called by."""
    network = NetworkShape((shape.heads,) * shape.layers, (shape.neurons,) * shape.layers)
    said = []
    for depth in PAPER_DEPTHS:
        layers = len(Subnet(depth_mult=depth).resolve(network).layers)
        if layers != depth * shape.layers:
            said.append(f"{times(depth)} of the depth is {layers} of {shape.layers} layers here")
    return f" {'; '.join(said)}." if said else ""


def budget_sentences(results: Iterable[Result]) -> list[str]:
    """For each task on how many examples, and for how many epochs where not for the presets', was trained."""
    by_task: dict[str, list[Result]] = {}
    for result in results:
        by_task.setdefault(result.task, []).append(result)
    return [
        f"{task_title(task)}: "
        + "; ".join([*_examples(some), *_augmentations(some), *_epochs(some), *_precisions(some)])
        + "."
        for task, some in by_task.items()
    ]


def _examples(results: Sequence[Result]) -> list[str]:
    said: dict[str, None] = {}
    for result in results:
        complete = COMPLETE_TRAIN.get(result.task, result.num_train_total)
        if result.num_train == complete:
            examples = f"all {complete:,} training examples"
        else:
            examples = f"{result.num_train:,} of {complete:,} training examples"
        if any(ONLY_A_SUBSET in notice for notice in result.notices):
            original = find_task(result.task).original
            if original is not None:
                file = original.train_subset
                examples += f" (those of {file}, which is read where the whole file is missing)"
        said[f"{examples}, judged on {result.num_dev:,} dev examples"] = None
    return [*said]


def _augmentations(results: Sequence[Result]) -> list[str]:
    """What augmented data were made with, where it is less than the authors have."""
    notices = {notice: None for one in results if one.augmentation for notice in one.notices}
    less = (GLOVE_ALONE, FEWER_VECTORS)
    said = "; ".join(notice for notice in notices if any(part in notice for part in less))
    return (
        [f"augmented data, where a row has them, by other means than the paper's ({said})"]
        if said
        else []
    )


def _epochs(results: Sequence[Result]) -> list[str]:
    """What a plan changed: once for all recipes that have a stage, where it is the same for all of them."""
    changes: dict[str, dict[str, None]] = {}  # stage: its changes
    others: dict[str, None] = {}  # limits that are not of a stage
    for result in results:
        for limit in result.limits:
            if limit.startswith(_OF_STAGE):
                changes.setdefault(_stage(limit), {})[limit.partition(": ")[2]] = None
            else:
                others[limit] = None
    apart = {stage for stage in changes if not _is_for_all(stage, results)}
    together = [f"{stage} {_joined(changes[stage])}" for stage in changes if stage not in apart]
    said = [f"epochs of stages, not as the presets: {', '.join(together)}"] if together else []
    alone: dict[str, None] = {}
    for result in results:
        if own := [limit for limit in result.limits if _stage(limit) in apart]:
            alone[f"{result.recipe}: {', '.join(own)}"] = None
    return [*said, *alone, *others]


def _precisions(results: Sequence[Result]) -> list[str]:
    """How many trained in which precision, where not all in one."""
    numbers = Counter(result.precision for result in results)
    if len(numbers) < 2:
        return []
    return [
        " and ".join(f"{count(number, 'training')} in {name}" for name, number in numbers.items())
    ]


def _stage(limit: str) -> str:
    """Of "stage width: 2 instead of 3 epochs" the "width"."""
    return limit.partition(":")[0].removeprefix(_OF_STAGE)


def _is_for_all(stage: str, results: Sequence[Result]) -> bool:
    """Whether every training that had that stage was given the same epochs of it."""
    given = set()
    for result in results:
        own = [limit for limit in result.limits if _stage(limit) == stage]
        if not own and stage in result.stage_seconds:
            return False
        given |= {limit.partition(" instead of ")[0] for limit in own}
    return len(given) == 1


def _joined(changes: Iterable[str]) -> str:
    """Of "8 instead of 4 epochs" and "8 instead of 3 epochs": "8 instead of 4 or 3"."""
    first, *others = (change.removesuffix(" epochs") for change in changes)
    return " or ".join([first, *(other.partition(" instead of ")[2] for other in others)])


def machine_sentences(results: Sequence[Result]) -> list[str]:
    """On what they were trained, with what, and how long that took."""
    machines: dict[str, list[Result]] = {}
    for result in results:
        torch = result.versions.get("torch", "unknown")
        machines.setdefault(f"{result.machine}, {result.precision}, torch {torch}", []).append(
            result
        )
    return [
        f"{count(len(ran), 'training')} on {machine}: "
        f"{duration(sum(r.train_seconds for r in ran))}, {days(ran)}."
        for machine, ran in machines.items()
    ]


def days(results: Sequence[Result]) -> str:
    """The days between which they were made."""
    dates = sorted(result.created[:10] for result in results)
    return dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"


def task_title(task: str) -> str:
    """As the paper writes it, for example "MNLI", "SST-2"."""
    measures = measures_of(task)
    if not measures:
        return task
    title = MEASURES[measures[0]].title
    return title.removesuffix("-m").removesuffix(" EM") if len(measures) > 1 else title


def duration(seconds: float) -> str:
    """For example "3 min", "2 h 05 min"."""
    minutes = round(seconds / 60)
    return f"{max(minutes, 1)} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
