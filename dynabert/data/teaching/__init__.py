"""The teaching set: linguistic acceptability in minimal pairs, written by a grammar of our own.

Nothing in it is copied from a corpus. Because the grammar writes each sentence, it knows which
word is the subject of which verb (`Link`), and which piece of grammar a sentence tests
(`PHENOMENA`).
"""

from dynabert.data.teaching.generate import (
    Condition,
    TeachingExample,
    TeachingSet,
    content_fingerprint,
    generate_teaching_set,
    to_rows,
)
from dynabert.data.teaching.phenomena import PHENOMENA, Phenomenon
from dynabert.data.teaching.sentence import Link, LinkKind

__all__ = [
    "PHENOMENA",
    "Condition",
    "Link",
    "LinkKind",
    "Phenomenon",
    "TeachingExample",
    "TeachingSet",
    "content_fingerprint",
    "generate_teaching_set",
    "to_rows",
]
