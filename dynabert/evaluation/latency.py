"""Measured latency of sub-networks on this machine."""

from __future__ import annotations

import functools
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dynabert.errors import UserError
from dynabert.evaluation.cost import PAPER_TOKENS
from dynabert.modeling.evaluating import evaluating
from dynabert.modeling.pretrained import DynaBertPreTrainedModel
from dynabert.subnet import Subnet
from dynabert.words import count

MOST_TEXTS = 1024  # of a pass that is timed: far more fit into no memory, and teach nothing new


def check_texts(batch_size: int) -> None:
    """Refuse more texts at once than can be timed.

    Raises:
        UserError: they are.
    """
    if batch_size > MOST_TEXTS:
        raise UserError(f"batch_size must be at most {MOST_TEXTS}, got {batch_size}.")


@dataclass(frozen=True, kw_only=True)
class LatencySetup:
    """How latency is measured. The paper measures a CPU at batch 1 and 128 tokens (App. B.3)."""

    tokens: int = PAPER_TOKENS
    batch_size: int = 1
    repeats: int = 30
    warm_up: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        check_texts(self.batch_size)
        for name, lowest in (("tokens", 1), ("batch_size", 1), ("repeats", 2), ("warm_up", 0)):
            if getattr(self, name) < lowest:
                raise UserError(f"{name} must be at least {lowest}, got {getattr(self, name)}.")


DEFAULT_SETUP = LatencySetup()
# Above it a reader is told that the machine was busy. On quiet machines a spread is 0.03 to 0.1
# (benchmarks/results/tasks/cola-minilm.csv), with one other process on each core 0.3 to 1.
WIDE = 0.25


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Median time of one forward pass, and how much it varied."""

    median_ms: float
    iqr_ms: float  # distance between the quartiles

    @property
    def spread(self) -> float:
        """The interquartile range as a share of the median; above `WIDE` the machine had other work."""
        return self.iqr_ms / self.median_ms


def measure_latency(
    model: DynaBertPreTrainedModel,
    subnets: Sequence[Subnet],
    setup: LatencySetup = DEFAULT_SETUP,
    *,
    on_repeat: Callable[[int], None] | None = None,
) -> list[Latency]:
    """Time of a forward pass of each sub-network, on random token ids without padding.

    Raises:
        UserError: more tokens than the model has positions.
    """
    generator = torch.Generator().manual_seed(setup.seed)
    inputs = {"input_ids": random_ids(model, setup.batch_size, setup.tokens, generator)}
    return time_passes(
        model,
        inputs,
        subnets,
        repeats=setup.repeats,
        warm_up=setup.warm_up,
        generator=generator,
        on_repeat=on_repeat,
    )


def check_tokens(most: int, tokens: int) -> None:
    """Refuse texts that are longer than a model reads.

    most: tokens that it has positions for.

    Raises:
        UserError: they are.
    """
    if tokens > most:
        raise UserError(f"this model reads at most {most} tokens, got {tokens}.")


def random_ids(
    model: DynaBertPreTrainedModel, batch_size: int, tokens: int, generator: torch.Generator
) -> Tensor:
    """(batch_size, tokens) ids of words, to time a pass with.

    Raises:
        UserError: more tokens than the model has positions.
    """
    check_tokens(model.config.max_tokens, tokens)
    # Low ids are special tokens; RoBERTa counts positions by comparing with the padding id.
    lowest = min(1000, model.config.vocab_size - 1)
    shape = (batch_size, tokens)
    return torch.randint(lowest, model.config.vocab_size, shape, generator=generator).to(
        model.device
    )


def time_passes(
    model: DynaBertPreTrainedModel,
    inputs: Mapping[str, Tensor],
    subnets: Sequence[Subnet],
    *,
    repeats: int,
    warm_up: int,
    generator: torch.Generator,
    on_repeat: Callable[[int], None] | None = None,
) -> list[Latency]:
    """Time of a forward pass of each sub-network on the same inputs, all of them timed in turn."""
    times = time_in_turn(
        model,
        [functools.partial(model, **inputs, subnet=subnet) for subnet in subnets],
        repeats=repeats,
        warm_up=warm_up,
        generator=generator,
        on_repeat=on_repeat,
    )
    return latencies(times)


def latencies(times: np.ndarray) -> list[Latency]:
    """Of N calls, from milliseconds (repeats, N)."""
    first, median, third = np.quantile(times, [0.25, 0.5, 0.75], axis=0)
    return [
        Latency(median_ms=float(middle), iqr_ms=float(high - low))
        for low, middle, high in zip(first, median, third, strict=True)
    ]


@torch.inference_mode()
def time_in_turn(
    model: DynaBertPreTrainedModel,
    calls: Sequence[Callable[[], object]],
    *,
    repeats: int,
    warm_up: int,
    generator: torch.Generator,
    on_repeat: Callable[[int], None] | None = None,
) -> np.ndarray:
    """(repeats, N) milliseconds that each call of a model, or of parts of it, takes in eval mode.

    Every repeat makes all calls once, in a new random order, so that a slow moment of the machine
    falls on all of them alike.
    """
    times = np.zeros((repeats, len(calls)))
    with evaluating(model):
        for repeat in range(-warm_up, repeats):
            for number in torch.randperm(len(calls), generator=generator).tolist():
                _finish(model.device)
                start = time.perf_counter()
                calls[number]()
                _finish(model.device)
                if repeat >= 0:
                    times[repeat, number] = 1000 * (time.perf_counter() - start)
            if on_repeat is not None and repeat >= 0:
                on_repeat(repeat + 1)
    return times


_NUMBERS = {"cpu family": "family", "model": "model"}


def describe_machine(device: torch.device) -> str:
    """What a latency was measured on, for example "AMD EPYC 9B45, 2 threads".

    Two machines of the same name are taken for the same one: their latencies are compared.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{processor_name()}, {count(torch.get_num_threads(), 'thread')}"


@functools.cache
def processor_name(cpu_info: Path = Path("/proc/cpuinfo")) -> str:
    """A processor's name; where it names no model, as in many virtual machines, with the model's number."""
    facts: dict[str, str] = {}
    with suppress(OSError):
        for line in cpu_info.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            facts.setdefault(key.strip(), value.strip())
    name = facts.get("model name")
    if not name:
        return platform.processor() or platform.machine()
    if any(character.isdigit() for character in name.split("@")[0]):
        return name
    numbers = [f"{word} {facts[key]}" for key, word in _NUMBERS.items() if key in facts]
    return f"{name} ({' '.join(numbers)})" if numbers else name


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
