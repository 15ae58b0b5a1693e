"""Controls that several pages share. Each keeps its value in the view and in the link."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from dynabert.analysis.choices import closest, depth_choices, width_choices
from dynabert.results import as_csv
from dynabert.runs import Run, list_runs
from dynabert.subnet import Subnet
from pages.shared import cache, notices, sample_texts, saving, state, wording

PAGES_WITHOUT_RUN = ("train", "results")  # by their place in the address
BY_LAYER_SHOWN = (
    "by-layer-shown"  # the plain sub-network that the heads by layer stand for, and they
)
_LARGEST = "largest-of-the-run"  # that was open last
_ROUNDING = 1e-3  # a link holds a few digits of a multiplier
WIDTH_HELP = "m_w: the share of attention heads and FFN neurons that every layer keeps."
DEPTH_HELP = "m_d: the share of layers that run, spread evenly over the network."


def choose_run() -> bool:
    """The sidebar's choice of a run; False, and a sentence on the page, if there is none to show."""
    names = list_runs(state.runs_dir())
    if not names:
        st.title("DynaBERT workbench")
        st.info(wording.NO_RUNS.format(folder=state.runs_dir()), icon=":material/model_training:")
        st.page_link("pages/train.py", label="Train and watch", icon=":material/model_training:")
        return False
    state.follow_address()
    wanted = state.recall("run") or ("demo" if "demo" in names else names[0])
    take = state.show("run", wanted if wanted in names else None)
    name = st.sidebar.selectbox("Run", names, key="run", placeholder="Choose a run", on_change=take)
    if name is None:
        st.title("DynaBERT workbench")
        known = ", ".join(f"**{wording.escape(known)}**" for known in names)
        st.error(
            f"There is no run “{wording.escape(wanted)}” here. Choose one in the sidebar: {known}.",
            icon=":material/error:",
        )
        return False
    state.remember("run", name)
    run = open_run()
    if st.session_state.get(_LARGEST, run.largest) != run.largest:
        state.forget_quietly("w")  # of the other run: here it may not have been trained
        state.forget_quietly("d")
    st.session_state[_LARGEST] = run.largest
    _describe(run)
    return True


def open_run() -> Run:
    """The run that is open. Every page begins with it.

    Raises:
        UserError: it is damaged.
    """
    state.enter_through_app()
    return cache.open_run(state.runs_dir() / str(state.recall("run")))


def _describe(run: Run) -> None:
    task, info = run.info.task, run.info
    st.sidebar.caption(
        f"{wording.escape(task.title)}  \n{wording.escape(info.backbone)}, recipe "
        f"{wording.escape(info.recipe.get('name'))}, seed {info.seed}"
    )
    if wording.trained_nothing(info):
        st.warning(wording.NOTHING_TRAINED, icon=":material/warning:")
    elif not run.largest.is_full:
        st.info(wording.not_trained(run.largest), icon=":material/info:")


def header(question: str, about: str) -> None:
    st.title(question)
    st.markdown(about)


def preferred_mults(run: Run, results: pd.DataFrame, name: str) -> list[float]:
    """The width_mults or depth_mults that the run reports or has measured since."""
    return [*reported_mults(run, name), *map(float, dict.fromkeys(results[name]))]


def download_zip(name: str, content: Callable[[], bytes], key: str) -> None:
    """The button for what is taken away.  content: made when it is pressed.  key: of the button."""
    st.download_button(
        wording.escape(f"{name}.zip"),
        content,
        f"{name}.zip",
        "application/zip",
        key=key,
        type="primary",
        icon=":material/download:",
        on_click="ignore",
    )


def reported_mults(run: Run, name: str) -> list[float]:
    """The width_mults or depth_mults that the run's recipe reports."""
    return [float(mult) for mult in run.info.recipe.get(f"{name}s") or []]


def choose_width(run: Run, results: pd.DataFrame) -> float:
    shape = run.config.shape
    choices = width_choices(shape, preferred_mults(run, results, "width_mult"))

    def label(mult: float) -> str:
        heads = Subnet(width_mult=mult).resolve(shape).heads
        return f"{mult:.3g} ({max(heads)}/{max(shape.heads)} heads)"

    return _mult_slider("Width", "w", choices, run.largest.width_mult, label, WIDTH_HELP)


def choose_depth(run: Run, results: pd.DataFrame) -> float:
    shape = run.config.shape
    choices = depth_choices(shape, preferred_mults(run, results, "depth_mult"))

    def label(mult: float) -> str:
        layers = Subnet(depth_mult=mult).resolve(shape).layers
        return f"{mult:.3g} ({len(layers)}/{shape.num_layers} layers)"

    return _mult_slider("Depth", "d", choices, run.largest.depth_mult, label, DEPTH_HELP)


def choose_subnet(run: Run, results: pd.DataFrame) -> Subnet:
    """Width and depth side by side, and what they come to."""
    left, right = st.columns(2, gap="large")
    with left:
        width = choose_width(run, results)
    with right:
        depth = choose_depth(run, results)
    subnet = Subnet(width, depth)
    st.caption(f"Sub-network: {wording.subnet_counts(subnet, run.config.shape)}.")
    return subnet


