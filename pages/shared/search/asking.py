"""What to search for: the form, and its start."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dynabert.errors import UserError
from dynabert.names import first_free
from dynabert.runs import Run
from dynabert.search.background import search_command, start_search
from dynabert.search.modelled import usable_table
from dynabert.search.objectives import COSTS, Cost
from dynabert.search.proposals import METHODS, Method
from dynabert.search.search import SEARCHES, check_search
from dynabert.search.settings import FEWEST_PERCENT, NUM_TRIALS, SearchSettings, ask_search
from dynabert.training.plan import MAX_SEED
from pages.shared import cache, state, wording

_METHODS: dict[Method, str] = {
    "tpe": "Tree-structured Parzen estimator (Optuna)",
    "gp": "Gaussian process (Optuna): slow to propose, for trials that are slow themselves",
    "evolution": "Evolution, as the Length-Adaptive Transformer searches",
    "random": "Chance, to compare with",
}
_COSTS: dict[Cost, str] = {
    "macs": "MACs",
    "latency": "Latency, measured",
    "modelled": "Latency, modelled",
}
_AXES = {"lengths": "Tokens that leave each layer", "widths": "Width", "depths": "Depth"}


def offer(run: Run, results: pd.DataFrame, *, first: bool) -> None:
    """Ask what to search for, and start it.  first: nothing was searched for yet."""
    if not state.training_allowed():
        st.info(
            "This app only shows searches: whoever started it has kept visitors from starting work on its "
            "machine. In a terminal, `python -m dynabert search --help` says how to search.",
            icon=":material/lock:",
        )
        return
    with st.expander("Start a search", expanded=first, icon=":material/add:"):
        asked = _ask(run, results)
        if asked is None:
            return
        name, settings = asked
        pressed = st.button(
            "Start", type="primary", icon=":material/play_arrow:", key="search-start"
        )
        st.caption("The same in a terminal:")
        st.code(
            search_command(run, name, settings, state.runs_dir()), language="bash", wrap_lines=True
        )
        if pressed:
            try:
                start_search(run, name, settings, state.runs_dir())
            except UserError as error:
                st.error(wording.sentence(error), icon=":material/error:")
            else:
                state.change("search", name)
                st.rerun()


def _ask(run: Run, results: pd.DataFrame) -> tuple[str, SearchSettings] | None:
    left, right = st.columns(2, gap="large")
    with left:
        axes = st.pills(
            "Choose among",
            list(_AXES),
            selection_mode="multi",
            default=["lengths"],
            format_func=_AXES.__getitem__,
            key="search-axes",
            wrap=True,  # Streamlit would cut them off in a column
        )
        method = st.selectbox(
            "Method", METHODS, format_func=_METHODS.__getitem__, key="search-method"
        )
        num_trials = st.number_input("Trials", 1, 10_000, NUM_TRIALS, key="search-trials")
        seed = st.number_input("Seed", 0, MAX_SEED, 0, key="search-seed")
    with right:
        cost = st.segmented_control(
            "Cost",
            COSTS,
            default="macs",
            required=True,
            format_func=_COSTS.__getitem__,
            key="search-cost",
            wrap=True,
        )
        tokens = st.number_input(
            "Tokens of a text",
            1,
            run.config.max_tokens,
            run.usual_tokens(results),
            key=f"search-tokens-{run.name}",  # a name for each run, whose own is the default
            help="For which cost is counted or timed.",
        )
        num_examples = st.number_input(
            "Dev examples in each trial",
            1,
            run.info.task.num_dev,
            min(500, run.info.task.num_dev),
            key=f"search-examples-{run.name}",
            help="Drawn with the seed, the same for all trials. The best are measured on all of dev.",
        )
        fewest = st.number_input(
            "Fewest tokens that may leave a layer (%)",
            1,
            100,
            FEWEST_PERCENT,
            key="search-fewest",
            disabled="lengths" not in axes,
            help="Of each text's own. Dynamic-TinyBERT allows 91 of 384 tokens, which is 24 %.",
        )
        num_measured = st.number_input(
            "Of the best, measure on all of dev at most",
            1,
            10_000,
            None,
            placeholder="all",
            key="search-measured",
            help="Spread evenly over the front. A large dev set, such as SQuAD's, takes minutes for each.",
        )
    if not axes:
        st.warning("Choose something to search among.", icon=":material/edit:")
        return None
    typed = st.text_input(
        "Name",
        key="search-name",
        max_chars=64,
        placeholder=(suggested := _free_name(run, str(method))),
        help="Letters, digits, '.', '_' and '-'.",
    )
    own = run.recipe_grid
    widths, depths = own.width_mults, own.depth_mults
    try:
        settings = ask_search(
            method=method,
            num_trials=int(num_trials),
            width_mults=widths if "widths" in axes else widths[:1],
            depth_mults=depths if "depths" in axes else depths[:1],
            lengths="shares" if "lengths" in axes else None,
            fewest=int(fewest) if "lengths" in axes and fewest != FEWEST_PERCENT else None,
            cost=cost,
            tokens=int(tokens),
            num_examples=None if num_examples == run.info.task.num_dev else int(num_examples),
            num_measured=None if num_measured is None else int(num_measured),
            seed=int(seed),
        )
        if settings.cost == "modelled":
            usable_table(run.folder, cache.model(run), settings.setup)
        check_search(run, name := typed.strip() or suggested, settings)
    except UserError as error:
        st.error(wording.sentence(error), icon=":material/error:")
        return None
    return name, settings


def _free_name(run: Run, method: str) -> str:
    taken = {folder.name for folder in (run.folder / SEARCHES).glob("*")}
    return first_free(method, taken.__contains__)
