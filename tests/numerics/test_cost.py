"""Parameters and MACs: formulas against real models, a counter, and published numbers."""

import pytest
import torch
from conftest import make_batch, make_hf
from torch.utils.flop_counter import FlopCounterMode

from dynabert import PAPER_SPACE, DynaBertConfig, DynaBertForSequenceClassification, Subnet
from dynabert.errors import UserError
from dynabert.evaluation import count_macs, num_params, num_params_total

UNEVEN = Subnet(layers=(0, 2, 3), heads=(6, 1, 3), neurons=(1, 60, 17))
BERT_BASE = DynaBertConfig()


@pytest.mark.parametrize("subnet", [*PAPER_SPACE, UNEVEN], ids=str)
def test_parameters_are_those_of_the_extracted_model(
    model: DynaBertForSequenceClassification, subnet: Subnet
) -> None:
    small = model.extract(subnet)
    layers = small.backbone.encoder.parameters()
    assert num_params(model, subnet) == sum(parameter.numel() for parameter in layers)
    everything = sum(parameter.numel() for parameter in small.parameters())
    assert num_params_total(model, subnet) == everything
    assert num_params(small) == num_params(model, subnet)


@pytest.mark.parametrize("subnet", [*PAPER_SPACE, UNEVEN], ids=str)
def test_macs_are_those_a_counter_sees(
    model: DynaBertForSequenceClassification, subnet: Subnet
) -> None:
    tokens = 11
    batch = make_batch(model.config.backbone, lengths=(tokens,))
    embedded = model.backbone.embeddings(batch["input_ids"])
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        # With probabilities asked for, attention runs as plain matrix products, which are counted.
        model.backbone(embedding_output=embedded, subnet=subnet, output_attentions=True)
    assert count_macs(model, subnet, tokens) == counter.get_total_flops() / 2


@pytest.mark.parametrize(
    ("subnet", "millions"),
    [
        (Subnet(), 85.05),
        (Subnet(0.75, 1), 63.80),
        (Subnet(0.5, 0.75), 31.92),
        (Subnet(0.25, 0.5), 10.65),
    ],
)
def test_parameters_of_bert_base(subnet: Subnet, millions: float) -> None:
    assert num_params(BERT_BASE, subnet) / 1e6 == pytest.approx(millions, abs=0.01)


@pytest.mark.parametrize(
    ("subnet", "tokens", "billions"),
    [
        (Subnet(), 128, 11.17),
        (Subnet(), 384, 35.33),
        (Subnet(1, 0.75), 128, 8.38),
        (Subnet(0.25, 0.5), 384, 4.42),
    ],
)
def test_macs_of_bert_base(subnet: Subnet, tokens: int, billions: float) -> None:
    assert count_macs(BERT_BASE, subnet, tokens) / 1e9 == pytest.approx(billions, abs=0.01)


def test_no_tokens_no_macs() -> None:
    with pytest.raises(UserError, match="tokens must be at least 1, got 0"):
        count_macs(BERT_BASE, tokens=0)


def test_a_model_and_its_configuration_cost_the_same() -> None:
    model = DynaBertForSequenceClassification.from_hf(make_hf())
    assert num_params(model, UNEVEN) == num_params(model.config, UNEVEN)
    assert count_macs(model, UNEVEN) == count_macs(model.config, UNEVEN)
