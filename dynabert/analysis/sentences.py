"""A set of sentences to look at heads by: their tokens, and which tokens are linked by grammar."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from dynabert.analysis.attention_maps import in_original_places
from dynabert.data.encoding import sorted_batches
from dynabert.data.teaching import Link, LinkKind, generate_teaching_set
from dynabert.errors import UserError
from dynabert.modeling.models import TaskModel
from dynabert.subnet import Subnet, check_keeps_all_tokens

_BATCH_SIZE = 32


@dataclass(frozen=True, kw_only=True)
class TokenLink:
    """A syntactic link between the tokens of two words; see `dynabert.data.teaching.Link`."""

    kind: LinkKind
    head: tuple[int, ...]
    dependent: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Sentence:
    """One sentence as the model reads it."""

    text: str
    input_ids: tuple[int, ...]
    special: np.ndarray  # (S,) whether a token is [CLS] or [SEP] (RoBERTa: <s>, </s>)
    punctuation: np.ndarray  # (S,)
    links: tuple[TokenLink, ...]

    def __len__(self) -> int:
        return len(self.input_ids)

    @property
    def words(self) -> np.ndarray:
        """(S,) neither special nor punctuation."""
        return ~self.special & ~self.punctuation


def read_sentences(
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    links: Sequence[Sequence[Link]] | None = None,
    *,
    max_tokens: int,
) -> list[Sentence]:
    """Sentences with their tokens; a link is given to all tokens that its words are spelled by.

    links: of each text, by character offsets.

    Raises:
        UserError: no text, one without a token, or one of more than max_tokens tokens.
    """
    if not texts or not all(text.strip() for text in texts):
        raise UserError(f"give at least one sentence, and none that is empty; got {list(texts)!r}.")
    encoded = tokenizer(
        list(texts),
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
        verbose=False,
    )
    longest = max(map(len, encoded["input_ids"]))
    if longest > max_tokens:
        raise UserError(f"sentences may have {max_tokens} tokens here, one has {longest}.")
    sentences = []
    for row, text in enumerate(texts):
        offsets = encoded["offset_mapping"][row]
        special = np.array(encoded["special_tokens_mask"][row], dtype=bool)
        if special.all():
            raise UserError(f"there is nothing to read in {text!r}.")

        def tokens(
            span: tuple[int, int], offsets: list[tuple[int, int]] = offsets
        ) -> tuple[int, ...]:
            start, end = span
            return tuple(n for n, (a, b) in enumerate(offsets) if a < end and start < b)

        sentences.append(
            Sentence(
                text=text,
                input_ids=tuple(encoded["input_ids"][row]),
                special=special,
                punctuation=np.array(
                    [
                        not is_special and _is_punctuation(text[a:b])
                        for (a, b), is_special in zip(offsets, special, strict=True)
                    ]
                ),
                links=tuple(
                    TokenLink(
                        kind=link.kind, head=tokens(link.head), dependent=tokens(link.dependent)
                    )
                    for link in (links[row] if links else ())
                ),
            )
        )
    return sentences


def cut_to_fit(tokenizer: PreTrainedTokenizerBase, text: str, max_tokens: int) -> tuple[str, int]:
    """As much of a text as has at most max_tokens tokens, special ones included; how many were cut."""
    whole = tokenizer(
        text, return_offsets_mapping=True, return_special_tokens_mask=True, verbose=False
    )
    num_tokens = len(whole["input_ids"])
    if num_tokens <= max_tokens:
        return text, 0
    special = whole["special_tokens_mask"]
    ends = [
        end
        for (_, end), is_special in zip(whole["offset_mapping"], special, strict=True)
        if not is_special
    ]
    # A character may be several tokens, and stays whole: the text that ends with it is longer then.
    for place in range(max_tokens - sum(special) - 1, -1, -1):
        short = text[: ends[place]]
        if (left := len(tokenizer(short, verbose=False)["input_ids"])) <= max_tokens:
            return short, num_tokens - left
    return "", num_tokens - sum(special)


def teaching_sentences(
    tokenizer: PreTrainedTokenizerBase, number: int = 192, *, seed: int = 0, max_tokens: int = 128
) -> list[Sentence]:
    """Acceptable dev sentences of the teaching set, evenly from all of it, with their gold links.

    Fewer than `number` where not so many have at most max_tokens tokens.

    Raises:
        UserError: number is not positive, or no sentence is so short.
    """
    if number < 1:
        raise UserError(f"number must be at least 1, got {number}.")
    known = [example for example in generate_teaching_set(seed).dev if example.label == 1]
    encoded = tokenizer([example.sentence for example in known], verbose=False)
    short = [
        example
        for example, ids in zip(known, encoded["input_ids"], strict=True)
        if len(ids) <= max_tokens
    ]
    if not short:
        raise UserError(f"no sentence of the teaching set has at most {max_tokens} tokens.")
    number = min(number, len(short))
    chosen = [short[place * len(short) // number] for place in range(number)]
    return read_sentences(
        tokenizer,
        [example.sentence for example in chosen],
        [example.links for example in chosen],
        max_tokens=max_tokens,
    )


@torch.inference_mode()
def attention_of(
    model: TaskModel, sentences: Sequence[Sentence], subnet: Subnet
) -> list[np.ndarray]:
    """The attention maps (L, H, S, S) of a sub-network in each sentence, in their order.

    Layers and heads are numbered as in the network the model was made from; NaN where one is gone.

    Raises:
        UserError: a sub-network that drops tokens.
    """
    check_keeps_all_tokens(subnet.resolve(model.config.shape), "Functions of heads")
    maps: dict[int, np.ndarray] = {}
    for rows in sorted_batches(np.array([len(sentence) for sentence in sentences]), _BATCH_SIZE):
        for row, found in zip(
            rows, _batch_maps(model, [sentences[row] for row in rows], subnet), strict=True
        ):
            maps[row] = found
    return [maps[row] for row in range(len(sentences))]


def _batch_maps(
    model: TaskModel, sentences: list[Sentence], subnet: Subnet
) -> Iterator[np.ndarray]:
    longest = max(map(len, sentences))
    input_ids = torch.full((len(sentences), longest), model.config.pad_token_id or 0)
    mask = torch.zeros((len(sentences), longest), dtype=torch.long)
    for row, sentence in enumerate(sentences):
        input_ids[row, : len(sentence)] = torch.tensor(sentence.input_ids)
        mask[row, : len(sentence)] = 1
    out = model(
        input_ids=input_ids.to(model.device),
        attention_mask=mask.to(model.device),
        subnet=subnet,
        output_attentions=True,
    )
    placed = in_original_places(model, subnet, out.attentions)
    for sentence, maps in zip(sentences, placed, strict=True):
        yield maps[:, :, : len(sentence), : len(sentence)]


def _is_punctuation(text: str) -> bool:
    text = text.strip()
    return bool(text) and all(unicodedata.category(letter)[0] == "P" for letter in text)
