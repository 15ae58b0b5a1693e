"""A sub-network taken away from the command line."""

from __future__ import annotations

from pathlib import Path

import torch
from command_line import succeed
from transformers import AutoTokenizer

from dynabert import DynaBertForSequenceClassification, Subnet
from dynabert.runs import Run

pytest_plugins = ["trained_run"]


def test_extract_gives_the_same_answers(runs_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "small"
    succeed(
        *("extract", "tiny", "--width", "0.5", "--depth", "0.5", "--out", out),
        *("--runs-dir", runs_dir),
    )
    small = DynaBertForSequenceClassification.from_pretrained(out).eval()
    assert small.config.shape.heads == (3, 3)
    whole = Run.load(runs_dir / "tiny").model()
    inputs = AutoTokenizer.from_pretrained(out)("the cat is good.", return_tensors="pt")
    with torch.no_grad():
        sliced = whole(**inputs, subnet=Subnet(0.5, 0.5)).logits
        torch.testing.assert_close(small(**inputs).logits, sliced, atol=1e-5, rtol=0)
