"""`dynabert pretrain` as a user types it."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import WORDS
from typer.testing import CliRunner, Result

from dynabert.cli.main import app
from dynabert.modeling.architecture import Architecture
from dynabert.training.pretraining import Pretrained, unfinished_pretraining


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    words = [word for word in WORDS if word.isalpha()]
    lines = [" ".join(words[place:] + words[:place]) for place in range(20)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def pretrain(backbone: Path, text: Path, out: Path, *more: str) -> Result:
    asked = ["pretrain", str(backbone), "--text", str(text), "--out", str(out)]
    asked += ["--tokens", "24", "--batch-size", "8", "--epochs", "1", "--head-epochs", "1"]
    return CliRunner().invoke(app, [*asked, *more])


def test_it_says_how_good_teacher_and_student_are(
    tiny_backbone: Path, text: Path, tmp_path: Path
) -> None:
    out = tmp_path / "small"
    sizes = ("--layers", "2", "--hidden", "24", "--heads", "2", "--neurons", "20")
    told = pretrain(tiny_backbone, text, out, *sizes)
    assert told.exit_code == 0, told.output
    about = Pretrained.load(out)
    assert about.architecture == Architecture(2, 2, 24, 20).key
    for quality in (about.teacher, about.student):
        assert f"{quality.params:,}" in told.output
        assert f"{quality.loss:.3f}" in told.output
    assert "has no masked-language-model head" in told.output
    assert f"dynabert train TASK --backbone {out}" in told.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--hidden", "25"), "must be a multiple of the 6 heads"),
        (("--masked", "0"), "greater than 0"),
        (("--labels", "0", "--prediction", "0"), "a weight above 0"),
        (("--start", "middle", "--layers", "2"), "'teacher' or 'scratch'"),
        (("--text", "nowhere.txt"), "is no text file"),
    ],
)
def test_bad_input_is_one_sentence(
    tiny_backbone: Path, text: Path, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    told = pretrain(tiny_backbone, text, tmp_path / "small", *arguments)
    assert told.exit_code != 0
    assert said in str(told.exception)
    assert not (tmp_path / "small").exists()
    assert not unfinished_pretraining(tmp_path / "small").exists()
