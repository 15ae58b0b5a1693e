"""The tasks as values: their text fields, labels and metrics, and where to find them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dynabert.errors import UserError

# What is predicted of an example: one of some classes, a number, or where in a passage the answer stands.
TaskKind = Literal["classification", "regression", "spans"]


@dataclass(frozen=True, kw_only=True)
class OriginalFiles:
    """The task's original files: tab-separated ones (the GLUE download), or SQuAD's JSON.

    Columns of the former are named by their header or, where a file has none, by their position from 0.
    """

    folder: str
    text_columns: tuple[str | int, ...] = ()
    label_column: str | int = "label"
    labels: tuple[str, ...] | None = None  # spelling of each class in the file; None: a number
    train_file: str = "train.tsv"
    train_subset: str = "train_subset.tsv"  # what part of it is called, where it is not all there
    dev_files: tuple[tuple[str, str], ...] = (("dev", "dev.tsv"),)
    leaves_out_short_lines: bool = False  # as every reader of these files does; said in a notice


@dataclass(frozen=True, kw_only=True)
class Task:
    """One task: what is read, what is predicted, how it is scored."""

    name: str
    title: str
    text_columns: tuple[str, ...]  # one or two, named as on the hub
    labels: tuple[str, ...] | None  # class names in the order of their numbers; else None
    metrics: tuple[str, ...]  # the first one chooses checkpoints and is what "the metric" means
    kind: TaskKind = "classification"
    max_tokens: int = 128  # of an input, where the recipe does not say
    hub: tuple[str, str] | None = None  # repository and configuration
    hub_dev_splits: tuple[tuple[str, str], ...] = (("dev", "validation"),)
    original: OriginalFiles | None = None
    collection: str = "glue"  # folder that a download of several tasks may hold it in
    label_range: tuple[float, float] | None = None  # of a regression

    def __post_init__(self) -> None:
        assert (self.labels is not None) == (self.kind == "classification"), self.name

    @property
    def is_regression(self) -> bool:
        return self.kind == "regression"

    @property
    def num_labels(self) -> int:
        return 1 if self.labels is None else len(self.labels)

    @property
    def columns(self) -> tuple[str, ...]:
        """What a split must have for training and scores."""
        return (*self.text_columns, "answers" if self.kind == "spans" else "label")

    @property
    def metric(self) -> str:
        return self.metrics[0]


_GLUE = "nyu-mll/glue"
_ENTAILMENT = ("entailment", "not_entailment")
_TASKS = (
    Task(
        name="cola",
        title="CoLA (linguistic acceptability)",
        text_columns=("sentence",),
        labels=("unacceptable", "acceptable"),
        metrics=("mcc", "accuracy"),
        hub=(_GLUE, "cola"),
        original=OriginalFiles(folder="CoLA", text_columns=(3,), label_column=1, labels=("0", "1")),
    ),
    Task(
        name="sst2",
        title="SST-2 (sentiment)",
        text_columns=("sentence",),
        labels=("negative", "positive"),
        metrics=("accuracy",),
        hub=(_GLUE, "sst2"),
        original=OriginalFiles(
            folder="SST-2", text_columns=("sentence",), label_column="label", labels=("0", "1")
        ),
    ),
    Task(
        name="mrpc",
        title="MRPC (paraphrase)",
        text_columns=("sentence1", "sentence2"),
        labels=("not_equivalent", "equivalent"),
        metrics=("accuracy", "f1"),
        hub=(_GLUE, "mrpc"),
        original=OriginalFiles(
            folder="MRPC",
            text_columns=("#1 String", "#2 String"),
            label_column="Quality",
            labels=("0", "1"),
        ),
    ),
    Task(
        name="rte",
        title="RTE (entailment)",
        text_columns=("sentence1", "sentence2"),
        labels=_ENTAILMENT,
        metrics=("accuracy",),
        hub=(_GLUE, "rte"),
        original=OriginalFiles(
            folder="RTE",
            text_columns=("sentence1", "sentence2"),
            label_column="label",
            labels=_ENTAILMENT,
        ),
    ),
    Task(
        name="stsb",
        title="STS-B (similarity)",
        text_columns=("sentence1", "sentence2"),
        labels=None,
        kind="regression",
        label_range=(0.0, 5.0),
        metrics=("spearman", "pearson"),
        hub=(_GLUE, "stsb"),
        original=OriginalFiles(
            folder="STS-B", text_columns=("sentence1", "sentence2"), label_column="score"
        ),
    ),
    Task(
        name="wnli",
        title="WNLI (pronoun resolution)",
        text_columns=("sentence1", "sentence2"),
        labels=("not_entailment", "entailment"),
        metrics=("accuracy",),
        hub=(_GLUE, "wnli"),
        original=OriginalFiles(
            folder="WNLI",
            text_columns=("sentence1", "sentence2"),
            label_column="label",
            labels=("0", "1"),
        ),
    ),
    Task(
        name="qnli",
        title="QNLI (does the sentence answer the question?)",
        text_columns=("question", "sentence"),
        labels=_ENTAILMENT,
        metrics=("accuracy",),
        hub=(_GLUE, "qnli"),
        original=OriginalFiles(
            folder="QNLI",
            text_columns=("question", "sentence"),
            label_column="label",
            labels=_ENTAILMENT,
        ),
    ),
    Task(
        name="qqp",
        title="QQP (duplicate questions)",
        text_columns=("question1", "question2"),
        labels=("not_duplicate", "duplicate"),
        metrics=("accuracy", "f1"),
        hub=(_GLUE, "qqp"),
        original=OriginalFiles(
            folder="QQP",
            text_columns=("question1", "question2"),
            label_column="is_duplicate",
            labels=("0", "1"),
            leaves_out_short_lines=True,  # questions with a line end in them are torn apart there
        ),
    ),
    Task(
        name="mnli",
        title="MNLI (entailment, matched and mismatched genres)",
        text_columns=("premise", "hypothesis"),
        labels=("entailment", "neutral", "contradiction"),
        metrics=("accuracy",),
        hub=(_GLUE, "mnli"),
        hub_dev_splits=(
            ("matched", "validation_matched"),
            ("mismatched", "validation_mismatched"),
        ),
        original=OriginalFiles(
            folder="MNLI",
            text_columns=("sentence1", "sentence2"),
            label_column="gold_label",
            labels=("entailment", "neutral", "contradiction"),
            dev_files=(("matched", "dev_matched.tsv"), ("mismatched", "dev_mismatched.tsv")),
        ),
    ),
    Task(
        name="squad",
        title="SQuAD v1.1 (where does the passage answer the question?)",
        text_columns=("question", "context"),
        labels=None,
        kind="spans",
        metrics=("f1", "em"),
        max_tokens=384,
        hub=("rajpurkar/squad", "plain_text"),
        original=OriginalFiles(
            folder="SQuAD",
            train_file="train-v1.1.json",
            train_subset="train-v1.1-subset.json",
            dev_files=(("dev", "dev-v1.1.json"),),
        ),
        collection="squad",
    ),
    Task(
        name="teaching",
        title="Teaching set (linguistic acceptability, generated)",
        text_columns=("sentence",),
        labels=("unacceptable", "acceptable"),
        metrics=("accuracy", "mcc"),
    ),
)
TASKS = {task.name: task for task in _TASKS}


def find_task(name: str) -> Task:
    """The task of a name; case, hyphens and underscores do not matter ("SST-2", "sst_2" and
    "sst2").

    Raises:
        UserError: there is no such task.
    """
    plain = name.lower().replace("-", "").replace("_", "")
    if plain not in TASKS:
        raise UserError(
            f"unknown task {name!r}; known are {', '.join(TASKS)}, or a CSV file of your own "
            "(give its path, for example data/train.csv)."
        )
    return TASKS[plain]
