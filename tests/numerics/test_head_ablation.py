"""What removing a head changes, against removing it by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import make_batch, make_hf
from scipy import stats

from dynabert import DynaBertForSequenceClassification, Subnet
from dynabert.analysis.head_ablation import HeadAblation, ablate_heads, rank_correlation
from dynabert.analysis.removed_heads import logits_without_each_head
from dynabert.data.encoding import EncodedSplit
from dynabert.errors import UserError
from dynabert.importance import Importance, compute_importance
from dynabert.rewiring import rewire_

EXACT = {"rtol": 0, "atol": 1e-6}
IN_FLOAT64 = {"rtol": 0, "atol": 1e-9}


def make_split(labels: np.ndarray) -> EncodedSplit:
    """Sentences of 3 to 12 tokens."""
    random = np.random.default_rng(0)
    lengths = random.integers(3, 13, len(labels))
    return EncodedSplit(
        input_ids=[random.integers(5, 97, length).tolist() for length in lengths],
        token_type_ids=None,
        labels=labels,
        pad_token_id=0,
        max_tokens=40,
        num_truncated=0,
    )


def one_by_one(model: DynaBertForSequenceClassification, split: EncodedSplit) -> torch.Tensor:
    """Logits (N, C), each sentence on its own."""
    with torch.no_grad():
        return torch.cat([model(**without_labels(split, row)).logits for row in range(len(split))])


def without_labels(split: EncodedSplit, row: int) -> dict[str, torch.Tensor]:
    return {name: value for name, value in split.batch([row]).items() if name != "labels"}


@pytest.fixture
def split() -> EncodedSplit:
    return make_split(np.arange(20) % 3)


def test_each_head_is_removed_as_if_its_output_weights_were_zero(model, split):
    found = ablate_heads(model, split, metric="accuracy", batch_size=7)
    labels = torch.from_numpy(split.labels)
    full = one_by_one(model, split)
    losses = F.cross_entropy(full, labels, reduction="none")
    accuracy = (full.argmax(-1) == labels).double().mean()
    assert found.loss == pytest.approx(losses.mean().item(), abs=1e-6)
    assert found.score == pytest.approx(accuracy.item())
    assert found.num_examples == 20
    for layer, head in ((0, 0), (2, 4), (3, 5)):
        weight = model.backbone.encoder.layers[layer].attention.output.weight
        before = weight.detach().clone()
        with torch.no_grad():
            weight[:, head * 8 : (head + 1) * 8] = 0
        logits = one_by_one(model, split)
        with torch.no_grad():
            weight.copy_(before)
        change = (F.cross_entropy(logits, labels, reduction="none") - losses).numpy()
        place = layer, head
        np.testing.assert_allclose(found.loss_change[place], change.mean(), **EXACT)
        np.testing.assert_allclose(found.loss_moved[place], np.abs(change).mean(), **EXACT)
        error = change.std(ddof=1) / np.sqrt(20)
        np.testing.assert_allclose(found.loss_change_error[place], error, **EXACT)
        lost = (logits.argmax(-1) == labels).double().mean() - accuracy
        np.testing.assert_allclose(found.metric_change[place], lost, **EXACT)


@pytest.mark.parametrize("most_tokens", [1, 4 * 39, 10_000])  # 1, 4 or all 6 heads at once
def test_heads_removed_together_are_heads_removed_one_by_one(model, most_tokens):
    """Against one text, unpadded, and one head at a time."""
    lengths = (11, 7, 3)
    batch = make_batch(model.config.backbone, lengths=lengths, pad_to=13)
    (full,), (without,) = logits_without_each_head(model, batch, most_tokens=most_tokens)
    assert without.shape == (24, 3, 3)
    for row, length in enumerate(lengths):
        alone = {name: value[row : row + 1, :length] for name, value in batch.items()}
        with torch.no_grad():
            torch.testing.assert_close(full[row], model(**alone).logits[0], **IN_FLOAT64)
            for place in range(24):
                mask = torch.ones(24, dtype=torch.float64)
                mask[place] = 0
                logits = model(**alone, head_mask=mask.view(4, 6)).logits[0]
                torch.testing.assert_close(without[place, row], logits, **IN_FLOAT64)


def test_removed_heads_in_an_extracted_network_follow_its_own_layers(model):
    small = model.extract(Subnet(layers=(1, 3), heads=(6, 2), neurons=(60, 30))).eval()
    batch = make_batch(model.config.backbone, lengths=(5, 5))  # nothing is padded
    _, (without,) = logits_without_each_head(small, batch)
    places = [(0, head) for head in range(6)] + [(1, head) for head in range(2)]
    for logits, place in zip(without, places, strict=True):
        mask = torch.ones(2, 6, dtype=torch.float64)
        mask[place] = 0
        with torch.no_grad():
            torch.testing.assert_close(logits, small(**batch, head_mask=mask).logits, **IN_FLOAT64)


def test_the_estimate_beside_it_is_of_the_same_network_and_examples(model, split):
    found = ablate_heads(model, split, metric="accuracy", batch_size=8)  # 8, 8 and 4 examples
    estimate = compute_importance(model, [split.batch(list(range(20)))])
    np.testing.assert_allclose(found.importance, estimate.heads.numpy(), rtol=1e-4)


def test_heads_keep_their_numbers_through_rewiring(split):
    model = DynaBertForSequenceClassification.from_hf(make_hf())
    before = ablate_heads(model, split, metric="accuracy")
    rewire_(model, Importance(torch.rand(4, 6), torch.rand(4, 60)))
    after = ablate_heads(model, split, metric="accuracy")
    for name in ("importance", "loss_change", "loss_moved", "metric_change"):
        np.testing.assert_allclose(getattr(after, name), getattr(before, name), atol=1e-6)


def test_an_extracted_network_has_blanks_where_heads_are_gone(split):
    model = DynaBertForSequenceClassification.from_hf(make_hf())
    small = model.extract(Subnet(layers=(1, 3), heads=(6, 2), neurons=(60, 30)))
    found = ablate_heads(small, split, metric="accuracy")
    there = ~np.isnan(found.loss_change)
    assert found.loss_change.shape == (4, 6)
    assert there.sum(1).tolist() == [0, 6, 0, 2]
    assert len(found.table()) == 8


def test_a_regression_has_squared_errors():
    model = DynaBertForSequenceClassification.from_hf(
        make_hf(num_labels=1), problem_type="regression"
    )
    split = make_split(np.linspace(0, 5, 9, dtype=np.float32))
    found = ablate_heads(model, split, metric="pearson")
    with torch.no_grad():
        mask = torch.ones(4, 6, dtype=torch.float64)
        mask[1, 2] = 0
        logits = torch.cat(
            [model(**without_labels(split, row), head_mask=mask).logits for row in range(9)]
        )
    loss = F.mse_loss(logits[:, 0], torch.from_numpy(split.labels).double())
    change = loss.item() - found.loss
    np.testing.assert_allclose(found.loss_change[1, 2], change, atol=1e-5)


def test_progress_counts_examples_and_the_model_is_left_as_it_was(split):
    model = DynaBertForSequenceClassification.from_hf(make_hf()).train()
    seen: list[tuple[int, int]] = []
    ablate_heads(
        model, split, metric="accuracy", batch_size=8, on_progress=lambda *now: seen.append(now)
    )
    assert seen == [(8, 20), (16, 20), (20, 20)]
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())


def test_some_examples_are_drawn_from_the_seed(split):
    model = DynaBertForSequenceClassification.from_hf(make_hf())
    few = ablate_heads(model, split, metric="accuracy", num_examples=5, seed=1)
    rows = torch.randperm(20, generator=torch.Generator().manual_seed(1))[:5]
    losses = F.cross_entropy(
        one_by_one(model, split), torch.from_numpy(split.labels), reduction="none"
    )
    assert few.num_examples == 5
    assert few.loss == pytest.approx(losses[rows].mean().item(), abs=1e-6)
    with pytest.raises(UserError, match="at least 2 examples; there are 20, asked for 1"):
        ablate_heads(model, split, metric="accuracy", num_examples=1)


def test_what_is_saved_is_what_is_read(tmp_path: Path, split):
    model = DynaBertForSequenceClassification.from_hf(make_hf())
    found = ablate_heads(model, split, metric="accuracy")
    found.save(tmp_path / "heads.safetensors")
    again = HeadAblation.load(tmp_path / "heads.safetensors")
    assert (again.metric, again.loss, again.split) == (found.metric, found.loss, "dev")
    np.testing.assert_allclose(again.loss_change, found.loss_change, rtol=1e-6)
    first = again.table().iloc[0]
    assert first["loss_change"] == pytest.approx(np.nanmax(found.loss_change))
    where = np.unravel_index(np.nanargmax(found.loss_change), found.loss_change.shape)
    assert (first["layer"], first["head"]) == (where[0] + 1, where[1] + 1)


def test_rank_correlation_is_spearmans():
    random = np.random.default_rng(0)
    first = random.normal(size=(4, 6))
    second = first + random.normal(size=(4, 6))
    second[1, 2] = np.nan
    known = ~np.isnan(second)
    found = rank_correlation(first, second)
    assert found.num_heads == 23
    assert found.value == pytest.approx(stats.spearmanr(first[known], second[known]).statistic)
    assert -1 <= found.low < found.value < found.high <= 1
    assert rank_correlation(first, first**3).value == pytest.approx(1)
    assert rank_correlation(first, -first).high == pytest.approx(-1)


def test_within_layers_a_common_slope_over_layers_counts_for_nothing():
    heads = np.array([[1.0, 2, 3, 4], [11, 12, 13, 14], [21, 22, 23, 24]])
    turned = heads[:, ::-1]
    assert rank_correlation(heads, turned).value > 0.75
    assert rank_correlation(heads, turned, within_layers=True).value == pytest.approx(-1)


def test_where_there_is_nothing_to_rank_there_is_no_correlation():
    assert rank_correlation(np.array([[1.0, 2]]), np.array([[2.0, 1]])) is None
    heads = np.arange(3.0)[:, None]  # one in each layer
    assert rank_correlation(heads, heads) is not None
    assert rank_correlation(heads, heads, within_layers=True) is None
