"""What an augmentation is made by, and the record it leaves, as values."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from dynabert.data.tasks import Task
from dynabert.errors import UserError
from dynabert.values import Value

# N, tries for each text, of the official script. (Its entry for STS-B is spelled such that its default,
# the same number, counts.)
COPIES = {
    **{"cola": 30, "mnli": 10, "mrpc": 30, "sst2": 20, "stsb": 30, "qqp": 10, "qnli": 20},
    "rte": 30,
}
_OTHER_TASKS = 30

# By which a notice is known that says what an augmentation did without.
GLOVE_ALONE = (
    "so the candidates of every word are its nearest GloVe neighbours, which no sentence chooses"
)
FEWER_VECTORS = "word vectors; the official script uses the first"


class Resource(Value):
    """A file the candidates come from."""

    name: str
    sha256: str


MOST_COPIES = 10_000


class Settings(Value):
    """The numbers of the algorithm."""

    copies: Annotated[int, Field(ge=1, le=MOST_COPIES)]  # N: tries for each text
    candidates: Annotated[int, Field(ge=1, le=1000)] = 15  # M, of each word
    threshold: Annotated[float, Field(gt=0, le=1)] = 0.4  # p_t: how often a word is replaced
    seed: Annotated[int, Field(ge=0)] = 0
    glove_words: Annotated[int, Field(ge=2)] = (
        100_000  # that many of the file, as the official script
    )


class Plan(Value):
    """All that decides what an augmentation holds. Two with the same plan are the same, byte for byte,
    on machines that compute alike."""

    task: str
    text_columns: tuple[str, ...]
    num_source: int  # training rows it is made from
    source_fingerprint: str  # `TaskData.train_fingerprint` of those rows
    settings: Settings
    glove: Resource
    masked_lm: Resource | None
    device: str  # that computed the masked language model
    rows_per_shard: Annotated[int, Field(ge=1)]

    @property
    def method(self) -> dict[str, Any]:
        """How the new rows are made, whatever they are made from: all but the rows and the seed."""
        return {
            **self.settings.model_dump(mode="json", exclude={"seed"}),
            "glove": self.glove.model_dump(mode="json"),
            "masked_lm": self.masked_lm and self.masked_lm.model_dump(mode="json"),
        }


class Shard(Value):
    """One file of new rows, made from one stretch of the source."""

    sha256: str
    num_rows: int
    num_unchanged: int  # rows of the source of which nothing new could be made
    words: dict[str, int]  # eligible words, by where their candidates came from


class Manifest(Value):
    """The contents of `manifest.json`."""

    plan: Plan
    notices: tuple[str, ...]
    shards: dict[str, Shard]  # by file name

    @property
    def num_rows(self) -> int:
        return sum(shard.num_rows for shard in self.shards.values())

    @property
    def num_unchanged(self) -> int:
        return sum(shard.num_unchanged for shard in self.shards.values())

    def num_words(self, origin: str) -> int:
        """Eligible words whose candidates came from there: "masked_lm", "glove" or "none"."""
        return sum(shard.words.get(origin, 0) for shard in self.shards.values())


def check_augmentable(task: Task) -> None:
    """Raise a UserError unless the task's texts may be varied without losing what was labelled."""
    if task.kind == "spans":
        raise UserError(
            f"task {task.name} cannot be augmented: other words in a passage would move or lose its answers. "
            "Choose a recipe without augmented stages."
        )


def default_copies(task: Task) -> int:
    """How often the official script tries to vary a text of a task.

    Raises:
        UserError: the task is not augmented.
    """
    check_augmentable(task)
    return COPIES.get(task.name, _OTHER_TASKS)
