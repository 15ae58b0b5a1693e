"""A training step: shared work must not change its gradients."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from conftest import make_batch, make_hf
from torch import Tensor

from dynabert import PAPER_SPACE, DynaBertForSequenceClassification, Subnet
from dynabert.attention_matching import attention_loss, relation_loss
from dynabert.distillation import cosine_loss, teacher_state
from dynabert.errors import UserError
from dynabert.modeling.shared_layers import SharedLayers
from dynabert.subnet import kept_layers
from dynabert.training.optimizer import schedule
from dynabert.training.seeds import seed_from
from dynabert.training.stage import Losses, Teacher
from dynabert.training.step import accumulate_gradients

SUBNETS = [Subnet(1.0, 1.0), Subnet(0.5, 0.75), Subnet(0.25, 0.5)]
FULL_TEACHER = Teacher(width="full")
DISTIL = Losses(prediction=1.0, hidden=0.5)


def make(num_labels: int = 3, seed: int = 0) -> DynaBertForSequenceClassification:
    torch.manual_seed(seed)
    hf = make_hf(num_labels=num_labels, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    return DynaBertForSequenceClassification.from_hf(hf)


def labelled(num_labels: int = 3) -> dict[str, Tensor]:
    batch = make_batch(lengths=(11, 7, 3, 9))
    labels = torch.tensor([0.5, 3.0, 4.2, 1.0]) if num_labels == 1 else torch.tensor([0, 2, 1, 1])
    return batch | {"labels": labels}


def gradients(model: DynaBertForSequenceClassification) -> dict[str, Tensor]:
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def reference_loss(
    student: DynaBertForSequenceClassification,
    teacher: DynaBertForSequenceClassification,
    batch: dict[str, Tensor],
    subnet: Subnet,
    teacher_subnet: Subnet,
) -> Tensor:
    """Eqs. (3) and (4) in plain words: everything computed anew, padding cut out by hand."""
    given = student(**batch, subnet=subnet, output_hidden_states=True)
    with torch.no_grad():
        taught = teacher(**batch, subnet=teacher_subnet, output_hidden_states=True)
    if student.config.num_labels == 1:
        loss = ((given.logits - taught.logits) ** 2).mean()
    else:
        loss = -(taught.logits.softmax(-1) * given.logits.log_softmax(-1)).sum(-1).mean()
    real = batch["attention_mask"].bool()
    layers = [0, *(layer + 1 for layer in kept_layers(subnet.depth_mult, 4))]
    for ours, number in zip(given.hidden_states, layers, strict=True):
        loss = loss + 0.5 * F.mse_loss(ours[real], taught.hidden_states[number][real])
    return loss


@pytest.mark.parametrize("num_labels", [3, 1])
@pytest.mark.parametrize("width", ["same", "full"])
def test_step_is_the_sum_of_separate_gradients(width: str, num_labels: int) -> None:
    student, teacher = make(num_labels), make(num_labels, seed=1)
    batch = labelled(num_labels)
    total = sum(
        reference_loss(
            student, teacher, batch, subnet, Subnet(subnet.width_mult if width == "same" else 1.0)
        )
        for subnet in SUBNETS
    )
    total.backward()
    expected = gradients(student)
    student.zero_grad()
    losses = accumulate_gradients(
        student, batch, SUBNETS, DISTIL, teacher=teacher, teaching=Teacher(width=width)
    )
    assert losses.sum().item() == pytest.approx(total.item(), rel=1e-6)
    ours = gradients(student)
    assert ours.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(ours[name], gradient, atol=1e-10, rtol=1e-9, msg=name)


def test_explicit_counts_have_a_teacher_as_wide_or_none() -> None:
    student, teacher = make(), make(seed=1)
    narrow = Subnet(heads=(2, 1, 3, 6), neurons=(9, 60, 1, 30))
    losses = accumulate_gradients(student, labelled(), [narrow], DISTIL, teacher=teacher)
    expected = reference_loss(student, teacher, labelled(), narrow, narrow)
    assert losses[0].item() == pytest.approx(expected.item(), rel=1e-6)
    shallow = Subnet(layers=(1,), heads=(2,), neurons=(9,))
    with pytest.raises(UserError, match="no teacher is as wide as"):
        accumulate_gradients(student, labelled(), [shallow], DISTIL, teacher=teacher)


def test_losses_are_in_the_order_of_the_subnets() -> None:
    student, batch = make(), labelled()
    losses = accumulate_gradients(student, batch, SUBNETS, Losses(labels=2.0))
    for subnet, loss in zip(SUBNETS, losses, strict=True):
        alone = F.cross_entropy(student(**batch, subnet=subnet).logits, batch["labels"])
        assert loss.item() == pytest.approx(2 * alone.item(), rel=1e-6)


def test_padding_enters_no_loss() -> None:
    student, teacher = make(), make(seed=1)
    short = labelled()
    found = []
    for pad_to in (11, 25):
        batch = make_batch(lengths=(11, 7, 3, 9), pad_to=pad_to) | {"labels": short["labels"]}
        batch["input_ids"][:, :11] = short["input_ids"]
        batch["token_type_ids"][:, :11] = short["token_type_ids"]
        student.zero_grad()
        losses = accumulate_gradients(student, batch, SUBNETS, DISTIL, teacher=teacher)
        found.append((losses, gradients(student)))
    torch.testing.assert_close(found[0][0], found[1][0])
    for name, gradient in found[0][1].items():
        torch.testing.assert_close(found[1][1][name], gradient, atol=1e-10, rtol=1e-9, msg=name)


def executed(model: DynaBertForSequenceClassification) -> list[tuple[int, int]]:
    """A list that takes in (layer, heads) whenever an attention of the model is computed."""
    calls: list[tuple[int, int]] = []
    for number, layer in enumerate(model.backbone.encoder.layers):
        layer.attention.register_forward_pre_hook(
            lambda _m, args, number=number: calls.append((number, args[2]))
        )
    return calls


def test_teacher_runs_once_for_each_of_its_widths() -> None:
    student, teacher, batch = make(), make(seed=1), labelled()
    calls = executed(teacher)
    subnets = list(PAPER_SPACE)
    accumulate_gradients(student, batch, subnets, DISTIL, teacher=teacher)
    heads = [subnet.resolve(student.config.shape).heads[0] for subnet in subnets[::3]]
    assert sorted(calls) == sorted((layer, count) for layer in range(4) for count in heads)
    calls.clear()
    accumulate_gradients(
        student, batch, subnets, DISTIL, teacher=teacher, teaching=Teacher(width="full")
    )
    assert calls == [(layer, max(heads)) for layer in range(4)]


def test_layers_that_subnets_begin_with_run_once() -> None:
    """Depth 0.75 of four layers begins as the whole does; depth 0.5 leaves out the first already."""
    student, batch = make(), labelled()
    assert [kept_layers(depth, 4) for depth in (0.75, 0.5)] == [(0, 1, 3), (1, 3)]
    calls = executed(student)
    subnets = [Subnet(1.0, 1.0), Subnet(0.5, 1.0), Subnet(1.0, 0.5), Subnet(1.0, 0.75)]
    accumulate_gradients(student, batch, subnets, DISTIL, teacher=make(seed=1))
    full, half = (subnet.resolve(student.config.shape).heads[0] for subnet in subnets[:2])
    once, alone = [0, 1], [2, 3, 3, 1, 3]  # after the two that depth 1 and 0.75 share
    wanted = [*((layer, full) for layer in once + alone), *((layer, half) for layer in range(4))]
    assert sorted(calls) == sorted(wanted)


def test_what_is_shared_sees_one_dropout() -> None:
    teacher, batch, losses = make(seed=1), labelled(), Losses(hidden=1.0)
    torch.manual_seed(0)
    hf = make_hf(num_labels=3, hidden_dropout_prob=0.3, attention_probs_dropout_prob=0.3)
    student = DynaBertForSequenceClassification.from_hf(hf).train()
    found = accumulate_gradients(student, batch, [Subnet()] * 2, losses, teacher=teacher)
    again = accumulate_gradients(student, batch, [Subnet()], losses, teacher=teacher)
    assert found[0].item() == found[1].item() != again[0].item()


@pytest.mark.parametrize("need_states", [False, True])
def test_the_last_layer_runs_for_what_is_read_of_it(need_states: bool) -> None:
    student, batch = make(), labelled()
    embedded = student.backbone.embeddings(batch["input_ids"], batch["token_type_ids"])
    layers = SharedLayers(student, embedded, batch["attention_mask"], need_states=need_states)
    subnet = Subnet(0.5, 0.5)
    expected = student(**batch, subnet=subnet, output_hidden_states=True).hidden_states
    states = layers.states(subnet.resolve(student.config.shape))
    assert [len(one[0]) for one in states] == [11, 11, 11 if need_states else 1]
    for ours, theirs in zip(states, expected, strict=True):
        torch.testing.assert_close(ours, theirs[:, : ours.shape[1]], atol=1e-6, rtol=1e-6)


def test_vocabulary_receives_one_gradient_a_step() -> None:
    student, batch = make(), labelled()
    calls = []
    student.backbone.embeddings.word.weight.register_post_accumulate_grad_hook(calls.append)
    accumulate_gradients(student, batch, list(PAPER_SPACE), Losses(labels=1.0))
    assert len(calls) == 1


def test_regression_has_a_signal_on_its_logits() -> None:
    # The official code gives a soft cross-entropy over one logit, whose gradient is always zero.
    student, teacher = make(num_labels=1), make(num_labels=1, seed=1)
    accumulate_gradients(student, labelled(1), [Subnet()], Losses(prediction=1.0), teacher=teacher)
    assert student.head.output.weight.grad.abs().max() > 1e-3


def test_in_place_the_largest_teaches_the_others() -> None:
    """Table 7: the teacher's lessons end at the largest, whose answers are the others' lessons."""
    student, teacher, batch = make(), make(seed=1), labelled()
    total = reference_loss(student, teacher, batch, SUBNETS[0], Subnet())
    fixed = copy.deepcopy(student)
    for subnet in SUBNETS[1:]:
        total = total + reference_loss(student, fixed, batch, subnet, Subnet())
    total.backward()
    expected = gradients(student)
    student.zero_grad()
    losses = accumulate_gradients(
        student, batch, SUBNETS, DISTIL, teacher=teacher, teaching=Teacher(distillation="inplace")
    )
    assert losses.sum().item() == pytest.approx(total.item(), rel=1e-6)
    for name, gradient in expected.items():
        torch.testing.assert_close(
            gradients(student)[name], gradient, atol=1e-10, rtol=1e-9, msg=name
        )


@pytest.mark.parametrize("term", ["attention", "relations", "cosine", "hidden"])
def test_in_place_nothing_flows_into_the_lesson(term: str) -> None:
    """What the largest attends to is a target, although the weights it is computed from learn."""
    student, teacher, batch = make(), make(seed=1), labelled()
    losses = Losses(**{term: 1.0})
    inplace = Teacher(width="full", distillation="inplace")
    fixed = copy.deepcopy(student)
    for lesson, subnet in ((teacher, SUBNETS[0]), (fixed, SUBNETS[1]), (fixed, SUBNETS[2])):
        accumulate_gradients(
            student, batch, [subnet], losses, teacher=lesson, teaching=FULL_TEACHER
        )
    expected = gradients(student)
    student.zero_grad()
    accumulate_gradients(student, batch, SUBNETS, losses, teacher=teacher, teaching=inplace)
    for name, gradient in gradients(student).items():
        torch.testing.assert_close(gradient, expected[name], atol=1e-10, rtol=1e-9, msg=name)


@pytest.mark.parametrize("divergence", ["forward", "reverse"])
def test_length_drop_is_the_length_adaptive_transformers(divergence: str) -> None:
    """The full pass learns the labels, the others what it answers: CE + sum of KL, of lengths and layers."""
    student, batch = make(), labelled()
    subnets = [
        Subnet(layers=(0, 2, 3)),
        Subnet(length_config=(0.9, 0.8, 0.7, 0.6)),
        Subnet(1.0, 1.0, (0.8, 0.6, 0.5, 0.4)),
    ]
    full = student(**batch, subnet=subnets[0])
    target = full.logits.detach()
    total = full.loss
    for subnet in subnets[1:]:
        logits = student(**batch, subnet=subnet).logits
        if divergence == "reverse":
            total = total + F.kl_div(
                target.log_softmax(-1), logits.softmax(-1), reduction="batchmean"
            )
        else:
            total = total - (target.softmax(-1) * logits.log_softmax(-1)).sum(-1).mean()
    total.backward()
    expected = gradients(student)
    student.zero_grad()
    losses = accumulate_gradients(
        student,
        batch,
        subnets,
        Losses.model_validate({"prediction": 1.0, "divergence": divergence}),
        teacher=make(seed=1),
        teaching=Teacher(distillation="inplace"),
        largest_losses=Losses(labels=1.0),
    )
    assert losses.sum().item() == pytest.approx(total.item(), rel=1e-6)
    for name, gradient in expected.items():
        torch.testing.assert_close(
            gradients(student)[name], gradient, atol=1e-10, rtol=1e-9, msg=name
        )


def test_the_largest_may_learn_from_a_teacher_what_the_others_do_not() -> None:
    student, teacher, batch = make(), make(seed=1), labelled()
    whole = Losses(prediction=1.0, hidden=0.5)
    (alone,) = accumulate_gradients(student, batch, [Subnet()], whole, teacher=teacher)
    found = accumulate_gradients(
        student,
        batch,
        [Subnet(), Subnet(length_config=(0.5,) * 4)],
        Losses(prediction=1.0),
        teacher=teacher,
        teaching=Teacher(distillation="inplace"),
        largest_losses=whole,
    )
    assert found[0].item() == pytest.approx(alone.item())
    logits = student(**batch, subnet=Subnet(length_config=(0.5,) * 4)).logits
    target = student(**batch).logits.softmax(-1)
    expected = -(target * logits.log_softmax(-1)).sum(-1).mean()
    assert found[1].item() == pytest.approx(expected.item())


def test_in_place_needs_a_teacher_of_full_depth() -> None:
    with pytest.raises(UserError, match=r"all layers, got w1\.00-d0\.50"):
        accumulate_gradients(
            make(),
            labelled(),
            [Subnet(1.0, 0.5), Subnet(0.5, 0.5)],
            DISTIL,
            teacher=make(seed=1),
            teaching=Teacher(distillation="inplace"),
        )


def test_terms_that_look_into_the_layers() -> None:
    """Each term is weighed, and reads scores and vectors of the layers that answered."""
    student, teacher, batch = make(), make(seed=1), labelled()
    subnet = Subnet(0.5, 0.5)  # layers 2 and 4 with half of their heads
    given = student(**batch, subnet=subnet, output_hidden_states=True)
    taught = teacher(**batch, output_hidden_states=True)
    mask = batch["attention_mask"]

    def scores(model: DynaBertForSequenceClassification, inputs: Tensor, layer: int) -> Tensor:
        attention = model.backbone.encoder.layers[layer].attention
        query, key = (
            projection(inputs).unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)
            for projection in (attention.query, attention.key)
        )
        return query @ key.transpose(-1, -2) / attention.head_dim**0.5

    heads = subnet.resolve(student.config.shape).heads[0]
    ours = [
        scores(student, given.hidden_states[n], layer)[:, :heads] for n, layer in ((0, 1), (1, 3))
    ]
    theirs = [scores(teacher, taught.hidden_states[layer], layer) for layer in (1, 3)]

    def vectors(
        model: DynaBertForSequenceClassification, inputs: Tensor, width: int
    ) -> list[Tensor]:
        attention = model.backbone.encoder.layers[3].attention
        return [
            projection(inputs)[..., :width]
            for projection in (attention.query, attention.key, attention.value)
        ]

    width, full = (
        n * student.config.shape.head_dim for n in (heads, student.config.shape.heads[3])
    )
    expected = {
        "attention": attention_loss(ours, theirs, mask),
        "relations": relation_loss(
            vectors(student, given.hidden_states[1], width),
            vectors(teacher, taught.hidden_states[3], full),
            mask,
            max(student.config.shape.heads),
        ),
        "cosine": cosine_loss(given.hidden_states[-1], taught.hidden_states[-1], mask),
    }
    for name, value in expected.items():
        losses = Losses(**{name: 2.0})
        found = accumulate_gradients(
            student, batch, [subnet], losses, teacher=teacher, teaching=FULL_TEACHER
        )
        assert found.item() == pytest.approx(2 * value.item(), rel=1e-6), name
    found = accumulate_gradients(
        student,
        batch,
        [subnet],
        Losses(labels=3.0, cosine=1.0),
        teacher=teacher,
        teaching=FULL_TEACHER,
    )
    alone = F.cross_entropy(given.logits, batch["labels"])
    assert found.item() == pytest.approx((3 * alone + expected["cosine"]).item(), rel=1e-6)


def test_schedule_rises_and_falls_linearly() -> None:
    factors = [schedule(step, 100, 0.1) for step in range(100)]
    assert factors[0] == pytest.approx(1 / 11)
    assert factors[10] == 1.0
    assert max(factors) == 1.0
    assert factors[55] == pytest.approx(0.5)
    assert factors[99] == pytest.approx(1 / 90)
    assert schedule(0, 100, 0.0) == 1.0


def test_seeds_of_neighbours_differ() -> None:
    seeds = {seed_from(0, stage, step) for stage in range(4) for step in range(1000)}
    assert len(seeds) == 4000
    assert seed_from(1, 2) == seed_from(1, 2)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_smaller_student_is_compared_through_the_projection_layer_by_layer() -> None:
    """TinyBERT, eqs. (7) to (9): 2 layers of hidden size 24 learn from layers 2 and 4 of size 48."""
    torch.manual_seed(3)
    hf = make_hf(
        num_layers=2,
        hidden_size=24,
        num_attention_heads=3,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    student, teacher = DynaBertForSequenceClassification.from_hf(hf), make(seed=1)
    projection = torch.nn.Linear(24, 48).double()
    batch, losses = labelled(), Losses(hidden=0.5, attention=2.0, cosine=0.3)
    given = student(**batch, output_hidden_states=True).hidden_states
    with torch.no_grad():
        taught = teacher(**batch, output_hidden_states=True).hidden_states
    real = batch["attention_mask"].bool()
    expected = torch.zeros((), dtype=torch.float64)
    for ours, number in zip(given, (0, 2, 4), strict=True):
        expected = expected + 0.5 * F.mse_loss(projection(ours)[real], taught[number][real])
    pairs = (real[:, :, None] & real[:, None, :])[:, None].expand(-1, 3, -1, -1)
    for layer, number in ((0, 1), (1, 3)):
        scores = []
        for model, state in ((student, given[layer]), (teacher, taught[number])):
            attention = model.backbone.encoder.layers[
                layer if model is student else number
            ].attention
            query, key = (
                part(state).unflatten(-1, (-1, 8)).transpose(1, 2)
                for part in (attention.query, attention.key)
            )
            scores.append((query @ key.mT / 8**0.5)[:, :3])
        expected = expected + 2.0 * F.mse_loss(scores[0][pairs], scores[1].detach()[pairs])
    cosines = F.cosine_similarity(projection(given[-1]), taught[-1], dim=-1)
    expected = expected + 0.3 * (1 - cosines)[real].mean()
    expected.backward()
    ours, projected = gradients(student), projection.weight.grad.clone()
    student.zero_grad()
    projection.zero_grad()
    (value,) = accumulate_gradients(
        *(student, batch, [Subnet()], losses),
        teacher=teacher,
        teaching=FULL_TEACHER,
        projection=projection,
    )
    torch.testing.assert_close(value.double(), expected.detach(), rtol=1e-6, atol=0)
    torch.testing.assert_close(projection.weight.grad, projected, rtol=1e-9, atol=1e-12)
    found = gradients(student)
    assert found.keys() == ours.keys()
    for name, gradient in ours.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("num_layers", "num_teacher_layers", "states"),
    [(6, 12, (0, 2, 4, 6, 8, 10, 12)), (4, 6, (0, 1, 3, 4, 6)), (5, 5, (0, 1, 2, 3, 4, 5))],
)
def test_states_of_a_deeper_teacher_are_evenly_spaced(
    num_layers: int, num_teacher_layers: int, states: tuple[int, ...]
) -> None:
    found = [teacher_state(n, num_layers, num_teacher_layers) for n in range(num_layers + 1)]
    assert tuple(found) == states
