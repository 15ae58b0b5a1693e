"""Which sub-network to take within a budget, by this machine's clock."""

from __future__ import annotations

import time

import streamlit as st

from dynabert import plots
from dynabert.errors import UserError
from dynabert.evaluation.latency import MOST_TEXTS
from dynabert.export import export_command
from dynabert.runs import Run
from dynabert.search.budget import Budget
from dynabert.search.candidates import Option
from dynabert.search.choice import Choice
from dynabert.search.choice_in_words import COST_UNITS, excess_in_words, price_in_words
from dynabert.search.choosing import REPEATS, choose
from dynabert.subnet import Subnet
from dynabert.words import figures
from pages.shared import cache, controls, found, jobs, links, notices, state, wording

MILLION = 1e6
_FIELD_WIDTH = 180  # pixels: two beside each other on a telephone, all limits on a wide screen
_PHASES = {"evaluate": "dev examples read"}
_PAGES = ("accuracy", "attention", "try_it", "take_away")


def offer(run: Run, tokens: int, busy: str | None) -> None:
    """Ask for a budget, measure when that is wanted, and show the answer.

    tokens: that the run's results count costs for.  busy: what else this machine is at work on.
    """
    st.subheader("Choose for my budget")
    st.markdown(
        "The best sub-network that this run has for a time, a size or a quality: of all that were scored on "
        "the whole dev set, what is fast enough by this machine's clock."
    )
    budget = _ask(run, tokens)
    if budget is None:
        return
    key = f"choose {cache.run_key(run)} {budget}"
    if jobs.watch(key):
        st.caption("It goes on while you look elsewhere; nothing else is measured meanwhile.")
        jobs.offer_stop(key, "budget-stop")
        return
    known = cache.choices().get(key)
    if busy is not None and budget.needs_clock:
        st.caption(
            f"Nothing is timed while {wording.escape(busy)} is at work: it would come out too long."
        )
    elif st.button(
        "Choose" if known is None else "Choose again",
        type="primary" if known is None else "secondary",
        icon=":material/timer:" if budget.needs_clock else ":material/play_arrow:",
        key="budget-choose",
        help=f"Sub-networks that may fit run {REPEATS} times each, in turn, and what fits once more. That "
        "takes from seconds to some minutes."
        if budget.needs_clock
        else None,
    ):
        _start(run, budget, key)
        st.rerun()
    if known is not None:
        choice, measured = known
        _show(run, choice, measured)


def _ask(run: Run, tokens: int) -> Budget | None:
    """The budget that the fields and the view say; None, and a word, where they say none."""
    metric = wording.metric_title(run.info.task.metric)
    most = run.config.max_tokens
    with st.container(horizontal=True):
        latency = _field("Latency (ms)", "budget_ms", 0.01, 1e5, "Of one pass, at most.", step=0.5)
        params = _field(
            "Parameters (M)",
            "budget_params",
            0.001,
            1e5,
            "Millions of the Transformer layers, at most.",
            step=0.1,
        )
        macs = _field(
            "MACs (M)",
            "budget_macs",
            0.001,
            9e5,
            "Millions of the Transformer layers for one text of so many tokens, at most.",
            step=10.0,
        )
        floor = _field(
            f"{wording.capital(metric)}, at least",
            "budget_floor",
            -1.0,
            1.0,
            "On dev. Alone it asks for the fastest sub-network that scores so much.",
            step=0.01,
        )
    with st.container(horizontal=True):
        length = _field(
            "Tokens of a text",
            "budget_tokens",
            1,
            most,
            f"For which latency is measured and MACs are counted: 1 to {most}.",
            usual=min(tokens, most),
        )
        batch = _field(
            "Texts per pass",
            "budget_batch",
            1,
            MOST_TEXTS,
            "That latency is measured with; also called batch.",
            usual=1,
        )
    try:
        return Budget(
            latency_ms=latency,
            num_params=None if params is None else params * MILLION,
            macs=None if macs is None else macs * MILLION,
            floor=floor,
            tokens=int(length or 1),
            batch_size=int(batch or 1),
        )
    except UserError:  # within their ranges, the fields can only have all been left open
        st.caption(
            "Say what it may take at most (time, parameters or MACs), or what it must score at least."
        )
        return None


