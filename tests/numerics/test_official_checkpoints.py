"""A checkpoint of the authors' code, read with their layer choice, gives their logits."""

import pytest
import torch
from conftest import make_batch, make_hf
from official_reference import official_logits, rewired_state

from dynabert import PAPER_SPACE, DynaBertForSequenceClassification, Subnet


@pytest.mark.parametrize(("num_layers", "num_heads"), [(12, 12), (6, 12), (4, 6)])
def test_all_twelve_subnets_of_an_officially_rewired_checkpoint(
    num_layers: int, num_heads: int
) -> None:
    hf = make_hf(num_layers=num_layers, num_attention_heads=num_heads)
    heads, neurons = torch.rand(num_layers, num_heads), torch.rand(num_layers, 60)
    state = rewired_state(hf, heads, neurons)
    hf.load_state_dict(state)
    model = DynaBertForSequenceClassification.from_hf(hf, depth_choice="official")
    batch = make_batch()
    for subnet in PAPER_SPACE:
        expected = official_logits(state, hf.config, batch, subnet.width_mult, subnet.depth_mult)
        torch.testing.assert_close(
            model(**batch, subnet=subnet).logits, expected, rtol=0, atol=1e-10
        )


def test_the_papers_layer_choice_is_another() -> None:
    hf = make_hf(num_layers=12, num_attention_heads=12)
    batch, subnet = make_batch(), Subnet(depth_mult=0.75)
    paper, official = (
        DynaBertForSequenceClassification.from_hf(hf, depth_choice=choice)(**batch, subnet=subnet)
        for choice in ("paper", "official")
    )
    assert (paper.logits - official.logits).abs().max() > 0.01
