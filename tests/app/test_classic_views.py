"""BertViz's views at the foot of the attention page."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest
from tiny_run import rewrite_recipe

from dynabert import Subnet
from dynabert.analysis.attention_maps import attention_maps

pytest_plugins = ["app_fixtures"]


def frame(at: AppTest) -> tuple[str, dict[str, Any]]:
    """What the page shows in a frame, and the data in it."""
    (iframe,) = at.get("iframe")
    html = iframe.proto.srcdoc
    found = re.search(r'<script type="application/json" id="params">(.*?)</script>', html)
    assert found
    return html, json.loads(found[1])


def captions(at: AppTest) -> str:
    return " ".join(element.value for element in at.caption)


def test_nothing_is_drawn_until_it_is_asked_for(open_app, tiny):
    at = open_app(tiny.folder.parent, "attention")
    assert not at.get("iframe")
    at.segmented_control(key="classic").set_value("head").run()
    assert not at.exception
    assert frame(at)[1]["include_layers"] == [1, 2, 3, 4]
    assert "head" in at.query_params["classic"]  # the text, or a list of it
    at.segmented_control(key="classic").set_value("none").run()
    assert not at.get("iframe")


@pytest.mark.parametrize("kind", ["head", "model"])
def test_a_sub_network_is_shown_by_its_original_numbers(open_app, tiny, kind):
    at = open_app(tiny.folder.parent, "attention", classic=kind, of="sub", w="0.5", d="0.5")
    _, params = frame(at)
    assert params["include_layers"] == [2, 4]
    # In layer l (from 0) the heads l, l + 1, l + 2 are the best.
    assert [np.flatnonzero(row).tolist() for row in params["kept"]] == [[1, 2, 3], [3, 4, 5]]
    maps = attention_maps(
        tiny.model(), tiny.tokenizer(), ["the cat sat on the mat."], Subnet(0.5, 0.5)
    ).maps
    shown = params["attention"][0]["attn"]
    np.testing.assert_allclose(np.array(shown[1][4]), maps[3, 4], rtol=0, atol=0.0005001)
    assert "2 of 4 layers (2, 4)" in captions(at)
    assert "a head that this layer does not have" in captions(at)


def test_the_neuron_view_begins_with_the_chosen_head(open_app, tiny):
    link = {"classic": "neuron", "of": "sub", "w": "0.5", "layer": "2"}
    at = open_app(tiny.folder.parent, "attention", head="3", **link)
    _, params = frame(at)
    assert params["layers"][params["layer"]] == 2
    assert params["heads"][params["layer"]] == [2, 3, 4]
    assert params["head"] == 1
    assert "chosen above" not in captions(at)
    at = open_app(tiny.folder.parent, "attention", head="6", **link)
    assert frame(at)[1]["head"] == 0
    assert "Layer 2 of this network does not have head 6, chosen above" in captions(at)
    assert "begins with head 2" in captions(at)
    at = open_app(tiny.folder.parent, "attention", head="3", d="0.5", **link | {"layer": "3"})
    assert "Layer 3, chosen above, does not run in this network" in captions(at)


def test_the_full_network_is_whole_whatever_the_sliders_say(open_app, tiny):
    at = open_app(tiny.folder.parent, "attention", classic="model", w="0.5", d="0.5")
    _, params = frame(at)
    assert params["include_layers"] == [1, 2, 3, 4]
    assert all(all(row) for row in params["kept"])
    assert "does not have" not in captions(at)


def test_the_payload_is_what_is_said(open_app, tiny):
    at = open_app(tiny.folder.parent, "attention", classic="neuron")
    html, _ = frame(at)
    assert f"{len(html.encode()) / 1e6:.1f} MB were sent" in captions(at)


def test_a_longer_text_is_told_why_not(open_app, own_run):
    rewrite_recipe(own_run, "max_tokens: 16", "max_tokens: 40")
    at = open_app(own_run.folder.parent, "attention", classic="head", text="cat " * 23)
    assert not at.get("iframe")
    # 4 layers of 6 heads.
    assert "25 tokens" in at.info[0].value
    assert "15,000 of them" in at.info[0].value
    at.text_input(key="text").set_value("cat " * 22).run()
    assert len(frame(at)[1]["attention"][0]["left_text"]) == 24


def test_a_pair_can_be_seen_by_text(open_app, own_run):
    rewrite_recipe(
        own_run,
        "text_columns:\n  - text\n  labels",
        "text_columns: [premise, hypothesis]\n  labels",
    )
    at = open_app(own_run.folder.parent, "attention", classic="head", text="a cat", text2="a dog")
    parts = frame(at)[1]["attention"]
    assert parts[3]["left_text"] == ["[CLS]", "a", "cat", "[SEP]"]
    assert parts[3]["right_text"] == ["a", "dog", "[SEP]"]


def test_a_link_with_nonsense_falls_back(open_app, tiny):
    at = open_app(tiny.folder.parent, "attention", classic="<b>", of="x")
    assert at.segmented_control(key="classic").value == "none"
    at = open_app(tiny.folder.parent, "attention", classic="head", of="x")
    assert at.segmented_control(key="of").value == "full"
