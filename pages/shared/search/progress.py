"""A search as the page shows it: at work, or how it ended."""

from __future__ import annotations

import streamlit as st

from dynabert import plots
from dynabert.errors import UserError
from dynabert.runs import Run
from dynabert.search.background import (
    WatchedSearch,
    discard_search,
    start_search,
    stop_search,
)
from dynabert.search.background import watch as watch_search
from dynabert.search.front import trial_table
from dynabert.search.search import SEARCHES, Search
from dynabert.words import figures
from pages.shared import cache, state, wording

_WATCH = "2s"
MILLION = 1e6


@st.fragment(run_every=_WATCH)
def watch(run: Run, name: str) -> None:
    """How far the search of that name has come; the whole page is drawn anew when it ends."""
    try:
        watched = watch_search(Search.load(run.folder / SEARCHES / name))
        if not watched.is_under_way:
            st.rerun()  # the page has something else to show now
        _show(run, watched)
    except UserError as error:  # a fragment that runs on its own is not within app.py's care
        st.error(wording.sentence(error), icon=":material/error:")


def cost_axis(search: Search) -> tuple[str, float]:
    """The title of a search's cost, and what it is divided by."""
    settings = search.settings
    return wording.cost_axis(settings.cost, settings.tokens, settings.batch_size)


def quality_title(search: Search) -> str:
    """The title of a search's quality: of what examples it is."""
    part = search.settings.num_examples
    on = "dev" if part is None else f"{part:,} dev examples"
    return f"{wording.metric_title(search.info.metric)} on {on}"


def described(search: Search) -> str:
    """What was asked for, in one line."""
    settings = search.settings
    axes = []
    if settings.lengths is not None:
        unit = "shares of a text's tokens" if settings.lengths == "shares" else "counts of tokens"
        axes.append(f"lengths ({unit})")
    for name, mults in (("widths", settings.width_mults), ("depths", settings.depth_mults)):
        if len(mults) > 1:
            axes.append(f"{name} {', '.join(f'{mult:.3g}' for mult in mults)}")
    limit = ""
    if settings.at_most is not None:
        title, scale = cost_axis(search)
        limit = f"; at most {figures(settings.at_most / scale, 4)} {title}"
    return wording.escape(
        f"{settings.method}, {settings.num_trials} trials over {' and '.join(axes) or 'nothing'}{limit}; "
        f"seed {settings.seed}; {search.info.machine}"
    )


def _show(run: Run, watched: WatchedSearch) -> None:
    search, total = watched.search, watched.search.settings.num_trials
    trials = search.trials
    st.caption(described(search))
    match watched.state:
        case "stopping":
            st.info("It stops; every trial that is done is kept.", icon=":material/hourglass_top:")
        case "measuring":
            st.progress(
                1.0, "All is tried: measuring the best again, on all of dev and by the clock …"
            )
        case _ if not trials:
            st.progress(0.0, "Loading the network and the examples …")
        case _:
            left = sum(trial.seconds for trial in trials) / len(trials) * (total - len(trials))
            st.progress(
                min(len(trials) / total, 1.0),
                f"{len(trials):,} of {wording.count(total, 'trial')}, about {wording.duration(left)} left",
            )
    if watched.state == "elsewhere":
        st.caption("It was started in a terminal, where Ctrl+C stops it.")
    elif watched.state != "stopping" and state.training_allowed():
        about = "Every trial that is done is kept; it can go on later."
        if st.button("Stop", icon=":material/stop_circle:", help=about, key="search-stop"):
            stop_search(search)
            st.rerun()
    if trials:
        title, scale = cost_axis(search)
        st.plotly_chart(
            plots.search_fronts(
                {search.name: trial_table(trials)},
                quality_title=quality_title(search),
                cost_title=title,
                scale=scale,
            ),
            key="search-live",
            alt=f"Search {search.name} of {run.name} so far: quality against cost",
            config={"displayModeBar": False},
        )


def show_ended(watched: WatchedSearch) -> None:
    """What was asked for; and where it was cut off, how it goes on."""
    search = watched.search
    st.caption(described(search))
    if watched.state == "done":
        if watched.failed_to_measure_again:
            st.warning(
                "The best were to be measured again, which did not succeed: below is what was measured "
                "before.",
                icon=":material/timer_off:",
            )
            _show_log(watched)
        return
    done, total = len(search.trials), search.settings.num_trials
    how = "was stopped" if watched.state == "stopped" else "ended before it was complete"
    missing = "" if done < total else "; the best are not measured again yet"
    st.warning(
        f"This search {how} after {done:,} of {wording.count(total, 'trial')}{missing}.",
        icon=":material/pause_circle:",
    )
    if watched.state == "died":
        _show_log(watched)
    if state.training_allowed() and st.button(
        "Go on",
        type="primary",
        icon=":material/play_arrow:",
        key="search-resume",
        help="It goes on where it stopped; nothing that was tried is lost.",
    ):
        run = cache.open_run(search.folder.parents[1])
        start_search(run, search.name, search.settings, state.runs_dir())
        st.rerun()


def _show_log(watched: WatchedSearch) -> None:
    if tail := watched.log_tail(8):
        st.markdown("The last lines that its process wrote:")
        st.code(tail, language=None, wrap_lines=True)


def offer_discard(watched: WatchedSearch) -> None:
    """A button that removes the search for good."""
    if not state.training_allowed():
        return
    name = watched.search.name
    with st.popover("Discard this search", icon=":material/delete:"):
        st.markdown(f"Forget all that **{wording.escape(name)}** has tried?")
        if st.button("Discard for good", type="primary", key=f"search-discard-{name}"):
            discard_search(watched.search)
            state.forget("search")
            st.rerun()
