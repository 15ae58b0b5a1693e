"""What is tried next: never twice, never too dear, and the same for the same history."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from dynabert.analysis.pareto import hypervolume
from dynabert.search.proposals import METHODS, Proposer, front
from dynabert.search.space import Candidate, JointSpace, Lengths
from dynabert.search.trials import Claim, Trial
from dynabert.subnet import NetworkShape, SearchSpace

SHAPE = NetworkShape((6,) * 4, (24,) * 4, 4)
LENGTHS = Lengths(unit="shares", fewest=20, most=100)
LENGTHS_ONLY = JointSpace(SHAPE, SearchSpace((1.0,), (1.0,)), LENGTHS)
JOINT = JointSpace(SHAPE, SearchSpace((1.0, 0.5), (1.0, 0.5)), LENGTHS)


def judged(space: JointSpace, number: int, candidate: Candidate, origin: str) -> Trial:
    """A trial whose quality knows what is good: late layers need few tokens, width is worth more."""
    subnet = space.subnet(candidate)
    resolved = subnet.resolve(space.shape)
    left = np.array(resolved.tokens_left(100)) / 100
    worth = np.linspace(1, 0.1, len(left))
    quality = 1 - float(worth @ (1 - left) ** 2) / 10
    quality -= 0.3 * (1 - subnet.width_mult) + 0.05 * (1 - subnet.depth_mult)
    cost = sum(
        heads / 6 * entering + neurons / 24 * leaving
        for heads, neurons, entering, leaving in zip(
            resolved.heads, resolved.neurons, (1.0, *left[:-1]), left, strict=True
        )
    )
    return Trial(
        number=number,
        candidate=candidate,
        subnet=subnet.key,
        origin=origin,
        quality=quality,
        cost=cost,
        seconds=0.0,
    )


def searched(space: JointSpace, proposer: Proposer, count: int, **options) -> list[Trial]:
    trials: list[Trial] = []
    for number in range(count):
        proposal = proposer.propose(number, trials, **options)
        if proposal is None:
            break
        trials.append(judged(space, number, *proposal))
    return trials


@pytest.mark.parametrize("space", [LENGTHS_ONLY, JOINT], ids=["lengths", "joint"])
@pytest.mark.parametrize("method", METHODS)
def test_nothing_invalid_or_known_is_proposed(space, method):
    count = 14 if method == "gp" else 40
    trials = searched(space, Proposer(space, method, seed=3), count)
    assert len({trial.candidate for trial in trials}) == len(trials) == count
    for trial in trials:
        assert space.holds(trial.candidate)
        assert space.canonical(trial.candidate) == trial.candidate
    origins = {trial.origin for trial in trials}
    # Where a sampler asks for what was tried, a neighbour of the best is taken.
    assert origins <= {"anchor", "mutation", method}
    assert {"evolution": "mutation"}.get(method, method) in origins


@pytest.mark.parametrize("method", METHODS)
def test_the_same_history_gives_the_same_proposal(method):
    count = 13 if method == "gp" else 24  # which takes its time
    history = searched(JOINT, Proposer(JOINT, method, seed=1), count)
    again = Proposer(JOINT, method, seed=1).propose(count, history)
    assert again == Proposer(JOINT, method, seed=1).propose(count, list(history))
    if method != "gp":  # whose optimum is one, wherever it begins to look
        assert again != Proposer(JOINT, method, seed=2).propose(count, history)


def test_generations_are_of_the_front_before_them():
    proposer = Proposer(LENGTHS_ONLY, "evolution", seed=0, generation=(6, 4))
    trials = searched(LENGTHS_ONLY, proposer, 22 + 20)
    assert [trial.origin for trial in trials] == (
        ["anchor"] * 22 + (["mutation"] * 6 + ["crossover"] * 4) * 2
    )
    for begin in (22, 32):
        parents = [trial.candidate for trial in front(trials[:begin])]
        between = {
            tuple((a + b + 1) // 2 for a, b in zip(one.lengths, other.lengths, strict=True))
            for one in parents
            for other in parents
        }
        for trial in trials[begin + 6 : begin + 10]:
            assert trial.candidate.lengths in between


@pytest.mark.parametrize("method", ["tpe", "evolution", "random"])
def test_what_costs_too_much_is_not_tried(method):
    limit = judged(JOINT, 0, JOINT.largest, "").cost / 2

    def affordable(candidate: Candidate) -> bool:
        return judged(JOINT, 0, candidate, "").cost <= limit

    trials = searched(JOINT, Proposer(JOINT, method, seed=0), 40, affordable=affordable)
    assert len(trials) == 40
    assert max(trial.cost for trial in trials) <= limit


@pytest.mark.parametrize("method", ["tpe", "evolution", "random"])
def test_a_tight_budget_is_used_to_its_end(method):
    smallest = judged(JOINT, 0, JOINT.smallest, "").cost

    def affordable(candidate: Candidate) -> bool:
        return judged(JOINT, 0, candidate, "").cost <= 1.05 * smallest

    trials = searched(JOINT, Proposer(JOINT, method, seed=0), 100, affordable=affordable)
    # Wider or deeper ones all cost more.
    counts = itertools.combinations_with_replacement(range(100, 19, -1), 2)
    possible = {one for pair in counts if affordable(one := JOINT.with_running(1, 1, pair))}
    assert len(possible) > 5
    assert {trial.candidate for trial in trials} == possible
    assert trials[0].candidate == JOINT.smallest
    assert max(trial.cost for trial in trials) <= 1.05 * smallest


@pytest.mark.parametrize("method", METHODS)
def test_what_others_are_at_work_on_is_not_proposed(method):
    proposer = Proposer(LENGTHS_ONLY, method, seed=0)
    count = 13 if method == "gp" else 23
    history = searched(LENGTHS_ONLY, proposer, count)
    first = proposer.propose(count, history)
    others = [Claim(number=count, candidate=first[0]), Claim(number=count + 1)]
    assert proposer.propose(count, history, others)[0] != first[0]


@pytest.mark.parametrize("method", METHODS)
def test_a_small_space_is_tried_to_its_end(method):
    space = JointSpace(SHAPE, SearchSpace((1.0, 0.5, 0.25), (1.0, 0.5)))
    trials = searched(space, Proposer(space, method, seed=0), 100)
    assert len(trials) == space.num_points == 6


def area(trials: list[Trial]) -> float:
    return hypervolume(
        np.array([trial.cost for trial in trials]),
        np.array([trial.quality for trial in trials]),
        most_cost=8.0,
        least_quality=0.6,
    )


def test_learning_from_trials_beats_chance():
    means = {
        method: np.mean(
            [area(searched(JOINT, Proposer(JOINT, method, seed=seed), 60)) for seed in range(3)]
        )
        for method in ("tpe", "random")
    }
    assert means["tpe"] > means["random"] + 0.01


def test_an_evolution_improves_on_what_it_begins_with():
    trials = searched(LENGTHS_ONLY, Proposer(LENGTHS_ONLY, "evolution", seed=0), 22 + 60)
    assert area(trials) > area(trials[:22]) + 0.02


def test_a_front_holds_what_no_other_beats():
    trials = [
        judged(JOINT, number, candidate, "") for number, candidate in enumerate(JOINT.anchors(12))
    ]
    kept = {trial.number for trial in front(trials)}
    for one in trials:
        beaten = any(
            other.cost <= one.cost
            and other.quality >= one.quality
            and (other.cost, other.quality) != (one.cost, one.quality)
            for other in trials
        )
        assert (one.number in kept) == (not beaten)


def test_hypervolume_is_the_area_that_is_dominated():
    cost, quality = np.array([1.0, 2.0, 3.0, 2.5]), np.array([0.2, 0.6, 0.9, 0.5])
    # Up to cost 4 and down to 0.1: 3 * 0.1, then 2 * 0.4, then 1 * 0.3; the last is dominated.
    area = hypervolume(cost, quality, most_cost=4.0, least_quality=0.1)
    assert area == pytest.approx(0.3 + 0.8 + 0.3)
    assert hypervolume(cost, quality, most_cost=1.0, least_quality=0.1) == 0
    assert hypervolume(cost, quality, most_cost=4.0, least_quality=0.9) == 0
    rng = np.random.default_rng(0)
    cost, quality = rng.random(20), rng.random(20)
    grid = (np.arange(400) + 0.5) / 400
    dominated = (cost[:, None, None] <= grid[:, None]) & (quality[:, None, None] >= grid[None])
    counted = dominated.any(axis=0).mean()
    assert hypervolume(cost, quality, most_cost=1, least_quality=0) == pytest.approx(
        counted, abs=5e-3
    )
