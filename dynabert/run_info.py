"""What a run says of itself: its task, and how and on what it was trained."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from dynabert.data.source import DataSource
from dynabert.data.squad.windows import DEFAULT_STRIDE
from dynabert.data.tasks import TaskKind


class TaskInfo(BaseModel):
    """The task of a run: enough to read its scores without its examples."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    text_columns: tuple[str, ...]
    labels: tuple[str, ...] | None  # of a classification
    kind: TaskKind = "classification"
    metrics: tuple[str, ...]
    source: str  # in words
    fingerprint: str  # sha256 of all texts and labels
    num_train: int
    num_dev: int

    @model_validator(mode="before")
    @classmethod
    def _kind_of_older_runs(cls, values: Any) -> Any:
        """Before there were tasks of spans a run did not say."""
        if isinstance(values, dict) and "kind" not in values and values.get("labels") is None:
            return {**values, "kind": "regression"}
        return values

    @property
    def metric(self) -> str:
        return self.metrics[0]

    @property
    def is_pair(self) -> bool:
        """Whether it reads two texts that are alike, and of which the longer one is cut."""
        return self.kind != "spans" and len(self.text_columns) == 2

    @property
    def answers(self) -> tuple[str, ...]:
        """What an answer can be, in words."""
        if self.labels is not None:
            return self.labels
        return ("a part of the passage",) if self.kind == "spans" else ("a number",)


class RunInfo(BaseModel):
    """The contents of `recipe.yaml`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: str
    created: str  # ISO date and time
    backbone: str
    task: TaskInfo
    data: DataSource
    recipe: dict[str, Any]
    max_tokens: int
    doc_stride: int = DEFAULT_STRIDE  # of the windows, where the task has some
    seed: int
    precision: str
    machine: str
    versions: dict[str, str]
    stage_seconds: dict[str, float]
    notices: tuple[str, ...] = ()  # what a reader of the scores must know
    # How the augmented rows were made, where some stage trained on such.
    augmentation: dict[str, Any] | None = None
