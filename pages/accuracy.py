"""What do I lose when I make it smaller?"""

import functools

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dynabert import Subnet
from dynabert.analysis.choices import find_row
from dynabert.evaluation import Evaluation, LatencySetup
from dynabert.evaluation.quality import further_metrics
from pages.shared import by_layer, cache, controls, found, jobs, links, live, state, wording
from pages.shared.accuracy import answers, chart
from pages.shared.accuracy.clock import Clock
from pages.shared.accuracy.numbers import Numbers

run = controls.open_run()
task = run.info.task
clock = Clock(run)
results = clock.results
shape, largest = run.config.shape, run.largest
tokens = int(results["tokens"].iloc[0])

controls.header(
    "What do I lose when I make it smaller?",
    "Choose a sub-network and see what it scores and what it costs, among all that were evaluated. One "
    "that is new is evaluated while you look.",
)


def choose_auto() -> bool:
    """Whether a new sub-network is evaluated without being asked for."""
    slow = found.seconds_if_slow(run)
    asked = state.recall("auto")
    key = "auto-evaluation"
    st.session_state[key] = slow is None if asked not in ("0", "1") else asked == "1"
    return st.toggle(
        "Evaluate new sub-networks at once",
        key=key,
        on_change=lambda: state.change("auto", int(st.session_state[key])),
        help="It takes one pass over the dev set"
        + ("." if slow is None else f", here about {wording.duration(slow)}."),
    )


def dev_in_words() -> str:
    """What is asked: `num_dev` is of the first dev set, of MNLI the matched genres."""
    has_others = bool(further_metrics(results.columns, task.metrics))
    return "all dev sets" if has_others else wording.count(task.num_dev, "dev example")


def start_evaluation(subnet: Subnet, auto: bool, slot: DeltaGenerator) -> jobs.Job | None:
    """Evaluate the sub-network if that is wanted and possible, else say what is in the way."""
    with slot.container():
        job = jobs.find(live.evaluation_key(run, subnet))
        failed = job is not None and job.finished and job.error
        stopped = job is not None and job.finished and job.found is not None
        if failed:
            st.error(wording.sentence(ValueError(job.error)), icon=":material/error:")
        reason = found.why_not(run) if auto and not failed and not stopped else None
        if auto and not failed and not stopped and reason is None:
            return live.start_evaluation(run, subnet, however_long=state.recall("auto") == "1")
        slow = found.seconds_if_slow(run)
        st.caption(
            "This sub-network has not been evaluated"
            + (" to its end" if stopped else "")
            + f". It takes one pass over {dev_in_words()}"
            + ("." if slow is None else f", about {wording.duration(slow)}.")
        )
        if reason is None:
            pressed = st.button(
                "Evaluate on the dev set now", type="primary", icon=":material/play_arrow:"
            )
            reason = found.why_not(run) if pressed else None
            if pressed and reason is None:
                jobs.forget(live.evaluation_key(run, subnet))
                st.session_state["asked-for"] = (cache.run_key(run), subnet)
                return live.start_evaluation(run, subnet, however_long=True)
        if reason is not None:
            st.warning(
                f"Nothing new can be evaluated: {wording.escape(reason)}. What was evaluated before is "
                "still shown.",
                icon=":material/warning:",
            )
            st.button("Look again", on_click=found.look_again, args=(run,))
    return None


def show_links(subnet: Subnet) -> None:
    """The other pages, opened on this sub-network."""
    if subnet.heads is not None:
        known = f"one width for all layers, {wording.escape(state.recall('w'))}"
    else:
        known = "" if subnet.length_config is None else "sub-networks that keep all tokens"
    st.caption(
        f"Take it away opens this sub-network; the other pages know {known}:"
        if known
        else "Open this sub-network on another page:"
    )
    links.row(("attention", "fusion", "try_it", "take_away"), state.link())


def why_no_latency(setup: LatencySetup | None, failed: str | None) -> str | None:
    """Why the latency of a sub-network is not measured, as a sentence; None where it can be.

    failed: what went wrong when it was tried.
    """
    if setup is None:
        return "Its latency was not measured: the others' are of another machine, or not measured at all."
    if (busy := live.busy()) is not None:
        return (
            f"Its latency is not measured while {wording.escape(busy)} is at work: it would come out "
            "too long."
        )
    return f"Its latency could not be measured: {wording.escape(failed)}." if failed else None


