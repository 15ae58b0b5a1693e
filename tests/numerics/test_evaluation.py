"""Evaluating spares arithmetic; the answers are those of the whole model."""

from __future__ import annotations

import pytest
import torch

from dynabert import Subnet
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
