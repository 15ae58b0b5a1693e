"""Carrying out OSE over plain architectures: rounds of short trainings, from the space to the report."""

from __future__ import annotations

import datetime
import math
import time
from collections.abc import Callable, Sequence

import torch

from dynabert.errors import UserError
from dynabert.evaluation.cost import count_macs
from dynabert.evaluation.latency import describe_machine, random_ids, time_in_turn
from dynabert.evaluation.quality import evaluate
from dynabert.examples import RunExamples
from dynabert.modeling.architecture import Architecture
from dynabert.modeling.heads import ClassificationHead
from dynabert.modeling.models import TaskModel
from dynabert.modeling.reduction import check_can_be_cut, new_student
from dynabert.runs import Run
from dynabert.search.objectives import UNITS
from dynabert.search.ose.algorithm import Extraction, Tried, best, extract, frozen_winner
from dynabert.search.ose.assumptions import check_assumptions, defined, rank_agreement
from dynabert.search.ose.carry_out import OnProgress
from dynabert.search.ose.folder import ExtractionFolder
from dynabert.search.ose.objective import MaximumPoint, Member, maximum_point, saving
from dynabert.search.ose.plain_report import PlainMember, PlainReport, Round, TriedArchitecture
from dynabert.search.ose.plain_settings import PlainSettings
from dynabert.search.ose.short_training import ShortTraining
from dynabert.subnet import FULL

_AT_ONCE = 8  # networks in memory while latency is measured


def carry_out_plain(
    folder: ExtractionFolder[PlainSettings, PlainReport],
    run: Run,
    model: TaskModel,
    examples: RunExamples,
    *,
    command: str = "",
    on_progress: OnProgress = lambda phase, done, total: None,
) -> PlainReport:
    """The report of an extraction, kept in its folder; trainings that were done are not done again.

    model: the run's network: the teacher, and where students are cut from.
    on_progress: called with a phase ("costs", "round 1 of 3", ..., "dev"), what is done, and the total.

    Raises:
        UserError: W would be 0 for every architecture, one is larger than what it would be cut from, ...
    """
    return folder.carried_out(
        lambda: _carry_out(folder, run, model, examples, command, on_progress)
    )


def _carry_out(
    folder: ExtractionFolder[PlainSettings, PlainReport],
    run: Run,
    model: TaskModel,
    examples: RunExamples,
    command: str,
    on_progress: OnProgress,
) -> PlainReport:
    settings = folder.settings
    if settings.start == "teacher":
        for architecture in settings.space:
            check_can_be_cut(model.config, architecture)
    members = _members(folder, model, on_progress)
    if settings.epsilon > len(members):
        raise UserError(
            f"epsilon must be from 1 to {len(members)}, the size of the space, got {settings.epsilon}."
        )
    maximum = maximum_point(members, settings.margin)
    training = ShortTraining(model, examples.train, settings)
    rounds: list[tuple[int, Extraction, float]] = []
    errors = _Errors(folder, training)
    survivors: Sequence[Member] = members
    for number, steps in enumerate(settings.steps):
        epsilon = settings.epsilon if number == 0 else 1
        phase = f"round {number + 1} of {len(settings.steps)}"
        found = extract(
            survivors,
            errors.after(steps),
            epsilon=epsilon,
            maximum=maximum,
            exponents=settings.w_exponents,
            hyperparameters=settings.learning_rates or (None,),
            on_tried=_telling(on_progress, phase),
        )
        rounds.append((steps, found, errors.seconds_of(steps)))
        ranked = sorted(
            (best(of) for of in _by_member(found.tried).values()), key=lambda one: -one.w
        )
        going_on = max(1, math.ceil(settings.going_on * len(ranked)))
        survivors = [one.member for one in ranked[:going_on]]
    judged = _judge(run, examples, training, rounds, on_progress)
    return PlainReport(
        settings=settings,
        command=command,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        machine=describe_machine(model.device),
        metric=run.info.task.metric,
        unit=UNITS[settings.cost],
        maximum_params=maximum.num_params,
        maximum_inference=maximum.inference,
        members=tuple(_member_rows(members, maximum, settings)),
        rounds=_round_rows(rounds, settings, judged),
    )


class _Errors:
    """e of architectures after some steps, each measured once."""

    def __init__(
        self, folder: ExtractionFolder[PlainSettings, PlainReport], training: ShortTraining
    ) -> None:
        self._folder, self._training = folder, training
        self.known = folder.errors()

    def after(self, steps: int) -> Callable[[Member, float | None], float]:
        def error_of(member: Member, rate: float | None) -> float:
            architecture = Architecture.parse(member.key)
            (chosen,) = (rate,) if rate else self._training.settings.rates_of(architecture.hidden)
            name = f"{member.key} steps={steps} rate={chosen!r}"
            if name not in self.known:
                start = time.perf_counter()
                error = self._training.error_of(architecture, chosen, steps)
                seconds = time.perf_counter() - start
                self._folder.keep_error(name, error, seconds)
                self.known[name] = (error, seconds)
            return self.known[name][0]

        return error_of

    def seconds_of(self, steps: int) -> float:
        return sum(one for name, (_, one) in self.known.items() if f" steps={steps} " in name)


