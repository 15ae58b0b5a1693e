"""What to try next, from everything that was tried before."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Literal, get_args

import numpy as np
import optuna

from dynabert.analysis.pareto import pareto_front
from dynabert.search.evolution import nudged, offspring
from dynabert.search.space import Candidate, JointSpace
from dynabert.search.trials import Claim, Trial

Method = Literal["tpe", "gp", "evolution", "random"]
METHODS: tuple[Method, ...] = get_args(Method)

# A generation of the Length-Adaptive Transformer's search, and what its search begins with.
MUTATIONS = 30
CROSSOVERS = 30
POPULATION = 22
_ANCHORS = {"evolution": POPULATION}  # the others begin with fewer, and learn from them
_FEW_ANCHORS = 12
# Of a sampler, for a point that was not tried yet; one question takes a Gaussian process seconds.
_ASKS = {"tpe": 20, "gp": 1}
_GP_TRIALS = 100  # the latest that it learns from: its time grows with their number
_FEW_POINTS = 5000  # that can be gone through one by one

Wanted = Callable[[Candidate], bool]


class Proposer:
    """Proposes points of a space; the same history, number and seed give the same point.

    A proposal depends on nothing but these, so a search that was killed goes on as if it had not
    been.
    """

    def __init__(
        self,
        space: JointSpace,
        method: Method,
        *,
        seed: int,
        generation: tuple[int, int] = (MUTATIONS, CROSSOVERS),
    ) -> None:
        """generation: how many of a generation are mutations and crossovers; of an evolution."""
        self.space, self.method, self.seed, self.generation = space, method, seed, generation
        self.anchors = space.anchors(_ANCHORS.get(method, _FEW_ANCHORS))

    def propose(
        self,
        number: int,
        finished: Sequence[Trial],
        under_way: Sequence[Claim] = (),
        *,
        affordable: Wanted = lambda candidate: True,
    ) -> tuple[Candidate, str] | None:
        """The point of trial `number`, and what proposed it; None where nothing new is left.

        affordable: whether a point is worth trying at all; it is asked before anything is run.
        """
        pending = [claim.candidate for claim in under_way if claim.candidate is not None]
        known = {trial.candidate for trial in finished} | set(pending)

        def wanted(candidate: Candidate) -> bool:
            return candidate not in known and affordable(candidate)

        rng = np.random.default_rng([self.seed, number])
        anchors = [one for one in self.anchors if one in known or affordable(one)]
        if number < len(anchors) and wanted(anchors[number]):
            return anchors[number], "anchor"
        proposal = None
        if finished and number >= len(anchors):
            if self.method == "evolution":
                place = (number - len(anchors)) % sum(self.generation)
                proposal = self._evolved(number, place, finished, wanted, rng)
            elif self.method != "random":
                proposal = self._sampled(finished, pending, wanted, rng)
        return proposal or self._any(finished, wanted, rng)

    def _evolved(
        self,
        number: int,
        place: int,
        finished: Sequence[Trial],
        wanted: Wanted,
        rng: np.random.Generator,
    ) -> tuple[Candidate, str] | None:
        """place: in its generation."""
        # With several workers the end of the generation before may be missing still.
        before = [trial for trial in finished if trial.number < number - place]
        return offspring(
            self.space,
            [trial.candidate for trial in front(before or finished)],
            crossover=place >= self.generation[0],
            wanted=wanted,
            rng=rng,
        )

    def _sampled(
        self,
        finished: Sequence[Trial],
        pending: Sequence[Candidate],
        wanted: Wanted,
        rng: np.random.Generator,
    ) -> tuple[Candidate, str] | None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        for _ in range(_ASKS[self.method]):
            study = self._study(finished, pending, int(rng.integers(2**31)))
            asked = study.ask(dict.fromkeys(self._free, _UNIT))
            candidate = self.space.from_numbers(self._fixed | asked.params)
            if wanted(candidate):
                return candidate, self.method
        # It keeps to what it has seen: the points around that are worth trying, too.
        return offspring(
            self.space,
            [trial.candidate for trial in front(finished)],
            crossover=False,
            wanted=wanted,
            rng=rng,
        )

    def _study(
        self, finished: Sequence[Trial], pending: Sequence[Candidate], seed: int
    ) -> optuna.Study:
        """A study in memory that knows what was tried."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler: optuna.samplers.BaseSampler = (
                optuna.samplers.GPSampler(seed=seed, n_startup_trials=0)
                if self.method == "gp"
                else optuna.samplers.TPESampler(seed=seed, n_startup_trials=0, multivariate=True)
            )
        study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
        if self.method == "gp":
            finished = [*front(finished[:-_GP_TRIALS]), *finished[-_GP_TRIALS:]]
        distributions: dict[str, optuna.distributions.BaseDistribution] = dict.fromkeys(
            self._free, _UNIT
        )
        for candidate, values in (
            *((trial.candidate, [trial.quality, trial.cost]) for trial in finished),
            *((candidate, None) for candidate in pending),
        ):
            state = optuna.trial.TrialState
            study.add_trial(
                optuna.trial.create_trial(
                    params={name: self.space.numbers(candidate)[name] for name in self._free},
                    distributions=distributions,
                    values=values,
                    state=state.RUNNING if values is None else state.COMPLETE,
                )
            )
        return study

    @property
    def _free(self) -> tuple[str, ...]:
        """The numbers in which points of the space differ."""
        return tuple(name for name in self.space.names if name not in self._fixed)

    @property
    def _fixed(self) -> dict[str, float]:
        sizes = {
            "width": len(self.space.grid.width_mults),
            "depth": len(self.space.grid.depth_mults),
        }
        return {name: 0.5 for name, size in sizes.items() if size == 1}

    def _any(
        self, finished: Sequence[Trial], wanted: Wanted, rng: np.random.Generator
    ) -> tuple[Candidate, str] | None:
        """A point at random; where most are not wanted one beside those that were, or any that is left."""
        for _ in range(200):
            candidate = self.space.random(rng)
            if wanted(candidate):
                return candidate, "random"
        known = [self.space.smallest, *(trial.candidate for trial in finished)]
        for _ in range(500):
            candidate = nudged(self.space, known[int(rng.integers(len(known)))], rng)
            if wanted(candidate):
                return candidate, "random"
        if self.space.num_points <= _FEW_POINTS:
            left = next(filter(wanted, self.space.every()), None)
            return None if left is None else (left, "random")
        return None


_UNIT = optuna.distributions.FloatDistribution(0.0, 1.0)


def front(trials: Sequence[Trial]) -> list[Trial]:
    """Those than which no other is both better and cheaper."""
    cost, quality = (
        np.array([getattr(trial, name) for trial in trials], dtype=float)
        for name in ("cost", "quality")
    )
    return [trial for trial, on in zip(trials, pareto_front(cost, quality), strict=True) if on]
