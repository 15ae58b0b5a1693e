"""What a visitor must know of a link that could not be followed in every part."""

from __future__ import annotations

import streamlit as st

from pages.shared import wording

_PLACE = "notices"
_LONGEST_QUOTE = 40  # letters


def make_room() -> None:
    """Let the notices of this run of the script stand here."""
    st.session_state[_PLACE] = st.container()


def fell_back(what: str, given: object, instead: str) -> None:
    """Say that the view, or the link it was opened by, asks for what is not there.

    what: the name of it, as the visitor knows it.  instead: what stands there, as a clause.
    """
    asked = str(given)
    asked = asked if len(asked) <= _LONGEST_QUOTE else f"{asked[:_LONGEST_QUOTE]}…"
    st.session_state[_PLACE].info(
        f"The link asks for {wording.escape(what)} “{wording.escape(asked)}”, which is not to be had "
        f"here: {wording.escape(instead)}.",
        icon=":material/link_off:",
    )


def cut(what: str, most: int) -> None:
    """Say that a text was too long.  what: its name.  most: letters that are left of it."""
    st.session_state[_PLACE].info(
        f"{wording.escape(what)}: that text is too long, its first {most:,} letters are shown.",
        icon=":material/content_cut:",
    )
