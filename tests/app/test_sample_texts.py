"""What text fields hold at first."""

from __future__ import annotations

import pytest

from dynabert.data.tasks import TASKS
from dynabert.run_info import TaskInfo
from pages.shared.sample_texts import ALL, PAIR, SENTENCE, sample_sentence, sample_texts


def about(name: str, columns: tuple[str, ...], kind: str = "classification") -> TaskInfo:
    return TaskInfo.model_construct(name=name, text_columns=columns, kind=kind)


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
def test_every_task_has_as_many_texts_as_it_reads(task):
    found = sample_texts(about(task.name, task.text_columns, task.kind))
    assert len(found) == len(task.text_columns)
    assert set(found) <= ALL  # or they would be taken for what somebody typed


def test_ones_own_tasks_have_the_usual_ones_whatever_they_are_called():
    assert sample_texts(about("reviews", ("text",))) == (SENTENCE,)
    assert sample_texts(about("qnli", ("text",))) == (SENTENCE,)
    assert sample_texts(about("pairs", ("one", "two"))) == PAIR


def test_one_sentence_is_of_the_task_where_that_reads_one():
    assert sample_sentence(about("qnli", ("question", "sentence"))) == SENTENCE
    assert (
        sample_sentence(about("sst2", ("sentence",)))
        == sample_texts(about("sst2", ("sentence",)))[0]
    )
