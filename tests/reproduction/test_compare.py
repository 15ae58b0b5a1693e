"""Means over sub-networks and seeds, differences, findings, and why a cell is empty."""

from __future__ import annotations

import math

import pytest
from made_results import SHAPE, made_result
from scipy.stats import ttest_1samp

from dynabert.data.augmentation.settings import GLOVE_ALONE
from dynabert.reproduction.circumstances import backbone_sentence, budget_sentences
from dynabert.reproduction.compare import Comparison, gaps
from dynabert.reproduction.findings import Gain, findings
from dynabert.reproduction.markdown import readme, show
from dynabert.reproduction.methods import method_points, scores_of
from dynabert.reproduction.results import Shape
from dynabert.reproduction.tables import FIGURES, TABLES
from dynabert.subnet import PAPER_SPACE, Subnet
from dynabert.training import RECIPES, Train

WIDTHS = [Subnet(width) for width in (1.0, 0.75, 0.5, 0.25)]


def four(*scores: float) -> dict[Subnet, float]:
    return dict(zip(WIDTHS, scores, strict=True))


def table3(*results, without=None) -> Comparison:
    return Comparison(TABLES["table3"], "minilm", results, without or {})


def test_a_cell_is_the_mean_of_its_sub_networks_and_then_of_the_seeds():
    comparison = table3(
        made_result("mrpc", "vanilla-w", 0, four(0.80, 0.70, 0.60, 0.50)),  # 65
        made_result("mrpc", "vanilla-w", 1, four(0.90, 0.70, 0.60, 0.48)),  # 67
        made_result("mrpc", "vanilla-w", 2, four(0.90, 0.80, 0.60, 0.46)),  # 69
    )
    cell = comparison.cells["Vanilla DynaBERT_w", "mrpc", ""]
    assert cell.ours == pytest.approx(67.0)
    assert cell.spread == pytest.approx(2.0)  # sqrt((4 + 0 + 4) / 2)
    assert cell.seeds == (0, 1, 2)
    assert (cell.paper, cell.difference) == (80.5, pytest.approx(-13.5))


def test_separate_networks_are_averaged_over_four_results_and_a_seed_needs_all_of_them():
    results = [
        made_result(
            "rte", f"separate-w{width:.2f}", seed, {Subnet(width): 0.5 + seed / 10 + width / 10}
        )
        for seed in (0, 1)
        for width in (1.0, 0.75, 0.5, 0.25)
    ]
    cell = table3(*results).cells["Separate network", "rte", ""]
    assert cell.ours == pytest.approx((56.25 + 66.25) / 2)
    cell = table3(*results[:-1]).cells["Separate network", "rte", ""]
    assert (cell.ours, cell.seeds) == (pytest.approx(56.25), (0,))
    cell = table3(*results[:3]).cells["Separate network", "rte", ""]
    assert cell.ours is None
    assert cell.missing == ("separate-w0.25",)
    assert cell.why_in_a_word == "3 of 4 run"
    # What no cell shows is not told of.
    other = made_result("mrpc", "vanilla-w", 0, four(0.8, 0.7, 0.6, 0.5))
    assert table3(*results[:3], other).used == (other,)
    assert len(table3(*results, other).used) == 9


def test_a_collapsed_sub_network_is_counted_and_said():
    result = made_result(collapsed=[Subnet(0.25), Subnet(0.5)], scores=four(0.8, 0.8, 0.6, 0.6))
    comparison = table3(result)
    cell = comparison.cells["Vanilla DynaBERT_w", "mrpc", ""]
    assert (cell.collapsed, cell.num_subnets) == (2, 4)
    assert cell.ours == pytest.approx(70.0)
    assert "70.0 (1, 2/4 collapsed)" in show(comparison)


