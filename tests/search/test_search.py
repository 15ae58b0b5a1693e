"""A whole search on a small run: interrupted, resumed, listed."""

from __future__ import annotations

import json

import pytest
from small_search import SETTINGS, do

from dynabert.data.encoding import drawn_rows
from dynabert.errors import UserError
from dynabert.evaluation import LatencySetup, count_macs, evaluate
from dynabert.evaluation.latency import Latency
from dynabert.examples import load_examples
from dynabert.runs import Run
from dynabert.search.front import read_front
from dynabert.search.objectives import Objectives
from dynabert.search.search import Search, damaged_searches, list_searches, open_search
from dynabert.subnet import FULL, Subnet

pytest_plugins = ["searched_run"]


def without_times(trials):
    return [trial.model_copy(update={"seconds": 0.0}) for trial in trials]


def test_trials_say_what_measuring_says(run):
    trials = do(open_search(run, "s", SETTINGS), run)
    assert [trial.number for trial in trials] == [*range(18)]
    model, dev = run.model(), load_examples(run).dev
    part = dev.select(drawn_rows(12, 8, 5))
    for trial in trials[::5]:
        subnet = Subnet.parse(trial.subnet)
        assert (
            trial.quality
            == evaluate(model, part, subnet, metrics=("accuracy",)).metrics["accuracy"]
        )
        assert trial.cost == count_macs(model, subnet, 12)


@pytest.mark.parametrize("method", ["tpe", "evolution", "random"])
def test_a_search_that_was_cut_off_goes_on_as_if_it_had_not_been(run, tmp_path, method):
    settings = SETTINGS.model_copy(update={"method": method, "num_trials": 26})
    whole = do(open_search(run, "whole", settings), run)
    search = open_search(run, "cut", settings)

    def stop(tried):
        if tried.done in (3, 15, 24):
            raise KeyboardInterrupt

    for done in (3, 15, 24):
        with pytest.raises(KeyboardInterrupt):
            do(open_search(run, "cut", settings), run, on_trial=stop)
        assert len(search.trials) == done
    told = []
    trials = do(open_search(run, "cut", settings), run, on_trial=told.append)
    assert [(tried.done, tried.total) for tried in told] == [(25, 26), (26, 26)]
    assert without_times(trials) == without_times(whole)


def test_more_trials_continue_a_search_and_other_settings_do_not(run):
    search = open_search(run, "s", SETTINGS, command="first")
    first = do(search, run)
    assert open_search(run, "s", SETTINGS, command="the same").info.command == "first"
    more = SETTINGS.model_copy(update={"num_trials": 20})
    more = open_search(run, "s", more, command="for 20")
    assert more.info.command == "for 20"  # the first would not go on to them
    trials = do(more, run)
    assert trials[:18] == first
    assert len(trials) == 20
    with pytest.raises(UserError, match=r"other settings \(seed: 5, now 6\); .* another name"):
        open_search(run, "s", SETTINGS.model_copy(update={"seed": 6}))
    assert Search.load(more.folder).settings.num_trials == 20


def test_a_budget_that_nothing_fits_tells_the_nearest_miss(run):
    settings = SETTINGS.model_copy(update={"at_most": 1000.0})
    with pytest.raises(UserError, match=r"at most 1,000 MACs: .*w0.50-d0.50-r0.24_0.24, costs"):
        open_search(run, "s", settings)
    assert list_searches(run) == []
    smallest = count_macs(run.config, Subnet(0.5, 0.5, (0.24, 0.24)), 12)
    settings = SETTINGS.model_copy(update={"at_most": smallest * 2.0, "num_trials": 10})
    trials = do(open_search(run, "s", settings), run)
    assert len(trials) == 10
    assert max(trial.cost for trial in trials) <= smallest * 2


def test_a_small_space_ends_before_its_trials(run):
    settings = SETTINGS.model_copy(update={"lengths": None})
    trials = do(open_search(run, "s", settings), run)
    assert {trial.subnet for trial in trials} == {
        f"w{w}-d{d}" for w in ("1.00", "0.50") for d in ("1.00", "0.50")
    }
    assert do(open_search(run, "s", settings), run) == trials


def test_a_damaged_one_is_told_and_left_out(run):
    good = open_search(run, "good", SETTINGS)
    bad = open_search(run, "bad", SETTINGS).folder / "search.json"
    bad.write_text('{"settings": 3')
    (good.folder.parent / "empty").mkdir()
    assert [one.name for one in list_searches(run)] == ["good"]
    (reason,) = damaged_searches(run)
    assert str(bad.parent) in reason
    assert "search.json" in reason


def test_latency_is_measured(run):
    judge = Objectives(
        run.model(),
        load_examples(run).dev,
        metric="accuracy",
        cost="latency",
        setup=LatencySetup(tokens=12, repeats=3),
        num_examples=None,
        seed=0,
    )
    assert judge.split.num_examples == 12
    assert judge.predicted_cost(FULL) is None
    assert 0 < judge.full_ms < float("inf")
    assert 0 < judge.cost_of(Subnet(0.5, 0.5)) < float("inf")


