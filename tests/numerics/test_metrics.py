"""Metrics against a few lines of arithmetic; constant answers; evaluation of many at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import make_hf

from dynabert import PAPER_SPACE, DynaBertForSequenceClassification, Subnet
from dynabert.data import EncodedSplit
from dynabert.evaluation.metrics import METRICS, is_collapsed, score
from dynabert.evaluation.quality import evaluate, evaluate_many

RNG = np.random.default_rng(0)
LABELS, ANSWERS = RNG.integers(0, 2, 300), RNG.integers(0, 2, 300)
TARGETS, VALUES = RNG.normal(size=300), RNG.normal(size=300)


def ranks(values: np.ndarray) -> np.ndarray:
    return values.argsort().argsort().astype(float)


def test_against_definitions() -> None:
    tp = ((LABELS == 1) & (ANSWERS == 1)).sum()
    tn = ((LABELS == 0) & (ANSWERS == 0)).sum()
    fp = ((LABELS == 0) & (ANSWERS == 1)).sum()
    fn = ((LABELS == 1) & (ANSWERS == 0)).sum()
    f1 = 2 * tp / (2 * tp + fp + fn)
    mcc = (tp * tn - fp * fn) / np.sqrt(float((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)))
    found = score(("accuracy", "f1", "mcc", "f1_macro"), LABELS, ANSWERS)
    assert found["accuracy"] == pytest.approx((tp + tn) / 300)
    assert found["f1"] == pytest.approx(f1)
    assert found["mcc"] == pytest.approx(mcc)
    assert found["f1_macro"] == pytest.approx((f1 + 2 * tn / (2 * tn + fp + fn)) / 2)
    regression = score(("pearson", "spearman"), TARGETS, VALUES)
    assert regression["pearson"] == pytest.approx(np.corrcoef(TARGETS, VALUES)[0, 1])
    expected = np.corrcoef(ranks(TARGETS), ranks(VALUES))[0, 1]
    assert regression["spearman"] == pytest.approx(expected)


@pytest.mark.parametrize("name", METRICS)
def test_constant_answers_have_a_score(name: str) -> None:
    correlates = name in ("pearson", "spearman")
    labels = TARGETS if correlates else LABELS
    constant = np.zeros_like(labels)
    value = METRICS[name](labels, constant)
    assert np.isfinite(value)
    if correlates or name == "mcc":
        assert value == 0.0


def test_collapsed() -> None:
    assert is_collapsed(LABELS, np.ones_like(LABELS))
    assert not is_collapsed(LABELS, ANSWERS)
    assert not is_collapsed(np.ones(4, int), np.ones(4, int))  # nothing else to answer
    assert is_collapsed(TARGETS, 3 + VALUES * 1e-3)
    assert not is_collapsed(TARGETS, 3 + VALUES * 0.1)
    assert is_collapsed(TARGETS, np.full_like(TARGETS, np.nan))
    assert METRICS["pearson"](TARGETS, np.full_like(TARGETS, np.nan)) == 0.0


@pytest.fixture
def split() -> EncodedSplit:
    ids = [[5 + int(RNG.integers(90)) for _ in range(int(RNG.integers(3, 15)))] for _ in range(37)]
    return EncodedSplit(
        input_ids=ids,
        token_type_ids=None,
        labels=RNG.integers(0, 3, 37),
        pad_token_id=0,
        max_tokens=40,
        num_truncated=0,
    )


def test_many_equals_one_by_one(split: EncodedSplit) -> None:
    model = DynaBertForSequenceClassification.from_hf(make_hf()).train()
    subnets = list(PAPER_SPACE)
    seen: list[int] = []
    together = evaluate_many(
        model, split, subnets, metrics=("accuracy",), batch_size=8, on_batch=seen.append
    )
    assert model.training  # put back as it was
    assert seen[-1] == 37
    model.eval()
    for subnet, many in zip(subnets, together, strict=True):
        alone = evaluate(model, split, subnet, metrics=("accuracy",), batch_size=3)
        assert many.subnet == subnet
        np.testing.assert_allclose(many.logits, alone.logits, atol=1e-6)
        for row in (0, 20, 36):
            ids = torch.tensor([split.input_ids[row]])
            with torch.no_grad():
                logits = model(input_ids=ids, subnet=subnet).logits
            np.testing.assert_allclose(many.logits[row], logits[0].numpy(), atol=1e-6)
        expected = (many.logits.argmax(1) == split.labels).mean()
        assert many.metrics["accuracy"] == pytest.approx(expected)
        log_probs = torch.from_numpy(many.logits).log_softmax(1)
        loss = -log_probs[range(37), split.labels].mean().item()
        assert many.loss == pytest.approx(loss, rel=1e-5)


def test_head_that_answers_alike_is_called_collapsed(split: EncodedSplit) -> None:
    model = DynaBertForSequenceClassification.from_hf(make_hf())
    with torch.no_grad():
        model.head.output.weight.zero_()
    assert evaluate(model, split, Subnet(0.5), metrics=("accuracy",)).collapsed
