"""The teaching set: sizes, splits, balance, links, and that no word tells the label."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from dynabert.data.teaching import (
    PHENOMENA,
    TeachingExample,
    TeachingSet,
    content_fingerprint,
    generate_teaching_set,
    to_rows,
)
from dynabert.data.teaching.draw import Draw
from dynabert.data.teaching.lexicon import DETERMINERS, NAMES, NOUNS, PRONOUNS, word_forms
from dynabert.data.teaching.phrases import object_bond, subject_bond
from dynabert.data.teaching.sentence import Word, join, render
from dynabert.errors import UserError

DETERMINER_WORDS = set(DETERMINERS)
NOUN_FORMS = {form for noun in NOUNS for form in (noun.singular, noun.plural)}
NAME_FORMS = {name.text for name in NAMES}
PRONOUN_FORMS = {
    form.lower() for pronoun in PRONOUNS for form in (pronoun.nominative, pronoun.accusative)
}
REFLEXIVE = re.compile(r"himself|herself|themselves")
TEMPLATES = {
    (phenomenon.name, template.name): template
    for phenomenon in PHENOMENA.values()
    for template in phenomenon.templates
}


@pytest.fixture(scope="module")
def teaching_set() -> TeachingSet:
    return generate_teaching_set(0)


def words(sentence: str) -> list[str]:
    """In lower case, without marks; "an" counts as "a"."""
    return ["a" if word == "an" else word for word in re.findall(r"\w+", sentence.lower())]


def by_pair(examples: Iterable[TeachingExample]) -> list[list[TeachingExample]]:
    return [list(group) for _, group in groupby(examples, key=lambda example: example.pair)]


def check_structure(generated: TeachingSet) -> None:
    """What must hold for every seed and size."""
    train, dev = generated.train, generated.dev
    sentences = [example.sentence.lower() for example in train + dev]
    assert len(set(sentences)) == len(sentences)
    assert {example.phenomenon for example in train} == set(PHENOMENA)
    assert {example.condition for example in train} == {"seen"}
    pairs = by_pair(train + dev)
    assert len({pair[0].pair for pair in pairs}) == len(pairs)
    for pair in pairs:
        assert [example.label for example in pair] == [1, 0]
        assert len({(e.phenomenon, e.condition, e.template) for e in pair}) == 1
    for first, second in zip(pairs[::2], pairs[1::2], strict=True):
        acceptable, unacceptable = (
            Counter(word for pair in (first, second) for word in words(pair[member].sentence))
            for member in (0, 1)
        )
        assert acceptable == unacceptable, [example.sentence for example in first + second]
    held_out = word_forms(held_out=True)
    for example in train + dev:
        template = TEMPLATES[example.phenomenon, example.template]
        assert template.held_out == (example.condition == "held-out structure")
        assert (example.sentence[-1] == "?") == template.question
        new = held_out.intersection(words(example.sentence))
        assert bool(new) == (example.condition == "held-out words"), (example.sentence, new)


def test_the_default_sizes_are_exact_and_half_of_each_split_is_acceptable(
    teaching_set: TeachingSet,
) -> None:
    assert (len(teaching_set.train), len(teaching_set.dev)) == (8000, 1560)
    for split in (teaching_set.train, teaching_set.dev):
        assert sum(example.label for example in split) == len(split) / 2


def test_the_default_set_has_the_structure(teaching_set: TeachingSet) -> None:
    check_structure(teaching_set)


@settings(max_examples=6, deadline=None)
@given(
    seed=st.integers(min_value=0, max_value=2**40),
    num_train=st.integers(min_value=200, max_value=400),
    num_dev=st.integers(min_value=160, max_value=300),
)
def test_every_seed_and_size_has_the_structure(seed: int, num_train: int, num_dev: int) -> None:
    generated = generate_teaching_set(seed, num_train=num_train, num_dev=num_dev)
    check_structure(generated)
    assert (len(generated.train), len(generated.dev)) == (num_train // 4 * 4, num_dev // 4 * 4)
    assert {(e.phenomenon, e.condition) for e in generated.dev} == {
        (phenomenon, condition)
        for phenomenon in PHENOMENA
        for condition in ("seen", "held-out words", "held-out structure")
    }


def test_a_seed_gives_one_set_and_another_seed_another(teaching_set: TeachingSet) -> None:
    assert generate_teaching_set(0) == teaching_set
    other = generate_teaching_set(1)
    here, there = (
        {example.sentence for example in generated.train} for generated in (teaching_set, other)
    )
    assert len(here & there) < 0.05 * len(here)


def test_the_default_set_is_the_one_that_results_were_measured_on(
    teaching_set: TeachingSet,
) -> None:
    fingerprint = content_fingerprint(teaching_set.train + teaching_set.dev)
    assert fingerprint == "707b29ccdef2968fd73575a50b172d90a71ec182151f7d949046532dd57e295d"


def test_each_phenomenon_has_enough_dev_sentences_and_its_own_share_of_training(
    teaching_set: TeachingSet,
) -> None:
    dev = Counter(example.phenomenon for example in teaching_set.dev)
    assert len(dev) >= 8
    assert min(dev.values()) >= 100
    train = Counter(example.phenomenon for example in teaching_set.train)
    for phenomenon in PHENOMENA.values():
        total = sum(other.share for other in PHENOMENA.values())
        assert train[phenomenon.name] == pytest.approx(8000 * phenomenon.share / total, abs=4)
    conditions = Counter(example.condition for example in teaching_set.dev)
    assert conditions["held-out words"] / 1560 == pytest.approx(0.40, abs=0.02)
    assert conditions["held-out structure"] / 1560 == pytest.approx(0.25, abs=0.02)


def test_content_words_of_the_held_out_words_condition_are_all_held_out(
    teaching_set: TeachingSet,
) -> None:
    seen = word_forms(held_out=False)
    for example in teaching_set.dev:
        if example.condition == "held-out words":
            assert not seen.intersection(words(example.sentence)), example.sentence


def test_every_train_template_writes_training_sentences(teaching_set: TeachingSet) -> None:
    used = {(example.phenomenon, example.template) for example in teaching_set.train}
    assert used == {key for key, template in TEMPLATES.items() if not template.held_out}
    for phenomenon in PHENOMENA.values():
        assert any(template.held_out for template in phenomenon.templates)
        assert len({template.name for template in phenomenon.templates}) == len(
            phenomenon.templates
        )


def test_links_are_whole_words_of_the_right_kinds(teaching_set: TeachingSet) -> None:
    kinds = Counter()
    for example in teaching_set.train + teaching_set.dev:
        spans = {match.span() for match in re.finditer(r"\w+", example.sentence)}
        assert len(set(example.links)) == len(example.links)
        for link in example.links:
            assert {link.head, link.dependent} <= spans
            head, dependent = (
                example.sentence[slice(*span)] for span in (link.head, link.dependent)
            )
            kinds[link.kind] += 1
            entities = NOUN_FORMS | NAME_FORMS | PRONOUN_FORMS
            if link.kind == "determiner-noun":
                assert dependent.lower() in DETERMINER_WORDS
                assert head in NOUN_FORMS
            elif link.kind == "antecedent-reflexive":
                assert REFLEXIVE.fullmatch(dependent)
                assert head in NOUN_FORMS | NAME_FORMS
                assert link.head < link.dependent
            else:
                assert dependent in entities or dependent.lower() in PRONOUN_FORMS
                assert head not in NOUN_FORMS | NAME_FORMS | DETERMINER_WORDS
    assert set(kinds) == {
        "subject-verb",
        "determiner-noun",
        "antecedent-reflexive",
        "verb-object",
    }


def test_every_noun_has_its_determiner_and_every_reflexive_its_antecedent(
    teaching_set: TeachingSet,
) -> None:
    for example in teaching_set.train + teaching_set.dev:
        linked = Counter(link.kind for link in example.links)
        nouns = [word for word in re.findall(r"\w+", example.sentence) if word in NOUN_FORMS]
        bare = 1 if example.template == "whose" else 0
        assert linked["determiner-noun"] == len(nouns) - bare, example.sentence
        assert linked["antecedent-reflexive"] == len(REFLEXIVE.findall(example.sentence))
        verbs = [link.head for link in example.links if link.kind == "subject-verb"]
        assert len(set(verbs)) == len(verbs), f"a verb with two subjects: {example.sentence}"


def test_the_links_of_a_sentence_with_three_clauses_are_the_ones_a_linguist_draws() -> None:
    boy, girls, admire, laughs = (Word(text) for text in ("boy", "girls", "admire", "laughs"))
    phrase = join(
        "the",
        boy,
        "that the",
        girls,
        admire,
        laughs,
        ".",
        bonds=(subject_bond(admire, girls), object_bond(admire, boy), subject_bond(laughs, boy)),
    )
    sentence, links = render(phrase)
    assert sentence == "The boy that the girls admire laughs."
    drawn = {
        (link.kind, sentence[slice(*link.head)], sentence[slice(*link.dependent)]) for link in links
    }
    assert drawn == {
        ("subject-verb", "admire", "girls"),
        ("verb-object", "admire", "boy"),
        ("subject-verb", "laughs", "boy"),
    }


def test_the_words_of_a_sentence_do_not_tell_its_label(teaching_set: TeachingSet) -> None:
    vectorizer = CountVectorizer()
    train = vectorizer.fit_transform([example.sentence for example in teaching_set.train])
    model = LogisticRegression(max_iter=200)
    model.fit(train, [example.label for example in teaching_set.train])
    dev = vectorizer.transform([example.sentence for example in teaching_set.dev])
    right = [
        label == example.label
        for label, example in zip(model.predict(dev), teaching_set.dev, strict=True)
    ]
    assert 0.42 <= sum(right) / len(right) <= 0.58
    for phenomenon in PHENOMENA:
        hits = [
            hit
            for hit, example in zip(right, teaching_set.dev, strict=True)
            if example.phenomenon == phenomenon
        ]
        assert 0.35 <= sum(hits) / len(hits) <= 0.65, phenomenon


def test_rows_are_plain_and_lose_nothing(teaching_set: TeachingSet) -> None:
    rows = to_rows(teaching_set.dev)
    assert json.loads(json.dumps(rows)) == rows
    assert [*rows[0]] == [
        "sentence",
        "label",
        "phenomenon",
        "condition",
        "template",
        "pair",
        "links",
    ]
    assert [len(row["links"]) for row in rows] == [len(e.links) for e in teaching_set.dev]


def test_the_fingerprint_sees_a_changed_label(teaching_set: TeachingSet) -> None:
    first, second, *_ = teaching_set.dev
    assert content_fingerprint([first]) != content_fingerprint([second])
    assert content_fingerprint([first, second]) != content_fingerprint([second, first])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"seed": -1}, "seed must not be negative, got -1"),
        ({"num_train": 0}, "training sentences must be between 200 and 20000, got 0"),
        ({"num_train": 10**6}, "training sentences must be between 200 and 20000, got 1000000"),
        ({"num_dev": 12}, "dev sentences must be between 160 and 10000, got 12"),
    ],
)
def test_impossible_sizes_get_a_sentence(arguments: dict[str, int], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        generate_teaching_set(**{"seed": 0, **arguments})


def test_a_draw_uses_no_method_but_random() -> None:
    """The sequence of the others may change between versions of Python."""

    class OnlyRandom:
        def random(self) -> float:
            return 0.5

    for template in TEMPLATES.values():
        draw = Draw(OnlyRandom(), held_out=False)  # type: ignore[arg-type]  # a stand-in
        assert len(template.write(draw)) == 2
