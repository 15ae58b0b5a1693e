"""A small network with a latency table of known times, and a clock that its passes advance."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from conftest import make_hf
from transformers import AutoTokenizer

from dynabert import DynaBertForSequenceClassification, Subnet
from dynabert.evaluation.latency_table import SHARES, LatencyTable, model_key
from dynabert.serving import Governor, Rung

MAX_TOKENS = 20
SMALL, HALF, FULL = Subnet(1 / 6, 0.25), Subnet(0.5), Subnet()
LADDER = (
    Rung(subnet=SMALL, score=0.6),
    Rung(subnet=HALF, score=0.8),
    Rung(subnet=FULL, score=0.9),
)


def network(**changes: object) -> DynaBertForSequenceClassification:
    """Random weights, always the same, of which those of LayerNorm do not hide what the text is."""
    torch.manual_seed(0)
    hf = make_hf(vocab_size=200, **changes)
    for module in hf.modules():
        if isinstance(module, torch.nn.LayerNorm):
            module.reset_parameters()
    return DynaBertForSequenceClassification.from_hf(hf)


def table_of(model: DynaBertForSequenceClassification, *, batch_size: int = 1) -> LatencyTable:
    """A pass takes a millisecond, and 0.1 for each head, token and text in every layer."""
    keeping = 0.1 * batch_size * np.array([[1.0], [6.0]]) * np.array([1.0, MAX_TOKENS])
    return LatencyTable(
        tokens=np.array([1.0, MAX_TOKENS]),
        heads=np.array([1.0, 6.0]),
        neurons=np.array([1.0, 60.0]),
        keeping=keeping,
        dropping=np.stack([keeping] * len(SHARES), axis=-1),
        reading=keeping,
        feed_forward=np.zeros((2, 2)),
        correction=np.array([1.0, 0.0, 0.0, 1.0]),
        batch_size=batch_size,
        reads_all_tokens=False,
        model=model_key(model),
        machine="any",
        repeats=1,
    )


def pass_ms(subnet: Subnet, tokens: int, batch_size: int = 1) -> float:
    """The same by hand: 1 head of 1 layer, 3 of 4 layers, 6 of 4 layers."""
    return 1.0 + 0.1 * {SMALL: 1, HALF: 12, FULL: 24}[subnet] * tokens * batch_size


class Clock:
    """Stands still until a pass of `model` is made, which takes what the table says, times `load`."""

    def __init__(self, model: DynaBertForSequenceClassification) -> None:
        self.now, self.load = 100.0, 1.0
        self.passes: list[tuple[Subnet, int, int]] = []
        self._lock = threading.Lock()
        model.register_forward_pre_hook(self._advance, with_kwargs=True)

    def __call__(self) -> float:
        return self.now

    def _advance(self, model: object, args: object, kwargs: Mapping) -> None:
        texts, tokens = kwargs["input_ids"].shape
        with self._lock:
            self.passes.append((kwargs["subnet"], tokens, texts))
            self.now += self.load * pass_ms(kwargs["subnet"], tokens, texts) / 1000


def governed(tokenizer_folder: Path, **options: object) -> tuple[Governor, Clock]:
    """A governor of the three, and its clock."""
    model = network()
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
    clock = Clock(model)
    tables = [table_of(model), table_of(model, batch_size=4)]
    return Governor(model, tokenizer, LADDER, tables, clock=clock, **options), clock
