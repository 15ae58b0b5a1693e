"""Names of runs and searches: which are free."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynabert.errors import UserError
from dynabert.names import LONGEST_NAME, first_free, in_run_letters, may_name


@pytest.mark.parametrize(
    ("taken", "suffix", "name"),
    [
        (set(), "", "run"),
        ({"run"}, "", "run-2"),
        ({"run", "run-2"}, "", "run-3"),
        ({"run"}, "longer", "run-longer"),
        ({"run-longer"}, "longer", "run-longer-2"),
    ],
)
def test_a_number_stands_behind_a_name_that_is_taken(taken, suffix, name):
    assert first_free("run", taken.__contains__, suffix=suffix) == name


@given(st.text(max_size=90), st.integers(0, 12), st.sampled_from(["", "longer"]))
def test_what_is_free_may_be_a_name(text, num_taken, suffix):
    wanted = in_run_letters(text) or "run"
    taken: set[str] = set()
    for _ in range(num_taken + 1):
        name = first_free(wanted, taken.__contains__, suffix=suffix)
        assert name not in taken
        assert may_name(name)
        assert len(name) <= LONGEST_NAME
        taken.add(name)


def test_where_all_are_taken_another_is_asked_for():
    with pytest.raises(UserError, match="run and all numbers behind it are taken"):
        first_free("run", lambda name: True)
