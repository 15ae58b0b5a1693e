"""What a search looks through, and how."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from dynabert.errors import UserError, explain_plainly
from dynabert.evaluation.latency import LatencySetup
from dynabert.search.objectives import Cost
from dynabert.search.proposals import CROSSOVERS, MUTATIONS, Method
from dynabert.search.space import JointSpace, Lengths, LengthUnit
from dynabert.subnet import NetworkShape, SearchSpace
from dynabert.training.plan import MAX_SEED
from dynabert.values import Value

NUM_TRIALS = 150  # as in Dynamic-TinyBERT, Sec. 2.3
# The authors of Dynamic-TinyBERT let lengths fall to 91 of 384 tokens.
FEWEST_PERCENT = 24

# Of `dynabert search`, where they are not called as the settings are.
_OPTIONS = {
    "num_trials": "trials",
    "width_mults": "widths",
    "depth_mults": "depths",
    "batch_size": "batch",
    "num_examples": "examples",
    "num_measured": "measured",
}

_OF_THE_RUN = ("width_mults", "depth_mults")  # whose defaults are its recipe's

Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
Positive = Annotated[int, Field(ge=1)]


# What may be asked for anew when a search goes on.
CHANGEABLE = ("num_trials", "num_measured")


class SearchSettings(Value):
    """What is searched for, and how. Dynamic-TinyBERT, Sec. 2.3, with more axes."""

    method: Method = "tpe"
    num_trials: Positive = NUM_TRIALS
    width_mults: tuple[float, ...] = (1.0,)
    depth_mults: tuple[float, ...] = (1.0,)
    lengths: LengthUnit | None = "shares"  # None: all tokens are kept
    # That leave a layer: hundredths of a text's tokens, or tokens; None: as the paper's share.
    fewest: Positive | None = None
    cost: Cost = "macs"
    tokens: Positive  # for which cost is counted or timed
    batch_size: Positive = 1  # of what is timed
    repeats: Annotated[int, Field(ge=2)] = 20  # of it
    num_examples: Positive | None = 500  # of dev, for quality; None: all
    # Of the best, besides the largest, to be measured on all of dev; None: all.
    num_measured: Positive | None = None
    at_most: Annotated[float, Field(gt=0)] | None = None  # cost
    # Mutations and crossovers of a generation of the evolution.
    generation: tuple[Positive, Positive] = (MUTATIONS, CROSSOVERS)
    seed: Seed = 0

    @model_validator(mode="after")
    def _nothing_is_ignored(self) -> Self:
        if self.fewest is not None and self.lengths is None:
            raise ValueError(
                f"fewest={self.fewest} is about lengths, and none are searched; leave it out"
            )
        if self.generation != (MUTATIONS, CROSSOVERS) and self.method != "evolution":
            raise ValueError(
                f"a generation is of method evolution, not of {self.method}; leave it out"
            )
        return self

    def space(self, shape: NetworkShape) -> JointSpace:
        """What is looked through in a network of that shape.

        Raises:
            UserError: a multiplier or `fewest` is out of range.
        """
        lengths = None
        if self.lengths is not None:
            most = 100 if self.lengths == "shares" else self.tokens
            fewest = self.fewest or max(1, round(FEWEST_PERCENT / 100 * most))
            lengths = Lengths(unit=self.lengths, fewest=fewest, most=most)
        return JointSpace(shape, SearchSpace(self.width_mults, self.depth_mults), lengths)

    def arguments(self) -> list[str]:
        """The options of `dynabert search` that ask for it; those that are as usual left out.

        Widths and depths are always told: what is usual depends on the run.
        """
        usual = SearchSettings(tokens=self.tokens)
        options = {
            "method": self.method,
            "num_trials": self.num_trials,
            "width_mults": ",".join(map(exactly, self.width_mults)),
            "depth_mults": ",".join(map(exactly, self.depth_mults)),
            "lengths": self.lengths or "none",
            "fewest": self.fewest,
            "cost": self.cost,
            "batch_size": self.batch_size,
            "num_examples": self.num_examples or 0,
            "num_measured": self.num_measured,
            "at_most": self.at_most,
            "seed": self.seed,
        }
        arguments = ["--tokens", str(self.tokens)]
        for field, value in options.items():
            if field in _OF_THE_RUN or getattr(self, field) != getattr(usual, field):
                arguments += [f"--{_OPTIONS.get(field, field.replace('_', '-'))}", str(value)]
        if self.generation != usual.generation:
            arguments += ["--generation", *map(str, self.generation)]
        return arguments

    @property
    def setup(self) -> LatencySetup:
        """How latency is measured."""
        return LatencySetup(
            tokens=self.tokens, batch_size=self.batch_size, repeats=self.repeats, seed=self.seed
        )


def ask_search(**values: object) -> SearchSettings:
    """Settings from what somebody typed.

    Raises:
        UserError: a value is unknown, out of range, or contradicts another.
    """
    try:
        return SearchSettings.model_validate(values)
    except ValidationError as error:
        raise UserError(explain_plainly(error)) from error


def exactly(mult: float) -> str:
    """A multiplier as short as it can be written and still be read back as the same number."""
    return f"{mult:g}" if float(f"{mult:g}") == mult else repr(mult)
