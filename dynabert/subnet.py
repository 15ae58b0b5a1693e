"""A sub-network as a value: which layers run, with how many heads and neurons, on how many tokens.

`Subnet` is what a person or a search chooses (multipliers or explicit counts); `NetworkShape` is
what a particular model has; `Subnet.resolve(shape)` joins the two into a `ResolvedSubnet`, the
plain counts that the encoder, the cost formulas and the pages all work from.
"""

from __future__ import annotations

import functools
import itertools
import math
import numbers
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, NamedTuple, get_args

from dynabert.errors import UserError
from dynabert.length_config import (
    COUNTS_KEY,
    SHARES_KEY,
    Length,
    LengthConfig,
    as_length_config,
)
from dynabert.words import count

DepthChoice = Literal["paper", "official"]
DEPTH_CHOICES: tuple[DepthChoice, ...] = get_args(DepthChoice)

# A product such as 0.1 * 30 may fall just short of the whole number it stands for.
_FLOAT_SLACK = 1e-9


def num_kept(mult: float, total: int, *, name: str, unit: str) -> int:
    """How many of `total` heads, neurons or layers a multiplier keeps: floor(mult * total), at
    least 1.

    DynaBERT, Sec. 2.1.

    Raises:
        UserError: the multiplier is outside (0, 1] or not a number.
    """
    check_mult(mult, name=name, hint=f"; {total} {unit} allow steps of 1/{total}")
    return max(1, math.floor(mult * total + _FLOAT_SLACK))


def check_mult(mult: float, *, name: str, hint: str = "") -> None:
    """Raise a UserError unless `mult` is a number in (0, 1]."""
    # Phrased positively, so that NaN is refused too; a bool is an int in Python, but never a
    # multiplier.
    if isinstance(mult, bool) or not isinstance(mult, numbers.Real) or not 0 < mult <= 1:
        raise UserError(f"{name} must be a number in (0, 1], for example 0.5, got {mult!r}{hint}.")


@dataclass(frozen=True)
class NetworkShape:
    """What one model offers: heads and neurons of each layer, and the rule by which depth drops layers."""

    heads: tuple[int, ...]  # (L,) attention heads of each layer
    neurons: tuple[int, ...]  # (L,) FFN neurons of each layer
    head_dim: int = 0  # size of one head; 0 where only counts matter
    depth_choice: DepthChoice = "paper"
    # What a sub-network that was taken out keeps; one cut from it may keep less.
    length_config: LengthConfig | None = None

    @property
    def num_layers(self) -> int:
        return len(self.heads)


class ExecutedLayer(NamedTuple):
    """A layer as a sub-network executes it."""

    layer: int  # counted from 0
    num_heads: int
    num_neurons: int
    length: Length | None  # how many tokens leave it, see `LengthConfig`; None: all


@dataclass(frozen=True)
class ResolvedSubnet:
    """The counts a `Subnet` comes to in one model; one entry per executed layer, in order of execution."""

    layers: tuple[int, ...]  # which layers of the model run, counted from 0
    heads: tuple[int, ...]  # leftmost heads used in each of them
    neurons: tuple[int, ...]  # leftmost FFN neurons used in each of them
    length_config: LengthConfig | None = None  # tokens that leave each of them; None: all

    @property
    def executed(self) -> tuple[ExecutedLayer, ...]:
        """The layers one by one, in order of execution."""
        lengths: Sequence[Length | None] = (None,) * len(self.layers)
        if self.length_config is not None:
            # A share of 1.0 is all, and would be equal to a count of 1.
            all_leave = 1.0 if self.length_config.is_relative else None
            lengths = [
                None if entry == all_leave else entry for entry in self.length_config.entries
            ]
        return tuple(
            itertools.starmap(
                ExecutedLayer, zip(self.layers, self.heads, self.neurons, lengths, strict=True)
            )
        )

    def tokens_left(self, tokens: int) -> tuple[int, ...]:
        """How many of a text's tokens leave each layer."""
        if self.length_config is None:
            return (tokens,) * len(self.layers)
        return self.length_config.tokens_left(tokens)

    def __str__(self) -> str:
        """For example "4 layers (1, 3, 4, 6) x 6 heads x 768 neurons"; layers are counted from 1."""
        numbers = ", ".join(str(layer + 1) for layer in self.layers)
        layers = f"{count(len(self.layers), 'layer')} ({numbers})"
        heads, neurons = _counted(self.heads, "head"), _counted(self.neurons, "neuron")
        text = f"{layers} x {heads} x {neurons}"
        return text if self.length_config is None else f"{text}, {self.length_config.in_words}"


