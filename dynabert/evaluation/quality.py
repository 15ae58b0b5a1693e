"""Running sub-networks over a labelled split."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from dynabert.data.encoding import Batch, Encoded, EncodedSplit, sorted_batches
from dynabert.data.masked_text import MaskedSplit
from dynabert.evaluation.labels import LabelTally
from dynabert.evaluation.linear_kernel import fastest_linear
from dynabert.evaluation.masked_tokens import MaskedTally
from dynabert.evaluation.spans import SpanTally
from dynabert.evaluation.tally import Evaluation, Tally
from dynabert.modeling.evaluating import evaluating
from dynabert.modeling.models import TaskModel
from dynabert.modeling.shared_layers import last_states
from dynabert.subnet import FULL, Subnet


def evaluate(
    model: TaskModel,
    split: Encoded,
    subnet: Subnet = FULL,
    *,
    metrics: tuple[str, ...],
    other_splits: Mapping[str, Encoded] | None = None,
    batch_size: int | None = None,
    on_batch: Callable[[int], None] | None = None,
) -> Evaluation:
    """Metrics, loss and answers of one sub-network; see `evaluate_many`."""
    (found,) = evaluate_many(
        *(model, split, [subnet]),
        metrics=metrics,
        other_splits=other_splits,
        batch_size=batch_size,
        on_batch=on_batch,
    )
    return found


def evaluate_many(
    model: TaskModel,
    split: Encoded,
    subnets: Iterable[Subnet],
    *,
    metrics: tuple[str, ...],
    other_splits: Mapping[str, Encoded] | None = None,
    batch_size: int | None = None,
    on_batch: Callable[[int], None] | None = None,
) -> list[Evaluation]:
    """Metrics, loss and answers of each sub-network, in the order given.

    The model's own precision is used, dropout is off, and what sub-networks have in common, a batch's
    embeddings and the layers they begin with alike, is computed once.
    metrics: names from `dynabert.evaluation.metrics.METRICS`, of spans from
    `dynabert.evaluation.answer_scores.ANSWER_METRICS`.
    other_splits: further ones by their names; their metrics are told beside those of the split, under
    the names that `metric_on` gives them. Loss and answers are of the split alone.
    batch_size: None is what suits the kind of task.
    on_batch: called with the number of examples done (by all sub-networks), of all splits together.
    """
    subnets = list(subnets)
    return evaluate_read(
        lambda part, told: read_all(model, part, subnets, batch_size=batch_size, on_batch=told),
        *(split, subnets),
        metrics=metrics,
        other_splits=other_splits,
        on_batch=on_batch,
    )


def evaluate_read(
    read: Callable[[Encoded, Callable[[int], None] | None], Tally],
    split: Encoded,
    subnets: Sequence[Subnet],
    *,
    metrics: tuple[str, ...],
    other_splits: Mapping[str, Encoded] | None = None,
    on_batch: Callable[[int], None] | None = None,
) -> list[Evaluation]:
    """What `evaluate_many` says of networks, however they are run.

    read: what they answer to every row of a split, told the number of examples done.
    """
    tally = read(split, on_batch)
    found = [tally.evaluation(number, subnet, metrics) for number, subnet in enumerate(subnets)]
    done = split.num_examples
    for name, other in (other_splits or {}).items():
        tally = read(other, on_batch and _beginning_at(done, on_batch))
        for number, one in enumerate(found):
            scores = tally.scores(number, metrics)
            named = {metric_on(name, metric): scores[metric] for metric in metrics}
            found[number] = replace(one, metrics=one.metrics | named)
        done += other.num_examples
    return found


def metric_on(split: str, metric: str) -> str:
    """What a metric is called on a further split of that name, for example accuracy_mismatched."""
    return f"{metric}_{split}"


def further_metrics(columns: Iterable[str], metrics: Sequence[str]) -> list[str]:
    """Of a table's columns those that `metric_on` has named for some metrics."""
    return [
        name
        for name in columns
        if name not in metrics and any(name.startswith(metric_on("", one)) for one in metrics)
    ]


def _beginning_at(before: int, on_batch: Callable[[int], None]) -> Callable[[int], None]:
    return lambda done: on_batch(before + done)


def read_all(
    model: TaskModel,
    split: Encoded,
    subnets: Sequence[Subnet],
    *,
    batch_size: int | None = None,
    on_batch: Callable[[int], None] | None = None,
) -> Tally:
    """What sub-networks answer to every row of a split, not yet judged; arguments as of `evaluate_many`."""
    tally = new_tally(model, split, len(subnets))
    with evaluating(model):
        read_rows(
            tally,
            split,
            lambda batch: batch_logits(model, batch, subnets),
            batch_size=batch_size,
            on_batch=on_batch,
        )
    return tally


def read_rows(
    tally: Tally,
    split: Encoded,
    answer: Callable[[Batch], Sequence[np.ndarray]],
    *,
    batch_size: int | None = None,
    on_batch: Callable[[int], None] | None = None,
) -> None:
    """Fill a tally with what networks answer to every row of a split, whatever runs them.

    answer: the task's sets of logits for a batch, (K, B, C) or (K, B, S) each.  Others: `evaluate_many`.
    """
    done = 0
    for rows in sorted_batches(split.lengths, batch_size or tally.batch_size):
        tally.add(rows, answer(split.batch(rows)))
        done += len(rows)
        if on_batch is not None:  # so many examples' worth of rows
            on_batch(done * split.num_examples // len(split))


def new_tally(model: TaskModel, split: Encoded, networks: int) -> Tally:
    """An empty tally of that many networks on a split."""
    if isinstance(split, EncodedSplit):
        config = model.config
        return LabelTally(split, networks, config.num_labels or 1, config.problem_type)
    if isinstance(split, MaskedSplit):
        return MaskedTally(split, networks)
    return SpanTally(split, networks)


@torch.inference_mode()
def batch_logits(model: TaskModel, batch: Batch, subnets: Sequence[Subnet]) -> list[np.ndarray]:
    """The task's sets of logits of K sub-networks, with no more arithmetic than they need.

    Each set is (K, B, C), (K, B, S) of starts and of ends, or (K, M, V) of masked tokens. The embeddings
    are computed once for all, layers once for all that begin with them alike, and, where the head reads
    nothing else, the last layer for the first token only. The model must be in eval mode.
    """
    batch = {name: value.to(model.device) for name, value in batch.items()}
    with fastest_linear(model.dtype, model.device):
        embedding_output = model.backbone.embeddings(
            batch["input_ids"], batch.get("token_type_ids")
        )
        resolved = [subnet.resolve(model.config.shape) for subnet in subnets]
        answers = {
            place: model.read(states, batch)
            for place, states in last_states(
                model, embedding_output, batch["attention_mask"], resolved
            )
        }
    return [
        np.stack([logits.float().cpu().numpy() for logits in one_set])
        for one_set in zip(*(answers[place] for place in range(len(subnets))), strict=True)
    ]
