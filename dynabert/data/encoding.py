"""Tokenized examples, and batches of them that are padded no further than their own longest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from dynabert.data.masked_text import MaskedSplit
from dynabert.data.ragged import RaggedRows
from dynabert.data.squad.windows import DEFAULT_STRIDE, EncodedWindows, encode_windows
from dynabert.data.tasks import Task
from dynabert.errors import UserError

Batch = dict[str, Tensor]
TokenRows = Sequence[Sequence[int]] | RaggedRows

# Batches are cut from stretches of this many batches' worth of shuffled examples, sorted by length:
# long enough that lengths within a batch are close, short enough that its company changes each
# epoch.
BUCKET_BATCHES = 50


@dataclass(frozen=True, kw_only=True)
class EncodedSplit:
    """Token ids of every example of a split; lists, not a tensor, because nothing is padded yet."""

    input_ids: TokenRows
    token_type_ids: TokenRows | None
    labels: np.ndarray  # (N,) class numbers, or float targets of a regression
    pad_token_id: int
    max_tokens: int
    num_truncated: int  # examples that were longer than max_tokens

    def __len__(self) -> int:
        return len(self.input_ids)

    @property
    def num_examples(self) -> int:
        """How many are scored; of `EncodedWindows`, which is used alike, fewer than there are rows."""
        return len(self)

    @property
    def lengths(self) -> np.ndarray:
        """(N,) tokens of each example, special tokens included."""
        if isinstance(self.input_ids, RaggedRows):
            return self.input_ids.lengths
        return np.fromiter(map(len, self.input_ids), dtype=np.int64, count=len(self))

    def batch(self, rows: Sequence[int]) -> Batch:
        """The rows as tensors (B, S), S being the longest of them; labels (B,)."""
        longest = max(len(self.input_ids[row]) for row in rows)
        input_ids = torch.full((len(rows), longest), self.pad_token_id)
        attention_mask = torch.zeros((len(rows), longest), dtype=torch.long)
        token_types = torch.zeros((len(rows), longest), dtype=torch.long)
        for place, row in enumerate(rows):
            ids = self.input_ids[row]
            input_ids[place, : len(ids)] = torch.tensor(ids)
            attention_mask[place, : len(ids)] = 1
            if self.token_type_ids is not None:
                token_types[place, : len(ids)] = torch.tensor(self.token_type_ids[row])
        batch = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "labels": torch.from_numpy(self.labels[np.asarray(rows)]),
        }
        if self.token_type_ids is not None:
            batch["token_type_ids"] = token_types
        return batch

    def batches(self, order: Sequence[Sequence[int]]) -> Iterator[Batch]:
        """One batch for each list of rows."""
        return (self.batch(rows) for rows in order)

    def rows_of(self, examples: np.ndarray) -> np.ndarray:
        """The rows of some examples: here the same."""
        return examples

    def select(self, examples: np.ndarray) -> EncodedSplit:
        """Some examples alone, in the order of `examples`."""
        types = self.token_type_ids
        return replace(
            self,
            input_ids=[self.input_ids[row] for row in examples],
            token_type_ids=None if types is None else [types[row] for row in examples],
            labels=self.labels[examples],
        )

    @property
    def notice(self) -> str | None:
        """What to tell the user about truncation, if anything."""
        if not self.num_truncated:
            return None
        return (
            f"{self.num_truncated:,} of {len(self):,} examples are longer than {self.max_tokens} tokens "
            "and were cut"
        )


Encoded = EncodedSplit | EncodedWindows | MaskedSplit


def encode_task(
    split: Dataset,
    task: Task,
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_tokens: int,
    doc_stride: int = DEFAULT_STRIDE,
) -> Encoded:
    """A split as the model of its task reads it: see `encode`, and of spans `encode_windows`."""
    if task.kind == "spans":
        return encode_windows(split, tokenizer, max_tokens=max_tokens, doc_stride=doc_stride)
    return encode(split, task, tokenizer, max_tokens=max_tokens)


def encode(
    split: Dataset, task: Task, tokenizer: PreTrainedTokenizerBase, *, max_tokens: int
) -> EncodedSplit:
    """Tokenize a split; pairs are joined as the backbone was pretrained to read them.

    max_tokens: longest input, special tokens included; longer ones are cut (of a pair, the longer
    text).

    Raises:
        UserError: max_tokens leaves no room for text.
    """
    # CLS, SEP and one token of each text.
    fewest = tokenizer.num_special_tokens_to_add(pair=len(task.text_columns) == 2) + len(
        task.text_columns
    )
    if max_tokens < fewest:
        raise UserError(f"max_tokens must be at least {fewest} for {task.name}, got {max_tokens}.")
    texts = [list(split[column]) for column in task.text_columns]
    # Tokenized whole and cut in a second pass over the few long ones: only so can they be counted.
    encoded = tokenizer(*texts, verbose=False)
    longer = [row for row, ids in enumerate(encoded["input_ids"]) if len(ids) > max_tokens]
    input_ids: list[Sequence[int]] = encoded["input_ids"]
    token_types: list[Sequence[int]] | None = encoded.get("token_type_ids")
    if longer:
        cut = tokenizer(
            *([column[row] for row in longer] for column in texts),
            truncation="longest_first",
            max_length=max_tokens,
        )
        for place, row in enumerate(longer):
            input_ids[row] = cut["input_ids"][place]
            if token_types is not None:
                token_types[row] = cut["token_type_ids"][place]
    return EncodedSplit(
        input_ids=input_ids,
        token_type_ids=token_types,
        labels=np.asarray(split["label"], dtype=np.float32 if task.is_regression else np.int64),
        pad_token_id=int(tokenizer.pad_token_id),
        max_tokens=max_tokens,
        num_truncated=len(longer),
    )


def joined(parts: Iterable[EncodedSplit]) -> EncodedSplit:
    """One split of all examples of all parts (one at least, of one task and tokenizer), in order.

    Each part is kept small as soon as it is there, so a part may be made when it is asked for.
    """
    small = [
        replace(
            part,
            input_ids=RaggedRows.of(part.input_ids),
            token_type_ids=RaggedRows.of(part.token_type_ids) if part.token_type_ids else None,
        )
        for part in parts
    ]
    token_types = [RaggedRows.of(part.token_type_ids) for part in small if part.token_type_ids]
    return replace(
        small[0],
        input_ids=RaggedRows.joined([RaggedRows.of(part.input_ids) for part in small]),
        token_type_ids=RaggedRows.joined(token_types) if token_types else None,
        labels=np.concatenate([part.labels for part in small]),
        num_truncated=sum(part.num_truncated for part in small),
    )


def bucketed_batches(
    lengths: np.ndarray, batch_size: int, generator: torch.Generator
) -> list[list[int]]:
    """Rows of every batch of one epoch: shuffled, yet of similar length within a batch.

    lengths: (N,).  Every row occurs once; the last batch may be smaller.
    """
    order = torch.randperm(len(lengths), generator=generator).numpy()
    stretch = BUCKET_BATCHES * batch_size
    rows = np.concatenate(
        [
            part[np.argsort(-lengths[part], kind="stable")]
            for part in np.split(order, range(stretch, len(order), stretch))
        ]
    )
    batches = [
        rows[start : start + batch_size].tolist() for start in range(0, len(rows), batch_size)
    ]
    shuffled = torch.randperm(len(batches), generator=generator).tolist()
    return [batches[number] for number in shuffled]


def drawn_rows(total: int, num_examples: int | None, seed: int) -> np.ndarray:
    """At most so many of the rows 0 ... total - 1, drawn without replacement; None takes all."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randperm(total, generator=generator)[:num_examples].numpy()


def sorted_batches(lengths: np.ndarray, batch_size: int) -> list[list[int]]:
    """Rows of batches by falling length: the least padding, for evaluation, where order is nothing."""
    rows = np.argsort(-lengths, kind="stable")
    return [rows[start : start + batch_size].tolist() for start in range(0, len(rows), batch_size)]
