"""Masked-LM distillation as a whole: what it writes, what it goes on from, and what uses it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from conftest import WORDS, make_hf
from safetensors.torch import load_file
from small_data import write_csv
from test_reduction import FINE_TUNE, recipe
from test_resume import Killed, kill_at, through_kills
from transformers import AutoModelForMaskedLM, AutoTokenizer

from dynabert import DynaBertForMaskedLM
from dynabert.data.augmentation import MaskedLanguageModel
from dynabert.data.source import CsvSource, DataSource
from dynabert.errors import UserError
from dynabert.training import (
    Losses,
    Reduce,
    Rewire,
    Teacher,
    Train,
    TrainingPlan,
    pipeline,
    train,
)
from dynabert.training import loop as training_loop
from dynabert.training.pretraining import (
    Pretrained,
    discard_unfinished_pretraining,
    pretrain,
    unfinished_pretraining,
)
from dynabert.training.pretraining_plan import Pretraining, ask_pretraining

SIZES = {"layers": 2, "heads": 2, "hidden": 24, "neurons": 20}


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    random = Random(0)
    words = [word for word in WORDS if word.isalpha()]
    lines = [" ".join(random.choice(words) for _ in range(10)) for _ in range(120)]
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def with_head(tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer_folder: Path) -> Path:
    """A backbone that was saved with its head."""
    folder = tmp_path_factory.mktemp("with-head")
    torch.manual_seed(0)
    model = make_hf("bert", "ForMaskedLM", dtype=torch.float32, vocab_size=200)
    for module in model.modules():
        if isinstance(module, torch.nn.LayerNorm):
            module.reset_parameters()
    model.save_pretrained(folder)
    for file in tiny_tokenizer_folder.iterdir():
        shutil.copy(file, folder)
    return folder


def plan(backbone: Path, text: Path, **changes: Any) -> Pretraining:
    values: dict[str, Any] = {
        "backbone": str(backbone),
        "texts": (text,),
        "epochs": 3,
        "head_epochs": 2,
        "batch_size": 16,
        "max_tokens": 24,
        "learning_rate": 5e-3,
        "precision": "fp32",
        **SIZES,
    }
    return ask_pretraining(**(values | changes))


def test_what_it_writes_is_a_backbone_with_its_head(
    with_head: Path, text: Path, tmp_path: Path
) -> None:
    about = pretrain(plan(with_head, text), tmp_path / "small", command="as typed")
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "small").iterdir()}
    assert modes == {0o644}  # others may load it
    out = tmp_path / "small"
    assert about == Pretrained.load(out)
    assert list(about.stage_seconds) == ["teacher", "distil"]
    assert (about.architecture, about.command) == ("2-2-24-20", "as typed")
    assert (about.num_train, about.num_dev) == (57, 3)  # two lines a row
    hf = AutoModelForMaskedLM.from_pretrained(out)
    assert type(hf).__name__ == "BertForMaskedLM"
    assert about.student.params == hf.num_parameters()
    assert AutoTokenizer.from_pretrained(out).mask_token == "[MASK]"
    config = hf.config
    assert (config.num_hidden_layers, config.num_attention_heads) == (2, 2)
    assert (config.hidden_size, config.intermediate_size) == (24, 20)
    assert MaskedLanguageModel.load(str(out)) is not None
    assert not unfinished_pretraining(out).exists()
    # The teacher knows nothing, but the labels say which words there are.
    assert about.student.loss < about.teacher.loss - 0.5


def test_a_backbone_without_a_head_gets_one_and_nothing_else_changes(
    tiny_backbone: Path, text: Path, tmp_path: Path
) -> None:
    told: list[Any] = []
    sizes = dict.fromkeys(SIZES)
    about = pretrain(plan(tiny_backbone, text, **sizes), tmp_path / "full", on_event=told.append)
    assert list(about.stage_seconds) == ["head"]
    assert any("no masked-language-model head" in getattr(one, "text", "") for one in told)
    before = load_file(tiny_backbone / "model.safetensors")
    after = load_file(tmp_path / "full" / "model.safetensors")
    assert len(before) > 60
    assert "pooler.dense.weight" in before  # which a masked language model has no use for
    assert all(after[f"bert.{name}"].equal(value) for name, value in before.items())
    fresh = DynaBertForMaskedLM.from_hf(tiny_backbone)
    assert about.student.params == sum(one.numel() for one in fresh.parameters())
    assert about.student == about.teacher
    # Now it has one, so there is nothing left to do.
    with pytest.raises(UserError, match="nothing to do; name at least one smaller size"):
        pretrain(plan(tmp_path / "full", text, **sizes), tmp_path / "again")


def test_a_roberta_is_pretrained_alike(tiny_roberta: Path, text: Path, tmp_path: Path) -> None:
    about = pretrain(plan(tiny_roberta, text, epochs=1, head_epochs=1), tmp_path / "small")
    assert list(about.stage_seconds) == ["head", "teacher", "distil"]
    hf = AutoModelForMaskedLM.from_pretrained(tmp_path / "small")
    assert type(hf).__name__ == "RobertaForMaskedLM"
    assert about.student.params == hf.num_parameters()
    ours = DynaBertForMaskedLM.from_hf(tmp_path / "small").eval()
    ids = torch.tensor([[0, 7, 300, 4, 2]])
    torch.testing.assert_close(ours(ids).logits, hf.eval()(ids).logits, atol=1e-5, rtol=0)


@pytest.mark.parametrize("start", ["teacher", "scratch"])
def test_killed_at_any_moment_it_ends_with_the_same_numbers(
    tiny_backbone: Path,
    text: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    start: str,
) -> None:
    monkeypatch.setattr(training_loop, "CHECKPOINT_SECONDS", 0.0)
    wanted = plan(tiny_backbone, text, start=start)
    whole = pretrain(wanted, tmp_path / "whole")
    broken, kills = through_kills(
        lambda watch: pretrain(wanted, tmp_path / "broken", on_event=watch),
        (4, 8, 11, 3, 7, 5, 9),
    )
    assert kills >= 3
    assert (broken.student, broken.teacher) == (whole.student, whole.teacher)
    ours, theirs = (
        load_file(tmp_path / name / "model.safetensors") for name in ("broken", "whole")
    )
    assert all(ours[name].equal(theirs[name]) for name in theirs)


def test_an_unfinished_one_goes_on_with_its_own_plan_only(
    tiny_backbone: Path, text: Path, tmp_path: Path
) -> None:
    out = tmp_path / "small"
    with pytest.raises(Killed):
        pretrain(plan(tiny_backbone, text), out, on_event=kill_at(12))
    with pytest.raises(UserError, match="started with another head epochs"):
        pretrain(plan(tiny_backbone, text, head_epochs=3), out)
    discard_unfinished_pretraining(out)
    assert not unfinished_pretraining(out).exists()
    out.mkdir()
    with pytest.raises(UserError, match="exists already"):
        pretrain(plan(tiny_backbone, text), out)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"max_tokens": 41}, "reads at most 40 tokens, got 41"),
        ({"hidden": 25}, "the hidden size 25 must be a multiple of the 2 heads"),
        ({"layers": 5}, "has 5 layers, and the network it would be cut from 4"),
        ({"losses": {"hidden": 1.0}}, "not its hidden states or attention"),
        ({"masked_share": 1.5}, "less than 1"),
        ({"start": "nowhere"}, "'teacher' or 'scratch'"),
    ],
)
def test_bad_values_are_one_sentence(
    with_head: Path, text: Path, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        pretrain(plan(with_head, text, **changes), tmp_path / "small")
    assert not [*tmp_path.iterdir()]  # said before anything was begun


def test_one_row_of_text_is_too_little(with_head: Path, tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("the cat sat\n", encoding="utf-8")
    with pytest.raises(UserError, match="text for two rows at least"):
        pretrain(plan(with_head, tmp_path / "short.txt"), tmp_path / "small")


def test_no_folder_of_a_pretraining_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="was not written by `dynabert pretrain`"):
        Pretrained.load(tmp_path)


def student_of(pretrained: Path, **changes: Any) -> Any:
    return recipe(
        FINE_TUNE,
        Rewire(num_examples=16),
        Reduce(pretrained=str(pretrained)),
        Train(
            name="distil",
            losses=Losses(prediction=1.0, labels=1.0),
            teacher=Teacher(stage="rewire", width="full"),
            epochs=1,
        ),
        **changes,
    )


def test_a_student_of_a_task_begins_with_pretrained_weights(
    tiny_backbone: Path, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = tmp_path / "small"
    pretrain(plan(tiny_backbone, text), small)
    train_file, dev_file = write_csv(tmp_path, train=48, dev=16)
    data = DataSource(csv=CsvSource(train_file=train_file, dev_file=dev_file))
    seen: dict[str, Any] = {}

    def watched(stage: Train, number: int, student: Any, teacher: Any, setting: Any) -> float:
        seen[stage.name] = {n: v.clone() for n, v in student.backbone.state_dict().items()}
        seen["rate"] = stage.learning_rate
        return training_loop.train_stage(stage, number, student, teacher, setting)

    monkeypatch.setattr(pipeline, "train_stage", watched)
    wanted = TrainingPlan(
        name="r",
        data=data,
        backbone=str(tiny_backbone),
        recipe=student_of(small),
        precision="fp32",
        latency=None,
    )
    run = train(wanted, tmp_path / "runs", stage_cache=tmp_path / "stages")
    assert (run.config.hidden_size, run.config.num_hidden_layers) == (24, 2)
    ours = DynaBertForMaskedLM.from_hf(small).backbone.state_dict()
    assert seen["distil"].keys() == ours.keys()
    assert all(seen["distil"][name].equal(ours[name]) for name in ours)
    assert seen["rate"] == pytest.approx(3e-4)  # of 24 hidden units, not of 48
    # Other weights at the same place are not taken for the same training.
    shutil.rmtree(small)
    pretrain(plan(tiny_backbone, text, seed=1), small)
    seen.clear()
    again = train(
        TrainingPlan(**{**wanted.__dict__, "name": "s"}),
        tmp_path / "runs",
        stage_cache=tmp_path / "stages",
    )
    assert "distil" in seen  # though what comes before the student is the same, and is taken over
    assert "fine-tune" not in seen
    one, other = (load_file(x.folder / "model.safetensors") for x in (run, again))
    assert not all(one[name].equal(other[name]) for name in one)


def task_plan(backbone: Path, student: Path, folder: Path) -> TrainingPlan:
    train_file, dev_file = write_csv(folder, train=48, dev=16)
    return TrainingPlan(
        name="r",
        data=DataSource(csv=CsvSource(train_file=train_file, dev_file=dev_file)),
        backbone=str(backbone),
        recipe=student_of(student),
        precision="fp32",
        latency=None,
    )


def small_network(folder: Path, tokenizer: Path, **changes: Any) -> Path:
    """A small BERT as somebody else may have published it."""
    folder.mkdir()
    values = {"hidden_size": 24, "num_attention_heads": 2, "intermediate_size": 20} | changes
    make_hf(
        "bert", "Model", num_layers=2, dtype=torch.float32, **{"vocab_size": 200, **values}
    ).save_pretrained(folder)
    for file in tokenizer.iterdir():
        shutil.copy(file, folder)
    return folder


def test_a_student_must_read_the_teachers_tokens(
    tiny_backbone: Path,
    tiny_roberta: Path,
    tiny_tokenizer_folder: Path,
    tmp_path: Path,
) -> None:
    """Said before anything is trained."""
    longer = small_network(tmp_path / "longer", tiny_tokenizer_folder, max_position_embeddings=48)
    other = small_network(tmp_path / "other", tiny_tokenizer_folder)
    spelling = json.loads((other / "tokenizer.json").read_text())
    vocabulary = spelling["model"]["vocab"]
    vocabulary["cat"], vocabulary["dog"] = vocabulary["dog"], vocabulary["cat"]
    (other / "tokenizer.json").write_text(json.dumps(spelling))
    bare = small_network(tmp_path / "bare", tiny_tokenizer_folder)
    (bare / "model.safetensors").unlink()
    for student, said in (
        (tiny_roberta, r"has another backbone \(roberta\)"),
        (longer, r"has another max_position_embeddings \(48\)"),
        (other, "reads another vocabulary"),
        (bare, "holds no readable model.safetensors"),
    ):
        with pytest.raises(UserError, match=said):
            train(task_plan(tiny_backbone, student, tmp_path), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_pretrained_student_keeps_its_own_configuration_also_after_a_kill(
    tiny_backbone: Path,
    tiny_tokenizer_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its activation and the like are not the teacher's, though its shape could be made of that one."""
    monkeypatch.setattr(training_loop, "CHECKPOINT_SECONDS", 0.0)
    student = small_network(
        tmp_path / "small", tiny_tokenizer_folder, hidden_act="relu", layer_norm_eps=1e-5
    )
    wanted = task_plan(tiny_backbone, student, tmp_path)
    cache = tmp_path / "stages"
    whole = train(wanted, tmp_path / "whole", stage_cache=cache)
    assert (whole.config.hidden_act, whole.config.layer_norm_eps) == ("relu", 1e-5)
    kills = 0
    for number in (6, 8, 5, 3):
        try:
            broken = train(wanted, tmp_path / "broken", kill_at(number))
        except Killed:
            kills += 1
        else:
            break
    else:
        broken = train(wanted, tmp_path / "broken")
    assert kills >= 2
    assert (broken.config.hidden_act, broken.config.layer_norm_eps) == ("relu", 1e-5)
    one, other = (load_file(run.folder / "model.safetensors") for run in (whole, broken))
    assert all(one[name].equal(other[name]) for name in one)
    # The same weights with another activation are another network.
    config = (student / "config.json").read_text()
    (student / "config.json").write_text(config.replace('"relu"', '"gelu"'))
    again = train(wanted, tmp_path / "again", stage_cache=cache)
    found = load_file(again.folder / "model.safetensors")
    assert again.config.hidden_act == "gelu"
    assert not all(one[name].equal(found[name]) for name in one)


def test_a_rate_that_is_too_large_names_the_option_that_there_is(
    tiny_backbone: Path, text: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="smaller learning rate .*--restart --head-rate"):
        pretrain(plan(tiny_backbone, text, head_rate=1e30, head_epochs=10), tmp_path / "small")


def test_a_result_that_is_in_the_way_loses_nothing(
    with_head: Path, text: Path, tmp_path: Path
) -> None:
    out = tmp_path / "small"

    def intrude(event: Any) -> None:
        if getattr(event, "stage", "") == "distil":
            out.mkdir(exist_ok=True)

    with pytest.raises(UserError, match="exists now; what was pretrained is in"):
        pretrain(plan(with_head, text), out, on_event=intrude)
    kept = unfinished_pretraining(out) / "result"
    assert Pretrained.load(kept).architecture == "2-2-24-20"


def test_sizes_and_a_pretrained_network_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="has its own sizes and weights"):
        Reduce(pretrained="somewhere", layers=2)
