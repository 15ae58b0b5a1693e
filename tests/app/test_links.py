"""Links into the app: what cannot be followed falls back, and says so."""

from __future__ import annotations

import pytest

pytest_plugins = ["app_fixtures"]
HOSTILE = "</script><img src=x onerror=alert(1)>"


@pytest.mark.parametrize(
    ("page", "parameters", "said"),
    [
        (
            "importance",
            {"w": "0.4"},
            "width “0\\.4”, which is not to be had here: 0\\.333 \\(2/6 heads",
        ),
        ("accuracy", {"w": "NaN"}, "width “NaN”"),
        ("accuracy", {"d": "7"}, "depth “7”, which is not to be had here: 1 \\(4/4 layers"),
        ("accuracy", {"cost": "gold"}, "cost “gold”, which is not to be had here: “Parameters”"),
        ("fusion", {"set": HOSTILE}, "measured over “\\<"),
        ("attention", {"w": "0.4"}, "width “0\\.4”, which is not to be had here: 0\\.333 is shown"),
        ("attention", {"layer": "99"}, "layer “99”, which is not to be had here: 1 is shown"),
        ("attention", {"map": "treasure"}, "“head” is shown"),
    ],
)
def test_bad_values_of_a_link_fall_back_with_a_notice(open_app, own_run, page, parameters, said):
    at = open_app(own_run.folder.parent, page, **parameters)
    assert not at.error
    (notice,) = [info.value for info in at.info if info.value.startswith("The link asks for")]
    assert said in notice
    assert "<img" not in notice.replace("\\<img", "")
    at.run()
    assert not [info for info in at.info if info.value.startswith("The link asks for")]


def test_a_text_that_is_too_long_is_cut(open_app, own_run):
    at = open_app(own_run.folder.parent, "attention", text="good " * 2000)
    assert at.info[0].value == "Sentence: that text is too long, its first 5,000 letters are shown."
    assert at.text_input(key="text").value == "good " * 1000


@pytest.mark.parametrize("page", ["overview", "importance", "accuracy", "try_it", "take_away"])
def test_a_good_link_says_nothing(open_app, own_run, page):
    at = open_app(own_run.folder.parent, page, run="tiny", w="0.666667", d="0.25", cost="macs")
    assert not [info for info in at.info if info.value.startswith("The link asks for")]


@pytest.mark.parametrize("name", ["../../etc", "..", "/etc", "tiny/../tiny", ".hidden", "%2e%2e"])
def test_a_link_opens_nothing_outside_the_runs_folder(open_app, tiny, name):
    at = open_app(tiny.folder.parent, "overview", run=name)
    assert "There is no run" in at.error[0].value
    assert at.title[0].value == "DynaBERT workbench"
    assert not at.metric


def go_to(at, **link: str) -> None:
    """What the browser's address says when the page is run again."""
    for name in list(at.query_params):
        del at.query_params[name]
    for name, value in link.items():
        at.query_params[name] = value


def test_a_quick_second_click_with_the_address_of_before_undoes_nothing(open_app, tiny):
    """While a page is drawn, the browser sends the address that the page has not yet changed."""
    at = open_app(tiny.folder.parent, "importance", run="tiny", w="1")
    at.select_slider(key="w").set_value(0.5).run()
    go_to(at, run="tiny", w="1")
    at.toggle(key="importance-log").set_value(False).run()
    assert at.select_slider(key="w").value == 0.5


def test_going_back_takes_the_view_from_the_address(open_app, tiny):
    at = open_app(tiny.folder.parent, "importance", run="tiny", w="1")
    at.select_slider(key="w").set_value(0.5).run()
    go_to(at, run="tiny", w="1")
    at.run()
    assert at.select_slider(key="w").value == 1.0


@pytest.mark.parametrize(
    ("page", "name", "value"),
    [("attention", "map", "rollout"), ("overview", "tour", "1"), ("train", "training", "x")],
)
def test_going_back_to_a_link_without_it_takes_it_out_of_the_view(
    open_app, tiny, page, name, value
):
    at = open_app(tiny.folder.parent, page, run="tiny", **{name: value})
    assert at.session_state["view"][name] == value
    go_to(at, run="tiny")
    at.run()
    assert name not in at.session_state["view"]
