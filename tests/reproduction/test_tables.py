"""What the rows of the tables are: recipes, and the sub-networks that are averaged."""

from __future__ import annotations

import pytest

from dynabert.errors import UserError
from dynabert.reproduction.compare import Comparison
from dynabert.reproduction.findings import findings
from dynabert.reproduction.layout import WHOLE
from dynabert.reproduction.measures import MEASURES
from dynabert.reproduction.tables import FIGURES, TABLES, find
from dynabert.subnet import PAPER_SPACE, Subnet
from dynabert.training import RECIPES


def test_every_recipe_is_a_preset():
    every = {recipe for one in (*TABLES.values(), *FIGURES.values()) for recipe in one.recipes}
    assert every <= RECIPES.keys()


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_recipe_reports_the_sub_networks_that_are_averaged(table):
    for row in table.rows:
        for part in (part for parts in row.parts.values() for part in parts):
            if part.recipe in RECIPES:
                assert part.subnet in set(RECIPES[part.recipe].reported)


def test_the_separate_networks_are_four_recipes_with_one_sub_network_each():
    parts = TABLES["table3"].row("Separate network").parts[WHOLE]
    assert [(part.recipe, part.subnet.key) for part in parts] == [
        ("separate-w1.00", "w1.00-d1.00"),
        ("separate-w0.75", "w0.75-d1.00"),
        ("separate-w0.50", "w0.50-d1.00"),
        ("separate-w0.25", "w0.25-d1.00"),
    ]


def test_tables_average_over_what_the_paper_says():
    sizes = {
        name: {len(parts) for row in table.rows for parts in row.parts.values()}
        for name, table in TABLES.items()
    }
    assert sizes["table3"] == sizes["table8"] == {4}
    assert sizes["table4"] == sizes["table5"] == {12}
    assert sizes["table7"] == {4, 12}
    assert sizes["table1"] == sizes["table2"] == sizes["table6"] == {1}
    assert TABLES["table6"].row("DynaBERT_d").parts["0.5x"][0].subnet == Subnet(1.0, 0.5)
    assert TABLES["table1"].row("DynaBERT, 0.25x").parts["0.75x"][0].subnet == Subnet(0.25, 0.75)


def test_questions_ask_for_rows_and_headings_that_exist():
    for table in TABLES.values():
        for question in table.questions:
            for labels, headings in question.sides:
                assert table.mean_row(labels, headings).parts[WHOLE]


def test_a_mean_row_is_the_mean_of_its_cells():
    table = TABLES["table1"]
    labels = tuple(f"DynaBERT, {width}" for width in ("1.0x", "0.75x", "0.5x", "0.25x"))
    row = table.mean_row(labels, ("1.0x", "0.75x", "0.5x"))
    assert {part.subnet for part in row.parts[WHOLE]} == set(PAPER_SPACE)
    assert {part.recipe for part in row.parts[WHOLE]} == {"dynabert"}
    cells = [table.row(label).published["rte", d] for label in labels for d in table.headings]
    assert row.published["rte", WHOLE] == pytest.approx(sum(cells) / 12)
    assert table.mean_row("Best of ours, 1.0x", "1.0x").published == {}


def empty(name):
    return Comparison(TABLES[name], "minilm", [], {})


def test_whole_recipes_are_compared_by_the_mean_of_the_twelve():
    table = find("recipes")
    assert table.recipes == ("dynabert-official", "dynabert", "best")
    for row in table.rows:
        assert row.is_ours
        assert {part.subnet for part in row.parts[WHOLE]} == set(PAPER_SPACE)
    assert all(one.answers() == ["Here: not yet measured."] for one in findings(empty("recipes")))
    assert findings(empty("table3"))[0].answers()[0].startswith("Paper: +1.5 points")
    assert table.full_title == table.label == "Whole recipes compared"
    assert find("table3").full_title == "Table 3: What helps in training DynaBERT_w"
    assert (find("figure3").label, find("table1").label) == ("Figure 3", "Table 1")


@pytest.mark.parametrize("name", ["3", "Table 3", "table3", "TABLE3"])
def test_a_table_has_several_spellings(name):
    assert find(name) is TABLES["table3"]


def test_a_table_that_does_not_exist_is_named():
    with pytest.raises(UserError, match="there is no 'table9'; there are table1"):
        find("table9")
    assert find("figure4") is FIGURES["figure4"]


def test_metrics_are_those_of_the_tasks():
    from dynabert.data.tasks import TASKS

    for measure in MEASURES.values():
        metric = measure.metric.removesuffix("_mismatched")
        assert metric in TASKS[measure.task].metrics
