"""The heads of a layer before and after rewiring."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dynabert import Subnet
from dynabert.analysis.head_order import (
    head_order,
    importance_held,
    neuron_importance_held,
    neuron_order,
    pretrained_order,
)
from dynabert.importance import Importance
from dynabert.rewiring import rewire_

SCORES = torch.tensor([[1.0, 6.0, 2.0, 5.0, 4.0, 3.0]] * 4)


@pytest.fixture
def rewired(model):
    rewire_(model, Importance(SCORES, torch.zeros(4, model.config.intermediate_size)))
    return model


def test_heads_stand_in_the_order_of_their_importance(rewired):
    assert head_order(rewired).tolist() == [[1, 3, 4, 5, 2, 0]] * 4
    assert pretrained_order(head_order(rewired)).tolist() == [[0, 1, 2, 3, 4, 5]] * 4


def test_a_width_holds_the_importance_of_its_heads(rewired):
    order, shape, scores = head_order(rewired), rewired.config.shape, SCORES.numpy()
    widths = (1 / 3, 0.5, 1.0)
    assert importance_held(scores, order, widths, shape) == pytest.approx([11 / 21, 15 / 21, 1.0])
    before = pretrained_order(order)
    assert importance_held(scores, before, widths, shape) == pytest.approx([7 / 21, 9 / 21, 1.0])


def test_a_width_holds_the_importance_of_its_neurons_and_not_of_the_best(model):
    first = torch.rand(4, 60)
    rewire_(model, Importance(torch.rand(4, 6), first))
    order = neuron_order(model)
    assert np.array_equal(order, first.argsort(descending=True).numpy())
    then = torch.rand(4, 60).numpy()  # what was important is not any more
    held = neuron_importance_held(then, order, 0.5, model.config.shape)
    expected = sum(then[layer, order[layer, :30]].sum() for layer in range(4)) / then.sum()
    assert held == pytest.approx(expected)
    assert held < np.sort(then)[:, 30:].sum() / then.sum()
    small = model.extract(Subnet(0.5, 0.5))
    assert (neuron_order(small) >= 0).sum() == 2 * 30


def test_an_extracted_network_keeps_the_numbers_of_the_original(rewired):
    small = rewired.extract(Subnet(0.5, 0.5))
    order = head_order(small)
    kept = list(small.config.layer_ids)
    assert order[kept].tolist() == [[1, 3, 4, -1, -1, -1]] * len(kept)
    gone = [layer for layer in range(4) if layer not in kept]
    assert (order[gone] == -1).all()
    held = importance_held(SCORES.numpy(), order, (1.0,), small.config.shape)
    assert held == pytest.approx([15 / 21 * len(kept) / 4])
    assert np.array_equal(pretrained_order(order)[kept], [[1, 3, 4, -1, -1, -1]] * len(kept))
