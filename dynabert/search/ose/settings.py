"""What OSE looks through in a run's sub-networks, and how."""

from __future__ import annotations

from typing import Annotated, Literal, Self, get_args

from pydantic import Field, ValidationError, model_validator

from dynabert.errors import UserError, explain_plainly
from dynabert.evaluation.latency import LatencySetup
from dynabert.search.objectives import Cost
from dynabert.search.ose.objective import Exponents
from dynabert.search.per_layer import Comparison
from dynabert.search.settings import exactly
from dynabert.training.plan import MAX_SEED
from dynabert.values import Value

EPSILONS = (1, 2, 4, 8)
CALIBRATION = 1024  # examples, of train
Counted = Literal["all", "encoder"]

# Of `dynabert ose`, where they are not called as the settings are.
_OPTIONS = {"epsilons": "epsilon", "batch_size": "batch", "num_examples": "examples"}

Positive = Annotated[int, Field(ge=1)]
Mult = Annotated[float, Field(gt=0, le=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Exponent = Annotated[float, Field(ge=0)]


class SupernetSettings(Value):
    """Optimal subarchitecture extraction over the sub-networks of one run: nothing is trained."""

    width_mults: Annotated[tuple[Mult, ...], Field(min_length=1)]
    depth_mults: Annotated[tuple[Mult, ...], Field(min_length=1)]
    # Shares of the tokens that enter a layer which each layer drops; 0 keeps all.
    drops: Annotated[tuple[Share, ...], Field(min_length=1)] = (0.0,)
    # Beside one width for all layers: as many heads and neurons, distributed over the layers by
    # importance, compared between layers in each of these ways.
    per_layer: tuple[Comparison, ...] = ()
    epsilons: Annotated[tuple[Positive, ...], Field(min_length=1)] = EPSILONS
    counted: Counted = "all"  # whose parameters p is: all, or of the Transformer layers alone
    cost: Cost = "macs"  # what i is
    tokens: Positive  # of a text, for i
    batch_size: Positive = 1  # of what is timed
    repeats: Annotated[int, Field(ge=2)] = 20
    num_examples: Positive = CALIBRATION  # of train, for e
    margin: Annotated[float, Field(ge=0)] = 0.0  # by which the maximum point is beyond the largest
    exponents: tuple[Exponent, Exponent, Exponent] = (1.0, 1.0, 1.0)  # of p's and i's savings, of e
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = 0

    @model_validator(mode="after")
    def _no_repetition(self) -> Self:
        for name in ("epsilons", "drops", "per_layer"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"{name} names a value twice: {values}")
        if unknown := set(self.per_layer) - set(get_args(Comparison)):
            raise ValueError(f"per_layer must be among {get_args(Comparison)}, got {unknown}")
        return self

    def first_difference(self, wanted: SupernetSettings) -> str | None:
        """The name of a field in which they differ, but for epsilons, of which more may be asked for."""
        names = (name for name in type(self).model_fields if name != "epsilons")
        return next((one for one in names if getattr(self, one) != getattr(wanted, one)), None)

    def arguments(self) -> list[str]:
        """The options of `dynabert ose` that ask for it; those that are as usual left out."""
        usual = SupernetSettings(
            width_mults=self.width_mults, depth_mults=self.depth_mults, tokens=self.tokens
        )
        arguments = ["--widths", ",".join(map(exactly, self.width_mults))]
        arguments += ["--depths", ",".join(map(exactly, self.depth_mults))]
        arguments += ["--tokens", str(self.tokens)]
        options = {
            "drops": ",".join(map(exactly, self.drops)),
            "epsilons": ",".join(map(str, self.epsilons)),
            "counted": self.counted,
            "cost": self.cost,
            "batch_size": self.batch_size,
            "num_examples": self.num_examples,
            "margin": exactly(self.margin),
            "exponents": " ".join(map(exactly, self.exponents)),
            "seed": self.seed,
        }
        for field, value in options.items():
            if getattr(self, field) != getattr(usual, field):
                arguments += [f"--{_OPTIONS.get(field, field)}", *str(value).split()]
        return [*arguments, "--per-layer"] if self.per_layer else arguments

    @property
    def w_exponents(self) -> Exponents:
        return Exponents(*self.exponents)

    @property
    def setup(self) -> LatencySetup:
        """How latency is measured."""
        return LatencySetup(
            tokens=self.tokens, batch_size=self.batch_size, repeats=self.repeats, seed=self.seed
        )


def ask_ose(**values: object) -> SupernetSettings:
    """Settings from what somebody typed.

    Raises:
        UserError: a value is unknown, out of range, or given twice.
    """
    try:
        return SupernetSettings.model_validate(values)
    except ValidationError as error:
        raise UserError(explain_plainly(error)) from error
