"""SQuAD v1.1's questions, from its original JSON or from a table as the hub keeps it.

Whoever reads a question may rely on this: its id occurs once, the passage and the question say
something, and every answer stands in the passage where it says it stands.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset

from dynabert.errors import UserError

COLUMNS = ("id", "question", "context", "answers")

# Far above what the files hold (30 MB, 88,000 questions, passages of 3,700 letters): whoever made a
# larger one may mean harm.
MOST_BYTES = 256 * 1024**2
MOST_QUESTIONS = 1_000_000
MOST_LETTERS = 100_000
MOST_ANSWERS = 100  # of one question


def read_squad(path: Path) -> Dataset:
    """The questions of an original file (train-v1.1.json, dev-v1.1.json), a row each; see `COLUMNS`.

    answers: {"text": [...], "answer_start": [...]}, the latter in letters from 0, as on the hub.

    Raises:
        UserError: not such a file, or a damaged one; names the question.
    """
    if path.stat().st_size > MOST_BYTES:
        raise UserError(
            f"{path} has {path.stat().st_size / 1e6:,.0f} MB; at most {MOST_BYTES / 1e6:,.0f} MB are read."
        )
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not readable JSON ({error}); download it again.") from error
    questions = _Questions(str(path))
    for article in _list(content, "data", str(path)):
        for paragraph in _list(article, "paragraphs", str(path)):
            context = _field(paragraph, "context", str(path))
            for question in _list(paragraph, "qas", str(path)):
                where = f"{path}, question {str(_field(question, 'id', str(path)))[:80]!r}"
                answers = _list(question, "answers", where)
                questions.add(
                    question["id"],
                    _field(question, "question", where),
                    context,
                    [_field(answer, "text", where) for answer in answers],
                    [_field(answer, "answer_start", where) for answer in answers],
                )
    return questions.dataset()


def check_questions(split: Dataset, where: str) -> Dataset:
    """The same rows as `read_squad` gives, from a table with the hub's columns.

    Raises:
        UserError: a column is missing, or a row is damaged.
    """
    questions = _Questions(where)
    for column in COLUMNS:
        if column not in split.column_names:
            raise UserError(
                f"{where} has no column {column!r}; it has {', '.join(split.column_names)}."
            )
    for name, question, context, answers in zip(*(split[name] for name in COLUMNS), strict=True):
        place = f"{where}, question {str(name)[:80]!r}"
        texts, starts = (_list(answers, key, place) for key in ("text", "answer_start"))
        if len(texts) != len(starts):
            raise UserError(f"{place}: {len(texts)} answers, but {len(starts)} places of answers.")
        questions.add(name, question, context, texts, starts)
    return questions.dataset()


class _Questions:
    """Rows in the making, each checked."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.rows: dict[str, list[Any]] = {name: [] for name in COLUMNS}
        self.ids: set[str] = set()

    def add(
        self, name: Any, question: Any, context: Any, texts: Sequence[Any], starts: Sequence[Any]
    ) -> None:
        where = f"{self.where}, question {str(name)[:80]!r}"
        for what, value in (("id", name), ("question", question), ("context", context)):
            _check_text(value, what, where)
        if name in self.ids:
            raise UserError(f"{where}: two questions have this id.")
        if not texts:
            raise UserError(
                f"{where} has no answer. SQuAD v1.1 is read, in which every question has one; of v2.0 "
                "leave out the questions without."
            )
        if len(texts) > MOST_ANSWERS:
            raise UserError(f"{where} has {len(texts)} answers; at most {MOST_ANSWERS} are read.")
        for text, start in zip(texts, starts, strict=True):
            _check_text(text, "answer", where)
            if isinstance(start, bool) or not isinstance(start, int):
                raise UserError(f"{where}: answer_start is {start!r}, must be a whole number.")
            if start < 0 or context[start : start + len(text)] != text:
                raise UserError(
                    f"{where}: its answer {text[:80]!r} does not stand at letter {start} of the "
                    "passage; download the file again."
                )
        if len(self.ids) >= MOST_QUESTIONS:
            raise UserError(f"{self.where} has more than {MOST_QUESTIONS:,} questions.")
        self.ids.add(name)
        answers = {"text": list(texts), "answer_start": list(starts)}
        for column, value in zip(COLUMNS, (name, question, context, answers), strict=True):
            self.rows[column].append(value)

    def dataset(self) -> Dataset:
        if not self.ids:
            raise UserError(f"{self.where} has no questions; download it again.")
        return Dataset.from_dict(self.rows)


def _check_text(value: Any, what: str, where: str) -> None:
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{where}: its {what} is {str(value)[:80]!r}, must be a text with letters.")
    if len(value) > MOST_LETTERS:
        raise UserError(
            f"{where}: its {what} has {len(value):,} letters; at most {MOST_LETTERS:,} are read."
        )
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:  # JSON can write half of a letter
        raise UserError(f"{where}: its {what} has half a letter at {error.start}.") from error


def _field(value: Any, name: str, where: str) -> Any:
    if not isinstance(value, Mapping) or name not in value:
        raise UserError(f"{where}: {name!r} is missing; is it a file of SQuAD v1.1?")
    return value[name]


def _list(value: Any, name: str, where: str) -> Sequence[Any]:
    found = _field(value, name, where)
    if not isinstance(found, list):
        raise UserError(f"{where}: {name!r} is {str(found)[:80]!r}, must be a list.")
    return found
