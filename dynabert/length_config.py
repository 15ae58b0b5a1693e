"""How many tokens leave each layer: the third axis of a sub-network.

A token that a layer drops keeps the output of the layer before, and is put back in its place at the
end (Drop-and-Restore). Kim and Cho, Length-Adaptive Transformer (ACL 2021), Sec. 3; Dynamic-TinyBERT,
Sec. 2.
"""

from __future__ import annotations

import itertools
import math
import numbers
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from dynabert.errors import UserError
from dynabert.words import percent

Length = int | float  # a count of tokens, or a share of a text's own
FEWEST_BY_RATIO = 2  # that a share leaves: the first token and one to read (the authors' floor)
# Numbers in keys are no longer than Python reads.
COUNTS_KEY = r"l\d{1,9}(\.\d{1,9})*"
SHARES_KEY = r"r[01](\.\d{1,400})?(_[01](\.\d{1,400})?)*"
_FLOAT_SLACK = 1e-9  # a product such as 0.1 * 30 may exceed the whole number it stands for


@dataclass(frozen=True)
class LengthConfig:
    """How many tokens leave each executed layer, never more than left the one before.

    Whole numbers are counts, the same for every text (the papers' form); a text that has fewer
    keeps all. Numbers in (0, 1] with a decimal point are shares of each text's own tokens, padding
    not counted, so short texts gain too; a whole 1 among them is all. Either way a text's tokens
    depend on no other text.

    Raises:
        UserError: entries that rise, are out of range, or mix counts above 1 with shares.
    """

    entries: Sequence[Length]  # a tuple, whatever was given
    # Whether they are shares. A field, because 1 token and a share of 1.0 are equal numbers.
    is_relative: bool = field(init=False)

    def __post_init__(self) -> None:
        entries = _checked(self.entries)
        object.__setattr__(self, "entries", entries)
        object.__setattr__(self, "is_relative", isinstance(entries[0], float))

    def __len__(self) -> int:
        return len(self.entries)

    def tokens_left(self, tokens: int) -> tuple[int, ...]:
        """How many of a text's tokens leave each layer."""
        return tuple(num_left(entry, tokens) for entry in self.entries)

    def of_layers(self, places: Sequence[int]) -> LengthConfig:
        """The entries at some places, rising: what is left where only those layers run."""
        return LengthConfig(tuple(self.entries[place] for place in places))

    @property
    def key(self) -> str:
        """A short name that `parse` reads back: "l96.64.32" of counts, "r0.75_0.5_0.25" of shares."""
        if self.is_relative:
            return "r" + "_".join(f"{Decimal(repr(entry)):f}" for entry in self.entries)
        return "l" + ".".join(map(str, self.entries))

    @property
    def in_words(self) -> str:
        """For example "90%, 81% of the tokens", "96, 64 tokens"."""
        if self.is_relative:
            return ", ".join(map(percent, self.entries)) + " of the tokens"
        return ", ".join(map(str, self.entries)) + " tokens"

    @classmethod
    def parse(cls, key: str) -> LengthConfig:
        """The lengths of such a name.

        Raises:
            UserError: it is none.
        """
        if re.fullmatch(COUNTS_KEY, key):
            return cls(tuple(map(int, key[1:].split("."))))
        if re.fullmatch(SHARES_KEY, key):
            return cls(tuple(map(float, key[1:].split("_"))))
        raise UserError(
            f"{key[:40]!r} is no length configuration; write l96.64.32 for tokens that leave each layer, "
            "or r0.75_0.5_0.25 for shares of them."
        )

    def __str__(self) -> str:
        return self.key


def num_left(entry: Length, tokens: int) -> int:
    """How many of a text's tokens a layer with that entry leaves: ceil(share * tokens), at least 2, or
    the count; never more than there are."""
    if isinstance(entry, float):
        entry = max(FEWEST_BY_RATIO, math.ceil(entry * tokens - _FLOAT_SLACK))
    return min(entry, tokens)


def shrinking(num_layers: int, drop: float) -> LengthConfig:
    """The configuration whose every layer drops the same share of the tokens that enter it.

    Shares have four digits: they are names of files, too.
    """
    left = ((1.0 - drop) ** number for number in range(1, num_layers + 1))
    return LengthConfig(tuple(max(round(share, 4), 1e-4) for share in left))


def as_length_config(value: LengthConfig | Sequence[Length] | None) -> LengthConfig | None:
    """A length configuration from what a user may write for one."""
    return value if value is None or isinstance(value, LengthConfig) else LengthConfig(value)


def _checked(entries: Iterable[Length]) -> tuple[Length, ...]:
    found = tuple(entries) if isinstance(entries, Iterable) and not isinstance(entries, str) else ()
    if not found or not all(
        isinstance(one, numbers.Real) and not isinstance(one, bool) for one in found
    ):
        raise UserError(f"a length configuration needs a number for each layer, got {entries!r}.")
    if all(isinstance(one, numbers.Integral) for one in found):
        counts: tuple[Length, ...] = tuple(int(one) for one in found)
        if min(counts) < 1:
            raise UserError(f"at least 1 token must leave each layer, got {counts}.")
    else:
        counts = tuple(float(one) for one in found)
        if not all(0 < one <= 1 for one in counts):
            raise UserError(
                f"shares of tokens must be in (0, 1], and counts whole numbers; got {found}."
            )
    if any(later > earlier for earlier, later in itertools.pairwise(counts)):
        raise UserError(f"no more tokens can leave a layer than entered it, got {counts}.")
    return counts
