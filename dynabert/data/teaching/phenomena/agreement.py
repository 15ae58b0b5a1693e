"""Number: of subjects and verbs, of determiners and nouns."""

from __future__ import annotations

from dynabert.data.teaching.draw import Draw
from dynabert.data.teaching.lexicon import DETERMINER_PAIRS, NounKind
from dynabert.data.teaching.phenomena.phenomenon import Phenomenon, Quadruple, Template, crossed
from dynabert.data.teaching.phrases import (
    SPEECH_VERBS,
    Modifier,
    adjective_pair,
    adverb,
    any_number,
    clause,
    copula,
    entity,
    noun_phrase,
    object_bond,
    object_relative,
    past_predicate,
    place,
    predicate,
    prepositional,
    subject,
    subject_bond,
    subject_relative,
    verb_phrase,
)
from dynabert.data.teaching.sentence import Phrase, Word, join

# Subject and verb of the main clause


def _agreement(draw: Draw, kind: NounKind, after_subject: Modifier) -> Quadruple:
    head = entity(draw, kind)
    verb = predicate(draw, kind)
    return crossed(
        lambda plural, verb_plural: clause(after_subject(head(plural), plural), verb(verb_plural))
    )


def _no_attractor(draw: Draw) -> Quadruple:
    kind: NounKind = draw.pick(("person", "person", "thing", "fixture"))
    return _agreement(draw, kind, lambda head, plural: head)


def _prepositional_attractor(draw: Draw) -> Quadruple:
    return _agreement(
        draw, draw.pick(("person", "person", "thing", "fixture")), prepositional(draw)
    )


def _two_prepositional_attractors(draw: Draw) -> Quadruple:
    first, second = prepositional(draw), prepositional(draw, "fixture", "place")
    kind: NounKind = draw.pick(("person", "person", "thing", "fixture"))
    return _agreement(draw, kind, lambda head, plural: second(first(head, plural), plural))


def _relative_attractor(draw: Draw) -> Quadruple:
    return _agreement(draw, "person", subject_relative(draw))


def _object_relative_attractor(draw: Draw) -> Quadruple:
    return _agreement(draw, "person", object_relative(draw))


def _relative_then_prepositional(draw: Draw) -> Quadruple:
    inside = prepositional(draw, "fixture", "place")
    return _agreement(draw, "person", subject_relative(draw, inside))


def _relative_around_prepositional(draw: Draw) -> Quadruple:
    inside = prepositional(draw, "fixture", "place")
    return _agreement(draw, "person", object_relative(draw, inside))


def _nested_relatives(draw: Draw) -> Quadruple:
    return _agreement(draw, "person", subject_relative(draw, object_relative(draw)))


def _question_with_attractor(draw: Draw) -> Quadruple:
    head = entity(draw)
    after_subject = subject_relative(draw)
    forms = draw.pick((("is", "are"), ("was", "were"), ("has", "have"), ("does", "do")))
    verb = draw.verb("intransitive", dynamic=True)
    form = {"has": verb.participle, "does": verb.base}.get(forms[0], verb.ing)

    def build(plural: bool, verb_plural: bool) -> Phrase:
        noun = head(plural)
        finite = Word(forms[verb_plural])
        bonds = (subject_bond(finite, noun),)
        return join(finite, after_subject(noun, plural), form, bonds=bonds, anchor=finite)

    return crossed(build)


# A verb inside a relative clause


def _verb_of_object_relative(draw: Draw) -> Quadruple:
    head, inner = entity(draw), entity(draw)
    after_inner = prepositional(draw)
    verb = draw.verb("strict", "optional", object_kind="person")
    between = adverb(draw, 0.3)
    main = past_predicate(draw)

    def build(plural: bool, verb_plural: bool) -> Phrase:
        object_, noun = head(not plural), inner(plural)
        lexical = Word((verb.third, verb.base)[verb_plural])
        bonds = (subject_bond(lexical, noun), object_bond(lexical, object_))
        relative = join("that", after_inner(noun, plural), between, lexical, bonds=bonds)
        return clause(join(object_, relative), main)

    return crossed(build)