@dataclass(frozen=True)
class Subnet:
    """One sub-network: an adaptive width, depth and length. A hashable value, so it can key a cache
    or a table.

    `Subnet(0.5, 0.75)` keeps half of the heads and neurons of every layer and three quarters of the
    layers. The other fields replace a multiplier by explicit choices:

    - `layers`: the layers to run, counted from 0, rising; then `depth_mult` must stay 1.
    - `length_config`: how many tokens leave each executed layer, a `LengthConfig` or its numbers;
      left out, all of them.
    - `heads`, `neurons`: how many of each executed layer, in order of execution; when both are
      given,
      `width_mult` must stay 1, otherwise it governs the one that is not.

    Raises:
        UserError: a value outside its range, or two fields that contradict each other.
    """

    width_mult: float = 1.0  # m_w: share of heads and FFN neurons kept in every layer
    depth_mult: float = 1.0  # m_d: share of layers kept
    length_config: LengthConfig | None = None
    heads: tuple[int, ...] | None = None
    neurons: tuple[int, ...] | None = None
    layers: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("width_mult", "depth_mult"):
            check_mult(getattr(self, name), name=name)
            object.__setattr__(self, name, float(getattr(self, name)))
        object.__setattr__(self, "length_config", as_length_config(self.length_config))
        for name, lowest in (("heads", 1), ("neurons", 1), ("layers", 0)):
            counts = getattr(self, name)
            if counts is not None:
                object.__setattr__(self, name, _whole_numbers(counts, name=name, lowest=lowest))
        if self.layers is not None:
            if self.depth_mult != 1:
                raise UserError(
                    f"give either depth_mult or layers, not both: got depth_mult={self.depth_mult} "
                    f"and layers={self.layers}."
                )
            if any(a >= b for a, b in itertools.pairwise(self.layers)):
                raise UserError(f"layers must rise, for example (0, 2, 5), got {self.layers}.")
        if self.heads is not None and self.neurons is not None:
            if self.width_mult != 1:
                raise UserError(
                    f"give either width_mult or both heads and neurons: got width_mult={self.width_mult}, "
                    f"heads={self.heads} and neurons={self.neurons}."
                )
            if len(self.heads) != len(self.neurons):
                raise UserError(
                    f"heads and neurons must name the same layers: got {len(self.heads)} and "
                    f"{len(self.neurons)} entries."
                )

    @property
    def is_full(self) -> bool:
        """True for the choice that leaves nothing out, whatever the model."""
        return self == FULL

    @property
    def key(self) -> str:
        """A short name that `Subnet.parse` reads back, for example "w0.50-d0.75" or "w1.00-y0.2.5-h3.6.6"."""
        parts = [f"w{_short(self.width_mult)}"]
        if self.layers is None:
            parts.append(f"d{_short(self.depth_mult)}")
        for letter, counts in (("y", self.layers), ("h", self.heads), ("n", self.neurons)):
            if counts is not None:
                parts.append(letter + ".".join(map(str, counts)))
        if self.length_config is not None:
            parts.append(self.length_config.key)
        return "-".join(parts)

    @classmethod
    def parse(cls, key: str) -> Subnet:
        """The Subnet of a key such as "w0.50-d0.75".

        Raises:
            ValueError: the text is not a key, or a value in it is out of range.
        """
        fields: dict[str, object] = {}
        for part in key.strip().split("-"):
            name = _KEY_FIELDS.get(part[:1])
            if name is None or name in fields or not _KEY_PART.fullmatch(part):
                raise UserError(f"{key!r} is not a sub-network; write for example w0.50-d0.75.")
            value = part[1:]
            if name == "length_config":
                fields[name] = LengthConfig.parse(part)
                continue
            try:
                fields[name] = (
                    float(value) if name.endswith("_mult") else tuple(map(int, value.split(".")))
                )
            except ValueError as error:  # Python reads no number of thousands of digits
                raise UserError(f"{part[:20]!r}... in a sub-network is not a number.") from error
        return cls(**fields)  # type: ignore[arg-type]  # the names and types were chosen two lines above

    def resolve(self, shape: NetworkShape) -> ResolvedSubnet:
        """The layers, heads, neurons and lengths this choice comes to in a model of that shape.

        Raises:
            ValueError: an explicit choice names a layer, head or neuron that the model does not
            have.
        """
        return _resolve(self, shape)

    def __str__(self) -> str:
        return self.key


