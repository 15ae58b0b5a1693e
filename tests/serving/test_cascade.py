"""A cascade agrees with the full network as often as was asked for."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from made_governor import FULL, HALF, LADDER, SMALL, governed, network, pass_ms, table_of

from dynabert.data.encoding import EncodedSplit
from dynabert.errors import UserError
from dynabert.serving import Cascade, Governor, Rung, calibrate_cascade
from dynabert.serving.cascade import agreement_threshold, margins

numbers = st.integers(-6, 6).map(lambda n: n / 2)


def test_the_margin_by_hand() -> None:
    logits = np.log([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8], [0.4, 0.4, 0.2]])
    np.testing.assert_allclose(margins(logits), [0.2, 0.7, 0.0], atol=1e-12)


@settings(deadline=None)
@given(data=st.data(), total=st.integers(1, 30), agreement=st.floats(0.01, 1))
def test_it_agrees_as_often_as_wanted_and_goes_on_no_more_than_that_takes(
    data, total, agreement
) -> None:
    first, full = (
        data.draw(arrays(np.float64, (total, 3), elements=numbers)) for _ in ("first", "full")
    )
    threshold = agreement_threshold(first, full, agreement)

    def agrees(threshold: float) -> float:
        same = first.argmax(-1) == full.argmax(-1)
        return float((same | (margins(first) < threshold)).mean())

    assert agrees(threshold) >= agreement - 1e-9
    if threshold > 0:  # one below the margin that had to go on is not enough; equal margins may
        # differ in their last digits, which is what the threshold leaves room for
        assert agrees(threshold - 2e-6) < agreement


def test_thresholds_by_hand() -> None:
    first = np.log([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]])  # margins 0.8, 0.2, 0.4, 0.6
    full = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])  # differs in the middle two
    assert agreement_threshold(first, full, 0.5) == 0.0
    assert agreement_threshold(first, full, 0.75) == pytest.approx(0.2, abs=2e-6)
    assert agreement_threshold(first, full, 1.0) == pytest.approx(0.4, abs=2e-6)
    assert (margins(first) < agreement_threshold(first, full, 1.0)).tolist() == [0, 1, 1, 0]
    for wrong in (0.0, 1.1, float("nan")):
        with pytest.raises(UserError, match=r"agreement must be in \(0, 1\]"):
            agreement_threshold(first, full, wrong)


def examples(total: int = 60) -> EncodedSplit:
    random = np.random.default_rng(0)
    return EncodedSplit(
        input_ids=[random.integers(5, 200, random.integers(3, 12)).tolist() for _ in range(total)],
        token_type_ids=None,
        labels=np.zeros(total, dtype=np.int64),
        pad_token_id=0,
        max_tokens=20,
        num_truncated=0,
    )


@pytest.mark.parametrize("agreement", [0.85, 0.95, 1.0])
def test_calibrated_and_served_it_agrees_with_the_full_network(agreement) -> None:
    model, split = network(), examples()
    cascade = calibrate_cascade(model, split, SMALL, agreement=agreement)
    assert cascade.agreement >= agreement
    assert 0 < cascade.escalated <= 1
    assert cascade.num_examples == 60
    governor = Governor(model, None, LADDER, [table_of(model)], cascade=cascade)
    alone = Governor(model, None, [LADDER[-1]], [table_of(model)])
    same = escalated = 0
    for row in range(len(split)):
        inputs = {k: v for k, v in split.batch([row]).items() if k != "labels"}
        answer, full = (one.answer_inputs(inputs, 1e9) for one in (governor, alone))
        same += answer.choices[0] == full.choices[0]
        if answer.subnets == (FULL,):
            escalated += 1
            np.testing.assert_allclose(answer.logits, full.logits, rtol=0, atol=1e-11)
            assert [one.subnet for one in answer.record.passes] == [SMALL, FULL]
        else:
            assert answer.subnets == (SMALL,)
    assert same / len(split) == pytest.approx(cascade.agreement)
    assert escalated / len(split) == pytest.approx(cascade.escalated)


def test_what_goes_on_of_a_batch_gets_what_is_affordable(tiny_tokenizer_folder) -> None:
    texts = ["the cat sat on the mat", "a dog", "a red house"]
    governor, _ = governed(tiny_tokenizer_folder)
    small = Governor(
        governor.model,
        governor.tokenizer,
        LADDER[:1],
        [table_of(governor.model, batch_size=n) for n in (1, 4)],
    )
    own = margins(small.answer(texts, 1e6).logits)
    threshold = float(np.sort(own)[1]) + 1e-9  # two go on
    cascade = Cascade(first=SMALL, threshold=threshold)
    rows = np.flatnonzero(own < threshold)
    longest = max(len(governor.tokenizer(texts[row])["input_ids"]) for row in rows)
    for budget, wanted in (
        (1e6, FULL),
        (pass_ms(SMALL, 8, 3) + pass_ms(FULL, longest, 2) + 1e-6, FULL),
        (pass_ms(SMALL, 8, 3) + pass_ms(FULL, longest, 2) - 0.1, HALF),
    ):
        governor, clock = governed(tiny_tokenizer_folder, cascade=cascade)
        assert budget > pass_ms(HALF, 8, 3)
        answer = governor.answer(texts, budget)
        assert [answer.subnets[row] for row in rows] == [wanted] * 2
        assert sum(one == SMALL for one in answer.subnets) == 1
        assert clock.passes == [(SMALL, 8, 3), (wanted, longest, 2)]
        assert answer.record.met
        assert not answer.unsure.any()


def test_without_time_to_go_on_it_says_that_it_is_unsure(tiny_tokenizer_folder) -> None:
    cascade = Cascade(first=SMALL, threshold=2.0)
    governor, clock = governed(tiny_tokenizer_folder, cascade=cascade)
    text = "a dog ran"  # 5 tokens: 1.5, 7 and 13 ms
    answer = governor.answer(text, 7.5)  # after 1.5 ms there are 6 left
    assert (answer.subnets, answer.unsure.tolist(), answer.record.met) == ((SMALL,), [True], True)
    assert governor.answer(text, 8.6).subnets == (HALF,)
    assert governor.answer(text, 14.6).subnets == (FULL,)
    # Where nothing better fits from the start, there is nothing to be unsure for.
    plain = governor.answer(text, 3.0)
    assert (plain.subnets, plain.unsure.tolist(), plain.record.fits) == ((SMALL,), [False], True)
    assert len(clock.passes) == 1 + 2 + 2 + 1


def test_cascades_that_cannot_be() -> None:
    model = network()
    cascade = Cascade(first=HALF, threshold=0.5)
    with pytest.raises(UserError, match="which is no rung"):
        Governor(model, None, [LADDER[0], LADDER[2]], [table_of(model)], cascade=cascade)
    with pytest.raises(UserError, match="for one text per pass"):
        Governor(model, None, LADDER, [table_of(model, batch_size=4)], cascade=cascade)
    regression = network(num_labels=1)
    ladder = [Rung(subnet=HALF, score=0.5)]
    with pytest.raises(UserError, match="needs a classifier"):
        Governor(regression, None, ladder, [table_of(regression)], cascade=cascade)
    with pytest.raises(UserError, match="needs a classifier"):
        calibrate_cascade(regression, examples(2), HALF)
    nothing = dataclasses.replace(examples(2), input_ids=[], labels=np.zeros(0, dtype=np.int64))
    with pytest.raises(UserError, match="needs examples"):
        calibrate_cascade(model, nothing, HALF)
