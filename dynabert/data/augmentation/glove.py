"""Nearest words by GloVe vectors: what may replace a word of several word pieces."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Self

import numpy as np

from dynabert.errors import UserError

QUERIES_AT_ONCE = 128  # words whose similarities to all others are in memory together
_SPARE = 16  # neighbours found in single precision beyond those wanted, then ranked in double


class WordVectors:
    """Words and their vectors, and the nearest neighbours of each, by cosine."""

    def __init__(self, words: Sequence[str], vectors: np.ndarray) -> None:
        """vectors: (V, d) float32, none of them zero; words in falling order of frequency."""
        self.words, self.vectors = list(words), vectors
        self.norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
        self._row = {word: row for row, word in reversed(list(enumerate(self.words)))}
        self._found: dict[tuple[int, int], tuple[str, ...]] = {}

    @classmethod
    def read(cls, path: Path, most: int | None = None) -> Self:
        """The first `most` vectors of a text file, a line for each: the word, then its numbers.

        A vector of zeros has no direction, so its word is passed over.

        Raises:
            UserError: no such file, no vector in it, or a line that is none; names the line.
        """
        if not path.is_file():
            raise UserError(
                f"there is no GloVe file {path}; give a text file such as glove.6B.300d.txt."
            )
        words: list[str] = []
        rows: list[np.ndarray] = []
        with path.open("rb") as lines:
            for number, line in enumerate(islice(lines, most), start=1):
                word, row = _parse(line, f"{path}, line {number}", rows[0] if rows else None)
                if row.any():
                    words.append(word)
                    rows.append(row)
        if not rows:
            raise UserError(f"{path} holds no word vectors.")
        return cls(words, np.stack(rows))

    def nearest(self, words: Sequence[str], count: int) -> list[tuple[str, ...]]:
        """For each word its `count` nearest others, nearest first; none for a word without a vector.

        A word is looked up as it is written, else in lower case. What is found for a word depends
        on that word alone, not on which others are asked for with it.
        """
        rows = [self._row.get(word, self._row.get(word.lower())) for word in words]
        new = sorted({row for row in rows if row is not None and (row, count) not in self._found})
        for start in range(0, len(new), QUERIES_AT_ONCE):
            self._find(new[start : start + QUERIES_AT_ONCE], count)
        return [() if row is None else self._found[row, count] for row in rows]

    def _find(self, rows: list[int], count: int) -> None:
        # The products of a matrix multiplication depend, in their last digits, on its size. So it
        # only narrows the choice, and each word's neighbours are then ranked on their own.
        queries = self.vectors[rows] / self.norms[rows, None].astype(np.float32)  # (Q, d)
        similar = queries @ self.vectors.T / self.norms.astype(np.float32)  # (Q, V)
        similar[np.arange(len(rows)), rows] = -np.inf  # not the word itself
        kept = min(count + _SPARE, len(self.words) - 1)
        close = np.argpartition(-similar, max(kept - 1, 0), axis=1)[:, :kept]
        for row, others in zip(rows, close, strict=True):
            products = self.vectors[others].astype(np.float64) * self.vectors[row]
            cosines = products.sum(axis=1) / (self.norms[others] * self.norms[row])
            order = np.lexsort((others, -np.round(cosines, 9)))[
                :count
            ]  # equal ones: as in the file
            self._found[row, count] = tuple(self.words[other] for other in others[order])


def _parse(line: bytes, where: str, earlier: np.ndarray | None) -> tuple[str, np.ndarray]:
    try:
        parts = line.decode("utf-8").rstrip("\r\n").rstrip(" ").split(" ")
    except UnicodeDecodeError as error:
        raise UserError(f"{where}: byte 0x{line[error.start]:02x} is not UTF-8.") from error
    # In some files a word has spaces in it (". . ."): as many numbers as in the first line are the vector.
    first = 1 if earlier is None else max(1, len(parts) - len(earlier))
    word, numbers = " ".join(parts[:first]), parts[first:]
    if earlier is not None and len(numbers) != len(earlier):
        raise UserError(
            f"{where}: {len(numbers)} numbers, but the first line has {len(earlier)}; a file of vectors "
            "has a word and equally many numbers on every line."
        )
    if not word or len(numbers) < 2:
        raise UserError(f"{where}: must be a word and its numbers, separated by single spaces.")
    try:
        row = np.array(numbers, dtype=np.float32)
    except ValueError as error:
        raise UserError(f"{where}: {error}; after the word {word!r} come numbers only.") from error
    if not np.isfinite(row).all():
        raise UserError(f"{where}: the numbers of {word!r} must be finite.")
    return word, row
