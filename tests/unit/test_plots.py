"""Figures hold the numbers they were given, and what surrounds them says the truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dynabert import plots
from dynabert.analysis.choices import (
    closest,
    depth_choices,
    drops_tokens,
    find_row,
    on_grid,
    subnet_by_layer,
    width_choices,
)
from dynabert.analysis.filters import SizeFilter, front_of
from dynabert.analysis.pareto import pareto_front
from dynabert.errors import UserError
from dynabert.plots.functions import function_colours
from dynabert.subnet import NetworkShape, Subnet

SHAPE = NetworkShape(heads=(12,) * 6, neurons=(1536,) * 6)


def results(*rows: tuple[float, float, float, bool]) -> pd.DataFrame:
    """(width_mult, depth_mult, accuracy, collapsed) of a 6-layer network."""
    table = []
    for width, depth, accuracy, collapsed in rows:
        resolved = Subnet(width, depth).resolve(SHAPE)
        size = sum(resolved.heads)
        table.append(
            {
                "width_mult": width,
                "depth_mult": depth,
                "subnet": Subnet(width, depth).key,
                "layers": list(resolved.layers),
                "heads": list(resolved.heads),
                "neurons": list(resolved.neurons),
                "accuracy": accuracy,
                "collapsed": collapsed,
                "num_params": size * 1_000_000,
                "macs": size * 10_000_000,
                "latency_ms": float("nan"),
                "latency_ms_iqr": float("nan"),
            }
        )
    return pd.DataFrame(table)


def test_pareto_front_keeps_ties_and_leaves_out_what_is_unknown():
    cost = np.array([1, 1, 2, 2, 3, np.nan, 0.5])
    quality = np.array([0.5, 0.5, 0.4, 0.7, 0.7, 0.9, np.nan])
    expected = [True, True, False, True, False, False, False]
    assert pareto_front(cost, quality).tolist() == expected


def test_slider_steps_are_every_count_and_the_runs_own_multipliers():
    assert depth_choices(SHAPE, (1.0, 0.75, 0.5)) == [1 / 6, 1 / 3, 0.5, 0.75, 5 / 6, 1.0]
    widths = width_choices(SHAPE, (0.25,))
    assert widths == [count / 12 for count in range(1, 13)]
    # 0.3 keeps 3 heads, as 0.25 does, but more neurons: another sub-network.
    assert len(width_choices(SHAPE, (0.3,))) == 13
    assert closest(widths, 0.77) == 0.75


def test_heads_by_layer_take_the_same_share_of_neurons():
    uneven = NetworkShape(heads=(4, 3, 2), neurons=(100, 50, 7))
    # Of 3 layers depth 2/3 runs the first and the third.
    chosen = subnet_by_layer(uneven, 2 / 3, (3, 1)).resolve(uneven)
    assert (chosen.layers, chosen.heads, chosen.neurons) == ((0, 2), (3, 1), (75, 3))
    thin = NetworkShape(heads=(12, 12), neurons=(6, 6))
    assert subnet_by_layer(thin, 1.0, (1, 2)).resolve(thin).neurons == (1, 1)
    # Where one width says the same, that is its name.
    assert subnet_by_layer(SHAPE, 0.5, (3, 3, 3)) == Subnet(0.25, 0.5)
    assert subnet_by_layer(SHAPE, 1.0, (12,) * 6) == Subnet()
    for heads in ((3,), (3, 4), (0, 1), ()):
        with pytest.raises(UserError):
            subnet_by_layer(uneven, 2 / 3, heads)


def test_filters_leave_out_sizes_and_the_front_is_that_of_the_rest():
    table = results(
        (1.0, 1.0, 0.9, False),
        (0.5, 1.0, 0.92, False),
        (1.0, 0.5, 0.7, False),
        (0.5, 0.5, 0.7, True),
    )
    table.loc[3, "latency_ms"] = 5.0

    def passes(cost="num_params", **limits):
        return SizeFilter(**limits).passes(table, cost).tolist()

    assert passes() == [True] * 4
    assert passes(layers=(4, 6)) == [True, True, False, False]
    assert passes(heads=(7, 12)) == [True, False, True, False]
    assert passes(most_cost=36_000_000 * (1 - 1e-7)) == [False, True, True, True]
    assert passes("latency_ms", most_cost=6.0) == [False, False, False, True]
    assert front_of(table, "accuracy", "num_params").tolist() == [False, True, False, False]
    inside = SizeFilter(heads=(7, 12)).passes(table, "num_params")
    assert front_of(table[inside], "accuracy", "num_params").tolist() == [True, True]
    figure = plots.quality_vs_cost(
        table, "accuracy", "num_params", metric_title="a", cost_title="c", inside=inside
    )
    outside, front = figure.data[:2]
    assert list(outside.customdata) == ["w0.50-d1.00", "w0.50-d0.50"]
    assert list(front.y) == [0.7, 0.9]


def test_sub_networks_that_drop_tokens_are_drawn_apart_and_can_be_left_out():
    table = results((1.0, 1.0, 0.9, False), (0.5, 1.0, 0.8, False), (1.0, 0.5, 0.7, False))
    table["length_config"] = [None, "r0.9_0.8_0.7_0.6_0.5_0.4", None]
    assert SizeFilter(all_tokens=True).passes(table, "num_params").tolist() == [True, False, True]
    assert drops_tokens(table).tolist() == [False, True, False]
    titles = {"metric_title": "accuracy", "cost_title": "parameters"}
    traces = plots.quality_vs_cost(table, "accuracy", "num_params", **titles).data
    by_name = {trace.name: trace for trace in traces}
    assert list(by_name["sub-network"].y) == [0.7, 0.9]
    assert list(by_name["drops tokens"].y) == [0.8]
    (said,) = by_name["drops tokens"].hovertext
    assert "90%, 80%, 70%, 60%, 50%, 40% of the tokens leave them" in said
    assert "tokens leave" not in " ".join(by_name["sub-network"].hovertext)


def test_a_choice_is_drawn_with_its_budget():
    table = pd.DataFrame(
        {
            "subnet": ["a", "b", "<i>c</i>", "d", "e"],
            "score": [0.9, 0.8, 0.7, 0.5, 0.95],
            "collapsed": [False, False, False, True, False],
            "fits": [False, True, True, False, False],
            "role": ["next step", "chosen", "runner-up", "", ""],
            "num_params": [4e6, 2e6, 1e6, 5e5, 5e6],
            "macs": [4e8, 2e8, 1e8, 5e7, 5e8],
            "latency_ms": [9.0, 4.0, 1.0, np.nan, np.nan],
            "latency_ms_iqr": [1.0, 0.5, 4.0, np.nan, np.nan],
            "measurements": [1, 3, 2, 0, 0],
            "predicted_ms": [8.0, 4.5, 1.5, 0.5, 20.0],
        }
    )
    titles = {"quality_title": "accuracy", "cost_title": "ms"}
    figure = plots.budget_choice(table, "latency_ms", limit=5.0, floor=0.6, **titles)
    drawn = {trace.name: trace for trace in figure.data}
    places = {name: (list(trace.x), list(trace.y)) for name, trace in drawn.items()}
    assert places["fits"] == ([4.0, 1.0], [0.8, 0.7])
    assert places["does not fit"] == ([9.0], [0.9])
    assert places["not timed: modelled latency"] == ([20.0], [0.95])
    assert places["collapsed: one answer for all"] == ([0.5], [0.5])
    assert places["next step"] == ([9.0], [0.9])
    assert places["runner-up"] == ([1.0], [0.7])
    assert places["chosen"] == ([4.0], [0.8])
    assert list(drawn["fits"].error_x.array) == [0.25, 2.0]
    assert list(drawn["fits"].error_x.arrayminus) == [0.25, 1.0]  # not below no time
    assert "&lt;i&gt;c" in drawn["fits"].hovertext[1]
    assert "slowest of 2 medians" in drawn["fits"].hovertext[1]
    upright, level = figure.layout.shapes
    assert (upright.x0, upright.x1, level.y0, level.y1) == (5.0, 5.0, 0.6, 0.6)
    by_size = plots.budget_choice(table, "num_params", limit=3e6, scale=1e6, **titles)
    drawn = {trace.name: trace for trace in by_size.data}
    assert list(drawn["does not fit"].x) == [4.0, 5.0]  # timed or not
    assert drawn["fits"].error_x.array is None
    assert by_size.layout.shapes[0].x0 == 3.0
    missed = plots.budget_choice(
        table.assign(role=["nearest miss", *[""] * 4], fits=False), "macs", **titles
    )
    drawn = {trace.name: trace for trace in missed.data}
    assert drawn["nearest miss"].marker.symbol == "square-open"
    assert "budget" not in drawn


def test_fronts_of_searches_are_told_apart():
    table = pd.DataFrame(
        {
            "subnet": ["a", "b", "<i>c</i>"],
            "quality": [0.5, 0.9, 0.6],
            "cost": [1e6, 3e6, 4e6],
            "on_front": [True, True, False],
        }
    )
    titles = {"quality_title": "accuracy", "cost_title": "MACs"}
    figure = plots.search_fronts(
        {"x": table, "y": table.iloc[:1]}, scale=1e6, selected="b", **titles
    )
    lines = [trace for trace in figure.data if trace.mode == "lines"]
    assert [list(line.x) for line in lines] == [[1, 3], [1]]
    assert [trace.name for trace in figure.data if trace.showlegend] == ["x", "y"]
    pale = next(trace for trace in figure.data if trace.marker.opacity == 0.35)
    assert (list(pale.x), list(pale.y)) == ([4], [0.6])
    assert "&lt;i&gt;c" in pale.hovertext[0]
    assert figure.data[-1].name == "chosen"
    assert list(figure.data[-1].x) == [3]
    assert len(plots.search_fronts({}, **titles).data) == 0
    crossed = plots.search_fronts({"x": table.assign(collapsed=[False, False, True])}, **titles)
    (gone,) = [trace for trace in crossed.data if "x" in (trace.marker.symbol or ())]
    assert list(gone.customdata) == ["<i>c</i>"]
    assert "collapsed" in gone.hovertext[0]


def test_a_grid_of_scores_leaves_out_counts_by_layer():
    table = results((1.0, 1.0, 0.9, False), (1.0, 1.0, 0.1, False))
    table.loc[1, "subnet"] = "w1.00-d1.00-h1.2.3.4.5.6-n1.1.1.1.1.1"
    assert on_grid(table)["accuracy"].tolist() == [0.9]
    assert plots.metric_grid(table, "accuracy", metric_title="a").data[0].z.tolist() == [[0.9]]


def test_a_row_is_found_by_what_the_subnet_keeps():
    table = results((1.0, 1.0, 0.9, False), (1.0, 0.75, 0.8, False))
    assert find_row(table, Subnet(depth_mult=4 / 6).resolve(SHAPE))["accuracy"] == 0.8
    assert find_row(table, Subnet(depth_mult=0.5).resolve(SHAPE)) is None


def test_metric_grid_gives_a_collapsed_score_no_colour():
    table = results((0.5, 1.0, 0.69, True), (1.0, 1.0, 0.8, False), (1.0, 0.5, 0.6, False))
    heat, words = plots.metric_grid(table, "accuracy", metric_title="accuracy").data
    # Rows are depths 0.5 and 1, columns widths 0.5 and 1.
    np.testing.assert_array_equal(heat.z, [[np.nan, 0.6], [np.nan, 0.8]])
    assert list(words.text) == ["–", "<b>0.600</b>", "0.690 ✕", "<b>0.800</b>"]
    assert "same answer" in words.hovertext[2]


def test_metric_grid_names_the_resolved_counts():
    figure = plots.metric_grid(results((0.5, 0.75, 0.7, False)), "accuracy", metric_title="x")
    assert figure.layout.xaxis.ticktext == ("0.5<br>6 heads",)
    assert figure.layout.yaxis.ticktext == ("0.75<br>4 layers",)
    assert "4 layers: 1, 3, 4, 6" in figure.data[1].hovertext[0]


def test_attention_grid_puts_each_map_in_its_tile_with_gaps_between():
    maps = np.arange(2 * 3 * 2 * 2, dtype=np.float32).reshape(2, 3, 2, 2)
    maps[1, 0] = np.nan
    heat, heads = plots.attention_grid(maps, chosen=(0, 2)).data
    assert heat.z.shape == (2 * 2 + 1, 3 * 2 + 2)
    np.testing.assert_array_equal(heat.z[:2, 3:5], maps[0, 1])
    assert np.isnan(heat.z[2]).all()
    assert np.isnan(heat.z[:, 2]).all()
    # The middle of a tile lies at its head's whole number.
    assert heat.x0 + heat.dx * 0.5 == pytest.approx(0)
    assert heat.x0 + heat.dx * 3.5 == pytest.approx(1)
    assert [opacity > 0 for opacity in heads.marker.opacity] == [False] * 3 + [True, False, False]
    assert heads.hovertext[3] == "layer 2, head 1: not in this sub-network"
    assert [list(place) for place in heads.customdata][4] == [1, 1]


def test_attention_map_escapes_tokens():
    tokens = ["<b>bold</b>", "<a href='x'>", "&lt;"]
    figure = plots.attention_map(tokens, np.eye(3))
    shown = ("&lt;b&gt;bold&lt;/b&gt;", "&lt;a href='x'&gt;", "&amp;lt;")
    assert figure.layout.xaxis.ticktext == shown
    assert tuple(figure.data[0].customdata[1, 0]) == (shown[1], shown[0])
    np.testing.assert_array_equal(figure.data[0].z, np.eye(3))


def test_quality_vs_cost_draws_collapsed_apart_and_marks_the_chosen():
    table = results((1.0, 1.0, 0.9, False), (0.5, 1.0, 0.95, True), (0.25, 1.0, 0.6, False))
    front, sound, collapsed, chosen = plots.quality_vs_cost(
        table,
        "accuracy",
        "num_params",
        metric_title="accuracy",
        cost_title="parameters",
        selected="w0.25-d1.00",
        scale=1e6,
    ).data
    assert list(front.x) == [18, 72]
    assert list(front.y) == [0.6, 0.9]
    assert list(sound.y) == [0.6, 0.9]
    assert list(collapsed.y) == [0.95]
    assert (list(chosen.x), list(chosen.y)) == ([18], [0.6])


def test_training_curve_joins_stages_and_marks_collapsed_evaluations():
    records = [
        {"event": "step", "stage": "one", "step": 10, "loss": 2.0},
        {
            "event": "evaluation", "stage": "one", "step": 10, "mean": 0.5,
            "scores": {"w1.00-d1.00": 0.5}, "collapsed": ["w1.00-d1.00"],
        },
        {"event": "step", "stage": "two", "step": 5, "loss": 1.0},
    ]  # fmt: skip
    figure = plots.training_curve(records, metric_title="accuracy")
    losses = [trace for trace in figure.data if trace.yaxis in (None, "y")]
    assert [list(trace.x) for trace in losses] == [[10], [15]]
    assert figure.data[1].marker.symbol == ("x-thin-open",)


def test_neuron_ranking_sorts_and_leaves_zeros_off_a_logarithmic_axis():
    scores = np.array([[0.1, 0.0, 0.3, np.nan]])
    figure = plots.neuron_ranking(scores, {0.5: 2}, title="importance", chosen=0.5)
    np.testing.assert_allclose(figure.data[0].y, [0.3, 0.1, np.nan], rtol=1e-6)
    assert figure.layout.shapes[0].x0 == 2
    linear = plots.neuron_ranking(scores, {}, title="importance", log=False)
    np.testing.assert_allclose(linear.data[0].y, [0.3, 0.1, 0], rtol=1e-6)


def test_widths_are_named_where_their_labels_have_room():
    scores = np.ones((1, 1200))

    def named(cuts, chosen=None):
        figure = plots.neuron_ranking(scores, cuts, title="importance", chosen=chosen)
        assert [shape.x0 for shape in figure.layout.shapes] == list(cuts.values())
        return {note.text: note.x for note in figure.layout.annotations}

    twelfths = {count / 12: 100 * count for count in range(1, 12)}
    assert list(named(twelfths)) == [f"{mult:.3g}" for mult in twelfths]
    close = {0.25: 300, 0.27: 324, 0.3: 360, 1 / 3: 400, 0.5: 600}
    assert named(close) == {"0.25": 300, "0.3": 360, "0.5": 600}
    assert named(close, chosen=1 / 3) == {"0.25": 300, "0.333": 400, "0.5": 600}


def test_maps_side_by_side_have_the_same_legend():
    labels = np.array([["prev", ""], ["mix", "mix"]], dtype=object)
    details = {(0, 0): "", (1, 0): "", (1, 1): ""}
    groups = {"prev": "neighbours", "v→s": "grammar", "mix": "mixed"}

    def named(figure):
        """What the legend shows: traces that have a point, be it nowhere."""
        return [trace.name for trace in figure.data if trace.name and len(trace.x)]

    alone = plots.head_functions(labels, details, groups)
    assert named(alone) == ["neighbours", "mixed"]
    beside = plots.head_functions(labels, details, groups, legend=["grammar", "mixed"])
    assert named(beside) == ["neighbours", "grammar", "mixed"]
    assert list(beside.data[2].x) == [None]
    assert beside.data[2].marker.color == function_colours()[1]


def test_accuracy_by_group_has_a_bar_for_each_network():
    table = pd.DataFrame({"group": ["<i>a</i>"], "num_examples": [4], "full": [1.0], "sub": [0.5]})
    full, small = plots.accuracy_by_group(table, {"full": "full", "sub": "small"}).data
    assert (list(full.x), list(small.x)) == ([1.0], [0.5])
    assert full.y == ("&lt;i&gt;a&lt;/i&gt;",)


def test_attention_map_of_many_tokens_writes_some_labels_and_knows_all():
    tokens = [f"t{number}" for number in range(100)]
    figure = plots.attention_map(tokens, np.zeros((100, 100)))
    assert figure.layout.yaxis.ticktext == tuple(tokens[::4])
    assert figure.layout.xaxis.ticktext == tuple(tokens[::8])
    assert tuple(figure.data[0].customdata[7, 50]) == ("t7", "t50")


@pytest.mark.parametrize(("score", "lowest"), [(0.9, 0), (-0.2, -1)])
def test_the_axis_of_one_score_ends_where_scores_do(score, lowest):
    one = results((1.0, 1.0, score, False))
    titles = {"metric_title": "score", "cost_title": "MACs"}
    named = {"quality_title": "score", "cost_title": "MACs"}
    found = pd.DataFrame({"subnet": ["a"], "quality": [score], "cost": [1e6], "on_front": [True]})
    asked = {"collapsed": False, "fits": True, "role": "chosen", "measurements": 0}
    costs = {"num_params": 1e6, "macs": 1e6, "latency_ms": np.nan, "predicted_ms": np.nan}
    choice = pd.DataFrame({"subnet": ["a"], "score": [score], **costs, **asked})
    for figure in (
        plots.quality_vs_cost(one, "accuracy", "macs", **titles),
        plots.quality_of_runs({"a": one, "b": one}, "accuracy", "macs", **titles),
        plots.search_fronts({"x": found}, **named),
        plots.budget_choice(choice, "macs", **named),
    ):
        assert figure.layout.yaxis.title.text == "score"
        clip = figure.layout.yaxis.autorangeoptions
        assert (clip.clipmin, clip.clipmax) == (lowest - 0.03, 1.03)


def test_an_answer_has_as_many_lines_as_a_tile_has_room_for():
    table = pd.DataFrame(
        {
            **{"subnet": ["w1.00-d1.00", "w0.50-d1.00"], "width_mult": [1.0, 0.5]},
            **{"depth_mult": 1.0, "answer": ["under the <b> kitchen table", "no"]},
            **{"probability": [0.87, 0.001], "latency_ms": 1.0, "collapsed": [False, True]},
        }
    )
    texts = plots.answers(table).data[1].text
    assert list(texts) == ["under the<br>&lt;b&gt; kitchen…<br>87%", "no<br>&lt;1% ✕"]
