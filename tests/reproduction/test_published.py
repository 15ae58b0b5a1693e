"""What the paper prints, checked against itself: its averages, and numbers that it prints twice."""

from __future__ import annotations

import numpy as np
import pytest

from dynabert.reproduction.published import (
    AVERAGE,
    GLUE,
    TABLE_1,
    TABLE_1_BACKBONE,
    TABLE_2,
    TABLE_3,
    TABLE_4,
    TABLE_5,
    TABLE_6,
    TABLE_7,
    TABLE_8,
)
from dynabert.reproduction.tables import TABLES


@pytest.mark.parametrize("row", [*TABLE_3.values(), *TABLE_8.values()])
def test_the_printed_average_is_that_of_the_nine_columns(row):
    mean = np.mean([row[measure] for measure in GLUE])
    assert abs(mean - row[AVERAGE]) <= 0.1  # the columns were rounded before


def test_a_number_that_is_printed_in_two_tables_is_the_same():
    last, conventional = TABLE_3["+ Distillation and DA"], TABLE_7["DynaBERT_w", "Conventional"]
    assert {measure: last[measure] for measure in conventional} == conventional
    both = {**TABLE_7["DynaBERT", "Conventional"]}
    both.pop("rte")
    assert both == TABLE_5["DynaBERT"]
    for measure, score in TABLE_5["DynaBERT"].items():  # the better of before and after
        steps = [TABLE_4[step][measure] for step in ("+ Distillation and DA", "+ Fine-tuning")]
        assert score == max(steps)


@pytest.mark.parametrize("measure", ["sst2", "cola", "mrpc", "rte"])
def test_the_mean_of_twelve_is_that_of_table_1(measure):
    mean = np.mean(TABLE_1["bert"][measure])
    assert abs(mean - TABLE_7["DynaBERT", "Conventional"][measure]) <= 0.16


def test_every_grid_has_four_widths_and_three_depths():
    for grids in (*TABLE_1.values(), TABLE_2):
        for grid in grids.values():
            assert np.array(grid, dtype=float).shape == (4, 3)
    assert all(
        set(TABLE_1[family]) == set(TABLE_1_BACKBONE[family]) == set(GLUE) for family in TABLE_1
    )
    assert all(len(line) == 3 for row in TABLE_6.values() for line in row.values())


@pytest.mark.parametrize(
    ("table", "row", "measure", "heading", "value"),
    [
        ("table1", "BERT_BASE", "cola", "1.0x", 58.1),
        ("table1", "DynaBERT, 0.75x", "cola", "1.0x", 60.8),
        ("table1", "DynaBERT, 0.25x", "mnli-mm", "0.5x", 82.3),
        ("table1-roberta", "DynaRoBERTa, 0.5x", "mrpc", "1.0x", 90.4),
        ("table1-roberta", "DynaRoBERTa, 1.0x", "cola", "0.75x", None),  # a misprint
        ("table2", "DynaBERT, 0.25x", "squad-em", "0.5x", 76.6),
        ("table2", "BERT_BASE", "squad-f1", "1.0x", 88.7),
        ("table3", "+ Network rewiring", "rte", "", 69.7),
        ("table4", "+ Fine-tuning", "cola", "", 54.8),
        ("table5", "- DynaBERT_w", "sst2", "", 92.3),
        ("table6", "DynaBERT_d", "cola", "0.5x", 52.2),
        ("table7", "Inplace, DynaBERT_w", "mrpc", "", 87.0),
        ("table8", "US (universally slimmable)", "avg", "", 81.3),
    ],
)
def test_a_row_of_a_table_holds_what_is_printed_there(table, row, measure, heading, value):
    assert TABLES[table].row(row).published[measure, heading] == value
