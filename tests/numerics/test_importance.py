"""Importance against the gradients it stands for, and rewiring as a permutation."""

from pathlib import Path

import pytest
import torch
from conftest import make_batch, make_hf
from torch import Tensor

from dynabert import DynaBertForQuestionAnswering, DynaBertForSequenceClassification, Subnet
from dynabert.importance import Importance, compute_importance
from dynabert.rewiring import rewire_

EXACT = {"rtol": 1e-6, "atol": 1e-9}  # scores are stored in float32


def labelled(backbone: str) -> dict[str, Tensor]:
    return make_batch(backbone) | {"labels": torch.tensor([2, 0, 1])}


def single(batch: dict[str, Tensor], row: int) -> dict[str, Tensor]:
    return {name: value[row : row + 1] for name, value in batch.items()}


def by_definition(model: DynaBertForSequenceClassification, batch: dict) -> Importance:
    """The paper's formulas on one batch, from a head mask's and the weights' own gradients."""
    mask = torch.ones(4, 6, dtype=torch.float64, requires_grad=True)
    loss = model(**batch, head_mask=mask).loss
    layers = model.backbone.encoder.layers
    inner = [layer.feed_forward.inner.weight for layer in layers]
    outer = [layer.feed_forward.output.weight for layer in layers]
    d_mask, *gradients = torch.autograd.grad(loss, [mask, *inner, *outer])
    # A mask of ones has dL/dmask = dL/dh . h.
    neurons = [
        ((w1 * d1).sum(1) + (w2 * d2).sum(0)).abs()
        for w1, w2, d1, d2 in zip(inner, outer, gradients[:4], gradients[4:], strict=True)
    ]
    return Importance(d_mask.abs().float(), torch.stack(neurons).detach().float())


def test_per_batch_is_the_papers_formula(model: DynaBertForSequenceClassification) -> None:
    batch = labelled(model.config.backbone)
    expected = by_definition(model, batch)
    found = compute_importance(model, [batch], per="batch")
    torch.testing.assert_close(found.heads, expected.heads, **EXACT)
    torch.testing.assert_close(found.neurons, expected.neurons, **EXACT)


def test_per_batch_averages_over_batches(model: DynaBertForSequenceClassification) -> None:
    batch = labelled(model.config.backbone)
    batches = [single(batch, 0), single(batch, 1)]
    first, second = (by_definition(model, one) for one in batches)
    found = compute_importance(model, iter(batches), per="batch")
    torch.testing.assert_close(found.heads, (first.heads + second.heads) / 2, **EXACT)
    torch.testing.assert_close(found.neurons, (first.neurons + second.neurons) / 2, **EXACT)


def test_per_example_is_the_formula_on_each_example_alone(
    model: DynaBertForSequenceClassification,
) -> None:
    batch = labelled(model.config.backbone)
    alone = [by_definition(model, single(batch, row)) for row in range(3)]
    found = compute_importance(model, [batch])
    for name in ("heads", "neurons"):
        expected = sum(getattr(one, name) for one in alone) / 3
        torch.testing.assert_close(getattr(found, name), expected, **EXACT)
    assert found.about == {"per": "example", "num_examples": "3"}


def test_per_example_does_not_depend_on_the_batches(
    model: DynaBertForSequenceClassification,
) -> None:
    batch = labelled(model.config.backbone)
    one = compute_importance(model, [batch])
    three = compute_importance(model, [single(batch, row) for row in (2, 0, 1)])
    torch.testing.assert_close(one.heads, three.heads, **EXACT)
    torch.testing.assert_close(one.neurons, three.neurons, **EXACT)


def test_it_predicts_the_effect_of_weakening_a_head(
    model: DynaBertForSequenceClassification,
) -> None:
    """First order: |loss(head scaled by 1 - e) - loss| / e for a small e."""
    batch = single(labelled(model.config.backbone), 0)
    found = compute_importance(model, [batch])
    before, epsilon = model(**batch).loss, 1e-6
    for layer, head in ((0, 0), (1, 5), (3, 2)):
        mask = torch.ones(4, 6, dtype=torch.float64)
        mask[layer, head] -= epsilon
        change = (model(**batch, head_mask=mask).loss - before).abs() / epsilon
        assert change.item() == pytest.approx(found.heads[layer, head].item(), rel=1e-4)


