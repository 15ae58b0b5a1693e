"""Comparing a student with a teacher of another architecture: TinyBERT's projection, and which layers."""

from __future__ import annotations

import torch
from torch import nn

from dynabert.errors import UserError
from dynabert.modeling.configuration import DynaBertConfig
from dynabert.modeling.models import TaskModel
from dynabert.training.stage import Train


def check_comparable(stage: Train, student: DynaBertConfig, teacher: DynaBertConfig) -> None:
    """Refuse to compare more than answers where there is nothing to compare.

    Raises:
        UserError: the student has more layers than the teacher, or more heads in one.
    """
    ours, theirs = student.shape, teacher.shape
    if stage.compares_layers and ours.num_layers > theirs.num_layers:
        raise UserError(
            f"stage {stage.name!r} compares hidden states or attention, but its student has "
            f"{ours.num_layers} layers and the teacher {theirs.num_layers}: learn its answers only "
            "(prediction), or make the student no deeper."
        )
    if stage.compares_attention and max(ours.heads) > min(theirs.heads):
        raise UserError(
            f"stage {stage.name!r} compares attention head by head, but its student has "
            f"{max(ours.heads)} heads in a layer and the teacher {min(theirs.heads)}: leave the attention "
            "out, or give the student no more heads."
        )


def new_projection(
    stage: Train, student: TaskModel, teacher: TaskModel, seed: int
) -> nn.Linear | None:
    """What maps a student's hidden states (B, S, D) to the teacher's hidden size, with random weights.

    TinyBERT (Jiao et al., 2020), eqs. (8) and (9); one for all states, as in the authors' code. It is
    learnt with the student and forgotten when the stage is over. None: the sizes are the same, or no term
    compares states.
    """
    ours, theirs = student.config.hidden_size, teacher.config.hidden_size
    if ours == theirs or not stage.compares_states:
        return None
    projection = nn.utils.skip_init(nn.Linear, ours, theirs)
    assert isinstance(projection, nn.Linear)
    generator = torch.Generator().manual_seed(seed)
    nn.init.normal_(projection.weight, std=student.config.initializer_range, generator=generator)
    nn.init.zeros_(projection.bias)
    return projection.to(device=student.device, dtype=student.dtype)
