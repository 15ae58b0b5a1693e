from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from dynabert.training.memory import KERNELS_KEPT, limit_kernel_caches
from dynabert.training.precision import resolve_precision

LIMITS = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
# Prints how far products of 400 different shapes raise the peak of a process's memory.
PRODUCTS = r"""
import re, sys, torch
from dynabert.training.memory import limit_kernel_caches
if sys.argv[1] == "limited":
    limit_kernel_caches()
def peak():  # of this program, in kB; getrusage begins with that of the program that started it
    return int(re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1])
linear = torch.nn.Linear(1024, 1024, bias=False).bfloat16()
before = peak()
with torch.no_grad():
    for rows in range(1, 401):
        linear(torch.ones(rows, 1024, dtype=torch.bfloat16))
print(peak() - before)
"""


def test_the_limit_is_set_unless_the_user_has_set_one(monkeypatch):
    for limit in LIMITS:
        monkeypatch.setenv(limit, "")
        monkeypatch.delenv(limit)
    monkeypatch.setenv(LIMITS[1], "7")
    limit_kernel_caches()
    assert [os.environ[limit] for limit in LIMITS] == [str(KERNELS_KEPT), "7"]


@pytest.mark.skipif(
    resolve_precision("auto", torch.device("cpu")) != "bf16",
    reason="oneDNN multiplies in bfloat16 only where the processor does",
)
def test_many_shapes_stay_small():
    clean = {name: value for name, value in os.environ.items() if name not in LIMITS}
    limited, unlimited = (
        int(subprocess.check_output([sys.executable, "-c", PRODUCTS, way], env=clean))
        for way in ("limited", "unlimited")
    )
    assert limited < unlimited / 2
