"""Many rows of small numbers, of different lengths, in little memory."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import overload

import numpy as np


class RaggedRows(Sequence[np.ndarray]):
    """Rows of whole numbers, one after another in a single int32 array: 4 bytes a number.

    As lists of Python's numbers, the tokens of a few million augmented sentences would take many
    gigabytes.
    """

    def __init__(self, flat: np.ndarray, ends: np.ndarray) -> None:
        """flat: (total,) int32; ends: (N,) where each row ends in it."""
        self.flat, self.ends = flat, ends

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]] | RaggedRows) -> RaggedRows:
        """The same rows, kept small."""
        if isinstance(rows, RaggedRows):
            return rows
        lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
        numbers = chain.from_iterable(rows)
        flat = np.fromiter(numbers, dtype=np.int32, count=int(lengths.sum()))
        return cls(flat, np.cumsum(lengths))

    @classmethod
    def joined(cls, parts: Sequence[RaggedRows]) -> RaggedRows:
        """All rows of all parts (one at least), in order."""
        lengths = np.concatenate([part.lengths for part in parts])
        return cls(np.concatenate([part.flat for part in parts]), np.cumsum(lengths))

    @property
    def lengths(self) -> np.ndarray:
        """(N,) numbers in each row."""
        return np.diff(self.ends, prepend=0)

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, row: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, row: slice) -> list[np.ndarray]: ...
    def __getitem__(self, row: int | slice) -> np.ndarray | list[np.ndarray]:
        if isinstance(row, slice):
            return [self[number] for number in range(*row.indices(len(self)))]
        row = range(len(self))[row]
        return self.flat[self.ends[row - 1] if row else 0 : self.ends[row]]
