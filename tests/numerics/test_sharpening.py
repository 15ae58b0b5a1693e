"""Estimates that sharpen: intervals cover the truth, and the last estimate is the evaluation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import make_hf
from scipy import stats

from dynabert import DynaBertForSequenceClassification, Subnet
from dynabert.data import EncodedSplit
from dynabert.evaluation import evaluate, evaluate_gradually
from dynabert.evaluation import linear_kernel as kernel
from dynabert.evaluation.intervals import correction, score_interval
from dynabert.evaluation.metrics import METRICS

TOTAL = 800
CORRELATIONS = ("pearson", "spearman")


def answers(metric: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Labels and answers (N,): a tenth wrong, or correlated by about 0.7."""
    if metric in CORRELATIONS:
        labels = rng.normal(size=TOTAL)
        return labels, labels + rng.normal(size=TOTAL)
    labels = rng.integers(0, 3 if metric == "f1_macro" else 2, TOTAL)
    return labels, np.where(rng.random(TOTAL) < 0.9, labels, rng.permutation(labels))


@pytest.mark.parametrize("read", [64, 400, 790])
@pytest.mark.parametrize("metric", METRICS)
def test_intervals_hold_the_score_of_the_whole_split_95_times_in_100(metric, read):
    rng = np.random.default_rng(1)
    labels, predictions = answers(metric, rng)
    truth = METRICS[metric](labels, predictions)
    held, orders = 0, 250
    for _ in range(orders):
        rows = rng.permutation(TOTAL)[:read]
        interval = score_interval(
            metric, labels[rows], predictions[rows], TOTAL, num_classes=3, generator=rng
        )
        assert interval.value == METRICS[metric](labels[rows], predictions[rows])
        assert interval.low <= interval.value <= interval.high
        held += interval.low <= truth <= interval.high
    # Of 250, chance alone gives 0.95 +- 0.027 in 95 of 100 cases.
    assert 0.905 <= held / orders <= 0.995


def test_accuracy_of_a_sample_by_hand():
    """16 of 64 wrong, of 1000: Wilson's interval for 64 examples as if they were 64 * 999 / 936."""
    labels = np.zeros(64, int)
    predictions = (np.arange(64) < 16).astype(int)
    found = score_interval(
        "accuracy", labels, predictions, 1000, num_classes=2, generator=np.random.default_rng(0)
    )
    assert correction(64, 1000) ** 2 == pytest.approx(936 / 999)
    examples = 64 * 999 / 936
    # Wilson's ends are where the normal test of that share is just not refused.
    for end in (found.low, found.high):
        deviation = (0.75 - end) / np.sqrt(end * (1 - end) / examples)
        assert abs(deviation) == pytest.approx(stats.norm.ppf(0.975), abs=1e-5)
    assert found.low < 0.75 < found.high


@pytest.mark.parametrize("metric", METRICS)
def test_nothing_is_sure_after_a_faultless_block_and_all_is_at_the_end(metric):
    rng = np.random.default_rng(2)
    labels, _ = answers(metric, rng)
    early, end = (
        score_interval(metric, labels[:n], labels[:n], TOTAL, num_classes=3, generator=rng)
        for n in (64, TOTAL)
    )
    assert end.low == end.value == end.high == pytest.approx(1.0)
    assert early.value == early.high == pytest.approx(1.0)
    if metric not in CORRELATIONS:
        assert 0.7 < early.low < 0.99


@pytest.mark.parametrize("metric", METRICS)
def test_constant_answers_have_an_interval(metric):
    rng = np.random.default_rng(3)
    labels, _ = answers(metric, rng)
    constant = np.zeros(64, labels.dtype)
    found = score_interval(metric, labels[:64], constant, TOTAL, num_classes=3, generator=rng)
    assert np.isfinite([found.low, found.high]).all()


@pytest.fixture
def split() -> EncodedSplit:
    rng = np.random.default_rng(0)
    ids = [[5 + int(rng.integers(90)) for _ in range(int(rng.integers(3, 15)))] for _ in range(90)]
    return EncodedSplit(
        input_ids=ids,
        token_type_ids=None,
        labels=rng.integers(0, 3, 90),
        pad_token_id=0,
        max_tokens=40,
        num_truncated=0,
    )


def test_the_last_estimate_is_the_evaluation(split):
    model = DynaBertForSequenceClassification.from_hf(make_hf()).train()
    subnet = Subnet(0.5, heads=None, layers=(0, 2))
    metrics = ("mcc", "accuracy")

    def run(seed: int) -> list:
        return list(
            evaluate_gradually(
                model,
                split,
                subnet,
                metrics=metrics,
                generator=torch.Generator().manual_seed(seed),
                first_block=16,
                later_blocks=32,
                batch_size=8,
            )
        )

    estimates = run(0)
    assert model.training  # put back as it was
    assert [one.num_read for one in estimates] == [16, 48, 80, 90]
    assert [one.evaluation is None for one in estimates] == [True, True, True, False]
    assert estimates[-1].share_of_tokens == 1.0
    widths = [one.metrics["accuracy"].half_width for one in estimates]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] == 0

    at_once = evaluate(model, split, subnet, metrics=metrics)
    last = estimates[-1].evaluation
    np.testing.assert_allclose(last.logits, at_once.logits, rtol=0, atol=1e-6)
    assert last.metrics == at_once.metrics
    assert last.loss == pytest.approx(at_once.loss, abs=1e-6)
    assert {name: one.value for name, one in estimates[-1].metrics.items()} == at_once.metrics

    # Each estimate is the metric of a part of the split, and the seed says of which.
    order = torch.randperm(90, generator=torch.Generator().manual_seed(0)).numpy()
    right = (at_once.predictions == split.labels)[order]
    for one in estimates:
        assert one.metrics["accuracy"].value == pytest.approx(right[: one.num_read].mean())
    again, other = run(0), run(1)
    assert again[0].metrics == estimates[0].metrics
    assert other[-1].evaluation.metrics == at_once.metrics


def test_both_matrix_kernels_multiply_alike():
    generator = torch.Generator().manual_seed(0)
    x, weight, bias = (
        torch.randn(size, generator=generator) for size in ((3, 7, 24), (48, 36), (48,))
    )
    weight = weight[:, :24]  # a slice, as narrower networks use
    with torch.inference_mode():
        expected = F.linear(x.double(), weight.double(), bias.double())
        found = kernel.onednn_linear(x, weight, bias)
        torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-5)


def test_the_kernel_is_chosen_inside_only_and_for_float32_only(monkeypatch):
    monkeypatch.setattr(kernel, "_onednn_is_faster", lambda: True)
    calls: list[int] = []
    monkeypatch.setattr(kernel, "onednn_linear", lambda x, w, b: calls.append(1) or x @ w.T + b)
    layer = torch.nn.Linear(4, 4)
    x, cpu = torch.ones(2, 4), torch.device("cpu")
    with torch.inference_mode():
        with kernel.fastest_linear(torch.float64, cpu):
            layer(x)
        with torch.autocast("cpu", torch.bfloat16), kernel.fastest_linear(torch.float32, cpu):
            assert layer(x).dtype == torch.bfloat16
        assert not calls
        with kernel.fastest_linear(torch.float32, cpu):
            torch.testing.assert_close(layer(x), x @ layer.weight.T + layer.bias)
        assert len(calls) == 1
        layer(x)
        assert len(calls) == 1
