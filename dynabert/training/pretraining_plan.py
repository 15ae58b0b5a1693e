"""What a small encoder is pretrained with: values, and the stages that they come to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from dynabert.errors import UserError, explain_plainly
from dynabert.modeling.configuration import DynaBertConfig
from dynabert.training.plan import MAX_SEED
from dynabert.training.precision import Precision
from dynabert.training.stage import Losses, Reduce, Size, Train, default_learning_rate
from dynabert.training.subnets import Grid
from dynabert.values import Value

HEAD_RATE = 1e-3  # of a head alone: nothing pretrained can be lost by large steps
_WHOLE = Grid(width_mults=(1.0,), depth_mults=(1.0,))
Positive = Annotated[float, Field(gt=0)]


class Pretraining(Value):
    """Masked-LM distillation: a network <D, A, H, I> learns from a larger one on plain text.

    As Bort was pretrained (arXiv 2010.10499; by a later account of it, with distillation): what the larger
    network believes of masked tokens, and which tokens they are. A backbone without the head for that
    gets one first, while its encoder stays as it is.
    """

    backbone: str
    texts: Annotated[tuple[Path, ...], Field(min_length=1)]
    layers: Size = None  # None: as many as the backbone has
    heads: Size = None
    hidden: Size = None
    neurons: Size = None
    start: Literal["teacher", "scratch"] = "teacher"  # cut from the backbone, or random
    losses: Losses = Losses(labels=1.0, prediction=1.0)
    epochs: Positive = 3.0
    head_epochs: Positive = 3.0
    learning_rate: Positive | None = None  # None: what is usual for the hidden size
    head_rate: Positive = HEAD_RATE
    masked_share: Annotated[float, Field(gt=0, lt=1)] = 0.15
    batch_size: Annotated[int, Field(ge=1)] = 32
    max_tokens: Annotated[int, Field(ge=4)] = 128
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = 0
    precision: Precision = "auto"

    @model_validator(mode="after")
    def _learns_answers(self) -> Self:
        if self.losses.need_states:
            raise ValueError(
                "another architecture can learn a teacher's answers (prediction) and the labels, not its "
                "hidden states or attention"
            )
        return self

    @property
    def reduce(self) -> Reduce:
        return Reduce(
            layers=self.layers,
            heads=self.heads,
            hidden=self.hidden,
            neurons=self.neurons,
            start=self.start,
        )

    def head_stage(self) -> Train:
        return Train(
            name="head",
            subnets=_WHOLE,
            losses=Losses(labels=1.0),
            epochs=self.head_epochs,
            learning_rate=self.head_rate,
        )

    def distil_stage(self, config: DynaBertConfig) -> Train:
        """config: of the student."""
        return Train.model_validate(
            {
                "name": "distil",
                "subnets": _WHOLE,
                "losses": self.losses,
                "teacher": {"stage": "teacher", "width": "full"}
                if self.losses.prediction
                else None,
                "epochs": self.epochs,
                "learning_rate": self.learning_rate or default_learning_rate(config.hidden_size),
                "weight_decay": 0.01,
            }
        )


def ask_pretraining(**values: object) -> Pretraining:
    """Checked values.

    Raises:
        UserError: one is unknown or out of range.
    """
    try:
        return Pretraining.model_validate(values)
    except ValidationError as error:
        raise UserError(explain_plainly(error)) from error
