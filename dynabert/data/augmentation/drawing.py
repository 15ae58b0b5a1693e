"""Drawing new texts: every word is replaced, or not, by chance."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from dynabert.data.augmentation.candidates import Choice


def row_random(seed: int, row: int) -> Random:
    """The random numbers of one row of the training data, whichever rows are drawn beside it."""
    return Random(f"{seed}/{row}")  # the same on every machine: Python promises it


def draw(
    text: str, choices: Sequence[Choice], random: Random, *, copies: int, threshold: float
) -> list[str]:
    """At most `copies` different new texts.

    Each of so many tries draws, for every word that has a choice, one of its options and a number from
    [0, 1), and replaces the word if that number is below the threshold. Texts that were drawn
    before, or are the original, are not taken twice, so there may be fewer. TinyBERT, the algorithm of
    its augmentation; the rest of the text, spaces and punctuation, stays as it is.
    """
    made = {text: None}  # in order, without duplicates
    for _ in range(copies):
        parts, done = [], 0
        for word, options, _ in choices:
            option = options[int(random.random() * len(options))]
            if random.random() < threshold:
                parts += [text[done : word.start], option]
                done = word.end
        made["".join([*parts, text[done:]])] = None
    return list(made)[1:]


def draw_row(
    texts: Sequence[str],
    choices: Sequence[Sequence[Choice]],
    random: Random,
    *,
    copies: int,
    threshold: float,
) -> list[tuple[str, ...]]:
    """New rows made from one of one or two texts: first varying the first text, then the second.

    The text that is not varied is the original. (The official script means that too, but
    while it varies the second text, the first one is the last of its variants.)
    """
    rows = []
    for number, (text, options) in enumerate(zip(texts, choices, strict=True)):
        for variant in draw(text, options, random, copies=copies, threshold=threshold):
            rows.append((*texts[:number], variant, *texts[number + 1 :]))
    return rows
