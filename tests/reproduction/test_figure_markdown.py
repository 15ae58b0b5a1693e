"""Figure 3 in numbers: every method beside DynaBERT's sub-network of its size."""

from __future__ import annotations

from made_results import made_result

from dynabert.reproduction.figure_markdown import figure_part, show_figure
from dynabert.reproduction.tables import FIGURES
from dynabert.subnet import Subnet

HALF = Subnet(1.0, 0.5)
FIGURE = FIGURES["figure3"]


def results():
    return [
        made_result(recipe="dynabert", seed=0, scores={Subnet(): 0.8, HALF: 0.7}),
        made_result(recipe="dynabert", seed=1, scores={Subnet(): 0.82, HALF: 0.72}),
        made_result(recipe="tinybert-d0.50", scores={HALF: 0.75}, collapsed=[HALF]),
    ]


def row(text: str, start: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(start)]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_method_stands_beside_the_sub_network_of_its_size():
    text = show_figure(FIGURE, results(), "minilm", {})
    # 10.646784 M parameters in six layers, half of them in three.
    full = row(text, "| DynaBERT |")
    assert full[1:6] == ["1.0x", "1.0x", "81.0 ± 1.4 (2)", "", "10.65"]
    half = row(text, "|  |")
    assert half[1:6] == ["1.0x", "0.5x", "71.0 ± 1.4 (2)", "", "5.32"]
    tiny = row(text, "| TinyBERT, half the depth |")
    # Against the 70.0 of seed 0, which both have, not against the mean of two seeds.
    assert tiny[1:6] == ["1.0x", "0.5x", "75.0 (1, 1 collapsed)", "+5.0", "5.32"]
    # Made-up quartiles are 0.1 ms apart, and three layers take 5.32 ms.
    assert (
        text.count("Latency: a machine, 2 threads, in 32 bits, 128 tokens; the middle half of one ")
        == 1
    )
    assert "passes spread over up to 2% of its median." in text
    assert tiny[6:] == half[6:]  # as many MACs, as fast: made-up times follow parameters
    assert "Missing: Best of ours" in text
    assert "reproduce figure3 --task mrpc" in text


def test_latency_has_no_columns_where_nothing_was_timed():
    untimed = [
        one.model_copy(
            update={"rows": tuple(r.model_copy(update={"latency": ()}) for r in one.rows)}
        )
        for one in results()
    ]
    assert "ms, batch" not in show_figure(FIGURE, untimed, "minilm", {})
    assert "ms, batch 1 | ms, batch 128" in show_figure(FIGURE, results(), "minilm", {})


def test_a_machine_that_was_busy_is_called_so():
    (tiny,) = results()[2:]
    (row,) = tiny.rows
    wide = [one.model_copy(update={"iqr_ms": 0.3 * one.median_ms}) for one in row.latency]
    busy = row.model_copy(update={"latency": (row.latency[0], *wide[1:])})
    text = show_figure(FIGURE, [tiny.model_copy(update={"rows": (busy,)})], "minilm", {})
    assert "passes spread over 30% of its median: it was busy, and they came out too long." in text


def test_what_tables_show_already_is_no_figure():
    ours = results()[:2]
    assert figure_part(FIGURE, ours, "minilm") == []
    assert "Nothing of it has been measured" in show_figure(FIGURE, ours, "minilm", {})
    assert "### MRPC accuracy, percent" in figure_part(FIGURE, results(), "minilm")
