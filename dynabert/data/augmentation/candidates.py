"""What may replace each word of a text: from the masked language model, else from GloVe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from dynabert.data.augmentation.glove import WordVectors
from dynabert.data.augmentation.masked_lm import MaskedLanguageModel
from dynabert.data.augmentation.words import Word, cased_like, eligible_words

Origin = Literal["masked_lm", "glove", "none"]


class Choice(NamedTuple):
    """A word of a text and what may stand there; the word itself, if nothing else was found."""

    word: Word
    options: tuple[str, ...]  # never empty
    origin: Origin


@dataclass(frozen=True)
class Candidates:
    """Finds the candidates of TinyBERT's augmentation algorithm.

    A word that is one piece of the masked language model's vocabulary gets the words the model
    finds likeliest in its place; every other word, and without such a model every word, gets its
    nearest neighbours among the GloVe vectors.
    """

    vectors: WordVectors
    masked_lm: MaskedLanguageModel | None
    count: int  # M, of each word

    def of(self, texts: Iterable[str]) -> Iterator[list[Choice]]:
        """For each text the choices for its eligible words, from left to right."""
        texts = list(texts)
        words = [eligible_words(text) for text in texts]
        predicted = [self._predicted(text, found) for text, found in zip(texts, words, strict=True)]
        left = {
            word.text
            for found, options in zip(words, predicted, strict=True)
            for word, option in zip(found, options, strict=True)
            if option is None
        }
        names = sorted(left)
        near = dict(zip(names, self.vectors.nearest(names, self.count), strict=True))
        for found, options in zip(words, predicted, strict=True):
            yield [
                _choice(word, near[word.text], "glove")
                if option is None
                else _choice(word, option, "masked_lm")
                for word, option in zip(found, options, strict=True)
            ]

    def _predicted(self, text: str, words: list[Word]) -> list[tuple[str, ...] | None]:
        if self.masked_lm is None or not words:
            return [None] * len(words)
        return self.masked_lm.candidates(text, words, self.count)


def count_origins(choices: Iterable[Iterable[Choice]]) -> Counter[str]:
    """How many words got their candidates from where."""
    return Counter(choice.origin for of_text in choices for choice in of_text)


def _choice(word: Word, options: tuple[str, ...], origin: Origin) -> Choice:
    if not options:
        return Choice(word, (word.text,), "none")
    return Choice(word, tuple(cased_like(option, word.text) for option in options), origin)
