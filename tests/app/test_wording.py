"""How the app says things."""

from __future__ import annotations

import pytest

from dynabert import plots
from pages.shared import wording

# What Streamlit makes of text although its signs are escaped: it looks for them in what is left.
MAGIC = (":material/home:", ":smile:", ":+1:", "http://a.b", "https://a.b", "www.a.b", "me@a.b")


@pytest.mark.parametrize("text", MAGIC)
def test_nothing_in_a_text_is_taken_for_an_icon_or_an_address(text: str) -> None:
    read = wording.escape(f"x {text} y").replace("\\", "")
    assert text not in read
    assert read.replace("\N{WORD JOINER}", "") == f"x {text} y"


def test_other_texts_are_escaped_and_no_more() -> None:
    assert wording.escape("12:30, a: *b*\nc") == "12\\:30, a\\: \\*b\\* c"


def test_fields_are_named_by_columns() -> None:
    titles = [wording.field_title(column) for column in ("sentence1", "premise", "q2", "2024")]
    assert titles == ["Sentence 1", "Premise", "Q 2", "2024"]


@pytest.mark.parametrize(
    ("share", "said"), [(0.0, "0%"), (0.0049, "<1%"), (0.0051, "1%"), (0.874, "87%"), (1.0, "100%")]
)
def test_what_rounds_to_nothing_is_still_something(share: float, said: str) -> None:
    assert plots.percent(share) == said
