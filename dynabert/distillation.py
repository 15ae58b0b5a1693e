"""The loss terms of knowledge distillation, and which layer of the teacher each student layer learns from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from dynabert.modeling.heads import at_least_float32
from dynabert.subnet import DepthChoice, spread_layers

Divergence = Literal["forward", "reverse"]


def soft_cross_entropy(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """Cross-entropy of the student's logits (B, C) against the teacher's probabilities, mean over
    examples.

    SCE of DynaBERT, Sec. 2.1.2, where the temperature is 1. Its gradient is that of KL(teacher ||
    student). Another temperature T divides both logits; the factor T^2 keeps the size of the
    gradient (Hinton et al., 2015, Sec. 2).
    """
    target = (at_least_float32(teacher) / temperature).softmax(-1)
    logs = (at_least_float32(student) / temperature).log_softmax(-1)
    return -(target * logs).sum(-1).mean() * temperature**2


def reverse_kl(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """KL(student || teacher) of logits (B, C), mean over examples; times T^2 as in `soft_cross_entropy`.

    What the code of the Length-Adaptive Transformer minimises: it punishes what the student believes
    and the teacher does not, so the student settles for a part of what the teacher deems possible.
    """
    ours = (at_least_float32(student) / temperature).log_softmax(-1)
    theirs = (at_least_float32(teacher) / temperature).log_softmax(-1)
    return (ours.exp() * (ours - theirs)).sum(-1).mean() * temperature**2


def prediction_loss(
    student: Tensor,
    teacher: Tensor,
    temperature: float = 1.0,
    divergence: Divergence = "forward",
) -> Tensor:
    """l_pred of eqs. (3) and (4) on logits (B, C).

    One output means regression: softmax over one number is always 1 and would teach nothing, so the
    squared error to the teacher's output takes its place (the official code leaves the term at
    zero).
    """
    if student.shape[-1] == 1:
        return F.mse_loss(at_least_float32(student), at_least_float32(teacher))
    if divergence == "reverse":
        return reverse_kl(student, teacher, temperature)
    return soft_cross_entropy(student, teacher, temperature)


def prediction_losses(
    student: Sequence[Tensor],
    teacher: Sequence[Tensor],
    temperature: float = 1.0,
    divergence: Divergence = "forward",
) -> Tensor:
    """The mean of `prediction_loss` over the sets of logits that a task has.

    A span has two, start and end over the tokens: the mean of their losses, as TinyBERT and
    Dynamic-TinyBERT learn it.
    """
    pairs = zip(student, teacher, strict=True)
    return torch.stack([prediction_loss(*pair, temperature, divergence) for pair in pairs]).mean()


def hidden_loss(
    student: Sequence[Tensor], teacher: Sequence[Tensor], attention_mask: Tensor | None
) -> Tensor:
    """l_hidn of eqs. (3) and (4): the sum over matched states of their mean squared error.

    student, teacher: equally many states (B, S, D), already matched.
    attention_mask: (B, S), 1 where there is a token; padding does not count. None: every position
    does.
    """
    if len(student) != len(teacher):
        raise ValueError(
            f"{len(student)} student states cannot match {len(teacher)} of the teacher."
        )
    return sum(
        (
            masked_mse(ours, theirs, attention_mask)
            for ours, theirs in zip(student, teacher, strict=True)
        ),
        start=at_least_float32(student[0].new_zeros(())),
    )


def masked_mse(student: Tensor, teacher: Tensor, attention_mask: Tensor | None) -> Tensor:
    """Mean squared error of states (B, S, D) over real tokens and hidden units."""
    student, teacher = at_least_float32(student), at_least_float32(teacher)
    if attention_mask is None:
        return F.mse_loss(student, teacher)
    return mean_over_tokens((student - teacher).square().mean(-1), attention_mask)


def cosine_loss(student: Tensor, teacher: Tensor, attention_mask: Tensor | None) -> Tensor:
    """1 - cosine of the hidden states (B, S, D), mean over tokens. DistilBERT (Sanh et al., 2019),
    Sec. 3: the term that aligns the directions of student and teacher."""
    student, teacher = at_least_float32(student), at_least_float32(teacher)
    distance = 1 - F.cosine_similarity(student, teacher, dim=-1)  # (B, S)
    return mean_over_tokens(distance, attention_mask)


def mean_over_tokens(values: Tensor, attention_mask: Tensor | None) -> Tensor:
    """Mean of (B, S) over real tokens."""
    if attention_mask is None:
        return values.mean()
    return (values * attention_mask).sum() / attention_mask.sum()


def matched_states(
    layers: Sequence[int], num_teacher_layers: int, depth_choice: DepthChoice = "paper"
) -> tuple[int, ...]:
    """For each state of a student that executes `layers`, the number of the teacher's state it
    learns from.

    States are numbered as in `hidden_states`: 0 is the embedding output, i the output of layer i
    (from 1). The student has one more state than it executes layers.

    "paper": an executed layer learns from the same layer of the teacher (L_S and L_T of Sec. 2.2).
    "official": the authors' code lets the input of each executed layer learn from the teacher's
    input of that layer, and the student's last output from the teacher's last.
    """
    if depth_choice == "paper":
        return (0, *(layer + 1 for layer in layers))
    return (*layers, num_teacher_layers)


def teacher_state(state: int, num_layers: int, num_teacher_layers: int) -> int:
    """Which state of a deeper teacher a student's state learns from: evenly spaced, the last from the last.

    TinyBERT's m -> m N / M (Sec. 3), rounded down: the layers that a cut student begins with. States are
    numbered as in `matched_states`.
    """
    return 0 if state == 0 else 1 + spread_layers(num_layers, num_teacher_layers)[state - 1]
