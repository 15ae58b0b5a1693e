"""What a verb or adjective asks for: objects, clauses, subjects that mean nothing.

Each template has two frames, and two words of which each fits one frame only.
"""

from __future__ import annotations

from dynabert.data.teaching.draw import Draw
from dynabert.data.teaching.phenomena.phenomenon import Phenomenon, Quadruple, Template, crossed
from dynabert.data.teaching.phrases import (
    adjunct,
    adverb,
    any_number,
    clause,
    copula,
    entity,
    noun_phrase,
    object_bond,
    past_predicate,
    place,
    subject,
    subject_bond,
    verb_phrase,
)
from dynabert.data.teaching.sentence import Phrase, Word, join

# Objects: first factor, whether there is one; second, whether the verb must have one.


def _verbs(draw: Draw, form: str) -> tuple[str, str]:
    """One that never has an object and one that always has."""
    verbs = (draw.verb("intransitive"), draw.verb("strict", object_kind="person"))
    return getattr(verbs[0], form), getattr(verbs[1], form)


def _object_of_clause(draw: Draw) -> Quadruple:
    verbs = _verbs(draw, "past")
    who, whom = subject(draw), any_number(draw)
    between, more = adverb(draw, 0.3), adjunct(draw, 0.5)

    def build(has_object: bool, needs_object: bool) -> Phrase:
        predicate = verb_phrase(verbs[needs_object], whom if has_object else None, adverb=between)
        return join(clause(who, predicate), more)

    return crossed(build)


def _object_of_relative(draw: Draw) -> Quadruple:
    verbs = _verbs(draw, "past")
    head, agent = any_number(draw), any_number(draw)
    where = place(draw)
    main = past_predicate(draw)

    def build(has_object: bool, needs_object: bool) -> Phrase:
        lexical = Word(verbs[needs_object])
        if not has_object:
            bond = subject_bond(lexical, head)
            return clause(join(head, "that", lexical, where, bonds=(bond,)), main)
        bonds = (subject_bond(lexical, agent), object_bond(lexical, head))
        return clause(join(head, "that", agent, lexical, where, bonds=bonds), main)

    return crossed(build)


def _object_of_passive(draw: Draw) -> Quadruple:
    verbs = _verbs(draw, "participle")
    head, plural = entity(draw), draw.chance(0.5)
    other = any_number(draw)
    where = place(draw)
    be = ("was", "were")[plural]

    def build(has_object: bool, needs_object: bool) -> Phrase:
        whole = join(head(plural), where)
        predicate = verb_phrase(
            verbs[needs_object], auxiliary=be if has_object else ("has", "have")[plural]
        )
        return join(clause(whole, predicate), "by" if has_object else "beside", other)

    return crossed(build)


def _object_of_infinitive(draw: Draw) -> Quadruple:
    verbs = _verbs(draw, "base")
    hoped = draw.selector("hoping verb")
    who, whom, more = subject(draw), any_number(draw), adjunct(draw, 0.5)

    def build(has_object: bool, needs_object: bool) -> Phrase:
        lexical = Word(verbs[needs_object])
        start = join(clause(who, verb_phrase(hoped)), "to", lexical)
        if has_object:
            return join(start, whom, more, bonds=(object_bond(lexical, whom),))
        return join(start, more)

    return crossed(build)


def _object_of_question(draw: Draw) -> Quadruple:
    verbs = _verbs(draw, "base")
    who, more = subject(draw), adjunct(draw, 0.5)

    def build(has_object: bool, needs_object: bool) -> Phrase:
        did = Word("did")
        bonds = (subject_bond(did, who),)
        question = "who" if has_object else "why"
        return join(question, did, who, verbs[needs_object], more, bonds=bonds)

    return crossed(build)


def _object_of_adverbial_clause(draw: Draw) -> Quadruple:
    verbs = _verbs(draw, "past")
    conjunction = draw.pick(("when", "because", "after", "although"))
    who, whom, more = subject(draw), any_number(draw), adjunct(draw, 0.3)
    main = clause(any_number(draw), past_predicate(draw))

    def build(has_object: bool, needs_object: bool) -> Phrase:
        predicate = verb_phrase(verbs[needs_object], whom if has_object else None)
        return join(conjunction, clause(who, predicate), more, ",", main)

    return crossed(build)


