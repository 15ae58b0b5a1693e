"""The stages of a recipe as plain frozen values: train, rewire, reduce."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from dynabert.attention_matching import AttentionOf
from dynabert.distillation import Divergence
from dynabert.importance import Granularity
from dynabert.modeling.architecture import Architecture
from dynabert.modeling.configuration import DynaBertConfig
from dynabert.training.subnets import Grid, LayerDrop, Mult, Sandwich, Subnets
from dynabert.values import Value

Weight = Annotated[float, Field(ge=0)]
StageName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]  # names a file
PREVIOUS = "previous"  # as a teacher: whichever stage came before


class Losses(Value):
    """What a step minimises for each sub-network: the weighted sum of these terms."""

    labels: Weight = 0.0  # cross-entropy (or squared error) against the labels
    prediction: Weight = 0.0  # lambda_1 of eqs. (3) and (4): the teacher's logits
    hidden: Weight = 0.0  # lambda_2: the teacher's embedding output and hidden states
    attention: Weight = 0.0  # the teacher's attention, layer by layer and head by head (TinyBERT)
    relations: Weight = 0.0  # relations among queries, keys, values of the last layer (MiniLMv2)
    cosine: Weight = 0.0  # direction of the last hidden states (DistilBERT)
    temperature: Annotated[float, Field(gt=0)] = 1.0  # of the prediction term
    # Of the prediction term: KL(teacher || student), or as in the code of the Length-Adaptive
    # Transformer KL(student || teacher).
    divergence: Divergence = "forward"
    attention_of: AttentionOf = "scores"  # what the attention term compares

    @model_validator(mode="after")
    def _something_to_learn(self) -> Self:
        if not (self.labels or self.need_teacher):
            raise ValueError(f"give at least one of labels, {', '.join(_TAUGHT)} a weight above 0")
        return self

    @property
    def need_teacher(self) -> bool:
        return any(getattr(self, name) for name in _TAUGHT)

    @property
    def compares_heads(self) -> bool:
        """Whether a term takes a head of the student and the teacher's at its place for the same."""
        return bool(self.attention or self.relations)

    @property
    def compares_states(self) -> bool:
        """Whether a term compares hidden states themselves."""
        return bool(self.hidden or self.cosine)

    @property
    def need_states(self) -> bool:
        """Whether a term looks further into the networks than at their answers."""
        return any(getattr(self, name) for name in _TAUGHT if name != "prediction")


_TAUGHT = ("prediction", "hidden", "attention", "relations", "cosine")


class Teacher(Value):
    """The fixed network a stage learns from, and how its lessons reach the sub-networks."""

    stage: StageName = PREVIOUS  # the stage whose result it is
    # "same": as wide as the student (paper); "full": as in the official code.
    width: Literal["same", "full"] = "same"
    # "conventional": every sub-network learns from the fixed network. "inplace": only the largest
    # does, and the others learn from the largest as it is in that step (Sec. 3.5, Table 7).
    distillation: Literal["conventional", "inplace"] = "conventional"


class Rewire(Value):
    """Measure importance and rewire the network by it. DynaBERT, Sec. 2.1.1."""

    kind: Literal["rewire"] = "rewire"
    name: StageName = "rewire"
    split: Literal["train", "dev"] = "train"  # the paper uses dev, which then also judges
    num_examples: Annotated[int, Field(ge=1)] | None = 2048  # None: all of the split
    per: Granularity = "example"
    # Only this share, the leftmost, changes places among itself: what narrower sub-networks of that
    # width were trained with stays theirs (progressive rewiring, Table 8).
    within: Mult = 1.0


