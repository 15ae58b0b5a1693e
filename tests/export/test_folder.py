"""A sub-network as a folder and as a zip archive."""

from __future__ import annotations

import io
import shlex
import zipfile
from pathlib import Path

import pytest
import torch
from tiny_run import write_tiny_run
from transformers import AutoTokenizer, pipeline

from dynabert import DynaBertForSequenceClassification, Subnet
from dynabert.export import (
    export_bytes,
    export_command,
    export_name,
    export_subnet,
    model_card,
    zip_subnet,
)
from dynabert.export.card import _plain
from dynabert.runs import Run

HALF = Subnet(0.5, 0.5)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_backbone: Path) -> Run:
    return write_tiny_run(tmp_path_factory.mktemp("export") / "runs", tiny_backbone)


def test_the_archive_holds_a_model_that_answers_alike(run: Run, tmp_path: Path) -> None:
    archive = zipfile.ZipFile(io.BytesIO(zip_subnet(run, HALF)))
    names = archive.namelist()
    assert all(name.startswith("tiny-w0.50-d0.50/") for name in names)
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pkl"))]
    archive.extractall(tmp_path)
    folder = tmp_path / "tiny-w0.50-d0.50"
    small = DynaBertForSequenceClassification.from_pretrained(folder).eval()
    inputs = AutoTokenizer.from_pretrained(folder)("the cat is good.", return_tensors="pt")
    with torch.no_grad():
        sliced = run.model()(**inputs, subnet=HALF).logits
        torch.testing.assert_close(small(**inputs).logits, sliced, atol=1e-5, rtol=0)
    answer = pipeline("text-classification", str(folder))("the cat is good.")[0]
    assert answer["label"] == ("neg", "pos")[int(sliced.argmax())]


@pytest.mark.parametrize(
    ("lengths", "said"),
    [((6, 4, 3, 2), "6, 4, 3, 2"), ((0.9, 0.6, 0.5, 0.25), "0.9, 0.6, 0.5, 0.25")],
)
def test_a_network_that_drops_tokens_is_taken_away_with_its_lengths(
    run: Run, tmp_path: Path, lengths: tuple[float, ...], said: str
) -> None:
    subnet = Subnet(0.5, 1.0, lengths)
    export_subnet(run, subnet, tmp_path / "short")
    small = DynaBertForSequenceClassification.from_pretrained(tmp_path / "short").eval()
    inputs = run.tokenizer()("the cat is good and the dog is bad.", return_tensors="pt")
    with torch.no_grad():
        expected = run.model()(**inputs, subnet=subnet).logits
        assert not torch.allclose(expected, run.model()(**inputs, subnet=Subnet(0.5)).logits)
        torch.testing.assert_close(small(**inputs).logits, expected, atol=1e-5, rtol=0)
    card = (tmp_path / "short" / "README.md").read_text(encoding="utf-8")
    assert f"| Tokens that leave each | {said} |" in card
    assert "| Scores | not evaluated |" in card


def test_the_command_names_the_run_so_that_it_is_found(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shlex.split(export_command(run, HALF, half=True)) == [
        *("python", "-m", "dynabert", "extract", str(run.folder.resolve())),
        *("--subnet", "w0.50-d0.50", "--half", "--out", "tiny-w0.50-d0.50"),
    ]
    monkeypatch.chdir(run.folder.parent.parent)  # where `runs/` holds it
    assert export_command(run, HALF) == (
        "python -m dynabert extract tiny --subnet w0.50-d0.50 --out tiny-w0.50-d0.50"
    )


def test_names_are_short_but_counts_are_whole(run: Run) -> None:
    assert export_name(run, Subnet(1 / 3, 5 / 6)) == "tiny-w0.333-d0.833"
    counts = Subnet(layers=(0, 2), heads=(12, 8), neurons=(3072, 1536))
    assert export_name(run, counts) == f"tiny-{counts.key}"


def test_half_precision_is_half_the_size(run: Run, tmp_path: Path) -> None:
    sizes = []
    for half in (False, True):
        folder = tmp_path / str(half)
        export_subnet(run, HALF, folder, half=half)
        sizes.append((folder / "model.safetensors").stat().st_size)
        weights = export_bytes(run.model(), HALF, bits=16 if half else 32)
        assert 0 < sizes[-1] - weights < 10_000
    assert sizes[1] < 0.6 * sizes[0]


def test_the_card_says_what_was_measured(run: Run) -> None:
    card = model_card(run, run.model(), Subnet(0.5))
    assert "| Scores | accuracy 0.8000" in card
    assert "on 12 dev examples |" in card
    assert "| Layers | 4 (numbers 1, 2, 3, 4) |" in card
    assert "| Layers | 1 (number 4) |" in model_card(run, run.model(), Subnet(0.5, 0.25))
    assert "| Heads in each | 3, 3, 3, 3 |" in card
    assert "3.00 ms at 8 tokens, batch 1" in card
    assert "million for 8 tokens" in card
    assert r"\<b\>words\</b\>" in card
    assert "32-bit" in card
    assert "--subnet w0.50-d1.00" in card
    assert "16-bit" in model_card(run, run.model(), HALF, half=True)
    assert "--subnet w0.50-d0.50 --half" in model_card(run, run.model(), HALF, half=True)
    assert "**collapsed**" in model_card(run, run.model(), HALF)
    assert "| Scores | not evaluated |" in model_card(run, run.model(), Subnet(1 / 6))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "2026-11-27T10:11:12+00:00 on 2 threads, 1.5",
            "2026-11-27T10:11:12+00:00 on 2 threads, 1.5",
        ),
        ("www.example.com www.3com.com", r"www\.example\.com www\.3com\.com"),
        ("https://x :smile: a@b", r"https\://x \:smile: a\@b"),
        ("<b>|`*_[]", r"\<b\>\|\`\*\_\[\]"),
    ],
)
def test_text_on_a_card_is_no_markup(text: str, shown: str) -> None:
    assert _plain(text) == shown
