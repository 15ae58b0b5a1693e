"""Batches are padded no further than their own longest, and lose no example."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st

from dynabert.backbones import load_tokenizer
from dynabert.data import EncodedSplit, bucketed_batches, encode, find_task, sorted_batches
from dynabert.errors import UserError

lengths = st.lists(st.integers(2, 60), min_size=1, max_size=300).map(np.array)


@given(lengths, st.integers(1, 40), st.integers(0, 5))
def test_every_row_once(sizes: np.ndarray, batch_size: int, seed: int) -> None:
    for batches in (
        bucketed_batches(sizes, batch_size, torch.Generator().manual_seed(seed)),
        sorted_batches(sizes, batch_size),
    ):
        rows = [row for batch in batches for row in batch]
        assert sorted(rows) == list(range(len(sizes)))
        assert sorted(map(len, batches))[1:] == [batch_size] * (len(batches) - 1)


def test_bucketing_saves_padding_and_shuffles() -> None:
    sizes = np.random.default_rng(0).integers(3, 60, 4000)
    first, again, other = (
        bucketed_batches(sizes, 32, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
    )
    assert first == again != other
    padded = sum(len(batch) * sizes[batch].max() for batch in first)
    assert padded / sizes.sum() < 1.05
    longest = [int(sizes[batch].max()) for batch in first]
    assert longest != sorted(longest)
    assert longest != sorted(longest, reverse=True)


@pytest.fixture
def split(tiny_tokenizer_folder: Path) -> EncodedSplit:
    data = Dataset.from_dict(
        {
            "sentence1": ["the cat", "a dog sat on the mat"],
            "sentence2": ["a dog", "the dog"],
            "label": [0, 1],
        }
    )
    return encode(data, find_task("rte"), load_tokenizer(tiny_tokenizer_folder), max_tokens=9)


def test_pairs_truncation_and_padding(split: EncodedSplit) -> None:
    assert split.lengths.tolist() == [7, 9]  # CLS + 2 + SEP + 2 + SEP; cut from 11
    assert split.num_truncated == 1
    assert split.notice == "1 of 2 examples are longer than 9 tokens and were cut"
    batch = split.batch([0, 1])
    assert batch["input_ids"].shape == (2, 9)
    assert batch["attention_mask"].sum(1).tolist() == [7, 9]
    assert batch["token_type_ids"].tolist() == [
        [0, 0, 0, 0, 1, 1, 1, 0, 0],
        [0, 0, 0, 0, 0, 0, 1, 1, 1],  # the longer text was cut
    ]
    assert batch["input_ids"][0, 7:].tolist() == [split.pad_token_id] * 2
    assert batch["labels"].tolist() == [0, 1]
    assert split.batch([0])["input_ids"].shape == (1, 7)


def test_too_few_tokens(tiny_tokenizer_folder: Path) -> None:
    data = Dataset.from_dict({"sentence": ["a"], "label": [0]})
    with pytest.raises(UserError, match="max_tokens must be at least 3 for cola, got 2"):
        encode(data, find_task("cola"), load_tokenizer(tiny_tokenizer_folder), max_tokens=2)
