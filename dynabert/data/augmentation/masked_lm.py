"""What a masked language model would put in a word's place."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Self

import torch
import transformers
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from dynabert.backbones import find_backbone, load_tokenizer
from dynabert.data.augmentation.words import Word
from dynabert.errors import BROKEN_FILES, UserError, first_line
from dynabert.modeling.conversion import (
    check_source,
    elastic_config,
    has_masked_lm_head,
    stored_config,
)

MASKS_AT_ONCE = 64  # of one text, in one forward pass
_TEXTS_KEPT = (
    100_000  # texts whose candidates are remembered: the same text often stands in several rows
)

_HEADS = {"bert": "cls", "roberta": "lm_head"}  # the module that is the head
_CLASSES = {"bert": "BertForMaskedLM", "roberta": "RobertaForMaskedLM"}


class MaskedLanguageModel:
    """A BERT or RoBERTa with the head it was pretrained with."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        if tokenizer.mask_token_id is None:
            raise UserError("the masked language model's tokenizer knows no mask token.")
        self.model, self.tokenizer = model.eval(), tokenizer
        self.head: nn.Module = getattr(model, _HEADS[model.config.model_type])
        self.max_tokens = elastic_config(model.config).max_tokens
        self._tokens = list(tokenizer.convert_ids_to_tokens(list(range(len(tokenizer)))))
        self._special = frozenset(tokenizer.all_special_ids)
        self._found: OrderedDict[tuple[str, int], list[tuple[str, ...] | None]] = OrderedDict()

    @classmethod
    def load(cls, name: str, device: torch.device | str = "cpu") -> Self | None:
        """The model of a folder or hub id; None where it is an encoder without that head.

        Raises:
            UserError: it is not there, damaged, no BERT or RoBERTa, or its weights are not
            safetensors.
        """
        folder = find_backbone(name)
        check_source(folder)
        if not has_masked_lm_head(folder):
            return None
        model = _load(folder, _CLASSES[stored_config(folder).model_type])
        model.to(device=device)  # type: ignore[call-arg]  # HF's wrapper
        return cls(model, load_tokenizer(folder))

    def candidates(
        self, text: str, words: Sequence[Word], count: int
    ) -> list[tuple[str, ...] | None]:
        """For each of the text's words the likeliest in its place, the likeliest first.

        None for a word that is not exactly one piece of the vocabulary, or beyond what the model
        reads. The model sees the text with that one word masked, then the whole text: [CLS] masked [SEP]
        original [SEP], as the official code has it. Of its `count` best pieces those that only
        continue a word ("##ing") are left out, and so are special tokens.

        All masks of a text, and nothing else, go through the model together. So what is found does
        not depend on which other texts there are, nor on what was computed before.
        """
        key = (text, count)
        if key not in self._found:
            self._found[key] = self._find(text, words, count)
            if len(self._found) > _TEXTS_KEPT:
                self._found.popitem(last=False)
        return self._found[key]

    def _find(self, text: str, words: Sequence[Word], count: int) -> list[tuple[str, ...] | None]:
        encoded = self.tokenizer(
            text, text, truncation=True, max_length=self.max_tokens, return_offsets_mapping=True
        )
        ids: list[int] = encoded["input_ids"]
        places = _single_pieces(text, encoded["offset_mapping"], encoded.sequence_ids(0))
        found: list[tuple[str, ...] | None] = [None] * len(words)
        masked = [
            (number, place)
            for number, word in enumerate(words)
            if (place := places.get((word.start, word.end))) is not None
            and ids[place] not in self._special  # an unknown word is one piece, but says nothing
        ]
        for start in range(0, len(masked), MASKS_AT_ONCE):
            part = masked[start : start + MASKS_AT_ONCE]
            best = self._best(encoded, [place for _, place in part], count)
            for (number, place), pieces in zip(part, best, strict=True):
                found[number] = self._spelled(pieces, instead_of=ids[place])
        return found

    @torch.inference_mode()
    def _best(
        self, encoded: transformers.BatchEncoding, places: list[int], count: int
    ) -> list[list[int]]:
        """For each place (P of them) the ids of the `count` pieces of the highest score there."""
        device, rows = self.model.device, torch.arange(len(places))
        ids = torch.tensor(encoded["input_ids"]).repeat(len(places), 1)  # (P, S)
        ids[rows, places] = self.tokenizer.mask_token_id
        inputs = {"input_ids": ids.to(device), "attention_mask": torch.ones_like(ids).to(device)}
        if "token_type_ids" in encoded:
            types = torch.tensor(encoded["token_type_ids"]).repeat(len(places), 1)
            inputs["token_type_ids"] = types.to(device)
        hidden = self.model.base_model(**inputs)[0]  # (P, S, D)
        scores = self.head(hidden[rows, places])  # (P, vocabulary): nothing is predicted elsewhere
        best: list[list[int]] = scores.topk(min(count, scores.shape[-1])).indices.tolist()
        return best

    def _spelled(self, pieces: Sequence[int], *, instead_of: int) -> tuple[str, ...]:
        """The words that pieces are; without those that are none."""
        known = (piece for piece in pieces if piece < len(self._tokens))
        spelled = (
            self._spell(self._tokens[piece], self._tokens[instead_of])
            for piece in known
            if piece not in self._special
        )
        return tuple(word for word in spelled if word)

    def _spell(self, token: str, instead_of: str) -> str | None:
        if self.model.config.model_type == "bert":
            return None if token.startswith("##") else token
        # RoBERTa writes the space into the piece: the new one has it where the old one had it. Without it,
        # after a space, it would continue the word before.
        if token.startswith("Ġ") != instead_of.startswith("Ġ"):
            return None
        word = self.tokenizer.convert_tokens_to_string([token]).strip()
        return None if "\ufffd" in word else word  # part of a character


def _single_pieces(
    text: str, offsets: Sequence[tuple[int, int]], sequence_ids: Sequence[int | None]
) -> dict[tuple[int, int], int]:
    """By the stretch of text that each token of the first sequence covers: where the token stands."""
    places = {}
    for place, ((start, end), sequence) in enumerate(zip(offsets, sequence_ids, strict=True)):
        if sequence == 0:
            while start < end and text[start].isspace():  # some tokenizers count the space before
                start += 1
            places[start, end] = place
    return places


def _load(folder: str, class_name: str) -> PreTrainedModel:
    try:
        model, told = getattr(transformers, class_name).from_pretrained(
            folder,
            use_safetensors=True,
            local_files_only=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except BROKEN_FILES as error:
        raise UserError(
            f"cannot load the masked language model {folder}: {first_line(error)}"
        ) from error
    if told["missing_keys"]:
        raise UserError(
            f"the masked language model {folder} lacks weights: {min(told['missing_keys'])}; "
            "get a whole copy of it."
        )
    return model
