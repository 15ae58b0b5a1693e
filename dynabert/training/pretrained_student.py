"""A small pretrained network that a recipe goes on with: found, checked, and loaded with the task's head."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from dynabert.backbones import find_backbone, load_tokenizer
from dynabert.errors import UserError
from dynabert.files import file_sha256
from dynabert.modeling.configuration import DynaBertConfig
from dynabert.modeling.conversion import check_source, elastic_config, stored_config
from dynabert.modeling.models import TaskModel
from dynabert.training.recipe import Recipe
from dynabert.training.stage import Reduce

_SAME = ("backbone", "vocab_size", "pad_token_id", "max_position_embeddings", "type_vocab_size")
# Fields of a configuration that say nothing of what a network computes.
_IDLE = (
    *("_name_or_path", "transformers_version", "architectures", "dtype", "torch_dtype"),
    "keeps_first_token",  # as the head needs it
)


@dataclass(frozen=True, kw_only=True)
class PretrainedStudent:
    """Where it is, and what it will be."""

    folder: str
    config: DynaBertConfig  # with the head of the network that it learns from
    changes: Mapping[str, Any]  # that make the stored configuration that one
    digest: str  # sha256 of its weights and configuration

    def load(self, like: TaskModel, seed: int) -> TaskModel:
        """The network, with a new head of the other's kind."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            student = type(like).from_hf(self.folder, **self.changes)
        student.to(device=like.device)  # type: ignore[call-arg]  # HF's wrapper
        return student.train(like.training)


def find_students(
    recipe: Recipe, backbone: DynaBertConfig, tokenizer: PreTrainedTokenizerBase
) -> dict[str, PretrainedStudent]:
    """The pretrained networks of a recipe, by the stage that goes on with them.

    backbone, tokenizer: of the network that they learn from.

    Raises:
        UserError: one is not there, no BERT or RoBERTa, has no safetensors weights, or reads other tokens.
    """
    return {
        stage.name: _find(stage.pretrained, backbone, tokenizer)
        for stage in recipe.stages
        if isinstance(stage, Reduce) and stage.pretrained is not None
    }


def _find(
    source: str, backbone: DynaBertConfig, tokenizer: PreTrainedTokenizerBase
) -> PretrainedStudent:
    folder = find_backbone(source)
    check_source(folder)
    changes: dict[str, Any] = {
        "depth_choice": backbone.depth_choice,
        "id2label": backbone.id2label,
        "label2id": backbone.label2id,
        "problem_type": backbone.problem_type,
    }
    config = elastic_config(stored_config(folder), **changes)
    for name in _SAME:
        ours, theirs = getattr(backbone, name), getattr(config, name)
        if ours != theirs:
            raise UserError(
                f"the pretrained network {source} has another {name} ({theirs}) than the network it shall "
                f"learn from ({ours}); pretrain it from the same backbone."
            )
    if load_tokenizer(folder).get_vocab() != tokenizer.get_vocab():
        raise UserError(
            f"the pretrained network {source} reads another vocabulary than the network it shall learn from; "
            "pretrain it from the same backbone."
        )
    about = json.dumps(what_is_computed(config), sort_keys=True, default=str)
    weights = file_sha256(Path(folder) / "model.safetensors")
    digest = hashlib.sha256(f"{weights} {about}".encode()).hexdigest()
    return PretrainedStudent(folder=folder, config=config, changes=changes, digest=digest)


def what_is_computed(config: DynaBertConfig) -> dict[str, Any]:
    """A configuration without what says nothing of the network."""
    return {name: value for name, value in config.to_dict().items() if name not in _IDLE}
