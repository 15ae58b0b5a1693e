"""`dynabert augment`, and a training on what it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml
from small_data import write_glue
from typer.testing import CliRunner

from dynabert.cli.main import app
from dynabert.errors import UserError
from dynabert.runs import Run


@pytest.fixture
def glove(tmp_path: Path) -> Path:
    path = tmp_path / "glove.txt"
    path.write_text("cat 1 2\ndog 1 1\nbird 0 1\nbad 3 1\n", encoding="utf-8")
    return path


def carry_out(*arguments: str | Path) -> str:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if done.exception is not None:
        raise done.exception
    return done.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--copies", "10001"), "less than or equal to 10000"),
        (("--copies", "0"), "greater than or equal to 1"),
        (("--seed", "-1"), "greater than or equal to 0"),
        (("--num-train", "0"), "greater than or equal to 1"),
    ],
)
def test_numbers_out_of_range_are_refused(
    glove: Path, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    data_dir = write_glue(tmp_path / "glue", train=24, dev=8)
    command = ("augment", "sst2", "--data-dir", data_dir, "--glove", glove, "--out", tmp_path / "o")
    told = CliRunner().invoke(app, [*map(str, command), *arguments])
    assert told.exit_code == 2
    shown = " ".join(told.output.replace("│", "").split())
    assert f"Invalid value for '{arguments[0]}': Input should be {said}" in shown
    assert not (tmp_path / "o").exists()


def test_augment_and_train_on_it(tiny_backbone: Path, glove: Path, tmp_path: Path) -> None:
    data_dir, out = write_glue(tmp_path / "glue", train=24, dev=8), tmp_path / "out"
    chosen = ("--data-dir", data_dir, "--num-train", "16", "--seed", "3")
    said = carry_out(*("augment", "sst2", *chosen, "--glove", glove, "--out", out, "--copies", "3"))
    manifest = json.loads((out / "manifest.json").read_text())
    (shard,) = manifest["shards"].values()
    rows = pd.read_parquet(out / "augmented-00000-of-00001.parquet")
    assert manifest["plan"]["num_source"] == 16
    assert manifest["plan"]["settings"]["copies"] == 3
    assert f"{len(rows)} new rows from 16 in" in said
    assert f"from the masked language model, {shard['words']['glove']} from GloVe" in said
    assert "Note: augmented without a masked language model" in said

    recipe = tmp_path / "recipe.yaml"
    stage = {"kind": "train", "name": "all", "losses": {"labels": 1.0}, "data": "augmented"}
    values = {"name": "mine", "stages": [stage | {"epochs": 2}], "batch_size": 8}
    recipe.write_text(yaml.safe_dump(values | {"width_mults": [1.0], "depth_mults": [1.0]}))
    training = (
        *("train", "sst2", "--backbone", tiny_backbone, "--recipe", recipe, "--name", "r"),
        *("--runs-dir", tmp_path / "runs", "--tokens", "8", "--precision", "fp32", *chosen),
    )
    with pytest.raises(
        UserError, match=r"trains on augmented data \(all\), so give --augmentation"
    ):
        carry_out(*training)
    carry_out(*training, "--augmentation", out)
    run = Run.load(tmp_path / "runs" / "r")
    assert run.info.data.augmentation == out
    assert f"{len(rows)} augmented rows made from the 16 training rows" in run.info.notices[1]
    steps = [record["step"] for record in run.metrics if record["event"] == "evaluation"]
    assert steps[-1] == 2 * 16 // 8  # epochs are of the original rows


def test_wrong_options_are_refused(glove: Path, tmp_path: Path) -> None:
    files = ("--glove", glove, "--out", tmp_path / "out")
    with pytest.raises(UserError, match="unknown task 'colla'"):
        carry_out("augment", "colla", *files)
    with pytest.raises(UserError, match="--text-column is for CSV files only"):
        carry_out("augment", "cola", *files, "--text-column", "a")
    data_dir = write_glue(tmp_path / "glue", train=8, dev=4)
    with pytest.raises(UserError, match=r"there is no GloVe file .*none.txt"):
        carry_out(
            *("augment", "sst2", "--data-dir", data_dir, "--glove", tmp_path / "none.txt"),
            *("--out", tmp_path / "out"),
        )
    assert not (tmp_path / "out").exists()
