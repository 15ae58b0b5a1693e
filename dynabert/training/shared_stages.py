"""The stages that a training has in common with others: taken over, or left for them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from transformers import PreTrainedTokenizerBase

from dynabert.errors import BROKEN_FILES
from dynabert.files import write_bytes_atomically
from dynabert.modeling.models import TaskModel
from dynabert.runs import IMPORTANCE
from dynabert.training.checkpoint import FinishedStage, Workspace
from dynabert.training.recipe import Recipe
from dynabert.training.stage import Train
from dynabert.training.stage_cache import StageCache, StageResult


class SharedStages:
    """What one training takes from a `StageCache`, and what it puts there."""

    def __init__(
        self,
        folder: Path,
        recipe: Recipe,
        values: Mapping[str, Any],
        augmentation: str | None,
        students: Mapping[str, str],
    ) -> None:
        """recipe: every learning rate filled in.

        values: by name, all that a stage's result depends on beside the stages.
        augmentation: fingerprint of the augmented data, on which some stages depend as well.
        students: by stage, fingerprints of the pretrained networks that training goes on with from there.
        """
        self._cache, self._recipe = StageCache(folder), recipe
        self._values, self._augmentation = dict(values), augmentation
        self._students = dict(students)

    def take_over(self, number: int, workspace: Workspace, model: TaskModel) -> bool:
        """Count a stage as done, and load what it left, if another training has computed it."""
        known = self._cache.find(self._key(number), self._recipe.stages[: number + 1])
        if known is None:
            return False
        try:
            tensors = load_file(known.weights)
            metrics = known.metrics.read_bytes()
            importance = None if known.importance is None else known.importance.read_bytes()
        except BROKEN_FILES:  # removed since it was found
            return False
        model.load_state_dict(tensors)
        write_bytes_atomically(workspace.metrics_file, metrics)
        if importance is not None:
            write_bytes_atomically(workspace.folder / IMPORTANCE, importance)
        result = FinishedStage(seconds=known.seconds, metrics_bytes=len(metrics))
        workspace.finish_stage(self._recipe.stages[number].name, model, result)
        return True

    def keep(self, number: int, workspace: Workspace, seconds: float) -> None:
        """Offer the result of a stage, which is the last that was finished, to other trainings."""
        importance = workspace.folder / IMPORTANCE
        result = StageResult(
            weights=workspace.weights_file(self._recipe.stages[number].name),
            metrics=workspace.metrics_file,
            importance=importance if importance.is_file() else None,
            seconds=seconds,
        )
        self._cache.keep(self._key(number), result, self._recipe.stages[: number + 1])

    def _key(self, number: int) -> str:
        stages = self._recipe.stages[: number + 1]
        augmented = any(isinstance(one, Train) and one.data == "augmented" for one in stages)
        values: dict[str, Any] = {"augmented data": self._augmentation} if augmented else {}
        if students := [self._students[one.name] for one in stages if one.name in self._students]:
            values["pretrained"] = students
        return StageCache.key(self._values | values, stages)


def model_digest(model: TaskModel) -> str:
    """sha256 of a model's weights and configuration: dropout and the like are not in the weights."""
    config = model.config.to_dict()
    # They say nothing of what it computes: which tokens a task's head reads, its class says.
    for name in ("_name_or_path", "transformers_version", "keeps_first_token"):
        config.pop(name, None)
    if config.get("length_config") is None:  # computes the same as before there were lengths
        config.pop("length_config", None)
    digest = hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def tokenizer_digest(tokenizer: PreTrainedTokenizerBase) -> str:
    """sha256 of all that decides which tokens a text becomes."""
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    for name in ("truncation", "padding"):  # of its last call
        backend.pop(name, None)
    about = {"backend": backend, "pad": tokenizer.pad_token_id, "class": type(tokenizer).__name__}
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
