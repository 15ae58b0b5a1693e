"""What one place in a sentence allows at another: gaps after question words, ever after no."""

from __future__ import annotations

from dynabert.data.teaching.draw import Draw
from dynabert.data.teaching.phenomena.phenomenon import (
    Phenomenon,
    Quadruple,
    Template,
    crossed,
    reordered,
)
from dynabert.data.teaching.phrases import (
    SPEECH_VERBS,
    adjunct,
    adverb,
    any_number,
    clause,
    copula,
    entity,
    noun_phrase,
    object_bond,
    place,
    subject,
    subject_bond,
    verb_phrase,
)
from dynabert.data.teaching.sentence import Phrase, Word, join

# Gaps: first factor, whether something stands at the front for the object; second, whether the
# object is missing.


def _gap_verb(draw: Draw, form: str) -> str:
    text: str = getattr(draw.verb("strict", object_kind="person", dynamic=True), form)
    return text


def _gap_in_embedded_question(draw: Draw) -> Quadruple:
    speaker, plural = entity(draw), draw.chance(0.5)
    knew = draw.pick(("knew", "forgot", "learned", "understood"))
    verb = _gap_verb(draw, "past")
    who, whom, more = subject(draw), any_number(draw), place(draw)

    def build(fronted: bool, missing: bool) -> Phrase:
        start = clause(speaker(plural), verb_phrase(knew))
        inner = clause(who, verb_phrase(verb, None if missing else whom))
        return join(start, "who" if fronted else "that", inner, more)

    return crossed(build)


def _gap_in_question(draw: Draw) -> Quadruple:
    verb = _gap_verb(draw, "base")
    who, whom, more = subject(draw), any_number(draw), place(draw)

    def build(fronted: bool, missing: bool) -> Phrase:
        did = Word("did")
        predicate = verb_phrase(verb, None if missing else whom)
        return join(
            "who" if fronted else "", did, who, predicate, more, bonds=(subject_bond(did, who),)
        )

    return crossed(build)


def _gap_in_cleft(draw: Draw) -> Quadruple:
    verb, quality = _gap_verb(draw, "past"), draw.pick(("clear", "true", "obvious"))
    head, who, whom, more = any_number(draw), subject(draw), any_number(draw), place(draw)

    def build(fronted: bool, missing: bool) -> Phrase:
        lexical = Word(verb)
        bonds = [subject_bond(lexical, who)]
        if missing and fronted:
            bonds.append(object_bond(lexical, head))
        if not missing:
            bonds.append(object_bond(lexical, whom))
        rest = (lexical, more) if missing else (lexical, whom, more)
        front = head if fronted else quality
        return join("it was", front, "that", who, *rest, bonds=tuple(bonds))

    return crossed(build)


def _gap_in_relative(draw: Draw) -> Quadruple:
    verb = _gap_verb(draw, "past")
    head, who, whom = any_number(draw), any_number(draw), any_number(draw)
    said, where = draw.pick(SPEECH_VERBS)[2], place(draw)
    main = draw.verb("intransitive").past

    def build(fronted: bool, missing: bool) -> Phrase:
        lexical = Word(verb)
        bonds = [subject_bond(lexical, who)]
        if missing and fronted:
            bonds.append(object_bond(lexical, head))
        if not missing:
            bonds.append(object_bond(lexical, whom))
        inner = join("that", who, lexical, "" if missing else whom, where, bonds=tuple(bonds))
        if fronted:
            return clause(join(head, inner), verb_phrase(main))
        return join(clause(head, verb_phrase(said)), inner)

    return crossed(build)


def _gap_across_clauses(draw: Draw) -> Quadruple:
    verb, think = _gap_verb(draw, "past"), draw.pick(SPEECH_VERBS)[1]
    speaker, who, whom = any_number(draw), subject(draw), any_number(draw)
    more = place(draw)

    def build(fronted: bool, missing: bool) -> Phrase:
        did = Word("did")
        start = join(
            "who" if fronted else "", did, speaker, think, bonds=(subject_bond(did, speaker),)
        )
        inner = clause(who, verb_phrase(verb, None if missing else whom))
        return join(start, "that", inner, more)

    return crossed(build)


def _gap_of_infinitive(draw: Draw) -> Quadruple:
    verb, hoped = _gap_verb(draw, "base"), draw.selector("hoping verb")
    who, whom, more = subject(draw), any_number(draw), adjunct(draw, 0.6)
    knew = draw.pick(("knew", "forgot"))

    def build(fronted: bool, missing: bool) -> Phrase:
        start = clause(who, verb_phrase(knew if fronted else hoped))
        predicate = verb_phrase(verb, None if missing else whom)
        return join(start, "who" if fronted else "", "to", predicate, more)

    return crossed(build)


# Words that need a negation above them. The members of a pair differ in where it stands.


def _ever(draw: Draw) -> tuple[str, str]:
    """The auxiliary, and what follows it."""
    if draw.chance(0.5):
        return "has", f"ever {draw.verb('intransitive').participle}"
    return "will", f"ever {draw.verb('intransitive').base}"


