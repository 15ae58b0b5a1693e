"""A classifier reads the first token: its last layer computes no other, and answers the same."""

from __future__ import annotations

import pytest
import torch
from conftest import make_hf

from dynabert import DynaBertForQuestionAnswering, DynaBertForSequenceClassification, Subnet

IDS = torch.tensor([[2, 11, 12, 13, 14, 15, 3], [2, 21, 22, 3, 0, 0, 0]])
MASK = (IDS != 0).long()


def rows_of_last_layer(model, subnet: Subnet, **options) -> tuple[int, object]:
    """Tokens that the last executed layer's feed-forward computes for a text, and the output."""
    seen: list[int] = []
    last = subnet.resolve(model.config.shape).layers[-1]
    layer = model.backbone.encoder.layers[last].feed_forward
    handle = layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[1]))
    try:
        with torch.inference_mode():
            out = model(input_ids=IDS, attention_mask=MASK, subnet=subnet, **options)
    finally:
        handle.remove()
    (rows,) = seen
    return rows, out


@pytest.mark.parametrize("backbone", ["bert", "roberta"])
@pytest.mark.parametrize(
    "subnet", [Subnet(), Subnet(0.5, 0.5), Subnet(1.0, 0.5, (4, 3)), Subnet(0.5, 0.25)]
)
def test_the_last_layer_computes_what_the_head_reads(backbone: str, subnet: Subnet) -> None:
    model = DynaBertForSequenceClassification.from_hf(make_hf(backbone))
    rows, out = rows_of_last_layer(model, subnet)
    assert rows == 1
    wanted, whole = rows_of_last_layer(model, subnet, output_hidden_states=True)
    assert wanted == (subnet.length_config.entries[-1] if subnet.length_config else IDS.shape[1])
    torch.testing.assert_close(out.logits, whole.logits, rtol=0, atol=1e-12)
    assert whole.hidden_states[-1].shape[1] == IDS.shape[1]
    _, looked = rows_of_last_layer(model, subnet, output_attentions=True)
    torch.testing.assert_close(looked.logits, out.logits, rtol=0, atol=1e-12)
    assert looked.attentions[-1].shape[-2:] == (IDS.shape[1], IDS.shape[1])


def test_gradients_are_the_same() -> None:
    model = DynaBertForSequenceClassification.from_hf(make_hf())
    labels = torch.tensor([0, 2])
    found = []
    for options in ({}, {"output_hidden_states": True}):
        model.zero_grad()
        model(input_ids=IDS, attention_mask=MASK, labels=labels, **options).loss.backward()
        found.append([parameter.grad.clone() for parameter in model.parameters()])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_who_reads_all_tokens_gets_all() -> None:
    model = DynaBertForQuestionAnswering.from_hf(make_hf("bert", "ForQuestionAnswering"))
    rows, out = rows_of_last_layer(model, Subnet())
    assert rows == IDS.shape[1]
    assert out.start_logits.shape == IDS.shape
    backbone = model.backbone
    with torch.inference_mode():
        whole = backbone(input_ids=IDS, attention_mask=MASK).last_hidden_state
        first = backbone(input_ids=IDS, attention_mask=MASK, num_queries=2).last_hidden_state
    torch.testing.assert_close(first, whole[:, :2], rtol=0, atol=1e-12)
