"""Plain text for masked language modelling: cut into rows, and masked anew whenever it is read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from dynabert.data.ragged import RaggedRows
from dynabert.errors import UserError
from dynabert.labels import IGNORED_LABEL

MASKED_SHARE, RANDOM_SHARE = 0.8, 0.1  # of the chosen tokens; the rest stays as it is
CHARACTERS_AT_ONCE = 1_000_000  # in the tokenizer
LONGEST_LINE = 100_000  # characters; a file without line ends is cut at spaces

Batch = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Masking:
    """Which tokens are to be found out, and what stands in their place. BERT (1810.04805), Sec. 3.1.

    Of every text a share of the tokens is chosen, one at least and no special ones. Of those 80 % become
    the mask token, 10 % any other, and 10 % stay.
    """

    mask_token_id: int
    ordinary_ids: np.ndarray  # the pieces of the vocabulary that are no special tokens
    share: float = 0.15

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise UserError(
                f"the share of masked tokens must lie between 0 and 1, got {self.share}."
            )

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, share: float = 0.15) -> Masking:
        """With a tokenizer's mask token.

        Raises:
            UserError: it has none, or the share is out of range.
        """
        if tokenizer.mask_token_id is None:
            raise UserError("the backbone's tokenizer knows no mask token.")
        special = np.asarray(tokenizer.all_special_ids)
        ordinary = np.setdiff1d(np.arange(len(tokenizer)), special)
        return cls(mask_token_id=tokenizer.mask_token_id, ordinary_ids=ordinary, share=share)

    def apply(
        self, input_ids: Tensor, attention_mask: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Masked ids and labels, (B, S) each; labels are `IGNORED_LABEL` where nothing is asked."""
        ordinary = torch.from_numpy(self.ordinary_ids)
        may_be = attention_mask.bool() & torch.isin(input_ids, ordinary)
        order = torch.rand(input_ids.shape, generator=generator).masked_fill(~may_be, 2.0)
        wanted = (may_be.sum(1) * self.share).round().long().clamp(min=1)
        rank = order.argsort(dim=1).argsort(dim=1)
        chosen = (rank < wanted[:, None]) & may_be
        fate = torch.rand(input_ids.shape, generator=generator)
        others = ordinary[torch.randint(len(ordinary), input_ids.shape, generator=generator)]
        masked = input_ids.masked_fill(chosen & (fate < MASKED_SHARE), self.mask_token_id)
        swapped = chosen & (fate >= MASKED_SHARE) & (fate < MASKED_SHARE + RANDOM_SHARE)
        return torch.where(swapped, others, masked), input_ids.masked_fill(~chosen, IGNORED_LABEL)


@dataclass(frozen=True, kw_only=True)
class MaskedSplit:
    """Rows of text. The same rows together are always masked alike; in other company otherwise.

    So an epoch, which puts rows together anew, asks for other tokens (as RoBERTa does), and one that goes
    on after a stop asks for the same ones as if it had not stopped. Only rows that meet again in the same
    order, which takes a text so short that few rows are equally long, are asked the same again.
    """

    input_ids: RaggedRows
    masking: Masking
    pad_token_id: int
    seed: int = 0

    def __len__(self) -> int:
        return len(self.input_ids)

    @property
    def num_examples(self) -> int:
        return len(self)

    @property
    def lengths(self) -> np.ndarray:
        """(N,) tokens of each row, special tokens included."""
        return self.input_ids.lengths

    @property
    def notice(self) -> str | None:
        """What to tell the user about truncation: nothing, what is long is cut into rows."""
        return None

    def batch(self, rows: Sequence[int]) -> Batch:
        """The rows as tensors (B, S), S being the longest of them; labels (B, S)."""
        longest = max(len(self.input_ids[row]) for row in rows)
        ids = torch.full((len(rows), longest), self.pad_token_id)
        attention_mask = torch.zeros((len(rows), longest), dtype=torch.long)
        for place, row in enumerate(rows):
            known = torch.from_numpy(self.input_ids[row].astype(np.int64))
            ids[place, : len(known)] = known
            attention_mask[place, : len(known)] = 1
        generator = torch.Generator().manual_seed(_seed(self.seed, rows))
        masked, labels = self.masking.apply(ids, attention_mask, generator)
        return {"input_ids": masked, "attention_mask": attention_mask, "labels": labels}

    def batches(self, order: Sequence[Sequence[int]]) -> Iterator[Batch]:
        """One batch for each list of rows."""
        return (self.batch(rows) for rows in order)

    def rows_of(self, examples: np.ndarray) -> np.ndarray:
        """The rows of some examples: here the same."""
        return examples

    def select(self, rows: np.ndarray) -> MaskedSplit:
        """Some rows alone, in the order of `rows`."""
        return replace(self, input_ids=_ragged([self.input_ids[int(row)] for row in rows]))


