"""What can be saved below a chart: in every case the chart itself."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest
from reading import cells, charts, figure_of, same
from tiny_run import copy_run

from dynabert import Subnet, plots
from dynabert.analysis.attention_maps import attention_maps
from dynabert.analysis.head_ablation import ablate_heads
from dynabert.examples import load_examples

pytest_plugins = ["app_fixtures"]


@pytest.mark.parametrize(
    ("page", "parameters", "number"),
    [
        ("overview", {}, 2),
        ("importance", {"w": "0.5", "order": "as rewired"}, 4),
        ("importance", {"w": "0.5", "order": "as pretrained"}, 4),
        ("compare", {"other": "twin"}, 2),
        ("fusion", {"w": "0.5", "text": 'a cat\'s "cat".'}, 3),
        ("fusion", {"w": "0.5", "set": "teaching sentences"}, 3),
        ("survivors", {"w": "0.5", "text": 'a cat\'s "cat".'}, 2),
        ("accuracy", {"w": "0.5", "cost": "macs", "layers": "3-4", "max_macs": "0.1"}, 1),
    ],
)
def test_a_cell_draws_the_figure_of_the_page(open_app, own_run, page, parameters, number):
    copy_run(own_run, own_run.folder.parent, "twin")
    at = open_app(own_run.folder.parent, page, run="tiny", **parameters)
    assert len(cells(at)) == number
    for cell, chart in zip(cells(at), charts(at), strict=True):
        assert same(figure_of(cell), chart), cell


def test_cells_draw_what_removing_heads_measured(open_app, own_run):
    found = ablate_heads(own_run.model(), load_examples(own_run).dev, metric="accuracy")
    own_run.keep_ablation(found)
    at = open_app(own_run.folder.parent, "importance", w="0.5")
    assert len(cells(at)) == 6
    for cell, chart in list(zip(cells(at), charts(at), strict=True))[-2:]:
        assert same(figure_of(cell), chart), cell


def test_the_cell_of_answers_gives_the_same_answers(open_app, tiny):
    """Their times differ, so the tooltips do."""
    at = open_app(tiny.folder.parent, "try_it", text='the cat\'s "good".')
    (cell,), (chart,) = cells(at), charts(at)
    drawn = figure_of(cell)
    assert same(drawn["data"][0], chart["data"][0])
    assert drawn["data"][1]["text"] == chart["data"][1]["text"]


def test_the_cell_of_attention_draws_the_chosen_sub_network(open_app, tiny):
    texts = ['the cat\'s "good".']
    at = open_app(
        tiny.folder.parent, "attention", text=texts[0], w="0.5", d="0.5", layer="2", head="3"
    )
    (cell,) = cells(at)
    maps = attention_maps(tiny.model(), tiny.tokenizer(), texts, Subnet(0.5, 0.5))
    expected = json.loads(plots.attention_grid(maps.maps, chosen=(1, 2)).to_json())
    assert same(figure_of(cell), expected)


def test_a_runs_folder_is_named_as_seen_from_the_project(open_app):
    root = Path(__file__).resolve().parents[2]
    at = open_app(root / "runs")
    assert "Run.load('runs/demo')" in cells(at)[0]


def test_data_of_a_figure_are_its_points_and_tiles():
    figure = go.Figure(go.Heatmap(z=[[1.0, np.nan], [3.0, 4.0]]))
    figure.add_scatter(x=[5], y=[6], text=["a"], name="points")
    table = plots.data_of(figure)
    assert table.to_dict("list") == {
        "trace": ["heatmap 1", "heatmap 1", "heatmap 1", "points"],
        "x": [0, 0, 1, 5],
        "y": [0, 1, 1, 6],
        "z": [1.0, 3.0, 4.0, pytest.approx(np.nan, nan_ok=True)],
        "text": [pytest.approx(np.nan, nan_ok=True)] * 3 + ["a"],
    }
