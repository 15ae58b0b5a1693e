"""Numbers in sentences."""

from __future__ import annotations

import math


def count(number: int, noun: str) -> str:
    """For example "1 layer", "1,024 tokens"."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def figures(value: float, digits: int) -> str:
    """With so many significant figures, and never in powers of ten: "0.0125", "12.5", "11,174"."""
    short = f"{value:,.{digits}g}"
    if "e" not in short:
        return short
    return f"{value:,.{max(0, digits - 1 - math.floor(math.log10(abs(value))))}f}"


def percent(share: float) -> str:
    """For example "87%"; what is there but rounds to nothing is "<1%", what is not all ">99%"."""
    if 0 < share < 0.005:
        return "<1%"
    return ">99%" if 0.995 <= share < 1 else f"{share:.0%}"


def cut_in_words(num_cut: int, max_tokens: int, *, pair: bool) -> str:
    """That a text was too long for a model.  pair: two texts, of which the longer one is cut."""
    left_out = f"{num_cut:,} {'is' if num_cut == 1 else 'are'} left out"
    read = f"longer than the {max_tokens:,} tokens this model was trained to read"
    if pair:
        return f"The two texts are {read}: {left_out}, at the end of the longer one."
    return f"The text is {read}: the last {left_out}."