def test_seeds_of_another_budget_are_left_out_and_named():
    comparison = table3(
        made_result(seed=0, scores=four(0.6, 0.6, 0.6, 0.6)),
        made_result(seed=1, scores=four(0.7, 0.7, 0.7, 0.7)),
        made_result(seed=2, scores=four(0.1, 0.1, 0.1, 0.1), num_train=100),
    )
    cell = comparison.cells["Vanilla DynaBERT_w", "mrpc", ""]
    assert cell.ours == pytest.approx(65.0)
    assert (cell.seeds, cell.left_out) == ((0, 1), (2,))


def test_seeds_on_rows_augmented_in_another_way_are_left_out():
    better, worse = (
        {"copies": copies, "glove": {"name": "g", "sha256": "0"}} for copies in (30, 5)
    )
    comparison = table3(
        *(
            made_result("mrpc", "dynabert-w-augmented", seed, four(*[score] * 4), augmentation=how)
            for seed, score, how in ((0, 0.6, better), (1, 0.7, better), (2, 0.1, worse))
        )
    )
    cell = comparison.cells["+ Distillation and DA", "mrpc", ""]
    assert cell.ours == pytest.approx(65.0)
    assert cell.left_out == (2,)


def test_the_average_needs_all_nine_scores():
    tasks = ("mnli", "qqp", "qnli", "sst2", "cola", "stsb", "mrpc", "rte")
    results = [made_result(task, scores=four(*[0.5] * 4)) for task in tasks[:-1]]
    row = "Vanilla DynaBERT_w"
    comparison = table3(*results)
    assert comparison.cells[row, "avg", ""].ours is None
    assert "every one" in comparison.cells[row, "avg", ""].why
    comparison = table3(*results, made_result("rte", scores=four(*[0.95] * 4)))
    # MNLI counts twice: matched and mismatched.
    assert comparison.cells[row, "avg", ""].ours == pytest.approx((8 * 50 + 95) / 9)


def test_another_backbone_and_another_family_do_not_mix_in():
    scores = four(0.8, 0.8, 0.8, 0.8)
    roberta = SHAPE.model_copy(update={"family": "roberta"})
    comparison = table3(
        made_result(scores=scores, backbone="bert-base-uncased"),
        made_result(scores=scores, shape=roberta, seed=1),
    )
    cell = comparison.cells["Vanilla DynaBERT_w", "mrpc", ""]
    assert cell.ours is None
    assert "not a backbone of the kind" in cell.why


def test_rewiring_helps_by_the_mean_of_paired_differences():
    comparison = table3(
        *(made_result("mrpc", "vanilla-w", s, four(*[0.60 + s / 100] * 4)) for s in (0, 1, 2)),
        *(
            made_result("mrpc", "rewired-w", s, four(*[0.60 + s / 100 + gain] * 4))
            for s, gain in ((0, 0.01), (1, 0.02), (2, 0.06))
        ),
    )
    finding = next(f for f in findings(comparison) if f.question.text == "Does rewiring help?")
    gain = finding.ours["mrpc"]
    assert gain.mean == pytest.approx(3.0)
    assert gain.spread == pytest.approx(math.sqrt((4 + 1 + 9) / 2))
    assert gain.seeds == (0, 1, 2)
    assert finding.paper["mrpc"] == pytest.approx(83.8 - 80.5)
    assert finding.paper_mean == pytest.approx(2.4, abs=0.05)
    assert finding.verdict("mrpc") == "undecided"  # t = 1.96, of 4.30
    assert finding.sentence() == (
        "Does rewiring help? Paper: +2.4 points on average over 9 scores. "
        "Here: +3.0 ± 2.6 (seeds 0, 1, 2) on MRPC. "
        "Direction: undecided on MRPC (paper +3.3)."
    )


def test_seeds_and_collapsed_sub_networks_are_told_apart():
    gain = Gain(mean=1.24, spread=0.3, seeds=(0, 1, 2), collapsed=3)
    assert str(gain) == "+1.2 ± 0.3 (seeds 0, 1, 2; 3 sub-networks collapsed)"
    alone = Gain(mean=-0.1, spread=None, seeds=(4,), collapsed=1)
    assert str(alone) == "-0.1 (seed 4; 1 sub-network collapsed)"