def _field(
    label: str,
    name: str,
    low: float,
    high: float,
    about: str,
    *,
    usual: int | None = None,
    step: float = 1,
) -> float | None:
    """A number kept in the view.  usual: whole numbers, and what stands for an empty field."""
    given, number = state.recall(name), state.recall_number(name)
    whole = usual is not None
    good = number is not None and low <= number <= high and not (whole and number % 1)
    if given is not None and not good:
        # Not of an acronym: MACs.
        begun = label if label[1:2].isupper() else label[:1].lower() + label[1:]
        notices.fell_back(begun, given, "its field is left as usual")
        state.forget_quietly(name)
    key = f"field-{name}"
    value = number if good else usual
    st.session_state[key] = int(value) if whole else value

    def take() -> None:
        if st.session_state[key] in (None, usual):
            state.forget(name)
        else:
            state.change(name, st.session_state[key])

    return st.number_input(
        wording.escape(label),
        low,
        high,
        None,
        step,
        format=None if whole else "%.6g",
        key=key,
        on_change=take,
        placeholder="any",
        help=about,
        width=_FIELD_WIDTH,
    )


def _start(run: Run, budget: Budget, key: str) -> None:
    """Choose in the background; what had to be evaluated for it is kept."""
    same, model, results = cache.run_key(run), cache.model(run), found.results(run)
    choices = cache.choices()

    def work(job: jobs.Job) -> None:
        choice = choose(
            run,
            model,
            budget,
            results=results,
            on_evaluated=lambda rows: [
                found.keep_row(run, same, row, replace=False) for row in rows.to_dict("records")
            ],
            on_progress=lambda phase, done, total: job.progress(
                _PHASES.get(phase, phase), done, total
            ),
        )
        cache.check_same(run, same)
        choices[key] = (choice, time.time())
        job.kept_elsewhere = True

    jobs.start_alone(key, f"choice for {run.name}", work)


def _show(run: Run, choice: Choice, measured: float) -> None:
    chosen, miss = choice.chosen, choice.nearest_miss
    if chosen is not None:
        st.markdown(f"Take **{_name(chosen.subnet)}**.")
        _warn(choice)
        _describe(run, choice, chosen)
        _show_others(run, choice)
        _show_links(run, chosen)
    elif miss is not None:
        over = excess_in_words(choice)
        st.warning(
            f"Nothing fits. Nearest is **{_name(miss.subnet)}**: {wording.escape(over)}.",
            icon=":material/production_quantity_limits:",
        )
        _warn(choice)
        _describe(run, choice, miss)
        _show_links(run, miss)
    else:
        st.warning(
            "Nothing fits: no sub-network of this run has a score that says anything.",
            icon=":material/production_quantity_limits:",
        )
    _show_chart(choice, measured)


def _warn(choice: Choice) -> None:
    """That the machine was busy, where its clock shows that it was."""
    if choice.warning is not None:
        st.warning(wording.escape(choice.warning), icon=":material/timer_off:")


def _describe(run: Run, choice: Choice, option: Option) -> None:
    """What a sub-network keeps, scores and costs."""
    st.caption(f"{wording.escape(str(option.subnet.resolve(run.config.shape)))}.")
    budget, task, latency = choice.budget, run.info.task, option.latency
    with st.container(horizontal=True):
        _tile(
            f"Dev {wording.metric_title(task.metric)}",
            f"{option.score:.3f}",
            None if budget.floor is None else f"at least {budget.floor:g}",
            wording.metric_help(task.metric, task.kind),
        )
        for name, title, value in (
            (
                "latency_ms",
                "Latency",
                None if latency is None else f"{latency.median_ms:.2f} ms",
            ),
            ("num_params", "Parameters, layers", f"{option.num_params / MILLION:.2f} M"),
            ("macs", f"MACs, {budget.tokens} tokens", f"{figures(option.macs / MILLION, 4)} M"),
        ):
            limit = budget.limits.get(name)
            below = None if limit is None else _share(option.costs[name] / limit)
            if name == "latency_ms" and latency is not None:
                spread = f"± {latency.iqr_ms / 2:.2f}"
                below = spread if below is None else f"{spread}, {below}"
            if value is not None:
                _tile(title, value, below, _about(option) if name == "latency_ms" else None)


