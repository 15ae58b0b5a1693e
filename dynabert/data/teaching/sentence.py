"""Building sentences out of phrases, so that every syntactic link is known by its character span.

A `Word` is one occurrence: two words "the" in a sentence are two objects. Phrases carry the bonds
between their words; joining phrases keeps the bonds, and `render` turns them into `Link`s with
offsets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LinkKind = Literal["subject-verb", "determiner-noun", "antecedent-reflexive", "verb-object"]

_CLOSING_MARKS = frozenset(",.?")


@dataclass(frozen=True, kw_only=True)
class Link:
    """A gold syntactic relation between two words of a sentence, as [start, end) character offsets.

    The head is the word that governs, as in dependency grammar; of a reflexive, what it stands for:

    kind                   head                            dependent
    subject-verb           the finite verb (or auxiliary)  the subject's noun, name or pronoun
    determiner-noun        the noun                        its determiner
    antecedent-reflexive   the subject of its own clause   the reflexive
    verb-object            the verb whose object it is     the object's noun, name or pronoun

    "The finite verb" is the word that agrees: "has" in "has seen". A noun that a relative clause
    modifies is linked to the verb of that clause as its subject or object ("the boy that laughs":
    laughs, boy). Wh-words, "it", "there" and the subject of an infinitive are in no such link.
    In an unacceptable sentence a link says what the words would have to be to each other.
    """

    kind: LinkKind
    head: tuple[int, int]
    dependent: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Word:
    """One occurrence of a word or punctuation mark; compared by identity."""

    text: str


@dataclass(frozen=True)
class Bond:
    """A link before the sentence is written out: between words, not offsets."""

    kind: LinkKind
    head: Word
    dependent: Word


@dataclass(frozen=True)
class Phrase:
    """Words in order, the bonds among them, and the word that enters further bonds.

    The anchor is the noun of a noun phrase and the finite verb of a predicate.
    """

    words: tuple[Word, ...]
    bonds: tuple[Bond, ...] = ()
    anchor: Word | None = None


def join(
    *parts: Phrase | Word | str, bonds: tuple[Bond, ...] = (), anchor: Word | None = None
) -> Phrase:
    """One phrase of the parts in order, with their bonds and the new ones.

    A string is split at blanks into fresh words. Without `anchor`, the first anchored part gives
    it.
    """
    words: list[Word] = []
    inherited: list[Bond] = []
    for part in parts:
        if isinstance(part, Phrase):
            words.extend(part.words)
            inherited.extend(part.bonds)
            anchor = anchor or part.anchor
        elif isinstance(part, Word):
            words.append(part)
        else:
            words.extend(Word(text) for text in part.split())
    return Phrase(words=tuple(words), bonds=(*inherited, *bonds), anchor=anchor)


def render(phrase: Phrase) -> tuple[str, tuple[Link, ...]]:
    """The sentence in normal writing (first letter large, no blank before a mark) and its links in
    reading order."""
    text = ""
    spans: dict[Word, tuple[int, int]] = {}
    for word in phrase.words:
        assert word not in spans, f"the same occurrence of {word.text!r} was used twice"
        if text and word.text not in _CLOSING_MARKS:
            text += " "
        spans[word] = (len(text), len(text) + len(word.text))
        text += word.text
    links = {
        Link(kind=bond.kind, head=spans[bond.head], dependent=spans[bond.dependent])
        for bond in phrase.bonds
    }
    ordered = sorted(links, key=lambda link: (link.head, link.dependent, link.kind))
    return text[0].upper() + text[1:], tuple(ordered)
