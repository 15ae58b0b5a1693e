"""SQuAD v1.1 in its original files and in the hub's layout; damaged files get a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from small_squad import FILES, content, write_squad

from dynabert.data import find_task, load_task_data, loading
from dynabert.data.loading import tasks_in
from dynabert.data.source import DataSource
from dynabert.data.squad import files, read_squad
from dynabert.errors import UserError

SQUAD = find_task("squad")


def test_rows_are_those_of_the_file(tmp_path: Path) -> None:
    data = load_task_data(SQUAD, write_squad(tmp_path, train=5, dev=2))
    asked = [
        (question["id"], question["question"], paragraph["context"], question["answers"])
        for paragraph in content(5)["data"][0]["paragraphs"]
        for question in paragraph["qas"]
    ]
    assert len(asked) == len(data.train) == 5
    for row, (name, question, context, answers) in zip(data.train, asked, strict=True):
        assert (row["id"], row["question"], row["context"]) == (name, question, context)
        assert row["answers"] == {
            "text": [answer["text"] for answer in answers],
            "answer_start": [answer["answer_start"] for answer in answers],
        }
    assert len(data.dev["dev"]) == 2
    assert data.notices == ()


@pytest.mark.parametrize("below", [".", "SQuAD", "squad", "squad/SQuAD"])
def test_files_are_found_in_or_below_the_data_folder(below: str, tmp_path: Path) -> None:
    write_squad(tmp_path / below, train=3, dev=2)
    assert len(load_task_data(SQUAD, tmp_path).train) == 3
    assert tasks_in(tmp_path) == ["squad"]


def test_glue_is_found_beside_it(tmp_path: Path) -> None:
    write_squad(tmp_path / "squad", train=3, dev=2)
    (tmp_path / "glue" / "CoLA").mkdir(parents=True)
    for name in ("train.tsv", "dev.tsv"):
        (tmp_path / "glue" / "CoLA" / name).write_text("x\t1\t\tA cat sat.\n", encoding="utf-8")
    assert list(load_task_data(find_task("cola"), tmp_path).train["sentence"]) == ["A cat sat."]
    assert tasks_in(tmp_path) == ["cola", "squad"]


def test_part_of_the_training_questions_is_named_as_such(tmp_path: Path) -> None:
    write_squad(tmp_path, train=3, dev=2)
    (tmp_path / FILES["train"]).rename(tmp_path / "train-v1.1-subset.json")
    (notice,) = load_task_data(SQUAD, tmp_path).notices
    assert "only a subset of the training data is here (train-v1.1-subset.json)" in notice
    (tmp_path / FILES["dev"]).unlink()
    with pytest.raises(UserError, match=r"lacks train-v1.1.json, dev-v1.1.json"):
        load_task_data(SQUAD, tmp_path)


@pytest.mark.parametrize("below", ["plain_text", "squad/plain_text"])
def test_a_copy_of_the_hub_has_the_same_examples(below: str, tmp_path: Path) -> None:
    original = load_task_data(SQUAD, write_squad(tmp_path / "files", train=7, dev=3))
    folder = tmp_path / "copy" / below
    folder.mkdir(parents=True)
    for name, split in (("train", original.train), ("validation", original.dev["dev"])):
        rows = split.to_pandas().assign(title="Words")
        rows.to_parquet(folder / f"{name}-00000-of-00001.parquet")
    copy = load_task_data(SQUAD, tmp_path / "copy")
    assert copy.fingerprint == original.fingerprint
    assert list(copy.train["id"]) == list(original.train["id"])
    pd.DataFrame({"id": ["x"]}).to_parquet(folder / "train-00000-of-00001.parquet")
    with pytest.raises(UserError, match="has no column 'question'; it has id"):
        load_task_data(SQUAD, tmp_path / "copy")


def test_the_hub_is_asked_for_its_splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = load_task_data(SQUAD, write_squad(tmp_path, train=4, dev=3))
    splits = {"train": original.train, "validation": original.dev["dev"]}
    asked = []
    monkeypatch.setattr(loading, "hub_answers", lambda: True)
    monkeypatch.setattr(loading, "load_dataset", lambda *names: asked.append(names) or splits)
    hub = load_task_data(SQUAD)
    assert asked == [("rajpurkar/squad", "plain_text")]
    assert hub.fingerprint == original.fingerprint


def test_some_questions_and_another_answer_change_the_fingerprint(tmp_path: Path) -> None:
    source = DataSource(task="squad", data_dir=write_squad(tmp_path, train=6, dev=2))
    some = source.model_copy(update={"num_train": 4}).load()
    assert len(some.train) == 4
    assert "trained on 4 of the 6 training examples" in some.notices[0]
    before = source.load().fingerprint
    values = content(6)
    question = values["data"][0]["paragraphs"][0]["qas"][0]
    question["answers"] = [{"text": ".", "answer_start": question_end(values)}]
    (tmp_path / FILES["train"]).write_text(json.dumps(values), encoding="utf-8")
    assert len({before, source.load().fingerprint, some.fingerprint}) == 3


def question_end(values: dict) -> int:
    return values["data"][0]["paragraphs"][0]["context"].rindex(".")


def answer(values: dict) -> dict:
    return first(values)["answers"][0]


def first(values: dict) -> dict:
    return values["data"][0]["paragraphs"][0]["qas"][0]


def second_id(values: dict) -> None:
    values["data"][0]["paragraphs"][0]["qas"][1]["id"] = first(values)["id"]


DAMAGES: list[tuple[Callable[[dict], object], str]] = [
    (lambda v: answer(v).update(answer_start=answer(v)["answer_start"] + 1), "does not stand at"),
    (lambda v: answer(v).update(answer_start=-3), "does not stand at letter -3"),
    (lambda v: answer(v).update(answer_start="7"), "answer_start is '7', must be a whole number"),
    (lambda v: answer(v).update(answer_start=True), "must be a whole number"),
    (lambda v: answer(v).update(text=""), "its answer is '', must be a text with letters"),
    (lambda v: answer(v).update(text=None), "its answer is 'None', must be a text"),
    (lambda v: answer(v).pop("text"), "'text' is missing; is it a file of SQuAD v1.1?"),
    (lambda v: first(v).update(answers=[]), "has no answer. SQuAD v1.1 is read"),
    (lambda v: first(v).update(answers={"text": []}), "'answers' is .* must be a list"),
    (lambda v: first(v).update(answers=[answer(v)] * 101), "has 101 answers; at most 100"),
    (lambda v: first(v).pop("id"), "'id' is missing"),
    (lambda v: first(v).update(question=" \n"), "its question is .* must be a text"),
    (lambda v: first(v).update(question="half \ud83d"), "its question has half a letter at 5"),
    (second_id, "two questions have this id"),
    (lambda v: v["data"][0]["paragraphs"][0].pop("context"), "'context' is missing"),
    (lambda v: v.update(data=[]), "has no questions; download it again"),
    (lambda v: v.update(data="x"), "'data' is 'x', must be a list"),
]


@pytest.mark.parametrize(("damage", "sentence"), DAMAGES)
def test_damaged_files(damage: Callable[[dict], object], sentence: str, tmp_path: Path) -> None:
    values = content(4)
    damage(values)
    path = tmp_path / "dev-v1.1.json"
    path.write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(UserError, match=sentence) as error:
        read_squad(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    "text", ["", "{", "[1, 2]", "[" * 100_000, "\xff", '{"data": 1e999}', "1" * 5000]
)
def test_files_that_are_something_else(text: str, tmp_path: Path) -> None:
    path = tmp_path / "dev-v1.1.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=str(path)):
        read_squad(path)


def test_too_much_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_squad(tmp_path, train=4, dev=2) / FILES["train"]
    monkeypatch.setattr(files, "MOST_LETTERS", 20)
    with pytest.raises(UserError, match="its context has [0-9]+ letters; at most 20 are read"):
        read_squad(path)
    monkeypatch.undo()
    monkeypatch.setattr(files, "MOST_QUESTIONS", 3)
    with pytest.raises(UserError, match="more than 3 questions"):
        read_squad(path)
    monkeypatch.setattr(files, "MOST_BYTES", 100)
    with pytest.raises(UserError, match="at most 0 MB are read"):
        read_squad(path)
