"""`dynabert latency` as a user types it, and the search that reads what it found."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from typer.testing import CliRunner, Result

from dynabert.cli.main import app
from dynabert.evaluation.latency_table import LatencyTable, table_path
from dynabert.runs import Run
from dynabert.search.search import list_searches
from dynabert.subnet import Subnet

pytest_plugins = ["searched_run"]


def call(verb: str, run: Run, *arguments: str) -> Result:
    return CliRunner().invoke(app, [verb, "tiny", "--runs-dir", str(run.folder.parent), *arguments])


def test_a_table_is_measured_told_and_searched_by(run):
    told = call("latency", run, "--tokens", "8", "--repeats", "2")
    assert told.exit_code == 0, told.output
    path = table_path(run.folder, 1, torch.device("cpu"))
    table = LatencyTable.load(path)
    assert table.max_tokens == 8
    assert f"off by {table.error:.1%} on average" in told.output
    assert ("--cost modelled refuses it" in " ".join(told.output.split())) is not table.is_trusted
    model = run.model()
    for key in run.reported_results["subnet"]:
        assert key in told.output
        assert f"{table.predict(model, Subnet.parse(key), 8):.2f}" in told.output
    dataclasses.replace(table, error=0.01).save(path)  # however busy this machine is
    done = call(
        "search", run, "--cost", "modelled", "--tokens", "8", "--examples", "6", "--trials", "5"
    )
    assert done.exit_code == 0, done.output
    (search,) = list_searches(run)
    assert {trial.subnet: trial.cost for trial in search.trials} == {
        trial.subnet: table.predict(model, Subnet.parse(trial.subnet), 8) for trial in search.trials
    }


@pytest.mark.parametrize("arguments", [("--tokens", "1"), ("--repeats", "1"), ("--batch", "0")])
def test_nonsense_is_refused(run, arguments):
    assert call("latency", run, *arguments).exit_code == 2


def test_more_tokens_than_the_model_reads(run):
    told = call("latency", run, "--tokens", "4000")
    assert "max_tokens must be from 2 to" in str(told.exception)
