"""OSE over the sub-networks of a small run: values, resumption, files from outside."""

from __future__ import annotations

import json
import math
import shutil

import pytest
import torch
from typer.testing import CliRunner

from dynabert.cli import ose_command
from dynabert.cli.main import app
from dynabert.data.encoding import drawn_rows
from dynabert.errors import UserError
from dynabert.evaluation import count_macs, evaluate, num_params, num_params_total
from dynabert.examples import load_examples
from dynabert.search.ose import MaximumPoint, Member, w_coefficient
from dynabert.search.ose.assumptions import Assumptions, rank_agreement
from dynabert.search.ose.carry_out import _agreement, carry_out
from dynabert.search.ose.folder import (
    SUPERNET,
    discard_extraction,
    list_extractions,
    load_extraction,
    open_extraction,
)
from dynabert.search.ose.settings import ask_ose
from dynabert.search.ose.supernet import subnets_of
from dynabert.subnet import FULL, SearchSpace, Subnet

pytest_plugins = ["searched_run"]
WIDTHS, DEPTHS = (1.0, 0.5, 1 / 6), (1.0, 0.5)


def settings_of(**changes):
    values = {
        "width_mults": WIDTHS,
        "depth_mults": DEPTHS,
        "epsilons": (1, 2, 5),
        "tokens": 8,
        "num_examples": 10,
        "seed": 4,
        "repeats": 2,
    }
    return ask_ose(**(values | changes))


def carried_out(run, name="o", **changes):
    folder = open_extraction(run, name, settings_of(**changes), SUPERNET)
    return carry_out(folder, run, run.model(), load_examples(run))


def test_the_report_says_what_measuring_says(run):
    report = carried_out(run)
    model, examples = run.model(), load_examples(run)
    part = examples.train.select(drawn_rows(16, 10, 4))
    subnets = [Subnet(w, d) for w in WIDTHS for d in DEPTHS]
    assert {one.key for one in report.members} == {subnet.key for subnet in subnets}
    assert report.attained_by == FULL.key
    maximum = MaximumPoint(num_params=num_params_total(model), inference=count_macs(model, FULL, 8))
    ws = {}
    for row in report.members:
        subnet = Subnet.parse(row.key)
        assert row.num_params == sum(p.numel() for p in model.extract(subnet).parameters())
        assert row.inference == count_macs(model, subnet, 8)
        assert row.error == pytest.approx(evaluate(model, part, subnet, metrics=()).loss, rel=1e-6)
        member = Member(key=row.key, num_params=row.num_params, inference=row.inference)
        ws[row.key] = w_coefficient(member, row.error, maximum)
        assert row.w == pytest.approx(ws[row.key], rel=1e-12)
    assert [row.num_params for row in report.members] == sorted(
        row.num_params for row in report.members
    )
    brute, two, five = report.outcomes
    assert brute.winner == max(ws, key=ws.get)
    assert (brute.ratio, brute.num_tried) == (1.0, 6)
    order = [row.key for row in report.members]
    for outcome in (two, five):
        taken = order[:: outcome.epsilon]
        assert outcome.winner == max(taken, key=ws.get)
        assert outcome.num_tried == len(taken)
        assert outcome.ratio == pytest.approx(ws[outcome.winner] / ws[brute.winner])
        assert outcome.w <= outcome.zoomed_w <= brute.w
    assert not report.agreement.guarantee_holds
    assert "not strongly convex" in report.agreement.in_words


def test_winners_and_standard_subnetworks_are_judged_on_dev(run):
    report = carried_out(run)
    model, dev = run.model(), load_examples(run).dev
    standard = {subnet.key for subnet in SearchSpace((1.0, 0.5), (1.0, 0.5))}
    judged = {one.key: one for one in report.finalists}
    winners = {key for one in report.outcomes for key in (one.winner, one.zoomed_winner)}
    assert judged.keys() == standard | winners
    known = run.results.set_index("subnet")
    for key, one in judged.items():
        subnet = Subnet.parse(key)
        assert one.is_standard == (key in standard)
        assert one.is_winner == (key in winners)
        assert one.num_params == num_params_total(model, subnet)
        assert one.macs == count_macs(model, subnet, 8)
        assert one.latency_ms > 0
        if key in known.index:  # what the run had is not computed again
            assert (one.score, one.dev_loss) == (
                known.loc[key, "accuracy"],
                known.loc[key, "loss"],
            )
        else:
            found = evaluate(model, dev, subnet, metrics=("accuracy",))
            assert one.score == found.metrics["accuracy"]
            assert one.dev_loss == pytest.approx(found.loss, rel=1e-6)


