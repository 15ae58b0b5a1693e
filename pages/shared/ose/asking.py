"""What to extract from: the form, and the work behind it, which can be stopped and goes on."""

from __future__ import annotations

import shlex

import pandas as pd
import streamlit as st

from dynabert.analysis.choices import depth_choices, width_choices
from dynabert.errors import UserError
from dynabert.examples import load_examples
from dynabert.names import check_run_name, first_free
from dynabert.runs import Run
from dynabert.search.background import refuse_beside_work
from dynabert.search.objectives import Cost
from dynabert.search.ose.carry_out import carry_out
from dynabert.search.ose.folder import SUPERNET, ExtractionFolder, open_extraction
from dynabert.search.ose.report import Report
from dynabert.search.ose.settings import CALIBRATION, EPSILONS, SupernetSettings, ask_ose
from dynabert.training.plan import MAX_SEED
from pages.shared import cache, jobs, state, wording

_AXES = {
    "all": "Every number of heads and of layers",
    "lengths": "Fewer tokens (10, 20, 30 % dropped in each layer)",
    "per_layer": "Widths of single layers by importance",
}
_COSTS: dict[Cost, str] = {"macs": "MACs", "latency": "Latency, measured"}
_DROPS = (0.0, 0.1, 0.2, 0.3)
_PHASES = {
    "costs": "measuring latency",
    "errors": "losses on training examples",
    "dev": "scoring on dev",
    "latency": "measuring latency",
}


def job_key(run: Run) -> str:
    return f"ose {cache.run_key(run)}"


def offer_stop(run: Run) -> None:
    """A button that stops the extraction that is being carried out."""
    job = jobs.find(job_key(run))
    if job is not None and job.asked_to_stop:
        st.info("It stops; every trial that is done is kept.", icon=":material/hourglass_top:")
    elif state.training_allowed():
        about = "Every trial that is done is kept; it can go on later."
        if st.button("Stop", icon=":material/stop_circle:", help=about, key="ose-stop"):
            if job is not None and job.is_waiting:
                state.forget("extraction")  # there is nothing of it yet
            jobs.stop(job_key(run))
            st.rerun()


def offer_to_go_on(
    run: Run, folder: ExtractionFolder[SupernetSettings, Report], *, busy: str | None
) -> None:
    """A button that takes up an extraction where it stopped."""
    if st.button(
        "Go on",
        type="primary",
        icon=":material/play_arrow:",
        key="ose-resume",
        disabled=busy is not None,
        help="It goes on where it stopped; nothing is tried twice."
        if busy is None
        else f"When {wording.escape(busy)} has ended.",
    ):
        _start(run, folder.name, folder.settings)


def offer(run: Run, *, taken: set[str], busy: str | None) -> None:
    """Ask what to extract from, and start it, unless something else is at work."""
    if not state.training_allowed():
        return
    if busy is not None:
        st.info(
            f"An extraction measures latency; it can be started when {wording.escape(busy)} has ended.",
            icon=":material/hourglass_top:",
        )
        return
    with st.expander("Start an extraction", expanded=not taken, icon=":material/add:"):
        asked = _ask(run, cache.results(run), taken)
        if asked is not None and st.button(
            "Extract", type="primary", icon=":material/play_arrow:", key="ose-start"
        ):
            _start(run, *asked)
        st.caption("Over plain architectures, each trained for a few steps, in a terminal:")
        st.code(
            shlex.join(["python", "-m", "dynabert", "ose-plain", run.argument]),
            language="bash",
            wrap_lines=True,
        )


def _start(run: Run, name: str, settings: SupernetSettings) -> None:
    try:
        refuse_beside_work(state.runs_dir())  # begun since the page was drawn
        check_run_name(name, "an extraction")
        run.check_writable()
    except UserError as error:
        st.error(wording.sentence(error), icon=":material/error:")
        return
    same = cache.run_key(run)
    jobs.start(
        job_key(run),
        f"extraction {name} of {run.name}",
        lambda report: _extract(run, same, name, settings, report),
    )
    state.change("extraction", name)
    st.rerun()


def _ask(run: Run, results: pd.DataFrame, taken: set[str]) -> tuple[str, SupernetSettings] | None:
    shape = run.config.shape
    left, right = st.columns(2, gap="large")
    with left:
        axes = st.pills(
            "The space",
            [axis for axis in _AXES if axis != "per_layer" or run.importance is not None],
            selection_mode="multi",
            default=["all"],
            format_func=_AXES.__getitem__,
            key="ose-axes",
            help="Without the first: the widths and depths that the recipe reports.",
            wrap=True,  # Streamlit would cut them off in a column
        )
        cost = st.segmented_control(
            "Inference cost",
            list(_COSTS),
            default="macs",
            required=True,
            format_func=_COSTS.__getitem__,
            key="ose-cost",
            wrap=True,
        )
        counted = st.segmented_control(
            "Parameters",
            ["all", "encoder"],
            default="all",
            required=True,
            format_func={"all": "All", "encoder": "Of the layers only"}.__getitem__,
            key="ose-counted",
            wrap=True,
        )
    with right:
        num_examples = st.number_input(
            "Training examples for errors",
            1,
            max(1, run.info.task.num_train),
            min(CALIBRATION, run.info.task.num_train),
            key=f"ose-examples-{run.name}",  # a name for each run, whose own is the default
        )
        margin = st.number_input(
            "Maximum point beyond the largest (%)",
            0,
            1000,
            0,
            key="ose-margin",
            help="From where savings are measured. Above 0, architectures with all parameters can win.",
        )
        seed = st.number_input("Seed", 0, MAX_SEED, 0, key="ose-seed")
    typed = st.text_input(
        "Name",
        key="ose-name",
        max_chars=64,
        placeholder=(suggested := first_free("ose", taken.__contains__)),
        help="Letters, digits, '.', '_' and '-'.",
    )
    every = "all" in axes
    reported = cache.reported_results(run)
    widths = width_choices(shape) if every else [*reported["width_mult"].unique()]
    depths = depth_choices(shape) if every else [*reported["depth_mult"].unique()]
    drops = _DROPS if "lengths" in axes else (0.0,)
    size = len(widths) * len(depths) * len(drops)
    try:
        return typed.strip() or suggested, ask_ose(
            width_mults=tuple(map(float, widths)),
            depth_mults=tuple(map(float, depths)),
            drops=drops,
            per_layer=("raw", "by layer") if "per_layer" in axes else (),
            epsilons=tuple(one for one in EPSILONS if one <= size),
            counted=counted,
            cost=cost,
            tokens=run.usual_tokens(results),
            num_examples=int(num_examples),
            margin=margin / 100,
            seed=int(seed),
        )
    except UserError as error:
        st.error(wording.sentence(error), icon=":material/error:")
        return None


def _extract(
    run: Run,
    same: tuple[str, int],
    name: str,
    settings: SupernetSettings,
    report: jobs.OnProgress,
) -> None:
    """In a model that no visitor looks into meanwhile."""
    folder = open_extraction(run, name, settings, SUPERNET)
    known = load_examples(run)
    if known.notices:
        raise UserError(f"nothing was extracted: {'; '.join(known.notices)}.")
    cache.check_same(run, same)
    carry_out(
        folder,
        run,
        run.model(),
        known,
        command=shlex.join(
            ["python", "-m", "dynabert", "ose", run.argument, "--name", name, *settings.arguments()]
        ),
        on_progress=lambda phase, done, total: report(_PHASES[phase], done, total),
    )
