"""Carrying out a search: propose, measure, keep; any number of processes may."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from dynabert.examples import RunExamples
from dynabert.modeling.models import TaskModel
from dynabert.search.modelled import modelled_latency
from dynabert.search.objectives import Objectives, check_feasible, full_network_ms
from dynabert.search.proposals import Proposer, front
from dynabert.search.search import Search
from dynabert.search.space import Candidate
from dynabert.search.trials import Trial


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A trial is done."""

    trial: Trial
    done: int
    total: int
    front_size: int
    seconds_left: float


def run_search(
    search: Search,
    model: TaskModel,
    examples: RunExamples,
    *,
    on_trial: Callable[[Tried], None] = lambda tried: None,
) -> list[Trial]:
    """Try what has not been tried yet, and return everything that was.

    May be interrupted at any moment: trials that are done stay done, one that was begun is done
    again.

    Raises:
        UserError: nothing in the space is as cheap as the settings ask; tells the nearest miss.
    """
    with search.at_work():
        return _run(search, model, examples, on_trial)


def _run(
    search: Search, model: TaskModel, examples: RunExamples, on_trial: Callable[[Tried], None]
) -> list[Trial]:
    settings = search.settings
    space = settings.space(model.config.shape)
    unit = None
    if settings.cost == "latency":
        unit = search.full_ms(lambda: full_network_ms(model, settings.setup))
    objectives = Objectives(
        model,
        examples.dev,
        metric=search.info.metric,
        cost=settings.cost,
        setup=settings.setup,
        num_examples=settings.num_examples,
        seed=settings.seed,
        full_ms=unit,
        table=modelled_latency(search, model) if settings.cost == "modelled" else None,
    )
    if not search.trials:
        check_feasible(space, settings.cost, objectives.cost_of, settings.at_most)
    proposer = Proposer(space, settings.method, seed=settings.seed, generation=settings.generation)

    too_dear: set[Candidate] = set()  # that only measuring told

    def affordable(candidate: Candidate) -> bool:
        if settings.at_most is None:
            return True
        if candidate in too_dear:
            return False
        cost = objectives.predicted_cost(space.subnet(candidate))
        return cost is None or cost <= settings.at_most

    begun, before = time.monotonic(), len(search.trials)
    while True:
        total = Search.load(search.folder).settings.num_trials  # it may be given more meanwhile
        with search.log.claimed(total) as claim:
            if claim is None:
                return search.trials
            start = time.perf_counter()
            too_dear |= search.log.too_dear()  # also before a kill, and by other workers
            history = [one for one in search.trials if space.holds(one.candidate)]
            others = [
                one
                for one in search.log.under_way()
                if one.number != claim.number
                and one.candidate is not None
                and space.holds(one.candidate)
            ]
            while True:
                proposal = proposer.propose(claim.number, history, others, affordable=affordable)
                if proposal is None:  # nothing is left to try
                    return search.trials
                candidate, origin = proposal
                claim.chosen(candidate)
                subnet = space.subnet(candidate)
                cost = objectives.cost_of(subnet)
                if settings.at_most is None or cost <= settings.at_most:
                    break
                claim.reject(candidate, cost)
                too_dear.add(candidate)
            quality = objectives.quality_of(subnet)
            trial = Trial(
                number=claim.number,
                candidate=candidate,
                subnet=subnet.key,
                origin=origin,
                quality=quality,
                cost=cost,
                seconds=time.perf_counter() - start,
            )
            claim.finish(trial)
        trials = search.trials
        new = len(trials) - before
        each = (time.monotonic() - begun) / max(1, new)
        on_trial(
            Tried(
                trial=trial,
                done=len(trials),
                total=total,
                front_size=len(front(trials)),
                seconds_left=each * (total - len(trials)),
            )
        )