def test_only_the_same_examples_are_paired():
    comparison = table3(
        made_result("mrpc", "vanilla-w", 0, four(*[0.6] * 4)),
        made_result("mrpc", "rewired-w", 0, four(*[0.7] * 4), fingerprint="others"),
        made_result("mrpc", "rewired-w", 1, four(*[0.7] * 4)),
    )
    (finding,) = (f for f in findings(comparison) if f.question.text == "Does rewiring help?")
    assert not finding.ours
    assert finding.sentence().endswith("Here: not yet measured.")


def stages(**epochs: float) -> dict[str, object]:
    return {"stages": [{"name": name.replace("_", "-"), "epochs": n} for name, n in epochs.items()]}


def test_rows_that_were_trained_differently_long_are_not_compared():
    """A row under the plan's limits, another without them: the gain would be of the epochs."""
    rewired = made_result("mrpc", "rewired-w", 0, four(*[0.7] * 4))

    def finding(recipe: str, **epochs: float):
        comparison = table3(
            made_result("mrpc", recipe, 0, four(*[0.6] * 4), stages=stages(**epochs)),
            rewired.model_copy(update={"stages": stages(fine_tune=8, width=2)}),
        )
        (found,) = (f for f in findings(comparison) if f.question.text == "Does rewiring help?")
        return found

    assert finding("vanilla-w", fine_tune=8, width=2).ours["mrpc"].mean == pytest.approx(10)
    unlike = finding("vanilla-w", fine_tune=4, width=3)
    assert not unlike.ours
    assert unlike.sentence().endswith(
        "Not comparable on MRPC: the two rows were given different numbers of epochs."
    )


def test_networks_of_one_row_that_were_trained_differently_long_are_no_mean():
    def row(*epochs: float):
        results = [
            made_result(
                "rte",
                f"separate-w{width.width_mult:.2f}",
                0,
                {width: 0.5},
                stages=stages(separate=n),
            )
            for width, n in zip(WIDTHS, epochs, strict=True)
        ]
        return table3(*results).cells["Separate network", "rte", ""]

    assert row(10, 10, 10, 10).ours == pytest.approx(50)
    mixed = row(7, 10, 10, 10)
    assert mixed.ours is None
    assert "different numbers of epochs" in mixed.why


def test_a_recipe_may_ask_for_other_epochs_than_the_one_it_is_compared_with(monkeypatch):
    longer = RECIPES["rewired-w"].model_copy(
        update={
            "stages": tuple(
                stage.model_copy(update={"epochs": 2 * stage.epochs})
                if isinstance(stage, Train)
                else stage
                for stage in RECIPES["rewired-w"].stages
            )
        }
    )
    monkeypatch.setitem(RECIPES, "rewired-w", longer)
    comparison = table3(
        made_result("mrpc", "vanilla-w", 0, four(*[0.6] * 4), stages=stages(fine_tune=4, width=3)),
        made_result("mrpc", "rewired-w", 0, four(*[0.7] * 4), stages=stages(fine_tune=8, width=6)),
    )
    (found,) = (f for f in findings(comparison) if f.question.text == "Does rewiring help?")
    assert found.ours["mrpc"].mean == pytest.approx(10)


def test_a_latency_comes_with_the_machine_it_was_measured_on():
    results = [
        made_result("mrpc", "dynabert", 0, {Subnet(): 0.8}, latency_machine=None),
        made_result("mrpc", "dynabert", 1, {Subnet(): 0.8}, latency_machine="the second"),
    ]
    untimed = results[0].rows[0].model_copy(update={"latency": ()})
    results[0] = results[0].model_copy(update={"rows": (untimed,)})
    figure = FIGURES["figure3"]
    points = method_points(figure, results, "minilm", scores_of(figure)["mrpc"])
    assert points["latency_machine"].tolist() == ["the second"]
    assert points["latency_ms_batch1"].notna().all()


