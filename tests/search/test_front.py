"""The front of a search: measured on all of dev, kept, and what it recommends."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from small_search import SETTINGS, do

from dynabert.analysis.pareto import pareto_front
from dynabert.errors import UserError
from dynabert.evaluation import count_macs, sweep
from dynabert.examples import load_examples
from dynabert.search.front import (
    batch_sizes_of,
    cheapest_within,
    current_front,
    keep_with_run,
    measure_front,
    measured_table,
    num_unmeasured,
    read_front,
    reference_row,
)
from dynabert.search.search import open_search
from dynabert.search.space import Candidate
from dynabert.subnet import FULL, Subnet

pytest_plugins = ["searched_run"]


def test_the_front_is_measured_on_all_of_dev(run):
    search = open_search(run, "s", SETTINGS)
    with pytest.raises(UserError, match="tried nothing yet"):
        measure_front(search, run.model(), load_examples(run))
    assert read_front(search) is None
    trials = do(search, run)
    phases = set()
    table = measure_front(
        search,
        run.model(),
        load_examples(run),
        on_progress=lambda phase, done, total: phases.add((phase, done == total)),
    )
    assert {("evaluate", True), ("latency", True)} <= phases
    on = pareto_front(
        np.array([trial.cost for trial in trials]), np.array([trial.quality for trial in trials])
    )
    expected = {trial.subnet for trial, kept in zip(trials, on, strict=True) if kept}
    assert set(table["subnet"]) == expected | {FULL.key}
    assert table["subnet"].is_unique
    again = sweep(
        run.model(),
        load_examples(run).dev,
        map(Subnet.parse, table["subnet"]),
        metrics=("accuracy",),
        latency=None,
    )
    for column in ("accuracy", "loss", "num_params", "length_config"):
        assert table[column].tolist() == again[column].tolist()
    assert table["num_examples"].eq(12).all()
    assert table["macs"].tolist() == [
        count_macs(run.config, Subnet.parse(key), 12) for key in table["subnet"]
    ]
    assert (table[["latency_ms_batch_1", "latency_ms_batch_32"]] > 0).all(axis=None)
    assert table["latency_ms"].tolist() == table["latency_ms_batch_1"].tolist()
    kept = read_front(search)
    assert kept["subnet"].tolist() == table["subnet"].tolist()
    assert kept["num_trials"].eq(18).all()
    by_key = {trial.subnet: trial for trial in trials}
    for row in kept.to_dict("records"):
        if row["subnet"] in expected:
            assert row["searched_quality"] == by_key[row["subnet"]].quality


def test_a_student_of_fewer_layers_is_compared_with_itself(run):
    settings = SETTINGS.model_copy(
        update={"width_mults": (1.0,), "depth_mults": (0.5,), "num_trials": 5}
    )
    search = open_search(run, "s", settings)
    do(search, run)
    table = measure_front(search, run.model(), load_examples(run), batch_sizes=(1,))
    assert reference_row(table)["subnet"] == "w1.00-d0.50"
    assert table["is_reference"].sum() == 1
    assert table["subnet"].str.startswith("w1.00-d0.50").all()


def test_what_a_search_measured_is_kept_with_the_run(run):
    settings = SETTINGS.model_copy(update={"tokens": 8, "num_trials": 8})
    search = open_search(run, "s", settings)
    do(search, run)
    table = measure_front(search, run.model(), load_examples(run))
    before = run.all_results
    added = keep_with_run(run, search, table)
    new = table[~table["subnet"].isin(before["subnet"])].set_index("subnet")
    assert added == len(new) > 0
    after = run.all_results.set_index("subnet")
    assert after.index.tolist() == [*before["subnet"], *new.index]
    assert list(after.columns) == [c for c in before.columns if c != "subnet"]
    for column in ("accuracy", "loss", "macs", "num_params"):
        assert after.loc[new.index, column].tolist() == new[column].tolist()
    # The run was timed on this machine, one text at a time; so was the search.
    assert after.loc[new.index, "latency_ms"].tolist() == new["latency_ms_batch_1"].tolist()
    assert keep_with_run(run, search, table) == 0
    (run.folder / "measured.parquet").unlink()
    assert keep_with_run(run, search, table.assign(machine="another")) == len(new)
    assert run.all_results.set_index("subnet").loc[new.index, "latency_ms"].isna().all()
    other = open_search(run, "t", settings.model_copy(update={"tokens": 9}))
    (run.folder / "measured.parquet").unlink()
    assert keep_with_run(run, other, table) == 0  # costs of other texts


def test_the_cheapest_within_some_points(run):
    search = open_search(run, "s", SETTINGS)
    do(search, run)
    table = measure_front(search, run.model(), load_examples(run), batch_sizes=(1,))
    table = table.iloc[:4].copy()
    assert table["subnet"].iloc[0] == FULL.key
    table["accuracy"] = [0.9, 0.895, 0.885, 0.85]
    table["macs"] = [100, 80, 60, 40]
    table["collapsed"] = False
    names = table["subnet"].tolist()

    def named(points):
        row, found = cheapest_within(table, metric="accuracy", cost="macs", points=points)
        return names.index(row["subnet"]), found

    assert named(0.5) == (1, True)
    assert named(1.5) == (2, True)
    assert named(1.4) == (1, True)
    assert named(5) == (3, True)
    assert named(0) == (1, False)  # the nearest miss
    alone = table.iloc[:1]
    row, found = cheapest_within(alone, metric="accuracy", cost="macs", points=1)
    assert (row["subnet"], found) == (FULL.key, False)


def test_a_collapsed_one_is_never_the_cheapest(run):
    table = pd.DataFrame(
        {
            "subnet": ["w1.00-d1.00", "w0.75-d1.00", "w0.50-d1.00", "w0.25-d1.00"],
            "is_reference": [True, False, False, False],
            "accuracy": [0.7, 0.695, 0.66, 0.6838],
            "macs": [100, 80, 60, 40],
            "collapsed": [False, False, False, True],  # 0.6838: the share of MRPC's larger class
        }
    )

    def named(table, points):
        row, found = cheapest_within(table, metric="accuracy", cost="macs", points=points)
        return row["subnet"], found

    assert named(table, 2) == ("w0.75-d1.00", True)
    assert named(table, 5) == ("w0.50-d1.00", True)
    assert named(table.drop(index=1), 1) == ("w0.50-d1.00", False)
    assert named(table.drop(index=[1, 2]), 2) == (
        "w1.00-d1.00",
        False,
    )  # nothing else says anything
    drawn = measured_table(table, metric="accuracy", cost="macs")
    assert drawn["on_front"].tolist() == [True, True, True, False]
    assert drawn["collapsed"].tolist() == table["collapsed"].tolist()


def test_a_front_is_timed_for_the_batch_of_its_search(run):
    settings = SETTINGS.model_copy(update={"batch_size": 3, "num_trials": 4, "repeats": 2})
    search = open_search(run, "s", settings)
    do(search, run)
    table = measure_front(search, run.model(), load_examples(run))
    assert batch_sizes_of(table) == [1, 3, 32]
    assert table["latency_ms"].tolist() == table["latency_ms_batch_3"].tolist()
    # What was measured of the same trials is not measured again.
    again = measure_front(search, run.model(), load_examples(run))
    assert again["latency_ms"].tolist() == table["latency_ms"].tolist()
    more = open_search(run, "s", settings.model_copy(update={"num_trials": 5}))
    assert current_front(more) is None
    assert current_front(search) is not None


def test_of_a_front_as_many_are_measured_as_asked(run):
    def measured(number):
        asked = SETTINGS.model_copy(update={"num_measured": number, "repeats": 2})
        search = open_search(run, "s", asked, command=f"measure {number}")
        do(search, run)
        return search, measure_front(search, run.model(), load_examples(run), batch_sizes=(1,))

    _, table = measured(None)
    every = table[~table["is_reference"]].sort_values("searched_cost")["subnet"].tolist()
    assert num_unmeasured(table) == 0
    assert len(every) > 3
    (run.folder / "searches" / "s" / "front.parquet").unlink()
    for number, places in ((1, [-1]), (2, [0, -1]), (3, [0, None, -1])):
        search, table = measured(number)
        found = table[~table["is_reference"]]["subnet"].tolist()
        assert len(found) == number
        assert table["is_reference"].sum() == 1
        assert [found[i] for i, place in enumerate(places) if place is not None] == [
            every[place] for place in places if place is not None
        ]
        assert set(found) <= set(every)
        assert num_unmeasured(table) == len(every) - number
        assert search.info.command == f"measure {number}"
    # Fewer than there are: nothing is left to do. More: the front is measured anew.
    search = open_search(run, "s", SETTINGS.model_copy(update={"num_measured": 2}))
    assert current_front(search) is not None
    more = open_search(run, "s", SETTINGS.model_copy(update={"num_measured": 100}))
    assert current_front(more) is None


def test_trials_of_another_space_do_not_count(run):
    search = open_search(run, "s", SETTINGS.model_copy(update={"num_trials": 4}))
    odd = do(search, run)[0].model_copy(update={"number": 2, "candidate": Candidate(0, 0, (5, 9))})
    path = search.folder / "trials.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:2], odd.model_dump_json(), lines[3]]) + "\n")
    more = open_search(run, "s", SETTINGS.model_copy(update={"num_trials": 14}))
    assert len(do(more, run)) == 14
    table = measure_front(more, run.model(), load_examples(run), batch_sizes=(1,))
    assert table["num_examples"].eq(12).all()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda table: table.iloc[:0],
        lambda table: table.assign(num_trials="many"),
        lambda table: table.assign(is_reference=False),
        lambda table: table.assign(subnet="<b>"),
        lambda table: table.drop(columns="accuracy"),
        lambda table: table.drop(columns="collapsed"),
        lambda table: table.assign(latency_ms_batch_1="slow"),
    ],
)
def test_a_front_that_says_nonsense_is_damaged(run, spoil):
    search = open_search(run, "s", SETTINGS.model_copy(update={"num_trials": 3, "repeats": 2}))
    do(search, run)
    table = measure_front(search, run.model(), load_examples(run), batch_sizes=(1,))
    spoil(table).to_parquet(search.folder / "front.parquet")
    with pytest.raises(UserError, match="front.parquet is damaged"):
        read_front(search)
    assert current_front(search) is None


def test_an_undefined_score_is_nobodys_nearest(run):
    search = open_search(run, "s", SETTINGS)
    do(search, run)
    table = measure_front(search, run.model(), load_examples(run), batch_sizes=(1,)).iloc[:3].copy()
    table["collapsed"] = False
    table["accuracy"] = [0.9, float("nan"), 0.5]
    row, found = cheapest_within(table, metric="accuracy", cost="macs", points=1)
    assert (row["subnet"], found) == (table["subnet"].iloc[2], False)
    table["accuracy"] = [float("nan"), 0.4, 0.5]
    row, found = cheapest_within(table, metric="accuracy", cost="macs", points=1)
    assert (row["subnet"], found) == (table["subnet"].iloc[0], False)
