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