def test_a_verdict_needs_seeds_enough_to_tell_a_difference_from_nothing():
    def verdict(*gains: float) -> str:
        comparison = table3(
            *(made_result("rte", "vanilla-w", s, four(*[0.6] * 4)) for s in range(len(gains))),
            *(
                made_result("rte", "rewired-w", s, four(*[0.6 + gain / 100] * 4))
                for s, gain in enumerate(gains)
            ),
        )
        (finding,) = (f for f in findings(comparison) if f.question.text == "Does rewiring help?")
        return finding.verdict("rte")

    assert verdict(5) == "undecided"
    assert verdict(5, -5) == "undecided"
    assert verdict(3, 4) == "undecided"
    assert verdict(-3, -4, -5) == "unlike the paper"
    assert verdict(3, 4, 5) == "as in the paper"
    assert verdict(1, 4, 7) == "undecided"
    for gains in ([1, 2, 3.5], [0.2, 2, 3.5]):
        expected = "as in the paper" if ttest_1samp(gains, 0).pvalue < 0.05 else "undecided"
        assert verdict(*gains) == expected


def test_gaps_name_the_recipes_and_the_command_or_why_there_can_be_nothing():
    comparison = table3(made_result(scores=four(*[0.6] * 4)), without={"qqp": "no data"})
    found = {gap.columns: gap for gap in gaps(comparison)}
    assert found["QQP",].why == "no data"
    mrpc = found["MRPC",]
    assert mrpc.why.startswith("not run yet: separate-w1.00, separate-w0.75")
    assert "vanilla-w" not in mrpc.why
    command = "python -m dynabert reproduce table3 --task mrpc --data-dir path/to/data"
    # One of its recipes trains on augmented data.
    assert mrpc.command == f"{command} --augmentations path/to/augmentations"
    table6 = gaps(Comparison(TABLES["table6"], "minilm", [], {}))[0]
    assert table6.command.endswith("--data-dir path/to/data")
    assert not any("Vanilla" in column for gap in found.values() for column in gap.columns)


def test_a_table_in_markdown_has_each_number_in_its_column():
    comparison = table3(made_result(scores=four(0.80, 0.70, 0.60, 0.50)))
    text = show(comparison)
    rows = [line.split("|") for line in text.splitlines() if line.startswith("|")]
    column = [cell.strip() for cell in rows[0]].index("MRPC")
    start = next(n for n, row in enumerate(rows) if row[1].strip() == "Vanilla DynaBERT_w")
    assert [row[column].strip() for row in rows[start : start + 3]] == ["80.5", "65.0 (1)", "-15.5"]
    assert "minilm is not BERT-base: 6 layers x 384" in text
    assert "MRPC: all 3,668 training examples, judged on 408 dev examples." in text


def test_less_training_is_said():
    limits = ("stage width: 1 instead of 3 epochs",)
    result = made_result(
        "sst2", scores=four(*[0.6] * 4), num_train=6000, num_train_total=67349, limits=limits
    )
    text = show(table3(result))
    assert (
        "SST-2: 6,000 of 67,349 training examples, judged on 408 dev examples; epochs of stages, not as the "
        "presets: width 1 instead of 3." in text
    )