def test_all_processes_of_a_search_tell_latency_in_one_unit(run, monkeypatch):
    search = open_search(run, "s", SETTINGS)
    assert search.full_ms(lambda: 5.0) == 5.0
    assert Search.load(search.folder).full_ms(lambda: 10.0) == 5.0
    model, dev, small = run.model(), load_examples(run).dev, Subnet(0.5, 0.5)
    for slowness in (1.0, 7.0):  # of this process's moment
        real = {FULL: 3.0 * slowness, small: 1.2 * slowness}

        def measure(model, subnets, setup, real=real):
            return [Latency(median_ms=real[subnet], iqr_ms=0.1) for subnet in subnets]

        monkeypatch.setattr("dynabert.search.objectives.measure_latency", measure)
        judge = Objectives(
            model,
            dev,
            metric="accuracy",
            cost="latency",
            setup=LatencySetup(tokens=12),
            num_examples=None,
            seed=0,
            full_ms=search.full_ms(lambda: 10.0),
        )
        assert judge.cost_of(FULL) == pytest.approx(5)
        assert judge.cost_of(small) == pytest.approx(2)
    (search.folder / "full_network_ms").write_text("-1")
    with pytest.raises(UserError, match="full_network_ms is damaged"):
        search.full_ms(lambda: 5.0)


def test_what_is_timed_too_slow_is_not_tried(run, monkeypatch):
    timed = []

    def cost_of(self, subnet):  # an exact clock
        timed.append(subnet.key)
        return float(count_macs(self.model, subnet, 12))

    monkeypatch.setattr(Objectives, "cost_of", cost_of)
    limit = 0.6 * count_macs(run.config, FULL, 12)
    settings = SETTINGS.model_copy(update={"cost": "latency", "at_most": limit, "num_trials": 12})
    trials = do(open_search(run, "s", settings), run)
    assert len(trials) == 12
    assert max(trial.cost for trial in trials) <= limit
    rejected = set(timed) - {trial.subnet for trial in trials}
    assert rejected
    # Who goes on with the search, or helps with it, does not time them again.
    timed.clear()
    more = settings.model_copy(update={"num_trials": 18})
    assert len(do(open_search(run, "s", more), run)) == 18
    assert timed
    assert not rejected & set(timed)


@pytest.mark.parametrize("place", ["claims/0", "trials.jsonl", "."])
def test_a_link_to_elsewhere_is_refused(run, tmp_path, place):
    search = open_search(run, "s", SETTINGS)
    (search.folder / "claims").mkdir()
    victim = tmp_path / "victim"
    if place == ".":
        search.folder.rename(victim)
        search.folder.symlink_to(victim)
    else:
        victim.write_text("mine")
        (search.folder / place).symlink_to(victim)
    with pytest.raises(UserError, match="is a link to elsewhere"):
        open_search(run, "s", SETTINGS)
    assert list_searches(run) == []


def test_a_latency_search_counts_milliseconds(run):
    settings = SETTINGS.model_copy(update={"cost": "latency", "repeats": 2, "num_trials": 3})
    trials = do(open_search(run, "s", settings), run)
    assert all(0.01 < trial.cost < 5000 for trial in trials)
    settings = settings.model_copy(update={"at_most": 1e-6})
    with pytest.raises(UserError, match="at most 1e-06 ms"):
        do(open_search(run, "t", settings), run)
    before = (run.folder / "searches" / "t" / "full_network_ms").read_text()
    rejected = run.folder / "searches" / "t" / "too_dear.jsonl"
    rejected.write_text('{"candidate": [0], "cost": 1.0}\n')  # of these settings alone
    # It has tried nothing: its name is free for what the message advises, and for other sizes of a pass.
    settings = settings.model_copy(update={"at_most": 5000.0, "batch_size": 9})
    assert len(do(open_search(run, "t", settings), run)) == 3
    assert (run.folder / "searches" / "t" / "full_network_ms").read_text() != before
    assert not rejected.exists()


def test_lengths_may_be_counts(run):
    settings = SETTINGS.model_copy(update={"lengths": "tokens", "fewest": 3, "num_trials": 14})
    trials = do(open_search(run, "s", settings), run)
    dropped = [Subnet.parse(trial.subnet).length_config for trial in trials]
    assert any(dropped)
    for config in filter(None, dropped):
        assert not config.is_relative
        assert 3 <= min(config.entries) <= max(config.entries) <= 12


def test_searches_are_listed_and_damage_is_told(run, tmp_path):
    assert list_searches(run) == []
    open_search(run, "b", SETTINGS)
    second = open_search(run, "a", SETTINGS)
    (second.folder.parent / "c").mkdir()
    assert [search.name for search in list_searches(run)] == ["a", "b"]
    assert not second.is_under_way
    path = second.folder / "search.json"
    values = json.loads(path.read_text())
    values["settings"]["seed"] = -1
    path.write_text(json.dumps(values))
    assert [search.name for search in list_searches(run)] == ["b"]
    with pytest.raises(UserError, match=r"search.json: settings.seed: .* \(got -1\)"):
        Search.load(second.folder)
    with pytest.raises(UserError, match="is not a search"):
        Search.load(tmp_path / "none")
    measured = open_search(run, "b", SETTINGS)
    (measured.folder / "front.parquet").write_bytes(b"no table")
    with pytest.raises(UserError, match="front.parquet is damaged"):
        read_front(measured)


@pytest.mark.parametrize("name", ["../up", ".hidden", "a/b", ""])
def test_a_name_cannot_leave_the_run(run, name):
    with pytest.raises(UserError, match="cannot name a search"):
        open_search(run, name, SETTINGS)


def test_a_run_with_searches_is_still_that_run(run):
    do(open_search(run, "s", SETTINGS.model_copy(update={"num_trials": 2})), run)
    assert Run.load(run.folder).results.equals(run.results)