def _members(
    folder: ExtractionFolder[PlainSettings, PlainReport],
    model: TaskModel,
    on_progress: OnProgress,
) -> list[Member]:
    settings, architectures = folder.settings, [*folder.settings.space]
    members = folder.costs()
    if members is not None and {one.key for one in members} == {a.key for a in architectures}:
        return members
    dense = isinstance(model.head, ClassificationHead)
    outputs = model.head.output.out_features
    if settings.cost == "macs":
        costs = [
            float(count_macs(one.config(model.config), FULL, settings.tokens))
            for one in architectures
        ]
    else:
        costs = measure_architectures(model, architectures, settings, on_progress)
    members = [
        Member(
            key=one.key,
            num_params=one.num_params(model.config, outputs=outputs, dense=dense),
            inference=cost,
        )
        for one, cost in zip(architectures, costs, strict=True)
    ]
    folder.keep_costs(members)
    return members


def measure_architectures(
    like: TaskModel,
    architectures: Sequence[Architecture],
    settings: PlainSettings,
    on_progress: OnProgress = lambda phase, done, total: None,
) -> list[float]:
    """Median milliseconds of a pass of each, one text of `tokens` tokens; random weights take as long.

    A few are timed in turn with the first of all, and told in units of its time, so that a slow moment of
    the machine falls on all of them alike.
    """
    setup = settings
    generator = torch.Generator().manual_seed(setup.seed)
    first = new_student(like, architectures[0], setup.seed).eval()
    inputs = random_ids(first, 1, setup.tokens, generator)
    units: list[float] = []
    ratios = [1.0]
    for begin in range(1, max(2, len(architectures)), _AT_ONCE):
        some = [
            new_student(like, one, setup.seed).eval()
            for one in architectures[begin : begin + _AT_ONCE]
        ]
        calls = [lambda model=model: model(input_ids=inputs) for model in (first, *some)]
        times = time_in_turn(first, calls, repeats=setup.repeats, warm_up=3, generator=generator)
        medians = [float(value) for value in torch.from_numpy(times).median(dim=0).values]
        units.append(medians[0])
        ratios += [one / medians[0] for one in medians[1:]]
        on_progress("costs", min(begin + _AT_ONCE, len(architectures)), len(architectures))
    unit = float(torch.tensor(units).median())
    return [ratio * unit for ratio in ratios]


def _telling(on_progress: OnProgress, phase: str) -> Callable[[Tried, int, int], None]:
    return lambda tried, done, total: on_progress(phase, done, total)


def _by_member(tried: Sequence[Tried]) -> dict[str, list[Tried]]:
    found: dict[str, list[Tried]] = {}
    for one in tried:
        found.setdefault(one.member.key, []).append(one)
    return found


def _judge(
    run: Run,
    examples: RunExamples,
    training: ShortTraining,
    rounds: Sequence[tuple[int, Extraction, float]],
    on_progress: OnProgress,
) -> list[tuple[float | None, bool]]:
    """The winner of each round on all of dev, after the steps of that round; whether it has collapsed."""
    metric, judged = run.info.task.metric, []
    for number, (steps, found, _) in enumerate(rounds):
        on_progress("dev", number, len(rounds))
        architecture = Architecture.parse(found.winner.member.key)
        student = training.trained(architecture, _rate_of(found.winner, training.settings), steps)
        score, collapsed = math.nan, False
        if student is not None:
            evaluation = evaluate(student, examples.dev, FULL, metrics=(metric,))
            score, collapsed = evaluation.metrics[metric], evaluation.collapsed
        judged.append((defined(score), collapsed))
    return judged


def _rate_of(tried: Tried, settings: PlainSettings) -> float:
    hidden = Architecture.parse(tried.member.key).hidden
    return tried.hyperparameters or settings.rates_of(hidden)[0]


def _member_rows(
    members: Sequence[Member], maximum: MaximumPoint, settings: PlainSettings
) -> list[PlainMember]:
    ordered = sorted(members, key=lambda one: (one.num_params, one.inference, one.key))
    return [
        PlainMember(
            key=one.key,
            num_params=one.num_params,
            inference=one.inference,
            saving=saving(one, maximum, settings.w_exponents),
        )
        for one in ordered
    ]


def _round_rows(
    rounds: Sequence[tuple[int, Extraction, float]],
    settings: PlainSettings,
    judged: Sequence[tuple[float | None, bool]],
) -> tuple[Round, ...]:
    rows: list[Round] = []
    for (steps, found, seconds), (score, collapsed) in zip(rounds, judged, strict=True):
        chosen = [best(of) for of in _by_member(found.tried).values()]
        assumed = check_assumptions(chosen)
        tried = tuple(
            TriedArchitecture(
                key=one.member.key,
                learning_rate=_rate_of(one, settings),
                error=one.error,
                w=one.w,
            )
            for one in chosen
        )
        earlier = {one.key: one for one in rows[-1].tried} if rows else {}
        both = [(earlier[one.key], one) for one in tried if one.key in earlier]
        rows.append(
            Round(
                steps=steps,
                tried=tried,
                winner=found.winner.member.key,
                w=found.winner.w,
                frozen_winner=frozen_winner(found).key,
                params_inference=defined(assumed.params_inference),
                params_error=defined(assumed.params_error),
                error_before=defined(
                    rank_agreement([a.error for a, _ in both], [b.error for _, b in both])
                ),
                w_before=defined(rank_agreement([a.w for a, _ in both], [b.w for _, b in both])),
                dev_score=score,
                collapsed=collapsed,
                seconds=seconds,
            )
        )
    return tuple(rows)
