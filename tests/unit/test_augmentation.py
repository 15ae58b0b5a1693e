"""TinyBERT's augmentation: which words, what replaces them, the drawing, and the folder it is written to."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import make_hf
from datasets import Dataset
from tokenizers.pre_tokenizers import BertPreTokenizer

from dynabert.data.augmentation import (
    COPIES,
    Augmentation,
    Candidates,
    Settings,
    WordVectors,
    augment,
    default_copies,
    glove,
)
from dynabert.data.augmentation.candidates import Choice
from dynabert.data.augmentation.drawing import draw, draw_row, row_random
from dynabert.data.augmentation.words import STOP_WORDS, Word, eligible_words
from dynabert.data.loading import TaskData
from dynabert.data.tasks import TASKS, Task
from dynabert.errors import UserError

VOCABULARY = "cat dog bird boy girl sat ran tree mat good bad film house green mouse".split()


def write_glove(path: Path, words: list[str] = VOCABULARY, size: int = 5) -> Path:
    vectors = np.random.default_rng(0).normal(size=(len(words), size)).round(4)
    lines = [f"{word} {' '.join(map(str, row))}" for word, row in zip(words, vectors, strict=True)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def glove_file(tmp_path: Path) -> Path:
    return write_glove(tmp_path / "glove.txt")


def task_data(task: str = "cola", rows: int = 11) -> TaskData:
    known = TASKS[task]
    random = Random(3)
    columns: dict[str, list[object]] = {
        name: [f"The {' '.join(random.choices(VOCABULARY, k=4))}, we saw." for _ in range(rows)]
        for name in known.text_columns
    }
    labels = [number % 2 if known.labels else number / 3 for number in range(rows)]
    split = Dataset.from_dict(columns | {"label": labels})
    return TaskData(task=known, train=split, dev={"dev": split}, source="made up")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def rows_of(made: Augmentation, task: Task) -> list[tuple[object, ...]]:
    files = [pd.read_parquet(made.folder / name) for name in made.manifest.shards]
    return list(pd.concat(files).itertuples(index=False, name=None))


def test_words_of_letters_that_are_no_function_words() -> None:
    text = "She didn't see Mary's well-known cafés in 1999, U.S. film-makers did not."
    words = eligible_words(text)
    assert [word.text for word in words] == [
        *("see", "Mary", "well", "known", "cafés", "film", "makers"),
    ]
    assert all(text[word.start : word.end] == word.text for word in words)
    assert {"the", "not", "who", "their", "don", "would"} < STOP_WORDS


def test_official_numbers_of_copies() -> None:
    assert COPIES == {
        **{"cola": 30, "mnli": 10, "mrpc": 30, "sst2": 20, "stsb": 30, "qqp": 10, "qnli": 20},
        "rte": 30,
    }
    assert default_copies(TASKS["wnli"]) == 30
    assert Settings(copies=1).model_dump() == {
        **{"copies": 1, "candidates": 15, "threshold": 0.4, "seed": 0, "glove_words": 100_000}
    }


@pytest.mark.parametrize("at_once", [1, 4, 128])
def test_neighbours_are_those_of_brute_force(
    at_once: int, glove_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(glove, "QUERIES_AT_ONCE", at_once)
    rows = [line.split() for line in glove_file.read_text().splitlines()]
    table = {word: np.array(numbers, dtype=float) for word, *numbers in rows}
    asked = ["cat", "Mouse", "unheard", "tree", "film", "cat", "girl", "house"]
    found = WordVectors.read(glove_file).nearest(asked, 4)
    for word, neighbours in zip(asked, found, strict=True):
        if word == "unheard":
            assert neighbours == ()
            continue
        one = table[word.lower()]
        cosine = {w: v @ one / np.linalg.norm(v) for w, v in table.items() if w != word.lower()}
        assert list(neighbours) == sorted(cosine, key=cosine.__getitem__, reverse=True)[:4]


def test_equally_near_words_come_as_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "glove.txt"
    rows = ["a 1 1", "z 2 2", "b 3 3", "zero 0 0", "c 1 -1", "d -1 -1"]
    path.write_text("\n".join(rows), encoding="utf-8")
    vectors = WordVectors.read(path)
    assert vectors.nearest(["a", "b", "zero"], 3) == [("z", "b", "c"), ("a", "z", "c"), ()]
    assert vectors.nearest(["a"], 100) == [("z", "b", "c", "d")]
    assert WordVectors.read(path, most=2).nearest(["a", "b"], 3) == [("z",), ()]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"", "holds no word vectors"),
        (b"a 1 2\nb 1\n", "line 2: 1 numbers, but the first line has 2"),
        (b"a 1 2\nb 1 2\nc x 2\n", "line 3: could not convert string to float: 'x'"),
        (b"a 1 2\nb nan 2\n", "line 2: the numbers of 'b' must be finite"),
        (b"400000 50\na 1 2\n", "line 1: must be a word and its numbers"),
        (b"a 1 2\n\xff 1 2\n", "line 2: byte 0xff is not UTF-8"),
        (b"a 1 2\n\nb 1 2\n", "line 2: 0 numbers, but the first line has 2"),
    ],
)
def test_damaged_vectors_are_refused(text: bytes, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "glove.txt"
    path.write_bytes(text)
    with pytest.raises(UserError) as error:
        WordVectors.read(path)
    assert str(path) in str(error.value)
    assert sentence in str(error.value)


def test_a_word_with_spaces_in_it(tmp_path: Path) -> None:
    path = tmp_path / "glove.txt"
    path.write_text("a 1 2\n. . . 1 3\nb 5 1\n", encoding="utf-8")
    assert WordVectors.read(path).nearest(["a"], 2) == [(". . .", "b")]


def reference_draw(text: str, choices: list[Choice], random: Random, n: int, p: float) -> list[str]:
    """The algorithm once more, on the list of a text's tokens."""
    tokens = [token for token, _ in BertPreTokenizer().pre_tokenize_str(text)]
    options = {choice.word.text: choice.options for choice in choices}
    made = [tokens]
    for _ in range(n):
        new = list(tokens)
        for place, token in enumerate(tokens):
            if token in options:
                drawn = options[token][int(random.random() * len(options[token]))]
                if random.random() < p:
                    new[place] = drawn
        if new not in made:
            made.append(new)
    return [" ".join(tokens) for tokens in made[1:]]


