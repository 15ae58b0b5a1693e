"""All sub-networks at once give what each gives alone."""

from __future__ import annotations

import pytest
import torch
from conftest import make_batch, make_hf

from dynabert import PAPER_SPACE, DynaBertForSequenceClassification, Subnet
from dynabert.analysis.together import read_together
from dynabert.importance import Importance
from dynabert.rewiring import rewire_

SUBNETS = [
    *PAPER_SPACE,
    Subnet(1 / 6, 1 / 4),
    Subnet(layers=(0, 2), heads=(6, 1), neurons=(3, 60)),
    Subnet(layers=(0, 2), heads=(2, 4), neurons=(60, 7)),
]


@pytest.fixture
def inputs(backbone: str) -> dict[str, torch.Tensor]:
    batch = make_batch(backbone, lengths=(9,))
    return {name: batch[name] for name in ("input_ids", "token_type_ids")}


def test_logits_and_attention_are_those_of_each_alone(model, inputs):
    rewire_(model, Importance(torch.rand(4, 6), torch.rand(4, 60)))
    readings = read_together(model, inputs, SUBNETS)
    for subnet, reading in zip(SUBNETS, readings, strict=True):
        alone = model(**inputs, subnet=subnet, output_attentions=True)
        assert reading.subnet == subnet
        torch.testing.assert_close(reading.logits, alone.logits[0], rtol=0, atol=1e-9)
        assert len(reading.attentions) == len(alone.attentions)
        for one, other in zip(reading.attentions, alone.attentions, strict=True):
            torch.testing.assert_close(one, other[0], rtol=0, atol=1e-9)


def test_an_extracted_network_with_unequal_layers_reads_too():
    model = DynaBertForSequenceClassification.from_hf(make_hf())
    small = model.extract(Subnet(layers=(1, 3), heads=(6, 2), neurons=(60, 30)))
    inputs = {"input_ids": make_batch(lengths=(9,))["input_ids"]}
    subnets = [Subnet(), Subnet(0.5), Subnet(0.5, 0.5)]
    for subnet, reading in zip(subnets, read_together(small, inputs, subnets), strict=True):
        alone = small(**inputs, subnet=subnet).logits[0]
        torch.testing.assert_close(reading.logits, alone, rtol=0, atol=1e-9)
