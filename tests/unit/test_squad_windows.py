"""Windows over passages: no token is left out, and gold positions decode to the gold answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from squad_tokenizers import roberta_tokenizer
from transformers import PreTrainedTokenizerBase

from dynabert.backbones import load_tokenizer
from dynabert.data import EncodedWindows
from dynabert.data.squad import encode_windows
from dynabert.data.squad.windows import Passage
from dynabert.errors import UserError

WORDS = st.sampled_from(
    [
        "the",
        "cat",
        "dog",
        "good",
        "zebra,",
        "(red)",
        "café",
        "naïve!",
        "日本",
        "a-b",
        "x" * 9,
        "é",
        "cafe\u0301",
    ]
)


@pytest.fixture(scope="module")
def tokenizers(
    tiny_tokenizer_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, PreTrainedTokenizerBase]:
    return {
        "bert": load_tokenizer(tiny_tokenizer_folder),
        "roberta": roberta_tokenizer(tmp_path_factory.mktemp("roberta")),
    }


def text_of(passage: Passage, first: int, last: int) -> str:
    return passage.text[slice(*passage.letters_of(first, last))]


def as_split(rows: list[tuple[str, str, int, str]]) -> Dataset:
    """Rows of question, passage, and where which answer begins."""
    return Dataset.from_dict(
        {
            "id": [str(number) for number in range(len(rows))],
            "question": [row[0] for row in rows],
            "context": [row[1] for row in rows],
            "answers": [{"text": [row[3]], "answer_start": [row[2]]} for row in rows],
        }
    )


@st.composite
def splits(draw: st.DrawFn) -> Dataset:
    """Questions whose answers are whole words of their passage."""
    rows = []
    for _ in range(draw(st.integers(1, 3))):
        words = draw(st.lists(WORDS, min_size=1, max_size=40))
        first = draw(st.integers(0, len(words) - 1))
        last = draw(st.integers(first, min(first + 3, len(words) - 1)))
        start = len(" ".join(words[:first])) + (first > 0)
        question = " ".join(draw(st.lists(WORDS, min_size=1, max_size=30)))
        rows.append((question, " ".join(words), start, " ".join(words[first : last + 1])))
    return as_split(rows)


@settings(max_examples=80, deadline=None)
@given(splits(), st.sampled_from(["bert", "roberta"]), st.integers(8, 60), st.integers(1, 80))
def test_windows_cover_the_passage_and_gold_positions_are_the_answer(
    tokenizers, split: Dataset, kind: str, max_tokens: int, doc_stride: int
) -> None:
    tokenizer = tokenizers[kind]
    windows = encode_windows(split, tokenizer, max_tokens=max_tokens, doc_stride=doc_stride)
    assert windows.lengths.max() <= max_tokens
    ids = windows.batch(range(len(windows)))["input_ids"]
    for number, row in enumerate(split):
        own = np.flatnonzero(windows.question_of == number)
        passage = windows.passages[windows.passage_of[number]]
        whole = tokenizer(row["context"], add_special_tokens=False)["input_ids"]
        seen: set[int] = set()
        found = 0
        for window in own:
            first, shown = windows.first_token[window], windows.num_tokens[window]
            seen |= set(range(first, first + shown))
            begin = windows.context_start[window]
            assert ids[window, begin : begin + shown].tolist() == whole[first : first + shown]
            start, end = windows.start_positions[window], windows.end_positions[window]
            if start:
                assert begin <= start <= end < begin + shown
                moved = first - begin
                assert text_of(passage, start + moved, end + moved) == row["answers"]["text"][0]
                found += 1
            else:
                assert end == 0
        assert seen == set(range(len(whole)))
        gold = passage.tokens_of(
            row["answers"]["answer_start"][0],
            row["answers"]["answer_start"][0] + len(row["answers"]["text"][0]),
        )
        inside = [
            windows.first_token[w] <= gold[0]
            and gold[1] < windows.first_token[w] + windows.num_tokens[w]
            for w in own
        ]
        assert found == sum(inside)
        # Neighbours are doc_stride apart, and none is there for nothing.
        steps = np.diff(windows.first_token[own])
        assert (steps == np.minimum(doc_stride, windows.num_tokens[own[:-1]])).all()
        assert all((windows.first_token + windows.num_tokens)[own[:-1]] < len(whole))


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_a_pair_that_fits_is_read_as_the_tokenizer_joins_it(tokenizers, kind: str) -> None:
    tokenizer = tokenizers[kind]
    rows = [
        ("who is good ?", "the cat is good .", 4, "cat"),
        ("what ?", "the dog sat on the mat .", 4, "dog"),
    ]
    windows = encode_windows(as_split(rows), tokenizer, max_tokens=60)
    batch = windows.batch([1, 0])
    expected = tokenizer(
        [rows[1][0], rows[0][0]], [rows[1][1], rows[0][1]], padding=True, return_tensors="pt"
    )
    for name in expected:
        assert torch.equal(batch[name], expected[name]), name
    assert ("token_type_ids" in batch) == (kind == "bert")
    for place, text in ((0, "dog"), (1, "cat")):
        span = slice(batch["start_positions"][place], batch["end_positions"][place] + 1)
        assert tokenizer.decode(batch["input_ids"][place, span]).strip() == text


def test_an_answer_inside_a_word_takes_the_whole_token(tokenizers) -> None:
    windows = encode_windows(
        as_split([("who ?", "the cat sat", 5, "a")]), tokenizers["bert"], max_tokens=30
    )
    passage = windows.passages[0]
    start = windows.start_positions[0] - windows.context_start[0]
    assert text_of(passage, start, start) == "cat"


def test_a_long_question_leaves_room_and_is_told_of(tokenizers) -> None:
    rows = [("cat " * 90, "the dog sat", 4, "dog"), ("who ?", "the dog sat", 4, "dog")]
    windows = encode_windows(as_split(rows), tokenizers["bert"], max_tokens=200)
    assert list(map(len, windows.questions)) == [64, 2]
    assert windows.notice is not None
    assert windows.notice.startswith("1 of 2 questions were cut")
    small = encode_windows(as_split(rows), tokenizers["bert"], max_tokens=13)
    assert list(map(len, small.questions)) == [5, 2]
    assert len(small.passages) == 1  # tokenized once for both
    assert encode_windows(as_split(rows[1:]), tokenizers["bert"], max_tokens=200).notice is None


def test_an_answer_that_no_window_shows_is_told_of(tokenizers) -> None:
    passage = "the cat sat on the mat"
    rows = [("who ?", passage, 0, "the cat sat on the"), ("who ?", passage, 4, "cat")]
    small = encode_windows(as_split(rows), tokenizers["bert"], max_tokens=9, doc_stride=2)
    assert small.num_hidden == 1
    assert small.notice is not None
    assert small.notice.startswith("no window shows the whole answer of 1 of 2 questions")
    assert small.select(np.array([1])).notice is None
    large = encode_windows(as_split(rows), tokenizers["bert"], max_tokens=20)
    assert (large.num_hidden, large.notice) == (0, None)


def test_some_questions_alone(tokenizers) -> None:
    texts = ["the cat sat on the mat " * n for n in (1, 6, 3, 2)]
    rows = [("who ?", text, 4, "cat") for text in texts]
    windows = encode_windows(as_split(rows), tokenizers["bert"], max_tokens=16, doc_stride=4)
    examples = np.array([2, 1])
    rows_of = windows.rows_of(examples)
    assert windows.question_of[rows_of].tolist() == sorted(
        windows.question_of[np.isin(windows.question_of, examples)], reverse=True
    )
    part = windows.select(examples)
    assert isinstance(part, EncodedWindows)
    assert (part.num_examples, len(part)) == (2, len(rows_of))
    assert (np.diff(part.question_of) >= 0).all()
    whole, again = windows.batch(rows_of.tolist()), part.batch(range(len(part)))
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    assert [list(part.gold), list(part.ids)] == [[("cat",)] * 2, ["2", "1"]]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"max_tokens": 4}, "max_tokens must be at least 5 for questions, got 4"),
        ({"max_tokens": 20, "doc_stride": 0}, "doc_stride must be at least 1, got 0"),
    ],
)
def test_no_room(tokenizers, options: dict, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        encode_windows(as_split([("who ?", "the cat", 4, "cat")]), tokenizers["bert"], **options)
