"""Heads and neurons distributed over layers: equal cost, best members, nothing computed differently."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dynabert import DynaBertForSequenceClassification, Subnet
from dynabert.evaluation import count_macs, num_params
from dynabert.importance import Importance
from dynabert.rewiring import rewire_
from dynabert.search.per_layer import distributed, subnet_by_importance


@given(
    scores=st.lists(
        st.lists(st.floats(0, 1, width=32), min_size=2, max_size=7), min_size=1, max_size=5
    ),
    share=st.floats(0, 1),
)
def test_the_kept_members_are_the_best_that_can_be(scores: list[list[float]], share: float) -> None:
    falling = [torch.tensor(sorted(layer, reverse=True)) for layer in scores]
    most = sum(map(len, scores))
    total = len(scores) + int(share * (most - len(scores)))
    counts = distributed(falling, total)
    assert sum(counts) == total
    assert all(1 <= count <= len(layer) for count, layer in zip(counts, scores, strict=True))
    kept = [v for layer, n in zip(falling, counts, strict=True) for v in layer[1:n].tolist()]
    left = [v for layer, n in zip(falling, counts, strict=True) for v in layer[n:].tolist()]
    assert min(kept, default=2.0) >= max(left, default=-1.0)


def test_a_layer_that_matters_more_keeps_more() -> None:
    scores = [torch.tensor([9.0, 8.0, 7.0, 0.5]), torch.tensor([3.0, 2.0, 1.0, 0.0])]
    assert distributed(scores, 4) == (3, 1)
    assert distributed(scores, 6) == (3, 3)
    # Relative to its layer, the second one falls more slowly at first.
    assert distributed([torch.tensor([9.0, 1.0]), torch.tensor([0.3, 0.2])], 3, "by layer") == (
        1,
        2,
    )


def test_a_member_needs_those_to_its_left() -> None:
    assert distributed([torch.tensor([1.0, 0.1, 9.0]), torch.tensor([1.0, 0.5])], 3) == (1, 2)


@pytest.mark.parametrize("subnet", [Subnet(0.5, 0.5), Subnet(0.5), Subnet(0.75, layers=(0, 3))])
def test_cost_and_layers_are_those_of_one_width(
    model: DynaBertForSequenceClassification, subnet: Subnet
) -> None:
    importance = Importance(torch.rand(4, 6), torch.rand(4, 60))
    rewire_(model, importance)
    chosen = subnet_by_importance(model, importance, subnet)
    before, after = (one.resolve(model.config.shape) for one in (subnet, chosen))
    assert after.layers == before.layers
    assert num_params(model, chosen) == num_params(model, subnet)
    assert count_macs(model, chosen) == count_macs(model, subnet)
    # The heads that are kept have the highest scores of their layers, by the original numbers.
    for layer, count in zip(after.layers, after.heads, strict=True):
        ids = model.backbone.encoder.layers[layer].attention.head_ids[:count].tolist()
        assert set(ids) == set(importance.heads[layer].topk(count).indices.tolist())


def test_importance_of_another_network_is_refused(model: DynaBertForSequenceClassification) -> None:
    with pytest.raises(ValueError, match="not of this network"):
        subnet_by_importance(model, Importance(torch.rand(2, 6), torch.rand(2, 60)), Subnet(0.5))
