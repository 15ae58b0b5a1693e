"""Which tokens the answer to a text needs: a section of a page."""

from __future__ import annotations

import math

import streamlit as st

from dynabert import plots
from dynabert.analysis.needed_tokens import NeededTokens, num_passes
from dynabert.evaluation import count_macs
from dynabert.runs import Run
from dynabert.subnet import Subnet
from pages.shared import cache, controls, wording

# More multiplications than that are asked for; more than the other, from the first layer on only. A
# machine that is not busy does some tens of billions in a second.
_AT_ONCE, _ALL_LAYERS = 1e11, 1e12
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
    layers = len(subnet.resolve(run.config.shape).layers)
    each = count_macs(run.config, subnet, num_tokens)
    num_layers = None if each * num_passes(num_tokens, layers) <= _ALL_LAYERS else 1
    passes = num_passes(num_tokens, layers, num_layers)
    if each * passes > _AT_ONCE:
        seconds = passes * cache.pass_seconds(run, subnet, num_tokens)
        rows = "from each layer on" if num_layers is None else "from the first layer on"
        about = f"{seconds:.0f} seconds" if seconds < 90 else f"{seconds / 60:.0f} minutes"
        label = f"Drop each of these {num_tokens} tokens, {rows} (up to {about})"
        if not st.toggle(label, key="needed"):
            return
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
    st.caption(_how_to_read(found, run))


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
            f"With only the tokens that it needs most, it stays the same from **{found.enough_by_need} of "
            f"{total}** on; with only those that receive most attention, from "
            f"**{found.enough_by_attention}** on."
        )
    if not math.isnan(found.rank_correlation):
        said.append(
            f"Attention received and need order the tokens alike to ρ = **{found.rank_correlation:.2f}** "
            "(Spearman; 1: the same order, 0: unrelated, −1: the opposite)."
        )
    st.markdown(" ".join(said))


def _how_to_read(found: NeededTokens, run: Run) -> str:
    task = run.info.task
    is_spans = task.kind == "spans"
    said = [
        "Orange: the number gets larger without the token; blue: smaller."
        if task.labels is None and not is_spans
        else "Orange: the answer gets less probable without the token; blue: more. ✕: another answer."
    ]
    first, last = found.layers[0] + 1, found.layers[-1] + 1
    unseen = "no other token ever sees it" if is_spans else "the network never sees it"
    said.append(f"The row *from layer {first}*: {unseen}")
    if last > first:
        said[-1] += f"; *from layer {last}*: only what earlier layers have read out of it is left"
    said[-1] += "."
    if is_spans:
        said.append("What finds the answer reads a dropped token as the layer before left it.")
        if found.num_cut:
            said.append("The answer is here the one in the part of the passage that is shown.")
    else:
        said.append("The first token, which the answer is read from, cannot be dropped.")
    if found.kept_step > 1:
        said.append(f"Numbers of kept tokens were tried in steps of {found.kept_step}.")
    said.append("Tokens together can matter where none does alone.")
    return " ".join(said)
