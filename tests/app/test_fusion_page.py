"""Do the heads that are left take over?"""

from __future__ import annotations

import numpy as np
from reading import cells, charts, figure_of, numbers, same, texts
from tiny_run import HEADS, LAYERS

from dynabert import Subnet
from dynabert.analysis.fusion import measure_fusion
from dynabert.analysis.sentences import attention_of, read_sentences, teaching_sentences

pytest_plugins = ["app_fixtures"]

PAPERS = "the cat sat on the mat."


def there(chart: dict) -> int:
    """How many heads a function map shows as being there."""
    return sum(len(trace["x"]) for trace in chart["data"] if trace.get("mode") == "markers+text")


def test_the_papers_sentence_is_the_default_and_the_numbers_are_the_cores(open_app, tiny):
    at = open_app(tiny.folder.parent, "fusion", w="0.5", d="0.5")
    assert at.text_input(key="text").value == PAPERS
    full, small, bars = charts(at)
    assert there(full) == LAYERS * HEADS
    assert there(small) == 6

    model, tokenizer = tiny.model(), tiny.tokenizer()
    sentences = read_sentences(tokenizer, [PAPERS], max_tokens=40)
    maps = [attention_of(model, sentences, subnet) for subnet in (Subnet(0.5, 0.5), Subnet())]
    fusion = measure_fusion(*maps, sentences)
    np.testing.assert_allclose(
        numbers(bars["data"][0]["y"]), fusion.by_layer()["fusion"], atol=1e-6
    )
    summary = at.dataframe[0].value.iloc[0]
    assert (summary["heads left"], summary["removed"]) == (6, 18)
    np.testing.assert_allclose(summary["fusion"], fusion.mean, atol=1e-6)
    absorbed = at.dataframe[1].value
    assert len(absorbed) == 18
    assert absorbed["fusion"].is_monotonic_decreasing


def test_maps_that_are_compared_line_up(open_app, tiny):
    at = open_app(tiny.folder.parent, "fusion", w="0.5", d="0.5", set="teaching sentences")
    maps = charts(at)[:2]
    legends = [
        [trace["name"] for trace in one["data"] if trace.get("name") and len(trace["x"])]
        for one in maps
    ]
    shown = {
        trace["name"]
        for one in maps
        for trace in one["data"]
        if trace.get("mode") == "markers+text" and trace["x"]
    }
    assert legends[0] == legends[1]
    assert {*legends[0]} == shown
    for chart, cell in zip(maps, cells(at), strict=False):
        assert same(figure_of(cell), chart)


def test_fusion_stands_before_what_half_a_page_may_cut_off(open_app, tiny):
    at = open_app(tiny.folder.parent, "fusion", w="0.5")
    columns = list(at.dataframe[1].proto.column_order)
    assert columns.index("fusion") < columns.index("similarity") < columns.index("before")
    assert set(columns) == {*at.dataframe[1].value.columns}


def test_the_papers_comparison_is_one_click_away(open_app, tiny):
    at = open_app(tiny.folder.parent, "fusion", w="0.5")
    at.segmented_control(key="beside").set_value("the paper's Figure 5").run()
    assert not at.exception
    titles = [text for text in texts(at) if text.startswith("**")]
    assert titles == ["**Full network**", "**Width 0.25, depth 1**", "**Width 0.25, depth 0.5**"]
    assert [there(chart) for chart in charts(at)[:3]] == [24, 4, 2]
    assert at.dataframe[0].value["removed"].tolist() == [20, 22]


def test_full_against_full_shows_no_fusion(open_app, tiny):
    at = open_app(tiny.folder.parent, "fusion")
    assert len(charts(at)) == 1
    assert "has lost no head" in at.info[0].value


def test_over_the_teaching_sentences_grammar_counts_and_there_is_an_interval(open_app, tiny):
    at = open_app(tiny.folder.parent, "fusion", w="0.5", set="teaching sentences")
    # Of the sixteen tokens that this run reads, which are letters mostly, only some sentences make do.
    number = len(teaching_sentences(tiny.tokenizer(), max_tokens=16))
    assert any(f"{number} acceptable sentences" in caption.value for caption in at.caption)
    interval = at.dataframe[0].value["interval"].iloc[0]
    low, high = map(float, interval.split(" to "))
    assert low <= at.dataframe[0].value["above"].iloc[0] <= high
    assert not at.text_input


def test_no_sentence_and_one_that_is_too_long_say_so(open_app, tiny):
    at = open_app(tiny.folder.parent, "fusion", text="  ")
    assert "Type a sentence" in at.info[0].value
    at.text_input(key="text").set_value("a good cat " * 60).run()
    assert not at.error
    letters = tiny.tokenizer()("a good cat " * 60)["input_ids"]
    assert f"the last {len(letters) - 16} are left out" in at.warning[0].value
    at.text_input(key="text").set_value("\u200b").run()
    assert "nothing to read" in at.error[0].value


def test_a_link_with_nonsense_falls_back(open_app, tiny):
    at = open_app(tiny.folder.parent, "fusion", set="../x", beside="<b>", text="a cat")
    assert at.segmented_control(key="set").value == "one sentence"
    assert at.segmented_control(key="beside").value == "the chosen sub-network"
