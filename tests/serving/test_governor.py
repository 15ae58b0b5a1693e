"""Each request gets the best sub-network that fits its time, and the machine's mood is followed."""

from __future__ import annotations

import dataclasses
import threading

import numpy as np
import pytest
import torch
from conftest import make_hf
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from made_governor import (
    FULL,
    HALF,
    LADDER,
    MAX_TOKENS,
    SMALL,
    governed,
    network,
    pass_ms,
    table_of,
)
from tiny_run import write_tiny_run
from transformers import AutoTokenizer

from dynabert import DynaBertForQuestionAnswering, Subnet
from dynabert.errors import UserError
from dynabert.evaluation.latency import describe_machine
from dynabert.evaluation.latency_table import keep_latency_table
from dynabert.serving import Adaptation, Governor, Rung

TEXTS = ("the cat sat on the mat .", "a dog ran", "who is the girl in the red house ?")


@pytest.fixture
def governor(tiny_tokenizer_folder) -> Governor:
    return governed(tiny_tokenizer_folder)[0]


@given(
    scores=st.lists(st.sampled_from((0.5, 0.7, 0.9)), min_size=3, max_size=3),
    tokens=st.integers(1, MAX_TOKENS),
    texts=st.integers(1, 4),
    budget=st.floats(0.01, 220),
)
@settings(deadline=None)
def test_choices_are_those_of_trying_all(scores, tokens, texts, budget) -> None:
    ladder = [
        dataclasses.replace(rung, score=score) for rung, score in zip(LADDER, scores, strict=True)
    ]
    governor = Governor(MODEL, None, ladder, TABLES)
    choice = governor.choose(tokens, budget, texts)
    times = {rung.subnet: pass_ms(rung.subnet, tokens, texts) for rung in ladder}
    assume(min(abs(ms - budget) for ms in times.values()) > 1e-9)  # a sum may be a little off
    fitting = [rung for rung in ladder if times[rung.subnet] <= budget]
    assert choice.predicted_ms == pytest.approx(times[choice.subnet])
    if fitting:
        best = max(rung.score for rung in fitting)
        wanted = min(
            (rung for rung in fitting if rung.score == best), key=lambda r: times[r.subnet]
        )
        assert (choice.subnet, choice.score, choice.fits) == (wanted.subnet, best, True)
    else:
        assert (choice.subnet, choice.fits) == (SMALL, False)


MODEL = network()
TABLES = [table_of(MODEL), table_of(MODEL, batch_size=4)]


def test_the_budget_is_kept_where_the_table_is_right(tiny_tokenizer_folder) -> None:
    governor, clock = governed(tiny_tokenizer_folder)
    for budget in (1.5, 2.5, 9.0, 12.0, 18.0, 30.0, 60.0):
        for text in TEXTS:
            record = governor.answer(text, budget).record
            assert record.fits == record.met == (budget >= pass_ms(SMALL, record.tokens))
            assert record.elapsed_ms == pytest.approx(pass_ms(record.subnet, record.tokens))
            assert record.predicted_ms == pytest.approx(record.measured_ms)
    assert {record.subnet for record in governor.records} == {SMALL, HALF, FULL}
    assert len(governor.records) == len(clock.passes) == 21
    assert governor.safety_factor == pytest.approx(1.0)


def test_twice_as_slow_a_machine_is_noticed_and_forgotten(tiny_tokenizer_folder) -> None:
    adaptation = Adaptation(window=20, quantile=0.9)
    governor, clock = governed(tiny_tokenizer_folder, adaptation=adaptation)
    text, budget = TEXTS[1], 14.0  # 5 tokens: 13 ms with the full network
    clock.load = 2.0
    slow = [governor.answer(text, budget).record for _ in range(20)]
    # Two slow ones of 20 are the tenth that is prepared for.
    assert [one.subnet for one in slow] == [FULL] * 2 + [HALF] * 18
    assert [one.met for one in slow] == [False] * 2 + [True] * 18
    assert governor.safety_factor == pytest.approx(2.0)
    clock.load = 1.0
    fast = [governor.answer(text, budget).record for _ in range(21)]
    assert [one.subnet for one in fast] == [HALF] * 19 + [FULL] * 2
    assert all(one.met for one in fast)
    assert governor.safety_factor == pytest.approx(1.0)


