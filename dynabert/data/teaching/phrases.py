"""The small grammar that all phenomena share: noun phrases, relative clauses, predicates."""

from __future__ import annotations

from collections.abc import Callable

from dynabert.data.teaching.draw import Draw
from dynabert.data.teaching.lexicon import OPPOSITES, PREPOSITIONS, Gender, Noun, NounKind
from dynabert.data.teaching.sentence import Bond, Phrase, Word, join

Numbered = Callable[[bool], Phrase]
"""A phrase waiting for its number: False for the singular, True for the plural."""

Modifier = Callable[[Phrase, bool], Phrase]
"""What follows a noun phrase of that number, as a function of the two; returns both, joined."""

SPEECH_VERBS = (
    ("says", "say", "said"),
    ("thinks", "think", "thought"),
    ("knows", "know", "knew"),
    ("believes", "believe", "believed"),
)
_COMMENTS = ("in fact", "of course", "in this case", "this time")


# Links


def subject_bond(verb: Phrase | Word, subject: Phrase | Word) -> Bond:
    return Bond("subject-verb", _anchor(verb), _anchor(subject))


def object_bond(verb: Phrase | Word, object_: Phrase | Word) -> Bond:
    return Bond("verb-object", _anchor(verb), _anchor(object_))


def reflexive_bond(antecedent: Phrase | Word, reflexive: Word) -> Bond:
    return Bond("antecedent-reflexive", _anchor(antecedent), reflexive)


def _anchor(part: Phrase | Word) -> Word:
    if isinstance(part, Word):
        return part
    assert part.anchor is not None, "this phrase cannot take part in a link"
    return part.anchor


# Noun phrases


def noun_phrase(noun: Noun, plural: bool, determiner: str = "the", modifiers: str = "") -> Phrase:
    """Determiner, modifiers, noun, with their link. The determiner "a" becomes "an" where it
    must."""
    head = Word(noun.plural if plural else noun.singular)
    if determiner == "a":
        next_word = (modifiers.split() or [head.text])[0]
        determiner = "an" if next_word[0] in "aeiou" or next_word == "honest" else "a"
    word = Word(determiner)
    return join(word, modifiers, head, bonds=(Bond("determiner-noun", head, word),), anchor=head)


def entity(
    draw: Draw, *kinds: NounKind, gender: Gender | None = None, adjectives: float = 0.08
) -> Numbered:
    """ "the (old) tables": a definite noun phrase of one of the kinds, by default a person."""
    noun = draw.noun(*(kinds or ("person",)), gender=gender)
    describable = noun.kind != "event"
    modifier = draw.adjective(noun.kind) if describable and draw.chance(adjectives) else ""
    return lambda plural: noun_phrase(noun, plural, modifiers=modifier)


def any_number(draw: Draw, *kinds: NounKind) -> Phrase:
    """The same, in the singular or the plural."""
    phrase = entity(draw, *kinds)
    return phrase(draw.chance(0.5))


def name(draw: Draw, gender: Gender | None = None) -> Phrase:
    word = Word(draw.name(gender))
    return Phrase(words=(word,), anchor=word)


def adjective_pair(draw: Draw, kind: NounKind) -> str:
    """ "large and heavy", never "old and new"."""
    first = draw.adjective(kind)
    second = draw.adjective(kind)
    while frozenset((first, second)) in OPPOSITES:
        second = draw.adjective(kind)  # another each time: a draw repeats no word
    return f"{first} and {second}"


def place(draw: Draw) -> Phrase:
    """ "near the tables"."""
    return join(draw.pick(PREPOSITIONS), any_number(draw, "fixture", "place", "place"))


def adjunct(draw: Draw, probability: float) -> Phrase:
    """Sometimes a phrase of place or time, else nothing."""
    if not draw.chance(probability):
        return Phrase(words=())
    if draw.chance(0.6):
        return place(draw)
    return join(draw.pick(("before", "after", "during")), entity(draw, "event")(False))


def adverb(draw: Draw, probability: float) -> str:
    return draw.adverb() if draw.chance(probability) else ""


# What follows a noun. Nouns in it mostly differ in number from the noun they follow, to distract.


def _distractor(draw: Draw, *kinds: NounKind) -> Callable[[bool], tuple[Phrase, bool]]:
    """A noun phrase and its number, from the number of the noun before it."""
    phrase = entity(draw, *kinds)
    differs = draw.chance(0.8)
    return lambda plural: (phrase(plural != differs), plural != differs)


def prepositional(draw: Draw, *kinds: NounKind) -> Modifier:
    """ "near the cars"."""
    preposition = draw.pick(PREPOSITIONS)
    distractor = _distractor(draw, *(kinds or ("person", "fixture", "place")))
    return lambda head, plural: join(head, preposition, distractor(plural)[0])


