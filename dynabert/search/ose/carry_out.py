"""Carrying out an extraction over a run's sub-networks, from the space to the report."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from dynabert.analysis.choices import find_row
from dynabert.errors import UserError
from dynabert.evaluation.cost import count_macs
from dynabert.evaluation.latency import LatencySetup, describe_machine, measure_latency
from dynabert.evaluation.latency_table import LatencyTable
from dynabert.evaluation.quality import evaluate
from dynabert.examples import RunExamples
from dynabert.modeling.models import TaskModel
from dynabert.runs import Run
from dynabert.search.modelled import usable_table
from dynabert.search.objectives import UNITS
from dynabert.search.ose.algorithm import Extraction, extract, frozen_winner, in_order, zoom
from dynabert.search.ose.assumptions import (
    Assumptions,
    check_assumptions,
    defined,
    rank_agreement,
)
from dynabert.search.ose.folder import ExtractionFolder
from dynabert.search.ose.objective import (
    MaximumPoint,
    Member,
    check_w_says_something,
    maximum_point,
    saving,
    w_coefficient,
)
from dynabert.search.ose.report import Agreement, Finalist, MemberRow, Outcome, Report
from dynabert.search.ose.settings import SupernetSettings
from dynabert.search.ose.supernet import Calibration, counter, members_of, subnets_of
from dynabert.subnet import Subnet

OnProgress = Callable[[str, int, int], None]


def carry_out(
    folder: ExtractionFolder[SupernetSettings, Report],
    run: Run,
    model: TaskModel,
    examples: RunExamples,
    *,
    command: str = "",
    on_progress: OnProgress = lambda phase, done, total: None,
) -> Report:
    """The report of an extraction, kept in its folder; what was done before is not done again.

    on_progress: called with a phase ("costs", "errors", "dev", "latency"), what is done, and the total.

    Raises:
        UserError: W would be 0 for every member, an epsilon is larger than the space, ...
    """
    return folder.carried_out(
        lambda: _carry_out(folder, run, model, examples, command, on_progress)
    )


def _carry_out(
    folder: ExtractionFolder[SupernetSettings, Report],
    run: Run,
    model: TaskModel,
    examples: RunExamples,
    command: str,
    on_progress: OnProgress,
) -> Report:
    settings = folder.settings
    importance = run.importance if settings.per_layer else None
    subnets = {subnet.key: subnet for subnet in subnets_of(model, settings, importance)}
    members = _members(folder, run, model, [*subnets.values()], on_progress)
    maximum = maximum_point(members, settings.margin)
    check_w_says_something(members, maximum, settings.w_exponents)
    if (most := max(settings.epsilons)) > len(members):
        raise UserError(
            f"epsilon must be from 1 to {len(members)}, the size of the space, got {most}."
        )
    memory = _Errors(folder, Calibration(model, examples.train, settings), subnets, on_progress)
    by_epsilon = _extractions(members, maximum, settings, memory)
    first = by_epsilon[min(by_epsilon)][0]
    outcomes = tuple(_outcome(*pair, by_epsilon) for _, pair in sorted(by_epsilon.items()))
    winners = [name for one in outcomes for name in (one.winner, one.zoomed_winner)]
    attained = _attained_by(members, maximum)
    finalists = _judge(
        run,
        model,
        examples,
        [subnets[key] for key in dict.fromkeys(winners)],
        on_progress,
        settings,
    )
    w_of = {one.member.key: one.w for pair in by_epsilon.values() for x in pair for one in x.tried}
    finalists = tuple(one.model_copy(update={"w": w_of.get(one.key)}) for one in finalists)
    return Report(
        settings=settings,
        command=command,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        machine=describe_machine(model.device),
        metric=run.info.task.metric,
        unit=UNITS[settings.cost],
        num_examples=memory.num_examples,
        maximum_params=maximum.num_params,
        maximum_inference=maximum.inference,
        attained_by=attained,
        members=tuple(_member_rows(members, maximum, settings, memory)),
        outcomes=outcomes,
        agreement=_agreement(check_assumptions(first.tried), finalists, memory),
        finalists=finalists,
        seconds=memory.seconds,
        steps=0,
    )


class _Errors:
    """e of members, each measured once, whatever asks for it."""

    def __init__(
        self,
        folder: ExtractionFolder[SupernetSettings, Report],
        calibration: Calibration,
        subnets: dict[str, Subnet],
        on_progress: OnProgress,
    ) -> None:
        self._folder, self._calibration, self._subnets = folder, calibration, subnets
        self._on_progress = on_progress
        self.known = {key: one for key, one in folder.errors().items() if key in subnets}
        self.wanted = 0  # how many will be measured in all

    def __call__(self, member: Member, hyperparameters: Any = None) -> float:
        if member.key not in self.known:
            start = time.perf_counter()
            error = self._calibration.error_of(self._subnets[member.key])
            seconds = time.perf_counter() - start
            self._folder.keep_error(member.key, error, seconds)
            self.known[member.key] = (error, seconds)
            self._on_progress("errors", len(self.known), max(self.wanted, len(self.known)))
        return self.known[member.key][0]

    def get(self, key: str) -> float | None:
        return self.known[key][0] if key in self.known else None

    @property
    def num_examples(self) -> int:
        return self._calibration.split.num_examples

    @property
    def seconds(self) -> float:
        return sum(seconds for _, seconds in self.known.values())


def _members(
    folder: ExtractionFolder[SupernetSettings, Report],
    run: Run,
    model: TaskModel,
    subnets: list[Subnet],
    on_progress: OnProgress,
) -> list[Member]:
    """The members with their costs: measured once, so that errors are weighed against the same ones."""
    settings, keys = folder.settings, {subnet.key for subnet in subnets}
    members = folder.costs()
    if members is not None and {one.key for one in members} == keys:
        return members
    members = members_of(
        model,
        subnets,
        settings,
        table=_table(run, model, settings),
        on_repeat=lambda done: on_progress("costs", done, settings.repeats),
    )
    folder.keep_costs(members)
    return members


def _table(run: Run, model: TaskModel, settings: SupernetSettings) -> LatencyTable | None:
    if settings.cost != "modelled":
        return None
    return usable_table(run.folder, model, settings.setup)


def _extractions(
    members: Sequence[Member],
    maximum: MaximumPoint,
    settings: SupernetSettings,
    errors: _Errors,
) -> dict[int, tuple[Extraction, Extraction]]:
    """By epsilon, smallest first: what the algorithm found, and what it found around that."""
    places = {place for e in settings.epsilons for place in range(0, len(members), e)}
    errors.wanted = len(places)
    found = {}
    for epsilon in sorted(settings.epsilons):
        plain = extract(
            members, errors, epsilon=epsilon, maximum=maximum, exponents=settings.w_exponents
        )
        found[epsilon] = (plain, zoom(plain, errors))
    return found


def _outcome(
    plain: Extraction, zoomed: Extraction, by_epsilon: dict[int, tuple[Extraction, Extraction]]
) -> Outcome:
    brute = by_epsilon[1][0].winner if 1 in by_epsilon else None
    return Outcome(
        epsilon=plain.epsilon,
        winner=plain.winner.member.key,
        w=plain.winner.w,
        num_tried=len(plain.tried),
        frozen_winner=frozen_winner(plain).key,
        ratio=None if brute is None or brute.w == 0 else plain.winner.w / brute.w,
        zoomed_winner=zoomed.winner.member.key,
        zoomed_w=zoomed.winner.w,
    )


def _attained_by(members: Sequence[Member], maximum: MaximumPoint) -> str | None:
    largest = (maximum.num_params, maximum.inference)
    return next((one.key for one in members if (one.num_params, one.inference) == largest), None)


def _member_rows(
    members: Sequence[Member], maximum: MaximumPoint, settings: SupernetSettings, errors: _Errors
) -> list[MemberRow]:
    rows, exponents = [], settings.w_exponents
    for member in in_order(members):
        error = errors.get(member.key)
        rows.append(
            MemberRow(
                key=member.key,
                num_params=member.num_params,
                inference=member.inference,
                saving=saving(member, maximum, exponents),
                error=error,
                w=None if error is None else w_coefficient(member, error, maximum, exponents),
            )
        )
    return rows


def _judge(
    run: Run,
    model: TaskModel,
    examples: RunExamples,
    winners: Sequence[Subnet],
    on_progress: OnProgress,
    settings: SupernetSettings,
) -> tuple[Finalist, ...]:
    """Winners and the standard sub-networks, on all of dev and by the clock."""
    shape, metric = model.config.shape, run.info.task.metric
    standard = [*run.recipe_grid]
    named = {subnet.resolve(shape): subnet for subnet in (*standard, *winners)}
    results, judged = run.all_results, []
    for number, (resolved, subnet) in enumerate(named.items()):
        on_progress("dev", number, len(named))
        row = _known_row(results, find_row(results, resolved), run)
        if row is None:
            evaluation = evaluate(model, examples.dev, subnet, metrics=(metric,))
            row = {
                metric: evaluation.metrics[metric],
                "loss": evaluation.loss,
                "collapsed": evaluation.collapsed,
            }
        judged.append((subnet, row))
    setup = replace(LatencySetup(tokens=settings.tokens), batch_size=settings.batch_size)
    times = measure_latency(
        model,
        [subnet for subnet, _ in judged],
        setup,
        on_repeat=lambda done: on_progress("latency", done, setup.repeats),
    )
    chosen = {subnet.resolve(shape) for subnet in winners}
    usual = {subnet.resolve(shape) for subnet in standard}
    found = [
        Finalist(
            key=subnet.key,
            is_winner=subnet.resolve(shape) in chosen,
            is_standard=subnet.resolve(shape) in usual,
            score=defined(float(row[metric])),
            collapsed=bool(row["collapsed"]),
            dev_loss=float(row["loss"]),
            num_params=counter(settings.counted)(model, subnet),
            macs=count_macs(model, subnet, settings.tokens),
            latency_ms=time_.median_ms,
            latency_ms_iqr=time_.iqr_ms,
            w=None,
        )
        for (subnet, row), time_ in zip(judged, times, strict=True)
    ]
    return tuple(found)


def _known_row(
    results: pd.DataFrame, row: dict[str, Any] | None, run: Run
) -> dict[str, Any] | None:
    """A row of the run's results, where it is of all of dev."""
    if row is None or "num_examples" not in results:
        return None
    whole = int(row["num_examples"]) == run.info.task.num_dev and not pd.isna(row["loss"])
    return row if whole else None


def _agreement(
    assumptions: Assumptions, finalists: Sequence[Finalist], errors: _Errors
) -> Agreement:
    both = [
        (error, one)
        for one in finalists
        if (error := errors.get(one.key)) is not None and one.score is not None
    ]
    return Agreement(
        params_inference=defined(assumptions.params_inference),
        params_error=defined(assumptions.params_error),
        inference_error=defined(assumptions.inference_error),
        error_dev_loss=defined(rank_agreement([e for e, _ in both], [o.dev_loss for _, o in both])),
        error_dev_metric=defined(
            rank_agreement([e for e, _ in both], [o.score or 0.0 for _, o in both])
        ),
        guarantee_holds=assumptions.guarantee_holds,
        in_words=assumptions.in_words,
    )