def _seed(seed: int, rows: Sequence[int]) -> int:
    digest = hashlib.sha256(np.asarray([seed, *rows], dtype=np.int64).tobytes()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def read_text(
    paths: Sequence[Path],
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_tokens: int,
    on_read: Callable[[int, int], None] | None = None,
) -> RaggedRows:
    """Rows of at most max_tokens tokens, special tokens included, from UTF-8 text files or folders of .txt.

    A line is a paragraph or a sentence. Whole lines of a file are put together as long as they fit; one
    that is longer is cut into pieces. Empty lines count for nothing.

    on_read: called with the number of characters read so far, and about how many there are (bytes).

    Raises:
        UserError: a file is missing or no text, there is no text at all, or max_tokens leaves no room.
    """
    room = max_tokens - tokenizer.num_special_tokens_to_add()
    if room < 1:
        raise UserError(f"max_tokens must leave room for text, got {max_tokens}.")
    before, after = _frame(tokenizer)
    special = set(tokenizer.all_special_ids)
    rows: list[np.ndarray] = []

    def keep(row: list[int]) -> None:
        if not special.issuperset(row):  # otherwise nothing could be asked there
            rows.append(np.asarray([*before, *row, *after], dtype=np.int32))

    files = _files(paths)
    read, total = 0, sum(path.stat().st_size for path in files)
    for path in files:
        row: list[int] = []
        for lines in _stretches(path):
            for ids in tokenizer(lines, add_special_tokens=False, verbose=False)["input_ids"]:
                if row and len(row) + len(ids) > room:
                    keep(row)
                    row = []
                row = row + ids
                full = max(0, len(row) - 1) // room * room
                for start in range(0, full, room):
                    keep(row[start : start + room])
                row = row[full:]
            read += sum(map(len, lines))
            if on_read is not None:
                on_read(read, total)
        keep(row)
    if not rows:
        raise UserError(f"there is no text in {', '.join(str(path) for path in paths)}.")
    return _ragged(rows)


def _ragged(rows: Sequence[np.ndarray]) -> RaggedRows:
    flat = np.concatenate(rows) if rows else np.zeros(0, dtype=np.int32)
    return RaggedRows(flat, np.cumsum([len(row) for row in rows], dtype=np.int64))


def _frame(tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """The special tokens before a text and after it."""
    framed: list[int] = tokenizer("a")["input_ids"]
    inside: list[int] = tokenizer("a", add_special_tokens=False)["input_ids"]
    start = next(
        place
        for place in range(len(framed))
        if framed[place : place + len(inside)] == inside  # always somewhere: only a frame is added
    )
    return framed[:start], framed[start + len(inside) :]


def text_fingerprint(paths: Sequence[Path]) -> str:
    """sha256 of what the files say, in order."""
    digest = hashlib.sha256()
    for path in _files(paths):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _files(paths: Sequence[Path]) -> list[Path]:
    found = []
    for path in paths:
        inside = [path]
        if path.is_dir():
            inside = sorted(one for one in path.rglob("*.txt") if one.is_file())
        if not inside or not path.exists():
            raise UserError(f"{path} is no text file, nor a folder with .txt files.")
        found += inside
    return found


def _stretches(path: Path) -> Iterator[list[str]]:
    """The lines of a file, some at a time."""
    try:
        with path.open(encoding="utf-8-sig") as file:  # some editors begin with a mark
            part: list[str] = []
            size = 0
            pieces = (piece.strip() for line in file for piece in _pieces(line))
            for piece in filter(None, pieces):
                part.append(piece)
                size += len(piece)
                if size >= CHARACTERS_AT_ONCE:
                    yield part
                    part, size = [], 0
            if part:
                yield part
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text.") from error


def _pieces(line: str) -> Iterator[str]:
    """A line, or of a very long one its parts, which end at spaces where there are any."""
    start = 0
    while len(line) - start > LONGEST_LINE:
        end = line.rfind(" ", start + 1, start + LONGEST_LINE)
        end = start + LONGEST_LINE if end < 0 else end
        yield line[start:end]
        start = end
    yield line[start:]
