"""What do heads look at?"""

from __future__ import annotations

import sys
from functools import partial

import numpy as np
import pytest
import torch
from reading import atlas, metric
from streamlit.testing.v1 import AppTest
from tiny_run import HEADS, LAYERS, rewrite_recipe

from dynabert import Subnet
from dynabert.analysis.attention_maps import attention_maps
from dynabert.analysis.map_atlas import build_atlas
from dynabert.analysis.rollout import map_of
from dynabert.web import read_atlas

pytest_plugins = ["app_fixtures"]


TOKENS = ["[CLS]", "the", "cat", "sat", "on", "the", "mat", ".", "[SEP]"]


# What the browser is told to show when nobody has asked for anything.
FIRST = {
    **{"w": 1.0, "d": 1.0, "layer": 1, "head": 1, "map": "head"},
    **{"token": 0, "below": 0, "hide": "none", "turn": 1},
}


def of_subnet(at: AppTest, width: float, depth: float) -> np.ndarray:
    """(L, H, S, S) the maps that the browser has of a sub-network."""
    header, maps = atlas(at)
    number = header["depth_mults"].index(depth) * len(header["width_mults"])
    number += header["width_mults"].index(width)
    cells = header["cells"]
    found = np.full((LAYERS, HEADS, cells, cells), np.nan)
    for (layer, head), matrix in zip(header["places"][number], maps[number], strict=True):
        found[layer, head] = (matrix / 255) ** 2
    return found


def test_the_page_opens_with_a_sentence_and_has_every_sub_network(open_app, tiny):
    at = open_app(tiny.folder.parent, "attention", w="0.5", d="0.5")
    assert at.text_input(key="text").value == "the cat sat on the mat."
    header, maps = atlas(at)
    assert header["tokens"] == TOKENS
    # The first head that it has is enlarged: layer 2, head 2.
    assert header["start"] == FIRST | {"w": 0.5, "d": 0.5, "layer": 2, "head": 2}
    assert len(header["width_mults"]) == HEADS
    assert len(header["depth_mults"]) == LAYERS
    assert len(maps) == HEADS * LAYERS
    there = ~np.isnan(of_subnet(at, 0.5, 0.5)[:, :, 0, 0])
    # Depth 0.5 runs layers 2 and 4; in layer l (from 0) the heads l, l + 1, l + 2 are the best.
    kept = np.zeros((LAYERS, HEADS), bool)
    kept[1, [1, 2, 3]] = kept[3, [3, 4, 5]] = True
    np.testing.assert_array_equal(there, kept)


def test_the_maps_are_the_models_own(open_app, tiny):
    at = open_app(tiny.folder.parent, "attention", text="a good dog")
    model, tokenizer = tiny.model(), tiny.tokenizer()
    for subnet in (Subnet(), Subnet(0.5, 0.75)):
        alone = attention_maps(model, tokenizer, ["a good dog"], subnet)
        found = of_subnet(at, subnet.width_mult, subnet.depth_mult)
        np.testing.assert_allclose(found, alone.maps, atol=2 / 255)


def test_what_the_visitor_chooses_in_the_browser_becomes_the_link(open_app, tiny):
    at = open_app(tiny.folder.parent, "attention")
    chosen = {"w": 0.5, "d": 0.75, "layer": 2, "head": 3, "map": "rollout"}
    choose(at, FIRST | chosen)
    link = {
        name: value[0] if isinstance(value, list) else value
        for name, value in at.query_params.items()
    }
    assert {name: link[name] for name in chosen} == {
        "w": "0.5", "d": "0.75", "layer": "2", "head": "3", "map": "rollout"
    }  # fmt: skip
    assert "below" not in link  # it is as at first
    # The browser has it already: no new turn.
    assert atlas(at)[0]["start"] == FIRST | chosen
    assert [metric.label for metric in at.metric] == ["Full network", "Width 0.5, depth 0.75"]


@pytest.mark.parametrize(
    "nonsense",
    [
        "x",
        {"w": "0.5"},
        {"w": float("nan"), "layer": 1e300, "head": True},
        {"layer": [1]},
        {"map": ["rollout"], "hide": {}, "token": "1", "below": -5},
        {"map": "mean", "hide": 1, "token": 99, "below": 51},
        {"no": 1},
    ],
)
def test_nonsense_from_the_browser_changes_nothing(open_app, tiny, nonsense):
    at = open_app(tiny.folder.parent, "attention")
    choose(at, nonsense)
    assert not at.exception
    header, _ = atlas(at)
    assert header["start"] | {"turn": 1} == FIRST


