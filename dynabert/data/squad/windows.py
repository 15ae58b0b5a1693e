"""Questions with their passages as windows that a model can read.

A passage may be longer than a model's input, so it is read through a window that moves on by
`doc_stride` tokens, the question in front each time (Devlin et al. 2019, run_squad.py; that stride is
the step, not the overlap). Questions about one passage share its tokens: a window is put together
when its batch is.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from dynabert.errors import UserError

MAX_QUESTION_TOKENS = 64  # as in BERT's code
DEFAULT_STRIDE = 128
CLS_POSITION = 0  # what a window without the answer points at


@dataclass(frozen=True, kw_only=True, eq=False)
class PairTemplate:
    """The special tokens around a question and its passage, as the backbone was pretrained to see them."""

    before: np.ndarray  # BERT: [CLS];  RoBERTa: <s>
    between: np.ndarray  # BERT: [SEP];  RoBERTa: </s></s>
    after: np.ndarray
    # Segment numbers of: before, question, between, passage, after; None where the tokenizer gives
    # none (RoBERTa).
    segments: tuple[int, int, int, int, int] | None

    @property
    def num_special(self) -> int:
        return len(self.before) + len(self.between) + len(self.after)

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> PairTemplate:
        """Read off an encoded pair."""
        encoded = tokenizer("a", "a")
        ids = np.asarray(encoded["input_ids"], np.int32)
        texts = np.array([-1 if text is None else text for text in encoded.sequence_ids()])
        (first,), (second,) = np.nonzero(texts == 0), np.nonzero(texts == 1)
        segments = None
        if "token_type_ids" in encoded:
            kinds = encoded["token_type_ids"]
            places = (0, first[0], first[-1] + 1, second[0], second[-1] + 1)
            segments = tuple(int(kinds[place]) for place in places)
        return cls(
            before=ids[: first[0]],
            between=ids[first[-1] + 1 : second[0]],
            after=ids[second[-1] + 1 :],
            segments=segments,  # type: ignore[arg-type]  # five of them
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Passage:
    """A text and its P tokens, without special ones."""

    text: str
    ids: np.ndarray  # (P,)
    offsets: np.ndarray  # (P, 2) first letter of each token, and the one after its last

    def tokens_of(self, start: int, end: int) -> tuple[int, int] | None:
        """First and last token of the letters start ... end - 1; None where no token spells them."""
        first = int(np.searchsorted(self.offsets[:, 1], start, side="right"))
        last = int(np.searchsorted(self.offsets[:, 0], end, side="left")) - 1
        return (first, last) if first <= last else None

    def letters_of(self, first: int, last: int) -> tuple[int, int]:
        """The first letter of a first token, and the one after the last of a last token.

        Marks that stand on that letter (Unicode's Mn) belong to it: uncased tokenizers leave them out of
        all tokens.
        """
        end = int(self.offsets[last, 1])
        while end < len(self.text) and unicodedata.category(self.text[end]) == "Mn":
            end += 1
        return int(self.offsets[first, 0]), end


@dataclass(frozen=True, kw_only=True, eq=False)
class EncodedWindows:
    """The W windows of N questions; those of one question stand together, in the passage's order."""

    template: PairTemplate
    questions: Sequence[np.ndarray]  # N times the question's token ids
    passages: Sequence[Passage]  # each text once
    passage_of: np.ndarray  # (N,)
    question_of: np.ndarray  # (W,) rising
    first_token: np.ndarray  # (W,) of the passage, that the window shows
    num_tokens: np.ndarray  # (W,) of the passage, that the window shows
    start_positions: np.ndarray  # (W,) where the first gold answer starts in the window
    end_positions: np.ndarray  # (W,) its last token; both `CLS_POSITION` where it is not inside
    gold: Sequence[tuple[str, ...]]  # N times the answers that count as right
    ids: Sequence[str]  # of the questions
    pad_token_id: int
    max_tokens: int
    doc_stride: int
    num_truncated: int  # questions that were cut

    def __len__(self) -> int:
        """How many windows there are: what a batch is made of."""
        return len(self.question_of)

    @property
    def num_examples(self) -> int:
        """How many questions there are: what is scored."""
        return len(self.questions)

    def passage_at(self, row: int) -> Passage:
        """The passage that a window is of."""
        return self.passages[self.passage_of[self.question_of[row]]]

    @cached_property
    def context_start(self) -> np.ndarray:
        """(W,) where in the window the passage begins."""
        around = len(self.template.before) + len(self.template.between)
        lengths = np.fromiter(map(len, self.questions), np.int64, self.num_examples)
        return np.asarray(lengths[self.question_of] + around)

    @property
    def lengths(self) -> np.ndarray:
        """(W,) tokens of each window, special tokens included."""
        return np.asarray(self.context_start + self.num_tokens + len(self.template.after))

    def batch(self, rows: Sequence[int]) -> dict[str, Tensor]:
        """The windows as tensors (B, S), S being the longest of them; positions (B,)."""
        longest = int(self.lengths[np.asarray(rows)].max())
        input_ids = np.full((len(rows), longest), self.pad_token_id, np.int64)
        segments = np.zeros((len(rows), longest), np.int64)
        template = self.template
        for place, row in enumerate(rows):
            question = self.question_of[row]
            first = self.first_token[row]
            shown = self.passage_at(row).ids[first : first + self.num_tokens[row]]
            asked = self.questions[question]
            parts = (template.before, asked, template.between, shown, template.after)
            ids = np.concatenate(parts)
            input_ids[place, : len(ids)] = ids
            if template.segments is not None:
                segments[place, : len(ids)] = np.repeat(template.segments, [*map(len, parts)])
        lengths = torch.from_numpy(self.lengths[np.asarray(rows)])
        batch = {
            "input_ids": torch.from_numpy(input_ids),
            "attention_mask": (torch.arange(longest)[None] < lengths[:, None]).long(),
            "start_positions": torch.from_numpy(self.start_positions[np.asarray(rows)]),
            "end_positions": torch.from_numpy(self.end_positions[np.asarray(rows)]),
        }
        if template.segments is not None:
            batch["token_type_ids"] = torch.from_numpy(segments)
        return batch

    def batches(self, order: Sequence[Sequence[int]]) -> Iterator[dict[str, Tensor]]:
        """One batch for each list of windows."""
        return (self.batch(rows) for rows in order)

    def rows_of(self, examples: np.ndarray) -> np.ndarray:
        """All windows of some questions."""
        first = np.searchsorted(self.question_of, examples, side="left")
        last = np.searchsorted(self.question_of, examples, side="right")
        return np.concatenate([np.arange(a, b) for a, b in zip(first, last, strict=True)])

    def select(self, examples: np.ndarray) -> EncodedWindows:
        """The windows of some questions alone, in the order of `examples`."""
        rows = self.rows_of(examples)
        place = np.zeros(self.num_examples, np.int64)
        place[examples] = np.arange(len(examples))
        return replace(
            self,
            questions=[self.questions[n] for n in examples],
            passage_of=self.passage_of[examples],
            question_of=place[self.question_of[rows]],
            first_token=self.first_token[rows],
            num_tokens=self.num_tokens[rows],
            start_positions=self.start_positions[rows],
            end_positions=self.end_positions[rows],
            gold=[self.gold[n] for n in examples],
            ids=[self.ids[n] for n in examples],
        )

    @property
    def notice(self) -> str | None:
        """What to tell the user about what no window shows, if anything."""
        said = []
        if self.num_truncated:
            said.append(
                f"{self.num_truncated:,} of {self.num_examples:,} questions were cut, to leave room for "
                "their passages"
            )
        if num_hidden := self.num_hidden:
            said.append(
                f"no window shows the whole answer of {num_hidden:,} of {self.num_examples:,} "
                "questions, which are trained as if there were none (a larger max_tokens or a "
                "smaller doc_stride shows more)"
            )
        return "; ".join(said) or None

    @property
    def num_hidden(self) -> int:
        """Questions whose first gold answer is in none of their windows."""
        answered = self.question_of[self.start_positions != CLS_POSITION]
        return self.num_examples - len(np.unique(answered))


def encode_windows(
    split: Dataset | Mapping[str, Sequence[Any]],
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_tokens: int,
    doc_stride: int = DEFAULT_STRIDE,
) -> EncodedWindows:
    """Tokenize questions and passages (as from `dynabert.data.squad.read_squad`) and cut windows.

    max_tokens: longest window, special tokens included. A question may have `MAX_QUESTION_TOKENS` of
        them, and at most half.
    doc_stride: tokens of the passage by which one window is ahead of the one before. Where a window
        shows fewer, it moves on by those, so that no token is left out.

    Raises:
        UserError: max_tokens leaves no room for text, or a stride below 1.
    """
    template = PairTemplate.of(tokenizer)
    fewest = template.num_special + 2
    if max_tokens < fewest:
        raise UserError(f"max_tokens must be at least {fewest} for questions, got {max_tokens}.")
    if doc_stride < 1:
        raise UserError(f"doc_stride must be at least 1, got {doc_stride}.")
    longest = longest_question(template, max_tokens)

    questions = [
        np.asarray(ids, np.int32) for ids in _tokenized(tokenizer, list(split["question"]))
    ]
    num_truncated = sum(len(ids) > longest for ids in questions)
    questions = [ids[:longest] for ids in questions]
    places: dict[str, int] = {}  # of each text in `passages`
    passage_of = np.array([places.setdefault(text, len(places)) for text in split["context"]])
    passages = _passages(tokenizer, list(places))

    windows = []  # question, first token, number of tokens, start and end position
    gold = []
    for number, answers in enumerate(split["answers"]):
        gold.append(tuple(answers["text"]))
        passage, asked = passages[passage_of[number]], len(questions[number])
        start, text = answers["answer_start"][0], answers["text"][0]
        answer = passage.tokens_of(start, start + len(text))
        room = max_tokens - template.num_special - asked
        before = len(template.before) + asked + len(template.between)
        for first in _firsts(len(passage.ids), room, doc_stride):
            shown = min(room, len(passage.ids) - first)
            span = (CLS_POSITION, CLS_POSITION)
            if answer is not None and first <= answer[0] and answer[1] < first + shown:
                span = (before + answer[0] - first, before + answer[1] - first)
            windows.append((number, first, shown, *span))
    question_of, first_token, num_tokens, starts, ends = np.array(windows, np.int64).T.copy()
    return EncodedWindows(
        template=template,
        questions=questions,
        passages=passages,
        passage_of=passage_of,
        question_of=question_of,
        first_token=first_token,
        num_tokens=num_tokens,
        start_positions=starts,
        end_positions=ends,
        gold=gold,
        ids=list(split["id"]),
        pad_token_id=int(tokenizer.pad_token_id),
        max_tokens=max_tokens,
        doc_stride=doc_stride,
        num_truncated=num_truncated,
    )


def longest_question(template: PairTemplate, max_tokens: int) -> int:
    """How many tokens of a question a window of max_tokens shows."""
    return min(MAX_QUESTION_TOKENS, (max_tokens - template.num_special) // 2)


def _firsts(total: int, room: int, doc_stride: int) -> range:
    """The first token of each window over `total` tokens; every token is in one."""
    step = min(doc_stride, room)
    moves = -(-max(0, total - room) // step)
    return range(0, moves * step + 1, step)


def _tokenized(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> list[list[int]]:
    ids: list[list[int]] = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
    return ids


def _passages(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> list[Passage]:
    encoded = tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    return [
        Passage(
            text=text,
            ids=np.asarray(encoded["input_ids"][number], np.int32),
            offsets=np.asarray(encoded["offset_mapping"][number], np.int32).reshape(-1, 2),
        )
        for number, text in enumerate(texts)
    ]