def _ever_after(draw: Draw, relative: str) -> Quadruple:
    first, second = draw.noun("person"), draw.noun("person")
    verb = draw.verb("strict", object_kind="person").past
    auxiliary, rest = _ever(draw)
    between, more = adverb(draw, 0.3), adjunct(draw, 0.3)

    def build(swapped: bool, right: bool) -> Phrase:
        head, inner = (second, first) if swapped else (first, second)
        head_phrase = noun_phrase(head, False, "no" if right else "the")
        inner_phrase = noun_phrase(inner, False, "the" if right else "no")
        lexical, finite = Word(verb), Word(auxiliary)
        agent, patient = (
            (head_phrase, inner_phrase) if relative == "subject" else (inner_phrase, head_phrase)
        )
        bonds = (
            subject_bond(lexical, agent),
            object_bond(lexical, patient),
            subject_bond(finite, head_phrase),
        )
        order = (
            (between, lexical, inner_phrase)
            if relative == "subject"
            else (inner_phrase, between, lexical)
        )
        return join(head_phrase, "that", *order, finite, rest, more, bonds=bonds)

    return reordered(build)


def _ever_after_subject_relative(draw: Draw) -> Quadruple:
    return _ever_after(draw, "subject")


def _ever_after_object_relative(draw: Draw) -> Quadruple:
    return _ever_after(draw, "object")


def _perfect(plural: bool, negative: bool, participle: str) -> tuple[Word, Phrase]:
    """ "has (not) seen" and its first word."""
    has = Word(("has", "have")[plural])
    return has, join(has, "not" if negative else "", participle, anchor=has)


def _any_after_relative(draw: Draw) -> Quadruple:
    head, whom, many = entity(draw), any_number(draw), draw.noun("person")
    inner = draw.verb("strict", object_kind="person").participle
    outer = draw.verb("strict", object_kind="person").participle

    def build(plural: bool, right: bool) -> Phrase:
        who = head(plural)
        inner_verb, outer_verb = Word(inner), Word(outer)
        any_many = noun_phrase(many, True, "any")
        first, relative = _perfect(plural, not right, "")
        second, main = _perfect(plural, right, "")
        bonds = (
            subject_bond(first, who),
            object_bond(inner_verb, whom),
            subject_bond(second, who),
            object_bond(outer_verb, any_many),
        )
        return join(
            who, "that", relative, inner_verb, whom, main, outer_verb, any_many, bonds=bonds
        )

    return reordered(build)


def _any_after_complement(draw: Draw) -> Quadruple:
    head, other, many = entity(draw), entity(draw), draw.noun("person")
    said, quality = draw.pick(SPEECH_VERBS)[2], draw.adjective("person")
    verb = draw.verb("strict", object_kind="person").participle

    def build(plural: bool, right: bool) -> Phrase:
        who, speech, lexical = head(plural), Word(said), Word(verb)
        any_many = noun_phrase(many, True, "any")
        has, perfect = _perfect(plural, right, "")
        is_old = clause(
            other(not plural),
            copula(("was", "were")[not plural], "" if right else "not", quality),
        )
        bonds = (
            subject_bond(speech, who),
            subject_bond(has, who),
            object_bond(lexical, any_many),
        )
        return join(who, "that", speech, "that", is_old, perfect, lexical, any_many, bonds=bonds)

    return reordered(build)


def _any_after_adverbial_clause(draw: Draw) -> Quadruple:
    conjunction = draw.pick(("because", "although"))
    first, second, many = entity(draw), entity(draw), draw.noun("person")
    cried = draw.verb("intransitive").participle
    verb, more = draw.verb("strict", object_kind="person").participle, place(draw)

    def build(plural: bool, right: bool) -> Phrase:
        lexical, any_many = Word(verb), noun_phrase(many, True, "any")
        _, start = _perfect(plural, not right, cried)
        _, main = _perfect(plural, right, "")
        bonds = (object_bond(lexical, any_many),)
        return join(
            conjunction,
            clause(first(plural), start),
            more,
            ",",
            join(clause(second(plural), main), lexical, any_many, bonds=bonds),
        )

    return reordered(build)


GAPS = Phenomenon(
    name="filler and gap",
    title="Filler and gap",
    about="A question word or a relative clause leaves a gap, and only they do.",
    acceptable="The teacher knew who the boy greeted near the house.",
    unacceptable="The teacher knew who the boy greeted the girl near the house.",
    share=0.07,
    templates=(
        Template(name="embedded question", write=_gap_in_embedded_question),
        Template(name="question", write=_gap_in_question, question=True, share=2),
        Template(name="cleft", write=_gap_in_cleft),
        Template(name="relative clause", write=_gap_in_relative),
        Template(
            name="question across clauses", write=_gap_across_clauses, question=True, held_out=True
        ),
        Template(name="infinitive", write=_gap_of_infinitive, held_out=True),
    ),
)
POLARITY = Phenomenon(
    name="negative polarity",
    title="Negative polarity",
    about="Ever and any need a negation above them, not just somewhere before them.",
    acceptable="No boy that greeted the teacher has ever laughed.",
    unacceptable="The boy that greeted no teacher has ever laughed.",
    share=0.05,
    templates=(
        Template(name="ever after subject relative", write=_ever_after_subject_relative),
        Template(name="ever after object relative", write=_ever_after_object_relative),
        Template(name="any after relative", write=_any_after_relative),
        Template(name="any after complement", write=_any_after_complement, held_out=True),
        Template(
            name="any after adverbial clause", write=_any_after_adverbial_clause, held_out=True
        ),
    ),
)
