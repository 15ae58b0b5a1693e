"""Evaluating a sub-network so that its score is known roughly at once and exactly in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from dynabert.data.encoding import Encoded, sorted_batches
from dynabert.evaluation.intervals import Interval
from dynabert.evaluation.quality import batch_logits, new_tally
from dynabert.evaluation.tally import Evaluation, Tally
from dynabert.modeling.evaluating import evaluating
from dynabert.modeling.models import TaskModel
from dynabert.subnet import FULL, Subnet

# The first block is small, for an early estimate. The later ones are large and cut into small batches,
# so that sorting each by length saves nearly as much padding as sorting the whole split does.
FIRST_BLOCK, LATER_BLOCKS, BATCH_SIZE = 64, 512, 32


@dataclass(frozen=True, kw_only=True, eq=False)
class Estimate:
    """What a sub-network scores on the examples read so far."""

    subnet: Subnet
    metrics: dict[str, Interval]
    num_read: int
    num_examples: int  # of the whole split
    share_of_tokens: float  # read so far: how much of the work is done, from 0 to 1
    evaluation: Evaluation | None  # of the whole split, in the last estimate


def evaluate_gradually(
    model: TaskModel,
    split: Encoded,
    subnet: Subnet = FULL,
    *,
    metrics: tuple[str, ...],
    generator: torch.Generator,
    first_block: int = FIRST_BLOCK,
    later_blocks: int = LATER_BLOCKS,
    batch_size: int = BATCH_SIZE,
    on_batch: Callable[[], None] | None = None,
) -> Iterator[Estimate]:
    """An estimate after each block of examples; the last one carries the `evaluate` of the split.

    The order of the examples is random, so that each estimate is of a random sample (for accuracy
    unbiased), with an interval for the whole split (`dynabert.evaluation.intervals`). Within a block
    they are sorted by length; of a question all windows belong to one block. The caller may stop at any
    time by asking for no more.
    metrics: names from `dynabert.evaluation.metrics.METRICS`.
    generator: of the order; its seed is also that of the intervals' bootstrap.
    on_batch: called after each batch; it may raise to stop.
    """
    total = split.num_examples
    tally = new_tally(model, split, 1)
    samples = np.random.default_rng(generator.initial_seed())
    order = torch.randperm(total, generator=generator).numpy()
    lengths = split.lengths
    read = 0
    while read < total:
        block = order[read : read + (first_block if read == 0 else later_blocks)]
        _read_block(model, split, subnet, split.rows_of(block), tally, batch_size, on_batch)
        read += len(block)
        yield Estimate(
            subnet=subnet,
            metrics=tally.intervals(0, metrics, order[:read], samples),
            num_read=read,
            num_examples=total,
            share_of_tokens=float(lengths[split.rows_of(order[:read])].sum() / lengths.sum()),
            evaluation=tally.evaluation(0, subnet, metrics) if read == total else None,
        )


def _read_block(
    model: TaskModel,
    split: Encoded,
    subnet: Subnet,
    block: np.ndarray,
    tally: Tally,
    batch_size: int,
    on_batch: Callable[[], None] | None,
) -> None:
    """Fill in the answers to the rows of a block."""
    with evaluating(model):
        for places in sorted_batches(split.lengths[block], batch_size):
            rows = block[places].tolist()
            tally.add(rows, batch_logits(model, split.batch(rows), [subnet]))
            if on_batch is not None:
                on_batch()
