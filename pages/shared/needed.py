"""Which tokens the answer to a text needs: a section of a page."""

from __future__ import annotations

import math

import streamlit as st

from dynabert import plots
from dynabert.analysis.needed_tokens import NeededTokens
from dynabert.runs import Run
from dynabert.subnet import Subnet
from pages.shared import cache, controls, wording

# A text of more tokens takes seconds, so it is asked first, and only the first layer is measured.
_SHORT = 96
_MOST_NAMED = 12


def show(run: Run, texts: tuple[str, ...], subnet: Subnet, num_tokens: int) -> None:
    """What the sub-network's answer loses without each token.

    num_tokens: of the texts, as the model reads them.
    """
    st.subheader("Which tokens does the answer need?")
    st.markdown(
        "Here each token is dropped **alone**, from one layer on, and the answer is read again. LengthDrop "
        "cannot know this: it goes by the attention that tokens receive."
    )
    is_long = num_tokens > _SHORT
    if is_long and not st.toggle(
        f"Measure it for these {num_tokens} tokens, from the first layer on (some seconds)",
        key="needed",
    ):
        return
    num_layers = 1 if is_long else None
    found = cache.needed_tokens(run, texts, subnet, num_layers=num_layers)
    is_number = run.info.task.kind != "spans" and run.info.task.labels is None
    _show_verdict(found, is_number=is_number)
    drawing = ", is_regression=True" if is_number else ""
    controls.chart(
        plots.needed_tokens(found, is_regression=is_number),
        table=found.table(),
        cell=f"found = needed_tokens(run.model(), run.tokenizer(), {list(texts)!r}, {subnet!r}, "
        f"run.info.max_tokens, num_layers={num_layers})\nplots.needed_tokens(found{drawing})",
        key="needed-tokens",
        alt="What the answer loses when a token is dropped alone, by the layer from which it is gone",
    )
    st.caption(_how_to_read(found, is_number=is_number))


def _show_verdict(found: NeededTokens, *, is_number: bool) -> None:
    total, names = len(found.tokens), [found.tokens[place] for place in found.needed]
    said = []
    if is_number:
        most = found.moves_most
        said.append(
            f"The answer moves most without **{wording.escape(found.tokens[most])}**: by "
            f"**{found.change[0, most]:+.2f}**."
        )
    elif names:
        shown = ", ".join(f"**{wording.escape(name)}**" for name in names[:_MOST_NAMED])
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        said.append(f"The answer changes when one of these is missing: {shown}{more}.")
    else:
        said.append("The answer stays the same whichever single token is missing.")
    if found.enough_by_need is not None:
        said.append(
            f"When the tokens are kept that it needs most, **{found.enough_by_need} of {total}** are enough; "
            f"of those that receive most attention it takes **{found.enough_by_attention}**."
        )
    if not math.isnan(found.rank_correlation):
        said.append(
            f"Attention received and need order the tokens alike to ρ = **{found.rank_correlation:.2f}** "
            "(Spearman; 1: the same order, 0: unrelated)."
        )
    st.markdown(" ".join(said))


def _how_to_read(found: NeededTokens, *, is_number: bool) -> str:
    last = found.layers[-1] + 1
    colour = (
        "Red: the number gets larger without the token; blue: smaller."
        if is_number
        else "Red: the answer gets less probable without the token; blue: more. ✕: another answer."
    )
    return (
        f"{colour} The row *from layer {found.layers[0] + 1}*: the network never sees the token; *from layer "
        f"{last}*: only what earlier layers have read out of it is left. A classifier's first token cannot "
        "be dropped. Tokens together can matter where none does alone."
    )
