"""What an extraction over plain architectures has found."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dynabert.modeling.architecture import Architecture
from dynabert.runs import Run
from dynabert.search.ose.folder import ExtractionFolder
from dynabert.search.ose.full_training import training_command
from dynabert.search.ose.plain_report import PlainReport, Round
from dynabert.search.ose.plain_settings import PlainSettings
from dynabert.search.ose.tables import round_table
from dynabert.words import figures
from pages.shared import controls, wording
from pages.shared.ose import pictures

_STARTS = {"teacher": "cut from the run's network", "scratch": "random at first"}


def show(
    run: Run, folder: ExtractionFolder[PlainSettings, PlainReport], report: PlainReport
) -> None:
    """The winner of a round, W over the space, errors, and how far few steps tell what more would."""
    settings = report.settings
    rounds = {str(one.steps): number for number, one in enumerate(report.rounds)}
    number = rounds[controls.choose_one("Training steps of each", "round", list(rounds)[::-1])]
    this, table = report.rounds[number], round_table(report, number)
    st.markdown(
        f"Plain architectures ⟨layers, heads, hidden size, neurons⟩, {_STARTS[settings.start]}. After "
        f"**{wording.count(this.steps, 'step')}** the winner of {len(this.tried)} is "
        f"**{wording.escape(_named(this.winner))}**"
        + (
            "; it would also win if all errors were equal: **the errors have decided nothing.**"
            if this.frozen_winner == this.winner
            else f"; were all errors equal, {wording.escape(_named(this.frozen_winner))} would."
        )
    )
    title, scale = wording.cost_axis(settings.cost, settings.tokens)
    _show_winner(run, report, this)
    opened = (
        f"report = load_extraction(run.folder / 'ose-plain' / {folder.name!r}, PLAIN).report()\n"
    )
    opened += f"table = round_table(report, {number})\n"
    pictures.show(table, cost_title=title, scale=scale, opened=opened, key="ose-plain")
    st.markdown(
        "**Do few steps tell what more would?** No approximation guarantee: the loss of a Transformer is not "
        "strongly convex."
    )
    metric = wording.metric_title(report.metric)
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "steps": one.steps,
                    "tried": len(one.tried),
                    "winner": _named(one.winner) + wording.collapsed_mark(one.collapsed),
                    "dev": one.dev_score,
                    "errors": one.error_before,
                    "w": one.w_before,
                    "order": one.params_error,
                    "seconds": one.seconds,
                }
                for one in report.rounds
            ]
        ),
        hide_index=True,
        placeholder="–",
        column_config={
            "winner": st.column_config.Column(
                help="✕: collapsed, the same answer for every dev example."
            ),
            "dev": st.column_config.NumberColumn(f"its dev {metric} then", format="%.3f"),
            "errors": st.column_config.NumberColumn(
                "τ of errors", format="%.2f", help="Kendall's, with the round before."
            ),
            "w": st.column_config.NumberColumn(
                "τ of W", format="%.2f", help="Kendall's, with the round before."
            ),
            "order": st.column_config.NumberColumn(
                "τ of parameters and error", format="%.2f", help="−1 is what skipping assumes."
            ),
            "seconds": st.column_config.NumberColumn("training (s)", format="%.0f"),
        },
    )
    beyond = f"{settings.margin:.0%} more than " if settings.margin else ""
    st.caption(
        f"Savings are measured from {beyond}the largest costs of the space. e: mean loss on "
        f"{settings.num_examples:,} training examples that no student learns from. "
        f"{wording.escape(report.machine)}, {report.created[:10]}."
    )


def _show_winner(run: Run, report: PlainReport, this: Round) -> None:
    """What the winner of a round saves and scores, and the command that trains it in full."""
    member = next(one for one in report.members if one.key == this.winner)
    macs = report.settings.cost == "macs"
    cost = f"{figures(member.inference / 1e6, 4)} M" if macs else f"{member.inference:.2f} ms"
    tokens = wording.count(report.settings.tokens, "token")
    with st.container(horizontal=True):
        for name, value, below in (
            ("W", f"{this.w:.3f}", None),
            (
                f"Dev {wording.metric_title(report.metric)}",
                "–"
                if this.dev_score is None
                else f"{this.dev_score:.3f}{wording.collapsed_mark(this.collapsed)}",
                f"after {wording.count(this.steps, 'step')}",
            ),
            (
                "Parameters",
                f"{member.num_params / 1e6:.2f} M",
                _saved(member.num_params, report.maximum_params),
            ),
            (
                f"{'MACs' if macs else 'Latency'}, {tokens}",
                cost,
                _saved(member.inference, report.maximum_inference),
            ),
        ):
            st.metric(name, value, below, "off", delta_arrow="off", border=True, height="stretch")
    if this.collapsed:
        st.warning(
            f"After so many steps it has {wording.COLLAPSED}, so its score says nothing about the task.",
            icon=":material/warning:",
        )
    if this.errors_are_alike:
        low, high = this.error_range
        st.warning(
            f"The errors of all {len(this.tried)} lie between {low:.4f} and {high:.4f}, so close that W "
            "follows the sizes. More steps may tell them apart.",
            icon=":material/balance:",
        )
    st.caption("Train it in full, in a terminal:")
    st.code(training_command(run, this.winner), language="bash", wrap_lines=True)


def _saved(cost: float, most: float) -> str:
    return f"{1 - cost / most:.0%} saved"


def _named(key: str) -> str:
    one = Architecture.parse(key)
    return f"⟨{one.layers}, {one.heads}, {one.hidden}, {one.neurons}⟩"
