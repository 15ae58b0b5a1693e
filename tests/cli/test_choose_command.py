"""`dynabert choose` as a user types it."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner, Result

from dynabert.cli.main import app
from dynabert.errors import UserError
from dynabert.evaluation import Latency, count_macs, num_params
from dynabert.export import export_command
from dynabert.runs import MEASURED, Run
from dynabert.search import choosing as core
from dynabert.subnet import Subnet

pytest_plugins = ["searched_run"]
NARROW, SHALLOW = Subnet(0.5), Subnet(1.0, 0.5)
MS = {"w1.00-d1.00": 9.0, NARROW.key: 7.0, SHALLOW.key: 4.0}


@pytest.fixture(autouse=True)
def _steady_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Known latencies instead of those of a machine that has other work."""

    def measure(model, subnets, setup, *, on_repeat):
        on_repeat(setup.repeats)
        return [Latency(median_ms=MS[subnet.key], iqr_ms=0.4) for subnet in subnets]

    monkeypatch.setattr(core, "measure_latency", measure)


def choose(run: Run, *arguments: str) -> Result:
    return CliRunner().invoke(
        app, ["choose", "tiny", "--runs-dir", str(run.folder.parent), *arguments]
    )


def said(result: Result) -> str:
    return " ".join(result.output.split())


def test_it_names_what_fits_what_is_next_and_how_to_take_it(run):
    told = choose(run, "--latency-ms", "8", "--tokens", "10")
    assert told.exit_code == 0, told.output
    text = said(told)
    assert "tiny: at most 8 ms" in text
    assert "Take w0.50-d1.00: 4 layers (1, 2, 3, 4) x 3 heads x 30 neurons." in text
    assert "The next step up, w1.00-d1.00, gives +10.0 points for 2 ms more." in text
    assert export_command(run, NARROW) in text
    lines = {line.split("│")[1].strip(): line for line in told.output.splitlines() if "│" in line}
    assert list(lines) == ["chosen", "runner-up", "next step"]
    for part in (NARROW.key, "0.8000", "7.00 ±0.20"):
        assert part in lines["chosen"]
    model = run.model()
    assert f"{num_params(model, NARROW) / 1e6:.2f}" in lines["chosen"]
    assert f"{count_macs(model, NARROW, 10) / 1e6:.4g}" in lines["chosen"]
    assert SHALLOW.key in lines["runner-up"]
    assert "4 sub-networks, 3 of them timed, 1 text of 10 tokens per pass" in text
    assert "1 collapsed (one answer for every example) and never chosen" in text
    assert "busy" not in text  # the clock is steady


def test_json_is_all_that_is_written_to_standard_output(run):
    told = choose(run, "--latency-ms", "8", "--batch", "2", "--json")
    assert told.exit_code == 0
    found = json.loads(told.stdout)
    assert found["run"] == "tiny"
    assert found["budget"] == {
        "latency_ms": 8.0,
        "num_params": None,
        "macs": None,
        "floor": None,
        "tokens": 8,  # as the run's own results
        "batch_size": 2,
    }
    assert found["chosen"]["subnet"] == NARROW.key
    assert found["chosen"]["measured_ms"] == [7.0, 7.0, 7.0]
    assert found["runner_up"]["subnet"] == SHALLOW.key
    assert found["step_up"]["score"] == 0.9
    assert found["extract"] == export_command(run, NARROW)
    assert (found["was_busy"], found["warning"]) == (False, None)
    assert found["spread"] == pytest.approx(0.4 / 4)  # of the shortest told of, the runner-up


def test_nothing_fits(run):
    told = choose(run, "--latency-ms", "3.5")
    assert told.exit_code == 1
    assert "Nothing fits. Nearest is w1.00-d0.50: 0.5 ms more than the budget's 3.5 ms." in said(
        told
    )
    assert export_command(run, SHALLOW) in said(told)
    found = choose(run, "--latency-ms", "3.5", "--json")
    assert found.exit_code == 1
    values = json.loads(found.stdout)
    assert values["chosen"] is None
    assert values["extract"] is None
    assert values["excess"] == {"latency_ms": 0.5}
    told = choose(run, "--floor", "0.95")
    assert told.exit_code == 1
    assert "Nearest is w1.00-d1.00: 5.0 points of accuracy below the floor." in said(told)


