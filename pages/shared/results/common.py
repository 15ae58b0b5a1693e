"""What the tables and the figures of the page Results share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from dynabert.reproduction.circumstances import (
    backbone_sentence,
    budget_sentences,
    machine_sentences,
)
from dynabert.reproduction.compare import Gap
from dynabert.reproduction.results import Result
from pages.shared import notices, state, wording


def choose(
    label: str, name: str, options: Mapping[str, str], first: str, *, decides: Sequence[str] = ()
) -> str:
    """One of many, by a word of the link.

    options: the words, and what they are called.  decides: parameters that mean nothing any more when another
    one is chosen.
    """
    given = state.recall(name)
    if given is not None and given not in options:
        notices.fell_back(label.lower(), given, f"“{options[first]}” is shown")
    take = state.show(name, given if given in options else first)

    def changed() -> None:
        take()
        for other in decides:
            state.forget(other)

    chosen = st.selectbox(
        label, list(options), key=name, format_func=options.get, on_change=changed
    )
    state.remember(name, chosen)
    return str(chosen)


def show_circumstances(used: Sequence[Result], backbone: str, *, otherwise: str) -> None:
    """What ours was measured with.  otherwise: what is shown where nothing was measured, as a clause."""
    if not used:
        st.info(
            f"Nothing of it has been measured with the backbone {wording.escape(backbone)} yet: {otherwise}.",
            icon=":material/hourglass_empty:",
        )
        return
    st.warning(
        wording.escape(backbone_sentence(backbone, used[0].shape)), icon=":material/balance:"
    )
    said = [*budget_sentences(used), *machine_sentences(used)]
    st.markdown("\n".join(f"- {wording.escape(sentence)}" for sentence in said))


def show_gaps(found: Sequence[Gap]) -> None:
    if not found:
        return
    with st.expander("Why something is missing, and what measures it", key="gaps"):
        for gap in found:
            st.markdown(f"**{wording.escape(', '.join(gap.columns))}**: {wording.escape(gap.why)}.")
            if gap.command:
                st.code(gap.command, language="bash", wrap_lines=True)