def test_it_leaves_the_model_as_it_was(model: DynaBertForSequenceClassification) -> None:
    model.train()
    model.requires_grad_(False)  # a frozen model can be measured, too
    before = {name: value.clone() for name, value in model.state_dict().items()}
    compute_importance(model, [labelled(model.config.backbone)])
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_without_labels_or_batches_it_says_so(model: DynaBertForSequenceClassification) -> None:
    with pytest.raises(ValueError, match="needs labels"):
        compute_importance(model, [make_batch(model.config.backbone)])
    with pytest.raises(ValueError, match="at least one batch"):
        compute_importance(model, [])
    with pytest.raises(ValueError, match='"example" or "batch", got \'token\''):
        compute_importance(model, [], per="token")


def test_uneven_layers_are_filled_up_with_nan() -> None:
    model = DynaBertForSequenceClassification.from_hf(make_hf())
    small = model.extract(Subnet(layers=(0, 3), heads=(2, 5), neurons=(60, 7)))
    found = compute_importance(small, [labelled("bert")])
    assert found.heads.isnan().tolist() == [[False] * 2 + [True] * 3, [False] * 5]
    assert found.neurons.isnan().sum().item() == 53
    rewire_(small, found)  # and can be rewired by


def random_importance(seed: int = 3) -> Importance:
    generator = torch.Generator().manual_seed(seed)
    return Importance(torch.rand(4, 6, generator=generator), torch.rand(4, 60, generator=generator))


def test_rewiring_changes_no_output(model: DynaBertForSequenceClassification, batch: dict) -> None:
    before = model(**batch, output_hidden_states=True)
    rewire_(model, random_importance())
    after = model(**batch, output_hidden_states=True)
    torch.testing.assert_close(after.logits, before.logits, rtol=0, atol=1e-12)
    for mine, other in zip(after.hidden_states, before.hidden_states, strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-12)


def test_rewiring_sorts_and_remembers(model: DynaBertForSequenceClassification) -> None:
    scores = random_importance()
    rewire_(model, scores)
    for number, layer in enumerate(model.backbone.encoder.layers):
        heads, neurons = layer.attention.head_ids.long(), layer.feed_forward.neuron_ids.long()
        assert sorted(heads.tolist()) == list(range(6))
        assert sorted(neurons.tolist()) == list(range(60))
        assert (scores.heads[number][heads].diff() <= 0).all()
        assert (scores.neurons[number][neurons].diff() <= 0).all()


def test_a_head_keeps_its_attention_under_its_original_number(
    model: DynaBertForSequenceClassification, batch: dict
) -> None:
    before = model(**batch, output_attentions=True).attentions
    rewire_(model, random_importance())
    after = model(**batch, output_attentions=True).attentions
    for layer, old, new in zip(model.backbone.encoder.layers, before, after, strict=True):
        ids = layer.attention.head_ids.long()
        torch.testing.assert_close(new, old[:, ids], rtol=0, atol=1e-12)


def test_the_narrow_subnet_uses_the_most_important_heads(
    model: DynaBertForSequenceClassification,
) -> None:
    scores = random_importance()
    rewire_(model, scores)
    small = model.extract(Subnet(0.5))
    for number, layer in enumerate(small.backbone.encoder.layers):
        kept = set(layer.attention.head_ids.tolist())
        assert kept == set(scores.heads[number].topk(3).indices.tolist())


def test_rewiring_twice_composes(model: DynaBertForSequenceClassification, batch: dict) -> None:
    before = model(**batch, output_attentions=True)
    rewire_(model, random_importance(3))
    second = random_importance(4)
    rewire_(model, second)
    after = model(**batch, output_attentions=True)
    torch.testing.assert_close(after.logits, before.logits, rtol=0, atol=1e-12)
    ids = model.backbone.encoder.layers[1].attention.head_ids.long()
    torch.testing.assert_close(
        after.attentions[1], before.attentions[1][:, ids], rtol=0, atol=1e-12
    )


