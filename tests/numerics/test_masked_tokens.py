"""Masked language modelling: parity with Hugging Face, what is masked, the loss, and how it is judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import PAD, make_batch, make_hf
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import AutoModelForMaskedLM, BertForMaskedLM, BertForPreTraining

from dynabert import DynaBertForMaskedLM, DynaBertForSequenceClassification, Subnet
from dynabert.data.masked_text import MaskedSplit, Masking
from dynabert.data.ragged import RaggedRows
from dynabert.errors import UserError
from dynabert.evaluation.masked_tokens import MaskedTally
from dynabert.evaluation.quality import evaluate
from dynabert.labels import IGNORED_LABEL
from dynabert.modeling.architecture import Architecture
from dynabert.modeling.reduction import cut_student
from dynabert.rewiring import rewire_
from dynabert.training.calibration import calibrate
from dynabert.training.stage import Losses
from dynabert.training.step import accumulate_gradients

ORDINARY = np.arange(5, 97)
MASK = 4


def labels_for(batch: dict[str, Tensor]) -> Tensor:
    """Some real tokens are asked for."""
    chosen = batch["attention_mask"].bool() & (batch["input_ids"] % 3 == 0)
    assert chosen.any()
    return batch["input_ids"].masked_fill(~chosen, IGNORED_LABEL)


def split_of(lengths: tuple[int, ...] = (9, 4, 12, 7), seed: int = 0) -> MaskedSplit:
    generator = torch.Generator().manual_seed(2)
    rows = [
        [2, *torch.randint(5, 97, (length,), generator=generator).tolist(), 3] for length in lengths
    ]
    masking = Masking(mask_token_id=MASK, ordinary_ids=ORDINARY, share=0.3)
    return MaskedSplit(input_ids=RaggedRows.of(rows), masking=masking, pad_token_id=0, seed=seed)


def test_logits_and_loss_are_hugging_faces(backbone: str) -> None:
    hf = make_hf(backbone, "ForMaskedLM")
    batch = make_batch(backbone)
    labels = labels_for(batch)
    ours = DynaBertForMaskedLM.from_hf(hf).eval()(**batch, labels=labels)
    theirs = hf(**batch, labels=labels)
    real = batch["attention_mask"].bool()
    torch.testing.assert_close(ours.logits[real], theirs.logits[real], atol=1e-10, rtol=0)
    torch.testing.assert_close(ours.loss, theirs.loss, atol=1e-10, rtol=0)


def test_there_and_back_again(backbone: str) -> None:
    hf = make_hf(backbone, "ForMaskedLM")
    again = DynaBertForMaskedLM.from_hf(hf).to_hf()
    theirs = hf.state_dict()
    assert again.state_dict().keys() == theirs.keys()
    assert all(again.state_dict()[name].equal(value) for name, value in theirs.items())


def test_it_is_saved_and_found_by_its_class(backbone: str, tmp_path: Path) -> None:
    model = DynaBertForMaskedLM.from_hf(make_hf(backbone, "ForMaskedLM"))
    model.save_pretrained(tmp_path)
    loaded = AutoModelForMaskedLM.from_pretrained(tmp_path, dtype=torch.float64).eval()
    assert type(loaded) is DynaBertForMaskedLM
    batch = make_batch(backbone)
    torch.testing.assert_close(loaded(**batch).logits, model.eval()(**batch).logits)


def test_a_classifier_takes_the_pooler_from_a_checkpoint_that_names_the_masked_head(
    tmp_path: Path,
) -> None:
    """As bert-base-uncased is on the hub: both heads are stored, and only one is named."""
    both = BertForPreTraining(make_hf("bert", "ForMaskedLM").config)
    both.config.architectures = ["BertForMaskedLM"]
    both.save_pretrained(tmp_path)
    config = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(config.replace("BertForPreTraining", "BertForMaskedLM"))
    model = DynaBertForSequenceClassification.from_hf(tmp_path, num_labels=2)
    assert model.head.dense.weight.equal(both.bert.pooler.dense.weight)
    masked = DynaBertForMaskedLM.from_hf(tmp_path)
    assert masked.head.dense.weight.equal(both.cls.predictions.transform.dense.weight)
    assert masked.head.output.bias.equal(both.cls.predictions.bias)


def test_output_weights_of_their_own_are_refused() -> None:
    config = make_hf("bert", "ForMaskedLM").config
    config.tie_word_embeddings = False
    with pytest.raises(UserError, match="only tied ones are read"):
        DynaBertForMaskedLM.from_hf(BertForMaskedLM(config))


def test_what_is_read_of_a_batch_are_the_masked_tokens_of_all(backbone: str) -> None:
    model = DynaBertForMaskedLM.from_hf(make_hf(backbone, "ForMaskedLM")).eval()
    batch = make_batch(backbone)
    labels = labels_for(batch)
    hidden = model.dynabert(**batch).last_hidden_state
    (everywhere,) = model.read(hidden)
    (some,) = model.read(hidden, {**batch, "labels": labels})
    assert some.shape == (int((labels != IGNORED_LABEL).sum()), 97)
    torch.testing.assert_close(some, everywhere[labels != IGNORED_LABEL])
    expected = F.cross_entropy(some, labels[labels != IGNORED_LABEL])
    for logits in (some, everywhere):
        torch.testing.assert_close(model.label_loss((logits,), {"labels": labels}), expected)


def test_extraction_is_slicing(backbone: str) -> None:
    model = DynaBertForMaskedLM.from_hf(make_hf(backbone, "ForMaskedLM")).eval()
    subnet, batch = Subnet(0.5, 0.5), make_batch(backbone)
    small = model.extract(subnet)
    torch.testing.assert_close(
        small(**batch).logits, model(**batch, subnet=subnet).logits, atol=1e-10, rtol=0
    )


def test_rewiring_by_text_changes_no_answer(backbone: str) -> None:
    model = DynaBertForMaskedLM.from_hf(make_hf(backbone, "ForMaskedLM")).eval()
    batch = make_batch(backbone)
    before = model(**batch).logits
    importance = calibrate(model, split_of(), num_examples=None, batch_size=2)
    rewire_(model, importance)
    assert not torch.equal(importance.heads, importance.heads.sort(descending=True).values)
    torch.testing.assert_close(model(**batch).logits, before, atol=1e-10, rtol=0)


def test_a_student_with_the_teachers_sizes_is_the_teacher(backbone: str) -> None:
    hf = make_hf(backbone, "ForMaskedLM", dtype=torch.float32)
    teacher = DynaBertForMaskedLM.from_hf(hf).eval()
    student, batch = cut_student(teacher, Architecture(4, 6, 48, 60)), make_batch(backbone)
    torch.testing.assert_close(student(**batch).logits, teacher(**batch).logits, atol=1e-5, rtol=0)
    smaller = cut_student(teacher, Architecture(2, 3, 24, 20))
    assert smaller(**batch).logits.shape == (3, 11, 97)
    assert smaller.head.output.bias.equal(teacher.head.output.bias)


@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=6),
    share=st.floats(0.01, 0.99),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=60)
def test_what_is_masked(lengths: list[int], share: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    longest = max(lengths) + 2
    ids = torch.full((len(lengths), longest), PAD["bert"])
    mask = torch.zeros_like(ids)
    for row, length in enumerate(lengths):
        ordinary = torch.randint(5, 97, (length,), generator=generator)
        ids[row, : length + 2] = torch.tensor([2, *ordinary.tolist(), 3])
        mask[row, : length + 2] = 1
    masking = Masking(mask_token_id=MASK, ordinary_ids=ORDINARY, share=share)
    masked, labels = masking.apply(ids, mask, generator)
    asked = labels != IGNORED_LABEL
    assert asked.sum(1).tolist() == [max(1, round(np.float32(n * share))) for n in lengths]
    assert labels[asked].equal(ids[asked])  # what stood there
    assert np.isin(labels[asked].numpy(), ORDINARY).all()  # nothing special, no padding
    assert masked[~asked].equal(ids[~asked])  # the rest stays
    assert np.isin(masked[asked].numpy(), [MASK, *ORDINARY]).all()


def test_of_the_chosen_eight_in_ten_are_masked_and_one_is_another() -> None:
    ids = torch.randint(5, 97, (200, 200), generator=torch.Generator().manual_seed(0))
    masking = Masking(mask_token_id=MASK, ordinary_ids=ORDINARY)
    masked, labels = masking.apply(ids, torch.ones_like(ids), torch.Generator().manual_seed(1))
    asked = labels != IGNORED_LABEL
    assert asked.float().mean().item() == pytest.approx(0.15)
    assert (masked[asked] == MASK).float().mean().item() == pytest.approx(0.8, abs=0.02)
    same = (masked[asked] == ids[asked]).float().mean().item()
    assert same == pytest.approx(0.1 + 0.1 / 92, abs=0.01)


def test_the_same_rows_are_masked_alike_and_in_other_company_otherwise() -> None:
    split = split_of()
    first, again = split.batch([0, 2, 1]), split.batch([0, 2, 1])
    assert all(first[name].equal(again[name]) for name in first)
    others = [split.batch([0, 2, 3]), split.batch([2, 0, 1]), split_of(seed=1).batch([0, 2, 1])]
    assert all(not other["labels"][0, :6].equal(first["labels"][0, :6]) for other in others[:1])
    assert len({str(one["labels"].tolist()) for one in (first, *others)}) == 4


def test_rows_are_padded_to_their_own_longest() -> None:
    batch = split_of().batch([1, 3])
    assert batch["input_ids"].shape == (2, 9)
    assert batch["attention_mask"].sum(1).tolist() == [6, 9]
    assert batch["input_ids"][0, 6:].tolist() == [0, 0, 0]


def test_selected_rows_are_those_rows() -> None:
    split = split_of()
    chosen = split.select(np.asarray([2, 0]))
    assert [row.tolist() for row in chosen.input_ids] == [
        split.input_ids[2].tolist(),
        split.input_ids[0].tolist(),
    ]
    assert len(split.select(np.asarray([], dtype=np.int64))) == 0


@pytest.mark.parametrize("share", [0.0, 1.0, float("nan")])
def test_a_share_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(UserError, match="between 0 and 1"):
        Masking(mask_token_id=MASK, ordinary_ids=ORDINARY, share=share)


def test_judging_is_counting_over_all_masked_tokens() -> None:
    split = split_of((40, 20, 50, 30))
    model = DynaBertForMaskedLM.from_hf(
        make_hf("bert", "ForMaskedLM", max_position_embeddings=60)
    ).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.LayerNorm):  # so that answers differ
            module.reset_parameters()
    found = evaluate(model, split, metrics=("accuracy",), batch_size=2)
    right, losses, answers = [], [], set()
    for rows in ([2, 0], [3, 1]):  # the longest together
        batch = split.batch(rows)
        asked = batch["labels"] != IGNORED_LABEL
        logits = model(**{k: v for k, v in batch.items() if k != "labels"}).logits[asked].float()
        wanted = batch["labels"][asked]
        right += (logits.argmax(-1) == wanted).tolist()
        answers |= set(logits.argmax(-1).tolist())
        losses += F.cross_entropy(logits, wanted, reduction="none").tolist()
    assert found.metrics == {"accuracy": pytest.approx(np.mean(right))}
    assert found.loss == pytest.approx(np.mean(losses), rel=1e-6)
    assert (found.num_examples, found.num_masked) == (4, len(right))
    assert len(answers) > 1
    assert not found.collapsed


def test_a_tally_knows_rows_intervals_and_collapse() -> None:
    split = split_of((10, 10))
    tally = MaskedTally(split, 1)
    labels = split.batch([0, 1])["labels"]
    wanted = labels[labels != IGNORED_LABEL]
    logits = np.zeros((1, len(wanted), 97), dtype=np.float32)
    logits[0, :, int(wanted[0])] = 5.0  # always the same answer
    tally.add([0, 1], [logits])
    right = (wanted == wanted[0]).numpy()
    evaluation = tally.evaluation(0, Subnet(), ("accuracy",))
    assert evaluation.collapsed
    assert evaluation.metrics["accuracy"] == pytest.approx(right.mean())
    each = -torch.from_numpy(logits[0]).log_softmax(-1)[torch.arange(len(wanted)), wanted]
    assert tally.losses(0) == pytest.approx(each.view(2, 3).mean(1).numpy(), rel=1e-6)
    generator = np.random.default_rng(0)
    whole = tally.intervals(0, ("accuracy",), np.asarray([0, 1]), generator)["accuracy"]
    assert whole.value == pytest.approx(right.mean())
    assert (whole.low, whole.high) == (pytest.approx(whole.value), pytest.approx(whole.value))


def test_distillation_is_the_cross_entropy_to_the_teachers_beliefs_at_masked_tokens() -> None:
    teacher = DynaBertForMaskedLM.from_hf(make_hf("bert", "ForMaskedLM")).eval()
    student = DynaBertForMaskedLM.from_hf(make_hf("bert", "ForMaskedLM", num_layers=2)).eval()
    batch = split_of().batch([0, 1, 2, 3])
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    asked = batch["labels"] != IGNORED_LABEL
    ours, theirs = student(**inputs).logits[asked], teacher(**inputs).logits[asked].detach()
    expected = F.cross_entropy(ours, batch["labels"][asked]) + 0.5 * F.cross_entropy(
        ours, theirs.softmax(-1)
    )
    expected.backward()
    gradients = {name: one.grad.clone() for name, one in student.named_parameters()}
    student.zero_grad()
    losses = accumulate_gradients(
        student, batch, [Subnet()], Losses(labels=1.0, prediction=0.5), teacher=teacher
    )
    assert losses.item() == pytest.approx(expected.item(), rel=1e-6)
    for name, parameter in student.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name], atol=1e-10, rtol=1e-8, msg=name)


def test_a_head_alone_learns_while_the_encoder_stays() -> None:
    model = DynaBertForMaskedLM.from_hf(make_hf("bert", "ForMaskedLM")).eval()
    batch = split_of().batch([0, 1, 2, 3])
    accumulate_gradients(model, batch, [Subnet()], Losses(labels=1.0))
    whole = {name: one.grad.clone() for name, one in model.named_parameters()}
    model.zero_grad()
    model.backbone.requires_grad_(False)
    accumulate_gradients(model, batch, [Subnet()], Losses(labels=1.0))
    learnt = {name for name, one in model.named_parameters() if one.grad is not None}
    assert learnt == {name for name in whole if name.startswith("head.")}
    for name in learnt:
        torch.testing.assert_close(model.get_parameter(name).grad, whole[name])