@pytest.mark.parametrize("threshold", [0.1, 0.4, 1.0])
def test_draws_are_the_algorithms(threshold: float) -> None:
    text = "A cat saw the tree , slowly ."
    choices = [
        Choice(Word("cat", 2, 5), ("dog", "cat", "bird"), "glove"),
        Choice(Word("tree", 14, 18), ("house",), "glove"),
        Choice(Word("slowly", 21, 27), ("slowly",), "none"),
    ]
    for row in range(5):
        ours = draw(text, choices, row_random(7, row), copies=9, threshold=threshold)
        theirs = reference_draw(text, choices, row_random(7, row), 9, threshold)
        assert ours == theirs
        assert len(set(ours)) == len(ours) <= 5
        assert text not in ours
    drawn = [row_random(seed, row).random() for seed, row in ((7, 0), (7, 1), (8, 0))]
    assert len(set(drawn)) == 3


def test_everything_but_the_words_stays() -> None:
    text = "  Well-known (CAT),\ttree's  end"
    choices = [
        Choice(Word("CAT", 14, 17), ("dog",), "glove"),
        Choice(Word("tree", 20, 24), ("x",), "glove"),
    ]
    assert [text[c.word.start : c.word.end] for c in choices] == ["CAT", "tree"]
    made = draw(text, choices, Random(0), copies=50, threshold=0.5)
    assert sorted(made) == sorted(
        [
            "  Well-known (dog),\ttree's  end",
            "  Well-known (CAT),\tx's  end",
            "  Well-known (dog),\tx's  end",
        ]
    )


def test_pairs_vary_one_text_beside_the_original_other() -> None:
    first = [Choice(Word("cat", 0, 3), ("dog", "bird"), "glove")]
    second = [Choice(Word("tree", 0, 4), ("house",), "glove")]
    rows = draw_row(("cat .", "tree ."), (first, second), Random(0), copies=40, threshold=0.5)
    assert rows[-1] == ("cat .", "house .")
    assert sorted(rows[:-1]) == [("bird .", "tree ."), ("dog .", "tree .")]


def test_candidates_take_the_case_of_the_word(glove_file: Path) -> None:
    candidates = Candidates(WordVectors.read(glove_file), None, 3)
    (capital, plain), (other,), nothing = candidates.of(["Cat the cat", "xylophone", "the"])
    assert capital.options == tuple(word.capitalize() for word in plain.options)
    assert len(plain.options) == 3
    assert (other.options, other.origin) == (("xylophone",), "none")
    assert nothing == []