def find_answers(subnet: Subnet) -> tuple[Evaluation, Evaluation] | None:
    """What the run's largest and this one answered; begins to ask them where that is not known."""
    if (reason := found.why_not(run)) is not None:
        st.warning(
            f"That needs the dev examples: {wording.escape(reason)}.", icon=":material/warning:"
        )
        return None
    wanted = dict.fromkeys((largest, subnet))
    if clock.is_measuring and any(found.evaluation(run, one) is None for one in wanted):
        st.info(
            "It is asked as soon as the latencies have been measured.",
            icon=":material/hourglass_top:",
        )
        return None
    for one in wanted:
        if found.evaluation(run, one) is not None:
            continue
        key = live.evaluation_key(run, one)
        if error := live.failure(key):
            st.error(wording.sentence(ValueError(error)), icon=":material/error:")
            st.button("Try again", on_click=jobs.forget, args=(key,), key=f"again-{one.key}")
            return None
        job = live.start_evaluation(run, one, however_long=True)
        watched.append((job, functools.partial(draw_asking, st.empty())))
    known = [found.evaluation(run, one) for one in (largest, subnet)]
    return None if None in known else (known[0], known[1])


def draw_asking(slot: DeltaGenerator, job: jobs.Job) -> None:
    share = 0.0 if job.found is None else job.found.share_of_tokens
    slot.progress(share, "Asking the network about every dev example …")


watched: list[tuple[jobs.Job, live.Draw]] = []
subnet = by_layer.choose_subnet(run, results)
live.stay_with(
    {live.evaluation_key(run, one) for one in (largest, subnet)} | {live.latency_key(run, subnet)}
)
row = find_row(results, subnet.resolve(shape))
against = find_row(results, largest.resolve(shape))
auto = choose_auto()
numbers = Numbers(run, subnet, row, against, tokens=tokens, machine=clock.machine)
evaluating = None
if row is None and clock.is_measuring:  # this work would make the latencies longer
    st.caption("It is evaluated as soon as the latencies have been measured.")
elif row is None:
    evaluating = start_evaluation(subnet, auto, st.empty())
    if evaluating is not None:
        watched.append((evaluating, numbers.draw_evaluation))
        live.glance(evaluating, numbers.draw_evaluation)
elif found.is_unkept(run, row):
    st.caption(
        "It was evaluated just now and not kept: nothing can be written to the run's folder."
    )

to_time = None
if row is not None and pd.isna(row["latency_ms"]):
    to_time, timing = clock.setup, live.latency_key(run, subnet)
    failed = live.failure(timing)
    if (why := why_no_latency(to_time, failed)) is not None:
        to_time = None
        st.caption(why)
        if failed:
            st.button("Try again", on_click=jobs.forget, args=(timing,))
clock.offer()
show_links(subnet)
chart.show_chart(clock, results, row)

small = largest if subnet.resolve(shape) == largest.resolve(shape) else subnet
groups = None
if task.name == "teaching":
    st.subheader("Which piece of grammar is lost?")
    if st.toggle(f"Accuracy per phenomenon ({task.num_dev:,} sentences)", key="phenomena"):
        if (both := find_answers(small)) is not None:
            groups = answers.phenomena(run)
            if groups is None:
                st.info("The examples of this run do not say what each of them tests.")
            else:
                answers.show_phenomena(run, subnet, *both, groups)

st.subheader("Which answers change?")
if st.toggle(
    f"The examples that this sub-network answers otherwise than {wording.one_size(largest)}",
    key="changes",
):
    if (both := find_answers(small)) is not None:
        answers.show_changes(run, subnet, *both, answers.phenomena(run))

wanted = auto or st.session_state.get("asked-for") == (cache.run_key(run), subnet)
if to_time is not None and wanted and not clock.is_measuring:
    watched.append(
        (live.start_latency(run, subnet, to_time, clock.keeper(row, to_time)), numbers.draw_latency)
    )
if watched:
    state.write_address("accuracy")  # the page stays in this run of it for a while
    live.follow(watched)
else:
    found.why_not(
        run
    )  # loads model and examples, so that the next sub-network need not wait for them
