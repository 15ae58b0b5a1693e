"""The build of a clause: the order of its words and the forms of its verb."""

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
    adjunct,
    adverb,
    any_number,
    clause,
    copula,
    entity,
    modifier,
    noun_phrase,
    object_bond,
    past_predicate,
    place,
    subject,
    subject_bond,
    verb_phrase,
)
from dynabert.data.teaching.sentence import Phrase, Word, join

# Word order


def _order_of_adverb(draw: Draw) -> Quadruple:
    head, after = entity(draw), modifier(draw)
    verb = draw.verb("strict", object_kind="person").past
    often, whom = draw.adverb(), any_number(draw)

    def build(plural: bool, right: bool) -> Phrase:
        lexical = Word(verb)
        noun = head(plural)
        bonds = (subject_bond(lexical, noun), object_bond(lexical, whom))
        order = (often, lexical) if right else (lexical, often)
        return join(after(noun, plural), *order, whom, bonds=bonds)

    return reordered(build)


def _order_of_enough(draw: Draw) -> Quadruple:
    head, after = entity(draw), modifier(draw)
    quality = draw.adjective("person")
    verb, whom = Word(draw.verb("strict", object_kind="person").base), any_number(draw)

    def build(plural: bool, right: bool) -> Phrase:
        order = f"{quality} enough" if right else f"enough {quality}"
        start = clause(after(head(plural), plural), copula(("was", "were")[plural], "", order))
        return join(start, "to", verb, whom, bonds=(object_bond(verb, whom),))

    return reordered(build)


def _order_of_adjective(draw: Draw) -> Quadruple:
    head, noun = entity(draw), draw.noun("fixture", "place")
    quality = draw.adjective(noun.kind)
    preposition = draw.pick(("near", "behind", "beside"))
    many = draw.chance(0.5)
    main = past_predicate(draw)

    def build(plural: bool, right: bool) -> Phrase:
        thing = (
            noun_phrase(noun, many, modifiers=quality)
            if right
            else join(noun_phrase(noun, many), quality)
        )
        start = head(plural)
        return clause(join(start, preposition, thing), main)

    return reordered(build)


def _order_of_negation(draw: Draw) -> Quadruple:
    head, after = entity(draw), modifier(draw)
    verb = draw.verb("strict", object_kind="person")
    did, whom = draw.chance(0.5), any_number(draw)

    def build(plural: bool, right: bool) -> Phrase:
        auxiliary = Word("did" if did else ("has", "have")[plural])
        lexical = Word(verb.base if did else verb.participle)
        noun = head(plural)
        bonds = (subject_bond(auxiliary, noun), object_bond(lexical, whom))
        order = ("not", lexical) if right else (lexical, "not")
        return join(after(noun, plural), auxiliary, *order, whom, bonds=bonds)

    return reordered(build)


def _order_of_all(draw: Draw) -> Quadruple:
    nouns = draw.noun("person"), draw.noun("person")
    verb = draw.verb("strict", object_kind="person").past
    after = modifier(draw)

    def build(swapped: bool, right: bool) -> Phrase:
        agent, patient = (noun_phrase(noun, True) for noun in (nouns[::-1] if swapped else nouns))
        the, *rest = patient.words
        order = (Word("all"), the) if right else (the, Word("all"))
        everyone = Phrase((*order, *rest), patient.bonds, patient.anchor)
        return clause(after(agent, True), verb_phrase(verb, everyone))

    return reordered(build)


def _order_of_question(draw: Draw) -> Quadruple:
    head, after = entity(draw), modifier(draw)
    verb, whom = draw.verb("strict", object_kind="person"), any_number(draw)
    did, why = draw.chance(0.5), draw.pick(("why", "when", "where"))

    def build(plural: bool, right: bool) -> Phrase:
        auxiliary = Word("did" if did else ("was", "were")[plural])
        noun = head(plural)
        whole = after(noun, plural)
        order = (auxiliary, whole) if right else (whole, auxiliary)
        predicate = verb_phrase(verb.base if did else verb.ing, whom)
        return join(why, *order, predicate, bonds=(subject_bond(auxiliary, noun),))

    return reordered(build)


def _order_of_preposition(draw: Draw) -> Quadruple:
    head = entity(draw)
    preposition = draw.pick(("near", "behind", "beside"))
    where, main = any_number(draw, "fixture", "place"), past_predicate(draw)

    def build(plural: bool, right: bool) -> Phrase:
        order = (preposition, where) if right else (where, preposition)
        return clause(join(head(plural), *order), main)

    return reordered(build)


# Forms of the verb


def _form_after_have(draw: Draw) -> Quadruple:
    verb = draw.verb("strict", "optional", object_kind="thing", distinct_past=True)
    head, plural, after = entity(draw), draw.chance(0.5), modifier(draw)
    between, what, more = adverb(draw, 0.5), any_number(draw, "thing"), adjunct(draw, 0.3)

    def build(perfect: bool, participle: bool) -> Phrase:
        form = verb.participle if participle else verb.past
        auxiliary = ("has", "have")[plural] if perfect else ""
        predicate = verb_phrase(form, what, auxiliary=auxiliary, adverb=between)
        return join(clause(after(head(plural), plural), predicate), more)

    return crossed(build)