def _verb_of_subject_relative(draw: Draw) -> Quadruple:
    head = entity(draw)
    verb = predicate(draw, "person")
    main = past_predicate(draw)

    def build(plural: bool, verb_plural: bool) -> Phrase:
        noun, inner = head(plural), verb(verb_plural)
        relative = join("that", inner, bonds=(subject_bond(inner, noun),))
        return clause(join(noun, relative), main)

    return crossed(build)


def _verb_about_the_object(draw: Draw) -> Quadruple:
    head = entity(draw)
    inner_verb = predicate(draw, "person")
    main_subject = subject(draw)
    main_verb = draw.verb("strict", object_kind="person").past

    def build(plural: bool, verb_plural: bool) -> Phrase:
        noun, inner = head(plural), inner_verb(verb_plural)
        relative = join("that", inner, bonds=(subject_bond(inner, noun),))
        object_ = join(noun, relative)
        return clause(main_subject, verb_phrase(main_verb, object_))

    return crossed(build)


def _verb_after_speech(draw: Draw) -> Quadruple:
    head, speaker = entity(draw), entity(draw)
    speech = draw.pick(SPEECH_VERBS)
    verb = predicate(draw, "person")
    main = past_predicate(draw)

    def build(plural: bool, verb_plural: bool) -> Phrase:
        noun, inner = head(plural), verb(verb_plural)
        said = clause(speaker(not plural), verb_phrase(speech[not plural]))
        relative = join("that", said, inner, bonds=(subject_bond(inner, noun),))
        return clause(join(noun, relative), main)

    return crossed(build)


def _verb_of_whose(draw: Draw) -> Quadruple:
    head, thing = entity(draw), draw.noun("thing")
    forms = draw.pick((("is", "are"), ("was", "were")))
    between, quality = adverb(draw, 0.3), draw.adjective("thing")
    main = past_predicate(draw)

    def build(plural: bool, verb_plural: bool) -> Phrase:
        owner, owned = head(not plural), Word(thing.plural if plural else thing.singular)
        verb = copula(forms[verb_plural], between, quality)
        relative = join("whose", owned, verb, bonds=(subject_bond(verb, owned),))
        return clause(join(owner, relative), main)

    return crossed(build)


# Determiner and noun


def _determined(draw: Draw, kind: NounKind, modifiers: str) -> tuple[Phrase, ...]:
    """The four combinations of determiner and noun, the noun's number first."""
    noun = draw.noun(kind)
    determiners = draw.pick(DETERMINER_PAIRS)
    return tuple(
        noun_phrase(noun, plural, determiner, modifiers)
        for plural in (False, True)
        for determiner in determiners
    )


def _modifiers(draw: Draw, kind: NounKind) -> str:
    """None, one or two adjectives."""
    if draw.chance(0.5):
        return ""
    return adjective_pair(draw, kind) if draw.chance(0.5) else draw.adjective(kind)


def _determiner_of_object(draw: Draw) -> Quadruple:
    verb = draw.verb("strict", "optional", object_kind="thing").past
    who = subject(draw, 0.3)
    what = _determined(draw, "thing", _modifiers(draw, "thing"))
    where = place(draw) if draw.chance(0.4) else ""
    return crossed(
        lambda noun, determiner: join(
            clause(who, verb_phrase(verb, what[2 * noun + determiner])), where
        )
    )


def _determiner_of_subject(draw: Draw) -> Quadruple:
    who = _determined(draw, "person", _modifiers(draw, "person"))
    where = prepositional(draw)
    main = past_predicate(draw)
    return crossed(lambda noun, determiner: clause(where(who[2 * noun + determiner], noun), main))


