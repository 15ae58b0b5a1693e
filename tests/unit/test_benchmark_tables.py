"""The tables that benchmarks write of what they have measured."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest

from dynabert.search.front import BATCH_SIZES, latency_column, spread_column

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def benchmark_module(monkeypatch):
    """A benchmark, imported as it is when it is run."""
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    yield importlib.import_module
    for name in ("length_axis", "three_axes", "fronts", "timed_together", "training", "commands"):
        sys.modules.pop(name, None)


def made_row(subnet: str, score: float, macs: float, ms: float, *, largest: bool = False) -> dict:
    times = {latency_column(size): ms for size in BATCH_SIZES}
    spreads = {spread_column(latency_column(size)): 0.1 * ms for size in BATCH_SIZES}
    row = {"subnet": subnet, "accuracy": score, "macs": macs, "is_reference": largest}
    return row | times | spreads


def timed(ms: float) -> dict:
    return {
        "full": {latency_column(size): ms for size in BATCH_SIZES},
        **{"machine": "a machine", "created": "2026-01-02T03:04:05", "command": "python it"},
        **{"subnets": 3, "repeats": 7},
    }


def length_result(procedure: str, rows: list[dict], **changes: object) -> dict:
    return {
        **{"procedure": procedure, "task": "mrpc", "metric": "accuracy", "seed": 0, "trials": 9},
        **{"command": "python it", "created": "2026-01-02T03:04:05", "machine": "a machine"},
        **{"epochs": {"fine-tune": 8.0}, "stage_seconds": {"fine-tune": 120.0}, "tokens": 64},
        **{"teacher": 0.80, "teacher_macs": 1000.0, "search_examples": None, "front": rows},
        **changes,
    }


def test_the_table_of_procedures_has_the_papers_speed_up_and_ones_own(benchmark_module, tmp_path):
    length_axis = benchmark_module("length_axis")
    rows = [
        made_row("student", 0.795, 500, 5, largest=True),
        made_row("near", 0.79, 250, 2.5),  # within a point of both
        made_row("fast", 0.60, 100, 1),
    ]
    weak = [made_row("student", 0.70, 500, 5, largest=True), made_row("near", 0.695, 200, 4)]
    results = {
        "dynamic-tinybert": length_result("dynamic-tinybert", rows, timed=timed(10)),
        "dynamic-tinybert-v1": length_result(
            "dynamic-tinybert-v1", weak, timed=timed(10), num_front=4
        ),
    }
    for name, result in results.items():
        (tmp_path / f"mrpc-{name}-s0.json").write_text(json.dumps(result))
    length_axis.write_readme(tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert (
        "| no LengthDrop | fine-tune 8 | 2 | 79.5 | 2.00x | 2.00x | 2.00x (79.0) | 2.00x (79.0) | "
        "2.00x (79.0) | 4.00x (79.0) | 4.00x (79.0) | 88.71 / 3.3x |"
    ) in text
    assert "| 2.50x (69.5) | 1.25x (69.5) | 1.25x (69.5) | none | none |" in text
    assert "Not trained yet: naive, v2, v3, v4." in text
    assert "3 networks in turn, 7 passes each" in text
    assert "spread over up to 10% of its median" in text
    assert "| no LengthDrop | 79.5 | 79.0 | 79.0 | 79.0 | 60.0 |" in text  # at 2x, 2.5x, 3x, 4x, 5x
    # Of v1's front only one was measured: 250 MACs lie between its 200 and the student's 500.
    assert "| v1 | 70.0 | 69.8 | 69.7 | 69.6 | 69.5 |" in text
    assert "measured, on straight lines." in text
    assert length_axis.tried_on([results["dynamic-tinybert"]]) == "all of dev"
    assert length_axis.tried_on(list(results.values())) == (
        "all of dev; 1 to 2 of each front's 2 to 4 are shown"
    )


@pytest.mark.parametrize("edge", range(8))
def test_where_a_front_loses_the_point_is_found_by_halving(benchmark_module, edge):
    length_axis = benchmark_module("length_axis")
    keys, scores = list("abcdefg"), {"whole": 0.5}
    while (key := length_axis.next_to_judge(keys, scores, 0.49)) is not None:
        assert key not in scores
        scores[key] = 0.49 if keys.index(key) >= edge else 0.48
    assert len(scores) <= 4  # three of seven, and the reference
    good = [key for key in keys if scores.get(key, 0) >= 0.49]
    assert good[:1] == keys[edge : edge + 1]


def test_results_that_were_not_timed_together_are_told(benchmark_module, tmp_path):
    length_axis = benchmark_module("length_axis")
    rows = [made_row("student", 0.7, 500, 5, largest=True)]
    for name, when in (("dynamic-tinybert", timed(10)), ("dynamic-tinybert-v1", None)):
        result = length_result(name, rows) | ({"timed": when} if when else {})
        (tmp_path / f"mrpc-{name}-s0.json").write_text(json.dumps(result))
    assert length_axis.untimed(length_axis.results_of(tmp_path, "mrpc", 0).values())
    length_axis.write_readme(tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert "Not timed yet (`--time --task mrpc --seed 0`)." in text
    assert "| 70.0 | - | - | 1.00x (70.0) | - | - | - | - | 88.71 / 3.3x |" in text
    with pytest.raises(SystemExit, match="no results of rte"):
        length_axis.time_fronts(tmp_path, "rte", 0)


def test_the_table_of_axes_is_by_one_clock(benchmark_module, tmp_path):
    three_axes = benchmark_module("three_axes")
    narrow = made_row("w0.50-d1.00", 0.8, 400, 4)
    found = {
        **{"task": "mrpc", "metric": "accuracy", "seed": 0, "tokens": 64, "command": "python it"},
        **{"created": "2026-01-02T03:04:05", "machine": "a machine", "tried": {"both": 72}},
        "stage_seconds": {"best": {"fine-tune": 60.0}},
        "fronts": {"both": [made_row("w1.00-d1.00", 0.9, 1000, 10, largest=True), narrow]},
    }
    path = tmp_path / "mrpc-s0.json"
    path.write_text(json.dumps(found))
    three_axes.write_readme(tmp_path)
    assert "mrpc-s0.json: not timed" in (tmp_path / "README.md").read_text()
    path.write_text(json.dumps(found | {"timed": timed(10)}))
    three_axes.write_readme(tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert "trials: both 72" in text
    # Of the box from the full network's cost, and half of its score, to nothing and to 1.
    area = (1000 - 400) * (0.8 - 0.45) / (1000 * (1 - 0.45))
    assert text.count(f"| both | 90.0 | 80.0 | 80.0 | - | - | {area:.3f} |") == 3


def test_sub_networks_are_timed_by_a_network_of_the_same_shape(benchmark_module):
    timed_together = benchmark_module("timed_together")
    rows = [{"subnet": "w0.50-d0.50"}, {"subnet": "w1.00-d1.00-r0.9_0.8_0.6_0.5_0.4_0.3"}]
    found = timed_together.time_together("mrpc", rows, tokens=8, repeats=2)
    assert (found["subnets"], found["repeats"]) == (3, 2)
    for size in BATCH_SIZES:
        column = latency_column(size)
        assert 0 < rows[0][column] < found["full"][column]
        assert spread_column(column) in rows[1]