def _mult_slider(
    label: str,
    name: str,
    choices: Sequence[float],
    default: float,
    format_mult: Callable[[float], str],
    about: str,
) -> float:
    nearest = recall_nearest(label.lower(), name, choices, default, format_mult)
    take = state.show(name, nearest)
    mult = st.select_slider(
        label, choices, key=name, format_func=format_mult, help=about, on_change=take
    )
    state.remember(name, mult)
    return mult


def recall_nearest(
    label: str,
    name: str,
    choices: Sequence[float],
    default: float,
    format_choice: Callable[[float], str],
) -> float:
    """The choice nearest to the view's number of a name, or to the default; told where it is another."""
    given, wanted = state.recall(name), state.recall_number(name)
    nearest = closest(choices, default if wanted is None else wanted)
    if given is not None and (wanted is None or abs(wanted - nearest) > _ROUNDING):
        notices.fell_back(label, given, f"{format_choice(nearest)} is shown")
    return nearest


def viewed_subnet(run: Run) -> Subnet | None:
    """The width and depth of the view, on a page that has no sliders for them; None if it names neither."""
    if state.recall("w") is None and state.recall("d") is None:
        return None
    shape, results, largest = run.config.shape, cache.results(run), run.largest
    widths = width_choices(shape, preferred_mults(run, results, "width_mult"))
    depths = depth_choices(shape, preferred_mults(run, results, "depth_mult"))
    return Subnet(
        recall_nearest("width", "w", widths, largest.width_mult, "{:.3g}".format),
        recall_nearest("depth", "d", depths, largest.depth_mult, "{:.3g}".format),
    )


def set_subnet(subnet: Subnet) -> None:
    """Move the sliders, from a callback."""
    st.session_state.pop(BY_LAYER_SHOWN, None)  # or another width would set the heads of all layers
    state.change("w", subnet.width_mult)
    state.change("d", subnet.depth_mult)
    if subnet.heads is None:
        state.forget("per_layer")
    else:
        state.change("per_layer", ".".join(map(str, subnet.heads)))


def choose_text(
    label: str, name: str, default: str, field: Callable[..., str | None] = st.text_input
) -> str:
    """A text kept in the view.  field: Streamlit's control that it is typed into.

    The field itself has no limit: it would refuse a longer text that is pasted, without a word.
    """
    given = state.recall(name)
    if given in sample_texts.ALL:  # nobody typed it: it is that of a run with another task
        given = None
    if given is not None and len(given) > state.LONGEST_TEXT:
        notices.cut(label, state.LONGEST_TEXT)
    take = state.show(name, (default if given is None else given)[: state.LONGEST_TEXT])
    text = field(label, key=name, on_change=take) or ""
    state.remember(name, text)
    return text


def choose_texts(run: Run, to_see: str) -> tuple[str, ...]:
    """A sentence, or a pair where the run's task is about pairs, or a question and its passage.

    to_see: what a visitor who has left one empty is told they are for; the page ends there.
    """
    texts = _text_fields(run)
    if all(text.strip() for text in texts):
        return texts
    wanted = "a text" if len(texts) == 1 else "both texts"
    if run.info.task.kind == "spans":
        wanted = "a question and a passage"
    st.info(f"Type {wanted} to see {to_see}.", icon=":material/edit:")
    state.end_page()


def _text_fields(run: Run) -> tuple[str, ...]:
    task, samples = run.info.task, sample_texts.sample_texts(run.info.task)
    if task.kind == "spans":
        question = choose_text("Question", "text", samples[0])
        return question, choose_text("Passage", "text2", samples[1], st.text_area)
    if len(task.text_columns) == 1:
        return (choose_text("Sentence", "text", samples[0]),)
    titles = [wording.escape(wording.field_title(column)) for column in task.text_columns]
    left, right = st.columns(2, gap="large")
    with left:
        one = choose_text(titles[0], "text", samples[0])
    with right:
        two = choose_text(titles[1], "text2", samples[1])
    return one, two


def chart(figure: go.Figure, *, key: str, alt: str, **options: Any) -> None:
    """A figure of the open run.  options: others of `saving.chart` and `st.plotly_chart`."""
    saving.chart(figure, run=open_run(), key=key, alt=alt, **options)


def sureness() -> Any:
    """How a table shows a column of probabilities, in percent: all as wide, so that bars compare."""
    return st.column_config.ProgressColumn(
        "how sure", format="%.1f %%", min_value=0.0, max_value=100.0
    )


def choose_one(
    label: str,
    name: str,
    options: Sequence[str],
    *,
    about: str | None = None,
    format_option: Callable[[str], str] = str,
) -> str:
    """One of a few options, kept in the view; the first where the view names none of them."""
    given = state.recall(name)
    if given is not None and given not in options:
        notices.fell_back(label.lower(), given, f"“{format_option(options[0])}” is shown")
    take = state.show(name, given if given in options else options[0])
    chosen = st.segmented_control(
        label,
        options,
        key=name,
        required=True,
        format_func=format_option,
        on_change=take,
        help=about,
        wrap=True,
    )
    state.remember(name, chosen)
    return str(chosen)


def download(label: str, table: pd.DataFrame, file_name: str) -> None:
    """A table as a CSV file."""
    st.download_button(
        label,
        lambda: as_csv(table).encode(),  # when it is asked for
        file_name,
        "text/csv",
        key=f"download-{file_name}",
        icon=":material/download:",
        on_click="ignore",
    )
