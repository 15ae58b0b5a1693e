"""What the chosen sub-network answers otherwise than the run's largest: by phenomenon and by example.

Tables call the largest "full", which it is unless the run has trained a student of fixed size.
"""

from __future__ import annotations

import pandas as pd
import streamlit as st
from pandas.api.types import is_numeric_dtype

from dynabert import Subnet, plots
from dynabert.analysis.changed_answers import (
    CHANGES,
    changed_answers,
    changed_spans,
    changed_values,
)
from dynabert.analysis.groups import accuracy_by_group
from dynabert.evaluation import Evaluation
from dynabert.runs import Run
from pages.shared import cache, controls, wording

MOST_ROWS = 200
ALL = "all"


def phenomena(run: Run) -> list[str] | None:
    """What each dev example tests; None where the examples do not say."""
    split = next(iter(cache.examples(run).data.dev.values()))
    if cache.PHENOMENON not in split.column_names:
        return None
    return [str(name).replace("_", " ") for name in split[cache.PHENOMENON]]


def show_phenomena(
    run: Run, subnet: Subnet, full: Evaluation, small: Evaluation, groups: list[str]
) -> None:
    """Accuracy per phenomenon, what is lost most on top."""
    names = {"full": _title(full) + " ✕" * full.collapsed}
    evaluations = {"full": full}
    if small is not full:
        names["subnet"] = wording.subnet_title(subnet) + " ✕" * small.collapsed
        evaluations["subnet"] = small
    table = accuracy_by_group(evaluations, groups)
    if small is not full:
        table = table.assign(lost=table["full"] - table["subnet"])
        table = table.sort_values("lost", ascending=False, kind="stable", ignore_index=True)
    controls.chart(
        plots.accuracy_by_group(table, names),
        table=table,
        cell=_cell(run, {name: one.subnet for name, one in evaluations.items()}, names),
        key="phenomena-chart",
        alt="Accuracy per phenomenon",
    )
    st.caption("What is lost most stands on top; the dotted line is what guessing scores.")


def _title(full: Evaluation) -> str:
    return "full network" if full.subnet.is_full else wording.subnet_title(full.subnet)


def _cell(run: Run, subnets: dict[str, Subnet], names: dict[str, str]) -> str:
    """Code that evaluates anew and draws accuracy per phenomenon."""
    lines = [
        "examples = load_examples(run)",
        f"subnets = {subnets!r}",
        "found = {",
        f"    name: evaluate(run.model(), examples.dev, subnet, metrics={run.info.task.metrics!r})",
        "    for name, subnet in subnets.items()",
        "}",
        f'groups = next(iter(examples.data.dev.values()))["{cache.PHENOMENON}"]',
        'table = accuracy_by_group(found, [name.replace("_", " ") for name in groups])',
    ]
    if "subnet" in subnets:
        lines += [
            'table["lost"] = table["full"] - table["subnet"]',
            'table = table.sort_values("lost", ascending=False, kind="stable", ignore_index=True)',
        ]
    return "\n".join([*lines, f"plots.accuracy_by_group(table, {names!r})"])


def show_changes(
    run: Run, subnet: Subnet, full: Evaluation, small: Evaluation, groups: list[str] | None
) -> None:
    """The examples that the sub-network answers otherwise than the largest."""
    if small is full:
        other = "a smaller" if full.subnet.is_full else "another"
        st.caption(f"This is {wording.one_size(full.subnet)}: choose {other} one above.")
        return
    task = run.info.task
    split = next(iter(cache.examples(run).data.dev.values()))
    columns = {name: list(split[name]) for name in task.text_columns}
    if groups is not None:
        columns["phenomenon"] = groups
    file_name = f"{run.name}-changed-{subnet.key}.csv"
    if task.kind == "spans":
        columns["right"] = [" / ".join(dict.fromkeys(gold["text"])) for gold in split["answers"]]
        table = changed_spans(full, small, columns)
        change = table["change"]
        st.markdown(
            f"Of {wording.count(full.num_examples, 'question')}, **{len(table)}** get another answer: "
            f"**{int((change < 0).sum())}** a worse one, **{int((change > 0).sum())}** a better one (by F1)."
        )
        if table.empty:
            return
        _show_table(table, _title(full), values=False)
    elif task.labels is None:
        table = changed_values(full, small, columns)
        st.caption(
            f"The answers move by {table['change'].abs().mean():.2f} on average; the largest changes first."
        )
        _show_table(table, _title(full), values=True)
    else:
        table = changed_answers(full, small, columns, task.labels)
        counts = {change: int((table["change"] == change).sum()) for change in CHANGES}
        possible = CHANGES if len(task.labels) > 2 else CHANGES[:2]
        st.markdown(
            f"Of {wording.count(full.num_examples, 'example')}, **{len(table)}** get another answer: "
            + ", ".join(f"**{counts[change]}** {change}" for change in possible)
            + "."
        )
        if table.empty:
            return
        _show_table(_filtered(table, counts, possible), _title(full), values=False)
    controls.download("Changed answers (CSV)", table, file_name)


def _filtered(
    table: pd.DataFrame, counts: dict[str, int], possible: tuple[str, ...]
) -> pd.DataFrame:
    """The rows that the visitor asks for."""
    left, right = st.columns(2, gap="large")
    change = left.segmented_control(
        "Show",
        [ALL, *(change for change in possible if counts[change])],
        default=ALL,
        required=True,
        key="change",
    )
    if change != ALL:
        table = table[table["change"] == change]
    if "phenomenon" in table:
        by_group = table["phenomenon"].value_counts()
        phenomenon = right.selectbox(
            "Phenomenon",
            [ALL, *by_group.index],
            key="changed-phenomenon",
            format_func=lambda name: name if name == ALL else f"{name} ({by_group[name]})",
        )
        if phenomenon != ALL:
            table = table[table["phenomenon"] == phenomenon]
    return table


def _show_table(table: pd.DataFrame, title: str, *, values: bool) -> None:
    """The first rows.  title: of the largest.  values: the answers are numbers, of a regression."""
    number = st.column_config.NumberColumn
    beside = ["label", "right", "full", "full_probability", "subnet", "subnet_probability"]
    beside = [name for name in [*beside, "phenomenon"] if name in table]
    texts = [name for name in table.columns if name not in ("change", *beside)]
    st.dataframe(
        table.head(MOST_ROWS),
        hide_index=True,
        column_order=["change", *texts[:1], *beside, *texts[1:]],
        column_config={
            **{name: st.column_config.TextColumn(width="large") for name in texts},
            "full": title if not values else number(title, format="%.2f"),
            "subnet": "sub-network" if not values else number("sub-network", format="%.2f"),
            "full_probability": number("its probability", format="%.2f"),
            "subnet_probability": number("its probability ", format="%.2f"),
            **({"label": number(format="%.2f")} if values else {}),
            **({"change": number(format="%+.2f")} if is_numeric_dtype(table["change"]) else {}),
        },
    )
    if len(table) > MOST_ROWS:
        st.caption(f"The first {MOST_ROWS} of {len(table):,}; the CSV file has all.")
