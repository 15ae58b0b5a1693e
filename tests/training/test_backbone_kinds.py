"""A RoBERTa, and MNLI with its two dev sets, through the whole recipe: checked against Hugging Face."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console
from small_data import write_csv
from torch import Tensor
from transformers import AutoModelForSequenceClassification, RobertaForSequenceClassification

from dynabert import PAPER_SPACE, Subnet
from dynabert.cli.display import results_table
from dynabert.cli.train_command import changed
from dynabert.data.source import CsvSource, DataSource
from dynabert.evaluation import evaluate
from dynabert.examples import load_examples
from dynabert.runs import Run
from dynabert.training import RECIPES, TrainingPlan, find_recipe, train

QUICK = (
    *("batch_size=16", "max_tokens=32", "fine-tune.epochs=2", "width.epochs=1"),
    *("width-depth.epochs=1", "final.epochs=1", "rewire.num_examples=32"),
)


def plan(data: DataSource, backbone: Path, recipe: str = "dynabert") -> TrainingPlan:
    stages = {stage.name for stage in RECIPES[recipe].stages}
    quick = [change for change in QUICK if "." not in change or change.split(".")[0] in stages]
    return TrainingPlan(
        name="r",
        data=data,
        backbone=str(backbone),
        recipe=changed(find_recipe(recipe), quick),
        precision="fp32",
        latency=None,
    )


@pytest.fixture(scope="module")
def roberta_run(tiny_roberta: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("roberta-run")
    train_file, dev_file = write_csv(folder, train=64, dev=24)
    source = DataSource(csv=CsvSource(train_file=train_file, dev_file=dev_file))
    return train(plan(source, tiny_roberta), folder / "runs")


def read(run: Run) -> dict[str, Tensor]:
    """Sentences of different lengths, as RoBERTa's tokenizer joins and pads them."""
    texts = ["The cat sat.", "A dog, who likes the old film, is very good.", "Boy"]
    batch = run.tokenizer()(texts, padding=True, return_tensors="pt")
    assert "token_type_ids" not in batch
    assert (batch["input_ids"][2] == 1).sum() > 3  # padding is 1 there
    return dict(batch)


def test_it_was_trained_and_rewired_as_a_roberta(roberta_run: Run, tiny_roberta: Path) -> None:
    assert roberta_run.config.backbone == "roberta"
    assert set(roberta_run.info.stage_seconds) == {
        *("fine-tune", "rewire", "width", "width-depth", "final"),
    }
    layers = roberta_run.model().backbone.encoder.layers
    orders = [layer.attention.head_ids.tolist() for layer in layers]
    assert roberta_run.importance is not None
    assert orders == [
        row.argsort(descending=True, stable=True).tolist() for row in roberta_run.importance.heads
    ]
    assert any(order != sorted(order) for order in orders)
    losses = [m["loss"] for m in roberta_run.metrics if m["event"] == "step"]
    assert all(np.isfinite(losses))
    assert list(roberta_run.results["subnet"]) == [subnet.key for subnet in PAPER_SPACE]


def test_its_full_network_is_hugging_faces_roberta(roberta_run: Run, tmp_path: Path) -> None:
    model, batch = roberta_run.model(), read(roberta_run)
    exported = model.to_hf()
    assert type(exported) is RobertaForSequenceClassification
    exported.save_pretrained(tmp_path)
    stored = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    assert type(stored) is RobertaForSequenceClassification
    with torch.no_grad():
        ours = model(**batch)
        for hf in (exported, stored):
            theirs = hf(**batch, output_hidden_states=True)
            torch.testing.assert_close(ours.logits, theirs.logits, rtol=0, atol=1e-5)
    # The recorded score of the full network is the one that RoBERTa gets.
    dev = load_examples(roberta_run).dev
    right = []
    for rows in np.array_split(np.arange(len(dev)), 5):
        given = dev.batch(rows.tolist())
        labels = given.pop("labels")
        with torch.no_grad():
            right += (stored(**given).logits.argmax(-1) == labels).tolist()
    results = roberta_run.results.set_index("subnet")
    assert results.loc["w1.00-d1.00", "accuracy"] == pytest.approx(np.mean(right))


