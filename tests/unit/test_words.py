"""Numbers in sentences."""

from __future__ import annotations

import pytest

from dynabert.words import count, figures


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
    ],
)
def test_figures_are_never_powers_of_ten(value: float, digits: int, said: str) -> None:
    assert figures(value, digits) == said
