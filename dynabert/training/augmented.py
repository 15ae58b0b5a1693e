"""The augmented data of a recipe: found, verified, and joined to the original rows."""

from __future__ import annotations

from collections.abc import Iterator

from transformers import PreTrainedTokenizerBase

from dynabert.data.augmentation import Augmentation, check_augmentable
from dynabert.data.encoding import EncodedSplit, encode, joined
from dynabert.data.loading import TaskData
from dynabert.data.source import DataSource
from dynabert.data.tasks import Task
from dynabert.errors import UserError
from dynabert.training.events import OnEvent, Working
from dynabert.training.recipe import Recipe


def find_augmentation(source: DataSource, data: TaskData, recipe: Recipe) -> Augmentation | None:
    """The augmentation that a recipe trains on, verified; None where it trains on none.

    data: what the source loads.

    Raises:
        UserError: the recipe needs one and the source names none, it is damaged, or it was made
        from other training data.
    """
    if not recipe.augmented_stages:
        return None
    check_augmentable(data.task)
    if source.augmentation is None:
        raise UserError(
            f"the recipe {recipe.name} trains on augmented data ({', '.join(recipe.augmented_stages)}), so "
            "give --augmentation FOLDER; make one with: python -m dynabert augment TASK --glove FILE "
            "--out FOLDER"
        )
    augmentation = Augmentation.load(source.augmentation)
    augmentation.check_made_from(data)
    return augmentation


def with_augmented(
    original: EncodedSplit,
    augmentation: Augmentation,
    task: Task,
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_tokens: int,
    on_event: OnEvent,
) -> EncodedSplit:
    """The original rows and the augmented ones."""

    def parts() -> Iterator[EncodedSplit]:
        yield original
        done, total = 0, augmentation.manifest.num_rows
        for shard in augmentation.shards(task):
            yield encode(shard, task, tokenizer, max_tokens=max_tokens)
            done += len(shard)
            on_event(Working(what="tokenize", done=done, total=total))

    return joined(parts())


def augmentation_notices(
    augmentation: Augmentation | None, source: DataSource, recipe: Recipe
) -> list[str]:
    """What a reader of the scores must know of the augmented data, or of their absence."""
    if augmentation is not None:
        stages = ", ".join(recipe.augmented_stages)
        about = f"trained on original and augmented rows in {stages}: {augmentation.about}"
        return [about, *augmentation.manifest.notices]
    if source.augmentation is not None:
        return [
            f"the augmentation was not used: no stage of the recipe {recipe.name} trains on augmented data"
        ]
    return []