def test_rows_follow_from_their_number_and_the_seed_alone(glove_file: Path, tmp_path: Path) -> None:
    data, settings = task_data("mrpc"), Settings(copies=4, candidates=3, seed=5)
    made = augment(data, tmp_path / "out", settings, glove=glove_file, rows_per_shard=4)
    assert list(made.manifest.shards) == [f"augmented-0000{n}-of-00003.parquet" for n in range(3)]
    candidates = Candidates(WordVectors.read(glove_file), None, 3)
    expected: list[tuple[object, ...]] = []
    for number, row in enumerate(data.train):
        texts, random = (row["sentence1"], row["sentence2"]), row_random(5, number)
        for place, text in enumerate(texts):
            (choices,) = candidates.of([text])
            for variant in reference_like(text, choices, random):
                pair = (variant, texts[1]) if place == 0 else (texts[0], variant)
                expected.append((*pair, row["label"], number))
    assert rows_of(made, data.task) == expected
    assert made.manifest.num_rows == len(expected) > 60
    whole = augment(data, tmp_path / "whole", settings, glove=glove_file)
    assert rows_of(whole, data.task) == expected
    other = augment(
        data, tmp_path / "other", settings.model_copy(update={"seed": 6}), glove=glove_file
    )
    assert rows_of(other, data.task) != expected


def reference_like(text: str, choices: list[Choice], random: Random) -> list[str]:
    return draw(text, choices, random, copies=4, threshold=0.4)


def test_labels_of_a_regression_are_kept(glove_file: Path, tmp_path: Path) -> None:
    data = task_data("stsb", rows=3)
    made = augment(data, tmp_path / "out", Settings(copies=2), glove=glove_file)
    (shard,) = made.shards(data.task)
    source = pd.read_parquet(made.folder / next(iter(made.manifest.shards)))["source_row"]
    assert list(shard["label"]) == [row / 3 for row in source]
    assert shard.column_names == ["sentence1", "sentence2", "label"]


class Cut(BaseException):
    """Like a kill: nothing in the code catches it."""


def cut_at(limit: int) -> Callable[[int, int], None]:
    def watch(done: int, _: int) -> None:
        if done >= limit:
            raise Cut

    return watch


def test_cut_off_and_gone_on_gives_the_same_bytes(glove_file: Path, tmp_path: Path) -> None:
    data, settings = task_data(), Settings(copies=6, seed=1)
    options = {"glove": glove_file, "rows_per_shard": 3}
    told: list[tuple[int, int]] = []
    whole = augment(
        *(data, tmp_path / "whole", settings), **options, on_rows=lambda *at: told.append(at)
    )
    assert told[-1] == (11, 11)
    broken = tmp_path / "broken"
    for limit in (1, 4, 7, 10):
        with pytest.raises(Cut):
            augment(data, broken, settings, **options, on_rows=cut_at(limit))
        with pytest.raises(UserError, match="is unfinished; repeat the command"):
            Augmentation.load(broken)
    # A shard that is not what was written is made again; what a killed process was writing goes.
    for name in ("unfinished.json", "manifest.json", "augmented-00003-of-00004.parquet"):
        (broken / f"{name}.4711-140123.partial").write_bytes(b"ha")
    (broken / "augmented-00000-of-00004.parquet").write_bytes(b"half")
    augment(data, broken, settings, **options)
    assert contents(broken) == contents(tmp_path / "whole")
    # Complete: nothing is done again.
    again = augment(data, broken, settings, **options, on_rows=cut_at(0))
    assert again.fingerprint == whole.fingerprint


def test_killed_while_it_wrote_its_first_file_it_begins_anew(
    glove_file: Path, tmp_path: Path
) -> None:
    data, settings = task_data(), Settings(copies=2)
    for name in ("unfinished.json.7-8.partial", ".lock"):
        path = tmp_path / "killed" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    augment(data, tmp_path / "killed", settings, glove=glove_file)
    assert not list((tmp_path / "killed").glob("*.partial"))
    mine = tmp_path / "film.mp4.7-8.partial"  # of somebody else
    mine.write_text("")
    with pytest.raises(UserError, match=r"holds other files \(film"):
        augment(data, tmp_path, settings, glove=glove_file)
    assert mine.exists()


