"""What machine a latency was measured on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dynabert.evaluation import latency


@pytest.mark.parametrize(
    ("model_name", "told"),
    [
        ("AMD EPYC 9B45", "AMD EPYC 9B45"),
        ("AMD EPYC", "AMD EPYC (family 25 model 17)"),
        (
            "Intel(R) Xeon(R) Processor @ 2.10GHz",
            "Intel(R) Xeon(R) Processor @ 2.10GHz (family 25 model 17)",
        ),
    ],
)
def test_a_name_that_hides_the_model_gets_its_number(
    tmp_path: Path, model_name: str, told: str
) -> None:
    facts = tmp_path / "cpuinfo"
    one = f"processor\t: 0\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: {model_name}\nflags\t: a b\n"
    facts.write_text(f"{one}\n{one.replace('17', '1')}")
    assert latency.processor_name(facts) == told


def test_without_the_file_there_is_a_name_too(tmp_path: Path) -> None:
    assert latency.processor_name(tmp_path / "none")


def test_threads_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    name = latency.processor_name()
    assert latency.describe_machine(torch.device("cpu")) == f"{name}, 3 threads"
