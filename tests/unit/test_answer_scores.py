"""Exact match and F1 against the definition, written another way."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynabert.evaluation.answer_scores import answer_score, normalized

TEXTS = [
    *(
        "",
        " ",
        "the",
        "The",
        "a the an",
        ".",
        "the.",
        "cat",
        "Cat.",
        "the cat",
        "cat the",
        "a cat!",
    ),
    *(
        "a-cat",
        "a cat the dog",
        "cat cat",
        "cat  dog\t",
        "dog cat",
        "cat, dog",
        "U.S.A.",
        "USA",
        "us a",
    ),
    *(
        "1,000",
        "1000",
        "Beyoncé",
        "beyonce",
        "BEYONCÉ",
        "the–end",
        "“cat”",
        '"cat"',
        "cat's",
        "cats",
    ),
    *(
        "theatre",
        "an other",
        "another",
        "日本 の 猫",
        "日本",
        "İstanbul",
        "straße",
        "STRASSE",
        "é\u0301",
        "a\u00a0cat",
    ),
]


def words_of(text: str) -> list[str]:
    """The words of an answer that count."""
    kept = "".join(letter for letter in text.lower() if letter not in string.punctuation)
    runs = re.findall(r"\w+|\W", kept)
    return "".join(" " if run in ("a", "an", "the") else run for run in runs).split()


def by_definition(answer: str, gold: list[str]) -> tuple[float, float]:
    scores = []
    for right in gold:
        given, wanted = words_of(answer), words_of(right)
        left, common = list(wanted), 0
        for word in given:
            if word in left:
                left.remove(word)
                common += 1
        precision, recall = (common / max(len(words), 1) for words in (given, wanted))
        f1 = 2 * precision * recall / (precision + recall) if common else 0.0
        scores.append((f1, float(given == wanted)))
    return max(f1 for f1, _ in scores), max(match for _, match in scores)


@pytest.mark.parametrize("answer", TEXTS)
def test_every_tricky_answer_against_every_other(answer: str) -> None:
    for right in TEXTS:
        found = answer_score(answer, [normalized(right)])
        assert (found.f1, found.em) == pytest.approx(by_definition(answer, [right])), right


@given(
    st.text("ab the,.-A é", max_size=30),
    st.lists(st.text("ab the,.-A é", max_size=30), min_size=1, max_size=4),
)
def test_the_best_of_several_right_answers(answer: str, gold: list[str]) -> None:
    found = answer_score(answer, map(normalized, gold))
    assert (found.f1, found.em) == pytest.approx(by_definition(answer, gold))


def test_by_hand() -> None:
    gold = [normalized(text) for text in ("The Big Apple", "New York City")]
    assert answer_score("the big apple!", gold) == (1.0, 1.0)
    # "new york" and "new york city": precision 1, recall 2/3.
    assert answer_score("new york", gold) == (pytest.approx(0.8), 0.0)
    assert answer_score("", gold) == (0.0, 0.0)
    assert answer_score("the", [""]) == (0.0, 1.0)  # nothing is left of either
