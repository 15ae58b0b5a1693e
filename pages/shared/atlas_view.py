"""The attention maps of all sub-networks, drawn in the browser: its sliders need no server."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dynabert import Subnet, plots
from dynabert.analysis.choices import closest
from dynabert.analysis.map_atlas import MapAtlas
from pages.shared import state

_FOLDER = Path(__file__).parent / "atlas"
_KEY = "atlas"
# What the browser reported last; what it shows; how often it was told to show something else.
_TAKEN, _BROWSER, _TURN = "atlas-taken", "atlas-browser", "atlas-turn"

_component = st.components.v2.component(
    "attention_atlas",
    html=(_FOLDER / "atlas.html").read_text(encoding="utf-8"),
    css=(_FOLDER / "atlas.css").read_text(encoding="utf-8"),
    js=(_FOLDER / "atlas.js").read_text(encoding="utf-8"),
)

View = dict[str, float]  # w, d, and layer and head counted from 1


def show(atlas: MapAtlas) -> tuple[Subnet, int, int]:
    """Draw the atlas; what the visitor has chosen in it: sub-network, layer and head (from 0)."""
    _take_report()
    view = _view(atlas)
    # The browser follows a new turn only: what its visitor chose there is there already, and may have
    # changed again since.
    if st.session_state.get(_BROWSER) != view:
        st.session_state[_TURN] = st.session_state.get(_TURN, 0) + 1
        st.session_state[_BROWSER] = view
    palettes = {"attention": plots.attention_palette(), "change": plots.change_palette()}
    start = view | {"turn": st.session_state[_TURN]}
    _component(
        data=atlas.pack({"start": start, "palettes": palettes}),
        key=_KEY,
        on_view_change=_take_report,
    )
    for name, value in view.items():
        state.remember(name, value)
    return Subnet(view["w"], view["d"]), int(view["layer"]) - 1, int(view["head"]) - 1


def _take_report() -> None:
    """Put into the view what the browser says its visitor has chosen."""
    report = dict(st.session_state.get(_KEY) or {}).get("view")
    if not isinstance(report, dict) or report == st.session_state.get(_TAKEN):
        return
    st.session_state[_TAKEN] = report
    chosen = {
        name: value
        for name in ("w", "d", "layer", "head")
        if isinstance(value := report.get(name), int | float) and not isinstance(value, bool)
    }
    for name, value in chosen.items():
        state.change(name, float(value))
    st.session_state[_BROWSER] = chosen


def _view(atlas: MapAtlas) -> View:
    """What the view names, or what is nearest to it here."""
    asked = {name: state.recall_number(name) for name in ("w", "d", "layer", "head")}

    def place(name: str, total: int) -> int:
        wanted = asked[name]
        return int(wanted) if wanted is not None and 1 <= wanted <= total else 1

    def mult(name: str, mults: tuple[float, ...]) -> float:
        wanted = asked[name]
        return closest(mults, 1.0 if wanted is None else wanted)

    layers, heads = atlas.size
    return {
        "w": mult("w", atlas.width_mults),
        "d": mult("d", atlas.depth_mults),
        "layer": place("layer", layers),
        "head": place("head", heads),
    }