def test_an_extraction_that_was_cut_off_goes_on(run):
    whole = carried_out(run, "whole")
    folder = open_extraction(run, "cut", settings_of(), SUPERNET)
    done = []

    def stop(phase, number, total):
        if phase == "errors":
            done.append((number, total))
            if number == 4:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carry_out(folder, run, run.model(), load_examples(run), on_progress=stop)
    assert done == [(n, 6) for n in (1, 2, 3, 4)]
    (folder.path / "errors.jsonl").open("ab").write(b'{"key": "w0.50-d1.00", "err')  # a kill
    folder = open_extraction(run, "cut", settings_of(), SUPERNET)
    assert len(folder.errors()) == 4
    told = []
    report = carry_out(
        folder,
        run,
        run.model(),
        load_examples(run),
        on_progress=lambda phase, number, total: told.append(phase) if phase == "errors" else None,
    )
    assert len(told) == 2
    assert len(folder.errors()) == 6
    assert report.members == whole.members
    assert [one.winner for one in report.outcomes] == [one.winner for one in whole.outcomes]
    assert carry_out(folder, run, None, None) == report  # nothing is done twice


def test_only_the_members_that_some_epsilon_takes_are_tried(run):
    report = carried_out(run, epsilons=(2, 5))
    tried = [row.error is not None for row in report.members]
    zoomed = {one.zoomed_winner for one in report.outcomes}
    assert all(tried[place] for place in (0, 2, 4, 5))
    assert report.best.epsilon == 2
    assert all(one.ratio is None for one in report.outcomes)
    assert all(one.error is not None for one in report.members if one.key in zoomed)


def test_more_epsilons_of_the_same_extraction_compute_only_what_is_new(run):
    carried_out(run, epsilons=(6,))
    folder = open_extraction(run, "o", settings_of(epsilons=(6, 1)), SUPERNET)
    before = len(folder.errors())
    told = []
    report = carry_out(
        folder,
        run,
        run.model(),
        load_examples(run),
        on_progress=lambda phase, number, _: told.append(number) if phase == "errors" else None,
    )
    assert told == [*range(before + 1, 7)]
    assert len(report.outcomes) == 2


def test_lengths_alone_are_told_and_a_margin_helps(run):
    lengths = {"width_mults": (1.0,), "depth_mults": (1.0,), "drops": (0.0, 0.2, 0.4)}
    with pytest.raises(UserError, match="none has less parameters than the maximum point"):
        carried_out(run, epsilons=(1,), **lengths)
    report = carried_out(run, "m", epsilons=(1,), margin=0.1, **lengths)
    assert report.attained_by is None
    full = num_params_total(run.model())
    assert report.maximum_params == pytest.approx(1.1 * full)
    assert {row.num_params for row in report.members} == {full}
    assert len({row.inference for row in report.members}) == 3


def test_widths_by_importance_are_further_members_of_the_same_size(run):
    model = run.model()
    plain = subnets_of(model, settings_of(), None)
    more = subnets_of(model, settings_of(per_layer=("raw", "by layer")), run.importance)
    assert {one.key for one in plain} <= {one.key for one in more}
    new = [one for one in more if one not in plain]
    assert new
    sizes = {num_params(model, one) for one in plain}
    assert {num_params(model, one) for one in new} <= sizes
    resolved = [one.resolve(model.config.shape) for one in more]
    assert len(set(resolved)) == len(resolved)
    with pytest.raises(UserError, match="no importance of heads and neurons"):
        subnets_of(model, settings_of(per_layer=("raw",)), None)


def test_measured_latency_is_kept_so_that_a_resumed_extraction_weighs_alike(run):
    report = carried_out(run, cost="latency", epsilons=(1,))
    folder = open_extraction(run, "o", settings_of(cost="latency", epsilons=(1, 2)), SUPERNET)
    again = carry_out(folder, run, run.model(), load_examples(run))
    assert [row.inference for row in again.members] == [row.inference for row in report.members]
    assert report.unit == "ms"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"epsilons": (1, 1)}, "epsilons names a value twice"),
        ({"epsilons": (0,)}, "epsilons.0"),
        ({"drops": (1.0,)}, "drops.0"),
        ({"width_mults": ()}, "width_mults"),
        ({"margin": math.nan}, "margin"),
        ({"exponents": (1.0, -1.0, 1.0)}, "exponents.1"),
        ({"per_layer": ("alphabetical",)}, "per_layer"),
        ({"tokens": 0}, "tokens"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, said):
    with pytest.raises(UserError, match=said):
        settings_of(**changes)


def test_the_command_asks_for_the_same_settings(run, monkeypatch):
    asked = []
    monkeypatch.setattr(
        ose_command, "open_extraction", lambda run, name, settings, kind: asked.append(settings)
    )
    for changes in (
        {"repeats": 20},
        {
            "repeats": 20,
            "drops": (0.0, 0.25),
            "per_layer": ("raw", "by layer"),
            "counted": "encoder",
            "cost": "latency",
            "batch_size": 3,
            "margin": 0.125,
            "exponents": (1.0, 0.5, 2.0),
        },
    ):
        settings = settings_of(**changes)
        folder = str(run.folder.parent)
        told = CliRunner().invoke(
            app, ["ose", run.name, "--runs-dir", folder, *settings.arguments()]
        )
        assert isinstance(told.exception, AttributeError), told.output  # nothing was opened
        assert asked.pop() == settings


