"""Which heads and neurons matter?"""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import numpy as np
from reading import charts, finished, numbers
from tiny_run import HEADS, LAYERS, head_scores, write_tiny_run

from dynabert.analysis import head_ablation

pytest_plugins = ["app_fixtures"]


def test_the_map_shows_the_measured_scores_at_the_original_heads(open_app, tiny):
    at = open_app(tiny.folder.parent, "importance")
    at.segmented_control(key="importance-scale").set_value("over all layers").run()
    heads = charts(at)[0]["data"][0]
    np.testing.assert_array_equal(numbers(heads["z"]), head_scores().numpy())


def test_colours_within_each_layer_are_shares(open_app, tiny):
    at = open_app(tiny.folder.parent, "importance")
    shares = numbers(charts(at)[0]["data"][0]["z"])
    np.testing.assert_allclose(shares.sum(1), 1)
    assert shares[0, 0] == 6 / 21


def test_the_width_slider_says_and_marks_what_is_kept(open_app, tiny):
    at = open_app(tiny.folder.parent, "importance", w="0.5")
    assert "Width 0.5 keeps 3 of 6 heads and 30 of 60 neurons" in at.main.caption[0].value
    crosses = charts(at)[0]["data"][1]["marker"]["opacity"]
    gone = np.array(crosses, bool).reshape(LAYERS, HEADS)
    # In layer l the heads l, l + 1 and l + 2 are the best three.
    for layer in range(LAYERS):
        kept = {(layer + rank) % HEADS for rank in range(3)}
        assert set(np.flatnonzero(~gone[layer])) == kept

    at.select_slider(key="w").set_value(1 / 6).run()
    assert "keeps 1 of 6 heads and 10 of 60 neurons" in at.main.caption[0].value
    assert at.query_params["w"] in ("0.166667", ["0.166667"])


def test_the_order_of_heads_before_and_after_rewiring(open_app, tiny):
    """In layer l head (l + k) % 6 is the k-th best, and worth 6 - k."""
    at = open_app(tiny.folder.parent, "importance", w="0.5")
    after = charts(at)[2]
    places = np.array(after["data"][1]["text"], int).reshape(LAYERS, HEADS) - 1
    assert places.tolist() == [
        [(layer + rank) % HEADS for rank in range(HEADS)] for layer in range(LAYERS)
    ]
    assert [shape["x0"] for shape in after["layout"]["shapes"]] == [2.5]
    # The first three places hold 6 + 5 + 4 of 21; as pretrained, layers 1 to 4 have there
    # 6 + 5 + 4, 1 + 6 + 5, 2 + 1 + 6 and 3 + 2 + 1.
    before = round(100 * (15 + 12 + 9 + 6) / 84)
    assert any(f"{before}% before, **71%** after" in caption.value for caption in at.caption)
    at.segmented_control(key="order").set_value("as pretrained").run()
    places = np.array(charts(at)[2]["data"][1]["text"], int).reshape(LAYERS, HEADS)
    assert places.tolist() == [list(range(1, HEADS + 1))] * LAYERS


def test_neurons_are_ranked_and_cut_at_every_width(open_app, tiny):
    at = open_app(tiny.folder.parent, "importance", w="0.5")
    figure = charts(at)[3]
    ranked = numbers(figure["data"][0]["y"])
    assert (np.diff(ranked) <= 0).all()
    assert [shape["x0"] for shape in figure["layout"]["shapes"]] == [30]
    # Of 1 + k / 239 for k = 60 l ... 60 l + 59: the upper halves' share.
    importance = np.linspace(1, 2, LAYERS * 60).reshape(LAYERS, 60)
    share = importance[:, 30:].sum() / importance.sum()
    assert any(f"hold {share:.0%}" in caption.value for caption in at.caption)


def test_a_run_without_importance_says_what_can_be_said(open_app, tmp_path: Path, tiny_backbone):
    run = write_tiny_run(tmp_path / "runs", tiny_backbone, "plain", rewired=False)
    at = open_app(tmp_path / "runs", "importance", w="0.5")
    assert "was not rewired" in at.info[0].value
    assert f"python -m dynabert importance {run.argument} --measure" in at.info[0].value
    (figure,) = charts(at)
    gone = np.array(figure["data"][1]["marker"]["opacity"], bool).reshape(LAYERS, HEADS)
    assert (np.flatnonzero(~gone[0]) == [0, 1, 2]).all()


def test_heads_are_removed_on_demand_and_the_result_is_kept(open_app, own_run):
    at = open_app(own_run.folder.parent, "importance", w="0.5")
    assert own_run.ablation is None
    (button,) = [button for button in at.button if button.label == "Measure now"]
    button.click().run()
    finished(at)
    assert not at.exception
    assert not at.error
    found = own_run.ablation
    assert (found.num_examples, found.split) == (12, "dev")
    shown = next(chart for chart in charts(at) if "change of the loss" in str(chart))
    np.testing.assert_allclose(numbers(shown["data"][0]["z"]), found.loss_change, rtol=1e-6)
    crosses = np.array(shown["data"][1]["marker"]["opacity"], bool).reshape(LAYERS, HEADS)
    assert (crosses.sum(1) == 3).all()
    at.segmented_control(key="removal-effect").set_value("metric").run()
    shown = next(chart for chart in charts(at) if "change of accuracy" in str(chart))
    np.testing.assert_allclose(numbers(shown["data"][0]["z"]), found.metric_change, atol=1e-6)
    assert any("rank the 24 heads alike by" in caption.value for caption in at.caption)
    assert not [button for button in at.button if button.label == "Measure now"]


def test_removing_them_can_be_stopped(open_app, own_run, monkeypatch):
    go_on = threading.Event()

    def ablate(model, examples, *, metric, num_examples, on_progress):
        assert go_on.wait(60)
        on_progress(1, 2)
        raise AssertionError("it was asked to stop")

    monkeypatch.setattr(head_ablation, "ablate_heads", ablate)
    at = open_app(own_run.folder.parent, "importance")
    next(button for button in at.button if button.label == "Measure now").click().run()
    at.button(key="stop-removals").click().run()
    assert "It stops." in [caption.value for caption in at.caption]
    go_on.set()
    at = finished(at)
    assert not at.error
    assert own_run.ablation is None
    assert [button for button in at.button if button.label == "Measure now"]


def test_examples_that_have_gone_are_an_error_and_it_can_be_tried_again(open_app, own_run, tiny):
    folder = tiny.folder.parents[1] / "runs-data"
    away = folder.with_name("gone")
    at = open_app(own_run.folder.parent, "importance")
    shutil.move(folder, away)
    try:
        next(button for button in at.button if button.label == "Measure now").click().run()
        finished(at)
    finally:
        shutil.move(away, folder)
    assert at.error[0].value.startswith("There is no file")
    next(button for button in at.button if button.label == "Measure now").click().run()
    finished(at)
    assert not at.error
    assert own_run.ablation is not None


def test_a_damaged_measurement_is_named(open_app, own_run):
    (own_run.folder / "head_ablation.safetensors").write_bytes(b"nonsense")
    at = open_app(own_run.folder.parent, "importance")
    assert "ablation.safetensors is damaged" in at.error[0].value.replace("\\", "")
