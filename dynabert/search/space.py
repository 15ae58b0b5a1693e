"""The sub-networks that a search looks through, as points in whole numbers.

A search over lengths must never propose one that rises from a layer to the next. A free number in
[0, 1] for each layer, which places its length between the fewest tokens and the length of the layer
before, makes that impossible.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dynabert.errors import UserError
from dynabert.length_config import LengthConfig
from dynabert.subnet import NetworkShape, SearchSpace, Subnet, kept_layers

LengthUnit = Literal["shares", "tokens"]


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """Which lengths a layer may have: from `fewest` to `most`, all in one unit."""

    unit: LengthUnit  # "shares": hundredths of each text's own tokens; "tokens": counts
    fewest: int
    most: int

    def __post_init__(self) -> None:
        if not 1 <= self.fewest <= self.most:
            raise UserError(
                f"the fewest {self.unit} that may leave a layer must be from 1 to {self.most}, "
                f"got {self.fewest}."
            )
        if self.unit == "shares" and self.most != 100:
            raise UserError(f"shares are hundredths, so the most are 100, got {self.most}.")

    def config(self, counts: tuple[int, ...]) -> LengthConfig | None:
        """The length configuration of some counts, one for each executed layer; None drops nothing."""
        if min(counts) == self.most:
            return None
        if self.unit == "shares":
            return LengthConfig(tuple(count / 100 for count in counts))
        return LengthConfig(counts)


@dataclass(frozen=True)
class Candidate:
    """A point of a `JointSpace`."""

    width: int  # place among the space's widths, 0 is the largest
    depth: int  # place among its depths
    # (L,) of every layer of the network, also of those that do not run; never rising. Empty where
    # the space has no lengths.
    lengths: tuple[int, ...] = ()


@dataclass(frozen=True)
class JointSpace:
    """Widths, depths and lengths to choose from.

    Raises:
        UserError: a multiplier outside (0, 1], or none.
    """

    shape: NetworkShape
    grid: SearchSpace
    lengths: Lengths | None = None  # None: no token is ever dropped

    def subnet(self, candidate: Candidate) -> Subnet:
        """The sub-network that a point stands for."""
        width_mult = self.grid.width_mults[candidate.width]
        depth_mult = self.grid.depth_mults[candidate.depth]
        config = None
        if self.lengths is not None:
            config = self.lengths.config(
                tuple(candidate.lengths[layer] for layer in self.layers(candidate.depth))
            )
        return Subnet(width_mult, depth_mult, config)

    def holds(self, candidate: Candidate) -> bool:
        """Whether a point lies in the space."""
        inside = 0 <= candidate.width < len(self.grid.width_mults) and (
            0 <= candidate.depth < len(self.grid.depth_mults)
        )
        lengths = candidate.lengths
        if self.lengths is None:
            inside &= lengths == ()
        else:
            inside &= len(lengths) == self.shape.num_layers
            steps = (self.lengths.most, *lengths, self.lengths.fewest)
            inside &= all(a >= b for a, b in zip(steps, steps[1:], strict=False))
        return bool(inside)

    @property
    def largest(self) -> Candidate:
        """The largest sub-network, with all tokens."""
        return self._with_lengths(0, 0, 1.0)

    @property
    def smallest(self) -> Candidate:
        """The smallest sub-network, with the fewest tokens throughout."""
        widths, depths = self.grid.width_mults, self.grid.depth_mults
        return self._with_lengths(len(widths) - 1, len(depths) - 1, 0.0)

    @property
    def num_points(self) -> int:
        """How many sub-networks it holds."""
        points = len(self.grid)
        if self.lengths is not None:
            steps = self.lengths.most - self.lengths.fewest + 1
            # Never-rising sequences of n out of k values: C(n + k - 1, n).
            points = len(self.grid.width_mults) * sum(
                math.comb(len(self.layers(depth)) + steps - 1, len(self.layers(depth)))
                for depth in range(len(self.grid.depth_mults))
            )
        return points

    def anchors(self, count: int) -> list[Candidate]:
        """At most so many points with which a search begins, spread over the space.

        The largest and the smallest; then sub-networks of the grid with all tokens, and of the
        largest with lengths that fall by the same factor from layer to layer (the family that the
        Length-Adaptive Transformer's search begins with), in turn.
        """
        widths, depths = len(self.grid.width_mults), len(self.grid.depth_mults)
        grid = [
            self._with_lengths(width, depth, 1.0)
            for depth in range(depths)
            for width in range(widths)
        ]
        ends = [self.largest, self.smallest]
        if self.lengths is None:
            return _spread([*ends, *grid], count)
        left = max(0, count - len(ends))
        grid = _evenly(grid[1:], left // 2)  # the first is the largest
        num_falling = left - len(grid)
        falling = [self._falling(number / (num_falling + 1)) for number in range(num_falling)]
        return _spread([*ends, *grid, *falling], count)

    def every(self) -> Iterator[Candidate]:
        """All points; only for spaces with few."""
        for depth in range(len(self.grid.depth_mults)):
            running = self.layers(depth)
            for width in range(len(self.grid.width_mults)):
                if self.lengths is None:
                    yield Candidate(width, depth)
                    continue
                steps = range(self.lengths.most, self.lengths.fewest - 1, -1)
                for counts in itertools.combinations_with_replacement(steps, len(running)):
                    yield self.with_running(width, depth, counts)

    def with_running(self, width: int, depth: int, counts: Sequence[int]) -> Candidate:
        """The point with those lengths of the layers that run, in order of execution."""
        assert self.lengths is not None
        lengths = [self.lengths.most] * self.shape.num_layers
        for layer, count in zip(self.layers(depth), counts, strict=True):
            lengths[layer] = count
        return self.canonical(Candidate(width, depth, tuple(lengths)))

    def random(self, rng: np.random.Generator) -> Candidate:
        """A point at random: every width and depth alike, lengths as `from_numbers` places them."""
        return self.from_numbers({name: rng.random() for name in self.names})

    @property
    def names(self) -> tuple[str, ...]:
        """Of the free numbers that a point has."""
        layers = self.shape.num_layers if self.lengths is not None else 0
        return ("width", "depth", *(f"length-{layer + 1}" for layer in range(layers)))

    def from_numbers(self, numbers: dict[str, float]) -> Candidate:
        """The point of some numbers in [0, 1], by `names`; any numbers give one.

        l_i = fewest + round((l_{i-1} - fewest) * u_i), and l_0 = most.
        """
        width, depth = (
            min(int(numbers[name] * size), size - 1)
            for name, size in (
                ("width", len(self.grid.width_mults)),
                ("depth", len(self.grid.depth_mults)),
            )
        )
        if self.lengths is None:
            return Candidate(width, depth)
        fewest, before, lengths = self.lengths.fewest, self.lengths.most, []
        for name in self.names[2:]:
            before = fewest + round((before - fewest) * numbers[name])
            lengths.append(before)
        return self.canonical(Candidate(width, depth, tuple(lengths)))

    def numbers(self, candidate: Candidate) -> dict[str, float]:
        """Numbers that `from_numbers` makes that point of again."""
        numbers = {
            "width": (candidate.width + 0.5) / len(self.grid.width_mults),
            "depth": (candidate.depth + 0.5) / len(self.grid.depth_mults),
        }
        if self.lengths is not None:
            fewest, before = self.lengths.fewest, self.lengths.most
            for name, length in zip(self.names[2:], candidate.lengths, strict=True):
                numbers[name] = 1.0 if before == fewest else (length - fewest) / (before - fewest)
                before = length
        return numbers

    def canonical(self, candidate: Candidate) -> Candidate:
        """The same sub-network, with one spelling: a layer that does not run has the length before it."""
        if self.lengths is None:
            return candidate
        running, before, lengths = set(self.layers(candidate.depth)), self.lengths.most, []
        for layer, length in enumerate(candidate.lengths):
            before = length if layer in running else before
            lengths.append(before)
        return Candidate(candidate.width, candidate.depth, tuple(lengths))

    def layers(self, depth: int) -> tuple[int, ...]:
        """The layers that run at a place among the depths, counted from 0."""
        return kept_layers(
            self.grid.depth_mults[depth], self.shape.num_layers, self.shape.depth_choice
        )

    def _with_lengths(self, width: int, depth: int, share: float) -> Candidate:
        """Every layer with the same share of the way from the fewest to the most."""
        if self.lengths is None:
            return Candidate(width, depth)
        span = self.lengths.most - self.lengths.fewest
        length = self.lengths.fewest + round(span * share)
        lengths = (length,) * self.shape.num_layers
        return self.canonical(Candidate(width, depth, lengths))

    def _falling(self, place: float) -> Candidate:
        """The largest, with lengths that fall by one factor from layer to layer.

        place: from 0, where the last has the fewest, to 1, where nothing falls.
        """
        assert self.lengths is not None
        running = self.layers(0)
        least = (self.lengths.fewest / self.lengths.most) ** (1 / len(running))
        factor = least + (1 - least) * place
        counts = [
            max(self.lengths.fewest, round(self.lengths.most * factor**number))
            for number in range(1, len(running) + 1)
        ]
        return self.with_running(0, 0, counts)


def _spread(candidates: list[Candidate], count: int) -> list[Candidate]:
    """The first so many that differ."""
    return list(dict.fromkeys(candidates))[:count]


def _evenly(candidates: list[Candidate], count: int) -> list[Candidate]:
    """So many of them, evenly spaced."""
    if not candidates:
        return []
    places = np.linspace(0, len(candidates) - 1, min(count, len(candidates))).round()
    return [candidates[int(place)] for place in places]