@pytest.mark.parametrize(
    ("arguments", "taken"),
    [
        (("--floor", "0.65"), SHALLOW.key),  # the fastest
        (("--floor", "0.75"), NARROW.key),
        (("--params", "1e9"), "w1.00-d1.00"),
        (("--params", "1e9", "--latency-ms", "4"), SHALLOW.key),
        (("--macs", "1e12", "--floor", "0.85"), "w1.00-d1.00"),
    ],
)
def test_budgets_of_every_kind(run, arguments, taken):
    told = choose(run, *arguments)
    assert told.exit_code == 0
    assert f"Take {taken}:" in said(told)
    assert ("Nothing here scores more." in told.output) == (taken == "w1.00-d1.00")


@pytest.mark.parametrize("keep", ["--keep", "--no-keep"])
def test_what_was_evaluated_for_it_is_kept(run, monkeypatch, keep):
    results = run.all_results
    without = results[results["subnet"] != NARROW.key]
    monkeypatch.setattr(Run, "all_results", property(lambda run: without))
    told = choose(run, "--params", "1e9", keep)
    assert told.exit_code == 0, told.output
    monkeypatch.undo()
    assert (run.folder / MEASURED).is_file() == (keep == "--keep")
    if keep == "--keep":
        row = run.all_results.set_index("subnet").loc[NARROW.key]
        assert row["num_examples"] == 12
        assert row["accuracy"] != 0.8  # of the untrained network itself


def test_a_run_that_cannot_be_written_to_is_chosen_from_all_the_same(run, monkeypatch):
    results = run.all_results
    without = results[results["subnet"] != NARROW.key]
    monkeypatch.setattr(Run, "all_results", property(lambda run: without))

    def refuse(run: Run) -> None:
        raise UserError(f"cannot write to {run.folder}")

    monkeypatch.setattr(Run, "check_writable", refuse)
    told = choose(run, "--params", "1e9")
    assert told.exit_code == 0
    assert "Note: not kept: cannot write to" in said(told)
    told = choose(run, "--params", "1e9", "--json")
    assert json.loads(told.stdout)["fits"]
    assert "not kept" in told.stderr


def test_a_busy_machine_is_warned_of(run, monkeypatch):
    def measure(model, subnets, setup, *, on_repeat):
        return [Latency(median_ms=MS[one.key], iqr_ms=0.5 * MS[one.key]) for one in subnets]

    monkeypatch.setattr(core, "measure_latency", measure)
    warning = (
        "The machine was busy: the middle half of one measurement's passes spread over 50% of its median. "
        "Choose again when it is quiet: the answer may be another then."
    )
    assert said(choose(run, "--floor", "0.1")).endswith(f"Warning: {warning}")
    assert f"Warning: {warning}" in said(choose(run, "--latency-ms", "3"))  # where nothing fits too
    found = json.loads(choose(run, "--floor", "0.1", "--json").stdout)
    assert (found["was_busy"], found["warning"]) == (True, warning)
    assert (found["unrest"], found["spread"]) == (1.0, 0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "say what it may cost (--latency-ms, --params, --macs) or what it must score"),
        (("--latency-ms", "-1"), "--latency-ms must be a number above 0, got -1"),
        (("--floor", "85"), "--floor must be from -1 to 1, as all metrics are, got 85"),
        (("--latency-ms", "5", "--tokens", "41"), "reads at most 40 tokens, got 41"),
        (("--latency-ms", "5", "--tokens", "0"), "--tokens"),
    ],
)
def test_bad_input_is_a_sentence(run, arguments, message):
    told = choose(run, *arguments)
    if told.exit_code == 1:  # the entry point's sentence and exit code 2; see test_refusals.py
        assert isinstance(told.exception, UserError)
    else:
        assert told.exit_code == 2
    assert message in str(told.exception) + told.output
