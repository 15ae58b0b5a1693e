"""Random lexical choices for one set of sentences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from random import Random
from typing import TypeVar

from dynabert.data.teaching.lexicon import (
    ADJECTIVES,
    ADVERBS,
    NAMES,
    NOUNS,
    PRONOUNS,
    SELECTORS,
    VERBS,
    Gender,
    Noun,
    NounKind,
    Pronoun,
    Valency,
    Verb,
)

T = TypeVar("T")


class Draw:
    """Draws words of one half of the lexicon, never the same word twice for one set of sentences.

    Only `Random.random` is used, the one method whose sequence Python promises to keep.
    """

    def __init__(self, random: Random, *, held_out: bool) -> None:
        self._random = random
        self._held_out = held_out
        self._used: set[str] = set()

    def pick(self, choices: Sequence[T]) -> T:
        return choices[int(self._random.random() * len(choices))]

    def chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def _fresh(self, choices: Sequence[T], text: Callable[[T], str]) -> T:
        unused = [choice for choice in choices if text(choice) not in self._used]
        assert unused, "a template asks for more different words than the lexicon has"
        choice = self.pick(unused)
        self._used.add(text(choice))
        return choice

    def noun(self, *kinds: NounKind, gender: Gender | None = None) -> Noun:
        """A noun of one of the kinds, every kind equally likely."""
        return self._fresh(_nouns(self.pick(kinds), gender, self._held_out), lambda n: n.singular)

    def name(self, gender: Gender | None = None) -> str:
        return self._fresh(_names(gender, self._held_out), str)

    def verb(
        self,
        *valencies: Valency,
        object_kind: NounKind | None = None,
        reflexive: bool = False,
        dynamic: bool = False,
        distinct_past: bool = False,
    ) -> Verb:
        """A verb; `dynamic` leaves stative verbs out, `distinct_past` those whose past is their
        participle."""
        choices = _verbs(valencies, object_kind, reflexive, dynamic, distinct_past, self._held_out)
        return self._fresh(choices, lambda v: v.base)

    def adjective(self, kind: NounKind) -> str:
        return self._fresh(_adjectives(kind, self._held_out), str)

    def adverb(self) -> str:
        return self._fresh(_adverbs(self._held_out), str)

    def selector(self, selects: str) -> str:
        return self._fresh(_selectors(selects, self._held_out), str)

    def pronoun(self) -> Pronoun:
        return self.pick(_pronouns(self._held_out))


@cache
def _nouns(kind: NounKind, gender: Gender | None, held_out: bool) -> tuple[Noun, ...]:
    return tuple(
        noun
        for noun in NOUNS
        if (noun.kind, noun.held_out) == (kind, held_out) and gender in (None, noun.gender)
    )


@cache
def _names(gender: Gender | None, held_out: bool) -> tuple[str, ...]:
    return tuple(
        name.text for name in NAMES if name.held_out == held_out and gender in (None, name.gender)
    )


@cache
def _verbs(
    valencies: tuple[Valency, ...],
    object_kind: NounKind | None,
    reflexive: bool,
    dynamic: bool,
    distinct_past: bool,
    held_out: bool,
) -> tuple[Verb, ...]:
    return tuple(
        verb
        for verb in VERBS
        if verb.held_out == held_out
        and verb.valency in valencies
        and (object_kind is None or object_kind in verb.objects)
        and (verb.reflexive or not reflexive)
        and not (verb.stative and dynamic)
        and (verb.past != verb.participle or not distinct_past)
    )


@cache
def _adjectives(kind: NounKind, held_out: bool) -> tuple[str, ...]:
    return tuple(a.text for a in ADJECTIVES if a.held_out == held_out and kind in a.kinds)


@cache
def _adverbs(held_out: bool) -> tuple[str, ...]:
    return tuple(adverb.text for adverb in ADVERBS if adverb.held_out == held_out)


@cache
def _selectors(selects: str, held_out: bool) -> tuple[str, ...]:
    return tuple(s.text for s in SELECTORS if (s.selects, s.held_out) == (selects, held_out))


@cache
def _pronouns(held_out: bool) -> tuple[Pronoun, ...]:
    return tuple(pronoun for pronoun in PRONOUNS if pronoun.held_out == held_out)
