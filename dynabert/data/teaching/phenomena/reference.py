"""Pronouns: what a reflexive stands for, and the case of a personal pronoun."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dynabert.data.teaching.draw import Draw
from dynabert.data.teaching.lexicon import PREPOSITIONS, REFLEXIVES, Gender
from dynabert.data.teaching.phenomena.phenomenon import Phenomenon, Quadruple, Template, crossed
from dynabert.data.teaching.phrases import (
    SPEECH_VERBS,
    adjunct,
    adverb,
    any_number,
    clause,
    entity,
    name,
    object_bond,
    place,
    reflexive_bond,
    subject,
    subject_bond,
    verb_phrase,
)
from dynabert.data.teaching.sentence import Phrase, Word, join


@dataclass(frozen=True)
class _Rivals:
    """Two noun phrases that need different reflexives; the factor swaps what they need."""

    antecedent: Callable[[bool], Phrase]
    distractor: Callable[[bool], Phrase]
    reflexives: tuple[str, str]


def _rivals(draw: Draw, names: float = 0.0) -> _Rivals:
    """They differ in number or in gender; `names` is how often the latter are names."""
    genders: tuple[Gender, Gender] = ("masculine", "feminine")
    if draw.chance(0.5):
        gender = draw.pick(genders)
        first, second = entity(draw, gender=gender), entity(draw, gender=gender)
        return _Rivals(first, lambda plural: second(not plural), (REFLEXIVES[gender], "themselves"))
    named = draw.chance(names)
    phrases = [
        name(draw, gender) if named else entity(draw, gender=gender)(False) for gender in genders
    ]
    return _Rivals(lambda f: phrases[f], lambda f: phrases[not f], ("himself", "herself"))


def _acts_on_oneself(draw: Draw, rivals: _Rivals) -> Callable[[Phrase, bool], Phrase]:
    """The clause of a subject and of the reflexive that one value of the factor chooses."""
    verb = draw.verb("strict", "optional", reflexive=True).past
    between = adverb(draw, 0.3)

    def build(subject: Phrase, form: bool) -> Phrase:
        reflexive = Word(rivals.reflexives[form])
        bonds = (reflexive_bond(subject, reflexive),)
        return join(clause(subject, verb_phrase(verb, adverb=between)), reflexive, bonds=bonds)

    return build


# Reflexives after a long subject


def _next_to_subject(draw: Draw) -> Quadruple:
    rivals = _rivals(draw, names=0.3)
    acts = _acts_on_oneself(draw, rivals)
    more = adjunct(draw, 0.5)
    return crossed(lambda factor, form: join(acts(rivals.antecedent(factor), form), more))


def _after_prepositional(draw: Draw) -> Quadruple:
    rivals = _rivals(draw)
    preposition = draw.pick(PREPOSITIONS)
    more = place(draw) if draw.chance(0.3) else ""
    acts = _acts_on_oneself(draw, rivals)
    return crossed(
        lambda factor, form: acts(
            join(rivals.antecedent(factor), preposition, rivals.distractor(factor), more), form
        )
    )


def _after_subject_relative(draw: Draw) -> Quadruple:
    rivals = _rivals(draw)
    verb = draw.verb("strict", "optional", object_kind="person").past
    more = adjunct(draw, 0.3)
    acts = _acts_on_oneself(draw, rivals)

    def build(factor: bool, form: bool) -> Phrase:
        head, object_ = rivals.antecedent(factor), rivals.distractor(factor)
        lexical = Word(verb)
        bonds = (subject_bond(lexical, head), object_bond(lexical, object_))
        return acts(join(head, "that", lexical, object_, more, bonds=bonds), form)

    return crossed(build)


def _inside_object_relative(draw: Draw, nearer: str | Phrase = "") -> Quadruple:
    rivals = _rivals(draw)
    verb = draw.verb("strict", "optional", object_kind="person").past
    acts = _acts_on_oneself(draw, rivals)

    def build(factor: bool, form: bool) -> Phrase:
        head, agent = rivals.antecedent(factor), rivals.distractor(factor)
        lexical = Word(verb)
        bonds = (subject_bond(lexical, agent), object_bond(lexical, head))
        return acts(join(head, "that", agent, nearer, lexical, bonds=bonds), form)

    return crossed(build)


def _inside_long_object_relative(draw: Draw) -> Quadruple:
    return _inside_object_relative(draw, place(draw))


def _of_infinitive(draw: Draw) -> Quadruple:
    rivals = _rivals(draw)
    preposition = draw.pick(PREPOSITIONS)
    hoped = draw.selector("hoping verb")
    verb = draw.verb("strict", "optional", reflexive=True).base

    def build(factor: bool, form: bool) -> Phrase:
        head, reflexive = rivals.antecedent(factor), Word(rivals.reflexives[form])
        whole = join(head, preposition, rivals.distractor(factor))
        bonds = (reflexive_bond(head, reflexive),)
        return join(clause(whole, verb_phrase(hoped)), "to", verb, reflexive, bonds=bonds)

    return crossed(build)


def _of_second_verb(draw: Draw) -> Quadruple:
    rivals = _rivals(draw)
    first_verb = draw.verb("strict", object_kind="person").past
    second_verb = draw.verb("strict", "optional", reflexive=True).past
    more = adjunct(draw, 0.3)

    def build(factor: bool, form: bool) -> Phrase:
        head, reflexive = rivals.antecedent(factor), Word(rivals.reflexives[form])
        second = Word(second_verb)
        bonds = (subject_bond(second, head), reflexive_bond(head, reflexive))
        first = clause(head, verb_phrase(first_verb, rivals.distractor(factor)))
        return join(first, more, "and", second, reflexive, bonds=bonds)

    return crossed(build)


# Reflexives stay in their clause: here the distractor is the subject of another clause.


def _in_complement(draw: Draw) -> Quadruple:
    rivals = _rivals(draw, names=0.6)
    said = draw.pick(SPEECH_VERBS)[2]
    acts = _acts_on_oneself(draw, rivals)
    return crossed(
        lambda factor, form: join(
            clause(rivals.distractor(factor), verb_phrase(said)),
            "that",
            acts(rivals.antecedent(factor), form),
        )
    )


def _in_long_complement(draw: Draw) -> Quadruple:
    rivals = _rivals(draw, names=0.3)
    said = draw.pick(SPEECH_VERBS)[2]
    more = place(draw)
    acts = _acts_on_oneself(draw, rivals)
    return crossed(
        lambda factor, form: join(
            clause(rivals.distractor(factor), verb_phrase(said)),
            "that",
            acts(join(rivals.antecedent(factor), more), form),
        )
    )


def _of_another_infinitive(draw: Draw, selects: str) -> Quadruple:
    rivals = _rivals(draw, names=0.6)
    told = draw.selector(selects)
    verb = draw.verb("strict", "optional", reflexive=True).base

    def build(factor: bool, form: bool) -> Phrase:
        actor, reflexive = rivals.antecedent(factor), Word(rivals.reflexives[form])
        start = clause(rivals.distractor(factor), verb_phrase(told))
        bonds = [reflexive_bond(actor, reflexive)]
        if selects == "commanding verb":  # of "expected her to leave" she is not the object
            bonds.append(object_bond(start, actor))
        return join(start, actor, "to", verb, reflexive, bonds=tuple(bonds))

    return crossed(build)


def _after_command(draw: Draw) -> Quadruple:
    return _of_another_infinitive(draw, "commanding verb")


def _after_expectation(draw: Draw) -> Quadruple:
    return _of_another_infinitive(draw, "expecting verb")


def _after_adverbial_clause(draw: Draw) -> Quadruple:
    rivals = _rivals(draw, names=0.5)
    conjunction = draw.pick(("when", "because", "after", "although"))
    verb = draw.verb("intransitive").past
    more = adjunct(draw, 0.4)
    acts = _acts_on_oneself(draw, rivals)

    def build(factor: bool, form: bool) -> Phrase:
        first = clause(rivals.distractor(factor), verb_phrase(verb))
        return join(conjunction, first, more, ",", acts(rivals.antecedent(factor), form))

    return crossed(build)


def _in_embedded_question(draw: Draw) -> Quadruple:
    rivals = _rivals(draw, names=0.6)
    knew = draw.pick(("knew", "forgot", "understood"))
    why = draw.pick(("why", "when"))
    acts = _acts_on_oneself(draw, rivals)
    return crossed(
        lambda factor, form: join(
            clause(rivals.distractor(factor), verb_phrase(knew)),
            why,
            acts(rivals.antecedent(factor), form),
        )
    )


# The case of personal pronouns: first factor, whether it is an object; second, its form.


def _pronoun(draw: Draw) -> Callable[[bool], Phrase]:
    pronoun = draw.pronoun()

    def build(accusative: bool) -> Phrase:
        word = Word(pronoun.accusative if accusative else pronoun.nominative)
        return Phrase(words=(word,), anchor=word)

    return build


def _case_in_clause(draw: Draw) -> Quadruple:
    pronoun = _pronoun(draw)
    verb = draw.verb("strict", object_kind="person").past
    other, between, more = subject(draw), adverb(draw, 0.4), adjunct(draw, 0.4)

    def build(is_object: bool, form: bool) -> Phrase:
        agent, patient = (other, pronoun(form)) if is_object else (pronoun(form), other)
        return join(clause(agent, verb_phrase(verb, patient, adverb=between)), more)

    return crossed(build)


def _case_in_relative(draw: Draw) -> Quadruple:
    pronoun = _pronoun(draw)
    verb = draw.verb("strict", object_kind="person").past
    head, between = any_number(draw), adverb(draw, 0.3)
    main = verb_phrase(draw.verb("intransitive").past)
    more = place(draw)

    def build(is_object: bool, form: bool) -> Phrase:
        lexical, other = Word(verb), pronoun(form)
        agent, patient = (head, other) if is_object else (other, head)
        bonds = (subject_bond(lexical, agent), object_bond(lexical, patient))
        order = (between, lexical, other) if is_object else (other, between, lexical)
        return join(clause(join(head, "that", *order, bonds=bonds), main), more)

    return crossed(build)


def _case_after_preposition(draw: Draw) -> Quadruple:
    pronoun, other = _pronoun(draw), subject(draw)
    preposition = draw.pick(PREPOSITIONS)
    verb, between = draw.verb("intransitive").past, adverb(draw, 0.3)

    def build(is_object: bool, form: bool) -> Phrase:
        agent, neighbour = (other, pronoun(form)) if is_object else (pronoun(form), other)
        return join(clause(agent, verb_phrase(verb, adverb=between)), preposition, neighbour)

    return crossed(build)


def _case_before_infinitive(draw: Draw) -> Quadruple:
    pronoun, who = _pronoun(draw), subject(draw, 0.4)
    expected, hoped = draw.selector("expecting verb"), draw.selector("hoping verb")
    verb = draw.verb("intransitive")
    more = adjunct(draw, 0.4)

    def build(is_object: bool, form: bool) -> Phrase:
        other = pronoun(form)
        if is_object:
            return join(clause(who, verb_phrase(expected)), other, "to", verb.base, more)
        inner = clause(other, verb_phrase(verb.participle, auxiliary="had"))
        return join(clause(who, verb_phrase(hoped)), "that", inner, more)

    return crossed(build)


def _case_in_question(draw: Draw) -> Quadruple:
    pronoun = _pronoun(draw)
    verb = draw.verb("strict", object_kind="person")
    more = place(draw)

    def build(is_object: bool, form: bool) -> Phrase:
        other, lexical = pronoun(form), Word(verb.past if is_object else verb.base)
        if is_object:
            bonds = (object_bond(lexical, other),)
            return join("who", lexical, other, more, bonds=bonds)
        did = Word("did")
        return join("who", did, other, lexical, more, bonds=(subject_bond(did, other),))

    return crossed(build)


def _case_with_two_objects(draw: Draw) -> Quadruple:
    pronoun, other = _pronoun(draw), any_number(draw)
    gave, thing = draw.selector("giving verb"), entity(draw, "thing")(False)
    between = adverb(draw, 0.3)

    def build(is_object: bool, form: bool) -> Phrase:
        agent, receiver = (other, pronoun(form)) if is_object else (pronoun(form), other)
        start = clause(agent, verb_phrase(gave, receiver, adverb=between))
        return join(start, thing, bonds=(object_bond(start, thing),))

    return crossed(build)


REFLEXIVES_FAR = Phenomenon(
    name="reflexive agreement",
    title="Reflexive agreement",
    about="A reflexive has the number and gender of the subject, not of a nearer noun.",
    acceptable="The boy that the girls admired praised himself.",
    unacceptable="The boy that the girls admired praised themselves.",
    share=0.13,
    templates=(
        Template(name="next to the subject", write=_next_to_subject, share=5),
        Template(name="prepositional phrase", write=_after_prepositional),
        Template(name="subject relative", write=_after_subject_relative),
        Template(name="object relative", write=_inside_object_relative),
        Template(name="infinitive", write=_of_infinitive),
        Template(name="second verb", write=_of_second_verb, held_out=True),
        Template(
            name="prepositional phrase in object relative",
            write=_inside_long_object_relative,
            held_out=True,
        ),
    ),
)
BINDING = Phenomenon(
    name="reflexive locality",
    title="Reflexive locality",
    about="A reflexive stands for the subject of its own clause, not of a clause around it.",
    acceptable="John thought that Mary praised herself.",
    unacceptable="John thought that Mary praised himself.",
    share=0.08,
    templates=(
        Template(name="complement clause", write=_in_complement, share=3),
        Template(name="long complement clause", write=_in_long_complement),
        Template(name="command", write=_after_command),
        Template(name="adverbial clause", write=_after_adverbial_clause),
        Template(name="expectation", write=_after_expectation, held_out=True),
        Template(name="embedded question", write=_in_embedded_question, held_out=True),
    ),
)
CASE = Phenomenon(
    name="pronoun case",
    title="Pronoun case",
    about="A pronoun is he, she, they as a subject, and him, her, them elsewhere.",
    acceptable="The teacher that he admired laughed.",
    unacceptable="The teacher that him admired laughed.",
    share=0.04,
    templates=(
        Template(name="main clause", write=_case_in_clause, share=3),
        Template(name="relative clause", write=_case_in_relative),
        Template(name="preposition", write=_case_after_preposition),
        Template(name="before an infinitive", write=_case_before_infinitive),
        Template(name="question", write=_case_in_question, question=True, held_out=True),
        Template(name="two objects", write=_case_with_two_objects, held_out=True),
    ),
)
