"""Numbers in sentences."""

from __future__ import annotations


def count(number: int, noun: str) -> str:
    """For example "1 layer", "1,024 tokens"."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def figures(value: float, digits: int) -> str:
    """With so many significant figures, and never in powers of ten: "0.0125", "12.5", "11,174"."""
    short = f"{value:,.{digits}g}"
    return f"{value:,.0f}" if "e+" in short else short
