"""Numbers in sentences."""

from __future__ import annotations

import pytest

from dynabert.words import count, cut_in_words, figures, percent


def test_one_is_singular() -> None:
    assert [count(number, "token") for number in (0, 1, 2, 1024)] == [
        *("0 tokens", "1 token", "2 tokens", "1,024 tokens")
    ]


@pytest.mark.parametrize(
    ("value", "digits", "said"),
    [
        (0.012345, 3, "0.0123"),
        (12.345, 3, "12.3"),
        (1402.4, 3, "1,402"),
        (11173.6, 4, "11,174"),
        (9999.7, 4, "10,000"),
        (-35330.0, 4, "-35,330"),
        (0.0, 4, "0"),
        (0.00001234, 3, "0.0000123"),
    ],
)
def test_figures_are_never_powers_of_ten(value: float, digits: int, said: str) -> None:
    assert figures(value, digits) == said


def test_a_cut_says_where() -> None:
    assert cut_in_words(1, 64, pair=False).endswith("trained to read: the last 1 is left out.")
    assert cut_in_words(1200, 64, pair=True) == (
        "The two texts are longer than the 64 tokens this model was trained to read: 1,200 are left out, at "
        "the end of the longer one."
    )


def test_what_is_there_is_never_nothing() -> None:
    assert [percent(share) for share in (0.0, 0.004, 0.5, 0.997, 1.0)] == [
        *("0%", "<1%", "50%", ">99%", "100%")
    ]
