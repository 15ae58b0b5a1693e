"""Evaluating spares arithmetic; the answers are those of the whole model."""

from __future__ import annotations

import pytest
import torch
from conftest import make_hf

from dynabert import DynaBertForQuestionAnswering, Subnet
from dynabert.evaluation.quality import batch_logits

SUBNETS = (Subnet(), Subnet(0.5, 0.5), Subnet(1.0, 0.25), Subnet(heads=(1, 6, 3, 2)))


@pytest.mark.parametrize("subnet", SUBNETS, ids=str)
def test_answers_are_those_of_the_whole_model(model, batch, subnet):
    """In float64, with texts of unequal length: the last layer is computed for the first token only."""
    model.eval()
    with torch.no_grad():
        whole = model(**batch, subnet=subnet, output_attentions=True).logits
    found = torch.from_numpy(batch_logits(model, batch, [Subnet(0.5), subnet])[0][1])
    torch.testing.assert_close(found, whole.float(), rtol=0, atol=1e-6)


def test_layers_that_sub_networks_begin_with_alike_run_once(model, batch):
    """Every width and depth of a search, with tokens dropped as well: answers as of each alone."""
    model.eval()
    subnets = [Subnet(width, depth) for width in (1.0, 0.5) for depth in (1.0, 0.75, 0.5, 0.25)]
    subnets += [Subnet(1.0, 1.0, (8, 6, 6, 2)), Subnet(1.0, 1.0, (8, 6, 4, 2)), subnets[0]]
    executed = []
    hooks = [
        layer.attention.register_forward_hook(
            lambda *called, number=number: executed.append(number)
        )
        for number, layer in enumerate(model.backbone.encoder.layers)
    ]
    (together,) = batch_logits(model, batch, subnets)
    for hook in hooks:
        hook.remove()
    paths = [tuple(subnet.resolve(model.config.shape).executed) for subnet in subnets]
    whole, begun = set(paths), {path[:end] for path in paths for end in range(1, len(path))}
    assert len(executed) == len(whole) + len(begun) < sum(map(len, paths))
    for subnet, found in zip(subnets, together, strict=True):
        (alone,) = batch_logits(model, batch, [subnet])
        assert (alone[0] == found).all()


def test_one_token_and_a_share_of_one_are_not_the_same_layer(model, batch):
    model.eval()
    counts, shares = (Subnet.parse(f"w1.00-d1.00-{key}") for key in ("l1.1.1.1", "r1_0.6_0.5_0.5"))
    assert (
        counts.resolve(model.config.shape).executed[0]
        != (shares.resolve(model.config.shape).executed[0])
    )
    for pair in ([counts, shares], [shares, counts]):
        (together,) = batch_logits(model, batch, pair)
        for subnet, found in zip(pair, together, strict=True):
            assert (batch_logits(model, batch, [subnet])[0][0] == found).all()


def test_a_sub_network_may_end_where_another_goes_on(batch):
    """Of a head that reads all tokens: the first layers are then the same for both."""
    model = DynaBertForQuestionAnswering.from_hf(make_hf()).eval()
    subnets = [Subnet(), Subnet(layers=(0, 1)), Subnet(layers=(0,)), Subnet(layers=(0, 2))]
    together = batch_logits(model, batch, subnets)
    for number, subnet in enumerate(subnets):
        for found, alone in zip(together, batch_logits(model, batch, [subnet]), strict=True):
            assert (alone[0] == found[number]).all()