@pytest.mark.parametrize("subnet", [*PAPER_SPACE], ids=str)
def test_its_sub_networks_are_slices(roberta_run: Run, subnet: Subnet) -> None:
    """Of Hugging Face's own weights: the first heads and neurons of the layers that are kept."""
    model, batch = roberta_run.model(), read(roberta_run)
    small = model.extract(subnet)
    with torch.no_grad():
        sliced, extracted = model(**batch, subnet=subnet).logits, small(**batch).logits
    torch.testing.assert_close(extracted, sliced, rtol=0, atol=1e-5)
    resolved = subnet.resolve(model.config.shape)
    theirs = model.to_hf().roberta.encoder.layer
    for ours, layer, heads, neurons in zip(
        *(small.backbone.encoder.layers, resolved.layers, resolved.heads, resolved.neurons),
        strict=True,
    ):
        hf, width = theirs[layer], heads * 8  # 48 hidden units in 6 heads
        assert ours.attention.query.weight.equal(hf.attention.self.query.weight[:width])
        assert ours.attention.value.bias.equal(hf.attention.self.value.bias[:width])
        assert ours.attention.output.weight.equal(hf.attention.output.dense.weight[:, :width])
        assert ours.feed_forward.inner.weight.equal(hf.intermediate.dense.weight[:neurons])
        assert ours.feed_forward.output.weight.equal(hf.output.dense.weight[:, :neurons])


MNLI = ("entailment", "neutral", "contradiction")


def write_mnli(data_dir: Path) -> Path:
    """Made-up MNLI in the hub's layout: the hypothesis's last word decides; the genres differ in length."""
    folder = data_dir / "mnli"
    folder.mkdir(parents=True)
    random = Random(1)
    ends = ("good", "old", "bad")
    splits = {"train": (48, 3), "validation_matched": (18, 3), "validation_mismatched": (21, 6)}
    for split, (count, length) in splits.items():
        rows = []
        for number in range(count):
            words = " ".join(random.choices("the cat dog bird sat ran".split(), k=length))
            # A third of the mismatched rows carry another row's label: the scores must differ.
            label = (number + (split.endswith("mismatched") and number % 3 == 0)) % 3
            hypothesis = f"the dog is {ends[number % 3]}"
            rows.append({"premise": words, "hypothesis": hypothesis, "label": label, "idx": number})
        pd.DataFrame(rows).to_parquet(folder / f"{split}-00000-of-00001.parquet")
    return data_dir


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_mnli_reports_both_genres(
    kind: str, tiny_backbone: Path, tiny_roberta: Path, tmp_path: Path
) -> None:
    backbone = tiny_backbone if kind == "bert" else tiny_roberta
    source = DataSource(task="mnli", data_dir=write_mnli(tmp_path / "data"))
    run = train(plan(source, backbone, "dynabert-w"), tmp_path / "runs")
    assert run.info.task.labels == MNLI
    assert (run.info.task.num_train, run.info.task.num_dev) == (48, 18)
    assert (run.results["num_examples"] == 18).all()  # the matched ones choose and come first
    splits = load_examples(run).all_dev
    assert list(splits) == ["matched", "mismatched"]
    hf = run.model().to_hf().eval()
    assert hf.config.id2label == dict(enumerate(MNLI))
    full = run.results.set_index("subnet").loc["w1.00-d1.00"]
    for name, column in (("matched", "accuracy"), ("mismatched", "accuracy_mismatched")):
        right = []
        for row in range(len(splits[name])):
            given = splits[name].batch([row])
            labels = given.pop("labels")
            with torch.no_grad():
                right.append(bool(hf(**given).logits.argmax(-1) == labels))
        assert full[column] == pytest.approx(np.mean(right))
    shown = Console(width=200)
    with shown.capture() as printed:
        shown.print(results_table(run.results, run.info.task.metrics, "r, dev"))
    assert "accuracy_mismatched" in printed.get()
    assert f"{full['accuracy_mismatched']:.4f}" in printed.get()
    for subnet, row in run.results.set_index("subnet").iterrows():
        again = evaluate(
            run.model(), splits["mismatched"], Subnet.parse(str(subnet)), metrics=("accuracy",)
        )
        assert row["accuracy_mismatched"] == pytest.approx(again.metrics["accuracy"])