def test_scores_are_put_back_into_the_original_order(
    model: DynaBertForSequenceClassification,
) -> None:
    batch = labelled(model.config.backbone)
    original = compute_importance(model, [batch])
    rewire_(model, random_importance())
    moved = compute_importance(model, [batch])
    assert not torch.allclose(moved.heads, original.heads)
    back = moved.in_original_order(model)
    torch.testing.assert_close(back.heads, original.heads, rtol=1e-5, atol=1e-9)
    torch.testing.assert_close(back.neurons, original.neurons, rtol=1e-5, atol=1e-9)


def test_scores_of_an_extracted_network_go_to_the_places_it_was_cut_from(
    model: DynaBertForSequenceClassification,
) -> None:
    rewire_(model, random_importance())
    small = model.extract(Subnet(0.5, layers=(1, 3)))
    scores = compute_importance(small, [labelled(model.config.backbone)])
    back = scores.in_original_order(small)
    assert back.heads.shape == (4, 6)
    assert back.neurons.shape == (4, 60)
    assert back.heads[[0, 2]].isnan().all()
    for row, layer in enumerate((1, 3)):
        ids = small.backbone.encoder.layers[row].attention.head_ids.tolist()
        assert torch.equal(back.heads[layer, ids], scores.heads[row])
        assert back.heads[layer].isnan().sum() == 3


@pytest.mark.parametrize("kind", ["labels", "spans"])
def test_examples_that_the_loss_leaves_out_do_not_count(kind: str) -> None:
    if kind == "labels":
        model = DynaBertForSequenceClassification.from_hf(make_hf())
        batch = make_batch() | {"labels": torch.tensor([1, -100, 2])}
    else:
        model = DynaBertForQuestionAnswering.from_hf(make_hf("bert", "ForQuestionAnswering"))
        spans = torch.tensor([[1, 4], [30, 33], [0, 2]])
        batch = make_batch() | {"start_positions": spans[:, 0], "end_positions": spans[:, 1]}
    together = compute_importance(model, [batch])
    alone = compute_importance(model, [single(batch, row) for row in (0, 2)])
    torch.testing.assert_close(together.heads, alone.heads, **EXACT)


def test_equal_scores_keep_their_order(model: DynaBertForSequenceClassification) -> None:
    rewire_(model, Importance(torch.ones(4, 6), torch.ones(4, 60)))
    for layer in model.backbone.encoder.layers:
        assert layer.attention.head_ids.tolist() == list(range(6))
        assert layer.feed_forward.neuron_ids.tolist() == list(range(60))


def test_scores_that_do_not_fit_are_refused(model: DynaBertForSequenceClassification) -> None:
    good = random_importance()
    with pytest.raises(ValueError, match=r"heads must be of shape \(4, 6\), got \(4, 5\)"):
        rewire_(model, Importance(good.heads[:, :5], good.neurons))
    bad = good.neurons.clone()
    bad[1, 1] = torch.nan
    with pytest.raises(ValueError, match="neurons has values that are not finite"):
        rewire_(model, Importance(good.heads, bad))


def test_saved_and_loaded(tmp_path: Path) -> None:
    scores = random_importance()
    kept = Importance(scores.heads, scores.neurons, {"split": "train", "num_examples": "7"})
    kept.save(tmp_path / "importance.safetensors")
    loaded = Importance.load(tmp_path / "importance.safetensors")
    assert torch.equal(loaded.heads, scores.heads)
    assert torch.equal(loaded.neurons, scores.neurons)
    assert loaded.about == {"split": "train", "num_examples": "7"}


def test_identities_survive_saving(
    model: DynaBertForSequenceClassification, tmp_path: Path
) -> None:
    rewire_(model, random_importance())
    model.save_pretrained(tmp_path)
    loaded = DynaBertForSequenceClassification.from_pretrained(tmp_path)
    for mine, other in zip(
        model.backbone.encoder.layers, loaded.backbone.encoder.layers, strict=True
    ):
        assert torch.equal(mine.attention.head_ids, other.attention.head_ids)
        assert torch.equal(mine.feed_forward.neuron_ids, other.feed_forward.neuron_ids)
