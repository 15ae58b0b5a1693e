"""Which words of a text may be replaced."""

from __future__ import annotations

from typing import NamedTuple

from tokenizers.pre_tokenizers import BertPreTokenizer

# Function words, whose exchange changes what a sentence says or whether it is one ("not", "every",
# "who"). The list is this project's own, by part of speech; contractions are cut at the apostrophe, so
# their two halves ("don" + "t") are here as well.
_FUNCTION_WORDS = {
    "articles and determiners": "a an the this that these those each every either neither some any all "
    "both half such another other others much many more most few fewer less several enough own same",
    "pronouns": "i me my mine myself we us our ours ourselves you your yours yourself yourselves he him "
    "his himself she her hers herself it its itself they them their theirs themselves one oneself who "
    "whom whose which what whoever whatever whichever someone somebody something anyone anybody "
    "anything everyone everybody everything nobody nothing none",
    "auxiliaries": "am is are was were be been being have has had having do does did doing done will "
    "would shall should can could may might must ought need dare used",
    "negations": "no not nor never cannot",
    "prepositions": "of in on at by for from to into onto with without within about above across after "
    "against along among around as before behind below beneath beside besides between beyond during "
    "except inside like near off out outside over past per since through throughout toward towards under "
    "until till up upon via down",
    "conjunctions": "and or but so yet if unless because although though while whereas whether than",
    "adverbs that point or bind": "when where why how here there then thus hence however again once "
    "ever only just too very also even still already quite rather almost further now",
    "halves of contractions": "ll ve re don doesn didn isn aren wasn weren hasn haven hadn won wouldn "
    "couldn shouldn mustn needn mightn shan ain",
}
STOP_WORDS = frozenset(word for words in _FUNCTION_WORDS.values() for word in words.split())

_split = BertPreTokenizer()  # at spaces and around every punctuation mark: BERT's basic tokens


class Word(NamedTuple):
    """A word of a text, and where it stands: `text[start:end]`."""

    text: str
    start: int
    end: int


def eligible_words(text: str) -> list[Word]:
    """The words of a text that may be replaced, from left to right.

    They are made of letters alone, are longer than one letter (initials, "s" after an apostrophe) and
    no function words.
    """
    return [
        Word(word, start, end)
        for word, (start, end) in _split.pre_tokenize_str(text)
        if len(word) > 1 and word.isalpha() and word.lower() not in STOP_WORDS
    ]


def cased_like(candidate: str, word: str) -> str:
    """The candidate with a capital first letter where the word has only that one ("Paris", "The")."""
    if word[:1].isupper() and word[1:].islower():
        return candidate[:1].upper() + candidate[1:]
    return candidate
