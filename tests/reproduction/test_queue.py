"""Which trainings are wanted, in which order, and how they are carried out, on a tiny backbone."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_results import made_result
from small_data import write_glue

from dynabert.cli import reproduce_command
from dynabert.data.augmentation import Settings, augment
from dynabert.data.source import DataSource
from dynabert.errors import UserError
from dynabert.evaluation.latency import LatencySetup
from dynabert.reproduction import queue
from dynabert.reproduction.latencies import LatencyBook
from dynabert.reproduction.plan import NO_LIMITS, Entry, Job, Limits, Plan, ask, jobs, read_plan
from dynabert.reproduction.queue import (
    JobEnded,
    JobStarted,
    Outcome,
    Workshop,
    carry_out,
    run_name,
)
from dynabert.reproduction.results import read_result, read_results, result_path, write_result
from dynabert.reproduction.standing import seconds_left, standing_of
from dynabert.reproduction.tables import TABLES
from dynabert.runs import list_runs
from dynabert.subnet import Subnet
from dynabert.training import RECIPES, Grid, Losses, Recipe, Train
from dynabert.training.events import StepDone

ROOT = Path(__file__).resolve().parents[2]


def small(name: str, epochs: float = 1.0) -> Recipe:
    return Recipe(
        name=name,
        batch_size=16,
        max_tokens=24,
        width_mults=(1.0, 0.5),
        depth_mults=(1.0,),
        stages=(
            Train(
                name="labels",
                subnets=Grid(width_mults=(1.0, 0.5)),
                losses=Losses(labels=1.0),
                epochs=epochs,
            ),
        ),
    )


@pytest.fixture(autouse=True)
def _small_recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("small", "smaller"):
        monkeypatch.setitem(RECIPES, name, small(name))


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(
        results=tmp_path / "results",
        runs_dir=tmp_path / "runs",
        data_dir=write_glue(tmp_path / "data", train=48, dev=20),
        latency=(
            LatencySetup(tokens=8, repeats=2, warm_up=0),
            LatencySetup(tokens=8, batch_size=2, repeats=2),
        ),
        precision="fp32",
    )


def job(backbone: Path, recipe: str = "small", **changes: Any) -> Job:
    values = {"backbone": str(backbone), "task": "sst2", "recipe": recipe, "seed": 0}
    return Job(**(values | changes))


def test_a_plan_is_carried_out_in_its_order_and_shared_recipes_once():
    plan = Plan(
        entries=(
            Entry(what=("table8", "table3"), tasks=("rte", "mrpc"), seeds=(1, 0)),
            Entry(what=("table6",), tasks=("mrpc",), seeds=(0,)),
        )
    )
    wanted = jobs(plan)
    assert len({(one.task, one.recipe, one.seed) for one in wanted}) == len(wanted)
    eight, three = TABLES["table8"].recipes, TABLES["table3"].recipes
    both = list(dict.fromkeys((*eight, *three)))
    assert "rewired-w" in eight
    assert [(one.seed, one.task, one.recipe) for one in wanted] == [
        *((seed, task, recipe) for seed in (1, 0) for task in ("rte", "mrpc") for recipe in both),
        (0, "mrpc", "dynabert-d"),  # dynabert-w is there already
    ]


def test_tasks_that_a_table_does_not_have_are_refused():
    with pytest.raises(
        UserError, match="table4: there is no stsb in it; there are sst2, cola, mrpc, rte"
    ):
        jobs(Plan(entries=(Entry(what=("table4",), tasks=("stsb",)),)))
    with pytest.raises(UserError, match="unknown task"):
        jobs(Plan(entries=(Entry(what=("table4",), tasks=("rtx",)),)))
    # Together with a table that has it, it is that table's alone.
    both = jobs(Plan(entries=(Entry(what=("table4", "table3"), tasks=("stsb",)),)))
    assert {one.recipe for one in both} == set(TABLES["table3"].recipes)


def test_what_is_asked_for_takes_the_plans_limits_where_it_has_none_of_its_own():
    limits = Limits(num_train=10, epochs={"width": 3, "depth": 1}, judge_examples=7)
    plan = Plan(limits={"sst2": limits}, without={"qqp": "no data"})
    asked = ask(plan, ["table3"])
    assert "qqp" not in {one.task for one in jobs(asked)}
    assert {one.limits.num_train for one in jobs(asked) if one.task == "sst2"} == {10}
    given = Limits(num_train=5, epochs_scale=0.5, epochs={"depth": 4})
    own = ask(plan, ["table3"], tasks=["SST-2", "rte"], limits=given)
    assert {one.task: one.limits for one in jobs(own)} == {
        "sst2": Limits(
            num_train=5, epochs_scale=0.5, epochs={"width": 1.5, "depth": 4}, judge_examples=7
        ),
        "rte": given,
    }
    with pytest.raises(UserError, match="needs a task"):
        ask(plan, ["small"])


def test_limits_change_the_epochs_and_say_so():
    recipe = RECIPES["dynabert"]
    changed, said = Limits(epochs_scale=0.5, epochs={"width": 1}).apply(recipe)
    before = {stage.name: stage.epochs for stage in recipe.train_stages}
    after = {stage.name: stage.epochs for stage in changed.train_stages}
    assert after == {name: 1 if name == "width" else epochs / 2 for name, epochs in before.items()}
    assert f"stage width: 1 instead of {before['width']:g} epochs" in said
    assert Limits().apply(recipe) == (recipe, ())
    judged, said = Limits(judge_examples=1000).apply(recipe)
    assert judged == recipe.model_copy(update={"judge_examples": 1000})
    assert said == ("checkpoints are chosen by at most 1,000 dev examples",)


def test_the_committed_plan_can_be_read_and_names_what_exists():
    plan = read_plan(ROOT / "benchmarks" / "reproduction.yaml")
    wanted = jobs(plan)
    assert wanted[0].recipe == "separate-w1.00"
    assert {job.task for job in wanted} >= {"cola", "mrpc", "qnli", "rte", "sst2", "squad", "stsb"}
    stages = {stage.name for recipe in RECIPES.values() for stage in recipe.train_stages}
    assert {name for limits in plan.limits.values() for name in limits.epochs} <= stages


def test_the_committed_plan_gives_the_rows_of_a_table_the_same_training():
    """What the presets hold (and say) must still hold of the epochs that the plan gives instead."""
    plan = read_plan(ROOT / "benchmarks" / "reproduction.yaml")
    for task in ("mrpc", "rte", "qnli", "sst2", "squad", "cola", "stsb"):
        whole, separate, depth, progressive, *compared = (
            {s.name: s.epochs for s in plan.limits_of(task).apply(RECIPES[name])[0].train_stages}
            for name in (
                *("dynabert", "separate-w0.50", "dynabert-d", "progressive-w"),
                *("distilbert-d0.50", "tinybert-d0.75", "layerdrop"),
            )
        )
        width, after = whole["width"], whole["width"] + whole["width-depth"] + whole["final"]
        assert separate["separate"] == whole["fine-tune"] + width, task
        assert depth["depth"] == width, task
        assert sum(progressive.values()) - progressive["fine-tune"] == pytest.approx(
            width, abs=0.01
        ), task
        for epochs in compared:
            assert sum(epochs.values()) - epochs["fine-tune"] == after, (task, epochs)


def test_a_plan_may_write_a_task_as_people_do(tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text("limits: {SST-2: {num_train: 10}}\nwithout: {STS-B: no data}\n")
    plan = read_plan(path)
    assert plan.limits_of("sst2") == Limits(num_train=10)
    assert plan.without == {"stsb": "no data"}


def test_a_bad_plan_file_is_named(tmp_path):
    path = tmp_path / "plan.yaml"
    for text, said in (
        *(("entries: 3", "entries"), ("[", "cannot read"), ("what: [x]", "what")),
        ("limits: {sst3: {num_train: 10}}", "unknown task 'sst3'"),
        ("limits: {sst2: {epochs: {fine_tune: 1}}}", "no recipe has a stage 'fine_tune'"),
    ):
        path.write_text(text)
        with pytest.raises(UserError, match=said) as error:
            read_plan(path)
        assert str(path) in str(error.value)


def test_trainings_leave_results_and_nothing_else_and_are_not_repeated(workshop, tiny_backbone):
    events: list[Any] = []
    wanted = [
        job(tiny_backbone),
        job(tiny_backbone, "smaller", seed=1, limits=Limits(num_train=32)),
    ]
    outcome = carry_out(wanted, workshop, events.append)
    assert (outcome.done, outcome.failed) == (wanted, [])
    assert [(e.number, e.total, e.unknown) for e in events if isinstance(e, JobStarted)] == [
        (1, 2, 2),
        (2, 2, 1),
    ]
    assert any(isinstance(event, StepDone) for event in events)
    assert not list_runs(workshop.runs_dir)
    first, second = (event.result for event in events if isinstance(event, JobEnded))
    assert (first.num_train, first.num_train_total, first.num_dev) == (48, 48, 20)
    assert (second.num_train, second.num_train_total, second.seed) == (32, 48, 1)
    assert [row.subnet for row in first.rows] == ["w1.00-d1.00", "w0.50-d1.00"]
    assert first.steps == 3  # 48 examples in batches of 16
    assert first.shape.layers == 4
    assert first.stages["stages"][0]["learning_rate"] is not None
    assert first.command.startswith("python -m dynabert reproduce small --task sst2")
    assert "--no-limits" in first.command
    assert "--num-train 32" in second.command
    assert first.command.endswith("--precision fp32")
    assert str(workshop.data_dir) not in first.command
    # The sub-networks are the same, so the times are: measured once.
    latency = [[row.latency for row in result.rows] for result in (first, second)]
    assert latency[0] == latency[1]
    assert [one.batch_size for one in first.rows[0].latency] == [1, 2]
    again = carry_out(wanted, workshop)
    assert not again.done
    assert [skipped.why for skipped in again.skipped] == ["done", "done"]


def test_latency_is_measured_once_for_a_backbone(workshop, tiny_backbone, monkeypatch):
    carry_out([job(tiny_backbone)], workshop)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr("dynabert.reproduction.latencies.measure_latency", refuse)
    assert carry_out([job(tiny_backbone, "smaller")], workshop).done
    # Of another version of torch nothing is known.
    monkeypatch.setattr("torch.__version__", "2.14.0")
    (failed,) = carry_out([job(tiny_backbone, "smaller", seed=1)], workshop).failed
    assert "measured again" in failed.why


def test_a_failed_training_is_reported_and_the_next_one_begins(workshop, tiny_backbone):
    wanted = [
        job(tiny_backbone, task="rte"),
        job(tiny_backbone.parent / "none"),
        job(tiny_backbone),
    ]
    outcome = carry_out(wanted, workshop)
    assert outcome.done == wanted[2:]
    assert [failure.job for failure in outcome.failed] == wanted[:2]
    assert "RTE" in outcome.failed[0].why
    assert len(read_results(workshop.results)) == 1


def test_an_unexpected_error_stops_one_training_only(workshop, tiny_backbone, monkeypatch):
    original = queue.train

    def train(plan: Any, *arguments: Any, **options: Any) -> Any:
        if "smaller" in plan.name:
            raise ZeroDivisionError("by zero")
        return original(plan, *arguments, **options)

    monkeypatch.setattr(queue, "train", train)
    wanted = [job(tiny_backbone, "smaller"), job(tiny_backbone)]
    outcome = carry_out(wanted, workshop)
    assert outcome.done == wanted[1:]
    assert outcome.failed[0].why == "ZeroDivisionError: by zero"


def test_interrupted_it_goes_on_where_it_stopped(workshop, tiny_backbone, monkeypatch):
    wanted = [job(tiny_backbone), job(tiny_backbone, "smaller")]

    def interrupt(event: Any) -> None:
        if isinstance(event, JobStarted) and event.number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carry_out(wanted, workshop, interrupt)
    assert [result.recipe for result in read_results(workshop.results)] == ["small"]
    assert carry_out(wanted, workshop).done == wanted[1:]


def test_a_run_whose_result_was_not_kept_yet_is_not_trained_again(
    workshop, tiny_backbone, monkeypatch
):
    original = queue.write_result

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(queue, "write_result", interrupt)
    with pytest.raises(KeyboardInterrupt):
        carry_out([job(tiny_backbone)], workshop)
    assert list_runs(workshop.runs_dir) == [run_name(job(tiny_backbone))]
    monkeypatch.setattr(queue, "write_result", original)
    monkeypatch.setattr(queue, "train", interrupt)
    assert carry_out([job(tiny_backbone)], workshop).done
    assert not list_runs(workshop.runs_dir)


def test_a_run_of_another_backbone_of_the_same_name_is_not_taken_for_ones_own(
    workshop, tiny_backbone, tmp_path, monkeypatch
):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(queue, "write_result", interrupt)
        with pytest.raises(KeyboardInterrupt):
            carry_out([job(tiny_backbone)], workshop)
    other = tmp_path / "elsewhere" / tiny_backbone.name
    shutil.copytree(tiny_backbone, other)
    assert run_name(job(other)) == run_name(job(tiny_backbone))
    (failure,) = carry_out([job(other)], workshop).failed
    assert "is another run than the one wanted; remove it first" in failure.why
    (failure,) = carry_out([job(tiny_backbone)], replace(workshop, precision="bf16")).failed
    assert "is another run" in failure.why


def test_what_another_process_did_in_the_meantime_is_not_done_again(workshop, tiny_backbone):
    wanted = [job(tiny_backbone), job(tiny_backbone, "smaller")]

    def other_process(event: Any) -> None:
        if isinstance(event, JobStarted) and event.number == 1:
            carry_out(wanted[1:], replace(workshop, runs_dir=workshop.runs_dir / "other"))

    outcome = carry_out(wanted, workshop, other_process)
    assert outcome.done == wanted[:1]
    assert [(one.job, one.why) for one in outcome.skipped] == [(wanted[1], "done")]


def test_what_another_process_is_at_work_on_is_left_to_it(workshop, tiny_backbone):
    wanted = [job(tiny_backbone), job(tiny_backbone, "smaller")]
    seen: list[Outcome] = []

    def other_process(event: Any) -> None:
        if isinstance(event, JobStarted) and event.job == wanted[0]:
            seen.append(carry_out(wanted, workshop))

    outcome = carry_out(wanted, workshop, other_process)
    (meanwhile,) = seen
    left = [(one.job, one.why) for one in meanwhile.skipped]
    assert left == [(wanted[0], "another process is at work on it")]
    assert (meanwhile.done, meanwhile.failed) == (wanted[1:], [])
    assert (outcome.done, outcome.failed) == (wanted[:1], [])
    assert list(workshop.runs_dir.glob(".*.reproducing")) == []


def test_data_that_cannot_be_read_stop_no_training(workshop, tiny_backbone, monkeypatch):
    carry_out([job(tiny_backbone)], workshop)

    def gone(source: DataSource) -> None:
        raise PermissionError(13, "Permission denied", "train.tsv")

    monkeypatch.setattr(DataSource, "load", gone)
    (skipped,) = carry_out([job(tiny_backbone)], workshop).skipped
    assert skipped.why == "done; its data are not here to compare with"


def test_the_examples_of_many_finished_trainings_are_read_once(
    workshop, tiny_backbone, monkeypatch
):
    wanted = [job(tiny_backbone), job(tiny_backbone, "smaller")]
    carry_out(wanted, workshop)
    loads, load = [], DataSource.load
    monkeypatch.setattr(DataSource, "load", lambda self: (loads.append(self), load(self))[1])
    assert [one.why for one in carry_out(wanted, workshop).skipped] == ["done", "done"]
    assert len(loads) == 1


def test_an_odd_number_of_epochs_is_kept_to_the_last_digit(workshop, tiny_backbone, monkeypatch):
    monkeypatch.setitem(RECIPES, "small", small("small", epochs=3))
    one = job(tiny_backbone, limits=Limits(epochs_scale=0.7))  # times 3 is 2.0999999999999996
    assert carry_out([one], workshop).done == [one]
    assert standing_of(one, workshop.results).status == "done"
    third = job(tiny_backbone, limits=Limits(epochs={"labels": 1 / 3}, epochs_scale=2 / 3))
    words = third.command.split()
    assert float(words[words.index("--epochs-scale") + 1]) == 2 / 3
    assert words[words.index("--epochs") + 1] == f"labels={1 / 3!r}"
    eight = job(tiny_backbone, limits=Limits(epochs={"labels": 8}))
    assert eight.command.split().count("labels=8") == 1


def test_the_command_says_all_that_the_training_needed(workshop, tiny_backbone, monkeypatch):
    one = job(tiny_backbone)
    assert workshop.command(one) == f"{one.command} --precision fp32"
    assert replace(workshop, precision="auto").command(one) == one.command
    (stage,) = RECIPES["small"].stages
    changed = stage.model_copy(update={"data": "augmented"})
    monkeypatch.setitem(
        RECIPES, "small", RECIPES["small"].model_copy(update={"stages": (changed,)})
    )
    said = replace(workshop, precision="auto").command(one)
    assert said == f"{one.command} --augmentations path/to/augmentations"


def test_runs_can_be_kept(workshop, tiny_backbone):
    carry_out([job(tiny_backbone)], replace(workshop, keep_runs=True))
    assert list_runs(workshop.runs_dir) == [run_name(job(tiny_backbone))]


def test_a_result_of_another_recipe_is_neither_skipped_in_silence_nor_replaced_unasked(
    workshop, tiny_backbone, monkeypatch
):
    one = job(tiny_backbone)
    carry_out([one], workshop)
    path = result_path(workshop.results, one.backbone, "sst2", "small", 0)
    before = path.read_text()
    monkeypatch.setitem(RECIPES, "small", small("small", epochs=2))
    (skipped,) = carry_out([one], workshop).skipped
    assert "its recipe has another labels.epochs (1.0, now 2.0); --replace" in skipped.why
    assert path.read_text() == before
    assert carry_out([one], replace(workshop, replace=True)).done == [one]
    assert read_result(path).steps == 6


def test_a_result_of_other_examples_or_fewer_is_said(workshop, tiny_backbone, tmp_path):
    one = job(tiny_backbone)
    carry_out([one], workshop)
    other = replace(workshop, data_dir=write_glue(tmp_path / "other", train=48, dev=10))
    (skipped,) = carry_out([one], other).skipped
    assert "of other examples" in skipped.why
    (skipped,) = carry_out([one], replace(workshop, precision="bf16")).skipped
    assert "there is a result, but in fp32; --replace" in skipped.why
    fewer = job(tiny_backbone, limits=Limits(num_train=20))
    assert "trained on 48 examples, not 20" in standing_of(fewer, workshop.results).why
    assert standing_of(job(tiny_backbone, seed=5), workshop.results).status == "missing"
    assert standing_of(job(tiny_backbone, "none"), workshop.results).status == "no recipe"


def test_a_damaged_result_is_no_result(workshop, tiny_backbone):
    one = job(tiny_backbone)
    path = result_path(workshop.results, one.backbone, "sst2", "small", 0)
    path.parent.mkdir(parents=True)
    path.write_text("{")
    standing = standing_of(one, workshop.results)
    assert standing.status == "differs"
    assert str(path) in standing.why


def test_time_left_is_that_of_finished_trainings_of_the_same_recipe_and_task(tmp_path):
    write_result(tmp_path, made_result("rte", "vanilla-w", 0))  # 180 s
    write_result(tmp_path, made_result("rte", "vanilla-w", 1, stage_seconds={"width": 60.0}))
    wanted = [
        Job(backbone="minilm", task=task, recipe="vanilla-w", seed=seed, limits=NO_LIMITS)
        for task, seed in (("rte", 2), ("rte", 3), ("mrpc", 0))
    ]
    assert seconds_left(wanted, read_results(tmp_path)) == (240.0, 1)


def test_augmented_data_are_asked_for_only_where_a_stage_trains_on_them(
    workshop, tiny_backbone, tmp_path, monkeypatch
):
    assert workshop.source(job(tiny_backbone)).augmentation is None
    recipe = RECIPES["small"]
    (stage,) = recipe.stages
    changed = stage.model_copy(update={"data": "augmented"})
    monkeypatch.setitem(RECIPES, "small", recipe.model_copy(update={"stages": (changed,)}))
    whole, drawn = (
        job(tiny_backbone, limits=limits) for limits in (NO_LIMITS, Limits(num_train=32))
    )
    with pytest.raises(UserError, match="augment sst2 --glove FILE --out FOLDER/sst2`"):
        workshop.source(whole)
    here = replace(workshop, augmentations=tmp_path)
    with pytest.raises(UserError, match="FOLDER/sst2-s0 --num-train 32 --seed 0`"):
        here.source(drawn)
    for name in ("sst2", "sst2-s0"):
        (tmp_path / name).mkdir()
    assert here.source(whole).augmentation == tmp_path / "sst2"
    assert here.source(drawn).augmentation == tmp_path / "sst2-s0"


def test_a_result_on_rows_augmented_in_another_way_is_said(
    workshop, tiny_backbone, tmp_path, monkeypatch
):
    recipe, one = RECIPES["small"], job(tiny_backbone)
    (stage,) = recipe.stages
    changed = stage.model_copy(update={"data": "augmented"})
    monkeypatch.setitem(RECIPES, "small", recipe.model_copy(update={"stages": (changed,)}))
    glove = tmp_path / "glove.txt"
    glove.write_text("cat 1 0\ndog 1 1\ngood 0 1\nbad 1 2\n")

    def augmented(name: str, copies: int) -> Workshop:
        made = Workshop(
            results=workshop.results, runs_dir=workshop.runs_dir, data_dir=workshop.data_dir
        )
        data = made.source(job(tiny_backbone, "smaller")).load()
        augment(data, tmp_path / name / "sst2", Settings(copies=copies), glove=glove)
        return replace(workshop, augmentations=tmp_path / name)

    first, second = augmented("first", 2), augmented("second", 3)
    assert carry_out([one], first).done == [one]
    (result,) = read_results(workshop.results)
    assert result.augmentation is not None
    assert (result.augmentation["copies"], result.augmentation["glove"]["name"]) == (2, "glove.txt")
    assert carry_out([one], first).skipped[0].why == "done"
    assert "on rows that were augmented in another way" in carry_out([one], second).skipped[0].why


@pytest.mark.parametrize(
    ("seeds", "expected"), [("0", [0]), ("0,1,2", [0, 1, 2]), ("3 1 3", [3, 1])]
)
def test_seeds_are_read(seeds, expected):
    assert reproduce_command._seeds(seeds) == expected


@pytest.mark.parametrize("seeds", ["", "a", "1,-1", "99999999999"])
def test_bad_seeds_are_refused(seeds):
    with pytest.raises(UserError, match="--seeds takes whole numbers"):
        reproduce_command._seeds(seeds)


def test_the_twelve_sub_networks_are_timed_with_the_first(workshop, tiny_backbone):
    carry_out([job(tiny_backbone)], workshop)
    entries = LatencyBook(workshop.results, str(tiny_backbone)).entries().values()
    # 4 layers, 6 heads: widths 1, 0.75 (4 heads), 0.5, 0.25 (1 head) x 4, 3 and 2 layers.
    shapes = {(entry.heads, entry.neurons) for entry in entries}
    assert {len(heads) for heads, _ in shapes} == {2, 3, 4}
    assert {heads[0] for heads, _ in shapes} == {6, 4, 3, 1}
    assert len(entries) == 12 * 2
    assert Subnet(0.5).key in {row.subnet for row in read_results(workshop.results)[0].rows}