def test_another_configuration_in_the_folder_is_refused(glove_file: Path, tmp_path: Path) -> None:
    data, settings, out = task_data(), Settings(copies=2), tmp_path / "out"
    with pytest.raises(Cut):
        augment(data, out, settings, glove=glove_file, rows_per_shard=3, on_rows=cut_at(4))
    for other, changed, sentence in (
        (data, {"seed": 9}, r"another seed \(0, now 9\)"),
        (data, {"copies": 3}, r"another copies \(2, now 3\)"),
        (task_data(rows=12), {}, r"another num source \(11, now 12\)"),
    ):
        with pytest.raises(UserError, match=sentence):
            augment(
                *(other, out, settings.model_copy(update=changed)),
                glove=glove_file,
                rows_per_shard=3,
            )
    different = write_glove(tmp_path / "other.txt", VOCABULARY[:5])
    with pytest.raises(UserError, match="another glove"):
        augment(data, out, settings, glove=different, rows_per_shard=3)
    full = tmp_path / "full"
    full.mkdir()
    (full / "letters.txt").write_text("mine")
    with pytest.raises(UserError, match=r"holds other files \(letters.txt\)"):
        augment(data, full, settings, glove=glove_file)


def test_damage_is_refused(glove_file: Path, tmp_path: Path) -> None:
    data = task_data()
    made = augment(data, tmp_path / "out", Settings(copies=2), glove=glove_file, rows_per_shard=6)
    shard, manifest = made.folder / list(made.manifest.shards)[1], made.folder / "manifest.json"
    good, text = shard.read_bytes(), manifest.read_text()
    shard.write_bytes(good[:-1] + b"x")
    with pytest.raises(UserError, match="is not the file that was written"):
        Augmentation.load(made.folder)
    shard.unlink()
    with pytest.raises(UserError, match=f"{shard.name} is missing"):
        Augmentation.load(made.folder)
    shard.write_bytes(good)
    Augmentation.load(made.folder)
    values = json.loads(text)
    values["shards"]["../secret.parquet"] = values["shards"].pop(shard.name)
    for damaged in (text[:-9], "[]", json.dumps(values), text.replace('"num_rows"', '"rows"', 1)):
        manifest.write_text(damaged)
        with pytest.raises(UserError, match="damaged"):
            Augmentation.load(made.folder)
    manifest.unlink()
    with pytest.raises(UserError, match="is not an augmentation: it has no manifest.json"):
        Augmentation.load(made.folder)


def test_it_belongs_to_exactly_its_training_data(glove_file: Path, tmp_path: Path) -> None:
    data = task_data()
    made = augment(data, tmp_path / "out", Settings(copies=2), glove=glove_file)
    made.check_made_from(data)
    relabelled = data.train.remove_columns("label").add_column("label", [1] * 11)
    for train in (relabelled, data.train.select(range(10)), data.train.select(range(10, -1, -1))):
        other = TaskData(task=data.task, train=train, dev=data.dev, source="made up")
        with pytest.raises(UserError, match="was made from other training data"):
            made.check_made_from(other)
    other_dev = TaskData(task=data.task, train=data.train, dev={}, source="made up")
    made.check_made_from(other_dev)


def test_a_plain_encoder_leaves_all_to_glove(
    tiny_backbone: Path, glove_file: Path, tmp_path: Path
) -> None:
    data, settings = task_data(rows=4), Settings(copies=3)
    plain = augment(data, tmp_path / "a", settings, glove=glove_file)
    made = augment(data, tmp_path / "b", settings, glove=glove_file, masked_lm=str(tiny_backbone))
    assert made.manifest.plan.masked_lm is None
    assert "has no masked-language-model head, so the candidates" in made.manifest.notices[0]
    assert "augmented without a masked language model" in plain.manifest.notices[0]
    assert "augmented with 15 word vectors" in plain.manifest.notices[1]
    assert rows_of(made, data.task) == rows_of(plain, data.task)


def test_a_masked_language_model_is_recorded_and_used(
    tiny_tokenizer_folder: Path, glove_file: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "tiny-mlm"
    make_hf("bert", "ForMaskedLM", dtype=torch.float32, vocab_size=200).save_pretrained(folder)
    for file in tiny_tokenizer_folder.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    data, settings = task_data(rows=5), Settings(copies=3)
    options = {"glove": glove_file, "masked_lm": str(folder), "rows_per_shard": 2}
    made = augment(data, tmp_path / "a", settings, **options)
    assert made.manifest.plan.masked_lm is not None
    assert made.manifest.plan.masked_lm.name == "tiny-mlm"
    # "saw" and "mouse" are no single pieces of that vocabulary.
    words = [word.text for row in data.train for word in eligible_words(row["sentence"])]
    several = sum(word in ("saw", "mouse") for word in words)
    assert several > 0
    assert made.manifest.num_words("masked_lm") == len(words) - several
    broken = tmp_path / "b"
    with pytest.raises(Cut):
        augment(data, broken, settings, **options, on_rows=cut_at(3))
    augment(data, broken, settings, **options)
    assert contents(broken) == contents(made.folder)
