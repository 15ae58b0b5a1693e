"""What an extraction over a run's sub-networks has found."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dynabert import Subnet
from dynabert.export import export_command
from dynabert.runs import Run
from dynabert.search.ose.folder import ExtractionFolder
from dynabert.search.ose.report import Agreement, Finalist, Report
from dynabert.search.ose.settings import SupernetSettings
from dynabert.search.ose.tables import member_table
from dynabert.words import figures
from pages.shared import controls, links, wording
from pages.shared.ose import pictures


def show(run: Run, folder: ExtractionFolder[SupernetSettings, Report], report: Report) -> None:
    """The winner of an epsilon, W over the space, errors, assumptions, and everybody on dev."""
    epsilons = {str(one.epsilon): one for one in report.outcomes}
    chosen = epsilons[
        controls.choose_one(
            "Try every … architecture (ε)",
            "epsilon",
            list(epsilons),
            about="1 tries all of them: brute force.",
        )
    ]
    table = member_table(report, chosen.epsilon)
    winner = report.finalist(chosen.winner)
    _show_winner(run, report, winner, chosen.w)
    skipped = len(report.members) - chosen.num_tried
    said = [
        f"**{chosen.num_tried} of {len(report.members)}** architectures were tried, {skipped} skipped."
        if skipped
        else f"All **{len(report.members)}** architectures were tried."
    ]
    if chosen.ratio is not None and chosen.epsilon > 1:
        said.append(f"The winner has **{chosen.ratio:.0%}** of the W that brute force finds.")
    if chosen.zoomed_winner != chosen.winner:
        said.append(
            f"With the members around it tried as well (ours, not the paper's): "
            f"**{_named(chosen.zoomed_winner)}"
            f"{wording.collapsed_mark(report.finalist(chosen.zoomed_winner).collapsed)}**, "
            f"W {chosen.zoomed_w:.3f}."
        )
    same = chosen.frozen_winner == chosen.winner
    said.append(
        "It would also win if all errors were equal: **the errors have decided nothing.**"
        if same
        else f"Were all errors equal, {_named(chosen.frozen_winner)} would win."
    )
    st.markdown(" ".join(said))
    title, scale = wording.cost_axis(
        report.settings.cost, report.settings.tokens, report.settings.batch_size
    )
    opened = f"report = load_extraction(run.folder / 'ose' / {folder.name!r}, SUPERNET).report()\n"
    opened += f"table = member_table(report, {chosen.epsilon})\n"
    pictures.show(table, cost_title=title, scale=scale, opened=opened, key="ose")
    _show_assumptions(report.agreement, report.metric)
    _show_judged(report)
    margin = report.settings.margin
    beyond = f"{margin:.0%} more than the largest costs of the space"
    if report.attained_by:
        beyond = "the largest architecture of the space"
    elif not margin:
        beyond = "the largest costs of the space"
    layers = "Parameters are those of the layers. " if report.settings.counted == "encoder" else ""
    published = "" if report.settings.w_exponents.is_published else " W has exponents of ours."
    st.caption(
        f"Savings are measured from {beyond}.{published} {layers}e: mean loss of the shared weights on "
        f"{report.num_examples:,} training examples, the same for all, measured in "
        f"{report.seconds:.0f} s. Scores are of all of dev. "
        f"{wording.escape(report.machine)}, {report.created[:10]}."
    )


def _show_winner(run: Run, report: Report, winner: Finalist, w: float) -> None:
    subnet = Subnet.parse(winner.key)
    full = max(report.finalists, key=lambda one: (one.num_params, one.macs))
    st.markdown(f"Winner: **{_named(winner.key)}**")
    st.caption(f"{wording.escape(str(subnet.resolve(run.config.shape)))}.")
    metric = wording.metric_title(report.metric)
    with st.container(horizontal=True):
        st.metric("W", f"{w:.3f}", border=True, height="stretch")
        if winner.score is not None:
            delta = (
                None if full.score is None else f"{100 * (winner.score - full.score):+.1f} points"
            )
            st.metric(
                f"Dev {metric}",
                f"{winner.score:.3f}{wording.collapsed_mark(winner.collapsed)}",
                delta,
                "off" if winner.collapsed else "normal",
                border=True,
                height="stretch",
                help="Against the largest that was judged.",
            )
        settings = report.settings
        texts = wording.count(settings.batch_size, "text")
        for name, value, share, about in (
            (
                "Parameters",
                f"{winner.num_params / 1e6:.2f} M",
                winner.num_params / full.num_params,
                None,
            ),
            (
                f"MACs, {settings.tokens} tokens",
                f"{figures(winner.macs / 1e6, 4)} M",
                winner.macs / full.macs,
                None,
            ),
            (
                "Latency",
                f"{winner.latency_ms:.2f} ms",
                winner.latency_ms / full.latency_ms,
                f"± {winner.latency_ms_iqr / 2:.2f} ms, half of the interquartile range; {texts} of "
                f"{wording.count(settings.tokens, 'token')} per pass.",
            ),
        ):
            st.metric(
                name,
                value,
                f"{share:.0%} of the largest",
                delta_color="off",
                delta_arrow="off",
                border=True,
                height="stretch",
                help=about,
            )
    if winner.collapsed:
        st.warning(
            f"This sub-network {wording.COLLAPSED}, so its score says nothing about the task. W weighs "
            "the mean loss, and does not see that.",
            icon=":material/warning:",
        )
    if links.can_be_opened(subnet, run.config.shape):
        st.page_link(
            "pages/accuracy.py",
            label="Open it on the page Accuracy and size",
            icon=":material/scatter_plot:",
            query_params=links.to(subnet),
        )
    else:
        st.caption(
            "Its heads and neurons were chosen apart from each other, as the sliders of other pages cannot."
        )
    st.caption("Take it away in a terminal:")
    st.code(export_command(run, subnet), language="bash", wrap_lines=True)


def _show_assumptions(found: Agreement, metric: str) -> None:
    st.markdown(f"**Assumptions, checked.** {wording.escape(found.in_words)}")
    rows = [
        (
            "parameters and inference cost",
            found.params_inference,
            1,
            "skipping by parameters skips by cost",
        ),
        ("parameters and error", found.params_error, -1, "more parameters, less error"),
        ("inference cost and error", found.inference_error, -1, "more cost, less error"),
        ("error and loss on dev", found.error_dev_loss, 1, "e tells what unseen examples would"),
        (
            f"error and {wording.metric_title(metric)} on dev",
            found.error_dev_metric,
            -1,
            "e tells which sub-network scores better",
        ),
    ]
    st.dataframe(
        pd.DataFrame(rows, columns=["pair", "tau", "assumed", "meaning"]),
        hide_index=True,
        placeholder="–",
        column_config={
            "pair": "order of",
            "tau": st.column_config.NumberColumn(
                "Kendall's τ",
                format="%.2f",
                help="1: the same order, 0: unrelated, -1: the opposite. –: not defined.",
            ),
            "assumed": st.column_config.NumberColumn("assumed", format="%d"),
            "meaning": "what that would mean",
        },
    )


def _show_judged(report: Report) -> None:
    with st.expander("Winners and standard sub-networks on dev", icon=":material/table:"):
        table = pd.DataFrame([one.model_dump() for one in report.finalists])
        table = table.sort_values("num_params", ascending=False)
        st.dataframe(
            table[
                ["key", "is_winner", "w", "score", "dev_loss", "num_params", "macs", "latency_ms"]
            ].assign(
                key=table["key"].map(_titled) + table["collapsed"].map(wording.collapsed_mark),
                num_params=table["num_params"] / 1e6,
                macs=table["macs"] / 1e6,
            ),
            hide_index=True,
            placeholder="–",
            column_config={
                "key": st.column_config.Column(
                    "sub-network", help="✕: collapsed, the same answer for every dev example."
                ),
                "is_winner": "wins for some ε",
                "w": st.column_config.NumberColumn("W", format="%.3f"),
                "score": st.column_config.NumberColumn(
                    f"dev {wording.metric_title(report.metric)}", format="%.4f"
                ),
                "dev_loss": st.column_config.NumberColumn("dev loss", format="%.4f"),
                "num_params": st.column_config.NumberColumn("parameters (M)", format="%.2f"),
                "macs": st.column_config.NumberColumn("MACs (M)", format="%.0f"),
                "latency_ms": st.column_config.NumberColumn("latency (ms)", format="%.2f"),
            },
        )


def _named(key: str) -> str:
    """For Markdown, for example "width 0.5, depth 0.75"."""
    return wording.escape(_titled(key))


def _titled(key: str) -> str:
    """The same as plain text, for a table."""
    subnet = Subnet.parse(key)
    lengths = subnet.length_config
    left = "" if lengths is None else f", {lengths.in_words}"
    return f"{wording.subnet_title(subnet)}{left}"