def _share(share: float) -> str:
    return f"{share:.0%} of the budget" if share < 10 else f"{share:,.0f} times the budget"


def _name(subnet: Subnet) -> str:
    """For Markdown, for example "width 0.5, depth 0.75"."""
    lengths = subnet.length_config
    more = "" if lengths is None else f"; {lengths.in_words} leave its layers"
    return wording.escape(wording.subnet_title(subnet) + more)


def _tile(title: str, value: str, below: str | None, about: str | None) -> None:
    st.metric(
        title, value, below, "off", delta_arrow="off", help=about, border=True, height="stretch"
    )


def _about(option: Option) -> str:
    medians = ", ".join(f"{one.median_ms:.2f}" for one in option.measured)
    if len(option.measured) == 1:
        return "Median of one measurement; ± half its interquartile range."
    return f"The slowest median of its measurements ({medians} ms); ± half its interquartile range."


def _show_others(run: Run, choice: Choice) -> None:
    """The runner-up, and what more would buy."""
    lines = []
    second, step = choice.runner_up, choice.step_up
    if second is not None and second != step:
        lines.append(f"Runner-up: **{_name(second.subnet)}**, {_numbers(run, choice, second)}.")
    if step is not None:
        title = "Runner-up and next step up" if step == second else "Next step up"
        lines.append(
            f"{title}: **{_name(step.subnet)}**, {_numbers(run, choice, step)}: "
            f"{100 * (choice.gain or 0):+.1f} points for {price_in_words(choice)}."
        )
    elif choice.chosen is not None:
        lines.append("Nothing that this run has results of scores more.")
    st.markdown("  \n".join(lines))


def _numbers(run: Run, choice: Choice, option: Option) -> str:
    name = wording.escape(wording.metric_title(run.info.task.metric))
    parts = [f"{name} {option.score:.3f}"]
    for cost in choice.budget.limits or ("latency_ms",):
        scale, unit = COST_UNITS[cost]
        parts.append(f"{figures(option.costs[cost] / scale, 3)} {unit}")
    return ", ".join(parts)


def _show_links(run: Run, option: Option) -> None:
    subnet = option.subnet
    if links.can_be_opened(subnet, run.config.shape):
        st.caption(
            "Open it on another page:"
            if links.is_known_everywhere(subnet)
            else "Open it on another page; Attention and Try it know one width for all layers and all tokens:"
        )
        links.row(_PAGES, links.to(subnet))
    st.caption("Take it away in a terminal:")
    st.code(export_command(run, subnet), language="bash", wrap_lines=True)


def _show_chart(choice: Choice, measured: float) -> None:
    budget, table = choice.budget, choice.table
    scale, unit = COST_UNITS[budget.cost]
    texts = f"{wording.count(budget.batch_size, 'text')} of {wording.count(budget.tokens, 'token')}"
    titles = {
        "latency_ms": f"latency, ms, {texts}",
        "num_params": f"{unit} of the Transformer layers",
        "macs": f"{unit} for {wording.count(budget.tokens, 'token')}",
    }
    options = {
        "quality_title": f"dev {wording.metric_title(choice.metric)}",
        "cost_title": titles[budget.cost],
        "limit": budget.limits.get(budget.cost),
        "floor": budget.floor,
        "scale": scale,
    }
    controls.chart(
        plots.budget_choice(table, budget.cost, **options),
        table=table,
        cell=f"choice = choose(run, run.model(), {budget!r})\nplots.budget_choice(\n    choice.table,\n"
        f"    {budget.cost!r},\n    **{options!r},\n)",
        key="budget-chart",
        alt=f"{wording.capital(wording.metric_title(choice.metric))} against {titles[budget.cost]}, and the "
        "budget",
    )
    timed = int((table["measurements"] > 0).sum())
    st.caption(
        f"{wording.count(len(table), 'sub-network')}, {timed} of them timed at "
        f"{time.strftime('%H:%M', time.localtime(measured))} on {wording.escape(choice.machine)}, {texts} "
        "per pass."
        + (" The latency table of the run spared the clock the others." if choice.modelled else "")
        + (" Collapsed ones are never chosen." if table["collapsed"].any() else "")
    )
