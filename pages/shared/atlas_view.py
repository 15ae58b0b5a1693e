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
_TAKEN, _SHOWN, _START = "atlas-taken", "atlas-shown", "atlas-start"

_component = st.components.v2.component(
    "attention_atlas",
    html=(_FOLDER / "atlas.html").read_text(encoding="utf-8"),
    css=(_FOLDER / "atlas.css").read_text(encoding="utf-8"),
    js=(_FOLDER / "atlas.js").read_text(encoding="utf-8"),
)

View = dict[str, float]  # w, d, and layer and head counted from 1


def show(atlas: MapAtlas) -> tuple[Subnet, int, int]:
    """Draw the atlas; what the visitor has chosen in it: sub-network, layer and head (from 0)."""
    chosen = _take_report()
    view = _view(atlas)
    # What the visitor chose in the browser is there already: sent back, it would be a new atlas.
    if not chosen and st.session_state.get(_SHOWN) != view:
        st.session_state[_START] = view
    st.session_state[_SHOWN] = view
    palettes = {"attention": plots.attention_palette(), "change": plots.change_palette()}
    _component(
        data=atlas.pack({"start": st.session_state[_START], "palettes": palettes}),
        key=_KEY,
        on_view_change=lambda: None,
    )
    for name, value in view.items():
        state.remember(name, value)
    return Subnet(view["w"], view["d"]), int(view["layer"]) - 1, int(view["head"]) - 1


def _take_report() -> bool:
    """Put into the view what the browser says its visitor has chosen; whether that is news."""
    report = dict(st.session_state.get(_KEY) or {}).get("view")
    if not isinstance(report, dict) or report == st.session_state.get(_TAKEN):
        return False
    st.session_state[_TAKEN] = report
    for name in ("w", "d", "layer", "head"):
        value = report.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            state.change(name, float(value))
    return True


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