def test_without_adaptation_the_table_is_believed(tiny_tokenizer_folder) -> None:
    governor, clock = governed(tiny_tokenizer_folder, adaptation=None)
    clock.load = 2.0
    records = [governor.answer(TEXTS[1], 14.0).record for _ in range(5)]
    assert [(one.subnet, one.fits, one.met) for one in records] == [(FULL, True, False)] * 5
    assert governor.safety_factor == 1.0


def test_what_tokenizing_takes_is_not_there_for_the_network(tiny_tokenizer_folder) -> None:
    governor, clock = governed(tiny_tokenizer_folder)
    tokenize = governor.tokenizer

    def slowly(*args, **options):
        clock.now += 0.006  # 8 of 14 ms are left: enough for 7, not for 13
        return tokenize(*args, **options)

    governor.tokenizer = slowly
    record = governor.answer(TEXTS[1], 14.0).record
    assert (record.subnet, record.met, record.tokens) == (HALF, True, 5)
    assert record.elapsed_ms == pytest.approx(6 + 7)
    assert record.measured_ms == pytest.approx(7)


@pytest.mark.parametrize("budget", [2.0, 40.0, 1000.0])
def test_a_batch_answers_as_its_texts_alone(governor, budget) -> None:
    """Padding changes nothing: neither that of the batch nor more of it."""
    together = governor.answer(TEXTS, budget)
    (subnet,) = set(together.subnets)
    assert together.record.batch_size == 3
    assert together.record.predicted_ms == pytest.approx(pass_ms(subnet, together.record.tokens, 3))
    alone = Governor(
        governor.model,
        governor.tokenizer,
        [Rung(subnet=subnet, score=1)],
        [table_of(governor.model)],
    )
    for text, logits in zip(TEXTS, together.logits, strict=True):
        np.testing.assert_allclose(alone.answer(text, 1e6).logits[0], logits, rtol=0, atol=1e-11)
    encoded = governor.tokenizer(
        list(TEXTS), padding="max_length", max_length=38, return_tensors="pt"
    )
    padded = governor.answer_inputs(encoded, budget)
    np.testing.assert_allclose(padded.logits, together.logits, rtol=0, atol=1e-11)
    assert padded.record.tokens == together.record.tokens
    assert padded.subnets == together.subnets


def test_answers_are_the_network_s(governor) -> None:
    answer = governor.answer([("the cat sat", "a cat sits ?")], 1000.0)
    encoded = governor.tokenizer("the cat sat", "a cat sits ?", return_tensors="pt")
    with torch.no_grad():
        expected = governor.model(**encoded, subnet=FULL).logits.numpy()
    np.testing.assert_allclose(answer.logits, expected, rtol=0, atol=1e-12)
    assert answer.choices.tolist() == [expected[0].argmax()]
    with pytest.raises(UserError, match="a classifier answers by classes"):
        _ = answer.values
    assert not answer.unsure.any()


def test_a_regression_answers_by_values(tiny_tokenizer_folder) -> None:
    model = network(num_labels=1)
    tokenizer = AutoTokenizer.from_pretrained(tiny_tokenizer_folder)
    answer = Governor(
        model, tokenizer, LADDER, [table_of(model), table_of(model, batch_size=4)]
    ).answer(TEXTS, 1e4)
    assert answer.values.shape == (len(TEXTS),)
    np.testing.assert_array_equal(answer.values, answer.logits[:, 0])
    with pytest.raises(UserError, match="a regression answers by numbers"):
        _ = answer.choices


def test_longer_texts_are_cut(governor) -> None:
    record = governor.answer("the cat sat on the mat " * 9, 1e4).record
    assert record.tokens == governor.max_tokens == MAX_TOKENS


