"""OSE over plain architectures on a small run: short trainings, rounds, resumption."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest
import torch
from torch.nn import functional

from dynabert.data.encoding import drawn_rows
from dynabert.errors import UserError
from dynabert.evaluation import count_macs, evaluate
from dynabert.examples import load_examples
from dynabert.modeling.architecture import Architecture
from dynabert.modeling.reduction import cut_student, new_student
from dynabert.search.ose import MaximumPoint, Member, w_coefficient
from dynabert.search.ose.folder import PLAIN, load_extraction, open_extraction
from dynabert.search.ose.plain import carry_out_plain
from dynabert.search.ose.plain_report import Round, TriedArchitecture
from dynabert.search.ose.plain_settings import ask_plain
from dynabert.search.ose.short_training import DIVERGED, ShortTraining, clip_weights_
from dynabert.subnet import FULL
from dynabert.training.seeds import seed_from

pytest_plugins = ["searched_run"]


def settings_of(**changes):
    values = {
        "layers": (1, 2),
        "heads": (2, 6),
        "hiddens": (12, 48),
        "neurons": (20,),
        "steps": (1, 3),
        "going_on": 0.5,
        "batch_size": 4,
        "tokens": 8,
        "num_examples": 6,
        "repeats": 2,
        "seed": 2,
    }
    return ask_plain(**(values | changes))


def carried_out(run, name="p", **changes):
    folder = open_extraction(run, name, settings_of(**changes), PLAIN)
    return carry_out_plain(folder, run, run.model(), load_examples(run))


def training_of(run, **changes):
    return ShortTraining(run.model(), load_examples(run).train, settings_of(**changes))


def test_errors_are_of_examples_that_no_student_learns_from(run):
    training = training_of(run)
    drawn = drawn_rows(16, None, 2)
    assert training.judged.labels.tolist() == training_labels(run, drawn[:6])
    assert training.learnt.labels.tolist() == training_labels(run, drawn[6:])
    with pytest.raises(UserError, match="16 training examples are too few for 14 .* batch of 4"):
        training_of(run, num_examples=14)


def training_labels(run, rows):
    return load_examples(run).train.labels[rows].tolist()


@pytest.mark.parametrize("weights", [(1.0, 0.0), (0.0, 1.0), (0.5, 2.0)])
def test_a_step_is_stochastic_gradient_descent_on_labels_and_answers(run, weights):
    labels, prediction = weights
    training = training_of(run, optimizer="sgd", labels=labels, prediction=prediction, steps=(2,))
    training.precision = "fp32"
    architecture, teacher = Architecture(2, 6, 48, 20), run.model()
    found = training.trained(architecture, rate=0.1, steps=2)
    expected = cut_student(teacher, architecture).train()
    for step in range(2):
        batch = training.learnt.batch(training._batches[step])
        wanted = batch.pop("labels")
        torch.manual_seed(seed_from(2, step))
        logits = expected(**batch).logits
        with torch.no_grad():
            taught = teacher(**batch).logits.softmax(-1)
        loss = labels * functional.cross_entropy(logits, wanted)
        loss = loss - prediction * (taught * logits.log_softmax(-1)).sum(-1).mean()
        expected.zero_grad()
        loss.backward()
        with torch.no_grad():
            for parameter in expected.parameters():
                parameter -= 0.1 * parameter.grad
    for ours, theirs in zip(found.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
    error = training.error_of(architecture, 0.1, 2)
    reference = evaluate(expected.eval(), training.judged, FULL, metrics=()).loss
    assert error == pytest.approx(reference, rel=1e-4)


def test_weights_stay_within_their_bound(run):
    training = training_of(run, clip=0.05, steps=(2,))
    student = training.trained(Architecture(1, 6, 48, 20), rate=0.1, steps=2)
    largest = max(float(parameter.detach().abs().max()) for parameter in student.parameters())
    assert largest == pytest.approx(0.05)
    free = training_of(run, steps=(2,)).trained(Architecture(1, 6, 48, 20), rate=0.1, steps=2)
    assert max(float(p.detach().abs().max()) for p in free.parameters()) > 0.05
    before = [parameter.detach().clone() for parameter in free.parameters()]
    clip_weights_(free, None)
    assert all(torch.equal(a, b) for a, b in zip(before, free.parameters(), strict=True))


def test_a_student_that_diverges_has_the_largest_error_and_stops_nothing(run):
    training = training_of(run, optimizer="sgd", steps=(3,))
    assert training.error_of(Architecture(1, 6, 48, 20), 1e30, 3) == DIVERGED
    report = carried_out(run, optimizer="sgd", learning_rates=(1e30, 0.01), steps=(3,))
    assert {one.learning_rate for one in report.rounds[0].tried} == {0.01}


def test_students_from_scratch_begin_with_random_weights_of_the_seed(run):
    training = training_of(run, start="scratch", steps=(1,))
    architecture = Architecture(1, 6, 48, 20)
    # A rate so small that nothing moves.
    student = training.trained(architecture, rate=1e-30, steps=1)
    new = new_student(run.model(), architecture, seed=2)
    for ours, theirs in zip(student.parameters(), new.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_the_same_settings_give_the_same_errors_whatever_was_trained_before(run):
    one, other = training_of(run), training_of(run)
    architecture = Architecture(2, 2, 12, 20)
    other.error_of(Architecture(1, 6, 48, 20), 1e-3, 3)
    torch.manual_seed(99)
    assert one.error_of(architecture, 1e-3, 3) == other.error_of(architecture, 1e-3, 3)


def test_rounds_are_the_algorithm_over_the_better_half_of_the_one_before(run):
    report = carried_out(run)
    model, training = run.model(), training_of(run)
    space = [Architecture(d, a, h, 20) for d in (1, 2) for a in (2, 6) for h in (12, 48)]
    assert {one.key for one in report.members} == {one.key for one in space}
    members = {}
    for row in report.members:
        architecture = Architecture.parse(row.key)
        student = new_student(model, architecture, seed=0)
        assert row.num_params == sum(parameter.numel() for parameter in student.parameters())
        assert row.inference == count_macs(student, FULL, 8)
        members[row.key] = Member(key=row.key, num_params=row.num_params, inference=row.inference)
    maximum = MaximumPoint(
        num_params=max(one.num_params for one in members.values()),
        inference=max(one.inference for one in members.values()),
    )
    wanted = set(members)
    for one, steps in zip(report.rounds, (1, 3), strict=True):
        assert one.steps == steps
        assert {tried.key for tried in one.tried} == wanted
        ws = {}
        for tried in one.tried:
            architecture = Architecture.parse(tried.key)
            rate = min(3e-4, 2e-5 * (768 / architecture.hidden) ** 2)
            assert tried.learning_rate == pytest.approx(rate)
            assert tried.error == training.error_of(architecture, tried.learning_rate, steps)
            ws[tried.key] = w_coefficient(members[tried.key], tried.error, maximum)
            assert tried.w == pytest.approx(ws[tried.key])
        assert one.winner == max(ws, key=ws.get)
        student = training.trained(
            Architecture.parse(one.winner), one.of(one.winner).learning_rate, steps
        )
        dev = evaluate(student, load_examples(run).dev, FULL, metrics=("accuracy",))
        assert one.dev_score == dev.metrics["accuracy"]
        assert one.collapsed == dev.collapsed
        wanted = set(sorted(ws, key=ws.get, reverse=True)[: math.ceil(len(ws) / 2)])
    assert report.rounds[0].error_before is None
    assert -1 <= report.rounds[1].w_before <= 1


@pytest.mark.parametrize(
    ("errors", "alike"),
    [((0.5, 0.5049, 0.502), True), ((0.5, 0.5051, 0.502), False), ((0.5,), False)],
)
def test_errors_within_a_hundredth_are_alike(errors, alike):
    tried = tuple(
        TriedArchitecture(key=f"{layers}-2-12-20", learning_rate=1e-4, error=error, w=0.1)
        for layers, error in enumerate(errors, 1)
    )
    unknown = dict.fromkeys(
        ("params_inference", "params_error", "error_before", "w_before", "dev_score")
    )
    one = Round(
        steps=3,
        tried=tried,
        winner="1-2-12-20",
        w=0.1,
        frozen_winner="1-2-12-20",
        seconds=1.0,
        **unknown,
    )
    assert one.error_range == (0.5, max(errors))
    assert one.errors_are_alike == alike


def test_epsilon_leaves_architectures_out_of_all_rounds(run):
    report = carried_out(run, epsilon=3, going_on=1.0)
    order = [one.key for one in report.members]
    for one in report.rounds:
        assert [tried.key for tried in one.tried] == order[::3]


def test_what_is_larger_than_the_teacher_is_refused_before_anything_is_trained(run):
    folder = open_extraction(run, "large", settings_of(hiddens=(12, 96)), PLAIN)
    with pytest.raises(
        UserError, match="96 hidden dimensions, and the network it would be cut from"
    ):
        carry_out_plain(folder, run, run.model(), load_examples(run))
    assert not folder.errors()
    assert folder.costs() is None


def test_an_extraction_that_was_cut_off_goes_on(run):
    whole = carried_out(run, "whole")
    folder = open_extraction(run, "cut", settings_of(), PLAIN)
    told = []

    def stop(phase, done, total):
        assert folder.is_under_way
        told.append((phase, done, total))
        if (phase, done) == ("round 2 of 2", 2):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carry_out_plain(folder, run, run.model(), load_examples(run), on_progress=stop)
    assert told == [
        *(("round 1 of 2", done, 8) for done in range(1, 9)),
        ("round 2 of 2", 1, 4),
        ("round 2 of 2", 2, 4),
    ]
    assert len(folder.errors()) == 10
    folder = open_extraction(run, "cut", settings_of(), PLAIN)
    report = carry_out_plain(folder, run, run.model(), load_examples(run))
    assert len(folder.errors()) == 12

    def without_seconds(one):
        return [round_.model_copy(update={"seconds": 0.0}) for round_ in one.rounds]

    assert without_seconds(report) == without_seconds(whole)
    assert carry_out_plain(folder, run, None, None) == report
    with pytest.raises(UserError, match=r"other settings \(seed: 2, now 3\)"):
        open_extraction(run, "cut", settings_of(seed=3), PLAIN)


def test_measured_latency_is_of_every_architecture(run):
    report = carried_out(run, cost="latency", steps=(1,))
    assert report.unit == "ms"
    assert all(one.inference > 0 for one in report.members)
    assert report.maximum_inference == max(one.inference for one in report.members)


def test_too_large_architectures_are_told_where_students_are_cut(run):
    with pytest.raises(
        UserError, match=r"<9, 2, 12, 20> has 9 layers.*let students start from scratch"
    ):
        carried_out(run, layers=(9,), heads=(2,))
    report = carried_out(
        run, "s", layers=(9, 1), heads=(2,), hiddens=(12,), start="scratch", margin=0.1
    )
    assert {one.key for one in report.members} == {"9-2-12-20", "1-2-12-20"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"steps": (3, 3)}, "steps must rise"),
        ({"steps": ()}, "steps"),
        ({"labels": 0.0, "prediction": 0.0}, "labels a weight above 0"),
        ({"heads": (5,), "hiddens": (12,)}, "no hidden size among"),
        ({"going_on": 0.0}, "going_on"),
        ({"learning_rates": (1e-3, 1e-3)}, "learning_rates names one twice"),
        ({"clip": 0.0}, "clip"),
        ({"optimizer": "adam"}, "optimizer"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, said):
    with pytest.raises(UserError, match=said):
        settings_of(**changes)


def test_damaged_reports_are_told(run):
    report = carried_out(run)
    folder = load_extraction(run.folder / "ose-plain" / "p", PLAIN)
    assert folder.report() == report
    values = json.loads(report.model_dump_json())
    values["rounds"][0]["winner"] = "1-1-1-1"
    (folder.path / "report.json").write_text(json.dumps(values))
    with pytest.raises(UserError, match="a winner 1-1-1-1 that was not tried"):
        folder.report()
    assert dataclasses.replace(folder, path=folder.path / "none").report() is None
