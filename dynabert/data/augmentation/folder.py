"""The folder of an augmentation: its shards, and the manifest that says what they are.

`manifest.json` is written last, so a folder with one is whole; until then `unfinished.json` holds the same
for the shards that are done. Neither time nor place is in any of the files: the same plan gives the
same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from datasets import Dataset
from pydantic import ValidationError

from dynabert.data.augmentation.settings import Manifest
from dynabert.data.loading import TaskData, checked_split, read_parquet
from dynabert.data.tasks import Task
from dynabert.errors import UserError, explain
from dynabert.files import file_sha256

MANIFEST = "manifest.json"
UNFINISHED = "unfinished.json"
SOURCE_ROW = (
    "source_row"  # the column with the number, from 0, of the training row it was made from
)


@dataclass(frozen=True)
class Augmentation:
    """A complete augmentation on disk, every file of it verified."""

    folder: Path
    manifest: Manifest

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Open and verify it.

        Raises:
            UserError: it is none, is unfinished, or a file is not the one that was written.
        """
        if not (folder / MANIFEST).is_file():
            if (folder / UNFINISHED).is_file():
                raise UserError(
                    f"the augmentation {folder} is unfinished; repeat the command that began it."
                )
            raise UserError(
                f"{folder} is not an augmentation: it has no {MANIFEST}. Make one with: "
                "python -m dynabert augment TASK --glove FILE --out FOLDER"
            )
        manifest = read_manifest(folder / MANIFEST)
        if list(manifest.shards) != shard_names(manifest):
            raise UserError(f"the augmentation {folder} is damaged: {MANIFEST} names other shards.")
        for name, shard in manifest.shards.items():
            if not (folder / name).is_file():
                raise UserError(f"the augmentation {folder} is damaged: {name} is missing.")
            if file_sha256(folder / name) != shard.sha256:
                raise UserError(
                    f"the augmentation {folder} is damaged: {name} is not the file that was written "
                    "(its sha256 differs). Copy it again, or remove the folder and make it anew."
                )
        return cls(folder, manifest)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of the manifest: two with the same one hold the same rows."""
        return file_sha256(self.folder / MANIFEST)

    def check_made_from(self, data: TaskData) -> None:
        """Refuse training data other than those it was made from.

        Raises:
            UserError: they differ; says how.
        """
        plan = self.manifest.plan
        if plan.source_fingerprint == data.train_fingerprint:
            return
        raise UserError(
            f"the augmentation {self.folder} was made from other training data ({plan.num_source:,} rows "
            f"of {plan.task}) than these ({len(data.train):,} rows of {data.task.name}). Make one "
            "from these: python -m dynabert augment, with the task, --data-dir, --num-train and --seed "
            "of the training."
        )

    def shards(self, task: Task) -> Iterator[Dataset]:
        """The new rows, shard by shard, with the columns of the task's own.

        Raises:
            UserError: a column or a label does not belong to the task.
        """
        for name in self.manifest.shards:
            path = self.folder / name
            if self.manifest.shards[name].num_rows:
                yield checked_split(read_parquet(path), task, str(path))

    @property
    def about(self) -> str:
        """For the record of whoever uses it."""
        plan, manifest = self.manifest.plan, self.manifest
        sources = f"GloVe vectors {plan.glove.name}"
        if plan.masked_lm is not None:
            sources = f"the masked language model {plan.masked_lm.name} and {sources}"
        return (
            f"{manifest.num_rows:,} augmented rows made from the {plan.num_source:,} training rows "
            f"(candidates from {sources}; N={plan.settings.copies}, M={plan.settings.candidates}, "
            f"p={plan.settings.threshold:g}, seed {plan.settings.seed})"
        )


def shard_names(manifest: Manifest) -> list[str]:
    """The file names of all shards of a complete augmentation."""
    count = -(-manifest.plan.num_source // manifest.plan.rows_per_shard)
    return [f"augmented-{number:05}-of-{count:05}.parquet" for number in range(count)]


def read_manifest(path: Path) -> Manifest:
    """A manifest, or the record of an unfinished augmentation.

    Raises:
        UserError: it is damaged.
    """
    try:
        return Manifest.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise UserError(f"{path} is damaged: {explain(error)}. Remove the folder.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {error}. Remove the folder.") from error