def subject_relative(draw: Draw, inside: Modifier | None = None) -> Modifier:
    """ "that admired the teachers", of a person; `inside` follows the teachers."""
    verb = draw.verb("strict", "optional", object_kind="person")
    distractor = _distractor(draw)
    present = draw.chance(0.3)

    def follow(head: Phrase, plural: bool) -> Phrase:
        object_, object_plural = distractor(plural)
        lexical = Word((verb.third, verb.base)[plural] if present else verb.past)
        bonds = (subject_bond(lexical, head), object_bond(lexical, object_))
        end = inside(object_, object_plural) if inside else object_
        return join(head, "that", lexical, end, bonds=bonds)

    return follow


def object_relative(draw: Draw, inside: Modifier | None = None) -> Modifier:
    """ "that the teachers admire", of a person; `inside` follows the teachers."""
    verb = draw.verb("strict", "optional", object_kind="person")
    distractor = _distractor(draw)
    present = draw.chance(0.5)
    between = adverb(draw, 0.25)

    def follow(head: Phrase, plural: bool) -> Phrase:
        subject, subject_plural = distractor(plural)
        lexical = Word((verb.third, verb.base)[subject_plural] if present else verb.past)
        bonds = (subject_bond(lexical, subject), object_bond(lexical, head))
        start = inside(subject, subject_plural) if inside else subject
        return join(head, "that", start, between, lexical, bonds=bonds)

    return follow


def modifier(draw: Draw, probability: float = 0.6) -> Modifier:
    """One of the three, for a person; or nothing."""
    if not draw.chance(probability):
        return lambda head, plural: head
    kind = draw.pick(("prepositional", "subject", "object"))
    if kind == "prepositional":
        return prepositional(draw)
    return subject_relative(draw) if kind == "subject" else object_relative(draw)


def subject(draw: Draw, modified: float = 0.35) -> Phrase:
    """A person in the singular or the plural, often with something that follows the noun."""
    head, plural = entity(draw), draw.chance(0.5)
    return modifier(draw, modified)(head(plural), plural)


# Predicates and clauses


def clause(subject: Phrase, predicate: Phrase) -> Phrase:
    """Subject and predicate, linked."""
    return join(
        subject, predicate, bonds=(subject_bond(predicate, subject),), anchor=predicate.anchor
    )


def verb_phrase(
    verb: str, object_: Phrase | None = None, *, auxiliary: str = "", adverb: str = ""
) -> Phrase:
    """(auxiliary) (adverb) verb (object); the anchor is the auxiliary if there is one, else the
    verb."""
    lexical = Word(verb)
    finite = Word(auxiliary) if auxiliary else lexical
    before = (finite, adverb) if auxiliary else (adverb,)
    bonds = (object_bond(lexical, object_),) if object_ else ()
    return join(*before, lexical, object_ or "", bonds=bonds, anchor=finite)


def copula(form: str, adverb: str, quality: str) -> Phrase:
    """ "was (often) old"."""
    verb = Word(form)
    return join(verb, adverb, quality, anchor=verb)


def predicate(draw: Draw, kind: NounKind) -> Numbered:
    """A predicate that shows number: "often laugh(s)", "admire(s) the boy", "has/have seen …",
    "is/are old"."""
    between = adverb(draw, 0.2)
    if kind != "person" or draw.chance(0.2):
        forms = draw.pick((("is", "are"), ("was", "were")))
        quality = draw.adjective(kind)
        return lambda plural: copula(forms[plural], between, quality)
    if draw.chance(0.45):
        verb, object_ = draw.verb("intransitive"), None
    else:
        verb = draw.verb("strict", "optional", object_kind="person")
        object_ = any_number(draw)
    if draw.chance(0.3):
        return lambda plural: verb_phrase(
            verb.participle, object_, auxiliary=("has", "have")[plural], adverb=between
        )
    return lambda plural: verb_phrase((verb.third, verb.base)[plural], object_, adverb=between)


def past_predicate(draw: Draw) -> Phrase:
    """A predicate of a person that has the same form in both numbers."""
    if draw.chance(0.5):
        return join(verb_phrase(draw.verb("intransitive").past), adjunct(draw, 0.3))
    verb = draw.verb("strict", "optional", object_kind="person")
    return verb_phrase(verb.past, any_number(draw))


def surroundings(draw: Draw, *, question: bool) -> Callable[[Phrase], Phrase]:
    """Makes a sentence of a clause: sometimes a comment before it, or the speech of somebody;
    and the mark at its end."""
    if question:
        return lambda core: join(core, "?")
    if draw.chance(0.1):
        speaker, plural = entity(draw), draw.chance(0.5)
        verb = draw.pick(SPEECH_VERBS)[plural]
        said = clause(speaker(plural), verb_phrase(verb))
        return lambda core: join(said, "that", core, ".")
    if draw.chance(0.05):
        comment = draw.pick(_COMMENTS)
        return lambda core: join(comment, ",", core, ".")
    return lambda core: join(core, ".")
