"""How the app says things."""

from __future__ import annotations

import pytest

from dynabert import plots
from dynabert.training import RECIPES
from dynabert.training.presets.length import LENGTH_DROP
from dynabert.training.presets.stages import LABELS
from dynabert.training.stage import Reduce
from dynabert.training.subnets import Sandwich
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


def test_a_message_begins_in_a_capital_but_a_name_stays_as_it_is() -> None:
    assert wording.begun("width must be in (0, 1].") == "Width must be in (0, 1]."
    assert wording.begun("squad: 3 questions are left out") == "squad: 3 questions are left out"
    assert wording.sentence(ValueError("mrpc: no column <b>")) == "mrpc\\: no column \\<b\\>"


def test_a_cost_has_one_title_wherever_a_search_weighs_it() -> None:
    assert wording.cost_axis("macs", 64) == ("MACs for 64 tokens (million)", 1e6)
    assert wording.cost_axis("latency", 64, 8) == ("latency (ms, 64 tokens, batch 8)", 1.0)
    assert wording.cost_axis("modelled", 9) == ("modelled latency (ms, 9 tokens, batch 1)", 1.0)


def test_a_number_of_a_file_has_its_thousands_apart() -> None:
    told = [wording.grouped(number) for number in ("2048", "96", "?", "<b>", "9" * 5000)]
    assert told == ["2,048", "96", "?", "\\<b\\>", "9" * 5000]


def test_fields_are_named_by_columns() -> None:
    titles = [wording.field_title(column) for column in ("sentence1", "premise", "q2", "2024")]
    assert titles == ["Sentence 1", "Premise", "Q 2", "2024"]


@pytest.mark.parametrize(
    ("share", "said"),
    [
        *[(0.0, "0%"), (0.0049, "<1%"), (0.0051, "1%"), (0.874, "87%")],
        *[(0.994, "99%"), (0.9974, ">99%"), (1.0, "100%")],
    ],
)
def test_what_rounds_to_nothing_or_to_all_is_neither(share: float, said: str) -> None:
    assert plots.percent(share) == said


def test_a_stage_that_drops_tokens_says_so() -> None:
    said = wording.stage_in_words(LENGTH_DROP)
    assert said.startswith(
        "Train, 4 times in each step, the full network, whole, with 20% of the tokens"
    )
    assert "20% of the layers left out at random" in said
    assert "on the labels; the others imitate its answers as it learns" in said
    (naive,) = (
        s for s in RECIPES["dynamic-tinybert-naive"].train_stages if s.name == "length-drop"
    )
    said = wording.stage_in_words(naive)
    assert "the sub-network of width 1 and depth 0.5, whole" in said
    assert "to imitate the answers of stage fine-tune (at full width); the others" in said
    sandwich = Sandwich(width_mults=(1.0, 0.5), num_random=2)
    plain = LENGTH_DROP.model_copy(update={"subnets": sandwich, "largest": None, "losses": LABELS})
    said = wording.stage_in_words(plain)
    assert "the largest and the smallest sub-network and 2 random ones of those between" in said
    assert "(widths 1, 0.5) on the labels" in said


def test_a_stage_tells_its_learning_rate_where_it_is_not_the_usual_one() -> None:
    fine_tune, _, width, _ = RECIPES["best"].stages
    assert "learning rate" not in wording.stage_in_words(fine_tune)
    assert wording.stage_in_words(width).endswith("; 3 epochs, 2.5 times the usual learning rate")
    filled = RECIPES["best"].for_hidden_size(384).stages[2]
    assert wording.stage_in_words(filled).endswith("; 3 epochs, learning rate 2e-4")


def test_what_a_plain_network_is_made_of():
    cut = wording.stage_in_words(Reduce(layers=2, heads=4))
    assert "plain network of 2 layers, 4 heads, cut from it" in cut
    assert "with random weights" in wording.stage_in_words(Reduce(layers=2, start="scratch"))
    other = wording.stage_in_words(Reduce(pretrained="small"))
    assert "pretrained on text (small)" in other
    assert "cut" not in other
