"""Running the ONNX file of a sub-network: what it answers, how it scores, how fast it is."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dynabert.data.encoding import Encoded
from dynabert.evaluation.latency import Latency, LatencySetup, latencies, random_ids, time_in_turn
from dynabert.evaluation.quality import evaluate_read, new_tally, read_rows
from dynabert.evaluation.tally import Evaluation, Tally
from dynabert.modeling.models import TaskModel
from dynabert.subnet import Subnet

# Both libraries leave threads behind that wait for more work without giving up the processor: between
# single passes of one and of the other, PyTorch took three times as long.
_SETTLE_SECONDS = 0.3
_ROUNDS = 5


class OnnxNetwork:
    """An ONNX file in ONNX Runtime, on the processor, with as many threads as PyTorch has."""

    def __init__(self, path: Path) -> None:
        import onnxruntime  # only who takes such files away needs it

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3  # errors
        self._session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )
        self.inputs = tuple(one.name for one in self._session.get_inputs())

    def __call__(self, batch: Mapping[str, Tensor]) -> list[np.ndarray]:
        """The task's sets of logits, (B, C), or (B, S) of starts and of ends.

        batch: input_ids (B, S); where it lacks the mask or the token types, all are tokens, of one text.
        """
        ids = batch["input_ids"]
        given = {"attention_mask": torch.ones_like(ids), "token_type_ids": torch.zeros_like(ids)}
        given |= batch
        return self._session.run(None, {name: given[name].numpy() for name in self.inputs})


def evaluate_onnx(
    network: OnnxNetwork,
    model: TaskModel,
    subnet: Subnet,
    split: Encoded,
    *,
    metrics: tuple[str, ...],
    other_splits: Mapping[str, Encoded] | None = None,
    on_batch: Callable[[int], None] | None = None,
) -> Evaluation:
    """Metrics, loss and answers of a file on a labelled split, as `evaluate` gives them.

    model, subnet: what it was made from.
    """

    def read(part: Encoded, told: Callable[[int], None] | None) -> Tally:
        tally = new_tally(model, part, 1)
        read_rows(tally, part, lambda batch: [one[None] for one in network(batch)], on_batch=told)
        return tally

    (found,) = evaluate_read(
        *(read, split, [subnet]), metrics=metrics, other_splits=other_splits, on_batch=on_batch
    )
    return found


class Beside(NamedTuple):
    """How long a pass takes."""

    torch: Latency
    onnx: Latency


def time_beside(
    model: TaskModel, networks: Sequence[OnnxNetwork], setup: LatencySetup
) -> list[Latency]:
    """A pass of a network in PyTorch, and of each file that was made from it, timed in turns of several
    passes.

    Raises:
        UserError: more tokens than the model has positions.
    """
    generator = torch.Generator().manual_seed(setup.seed)
    batch = {"input_ids": random_ids(model, setup.batch_size, setup.tokens, generator)}
    calls: list[Callable[[], object]] = [partial(model, **batch)]
    calls += [partial(one, batch) for one in networks]
    times = [list[np.ndarray]() for _ in calls]
    for _ in range(_ROUNDS):
        for number in torch.randperm(len(calls), generator=generator).tolist():
            time.sleep(_SETTLE_SECONDS)
            times[number].append(
                time_in_turn(
                    model,
                    [calls[number]],
                    repeats=math.ceil(setup.repeats / _ROUNDS),
                    warm_up=setup.warm_up,
                    generator=generator,
                )
            )
    return latencies(np.concatenate([np.concatenate(one) for one in times], axis=1))
