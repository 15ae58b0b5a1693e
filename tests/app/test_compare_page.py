"""Which of two runs is better, and where?"""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from reading import charts, numbers, texts
from tiny_run import copy_run, write_tiny_run

from dynabert.analysis.comparison import doubt, why_not_comparable
from dynabert.data.source import DataSource
from dynabert.runs import RESULTS, Run, write_manifest

pytest_plugins = ["app_fixtures"]


@pytest.fixture
def two(tiny: Run, tmp_path: Path) -> Path:
    """A runs folder with "tiny" and "better", which scores 0.05 more at full depth."""
    first = copy_run(tiny, tmp_path / "runs")
    folder = first.folder.with_name("better")
    shutil.copytree(first.folder, folder)
    better = Run.load(folder)
    rows = better.results
    rows["accuracy"] += 0.05 * (rows["depth_mult"] == 1)
    rows.to_parquet(folder / RESULTS, index=False)
    write_manifest(folder)
    return first.folder.parent


def test_scores_are_compared_by_width_and_depth(open_app, two):
    at = open_app(two, "compare", run="tiny")
    assert at.selectbox(key="other").value == "better"
    said = next(text for text in texts(at) if "scores higher" in text)
    assert (
        "**better** scores higher in 2 and lower in 0; the mean difference is +2.5 points of accuracy"
        in said
    )
    grid, both = charts(at)
    # Widths 0.5 and 1 from left to right, depths 0.5 and 1 from below.
    np.testing.assert_allclose(numbers(grid["data"][0]["z"]), [[0, 0], [1, 1]], atol=1e-6)
    assert sorted(grid["data"][1]["text"]) == ["+0.0", "+0.0", "+5.0", "+5.0"]
    assert [trace["name"] for trace in both["data"] if "name" in trace] == ["tiny", "better"]
    assert any("ranks the 24 heads alike by **1.00**" in text for text in texts(at))
    assert any(
        "Of the 12 heads" in caption.value and "12 are kept" in caption.value
        for caption in at.caption
    )
    assert not at.warning


def test_the_other_run_is_part_of_the_link(open_app, two):
    at = open_app(two, "compare", run="better", other="tiny")
    assert at.selectbox(key="other").value == "tiny"
    assert any("**tiny** scores higher in 0 and lower in 2" in text for text in texts(at))
    at = open_app(two, "compare", run="better", other="../../etc")
    assert at.selectbox(key="other").value == "tiny"


def test_one_run_alone_says_how_to_get_another(open_app, tiny):
    at = open_app(tiny.folder.parent, "compare")
    assert "no second run" in at.info[0].value
    words = shlex.split(at.code[0].value)
    # Its scores can be compared with this run's.
    data = tiny.info.data.arguments()
    assert words[: 4 + len(data)] == ["python", "-m", "dynabert", "train", *data]
    options = dict(zip(words[4 + len(data) :: 2], words[5 + len(data) :: 2], strict=True))
    assert options == {
        "--backbone": tiny.info.backbone,
        "--recipe": "vanilla-w",
        "--name": "tiny-plain",
        "--runs-dir": str(tiny.folder.parent),
    }


def test_runs_that_share_little_say_so(open_app, two, tiny_backbone):
    write_tiny_run(two, tiny_backbone, "unlike", rewired=False)
    at = open_app(two, "compare", run="tiny", other="unlike")
    assert any("They have one width and depth in common" in text for text in texts(at))
    assert any("no importance" in caption.value for caption in at.caption)


def test_examples_that_may_judge_otherwise_are_not_compared(open_app, two):
    """Of a CSV file only the name is known, and dev may have been drawn from it."""
    other = Run.load(two / "better")
    recipe = other.folder / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace(other.info.task.fingerprint, "f" * 64))
    write_manifest(other.folder)
    at = open_app(two, "compare", run="tiny")
    assert "not judged on the same examples" in at.warning[0].value
    assert not charts(at)


@pytest.mark.parametrize(
    ("task", "changes", "said"),
    [
        ("cola", {}, "each was trained on 16 examples of its own"),
        ("cola", {"num_train": 15}, "one was trained on 16 examples, the other on 15"),
        ("cola", {"num_dev": 13}, None),
        ("teaching", {"num_train": 15}, "one was trained on 16 examples, the other on 15"),
        ("teaching", {"seed": 1}, None),  # is another set
    ],
)
def test_a_known_dev_set_makes_runs_comparable(two, task, changes, said):
    one, other = Run.load(two / "tiny"), Run.load(two / "better")
    for run, new in ((one, {}), (other, {"fingerprint": "f" * 64, **changes})):
        seed = new.pop("seed", 0)
        about = run.info.task.model_copy(update={"name": task, **new})
        source = DataSource(task=task, seed=seed)
        object.__setattr__(run, "info", run.info.model_copy(update={"task": about, "data": source}))
    if said is None:
        assert why_not_comparable(one, other) == "they were not judged on the same examples"
    else:
        assert why_not_comparable(one, other) is None
        assert doubt(one, other) == said


def test_scores_of_two_kinds_are_not_compared(open_app, two, tiny_backbone):
    other = Run.load(two / "better")
    text = (other.folder / "recipe.yaml").read_text()
    changed = text.replace("- accuracy", "- f1").replace("metrics: [accuracy", "metrics: [f1")
    assert changed != text
    (other.folder / "recipe.yaml").write_text(changed)
    other.results.rename(columns={"accuracy": "f1"}).to_parquet(other.folder / RESULTS, index=False)
    write_manifest(other.folder)
    at = open_app(two, "compare", run="tiny")
    assert "one is judged by accuracy, the other by F1" in at.warning[0].value