def test_what_another_page_changes_is_a_new_turn(open_app, own_run):
    at = open_app(own_run.folder.parent, "attention")
    choose(at, FIRST | {"w": 0.5, "at": 1})
    at.switch_page("pages/accuracy.py").run()
    at.select_slider(key="w").set_value(1 / 3).run()
    at.switch_page("pages/attention.py").run()
    start = atlas(at)[0]["start"]
    assert (start["w"], start["turn"]) == (pytest.approx(1 / 3), 2)
    # Where the browser says what cannot be, it is told what is.
    choose(at, FIRST | {"w": 0.5, "layer": 99, "at": 2})
    start = atlas(at)[0]["start"]
    assert (start["layer"], start["turn"]) == (1, 3)


def choose(at: AppTest, view: object) -> None:
    """What the component reports when a visitor lets go of a slider or clicks a head."""
    at.session_state["atlas"] = {"view": view}
    at.run()


def test_both_answers_are_the_models_own(open_app, tiny):
    text = "the cat is bad."
    at = open_app(tiny.folder.parent, "attention", w="0.5", text=text)
    model = tiny.model()
    inputs = tiny.tokenizer()(text, return_tensors="pt")
    for shown, subnet in zip(at.metric, (Subnet(), Subnet(0.5)), strict=True):
        probabilities = model(**inputs, subnet=subnet).logits.softmax(-1)[0].detach()
        best = int(torch.argmax(probabilities))
        assert shown.value == ("neg", "pos")[best]
        assert shown.delta == f"probability {float(probabilities[best]):.1%}"


def test_an_empty_sentence_asks_for_one(open_app, tiny):
    at = open_app(tiny.folder.parent, "attention")
    at.text_input(key="text").set_value("   ").run()
    assert not at.exception
    assert "Type a text to see" in at.info[0].value
    assert not at.get("bidi_component")


def test_a_long_sentence_is_cut_and_says_so(open_app, tiny):
    at = open_app(tiny.folder.parent, "attention", text="cat " * 60)
    assert "longer than the 16 tokens" in at.warning[0].value
    assert "last 46 are left out" in at.warning[0].value
    assert len(atlas(at)[0]["tokens"]) == 16


def test_of_a_long_text_the_sub_network_that_is_open_is_drawn_too(open_app, tiny, monkeypatch):
    small = partial(build_atlas, most_bytes=4000)  # too little for every width and depth
    monkeypatch.setattr(sys.modules[read_atlas.__module__], "build_atlas", small)
    at = open_app(tiny.folder.parent, "attention", text="a good old cat", w="0.667", d="0.75")
    header, _ = atlas(at)
    assert header["width_mults"] == [0.5, pytest.approx(4 / 6), 1.0]
    assert header["depth_mults"] == [0.5, 0.75, 1.0]
    assert header["start"]["w"] == pytest.approx(4 / 6)
    assert not any("asks for" in info.value for info in at.info)
    # Its steps stay when the sliders, or Back and Forward, choose others of them.
    at.query_params["w"] = "0.5"
    at.run()
    header, _ = atlas(at)
    assert header["start"]["w"] == 0.5
    assert header["width_mults"] == [0.5, pytest.approx(4 / 6), 1.0]
    assert header["depth_mults"] == [0.5, 0.75, 1.0]
    at.query_params["d"] = "0.5"
    at.text_input(key="text").set_value("the old cat is good").run()
    assert atlas(at)[0]["width_mults"] == [0.5, 1.0]
    reported = open_app(tiny.folder.parent, "attention", text="a good old cat")
    assert atlas(reported)[0]["width_mults"] == [0.5, 1.0]


def test_what_cannot_be_followed_is_told_once(open_app, tiny):
    at = open_app(tiny.folder.parent, "attention", text="a cat", w="7")
    assert sum("width “7”" in info.value for info in at.info) == 1


def test_hostile_text_is_shown_letter_by_letter(open_app, tiny):
    at = open_app(tiny.folder.parent, "attention", text="<b>x</b> <a href='j'>&amp;")
    assert not any("<b>" in element.value for element in (*at.markdown, *at.caption))


@pytest.mark.parametrize(
    "link",
    [
        {"w": "abc", "d": "nan", "layer": "99", "head": "-1"},
        {"w": "inf", "d": "-5", "layer": "x", "head": "1e400"},
        {"w": "", "map": "<b>", "token": "1e9", "below": "nan", "hide": "../x"},
    ],
)
def test_a_link_with_nonsense_falls_back(open_app, tiny, link):
    at = open_app(tiny.folder.parent, "attention", **link)
    start = atlas(at)[0]["start"]
    assert (start["layer"], start["head"]) == (1, 1)
    assert start["w"] in (1.0, 1 / 6)
    for name in ("map", "token", "below", "hide"):
        assert start[name] == FIRST[name]