# "there" and clauses: raising against control


def _existence(draw: Draw) -> Phrase:
    """ "to be an old car near the house"."""
    noun = draw.noun("thing", "fixture", "animal")
    modifiers = draw.adjective(noun.kind) if draw.chance(0.5) else ""
    return join("to be", noun_phrase(noun, False, "a", modifiers), place(draw))


def _adjective_with_there(draw: Draw) -> Quadruple:
    adjectives = draw.selector("control adjective"), draw.selector("raising adjective")
    there = _existence(draw)
    who, whom, verb = subject(draw), any_number(draw), draw.verb("intransitive").base
    head, plural = entity(draw), draw.chance(0.5)

    def build(with_there: bool, raising: bool) -> Phrase:
        if with_there:
            return join("there was", adjectives[raising], there)
        start = clause(head(plural), copula(("was", "were")[plural], "", adjectives[raising]))
        return join(start, "for", whom, "to", verb, "near", who)

    return crossed(build)


def _verb_with_there(draw: Draw) -> Quadruple:
    verbs = draw.selector("hoping verb"), draw.selector("raising verb")
    there = _existence(draw)
    who, other = subject(draw), entity(draw)(False)
    quality = draw.adjective("person")

    def build(with_there: bool, raising: bool) -> Phrase:
        if with_there:
            return join("there", verbs[raising], there)
        inner = clause(other, copula("was", "", quality))
        return join(clause(who, verb_phrase(verbs[raising])), "that", inner)

    return crossed(build)


def _object_verb_with_there(draw: Draw) -> Quadruple:
    verbs = draw.selector("telling verb"), draw.selector("expecting verb")
    there = _existence(draw)
    who, whom = subject(draw), any_number(draw)
    inner = clause(
        any_number(draw), verb_phrase(draw.verb("intransitive").participle, auxiliary="had")
    )

    def build(with_there: bool, raising: bool) -> Phrase:
        verb = Word(verbs[raising])
        if with_there:
            return join(clause(who, join(verb, anchor=verb)), "there", there)
        bonds = (object_bond(verb, whom),)
        return join(clause(who, join(verb, anchor=verb)), whom, "that", inner, bonds=bonds)

    return crossed(build)


def _adjective_with_it(draw: Draw) -> Quadruple:
    adjectives = draw.selector("control adjective"), draw.selector("raising adjective")
    verbs = draw.verb("intransitive"), draw.verb("intransitive")
    head, plural, whom = entity(draw), draw.chance(0.5), any_number(draw)
    inner = clause(subject(draw), verb_phrase(verbs[0].participle, auxiliary="had"))

    def build(with_it: bool, raising: bool) -> Phrase:
        if with_it:
            return join("it was", adjectives[raising], "that", inner)
        start = clause(head(plural), copula(("was", "were")[plural], "", adjectives[raising]))
        return join(start, "for", whom, "to", verbs[1].base)

    return crossed(build)


# Verbs of giving take two objects, verbs of explaining take "to her that ..."


def _giving(draw: Draw) -> tuple[str, str]:
    return draw.selector("explaining verb"), draw.selector("giving verb")


def _news(draw: Draw) -> Phrase:
    verb = draw.verb("intransitive").participle
    return clause(any_number(draw), verb_phrase(verb, auxiliary="had"))


def _two_objects(draw: Draw) -> Quadruple:
    verbs = _giving(draw)
    who, whom, gift = subject(draw), any_number(draw), entity(draw, "thing")(False)
    between, news = adverb(draw, 0.3), _news(draw)

    def build(two_objects: bool, gives: bool) -> Phrase:
        if two_objects:
            start = clause(who, verb_phrase(verbs[gives], whom, adverb=between))
            return join(start, gift, bonds=(object_bond(start, gift),))
        start = clause(who, verb_phrase(verbs[gives], adverb=between))
        return join(start, "to", whom, "that", news)

    return crossed(build)


def _two_objects_in_relative(draw: Draw) -> Quadruple:
    verbs = _giving(draw)
    who, whom, gift = any_number(draw), any_number(draw), entity(draw, "thing")(False)
    news, main = _news(draw), verb_phrase(draw.verb("intransitive").past)

    def build(two_objects: bool, gives: bool) -> Phrase:
        verb = Word(verbs[gives])
        bonds = [subject_bond(verb, who)]
        if two_objects:
            bonds += [object_bond(verb, whom), object_bond(verb, gift)]
        rest = (whom, gift) if two_objects else ("to", whom, "that", news)
        return clause(join(who, "that", verb, *rest, bonds=tuple(bonds)), main)

    return crossed(build)


