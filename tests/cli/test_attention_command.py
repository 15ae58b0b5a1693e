"""`dynabert attention`: the page it writes."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import succeed

from dynabert import Subnet
from dynabert.cli import attention_command
from dynabert.runs import Run
from dynabert.web import AtlasView

pytest_plugins = ["trained_run"]


def test_attention_writes_a_page(runs_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "view.html"
    options = ("--runs-dir", runs_dir, "--text", "a good dog", "--out", out)
    said = succeed("attention", "tiny", *options, "--width", "0.5", "--map", "rollout")
    assert "24 sub-networks, 5 tokens" in said
    assert "width 0.5, depth 1: 4 layers" in out.read_text()
    assert "Note:" not in said
    said = succeed("attention", "tiny", *options, "--width", "0.45", "--depth", "0.1")
    assert "opened at width 0.5 and depth 0.25, the nearest" in said


@pytest.mark.parametrize(("given", "is_first"), [((), True), (("--layer", "2"), False)])
def test_attention_opens_with_a_head_that_the_sub_network_has(
    runs_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    given: tuple[str, ...],
    is_first: bool,
) -> None:
    views: list[AtlasView] = []

    def make(run: Run, texts: object, atlas: object, view: AtlasView) -> str:
        views.append(view)
        return "made"

    monkeypatch.setattr(attention_command, "atlas_page", make)
    text = ("--text", "a good dog", "--out", tmp_path / "view.html", "--runs-dir", runs_dir)
    succeed("attention", "tiny", *text, "--width", "0.5", "--depth", "0.5", *given)
    (view,) = views
    run = Run.load(runs_dir / "tiny")
    first, *_ = Subnet(0.5, 0.5).resolve(run.config.shape).executed
    order = run.model().backbone.encoder.layers[first.layer].attention.head_ids.tolist()
    usual = (first.layer + 1, min(order[: first.num_heads]) + 1)
    assert (view.layer, view.head) == (usual if is_first else (2, 1))
