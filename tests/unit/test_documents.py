"""What the README and the guides name is there: files, verbs and options."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from dynabert.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
GUIDES = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
RESULTS = sorted((ROOT / "benchmarks" / "results").rglob("*.md"))
COMMAND = re.compile(r"python -m dynabert ([^`\n]+)")
VERB = re.compile(r"^\| `([a-z-]+)( [^`]*)?` \|", re.MULTILINE)  # of the table in the README


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def commands() -> list[str]:
    found = {line for page in GUIDES for line in COMMAND.findall(page.read_text("utf-8"))}
    found |= {verb + words for verb, words in VERB.findall(README.read_text("utf-8"))}
    return sorted(line for line in found if "--help" not in line)  # which only shows and ends


@pytest.mark.parametrize("page", [*GUIDES, *RESULTS], ids=shown)
def test_links_lead_to_files_that_are_there(page):
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8"))
    local = [link.partition("#")[0] for link in links if "://" not in link]
    missing = [link for link in local if link and not (page.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("line", commands())
def test_commands_name_verbs_and_options_that_exist(line):
    verb, *words = shlex.split(line.partition(" > ")[0])
    command = typer.main.get_command(app).commands[verb]
    with command.make_context(verb, words):
        pass  # a UsageError otherwise


def test_every_verb_is_in_the_readme():
    text = README.read_text("utf-8")
    assert set(typer.main.get_command(app).commands) == {verb for verb, _ in VERB.findall(text)}


def test_every_guide_is_in_the_readme():
    text = README.read_text("utf-8")
    assert [
        page.name for page in GUIDES if page.parent.name == "docs" and page.name not in text
    ] == []


def test_python_in_the_readme_runs(tmp_path, monkeypatch):
    (tmp_path / "runs").symlink_to(ROOT / "runs")
    monkeypatch.chdir(tmp_path)
    found = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    assert found
    for code in found:
        exec(compile(code, "README.md", "exec"), {})
    assert (tmp_path / "small" / "model.safetensors").is_file()
