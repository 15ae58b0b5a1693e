"""What a phenomenon is: templates that write sentences in sets of four."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dynabert.data.teaching.draw import Draw
from dynabert.data.teaching.sentence import Phrase

Pair = tuple[Phrase, Phrase]
"""The acceptable and the unacceptable member of a minimal pair, without the mark at the end."""

Quadruple = tuple[Pair, Pair]
"""Two minimal pairs whose acceptable members together hold the same words as the unacceptable
ones: no word, and no sum over words, can tell the label."""


@dataclass(frozen=True, kw_only=True)
class Template:
    """One sentence structure. The held-out ones write no training sentence."""

    name: str
    write: Callable[[Draw], Quadruple]
    question: bool = False
    held_out: bool = False
    share: float = 1.0  # of its phenomenon's training sentences, against the other templates


@dataclass(frozen=True, kw_only=True)
class Phenomenon:
    """A piece of English grammar, with its templates and its share of the training sentences."""

    name: str
    title: str
    about: str
    acceptable: str  # examples, for people
    unacceptable: str
    share: float
    templates: tuple[Template, ...]


def crossed(build: Callable[[bool, bool], Phrase]) -> Quadruple:
    """The 2 x 2 design: what is built is acceptable where the two factors agree.

    Each factor chooses its own words ("boy" or "boys", "laughs" or "laugh"), so every word stands
    in one acceptable and one unacceptable sentence.
    """
    return (
        (build(False, False), build(False, True)),
        (build(True, True), build(True, False)),
    )


def reordered(build: Callable[[bool, bool], Phrase]) -> Quadruple:
    """Two pairs whose members differ only in the order of the same words.

    build: takes the number (of the subject, say) and whether the order is the right one.
    """
    return (
        (build(False, True), build(False, False)),
        (build(True, True), build(True, False)),
    )
