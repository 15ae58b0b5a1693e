"""What every sub-network answers, and where they begin to disagree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_run import write_tiny_run

from dynabert import PAPER_SPACE, Subnet
from dynabert.analysis.answers import Answer, answer_all, first_to_disagree
from dynabert.errors import UserError
from dynabert.evaluation.latency import Latency
from dynabert.runs import Run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_backbone: Path) -> Run:
    return write_tiny_run(tmp_path_factory.mktemp("answers") / "runs", tiny_backbone)


def test_answers_are_those_of_each_sub_network_alone(run: Run) -> None:
    model, tokenizer = run.model(), run.tokenizer()
    answers, num_cut = answer_all(model, tokenizer, ["the cat is good."], list(PAPER_SPACE))
    assert num_cut == 0
    inputs = tokenizer("the cat is good.", return_tensors="pt")
    for answer, subnet in zip(answers, PAPER_SPACE, strict=True):
        with torch.no_grad():
            logits = model(**inputs, subnet=subnet).logits[0]
        assert answer.subnet == subnet
        np.testing.assert_allclose(answer.logits, logits.numpy(), atol=1e-6)
        np.testing.assert_allclose(answer.probabilities, logits.softmax(-1).numpy(), atol=1e-6)
        assert answer.latency.median_ms > 0
    assert answers[0].num_params > answers[-1].num_params


def test_a_pair_is_read_as_one_and_a_long_text_is_cut(run: Run) -> None:
    model, tokenizer = run.model(), run.tokenizer()
    (pair,), _ = answer_all(model, tokenizer, ["a cat", "a dog"], [Subnet()], repeats=2)
    inputs = tokenizer("a cat", "a dog", return_tensors="pt")
    with torch.no_grad():
        np.testing.assert_allclose(pair.logits, model(**inputs).logits[0].numpy(), atol=1e-6)
    _, num_cut = answer_all(model, tokenizer, ["cat " * 20], [Subnet()], max_tokens=16, repeats=2)
    assert num_cut == 6
    with pytest.raises(UserError, match="neither of them empty"):
        answer_all(model, tokenizer, [" "], [Subnet()])


def made_up(params: int, choice: int) -> Answer:
    logits = np.eye(3)[choice]
    latency = Latency(median_ms=1.0, iqr_ms=0.0)
    return Answer(subnet=Subnet(), logits=logits, num_params=params, latency=latency)


def test_the_largest_that_differs_from_the_full_network_is_where_they_disagree() -> None:
    answers = [made_up(100, 2), made_up(10, 0), made_up(50, 2), made_up(40, 1), made_up(5, 2)]
    first = first_to_disagree(answers)
    assert first is not None
    assert first.num_params == 40


def test_a_larger_one_may_differ_from_the_largest_that_was_trained() -> None:
    first = first_to_disagree([made_up(50, 1), made_up(100, 2), made_up(10, 0)])
    assert first is not None
    assert first.num_params == 100


def test_nobody_disagrees() -> None:
    assert first_to_disagree([made_up(10, 1), made_up(20, 1)]) is None
