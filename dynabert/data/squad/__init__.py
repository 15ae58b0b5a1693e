"""Extractive question answering as SQuAD v1.1 asks it: reading the files, and windows of passages."""

from dynabert.data.squad.files import check_questions, read_squad
from dynabert.data.squad.windows import EncodedWindows, Passage, encode_windows

__all__ = ["EncodedWindows", "Passage", "check_questions", "encode_windows", "read_squad"]