def test_many_may_ask_at_once(tiny_tokenizer_folder) -> None:
    governor, clock = governed(tiny_tokenizer_folder)
    wanted = {text: governor.answer(text, 1e6).logits for text in TEXTS}
    wrong: list[object] = []

    def ask(text: str) -> None:
        try:
            for _ in range(20):
                answer = governor.answer([text], 1e6)
                if not np.allclose(answer.logits, wanted[text], rtol=0, atol=1e-12):
                    wrong.append(answer)
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=ask, args=(text,)) for text in TEXTS * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(governor.records) == len(clock.passes) == 3 + 6 * 20


def test_only_the_latest_requests_are_kept(tiny_tokenizer_folder) -> None:
    governor, _ = governed(tiny_tokenizer_folder, kept=2)
    for text in TEXTS:
        governor.answer(text, 50.0)
    assert [one.tokens for one in governor.records] == [5, 11]


def test_requests_that_cannot_be_answered(governor) -> None:
    for budget in (0.0, -1.0, float("nan")):
        with pytest.raises(UserError, match="budget_ms must be above 0"):
            governor.answer("the cat", budget)
        with pytest.raises(UserError, match="budget_ms must be above 0"):
            governor.choose(3, budget)
    for texts in ([], "", ["the cat", " "], ["the cat", ("the cat", "sat")], [("a", "a", "a")]):
        with pytest.raises(UserError, match="give texts, or pairs"):
            governor.answer(texts, 10.0)
    with pytest.raises(UserError, match="1 to 4 texts per pass, got 5"):
        governor.answer(["the cat"] * 5, 10.0)
    with pytest.raises(UserError, match="1 to 20 tokens, got 21"):
        governor.choose(21, 10.0)
    with pytest.raises(UserError, match="1 to 20 tokens, got 30"):
        governor.answer_inputs({"input_ids": torch.full((1, 30), 7)}, 10.0)


def test_governors_that_cannot_be() -> None:
    with pytest.raises(UserError, match="one sub-network and one latency table"):
        Governor(MODEL, None, [], TABLES)
    with pytest.raises(UserError, match="one sub-network and one latency table"):
        Governor(MODEL, None, LADDER, [])
    with pytest.raises(UserError, match="same number of texts"):
        Governor(MODEL, None, LADDER, [TABLES[0], TABLES[0]])
    with pytest.raises(UserError, match="max_tokens must be from 1 to 20"):
        Governor(MODEL, None, LADDER, TABLES, max_tokens=21)
    with pytest.raises(UserError, match="of another model"):
        Governor(network(num_layers=3), None, LADDER, TABLES)
    with pytest.raises(UserError, match="call model.eval"):
        Governor(network().train(), None, LADDER, TABLES)
    spans = DynaBertForQuestionAnswering.from_hf(make_hf(kind="ForQuestionAnswering"))
    with pytest.raises(UserError, match="not networks for spans"):
        Governor(spans, None, LADDER, TABLES)
    for wrong in ({"window": 0}, {"quantile": 1.1}, {"quantile": float("nan")}):
        with pytest.raises(UserError, match=next(iter(wrong))):
            Adaptation(**wrong)


def test_of_a_run_with_its_table(tiny_backbone, tmp_path) -> None:
    run = write_tiny_run(tmp_path / "runs", tiny_backbone)
    with pytest.raises(UserError, match="dynabert latency .* --tokens 16 --batch 1"):
        Governor.of_run(run)
    model = run.model()
    table = dataclasses.replace(table_of(model), machine=describe_machine(model.device))
    keep_latency_table(table, run.folder, model.device)
    governor = Governor.of_run(run)
    # The collapsed smallest one is no rung; depth 0.5 is as fast as width 0.5 and scores less.
    assert [(rung.subnet.key, rung.score) for rung in governor.ladder] == [
        ("w0.50-d1.00", 0.8),
        ("w1.00-d1.00", 0.9),
    ]
    assert governor.max_tokens == 16
    answer = governor.answer("the cat sat", 1e6)
    assert answer.subnets == (Subnet(),)
    assert answer.logits.shape == (1, 2)
    (best,) = Governor.of_run(run, least_score=0.85).ladder
    assert best.subnet == Subnet()
    with pytest.raises(UserError, match=r"accuracy of 0\.95"):
        Governor.of_run(run, least_score=0.95)
