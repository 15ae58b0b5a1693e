"""Each loss term against a few lines of arithmetic, and layer matching against the paper's lists."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dynabert.distillation import (
    hidden_loss,
    masked_mse,
    matched_states,
    prediction_loss,
    reverse_kl,
    soft_cross_entropy,
)
from dynabert.subnet import kept_layers


def test_reverse_kl_by_hand() -> None:
    torch.manual_seed(0)
    student, teacher = torch.randn(5, 3).double(), torch.randn(5, 3).double()
    ours, theirs = student.softmax(-1), teacher.softmax(-1)
    total = sum(
        float(ours[n, c] * torch.log(ours[n, c] / theirs[n, c])) for n in range(5) for c in range(3)
    )
    assert float(prediction_loss(student, teacher, divergence="reverse")) == pytest.approx(
        total / 5
    )
    assert float(reverse_kl(teacher + 7, teacher)) == pytest.approx(0, abs=1e-12)
    softened = reverse_kl(student / 2, teacher / 2) * 4
    assert float(reverse_kl(student, teacher, 2.0)) == pytest.approx(float(softened))


def test_soft_cross_entropy_by_hand() -> None:
    student, teacher = torch.randn(5, 3), torch.randn(5, 3)
    total = 0.0
    for s, t in zip(student, teacher, strict=True):
        p = t.exp() / t.exp().sum()
        q = s.exp() / s.exp().sum()
        total -= float((p * q.log()).sum())
    assert float(soft_cross_entropy(student, teacher)) == pytest.approx(total / 5, rel=1e-5)


def test_its_gradient_is_that_of_kl() -> None:
    student, teacher = torch.randn(5, 3, requires_grad=True), torch.randn(5, 3)
    (ours,) = torch.autograd.grad(soft_cross_entropy(student, teacher), student)
    expected = (student.softmax(-1) - teacher.softmax(-1)) / 5
    torch.testing.assert_close(ours, expected)


def test_it_is_least_where_student_and_teacher_agree() -> None:
    teacher = torch.randn(5, 3)
    entropy = -(teacher.softmax(-1) * teacher.log_softmax(-1)).sum(-1).mean()
    assert float(soft_cross_entropy(teacher + 7, teacher)) == pytest.approx(float(entropy))
    assert float(soft_cross_entropy(torch.randn(5, 3), teacher)) > float(entropy)


def test_regression_has_a_signal_on_the_logits() -> None:
    student, teacher = torch.randn(5, 1, requires_grad=True), torch.randn(5, 1)
    loss = prediction_loss(student, teacher)
    assert loss.item() == pytest.approx((student - teacher).square().mean().item())
    (gradient,) = torch.autograd.grad(loss, student)
    assert gradient.abs().min() > 0
    # The plain cross-entropy of one logit would not have had any.
    (none,) = torch.autograd.grad(soft_cross_entropy(student, teacher), student)
    assert none.abs().max() == 0


def test_padding_never_enters_the_hidden_loss() -> None:
    mask = torch.tensor([[1, 1, 1, 0], [1, 0, 0, 0]])
    student, teacher = torch.randn(2, 4, 5), torch.randn(2, 4, 5)
    real = torch.cat([(student - teacher)[0, :3], (student - teacher)[1, :1]])
    assert float(masked_mse(student, teacher, mask)) == pytest.approx(float(real.square().mean()))
    student[0, 3] = 1e6
    assert float(masked_mse(student, teacher, mask)) == pytest.approx(float(real.square().mean()))


def test_a_mask_of_ones_is_no_mask() -> None:
    student, teacher = torch.randn(2, 4, 5), torch.randn(2, 4, 5)
    ones = torch.ones(2, 4)
    torch.testing.assert_close(
        masked_mse(student, teacher, ones), masked_mse(student, teacher, None)
    )


def test_the_hidden_loss_is_the_sum_over_states() -> None:
    mask = torch.tensor([[1, 1, 0]])
    pairs = [(torch.randn(1, 3, 5), torch.randn(1, 3, 5)) for _ in range(4)]
    expected = sum(float((s - t)[0, :2].square().mean()) for s, t in pairs)
    students, teachers = zip(*pairs, strict=True)
    assert float(hidden_loss(students, teachers, mask)) == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match="4 student states cannot match 3"):
        hidden_loss(students, teachers[:3], mask)


@pytest.mark.parametrize(
    ("depth", "choice", "states"),
    [
        # Targets of the paper: layers 1,2,4,5,6,8,9,10,12 and 2,4,...,12, behind the embedding.
        (0.75, "paper", (0, 1, 2, 4, 5, 6, 8, 9, 10, 12)),
        (0.5, "paper", (0, 2, 4, 6, 8, 10, 12)),
        # The official code: the inputs of layers 0,1,2,4,..., and the last output.
        (0.75, "official", (0, 1, 2, 4, 5, 6, 8, 9, 10, 12)),
        (0.5, "official", (0, 2, 4, 6, 8, 10, 12)),
        (1.0, "paper", tuple(range(13))),
        (1.0, "official", tuple(range(13))),
    ],
)
def test_matched_states_of_12_layers(depth: float, choice: str, states: tuple[int, ...]) -> None:
    layers = kept_layers(depth, 12, choice)
    assert matched_states(layers, 12, choice) == states


@given(
    depth=st.floats(0.01, 1),
    num_layers=st.integers(1, 48),
    choice=st.sampled_from(["paper", "official"]),
)
def test_the_embedding_and_the_last_layer_are_always_matched(
    depth: float, num_layers: int, choice: str
) -> None:
    layers = kept_layers(depth, num_layers, choice)
    states = matched_states(layers, num_layers, choice)
    assert len(states) == len(layers) + 1
    assert list(states) == sorted(set(states))
    assert (states[0], states[-1]) == (0, num_layers)