class Train(Value):
    """Train some sub-networks together, by labels, by a teacher, or both."""

    kind: Literal["train"] = "train"
    name: StageName
    subnets: Subnets = Grid()
    losses: Losses
    teacher: Teacher | None = None
    # In in-place distillation: what the largest learns from, where that is not what the others do.
    largest: Losses | None = None
    # "augmented": the original training rows and those of the plan's augmentation, all alike.
    data: Literal["original", "augmented"] = "original"
    # In epochs of the original rows: on augmented ones, as many steps with ever new examples.
    epochs: Annotated[float, Field(gt=0)] = 3.0
    learning_rate: Annotated[float, Field(gt=0)] | None = None  # None: `default_learning_rate`
    rate_factor: Annotated[float, Field(gt=0)] = 1.0  # times the learning rate, given or default
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1  # share of the steps in which it rises
    weight_decay: Weight = 0.0
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    evaluations: Annotated[int, Field(ge=1)] = 3  # spread over the stage, the last at its end
    keep: Literal["best", "last"] = "best"  # which evaluated weights the stage ends with
    start_competes: bool = False  # "best" may also be the weights the stage began with (Sec. 2.2)

    @property
    def compares_heads(self) -> bool:
        """Whether a term takes a head of the student and the teacher's at its place for the same."""
        return any(one.compares_heads for one in self._all_losses)

    @property
    def compares_attention(self) -> bool:
        """Whether a term compares attention head by head."""
        return any(one.attention for one in self._all_losses)

    @property
    def compares_states(self) -> bool:
        """Whether a term compares hidden states themselves."""
        return any(one.compares_states for one in self._all_losses)

    @property
    def compares_layers(self) -> bool:
        """Whether a term compares layer by layer, not the last layers only."""
        return any(one.hidden or one.attention for one in self._all_losses)

    @property
    def _all_losses(self) -> tuple[Losses, ...]:
        return (self.losses,) if self.largest is None else (self.losses, self.largest)

    @model_validator(mode="after")
    def _teacher_if_needed(self) -> Self:
        if self.losses.need_teacher and self.teacher is None:
            raise ValueError(f"stage {self.name!r} distils, so it needs a teacher")
        if self.largest is not None and (
            self.teacher is None or self.teacher.distillation != "inplace"
        ):
            raise ValueError(
                f"stage {self.name!r} gives the largest sub-network losses of its own, which is for "
                'in-place distillation: teacher.distillation must be "inplace"'
            )
        if self._teaches_in_place and self.losses.need_states and not self._largest_is_whole:
            raise ValueError(
                f"stage {self.name!r}: who learns more than answers from the largest sub-network needs all "
                "of its layers; leave layer_drop at 0 and give depth_mults a 1"
            )
        if self._drops_tokens and self.losses.need_states:
            raise ValueError(
                f"stage {self.name!r} compares hidden states or attention of sub-networks that drop tokens, "
                "but a token that was dropped has none to compare; let them learn answers only, and give "
                "these terms to the largest (largest: ..., teacher.distillation: inplace)"
            )
        return self

    @property
    def peak_rate(self) -> float | None:
        """The learning rate at the end of the warm-up; None where that depends on the backbone."""
        return None if self.learning_rate is None else self.learning_rate * self.rate_factor

    @property
    def needs_teacher_network(self) -> bool:
        """Whether anything is learnt from the fixed network, not only in place from the largest."""
        first = self.largest or self.losses if self._teaches_in_place else self.losses
        return self.teacher is not None and first.need_teacher

    @property
    def _drops_tokens(self) -> bool:
        return isinstance(self.subnets, Sandwich) and self.subnets.length_drop > 0

    @property
    def _teaches_in_place(self) -> bool:
        return self.teacher is not None and self.teacher.distillation == "inplace"

    @property
    def _largest_is_whole(self) -> bool:
        drops = isinstance(self.subnets, LayerDrop) or (
            isinstance(self.subnets, Sandwich) and self.subnets.layer_drop > 0
        )
        return not drops and max(self.subnets.depth_mults) == 1


Size = Annotated[int, Field(ge=1)] | None


class Reduce(Value):
    """Go on with a network of a plain architecture <D, A, H, I>, which learns from the one before.

    As Bort was made (arXiv 2010.10499): its architecture by a search, its weights by distillation.
    """

    kind: Literal["reduce"] = "reduce"
    name: StageName = "reduce"
    # None: as many as the network has.
    layers: Size = None
    heads: Size = None
    hidden: Size = None
    neurons: Size = None
    start: Literal["teacher", "scratch"] = "teacher"  # cut from the network, or with random weights
    # Instead of all that: a folder of `dynabert pretrain`, or any small pretrained network of the
    # same vocabulary; sizes and weights are its own, the head is new.
    pretrained: str | None = None

    @model_validator(mode="after")
    def _one_start(self) -> Self:
        sized = any(
            size is not None for size in (self.layers, self.heads, self.hidden, self.neurons)
        )
        if self.pretrained is not None and (sized or self.start != "teacher"):
            raise ValueError(
                f"stage {self.name!r}: a pretrained network has its own sizes and weights; leave layers, "
                "heads, hidden, neurons and start as they are"
            )
        return self

    def architecture(self, config: DynaBertConfig) -> Architecture:
        """What it makes of a network of that configuration.

        Raises:
            UserError: the hidden size is no multiple of the heads.
        """
        assert self.pretrained is None  # that network has an architecture of its own
        shape = config.shape
        return Architecture(
            layers=self.layers or shape.num_layers,
            heads=self.heads or min(shape.heads),
            hidden=self.hidden or config.hidden_size,
            neurons=self.neurons or min(shape.neurons),
        )


Stage = Annotated[Train | Rewire | Reduce, Field(discriminator="kind")]


def default_learning_rate(hidden_size: int) -> float:
    """2e-5 for 768 hidden units (the paper's), more for narrower backbones: 8e-5 for 384.

    Narrow networks bear, and need, larger steps. The square is a rule of thumb of ours, not of the
    paper. With minilm on CoLA, five epochs reach a dev MCC of 0.26 at 2e-5, 0.31 at 5e-5, 0.35 at
    1e-4 and 0.24 at 2e-4.
    """
    return min(3e-4, 2e-5 * (768 / hidden_size) ** 2)
