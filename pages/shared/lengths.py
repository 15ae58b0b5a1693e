"""The choice of how many tokens leave each layer of a sub-network."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from dynabert.analysis.survivors import DROPS, dropping
from dynabert.errors import UserError
from dynabert.length_config import LengthConfig
from dynabert.runs import Run
from dynabert.subnet import Subnet
from pages.shared import controls, notices, state

# `_DROP` names a share that every layer drops; `_LENGTHS` is the key of any other configuration, which a
# search found or a link brought.
_DROP, _LENGTHS = "drop", "lengths"
_KEY = "lengths-choice"
_HELP = (
    "Of the tokens that enter it, those that receive the least attention: what comes after is computed for "
    "the others only. Networks lose less by it that were trained for it (`length-adaptive`)."
)


def choose(run: Run, subnet: Subnet) -> Subnet:
    """The sub-network with as many tokens as the visitor wants to leave its layers."""
    steps = {f"{drop:g}": one for drop, one in _dropping(run, subnet).items()}
    own = _own(run, subnet)
    chosen = _closest()
    if own is not None:
        chosen = own.key
        steps[chosen] = own
    st.session_state[_KEY] = chosen

    def take() -> None:
        wanted = st.session_state[_KEY]
        state.forget(_LENGTHS)
        state.forget(_DROP)
        if own is None or wanted != own.key:
            state.change(_DROP, wanted)
        else:
            assert own.length_config is not None
            state.change(_LENGTHS, own.length_config.key)

    wanted = st.select_slider(
        "Tokens that each layer drops",
        list(steps),
        key=_KEY,
        on_change=take,
        help=_HELP,
        format_func=lambda step: "its own" if own and step == own.key else f"{float(step):.0%}",
    )
    return steps[wanted]


def set_lengths(config: LengthConfig | None) -> None:
    """Move the control, from a callback."""
    state.forget(_LENGTHS)
    state.forget(_DROP)
    if config is not None:
        state.change(_LENGTHS, config.key)


def _dropping(run: Run, subnet: Subnet) -> dict[float, Subnet]:
    return dict(zip(DROPS, dropping(subnet, run.config.shape), strict=True))


def _closest() -> str:
    nearest = controls.recall_nearest("share of dropped tokens", _DROP, DROPS, 0.0, "{:.0%}".format)
    return f"{nearest:g}"


def _own(run: Run, subnet: Subnet) -> Subnet | None:
    """The sub-network with the lengths that the view names; None where none of the steps is needed."""
    given = state.recall(_LENGTHS)
    if given is None:
        return None
    try:
        found = replace(subnet, length_config=LengthConfig.parse(given))
        found.resolve(run.config.shape)
    except UserError:
        notices.fell_back("lengths", given, "there are none for this sub-network")
        return None
    same = [drop for drop, one in _dropping(run, subnet).items() if one == found]
    if same:  # under its usual name
        st.session_state[_KEY] = f"{same[0]:g}"
        state.remember(_DROP, same[0])
        state.forget_quietly(_LENGTHS)
        return None
    return found
