"""Links that open a sub-network on another page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from dynabert.analysis.choices import subnet_by_layer
from dynabert.subnet import NetworkShape, Subnet
from pages.shared import state

# Pages by their files, as the navigation lists them: what they are called, and their icons.
PAGES = {
    "overview": ("Overview", "info"),
    "importance": ("Importance", "leaderboard"),
    "attention": ("Attention", "grid_on"),
    "fusion": ("Function fusion", "merge"),
    "survivors": ("Surviving tokens", "filter_alt"),
    "accuracy": ("Accuracy and size", "scatter_plot"),
    "search": ("Search", "travel_explore"),
    "try_it": ("Try it", "chat"),
    "compare": ("Compare", "compare_arrows"),
    "results": ("Results", "table_chart"),
    "take_away": ("Take it away", "download"),
    "learn": ("Tour and glossary", "school"),
    "train": ("Train and watch", "model_training"),
}
# With one of these the view is of a sub-network that a width and a depth do not say everything about.
FINER = ("lengths", "drop", "per_layer")


def to(subnet: Subnet) -> dict[str, str]:
    """The parameters of a link that opens the view with that sub-network."""
    chosen = {name: value for name, value in state.link().items() if name not in FINER}
    chosen |= {"w": f"{subnet.width_mult:.6g}", "d": f"{subnet.depth_mult:.6g}"}
    if subnet.heads is not None:
        chosen["per_layer"] = ".".join(map(str, subnet.heads))
    if subnet.length_config is not None:
        chosen["lengths"] = subnet.length_config.key
    return chosen


def can_be_opened(subnet: Subnet, shape: NetworkShape) -> bool:
    """Whether the controls can choose it: its layers are a depth's, and neurons follow from heads."""
    if subnet.layers is not None or (subnet.heads is None) != (subnet.neurons is None):
        return False
    if subnet.heads is None:
        return True
    offered = subnet_by_layer(shape, subnet.depth_mult, subnet.heads)
    return offered.resolve(shape) == replace(subnet, length_config=None).resolve(shape)


def is_known_everywhere(subnet: Subnet) -> bool:
    """Whether pages that know one width for all layers, and all tokens, show it as it is."""
    return subnet.heads is None and subnet.length_config is None


def row(pages: Sequence[str], parameters: dict[str, str]) -> None:
    """The links, side by side.  pages: of `PAGES`."""
    with st.container(horizontal=True):
        for page in pages:
            label, icon = PAGES[page]
            st.page_link(
                f"pages/{page}.py",
                label=label,
                icon=f":material/{icon}:",
                query_params=parameters,
            )
