"""A sub-network as one ONNX file, which runs without PyTorch: in 32 bits, or with 8-bit weights.

The graph holds for every number of texts and tokens. Dropped tokens are part of it: how many leave a
layer is looked up from each text's own length.
"""

from __future__ import annotations

import copy
import importlib.util
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from dynabert.errors import UserError
from dynabert.modeling.models import DynaBertForQuestionAnswering, TaskModel

OPSET = 20
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
PACKAGES = ("onnx", "onnxscript", "onnxruntime")


class _Answers(nn.Module):
    """What a network answers, without the rest of what it can return."""

    def __init__(self, model: TaskModel) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        out = self.model(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        )
        return self.model.logits_of(out, attention_mask)


def output_names(model: TaskModel) -> tuple[str, ...]:
    """What the file's outputs are called, as in Hugging Face's classes."""
    if isinstance(model, DynaBertForQuestionAnswering):
        return ("start_logits", "end_logits")
    return ("logits",)


def write_onnx(model: TaskModel, path: Path, inputs: Sequence[str] = INPUTS) -> None:
    """Write a network (its full size; extract a sub-network before) as an ONNX file in 32 bits.

    Inputs are int64 (B, S), for any B and S; outputs are named by `output_names`, of answer spans with
    padding out of the question. Torch is told to export meanwhile, in all of this process: other
    threads should not train.
    inputs: those that the tokenizer gives, of `INPUTS`.

    Raises:
        UserError: the packages that this needs are not installed.
    """
    check_installed()
    small = copy.deepcopy(model).float().cpu().eval()
    names = [name for name in INPUTS if name in inputs]
    batch = torch.full((2, 7), min(5, small.config.vocab_size - 1))
    example = {"input_ids": batch, "attention_mask": torch.ones_like(batch)}
    if "token_type_ids" in names:
        example["token_type_ids"] = torch.zeros_like(batch)
    with _quietly():
        program = torch.onnx.export(
            _Answers(small),
            kwargs=example,
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=names,
            output_names=output_names(small),
            dynamic_shapes={name: {0: "batch", 1: "tokens"} for name in example},
        )
    assert program is not None  # it has no file to write to
    program.save(path)


def quantize_onnx(source: Path, path: Path) -> None:
    """Write an ONNX file with its weights in 8 bits; activations are quantized as they come.

    Weights use 7 of the bits: with all 8, processors without VNNI instructions add up with saturation,
    and the same file would answer differently there. The scale of activations is that of a whole batch:
    answers depend, a little, on what else is in it.

    Raises:
        UserError: the packages that this needs are not installed.
    """
    check_installed()
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with _quietly():
        quantize_dynamic(
            source, path, weight_type=QuantType.QInt8, reduce_range=True, per_channel=True
        )


def check_installed() -> None:
    """Refuse to begin without the packages that ONNX files need.

    Raises:
        UserError: some are not installed.
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"ONNX files need {', '.join(missing)}; install with: pip install {' '.join(missing)}"
        )


@contextmanager
def _quietly() -> Iterator[None]:
    """Without what the exporters say about their own inner life."""
    before = logging.root.manager.disable
    logging.disable(max(before, logging.WARNING))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
