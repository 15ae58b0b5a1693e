"""Writing the teaching set: how many sentences of what, and that none comes twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from dynabert.data.teaching.draw import Draw
from dynabert.data.teaching.phenomena import PHENOMENA, Phenomenon, Template
from dynabert.data.teaching.phrases import surroundings
from dynabert.data.teaching.sentence import Link, render
from dynabert.errors import UserError

Condition = Literal["seen", "held-out words", "held-out structure"]
"""How a sentence relates to the training sentences: words and structure are both known from there,
every content word is new, or the structure is."""

_DEV_SHARES: dict[Condition, float] = {
    "seen": 0.35,
    "held-out words": 0.40,
    "held-out structure": 0.25,
}
_SET_SIZE = 4  # a template writes two minimal pairs at a time
_MIN_TRAIN, _MAX_TRAIN = 200, 20_000
_MIN_DEV, _MAX_DEV = 160, 10_000
_MAX_TRIES = 200  # for one set of four; a template can write thousands


@dataclass(frozen=True, kw_only=True)
class TeachingExample:
    """One sentence. Both members of a minimal pair have the same `pair`, a number that no other
    pair of the teaching set has, in training and dev sentences together."""

    sentence: str
    label: int  # 1 acceptable, 0 not
    phenomenon: str
    condition: Condition
    template: str
    pair: int
    links: tuple[Link, ...]


@dataclass(frozen=True, kw_only=True)
class TeachingSet:
    """The examples, by phenomenon; a minimal pair stands together, the acceptable member first."""

    train: tuple[TeachingExample, ...]
    dev: tuple[TeachingExample, ...]


def generate_teaching_set(
    seed: int = 0, *, num_train: int = 8000, num_dev: int = 1560
) -> TeachingSet:
    """The teaching set of a seed: the same on every machine and every version of Python.

    Sentences come in fours (two minimal pairs), so both numbers are rounded down to a multiple of
    four. The phenomena have unequal shares of the training sentences, equal ones of the dev
    sentences.

    Raises:
        UserError: a negative seed, or a number of sentences that is too small or too large.
    """
    if seed < 0:
        raise UserError(f"seed must not be negative, got {seed}; for example 0.")
    _check_number("training", num_train, _MIN_TRAIN, _MAX_TRAIN)
    _check_number("dev", num_dev, _MIN_DEV, _MAX_DEV)
    writer = _Writer(Random(seed))
    phenomena = tuple(PHENOMENA.values())
    train_sets = _apportion(num_train // _SET_SIZE, [p.share for p in phenomena])
    dev_sets = _apportion(num_dev // _SET_SIZE, [1.0] * len(phenomena))
    train = [
        example
        for phenomenon, number in zip(phenomena, train_sets, strict=True)
        for example in writer.write(phenomenon, "seen", number, for_training=True)
    ]
    dev = [
        example
        for phenomenon, number in zip(phenomena, dev_sets, strict=True)
        for condition, part in zip(
            _DEV_SHARES, _apportion(number, list(_DEV_SHARES.values())), strict=True
        )
        for example in writer.write(phenomenon, condition, part)
    ]
    return TeachingSet(train=tuple(train), dev=tuple(dev))


def _check_number(what: str, number: int, low: int, high: int) -> None:
    if not low <= number <= high:
        raise UserError(
            f"the number of {what} sentences must be between {low} and {high}, got {number}."
        )


def _apportion(total: int, shares: Sequence[float]) -> list[int]:
    """Whole numbers that add up to `total`, near to the shares (largest remainders)."""
    exact = [total * share / sum(shares) for share in shares]
    parts = [int(number) for number in exact]
    by_remainder = sorted(range(len(shares)), key=lambda i: parts[i] - exact[i])
    for index in by_remainder[: total - sum(parts)]:
        parts[index] += 1
    return parts


class _Writer:
    """Writes sets of four and remembers every sentence, so that none is written twice."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._written: set[str] = set()
        self._pairs = 0

    def write(
        self,
        phenomenon: Phenomenon,
        condition: Condition,
        number: int,
        *,
        for_training: bool = False,
    ) -> Iterable[TeachingExample]:
        """`number` sets of four, from all templates of the condition."""
        held_out = condition == "held-out structure"
        templates = [t for t in phenomenon.templates if t.held_out == held_out]
        shares = [template.share if for_training else 1.0 for template in templates]
        for template, part in zip(templates, _apportion(number, shares), strict=True):
            for _ in range(part):
                yield from self._write_set(phenomenon, template, condition)

    def _write_set(
        self, phenomenon: Phenomenon, template: Template, condition: Condition
    ) -> Iterable[TeachingExample]:
        for _ in range(_MAX_TRIES):
            draw = Draw(self._random, held_out=condition == "held-out words")
            pairs = template.write(draw)
            surround = surroundings(draw, question=template.question)
            rendered = [render(surround(phrase)) for pair in pairs for phrase in pair]
            sentences = {sentence for sentence, _ in rendered}
            if len(sentences) == _SET_SIZE and not sentences & self._written:
                break
        else:
            raise UserError(
                f"the grammar has too few different sentences for this many ({phenomenon.name}, "
                f"{template.name}); ask for fewer."
            )
        self._written |= sentences
        for index, (sentence, links) in enumerate(rendered):
            yield TeachingExample(
                sentence=sentence,
                label=1 - index % 2,
                phenomenon=phenomenon.name,
                condition=condition,
                template=template.name,
                pair=self._pairs + index // 2,
                links=links,
            )
        self._pairs += 2


def to_rows(examples: Iterable[TeachingExample]) -> list[dict[str, Any]]:
    """One plain dictionary per example, for `datasets.Dataset.from_list` and for JSON."""
    return [
        {
            "sentence": example.sentence,
            "label": example.label,
            "phenomenon": example.phenomenon,
            "condition": example.condition,
            "template": example.template,
            "pair": example.pair,
            "links": [
                {"kind": link.kind, "head": [*link.head], "dependent": [*link.dependent]}
                for link in example.links
            ],
        }
        for example in examples
    ]


def content_fingerprint(examples: Iterable[TeachingExample]) -> str:
    """sha256 over everything in the examples, in their order."""
    digest = hashlib.sha256()
    for row in to_rows(examples):
        digest.update(json.dumps(row, sort_keys=True).encode() + b"\n")
    return digest.hexdigest()
