"""Which tokens survive when layers drop some?"""

import pandas as pd
import streamlit as st

from dynabert import plots
from dynabert.analysis.survivors import DROPS, Survivors, dropping, survivor_table
from dynabert.runs import Run
from dynabert.words import cut_in_words
from pages.shared import cache, controls, needed, wording

run = controls.open_run()
results = cache.results(run)
task = run.info.task

controls.header(
    "Which tokens survive?",
    "A layer may drop the tokens that receive the least attention: what comes after it is computed for the "
    "others only (Drop-and-Restore). Drag the slider below the picture and watch them go, and the answer "
    "change.",
)


def trained_for_lengths(run: Run) -> bool:
    stages = run.info.recipe.get("stages") or []
    return any((stage.get("subnets") or {}).get("length_drop") for stage in stages)


def last_that_agrees(answers: list[str]) -> int:
    """The number of the last answer before one that is not the first's."""
    differs = (number for number, answer in enumerate(answers) if answer != answers[0])
    return next(differs, len(answers)) - 1


def ask(texts: tuple[str, ...], found: list[Survivors]) -> tuple[list[str], list[float | None]]:
    """What each sub-network answers, and how sure it is in percent; a number is never sure."""
    if task.kind == "spans":
        subnets = tuple(one.subnet for one in found)
        spans = cache.span_answers(run, texts[0], texts[1], subnets)
        return [one.text for one in spans], [100 * one.probability for one in spans]
    if task.labels is None:
        return [f"{one.logits[0]:.2f}" for one in found], [None] * len(found)
    sure = [100 * float(one.probabilities[one.choice]) for one in found]
    return [task.labels[one.choice] for one in found], list(sure)


def show_verdict(found: list[Survivors], answers: list[str], last: int) -> None:
    kept, saved = found[last], 1 - found[last].macs / found[0].macs
    said = f"The sub-network answers **{wording.escape(answers[0]) or '–'}** with all tokens"
    if task.labels is None and task.kind != "spans":
        moved = max(abs(float(one.logits[0] - found[0].logits[0])) for one in found)
        st.markdown(f"{said}; dropping moves that by up to **{moved:.2f}**.")
        return
    if last == 0:
        st.markdown(f"{said}, and another as soon as each layer drops {DROPS[1]:.0%}.")
        return
    until = "at most" if last + 1 < len(DROPS) else "even"
    st.markdown(
        f"{said}, and still when every layer drops {until} **{DROPS[last]:.0%}**: then "
        f"{kept.num_leaving[-1]} of {len(kept.tokens)} tokens leave the last layer, with **{saved:.0%}** "
        "fewer multiplications, as the papers count them."
    )


texts = controls.choose_texts(run, "what becomes of the tokens")
subnet = controls.choose_subnet(run, results)
subnets = tuple(dropping(subnet, run.config.shape))
found = cache.survivors(run, texts, subnets)
if found[0].num_cut:
    cut = cut_in_words(found[0].num_cut, run.info.max_tokens, pair=task.is_pair)
    st.warning(
        f"{cut.rstrip('.')} of the picture and the counts; the answers are from the whole passage."
        if task.kind == "spans"
        else cut,
        icon=":material/content_cut:",
    )
answers, sure = ask(texts, found)
# Numbers hardly ever agree to the last digit.
last = last_that_agrees(answers) if task.labels or task.kind == "spans" else 0
show_verdict(found, answers, last)
if not trained_for_lengths(run):
    st.caption(
        "This run was trained on whole texts. Recipes with LengthDrop (`length-adaptive`) train for what is "
        "shown here."
    )
controls.chart(
    plots.surviving_tokens(found, DROPS, labels=task.labels, start=last),
    table=survivor_table(found),
    cell=f"subnets = dropping({subnet!r}, run.config.shape)\n"
    f"found = survivors(run.model(), run.tokenizer(), {list(texts)!r}, subnets, run.info.max_tokens)\n"
    f"plots.surviving_tokens(found, DROPS, labels=run.info.task.labels, start={last})",
    key="survivors",
    alt="Which tokens leave each layer, and the attention they receive",
)
st.dataframe(
    pd.DataFrame(
        {
            "drop": [100 * drop for drop in DROPS],
            "answer": answers,
            "sure": sure,
            "left": [", ".join(map(str, one.num_leaving)) for one in found],
            "macs": [100 * one.macs / found[0].macs for one in found],
        }
    ).drop(columns=[] if task.labels or task.kind == "spans" else ["sure"]),
    hide_index=True,
    height="content",
    column_config={
        "drop": st.column_config.NumberColumn("every layer drops", format="%.0f %%"),
        "sure": controls.sureness(),
        "left": f"tokens that leave layers {', '.join(str(n + 1) for n in found[0].layers)}",
        "macs": st.column_config.NumberColumn("multiplications", format="%.0f %%"),
    },
)
st.caption(
    "A token's colour is the share of the layer's attention that it receives, over all heads: those that "
    "receive least are dropped, and stay as the layer before left them. A classifier keeps its first token. "
    "One short text takes hardly less time with fewer tokens; long texts, and many at once, do."
)
needed.show(run, texts, subnet, len(found[0].tokens))
