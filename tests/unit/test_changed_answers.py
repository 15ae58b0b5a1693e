"""Which examples a sub-network answers otherwise."""

from __future__ import annotations

import numpy as np
import pytest

from dynabert.analysis.changed_answers import GAINED, LOST, OTHER, changed_answers, changed_values
from dynabert.evaluation import LabelEvaluation
from dynabert.subnet import FULL


def evaluation(logits: np.ndarray, labels: np.ndarray) -> LabelEvaluation:
    return LabelEvaluation(
        subnet=FULL, metrics={}, loss=0.0, collapsed=False, logits=logits, labels=labels
    )


def test_every_changed_answer_is_named_with_its_probability():
    labels = np.array([0, 1, 2, 0, 0])
    # Class probabilities, whose logarithms are logits.
    full = np.log(
        [[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.5, 0.3, 0.2], [0.9, 0.05, 0.05], [0.7, 0.2, 0.1]]
    )
    small = np.log(
        [[0.3, 0.6, 0.1], [0.2, 0.7, 0.1], [0.3, 0.5, 0.2], [0.5, 0.4, 0.1], [0.1, 0.1, 0.8]]
    )
    table = changed_answers(
        evaluation(full, labels), evaluation(small, labels), {"text": list("abcde")}, "xyz"
    )
    assert table.to_dict("list") == {
        "change": [LOST, LOST, GAINED, OTHER],
        "text": ["e", "a", "b", "c"],
        "label": ["x", "x", "y", "z"],
        "full": ["x", "x", "x", "x"],
        "full_probability": pytest.approx([0.7, 0.8, 0.6, 0.5]),
        "subnet": ["z", "y", "y", "y"],
        "subnet_probability": pytest.approx([0.8, 0.6, 0.7, 0.5]),
    }


def test_two_that_agree_change_nothing():
    same = evaluation(np.array([[2.0, 1.0]]), np.array([1]))
    assert changed_answers(same, same, {"text": ["a"]}, "xy").empty


def test_values_are_listed_by_how_far_they_move():
    labels = np.array([1.0, 2.0, 3.0], np.float32)
    full = evaluation(np.array([[1.0], [2.0], [3.0]]), labels)
    small = evaluation(np.array([[1.5], [0.0], [3.25]]), labels)
    table = changed_values(full, small, {"text": ["a", "b", "c"]})
    assert table.to_dict("list") == {
        "change": [-2.0, 0.5, 0.25],
        "text": ["b", "a", "c"],
        "label": [2.0, 1.0, 3.0],
        "full": [2.0, 1.0, 3.0],
        "subnet": [0.0, 1.5, 3.25],
    }
