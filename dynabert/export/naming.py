"""What a sub-network that is taken away is called, and the command that takes it."""

from __future__ import annotations

import re
import shlex
from typing import Literal

from dynabert.runs import Run
from dynabert.subnet import Subnet

# For Hugging Face's library; one ONNX file; the same with weights in 8 bits.
Format = Literal["transformers", "onnx", "onnx-int8"]
# Of a weight, if nothing else is asked for.
BITS: dict[Format, int] = {"transformers": 32, "onnx": 32, "onnx-int8": 8}


def export_name(run: Run, subnet: Subnet, form: Format = "transformers") -> str:
    """For a folder or file: run and sub-network, its multipliers to three decimals, and the format."""
    key = re.sub(r"\b([wd]\d+\.\d{3})\d+", r"\1", subnet.key)
    return "-".join([run.name, key, *[form] * (form != "transformers")])


def export_command(
    run: Run,
    subnet: Subnet,
    *,
    half: bool = False,
    form: Format = "transformers",
    argument: str | None = None,
) -> str:
    """The command line that writes the same folder.  argument: the run, otherwise than on this machine."""
    words = ["python", "-m", "dynabert", "extract", argument or run.argument]
    words += ["--subnet", subnet.key, *["--half"] * half]
    if form != "transformers":
        words += ["--format", form]
    return shlex.join([*words, "--out", export_name(run, subnet, form)])
