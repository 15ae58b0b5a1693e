"""The view a visitor has open: kept from page to page, and kept in the address as its link.

Streamlit forgets a control's value when another page is shown, and clears the address's
parameters; the view remembers both. Its entries are the parameters, as texts.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

from dynabert.reproduction.results import RESULTS_DIR
from dynabert.runs import RUNS_DIR_VARIABLE

ROOT = Path(__file__).resolve().parents[2]
_CHANGED, _PAGE, _ARRIVED, _CONTROLS = (
    *("view-changed", "view-page", "view-arrived"),
    "view-controls",
)
# A link without one of these means that it is not chosen.
OPTIONAL = (
    *("per_layer", "layers", "heads", "max_params", "max_macs", "max_latency", "auto"),
    *("map", "token", "below", "hide", "training", "tour", "score"),
    *("search", "beside_search", "search_cost", "point", "drop", "lengths", "whole"),
    *("extraction", "epsilon", "round"),
    *("budget_ms", "budget_tokens", "budget_batch", "budget_params", "budget_macs", "budget_floor"),
)
PARAMETERS = (
    *("run", "w", "d", "text", "text2", "layer", "head", "cost", "set", "beside", "other"),
    *("classic", "of", "order"),
    *("table", "backbone", "against"),
    *OPTIONAL,
)
LONGEST_TEXT = 5000  # letters; the longest passage of SQuAD has 4,063


class PageEndsError(Exception):
    """The page has nothing more to show."""


def end_page() -> NoReturn:
    """Leave the page here. `st.stop` would also stop what app.py does after it."""
    raise PageEndsError


def runs_dir() -> Path:
    """The folder whose runs the app offers."""
    return Path(os.environ.get(RUNS_DIR_VARIABLE) or ROOT / "runs")


def results_dir() -> Path:
    """The folder with the results that the page Results shows."""
    return Path(os.environ.get("DYNABERT_RESULTS_DIR") or ROOT / RESULTS_DIR)


def training_allowed() -> bool:
    """Whether visitors may start, stop and discard trainings, which is work on this machine."""
    return os.environ.get("DYNABERT_TRAINING", "on").strip().lower() in ("on", "1", "yes", "true")


def arrive() -> None:
    """Note that this visitor has come through app.py."""
    st.session_state[_ARRIVED] = True


def enter_through_app() -> None:
    """Start again with app.py where a page was started without it.

    Streamlit takes the files of a folder called pages/ for pages of its older kind, which run on
    their own, until st.navigation has run once. So a link straight to a page would miss the choice of
    the run and show no errors, for all visitors who come before that.
    """
    if not st.session_state.get(_ARRIVED):
        PagesManager.uses_pages_directory = False
        st.rerun()


def follow_address() -> None:
    """Take the view from the address where the visitor went back or forward in the browser.

    Not where a control has just been touched: then the browser may still have sent the address
    from before an earlier change.
    """
    if not st.session_state.get(_CHANGED) and not _touched():
        given = st.query_params.to_dict()
        known = {name: given[name] for name in PARAMETERS if name in given}
        if known:
            for name in OPTIONAL:
                _view().pop(name, None)
        _view().update(known)


def _touched() -> bool:
    """Whether a control, also one that is in no link, stands otherwise than when the page was drawn."""
    before = st.session_state.get(_CONTROLS, {})
    return any(before.get(key, value) != value for key, value in _controls().items())


def _controls() -> dict[str, object]:
    """The controls that have a key and hold one value."""
    simple = bool | int | float | str | tuple | None
    return {
        str(key): value
        for key, value in st.session_state.items()
        if isinstance(value, simple) and not str(key).startswith("view-")
    }


def write_address(page: str) -> None:
    """Make the address the view's link.

    Once per run: each time is a step in the browser's history. A step of its own, without
    parameters, is the click on a page's name; who comes back to it must find it so, or could never
    go back further.
    """
    changed = st.session_state.pop(_CHANGED, False)
    st.session_state[_CONTROLS] = _controls()
    stays = st.session_state.get(_PAGE) == page
    st.session_state[_PAGE] = page
    given = st.query_params.to_dict()
    if stays and not changed and not any(name in given for name in PARAMETERS):
        return
    link = {name: value for name, value in given.items() if name not in PARAMETERS}
    link |= {name: _view()[name] for name in PARAMETERS if name in _view()}
    if link != given:
        st.query_params.from_dict(link)


def recall(name: str) -> str | None:
    """What the view, or the link it was opened by, says about a parameter."""
    return _view().get(name)


def remember(name: str, value: object) -> None:
    """Put a parameter into the view."""
    _view()[name] = f"{value:.6g}" if isinstance(value, float) else str(value)


def change(name: str, value: object) -> None:
    """Put a parameter into the view in answer to the visitor, from a callback."""
    st.session_state[_CHANGED] = True
    remember(name, value)


def forget(name: str) -> None:
    """Take an optional parameter out of the view in answer to the visitor, from a callback."""
    st.session_state[_CHANGED] = True
    _view().pop(name, None)


def forget_quietly(name: str) -> None:
    """Take an optional parameter out of the view, because nothing on the page stands for it now."""
    _view().pop(name, None)


def show(name: str, value: object) -> Callable[[], None]:
    """Give the control of that key its value; what it must call when the visitor changes it.

    The view decides: of two pages with a control of the same key, Streamlit would show the second
    at its lowest value.
    """
    st.session_state[name] = value
    return lambda: change(name, st.session_state[name])


def link() -> dict[str, str]:
    """The parameters of a link that opens the view on another page."""
    return {name: _view()[name] for name in PARAMETERS if name in _view()}


def recall_number(name: str) -> float | None:
    """A parameter as a number; None where it is missing or nonsense."""
    try:
        number = float(recall(name) or "")
    except ValueError:
        return None
    return number if abs(number) < 1e6 else None  # False for NaN too


def _view() -> dict[str, str]:
    if "view" not in st.session_state:
        given = st.query_params.to_dict()
        st.session_state["view"] = {name: given[name] for name in PARAMETERS if name in given}
    return st.session_state["view"]
