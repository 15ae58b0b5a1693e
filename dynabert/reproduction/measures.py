"""The columns of the paper's tables: a task, and the metric that it is judged by."""

from __future__ import annotations

from dataclasses import dataclass

from dynabert.reproduction.published import AVERAGE


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One score of a task, as the paper names and counts it (Sec. 3.1 and 3.2)."""

    key: str
    title: str
    task: str  # a name of `dynabert.data.tasks.TASKS`
    metric: str  # the column of a run's results
    metric_title: str


def _accuracy(key: str, title: str) -> Measure:
    return Measure(key=key, title=title, task=key, metric="accuracy", metric_title="accuracy")


MEASURES = {
    measure.key: measure
    for measure in (
        Measure(
            key="mnli-m", title="MNLI-m", task="mnli", metric="accuracy", metric_title="accuracy"
        ),
        Measure(
            key="mnli-mm",
            title="MNLI-mm",
            task="mnli",
            metric="accuracy_mismatched",
            metric_title="accuracy",
        ),
        _accuracy("qqp", "QQP"),
        _accuracy("qnli", "QNLI"),
        _accuracy("sst2", "SST-2"),
        Measure(
            key="cola",
            title="CoLA",
            task="cola",
            metric="mcc",
            metric_title="Matthews correlation",
        ),
        Measure(
            key="stsb",
            title="STS-B",
            task="stsb",
            metric="spearman",
            metric_title="Spearman correlation",
        ),
        _accuracy("mrpc", "MRPC"),
        _accuracy("rte", "RTE"),
        Measure(
            key="squad-em", title="SQuAD EM", task="squad", metric="em", metric_title="exact match"
        ),
        Measure(key="squad-f1", title="SQuAD F1", task="squad", metric="f1", metric_title="F1"),
    )
}

# Training examples of the complete tasks. With fewer, a score is not one for the task.
COMPLETE_TRAIN = {
    **{"mnli": 392_702, "qqp": 363_846, "qnli": 104_743, "sst2": 67_349, "cola": 8_551},
    **{"stsb": 5_749, "mrpc": 3_668, "rte": 2_490, "squad": 87_599},
}


def title_of(measure: str) -> str:
    """What a column of a table is called, the average included."""
    return "avg." if measure == AVERAGE else MEASURES[measure].title


def tasks_of(measures: tuple[str, ...]) -> tuple[str, ...]:
    """The tasks whose scores they are, each once."""
    return tuple(dict.fromkeys(MEASURES[key].task for key in measures if key != AVERAGE))


def measures_of(task: str) -> tuple[str, ...]:
    """The scores that the paper reports for a task; none for a task it does not have."""
    return tuple(key for key, measure in MEASURES.items() if measure.task == task)
