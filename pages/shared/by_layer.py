"""The choice of a sub-network whose layers may differ in width."""

from __future__ import annotations

import re

import pandas as pd
import streamlit as st

from dynabert.analysis.choices import subnet_by_layer
from dynabert.errors import UserError
from dynabert.runs import Run
from dynabert.subnet import Subnet
from pages.shared import controls, lengths, notices, state, wording

_PARAMETER = "per_layer"  # heads of each executed layer, for example "12.6.3.3"
_MOST_IN_A_ROW = 6

_Shown = tuple[str, Subnet, tuple[int, ...]]


def choose_subnet(run: Run, results: pd.DataFrame) -> Subnet:
    """Width, depth and length, on request the heads of each layer, and what they come to."""
    left, right = st.columns(2, gap="large")
    with left:
        width = controls.choose_width(run, results)
    with right:
        depth = controls.choose_depth(run, results)
    plain = Subnet(width, depth)
    heads = _recall(run, plain)
    state.show("by-layer", heads is not None)
    st.toggle(
        "Choose heads layer by layer",
        key="by-layer",
        help="Each layer keeps its most important heads, and the same share of its neurons.",
        on_change=lambda: _switch(run, plain),
    )
    subnet = plain if heads is None else _choose_heads(run, plain, heads)
    subnet = lengths.choose(run, subnet)
    st.caption(f"Sub-network: {wording.subnet_counts(subnet, run.config.shape)}.")
    return subnet


def _switch(run: Run, plain: Subnet) -> None:
    if st.session_state["by-layer"]:
        _change(plain.resolve(run.config.shape).heads)
    else:
        state.forget(_PARAMETER)


def _change(heads: tuple[int, ...]) -> None:
    state.change(_PARAMETER, ".".join(map(str, heads)))


def _recall(run: Run, plain: Subnet) -> tuple[int, ...] | None:
    """The heads that the view names, brought to the layers that run now; None without such.

    Another width sets all layers; another depth leaves the layers that stay as they are.
    """
    text = state.recall(_PARAMETER)
    if text is None:
        return None
    shape = run.config.shape
    resolved = plain.resolve(shape)
    heads = tuple(map(int, text.split("."))) if re.fullmatch(r"\d{1,4}(\.\d{1,4})*", text) else ()
    shown: _Shown | None = st.session_state.get(controls.BY_LAYER_SHOWN)
    if shown is not None and shown[0] == run.name and shown[2] == heads and shown[1] != plain:
        before = dict(zip(shown[1].resolve(shape).layers, heads, strict=True))
        stay = shown[1].width_mult == plain.width_mult
        heads = tuple(
            before.get(layer, count) if stay else count
            for layer, count in zip(resolved.layers, resolved.heads, strict=True)
        )
    try:
        subnet_by_layer(shape, plain.depth_mult, heads)
    except UserError:
        notices.fell_back("heads by layer", text, "the width holds for all layers")
        return None
    state.remember(_PARAMETER, ".".join(map(str, heads)))
    st.session_state[controls.BY_LAYER_SHOWN] = (run.name, plain, heads)
    return heads


def _choose_heads(run: Run, plain: Subnet, heads: tuple[int, ...]) -> Subnet:
    """A slider for each executed layer, named by its number in the original network."""
    shape, names = run.config.shape, run.config.layer_ids or []
    layers = plain.resolve(shape).layers
    keys = [f"heads-{layer}" for layer in layers]

    def take() -> None:
        _change(tuple(int(st.session_state[key]) for key in keys))

    for start in range(0, len(layers), _MOST_IN_A_ROW):
        columns = st.columns(_MOST_IN_A_ROW)
        row = zip(columns, layers[start:], heads[start:], keys[start:], strict=False)
        for column, layer, count, key in row:
            st.session_state[key] = count
            total = shape.heads[layer]
            if total == 1:  # nothing to slide
                column.markdown(f"Layer {names[layer] + 1}: 1 head")
                continue
            column.select_slider(
                f"Layer {names[layer] + 1}",
                range(1, total + 1),
                key=key,
                on_change=take,
                format_func=lambda count, total=total: f"{count}/{total}",
            )
    return subnet_by_layer(shape, plain.depth_mult, heads)
