"""Searching by modelled latency: every trial is told by one table."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from dynabert.errors import UserError
from dynabert.evaluation.latency import describe_machine
from dynabert.evaluation.latency_table import LatencyTable, model_key, table_path
from dynabert.examples import load_examples
from dynabert.runs import Run
from dynabert.search.loop import run_search
from dynabert.search.objectives import Objectives
from dynabert.search.search import open_search
from dynabert.search.settings import SearchSettings
from dynabert.subnet import FULL, Subnet

pytest_plugins = ["searched_run"]
SETTINGS = SearchSettings(
    method="random",
    num_trials=6,
    width_mults=(1.0, 0.5),
    tokens=12,
    num_examples=6,
    cost="modelled",
)


def made(run: Run, **changes: object) -> LatencyTable:
    """0.1 ms for each head and token that enters a layer, 0.001 for each neuron and token that leaves."""
    model = run.model()
    tokens, heads = np.array([1.0, 12.0]), np.array([1.0, 6.0])
    neurons = np.array([1.0, float(max(model.config.shape.neurons))])
    keeping = 0.1 * heads[:, None] * tokens
    table = LatencyTable(
        tokens=tokens,
        heads=heads,
        neurons=neurons,
        keeping=keeping,
        dropping=np.stack([keeping] * 3, axis=-1),
        reading=keeping,
        feed_forward=0.001 * neurons[:, None] * tokens,
        correction=np.array([2.0, 0.0, 0.0, 1.0]),
        batch_size=1,
        reads_all_tokens=False,
        model=model_key(model),
        machine=describe_machine(model.device),
        repeats=2,
        checked=30,
        error=0.01,
        worst=0.02,
    )
    return dataclasses.replace(table, **changes)


def keep(run: Run, table: LatencyTable) -> None:
    path = table_path(run.folder, 1, run.model().device)
    path.parent.mkdir(exist_ok=True)
    table.save(path)


def test_costs_are_what_the_table_says(run) -> None:
    table, model, examples = made(run), run.model(), load_examples(run)
    keep(run, table)
    search = open_search(run, "modelled", SETTINGS)
    trials = run_search(search, model, examples)
    assert len(trials) == 6
    for trial in trials:
        assert trial.cost == table.predict(model, Subnet.parse(trial.subnet), 12)
    # By hand: 4 layers of 6 heads; the feed-forward network of the last for one token.
    neurons = model.config.shape.neurons[0]
    assert table.predict(model, FULL, 12) == pytest.approx(
        2 + 4 * 0.1 * 6 * 12 + 0.001 * neurons * (3 * 12 + 1)
    )
    # Another table of the run does not change what the search began with.
    keep(run, made(run, correction=np.array([50.0, 0.0, 0.0, 1.0])))
    more = open_search(run, "modelled", SETTINGS.model_copy(update={"num_trials": 8}))
    for trial in run_search(more, model, examples)[6:]:
        assert trial.cost == table.predict(model, Subnet.parse(trial.subnet), 12)


def test_nothing_above_the_limit_is_tried(run) -> None:
    table = made(run)
    keep(run, table)
    model, examples = run.model(), load_examples(run)
    limit = 0.8 * table.predict(model, FULL, 12)
    settings = SETTINGS.model_copy(update={"at_most": limit})
    trials = run_search(open_search(run, "limited", settings), model, examples)
    assert len(trials) == 6
    assert max(trial.cost for trial in trials) <= limit
    none = SETTINGS.model_copy(update={"at_most": 1.0})
    with pytest.raises(UserError, match=r"nothing here costs at most 1 ms.*costs \d"):
        run_search(open_search(run, "none", none), model, examples)


def test_without_a_table_and_with_one_that_is_off(run) -> None:
    model, examples = run.model(), load_examples(run)
    search = open_search(run, "modelled", SETTINGS)
    with pytest.raises(
        UserError, match="no latency table.*dynabert latency .* --tokens 12 --batch 1"
    ):
        run_search(search, model, examples)
    keep(run, made(run, error=0.071))
    with pytest.raises(UserError, match="off by 7.1% on average, more than 5%"):
        run_search(search, model, examples)
    assert search.trials == []
    with pytest.raises(ValueError, match="for cost modelled and nothing else, got macs"):
        Objectives(
            model,
            examples.dev,
            metric="accuracy",
            cost="macs",
            setup=SETTINGS.setup,
            num_examples=None,
            seed=0,
            table=made(run),
        )


def test_trials_are_not_mixed_with_those_of_another_table(run) -> None:
    keep(run, made(run))
    model, examples = run.model(), load_examples(run)
    search = open_search(run, "modelled", SETTINGS)
    run_search(search, model, examples)
    more = open_search(run, "modelled", SETTINGS.model_copy(update={"num_trials": 9}))
    own = search.folder / "latency_table.safetensors"
    own.write_bytes(b"?")
    with pytest.raises(UserError, match="is damaged; remove the search"):
        run_search(more, model, examples)
    own.unlink()
    with pytest.raises(UserError, match="is gone; remove the search"):
        run_search(more, model, examples)
    assert len(search.trials) == 6
