"""Which model a task has: the one place that knows."""

from __future__ import annotations

from typing import Any

from dynabert.data.tasks import Task, TaskKind
from dynabert.modeling.models import (
    DynaBertForQuestionAnswering,
    DynaBertForSequenceClassification,
    TaskModel,
)

_CLASSES: dict[TaskKind, type[TaskModel]] = {
    "classification": DynaBertForSequenceClassification,
    "regression": DynaBertForSequenceClassification,
    "spans": DynaBertForQuestionAnswering,
}
# What the hub calls the job, on a model card.
HUB_TASKS: dict[TaskKind, str] = {
    "classification": "text-classification",
    "regression": "text-classification",
    "spans": "question-answering",
}


def model_class(kind: TaskKind) -> type[TaskModel]:
    return _CLASSES[kind]


def head_config(task: Task) -> dict[str, Any]:
    """The fields of a `DynaBertConfig` that say what the head of a task answers."""
    if task.labels is not None:
        return {
            "id2label": dict(enumerate(task.labels)),
            "label2id": {label: number for number, label in enumerate(task.labels)},
            "problem_type": "single_label_classification",
        }
    if task.kind == "regression":
        return {"num_labels": 1, "problem_type": "regression"}
    return {"num_labels": 2}  # start and end