FULL = Subnet()


def check_keeps_all_tokens(resolved: ResolvedSubnet, what: str) -> None:
    """Raise a UserError where tokens are dropped, for what is not defined then.

    what: begins the sentence, for example "Queries and keys".
    """
    if resolved.length_config is not None:
        raise UserError(
            f"{what} are of networks that keep all tokens; of this one {resolved.length_config.in_words} "
            "leave the layers."
        )


_KEY_FIELDS = {
    "w": "width_mult",
    "d": "depth_mult",
    "y": "layers",
    "h": "heads",
    "n": "neurons",
    "l": "length_config",
    "r": "length_config",
}
_KEY_PART = re.compile(rf"[wd]\d+(\.\d+)?|[yhn]\d+(\.\d+)*|{COUNTS_KEY}|{SHARES_KEY}")


def spread_layers(kept: int, total: int) -> tuple[int, ...]:
    """So many of the layers, counted from 0, evenly spaced, the last one among them.

    DynaBERT's Sec. 2.2 for any number of layers: layer number floor(i * total / kept) for i = 1..kept
    (numbers from 1).
    """
    return tuple(i * total // kept - 1 for i in range(1, kept + 1))


def kept_layers(
    depth_mult: float, num_layers: int, choice: DepthChoice = "paper"
) -> tuple[int, ...]:
    """The layers that a depth multiplier executes, counted from 0.

    "paper": floor(m_d * L) layers as `spread_layers` has them. With 12 layers that is the paper's
    rule mod(d + 1, 1 / (1 - m_d)) != 0, which gives 1,2,4,5,6,8,9,10,12 for 0.75 and 2,4,...,12 for
    0.5; it works for any L and any m_d. DynaBERT, Sec. 2.2.

    "official": what the authors' code does: round(m_d * L) layers (halves to even), index floor(i /
    m_d) for i = 0, 1, ... (from 0); the last layer is dropped. Needed to read their checkpoints;
    a network of this choice also counts the heads and neurons of a width as they do.

    Raises:
        UserError: the multiplier is outside (0, 1], or the rule is unknown.
    """
    if choice == "paper":
        kept = num_kept(depth_mult, num_layers, name="depth_mult", unit="layers")
        return spread_layers(kept, num_layers)
    if choice == "official":
        check_mult(depth_mult, name="depth_mult")
        kept = max(1, round(depth_mult * num_layers))
        return tuple(math.floor(i / depth_mult) for i in range(kept))
    raise UserError(f"depth_choice must be one of {', '.join(DEPTH_CHOICES)}, got {choice!r}.")


@functools.lru_cache(maxsize=4096)
def _resolve(subnet: Subnet, shape: NetworkShape) -> ResolvedSubnet:
    layers = subnet.layers
    if layers is None:
        layers = kept_layers(subnet.depth_mult, shape.num_layers, shape.depth_choice)
    elif layers[-1] >= shape.num_layers:
        raise UserError(
            f"layers are counted from 0 and this model has {shape.num_layers}: got {layers}."
        )

    def kept_by_width(layer: int, total: int, unit: str) -> int:
        if shape.depth_choice == "paper":
            return num_kept(subnet.width_mult, total, name="width_mult", unit=unit)
        # The authors' code rounds heads (halves to even); neurons follow the share of heads kept.
        kept_heads = max(1, round(subnet.width_mult * shape.heads[layer]))
        return kept_heads if unit == "heads" else int(kept_heads / shape.heads[layer] * total)

    def counts(chosen: tuple[int, ...] | None, totals: Sequence[int], name: str) -> tuple[int, ...]:
        available = tuple(totals[layer] for layer in layers)
        if chosen is None:
            return tuple(
                kept_by_width(layer, total, name)
                for layer, total in zip(layers, available, strict=True)
            )
        if len(chosen) != len(layers):
            raise UserError(
                f"{name} needs one count for each of the {len(layers)} executed layers, got {chosen}."
            )
        if any(count > total for count, total in zip(chosen, available, strict=True)):
            raise UserError(f"this model has {available} {name} in those layers, got {chosen}.")
        return chosen

    lengths = subnet.length_config
    if lengths is None and shape.length_config is not None:
        lengths = shape.length_config.of_layers(layers)
    if lengths is not None and len(lengths) != len(layers):
        raise UserError(
            f"the length configuration {lengths} is for {len(lengths)} layers, and this sub-network "
            f"executes {len(layers)}."
        )
    return ResolvedSubnet(
        layers=layers,
        heads=counts(subnet.heads, shape.heads, "heads"),
        neurons=counts(subnet.neurons, shape.neurons, "neurons"),
        length_config=lengths,
    )


@dataclass(frozen=True)
class SearchSpace:
    """A grid of sub-networks: every width with every depth, largest first."""

    width_mults: tuple[float, ...]
    depth_mults: tuple[float, ...]

    def __post_init__(self) -> None:
        for name in ("width_mults", "depth_mults"):
            mults = tuple(getattr(self, name))
            if not mults:
                raise UserError(
                    f"{name} must name at least one multiplier, for example (1.0, 0.5)."
                )
            for mult in mults:
                check_mult(mult, name=name)
            object.__setattr__(self, name, tuple(sorted(set(map(float, mults)), reverse=True)))

    def __iter__(self) -> Iterator[Subnet]:
        """Depth first falls, then width, as in Algorithm 1."""
        for depth_mult in self.depth_mults:
            for width_mult in self.width_mults:
                yield Subnet(width_mult, depth_mult)

    def __len__(self) -> int:
        return len(self.width_mults) * len(self.depth_mults)


PAPER_WIDTHS = (1.0, 0.75, 0.5, 0.25)
PAPER_DEPTHS = (1.0, 0.75, 0.5)
PAPER_SPACE = SearchSpace(
    PAPER_WIDTHS, PAPER_DEPTHS
)  # the twelve sub-networks of the paper, Sec. 3


def _whole_numbers(values: Sequence[int], *, name: str, lowest: int) -> tuple[int, ...]:
    counts = tuple(values) if isinstance(values, Iterable) else ()
    if not counts or any(
        isinstance(n, bool) or not isinstance(n, numbers.Integral) or n < lowest for n in counts
    ):
        raise UserError(f"{name} must be whole numbers of at least {lowest}, got {values!r}.")
    return tuple(map(int, counts))  # also of numpy's


def _short(mult: float) -> str:
    two_digits = f"{mult:.2f}"
    return two_digits if float(two_digits) == mult else f"{Decimal(repr(mult)):f}"


def _counted(counts: tuple[int, ...], noun: str) -> str:
    """For example "1 head", "6 heads", "1-6 heads"."""
    least, most = min(counts), max(counts)
    text = str(most) if least == most else f"{least}-{most}"
    return f"{text} {noun}{'' if most == 1 else 's'}"
