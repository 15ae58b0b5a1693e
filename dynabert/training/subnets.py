"""Which sub-networks a step trains: all of a grid, a sandwich of few, or one with layers left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

import torch
from pydantic import Discriminator, Field, Tag

from dynabert.analysis.choices import depth_choices, width_choices
from dynabert.length_config import LengthConfig, shrinking
from dynabert.subnet import NetworkShape, SearchSpace, Subnet
from dynabert.values import Value

Mult = Annotated[float, Field(gt=0, le=1)]
Mults = Annotated[tuple[Mult, ...], Field(min_length=1)]


class _Choice(Value):
    width_mults: Mults = (1.0,)
    depth_mults: Mults = (1.0,)

    @property
    def judged(self) -> list[Subnet]:
        """The sub-networks whose scores choose the checkpoint, largest first."""
        return list(SearchSpace(self.width_mults, self.depth_mults))


class Grid(_Choice):
    """Every width with every depth, all of them in every step. DynaBERT, Algorithm 1."""

    kind: Literal["grid"] = "grid"

    def of_step(self, shape: NetworkShape, generator: torch.Generator) -> list[Subnet]:
        """What a step trains, largest first."""
        return self.judged


class Sandwich(_Choice):
    """The largest, the smallest, and a few random ones between them: the sandwich rule.

    Yu and Huang, Universally Slimmable Networks (ICCV 2019), which Table 8 of DynaBERT adapts. The
    gradient of few sub-networks costs a fraction of that of all, so the same time buys more steps.

    With `length_drop`, and of one width and depth, it is the training of the Length-Adaptive
    Transformer (Kim and Cho, ACL 2021, Sec. 3.2): length configurations are drawn layer by layer. They
    are shares of each text's own tokens here, where the authors' are counts of the longest input's.
    """

    kind: Literal["sandwich"] = "sandwich"
    num_random: Annotated[int, Field(ge=0, le=64)] = 2
    # LengthDrop: up to this share of a layer's tokens does not leave it, of the smallest sub-network
    # just so much (the authors' length_drop_ratio_bound). The largest drops none.
    length_drop: Annotated[float, Field(ge=0, lt=1)] = 0.0
    # Each layer is left out with this probability, drawn anew for each sub-network; one stays.
    layer_drop: Annotated[float, Field(ge=0, lt=1)] = 0.0
    # "listed": random ones have the widths and depths above; "any": every number of heads, and
    # every number of layers, from the least to the most of them.
    between: Literal["listed", "any"] = "listed"

    def of_step(self, shape: NetworkShape, generator: torch.Generator) -> list[Subnet]:
        """What a step trains: the largest, the random ones, the smallest; none of them twice."""
        largest, smallest = self.judged[0], self.judged[-1]
        widths, depths = self.width_mults, self.depth_mults
        if self.between == "any":
            widths = _within(widths, width_choices(shape))
            depths = _within(depths, depth_choices(shape))
        drawn = [
            Subnet(_one_of(widths, generator), _one_of(depths, generator))
            for _ in range(self.num_random)
        ]
        largest, *drawn, smallest = (
            self._with_fewer_layers(one, shape, generator) for one in (largest, *drawn, smallest)
        )
        if self.length_drop:
            drawn = [self._with_fewer_tokens(one, shape, generator) for one in drawn]
            smallest = replace(
                smallest,
                length_config=shrinking(len(smallest.resolve(shape).layers), self.length_drop),
            )
        return list(dict.fromkeys([largest, *drawn, smallest]))

    def _with_fewer_layers(
        self, subnet: Subnet, shape: NetworkShape, generator: torch.Generator
    ) -> Subnet:
        if not self.layer_drop:
            return subnet
        layers = subnet.resolve(shape).layers
        stay = _staying(len(layers), self.layer_drop, generator)
        return Subnet(subnet.width_mult, layers=tuple(layers[place] for place in stay))

    def _with_fewer_tokens(
        self, subnet: Subnet, shape: NetworkShape, generator: torch.Generator
    ) -> Subnet:
        left, entries = 1.0, []
        for drop in torch.rand(len(subnet.resolve(shape).layers), generator=generator).tolist():
            left *= 1 - drop * self.length_drop
            entries.append(left)
        return replace(subnet, length_config=LengthConfig(tuple(entries)))


class LayerDrop(_Choice):
    """One network a step, each of whose layers is left out with a probability; at least one stays.

    Fan et al., Reducing Transformer Depth on Demand with Structured Dropout (ICLR 2020), Sec. 3.
    """

    kind: Literal["layer-drop"] = "layer-drop"
    rate: Annotated[float, Field(ge=0, lt=1)] = 0.2

    def of_step(self, shape: NetworkShape, generator: torch.Generator) -> list[Subnet]:
        """The one network of a step, at full width."""
        return [Subnet(layers=_staying(shape.num_layers, self.rate, generator))]


def _staying(num_layers: int, rate: float, generator: torch.Generator) -> tuple[int, ...]:
    """Places of the layers that are not left out; at least one."""
    while True:
        stays = torch.rand(num_layers, generator=generator) >= rate
        if stays.any():
            return tuple(stays.nonzero().flatten().tolist())


def _within(mults: Mults, choices: Sequence[float]) -> tuple[float, ...]:
    return tuple(one for one in choices if min(mults) <= one <= max(mults)) or mults


def _one_of(values: tuple[float, ...], generator: torch.Generator) -> float:
    return values[int(torch.randint(len(values), (), generator=generator))]


def _kind(value: Any) -> str:
    # A recipe file need not say what is usual.
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return str(kind or "grid")


Subnets = Annotated[
    Annotated[Grid, Tag("grid")]
    | Annotated[Sandwich, Tag("sandwich")]
    | Annotated[LayerDrop, Tag("layer-drop")],
    Discriminator(_kind),
]