def test_a_chosen_token_is_forgotten_with_its_text(open_app, tiny):
    at = open_app(
        tiny.folder.parent, "attention", text="a cat", token="2", hide="special", below="5"
    )
    start = atlas(at)[0]["start"]
    assert (start["token"], start["hide"], start["below"]) == (2, "special", 5)
    at.text_input(key="text").set_value("a red bird").run()
    start = atlas(at)[0]["start"]
    assert (start["token"], start["hide"], start["below"]) == (0, "special", 5)


@pytest.mark.parametrize(
    ("kind", "label", "places"),
    [
        ("head", "This head (CSV)", ["layer", "head"]),
        ("layer", "This layer's average (CSV)", ["layer"]),
        ("network", "Network average (CSV)", []),
        ("rollout", "Rollout (CSV)", []),
    ],
)
def test_the_table_is_of_what_is_shown(open_app, tiny, monkeypatch, kind, label, places):
    tables = {}
    monkeypatch.setattr(
        "pages.shared.controls.download",
        lambda label, table, file_name: tables.setdefault(label, table),
    )
    view = {"w": "0.5", "d": "0.5", "layer": "2", "head": "3", "map": kind}
    open_app(tiny.folder.parent, "attention", text="a good dog", **view)
    (table,) = (tables[label],)
    assert list(table)[2 : 2 + len(places)] == places
    for key, subnet in (("w1.00-d1.00", Subnet()), ("w0.50-d0.50", Subnet(0.5, 0.5))):
        maps = attention_maps(tiny.model(), tiny.tokenizer(), ["a good dog"], subnet).maps
        wanted = map_of(maps, kind, 1, 2)
        found = table[table["subnet"].isin([key, "full"] if subnet.is_full else [key])]
        np.testing.assert_allclose(found["attention"], wanted.ravel(), atol=1e-6)


def test_other_pages_keep_the_view_and_so_does_the_way_back(open_app, own_run):
    at = open_app(own_run.folder.parent, "attention", w="0.5", d="0.75", layer="1", head="5")
    at.text_input(key="text").set_value("a red bird").run()
    at.switch_page("pages/accuracy.py").run()
    assert at.select_slider(key="w").value == 0.5
    assert at.select_slider(key="d").value == 0.75
    at.select_slider(key="w").set_value(1 / 3).run()
    at.switch_page("pages/attention.py").run()
    assert at.text_input(key="text").value == "a red bird"
    start = atlas(at)[0]["start"]
    assert (start["w"], start["d"], start["head"]) == (pytest.approx(1 / 3), 0.75, 5)


def test_a_collapsed_subnet_is_marked(open_app, tiny):
    at = open_app(tiny.folder.parent, "attention", w="0.5", d="0.5")
    assert "collapsed" in at.warning[0].value
    assert not open_app(tiny.folder.parent, "attention").warning


def test_a_task_of_pairs_reads_two_texts(open_app, own_run):
    rewrite_recipe(
        own_run,
        "text_columns:\n  - text\n  labels",
        "text_columns: [premise, hypothesis]\n  labels",
    )
    at = open_app(own_run.folder.parent, "attention", text="a cat", text2="a dog")
    assert [field.label for field in at.text_input] == ["Premise", "Hypothesis"]
    tokens = ["[CLS]", "a", "cat", "[SEP]", "a", "dog", "[SEP]"]
    assert atlas(at)[0]["tokens"] == tokens
    at.text_input(key="text2").set_value("").run()
    assert "Type both texts to see" in at.info[0].value


def test_a_regression_shows_its_number(open_app, own_run):
    rewrite_recipe(own_run, "labels:\n  - neg\n  - pos\n", "labels: null\n")
    at = open_app(own_run.folder.parent, "attention", text="a cat")
    logits = own_run.model()(**own_run.tokenizer()("a cat", return_tensors="pt")).logits
    assert metric(at, "Full network") == f"{logits[0, 0].item():.2f}"


def test_a_label_is_shown_as_it_is_written(open_app, own_run):
    label = "**b** <i> ![x](http://x/y) $1-$2"
    rewrite_recipe(
        own_run, "labels:\n  - neg\n  - pos\n", f"labels:\n  - '{label}'\n  - '{label}.'\n"
    )
    at = open_app(own_run.folder.parent, "attention", text="a cat")
    shown = metric(at, "Full network")
    assert shown.replace("\\", "").replace("\N{WORD JOINER}", "").removesuffix(".") == label
    for character in "*<[$":
        assert f"\\{character}" in shown
