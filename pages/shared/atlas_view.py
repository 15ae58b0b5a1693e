"""The attention maps of all sub-networks, drawn in the browser: its sliders need no server."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from typing import Any, get_args

import streamlit as st

from dynabert.analysis.map_atlas import MapAtlas
from dynabert.analysis.rollout import MAP_KINDS
from dynabert.runs import Run
from dynabert.subnet import Subnet
from dynabert.web import AtlasView, atlas_component, nearest_in_atlas, packed_atlas
from dynabert.web.atlas_page import Hidden
from pages.shared import cache, controls, notices, state

KEY = "atlas"
# What the browser reported last; what it shows; how often it was told to show something else; the
# tokens it showed that for.
_TAKEN, _BROWSER, _TURN, _TOKENS = "atlas-taken", "atlas-browser", "atlas-turn", "atlas-tokens"
_NAMES = tuple(field.name for field in fields(AtlasView))
_WORDS = {"map": MAP_KINDS, "hide": get_args(Hidden)}
_ALSO = "atlas-also"  # what a long text's atlas has beside the sizes that the run reports
# A link names these only where they are not what they are at first.
_SELDOM = ("map", "token", "below", "hide")
MOST_BELOW = 50
_MULTS = {"w": "width", "d": "depth"}

_files = atlas_component()
_component = st.components.v2.component(
    "attention_atlas", html=_files.html, css=_files.css, js=_files.js
)


def read(run: Run, texts: tuple[str, ...]) -> MapAtlas:
    """The atlas of a text; a long one has no room for all sub-networks, but for the one that is open.

    That stays in it until another text is typed, or a sub-network is opened that it lacks.
    """
    key = cache.run_key(run), texts
    known, also = st.session_state.get(_ALSO, (key, None))
    if known != key:
        also = None
    atlas, opened = cache.atlas(run, texts, also), _opened(run)
    if opened.width_mult not in atlas.width_mults or opened.depth_mult not in atlas.depth_mults:
        also = opened
        atlas = cache.atlas(run, texts, also)
    st.session_state[_ALSO] = key, also
    return atlas


def _opened(run: Run) -> Subnet:
    """What the view names, or the nearest that an atlas may have."""
    width, depth = state.recall_number("w"), state.recall_number("d")
    largest = run.largest
    named = Subnet(
        largest.width_mult if width is None or not 0 < width <= 1 else width,
        largest.depth_mult if depth is None or not 0 < depth <= 1 else depth,
    )
    return nearest_in_atlas(run, named)


def show(atlas: MapAtlas, first: Subnet) -> AtlasView:
    """Draw the atlas; what the visitor has chosen in it.  first: shown until something is chosen."""
    _take_report()
    view = _view(atlas, first)
    if st.session_state.get(_TOKENS, atlas.tokens) != atlas.tokens:
        view = replace(view, token=0)  # it was one of another text
    st.session_state[_TOKENS] = atlas.tokens
    # The browser follows a new turn only: what its visitor chose there is there already, and may have
    # changed again since.
    if st.session_state.get(_BROWSER) != view:
        st.session_state[_TURN] = st.session_state.get(_TURN, 0) + 1
        st.session_state[_BROWSER] = view
    _component(
        data=packed_atlas(atlas, view, turn=st.session_state[_TURN]),
        key=KEY,
        on_view_change=_take_report,
    )
    for name, value in asdict(view).items():
        if _is_said(name, value):
            state.remember(name, value)
    return view


def _is_said(name: str, value: Any) -> bool:
    """Whether the link names it."""
    return name not in _SELDOM or value != getattr(AtlasView(), name) or bool(state.recall(name))


def _take_report() -> None:
    """Put into the view what the browser says its visitor has chosen."""
    report = dict(st.session_state.get(KEY) or {}).get("view")
    if not isinstance(report, dict) or report == st.session_state.get(_TAKEN):
        return
    st.session_state[_TAKEN] = report
    chosen = {name: report[name] for name in _NAMES if _is_sound(name, report.get(name))}
    for name, value in chosen.items():
        if _is_said(name, value):
            state.change(name, value if name in _WORDS else float(value))
    st.session_state[_BROWSER] = (
        AtlasView(**chosen) if len(chosen) == len(_NAMES) else None  # else it is told all of it
    )


def _is_sound(name: str, value: Any) -> bool:
    if name in _WORDS:
        return isinstance(value, str) and value in _WORDS[name]
    return isinstance(value, int | float) and not isinstance(value, bool)


def _view(atlas: MapAtlas, first: Subnet) -> AtlasView:
    """What the view names, or what is nearest to it here."""

    def place(name: str, lowest: int, highest: int, usual: int) -> int:
        given, wanted = state.recall(name), state.recall_number(name)
        if wanted is not None and lowest <= wanted <= highest:
            return int(wanted)
        if given is not None:
            notices.fell_back(name, given, f"{usual} is shown" if usual else "none is shown")
        return usual

    def mult(name: str, mults: tuple[float, ...], default: float) -> float:
        return controls.recall_nearest(_MULTS[name], name, mults, default, "{:.3g}".format)

    def word(name: str) -> Any:
        wanted = state.recall(name)
        if wanted is not None and wanted not in _WORDS[name]:
            notices.fell_back(name, wanted, f"“{_WORDS[name][0]}” is shown")
        return wanted if wanted in _WORDS[name] else _WORDS[name][0]

    layers, heads = atlas.size
    w = mult("w", atlas.width_mults, first.width_mult)
    d = mult("d", atlas.depth_mults, first.depth_mult)
    layer, head = atlas.first_head(w, d) if state.recall("layer") is None else (0, 0)
    return AtlasView(
        w=w,
        d=d,
        layer=place("layer", 1, layers, layer + 1),
        head=place("head", 1, heads, head + 1),
        map=word("map"),
        token=place("token", 0, int(atlas.maps.shape[-1]), 0),
        below=place("below", 0, MOST_BELOW, 0),
        hide=word("hide") if atlas.block == 1 else "none",
    )