def _form_after_be(draw: Draw) -> Quadruple:
    verb = draw.verb("strict", "optional", object_kind="person", dynamic=True)
    head, plural, after = entity(draw), draw.chance(0.5), modifier(draw)
    between, whom, more = adverb(draw, 0.4), any_number(draw), adjunct(draw, 0.3)

    def build(perfect: bool, participle: bool) -> Phrase:
        form = verb.participle if participle else verb.ing
        auxiliary = "had" if perfect else ("was", "were")[plural]
        predicate = verb_phrase(form, whom, auxiliary=auxiliary, adverb=between)
        return join(clause(after(head(plural), plural), predicate), more)

    return crossed(build)


def _form_in_relative(draw: Draw) -> Quadruple:
    verb = draw.verb("strict", "optional", object_kind="person")
    head, plural, agent = any_number(draw), draw.chance(0.5), entity(draw)
    between, main, where = adverb(draw, 0.4), past_predicate(draw), place(draw)

    def build(perfect: bool, participle: bool) -> Phrase:
        auxiliary = Word(("has", "have")[plural] if perfect else "will")
        lexical = Word(verb.participle if participle else verb.base)
        who = agent(plural)
        bonds = (subject_bond(auxiliary, who), object_bond(lexical, head))
        relative = join("that", who, where, auxiliary, between, lexical, bonds=bonds)
        return clause(join(head, relative), main)

    return crossed(build)


def _form_in_question(draw: Draw) -> Quadruple:
    verb = draw.verb("strict", "optional", object_kind="person")
    head, plural, after, whom = entity(draw), draw.chance(0.5), modifier(draw), any_number(draw)

    def build(perfect: bool, participle: bool) -> Phrase:
        auxiliary = Word(("has", "have")[plural] if perfect else "did")
        who = head(plural)
        predicate = verb_phrase(verb.participle if participle else verb.base, whom)
        bonds = (subject_bond(auxiliary, who),)
        return join(auxiliary, after(who, plural), predicate, bonds=bonds)

    return crossed(build)


def _form_in_progressive_question(draw: Draw) -> Quadruple:
    verb = draw.verb("strict", "optional", object_kind="person", dynamic=True)
    head, plural, after, whom = entity(draw), draw.chance(0.5), modifier(draw), any_number(draw)

    def build(perfect: bool, participle: bool) -> Phrase:
        auxiliary = Word("had" if perfect else ("was", "were")[plural])
        who = head(plural)
        predicate = verb_phrase(verb.participle if participle else verb.ing, whom)
        bonds = (subject_bond(auxiliary, who),)
        return join(auxiliary, after(who, plural), predicate, bonds=bonds)

    return crossed(build)


def _form_in_passive(draw: Draw) -> Quadruple:
    verb = draw.verb("strict", "optional", object_kind="thing", distinct_past=True)
    thing, plural, agent = entity(draw, "thing"), draw.chance(0.5), subject(draw)
    between, where = adverb(draw, 0.5), place(draw)

    def build(passive: bool, participle: bool) -> Phrase:
        form = verb.participle if participle else verb.past
        if passive:
            predicate = verb_phrase(form, auxiliary=("was", "were")[plural], adverb=between)
            return join(clause(thing(plural), predicate), "by", agent, where)
        return join(clause(agent, verb_phrase(form, thing(plural), adverb=between)), where)

    return crossed(build)


ORDER = Phenomenon(
    name="word order",
    title="Word order",
    about="Adverbs, adjectives, auxiliaries and prepositions have their places.",
    acceptable="The boy near the old house often admired the girl.",
    unacceptable="The boy near the old house admired often the girl.",
    share=0.08,
    templates=(
        Template(name="adverb", write=_order_of_adverb),
        Template(name="enough", write=_order_of_enough),
        Template(name="adjective", write=_order_of_adjective),
        Template(name="negation", write=_order_of_negation),
        Template(name="all", write=_order_of_all, held_out=True),
        Template(name="question", write=_order_of_question, question=True, held_out=True),
        Template(name="preposition", write=_order_of_preposition, held_out=True),
    ),
)
FORMS = Phenomenon(
    name="verb forms",
    title="Verb forms",
    about="Each auxiliary asks for one form of the verb after it.",
    acceptable="The boy that the girls admired has often seen the car.",
    unacceptable="The boy that the girls admired has often saw the car.",
    share=0.06,
    templates=(
        Template(name="perfect", write=_form_after_have),
        Template(name="progressive", write=_form_after_be),
        Template(name="relative clause", write=_form_in_relative),
        Template(name="question", write=_form_in_question, question=True),
        Template(
            name="progressive question",
            write=_form_in_progressive_question,
            question=True,
            held_out=True,
        ),
        Template(name="passive", write=_form_in_passive, held_out=True),
    ),
)
