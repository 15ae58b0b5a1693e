"""Progressive rewiring: what wider sub-networks have learned stays as it is."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dynabert import DynaBertForSequenceClassification, Subnet
from dynabert.importance import Importance
from dynabert.rewiring import rewire_

SHAPES = (4, 6), (4, 60)


@pytest.mark.parametrize("within", [1.0, 0.75, 0.5])
def test_widths_down_to_the_share_compute_what_they_did(
    model: DynaBertForSequenceClassification, batch: dict[str, Tensor], within: float
) -> None:
    subnets = [Subnet(width) for width in (1.0, 0.75, 0.5) if width >= within]
    before = [model(**batch, subnet=subnet).logits for subnet in subnets]
    scores = Importance(torch.rand(*SHAPES[0]), torch.rand(*SHAPES[1]))
    narrow = model(**batch, subnet=Subnet(0.25)).logits
    rewire_(model, scores, within=within)
    for subnet, logits in zip(subnets, before, strict=True):
        torch.testing.assert_close(model(**batch, subnet=subnet).logits, logits)
    assert not torch.allclose(model(**batch, subnet=Subnet(0.25)).logits, narrow)


def test_the_share_is_sorted_and_the_rest_stays(model: DynaBertForSequenceClassification) -> None:
    scores = Importance(torch.rand(*SHAPES[0]), torch.rand(*SHAPES[1]))
    rewire_(model, scores, within=0.5)
    for layer, heads, neurons in zip(
        model.backbone.encoder.layers, scores.heads, scores.neurons, strict=True
    ):
        order = sorted(range(3), key=lambda head: -float(heads[head]))
        assert layer.attention.head_ids.tolist() == [*order, 3, 4, 5]
        best = sorted(range(30), key=lambda neuron: -float(neurons[neuron]))
        assert layer.feed_forward.neuron_ids.tolist() == [*best, *range(30, 60)]