def test_an_epsilon_beyond_the_space_is_refused_before_anything_is_tried(run):
    with pytest.raises(UserError, match="from 1 to 6, the size of the space, got 7"):
        carried_out(run, epsilons=(7,))
    assert list_extractions(run, SUPERNET) == []  # nothing is left in the way of another try
    carried_out(run, epsilons=(6,))


def test_other_settings_need_another_name_once_an_error_is_known(run):
    folder = open_extraction(run, "o", settings_of(), SUPERNET)
    folder.keep_costs([])
    again = open_extraction(run, "o", settings_of(seed=4, tokens=9), SUPERNET)
    assert again.costs() is None  # they were of other settings
    folder = open_extraction(run, "o", settings_of(), SUPERNET)
    folder.keep_error("w1.00-d1.00", 0.5, 1.0)
    with pytest.raises(UserError, match=r"other settings \(seed: 4, now 5\)"):
        open_extraction(run, "o", settings_of(seed=5), SUPERNET)
    with pytest.raises(UserError, match="cannot name an extraction"):
        open_extraction(run, "../o", settings_of(), SUPERNET)
    with pytest.raises(UserError, match="reads at most"):
        open_extraction(run, "long", settings_of(tokens=1000), SUPERNET)


def test_damaged_or_foreign_files_are_told(run, tmp_path):
    carried_out(run)
    folder = run.folder / "ose" / "o"
    report = json.loads((folder / "report.json").read_text())
    report["members"][0]["key"] = "<script>"
    (folder / "report.json").write_text(json.dumps(report))
    with pytest.raises(UserError, match=r"report.json is damaged.*not a sub-network"):
        load_extraction(folder, SUPERNET).report()
    (folder / "report.json").write_text("{}")
    with pytest.raises(UserError, match=r"report.json.*Remove that file"):
        load_extraction(folder, SUPERNET).report()
    (folder / "costs.json").write_text("[]")
    (folder / "report.json").unlink()
    assert carried_out(run).outcomes  # costs that are not of the space are measured again
    shutil.copy(folder / "settings.json", tmp_path / "elsewhere.json")
    (folder / "settings.json").unlink()
    (folder / "settings.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(UserError, match="settings.json is a link to elsewhere"):
        load_extraction(folder, SUPERNET)
    assert list_extractions(run, SUPERNET) == []


def test_one_that_is_carried_out_is_not_discarded(run):
    folder = open_extraction(run, "o", settings_of(), SUPERNET)
    seen = []

    def discard(phase, done, total):
        if not seen:
            seen.append(folder.is_under_way)
            with pytest.raises(UserError, match="o is under way; stop it first"):
                discard_extraction(folder)

    carry_out(folder, run, run.model(), load_examples(run), on_progress=discard)
    assert seen == [True]
    assert not folder.is_under_way
    carried_out(run, "other")
    discard_extraction(folder)
    assert [one.name for one in list_extractions(run, SUPERNET)] == ["other"]
    assert not folder.path.exists()
    with pytest.raises(UserError, match="cannot remove o: No such file"):
        discard_extraction(folder)


@pytest.mark.parametrize("error", [math.nan, math.inf])
def test_an_error_that_is_no_number_is_told(run, error):
    folder = open_extraction(run, "o", settings_of(), SUPERNET)
    with pytest.raises(UserError, match=f"the error of {FULL.key} is {error}, which cannot be"):
        folder.keep_error(FULL.key, error, 1.0)
    assert folder.errors() == {}


def test_a_score_of_zero_counts_in_the_agreement(run):
    report = carried_out(run)
    errors = {one.key: one.error for one in report.members if one.error is not None}
    finalists = [
        one.model_copy(update={"dev_loss": loss, "score": score})
        for one, loss, score in zip(
            [one for one in report.finalists if one.key in errors],
            *((1.0, 2.0, 0.5), (0.0, 0.0, 0.3)),
            strict=False,
        )
    ]
    assert len(finalists) == 3
    ordered = Assumptions(
        params_inference=1.0,
        params_error=-1.0,
        inference_error=-1.0,
        short_long={},
        strongly_convex=False,
    )
    found = _agreement(ordered, finalists, errors)
    measured = [errors[one.key] for one in finalists]
    assert found.error_dev_loss == rank_agreement(measured, [1.0, 2.0, 0.5])
    assert found.error_dev_metric == rank_agreement(measured, [0.0, 0.0, 0.3])


def test_the_model_is_left_as_it_was(run):
    model = run.model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    folder = open_extraction(run, "o", settings_of(), SUPERNET)
    carry_out(folder, run, model, load_examples(run))
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