def test_epochs_are_told_once_where_all_had_the_same_and_by_recipe_where_not():
    width, fine = "stage width: 1 instead of 3 epochs", "stage fine-tune: 8 instead of 4 epochs"
    one = made_result(recipe="vanilla-w", limits=(fine, width))
    other = made_result(
        recipe="rewired-w", limits=("stage fine-tune: 8 instead of 3 epochs", width)
    )
    (said,) = budget_sentences([one, other])
    assert said.endswith(
        "; epochs of stages, not as the presets: fine-tune 8 instead of 4 or 3, width 1 instead of 3."
    )
    judged = "checkpoints are chosen by at most 1,000 dev examples"
    (said,) = budget_sentences([made_result(limits=(fine, judged))])
    assert said.endswith(f"presets: fine-tune 8 instead of 4; {judged}.")
    (said,) = budget_sentences([one, made_result(recipe="dynabert", limits=(fine,))])
    assert said.endswith(
        "; epochs of stages, not as the presets: fine-tune 8 instead of 4; vanilla-w: "
        + width
        + "."
    )
    longer = made_result(recipe="dynabert", limits=(fine, "stage width: 2 instead of 3 epochs"))
    (said,) = budget_sentences([one, longer])
    assert said.endswith(f"; vanilla-w: {width}; dynabert: stage width: 2 instead of 3 epochs.")


def test_a_readme_of_nothing_says_so():
    assert "Nothing has been measured yet." in readme([], {})
    text = readme([made_result(scores=four(*[0.6] * 4))], {})
    assert "Nothing measured of: Table 1, Table 2, Table 4" in text
    assert "| MRPC | vanilla-w | 0 | 345 | 3 min |" in text
    assert "QQP |" not in text


def test_an_average_is_over_what_the_paper_has_too():
    scores = [
        (task, recipe, [base + gain] * 12)
        for task, gain in (("mrpc", 0.01), ("cola", 0.03), ("rte", 0.08))
        for recipe, base, gain in (("dynabert", 0.6, gain), ("no-assistant", 0.6, 0.0))
    ]
    table = TABLES["table5"]

    def said(*tasks):
        results = [
            made_result(task, recipe, 0, dict(zip(PAPER_SPACE, values, strict=True)))
            for task, recipe, values in scores
            if task in tasks
        ]
        (finding,) = findings(Comparison(table, "minilm", results, {}))
        return finding

    both = said("mrpc", "rte")
    assert both.our_mean == pytest.approx(1.0)
    assert "On average" not in both.sentence()
    assert "+8.0 (seed 0) on RTE" in both.sentence()
    three = said("mrpc", "cola", "rte")
    assert three.our_mean == pytest.approx(2.0)
    assert "On average over the paper's 2: +2.0; in the paper" in three.sentence()


def test_width_is_compared_with_depth_at_equal_size():
    half_width, half_depth = Subnet(0.5), Subnet(1.0, 0.5)
    scores = dict.fromkeys(PAPER_SPACE, 0.7) | {half_width: 0.66, half_depth: 0.61}
    found = findings(
        Comparison(TABLES["table1"], "minilm", [made_result("mrpc", "dynabert", 0, scores)], {})
    )
    (finding,) = (one for one in found if "half of the depth" in one.question.text)
    assert finding.ours["mrpc"].mean == pytest.approx(5.0)
    assert finding.paper["mrpc"] == pytest.approx(
        TABLES["table1"].row("DynaBERT, 0.5x").published["mrpc", "1.0x"]
        - TABLES["table1"].row("DynaBERT, 1.0x").published["mrpc", "0.5x"]
    )


def test_other_means_of_augmentation_and_rounded_depths_are_told():
    less = f"augmented without a masked language model, {GLOVE_ALONE}"
    plain = made_result(notices=("trained on fewer", less))
    augmented = plain.model_copy(update={"augmentation": {"masked_lm": None}})
    assert "augmented data" not in budget_sentences([plain])[0]
    assert f"by other means than the paper's ({less})" in budget_sentences([augmented])[0]
    shape = Shape(family="bert", layers=6, hidden=384, heads=12, neurons=1536)
    assert backbone_sentence("minilm", shape).endswith(" 0.75x of the depth is 4 of 6 layers here.")
    assert "here" not in backbone_sentence(
        "base", shape.model_copy(update={"layers": 12, "hidden": 768})
    )