def _two_objects_in_passive(draw: Draw) -> Quadruple:
    explained, gave = _giving(draw)
    participles = explained, {"gave": "given"}.get(gave, gave)
    head, plural, gift = entity(draw), draw.chance(0.5), entity(draw, "thing")(False)
    where, news = place(draw), _news(draw)

    def build(two_objects: bool, gives: bool) -> Phrase:
        receiver = join(head(plural), where)
        participle = Word(participles[gives])
        if not two_objects:
            return join("it was", participle, "to", receiver, "that", news)
        start = clause(receiver, Phrase((be := Word(("was", "were")[plural]),), anchor=be))
        return join(start, participle, gift, bonds=(object_bond(participle, gift),))

    return crossed(build)


def _two_objects_in_question(draw: Draw) -> Quadruple:
    verbs = _giving(draw)
    head, plural, gift = entity(draw), draw.chance(0.5), entity(draw, "thing")(False)
    where, news = place(draw), _news(draw)

    def build(two_objects: bool, gives: bool) -> Phrase:
        verb, whom = Word(verbs[gives]), join(head(plural), where)
        if not two_objects:
            return join("who", verb, "to", whom, "that", news)
        bonds = (object_bond(verb, whom), object_bond(verb, gift))
        return join("who", verb, whom, gift, bonds=bonds)

    return crossed(build)


def _two_objects_of_second_verb(draw: Draw) -> Quadruple:
    verbs = _giving(draw)
    who, whom, gift = any_number(draw), any_number(draw), entity(draw, "thing")(False)
    first, more, news = draw.verb("intransitive").past, adjunct(draw, 0.5), _news(draw)

    def build(two_objects: bool, gives: bool) -> Phrase:
        verb = Word(verbs[gives])
        bonds = [subject_bond(verb, who)]
        if two_objects:
            bonds += [object_bond(verb, whom), object_bond(verb, gift)]
        rest = (whom, gift) if two_objects else ("to", whom, "that", news)
        start = clause(who, verb_phrase(first))
        return join(start, more, "and", verb, *rest, bonds=tuple(bonds))

    return crossed(build)


ARGUMENTS = Phenomenon(
    name="argument structure",
    title="Argument structure",
    about="Some verbs never have an object, others always have one.",
    acceptable="The boy that the girls greeted laughed.",
    unacceptable="The boy that the girls sneezed laughed.",
    share=0.10,
    templates=(
        Template(name="main clause", write=_object_of_clause, share=3),
        Template(name="relative clause", write=_object_of_relative),
        Template(name="passive", write=_object_of_passive),
        Template(name="infinitive", write=_object_of_infinitive),
        Template(name="question", write=_object_of_question, question=True, held_out=True),
        Template(name="adverbial clause", write=_object_of_adverbial_clause, held_out=True),
    ),
)
RAISING = Phenomenon(
    name="raising and control",
    title="Raising and control",
    about="There and it can be the subject only of words that ask nothing of their subject.",
    acceptable="There seemed to be a car near the house.",
    unacceptable="There hoped to be a car near the house.",
    share=0.04,
    templates=(
        Template(name="adjective with there", write=_adjective_with_there),
        Template(name="verb with there", write=_verb_with_there),
        Template(name="verb of expecting with there", write=_object_verb_with_there),
        Template(name="adjective with it", write=_adjective_with_it, held_out=True),
    ),
)
TWO_OBJECTS = Phenomenon(
    name="two objects",
    title="Two objects",
    about="One can give somebody something, but one explains it to somebody.",
    acceptable="The boy lent the teacher the camera.",
    unacceptable="The boy revealed the teacher the camera.",
    share=0.04,
    templates=(
        Template(name="main clause", write=_two_objects),
        Template(name="relative clause", write=_two_objects_in_relative),
        Template(name="passive", write=_two_objects_in_passive),
        Template(name="question", write=_two_objects_in_question, question=True, held_out=True),
        Template(name="second verb", write=_two_objects_of_second_verb, held_out=True),
    ),
)