def _determiner_in_prepositional(draw: Draw) -> Quadruple:
    kind: NounKind = draw.pick(("fixture", "place"))
    head, plural = entity(draw), draw.chance(0.5)
    preposition = draw.pick(("near", "behind", "beside"))
    where = _determined(draw, kind, _modifiers(draw, kind))
    main = past_predicate(draw)
    return crossed(
        lambda noun, determiner: clause(
            join(head(plural), preposition, where[2 * noun + determiner]), main
        )
    )


def _determiner_after_very(draw: Draw) -> Quadruple:
    first = draw.adjective("person")
    modifiers = (
        f"very {first}" if draw.chance(0.4) else f"{first} and very {draw.adjective('person')}"
    )
    verb = draw.verb("strict", "optional", object_kind="person").past
    who = subject(draw)
    whom = _determined(draw, "person", modifiers)
    return crossed(
        lambda noun, determiner: clause(who, verb_phrase(verb, whom[2 * noun + determiner]))
    )


def _determiner_in_question(draw: Draw) -> Quadruple:
    who = _determined(draw, "person", _modifiers(draw, "person"))
    where = prepositional(draw)
    verb = draw.verb("strict", "optional", object_kind="person").base
    whom = any_number(draw)

    def build(noun: bool, determiner: bool) -> Phrase:
        subject_ = where(who[2 * noun + determiner], noun)
        did = Word("did")
        bonds = (subject_bond(did, subject_),)
        return join(did, subject_, verb_phrase(verb, whom), bonds=bonds, anchor=did)

    return crossed(build)


AGREEMENT = Phenomenon(
    name="subject-verb agreement",
    title="Subject–verb agreement",
    about="The verb agrees with its subject, not with a nearer noun.",
    acceptable="The boys near the car laugh.",
    unacceptable="The boys near the car laughs.",
    share=0.20,
    templates=(
        Template(name="next to the subject", write=_no_attractor, share=6),
        Template(name="prepositional phrase", write=_prepositional_attractor),
        Template(name="two prepositional phrases", write=_two_prepositional_attractors),
        Template(name="subject relative", write=_relative_attractor),
        Template(name="object relative", write=_object_relative_attractor),
        Template(name="prepositional phrase in relative", write=_relative_then_prepositional),
        Template(
            name="prepositional phrase in object relative",
            write=_relative_around_prepositional,
            held_out=True,
        ),
        Template(name="nested relatives", write=_nested_relatives, held_out=True),
        Template(
            name="question with relative",
            write=_question_with_attractor,
            question=True,
            held_out=True,
        ),
    ),
)
RELATIVE_AGREEMENT = Phenomenon(
    name="agreement in relative clauses",
    title="Agreement inside relative clauses",
    about="A verb in a relative clause agrees with its own subject, wherever that stands.",
    acceptable="The boy that the teachers near the car admire laughed.",
    unacceptable="The boy that the teachers near the car admires laughed.",
    share=0.11,
    templates=(
        Template(name="object relative", write=_verb_of_object_relative),
        Template(name="subject relative", write=_verb_of_subject_relative, share=3),
        Template(name="relative on the object", write=_verb_about_the_object),
        Template(name="across a verb of speech", write=_verb_after_speech, held_out=True),
        Template(name="whose", write=_verb_of_whose, held_out=True),
    ),
)
DETERMINERS = Phenomenon(
    name="determiner-noun agreement",
    title="Determiner–noun agreement",
    about="A determiner agrees with its noun, across the adjectives between them.",
    acceptable="The boy sold these old and heavy lamps.",
    unacceptable="The boy sold this old and heavy lamps.",
    share=0.09,
    templates=(
        Template(name="object", write=_determiner_of_object),
        Template(name="subject", write=_determiner_of_subject),
        Template(name="prepositional phrase", write=_determiner_in_prepositional),
        Template(name="adverb before the adjective", write=_determiner_after_very, held_out=True),
        Template(name="question", write=_determiner_in_question, question=True, held_out=True),
    ),
)
