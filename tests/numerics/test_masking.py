"""Head masks are ours: Hugging Face's library accepts them and ignores them."""

import pytest
import torch
from conftest import make_batch, make_hf

from dynabert import DynaBertForSequenceClassification, Subnet


def test_masking_all_heads_changes_the_logits(
    model: DynaBertForSequenceClassification, batch: dict
) -> None:
    masked = model(**batch, head_mask=torch.zeros(4, 6, dtype=torch.float64))
    assert (masked.logits - model(**batch).logits).abs().max() > 0.01


def test_a_mask_of_ones_changes_nothing(
    model: DynaBertForSequenceClassification, batch: dict
) -> None:
    ones = torch.ones(4, 6, dtype=torch.float64)
    assert torch.equal(model(**batch, head_mask=ones).logits, model(**batch).logits)


@pytest.mark.parametrize("need_probs", [False, True])
def test_a_masked_head_is_a_head_with_no_output_weights(
    model: DynaBertForSequenceClassification, batch: dict, need_probs: bool
) -> None:
    mask = torch.ones(4, 6, dtype=torch.float64)
    mask[2, 4] = 0
    masked = model(**batch, head_mask=mask, output_attentions=need_probs).logits
    with torch.no_grad():
        model.backbone.encoder.layers[2].attention.output.weight[:, 4 * 8 : 5 * 8] = 0
    torch.testing.assert_close(masked, model(**batch).logits, rtol=0, atol=1e-12)


def test_each_sentence_may_have_its_own_mask() -> None:
    model = DynaBertForSequenceClassification.from_hf(make_hf())
    batch = make_batch()
    mask = torch.rand(4, 3, 6, dtype=torch.float64)
    together = model(**batch, head_mask=mask, subnet=Subnet(0.5, 0.5)).logits
    for row in range(3):
        alone = {name: value[row : row + 1] for name, value in batch.items()}
        one = model(**alone, head_mask=mask[:, row], subnet=Subnet(0.5, 0.5)).logits
        torch.testing.assert_close(one[0], together[row], rtol=0, atol=1e-12)


def test_a_mask_of_another_precision_is_converted() -> None:
    model = DynaBertForSequenceClassification.from_hf(make_hf(dtype=torch.float32)).bfloat16()
    ones = torch.ones(4, 6)
    assert torch.equal(model(**make_batch(), head_mask=ones).logits, model(**make_batch()).logits)


def test_a_mask_of_another_shape_is_refused(model: DynaBertForSequenceClassification) -> None:
    batch = make_batch(model.config.backbone)
    with pytest.raises(ValueError, match=r"must be of shape \(4, 6\) .* got \(6, 4\)"):
        model(**batch, head_mask=torch.ones(6, 4))
