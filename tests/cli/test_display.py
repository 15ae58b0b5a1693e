"""What a log says of work that takes long."""

from __future__ import annotations

import pytest

from dynabert.cli import display as shown
from dynabert.training.events import Working


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(shown.time, "monotonic", lambda: now[0])
    return now


def test_a_log_has_a_line_now_and_then_with_the_time_left(clock, capsys):
    display = shown.TrainingDisplay()
    for done in range(0, 110, 10):  # ten in ten seconds
        display(Working(what="evaluate", done=done, total=1000))
        clock[0] += 10
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "evaluating sub-networks: 40 of 1000  16:00 left",
        "evaluating sub-networks: 80 of 1000  15:20 left",
    ]


def test_other_work_has_a_time_of_its_own(clock, capsys):
    display = shown.TrainingDisplay()
    display(Working(what="score", done=900, total=1000))
    clock[0] += 100
    display(Working(what="latency", done=1, total=11))  # just begun: nobody knows
    clock[0] += 50
    display(Working(what="latency", done=6, total=11))
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines == ["measuring latency: 1 of 11", "measuring latency: 6 of 11  0:50 left"]


def test_the_same_work_done_again_later_is_timed_from_its_own_beginning(clock, capsys):
    display = shown.TrainingDisplay()
    for begun in (1000.0, 5000.0):  # training goes on between the two
        for number in range(1, 5):
            clock[0] = begun + 40 * number
            display(Working(what="score", done=100 * number, total=1000))
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    once = [
        "scoring on dev: 100 of 1000",
        "scoring on dev: 200 of 1000  5:20 left",
        "scoring on dev: 300 of 1000  4:40 left",
        "scoring on dev: 400 of 1000  4:00 left",
    ]
    assert lines == [*once, *once]
