"""What a student takes over of a teacher's attention, against loops over single numbers."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dynabert.attention_matching import (
    attention_loss,
    masked_softmax,
    num_relation_heads,
    relation_loss,
)
from dynabert.distillation import cosine_loss, prediction_loss

MASK = torch.tensor([[1, 1, 1, 0], [1, 1, 0, 0]])
LENGTHS = (3, 2)


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


@pytest.mark.parametrize("of", ["scores", "probabilities"])
def test_attention_is_compared_pair_by_pair(of: str) -> None:
    students, teachers = (
        [drawn(2, 2, 4, 4) for _ in range(2)],
        [drawn(2, 3, 4, 4) for _ in range(2)],
    )
    total = 0.0
    for student, teacher in zip(students, teachers, strict=True):
        errors = []
        for sentence, length in enumerate(LENGTHS):
            ours = student[sentence, :2, :length, :length]
            theirs = teacher[sentence, :2, :length, :length]  # the leftmost heads
            if of == "probabilities":
                ours, theirs = ours.softmax(-1), theirs.softmax(-1)
            errors += ((ours - theirs) ** 2).flatten().tolist()
        total += sum(errors) / len(errors)
    found = attention_loss(students, teachers, MASK, of=of)
    # Pairs are weighed alike whatever their sentence; so are heads.
    assert float(found) == pytest.approx(total, rel=1e-12)


def test_attention_without_padding_needs_no_mask() -> None:
    student, teacher = drawn(2, 3, 4, 4), drawn(2, 3, 4, 4)
    ones = torch.ones(2, 4)
    assert float(attention_loss([student], [teacher], None)) == pytest.approx(
        float(attention_loss([student], [teacher], ones))
    )
    assert float(attention_loss([student], [teacher], None)) == pytest.approx(
        float(((student - teacher) ** 2).mean())
    )


def test_layers_must_match() -> None:
    with pytest.raises(ValueError, match="1 layers cannot match 2"):
        attention_loss([drawn(1, 1, 2, 2)], [drawn(1, 1, 2, 2)] * 2, None)


def test_relations_by_hand() -> None:
    """Three relation heads of a teacher of width 12 and a student of width 6."""
    student, teacher = [drawn(2, 4, 6) for _ in range(3)], [drawn(2, 4, 12) for _ in range(3)]
    total = 0.0
    for ours, theirs in zip(student, teacher, strict=True):
        divergences = []
        for sentence, length in enumerate(LENGTHS):
            for token in range(length):
                for head in range(3):
                    p = related(theirs[sentence], token, length, head, 4)
                    q = related(ours[sentence], token, length, head, 2)
                    divergences.append(sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)))
        total += sum(divergences) / len(divergences)
    found = relation_loss(student, teacher, MASK, most_heads=3)
    assert float(found) == pytest.approx(total, rel=1e-9)


def related(vectors: Tensor, token: int, length: int, head: int, size: int) -> list[float]:
    part = vectors[:, head * size : (head + 1) * size]
    powers = [math.exp(float(part[token] @ part[k]) / math.sqrt(size)) for k in range(length)]
    return [power / sum(powers) for power in powers]


def test_equal_networks_have_nothing_to_learn() -> None:
    vectors = [drawn(2, 4, 12) for _ in range(3)]
    assert float(relation_loss(vectors, vectors, MASK, most_heads=12)) == pytest.approx(
        0, abs=1e-12
    )
    scores = [drawn(2, 3, 4, 4)]
    assert float(attention_loss(scores, scores, MASK)) == 0
    assert float(cosine_loss(vectors[0], 3 * vectors[0], MASK)) == pytest.approx(0, abs=1e-12)


@given(
    heads=st.integers(1, 24),
    other=st.integers(1, 24),
    head_dim=st.sampled_from([1, 8, 32, 64]),
    most=st.integers(1, 24),
)
def test_relation_heads_divide_both_widths(
    heads: int, other: int, head_dim: int, most: int
) -> None:
    number = num_relation_heads(heads * head_dim, other * head_dim, most)
    assert 1 <= number <= most
    assert heads * head_dim % number == 0
    assert other * head_dim % number == 0


def test_a_quarter_of_twelve_heads_gives_twelve_relation_heads() -> None:
    assert num_relation_heads(3 * 32, 12 * 32, 12) == 12


def test_cosine_by_hand() -> None:
    student, teacher = drawn(2, 4, 5), drawn(2, 4, 5)
    distances = [
        1 - float(s @ t / (s.norm() * t.norm()))
        for n, length in enumerate(LENGTHS)
        for s, t in zip(student[n, :length], teacher[n, :length], strict=True)
    ]
    assert float(cosine_loss(student, teacher, MASK)) == pytest.approx(sum(distances) / 5)


def test_temperature_keeps_the_size_of_the_gradient() -> None:
    student, teacher = drawn(5, 3).requires_grad_(), drawn(5, 3)
    (gradient,) = torch.autograd.grad(prediction_loss(student, teacher, 2.0), student)
    softened = ((student / 2).softmax(-1) - (teacher / 2).softmax(-1)) / 2 / 5 * 4
    torch.testing.assert_close(gradient, softened)


def test_padding_gets_no_probability() -> None:
    probs = masked_softmax(drawn(2, 3, 4, 4), MASK)
    assert float(probs[0, :, :, 3].abs().max()) == 0
    torch.testing.assert_close(probs.sum(-1), torch.ones(2, 3, 4, dtype=torch.float64))
