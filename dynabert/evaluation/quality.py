"""Running sub-networks over a labelled split."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dynabert.data.encoding import Batch, EncodedSplit, sorted_batches
from dynabert.evaluation.linear_kernel import fastest_linear
from dynabert.evaluation.metrics import is_collapsed, predictions_from_logits, score
from dynabert.modeling.heads import classification_loss
from dynabert.modeling.models import DynaBertForSequenceClassification, key_mask
from dynabert.subnet import FULL, ResolvedSubnet, Subnet

BATCH_SIZE = 64


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """What one sub-network answered on a split."""

    subnet: Subnet
    metrics: dict[str, float]
    loss: float  # mean over examples, against the labels
    collapsed: bool  # answers every example alike
    logits: np.ndarray  # (N, C) in the order of the split
    labels: np.ndarray  # (N,)

    @property
    def predictions(self) -> np.ndarray:
        """(N,) class numbers, or values of a regression."""
        return predictions_from_logits(self.logits)

    @property
    def num_examples(self) -> int:
        return len(self.labels)


def evaluate(
    model: DynaBertForSequenceClassification,
    split: EncodedSplit,
    subnet: Subnet = FULL,
    *,
    metrics: tuple[str, ...],
    batch_size: int = BATCH_SIZE,
    on_batch: Callable[[int], None] | None = None,
) -> Evaluation:
    """Metrics, loss and logits of one sub-network; see `evaluate_many`."""
    return evaluate_many(
        model, split, [subnet], metrics=metrics, batch_size=batch_size, on_batch=on_batch
    )[0]


def evaluate_many(
    model: DynaBertForSequenceClassification,
    split: EncodedSplit,
    subnets: Iterable[Subnet],
    *,
    metrics: tuple[str, ...],
    batch_size: int = BATCH_SIZE,
    on_batch: Callable[[int], None] | None = None,
) -> list[Evaluation]:
    """Metrics, loss and logits of each sub-network, in the order given.

    The model's own precision is used, dropout is off, and the embeddings of a batch are computed
    once for all sub-networks. metrics: names from `dynabert.evaluation.metrics.METRICS`.
    on_batch: called with the number of examples done (by all sub-networks).
    """
    subnets = list(subnets)
    shape = (len(subnets), len(split), model.config.num_labels or 1)
    logits = np.zeros(shape, dtype=np.float32)
    was_training = model.training
    model.eval()
    done = 0
    try:
        for rows in sorted_batches(split.lengths, batch_size):
            logits[:, rows] = batch_logits(model, split.batch(rows), subnets)
            done += len(rows)
            if on_batch is not None:
                on_batch(done)
    finally:
        model.train(was_training)
    return [
        judge(subnet, logits[number], split.labels, metrics, model.config.problem_type)
        for number, subnet in enumerate(subnets)
    ]


@torch.inference_mode()
def batch_logits(
    model: DynaBertForSequenceClassification, batch: Batch, subnets: Sequence[Subnet]
) -> np.ndarray:
    """Logits (S, B, C) of each of S sub-networks, with no more arithmetic than they need.

    The embeddings are computed once for all, and the last layer for the first token only, which is
    all that the classifier reads. The model must be in eval mode.
    """
    batch = {name: value.to(model.device) for name, value in batch.items()}
    with fastest_linear(model.dtype, model.device):
        embedding_output = model.backbone.embeddings(
            batch["input_ids"], batch.get("token_type_ids")
        )
        mask = key_mask(batch["attention_mask"])
        answers = [
            _logits(model, embedding_output, mask, subnet.resolve(model.config.shape))
            for subnet in subnets
        ]
    return np.stack([logits.float().cpu().numpy() for logits in answers])


def _logits(
    model: DynaBertForSequenceClassification,
    hidden: Tensor,
    mask: Tensor | None,
    resolved: ResolvedSubnet,
) -> Tensor:
    """Logits (B, C) of one sub-network from the embeddings' output (B, S, D)."""
    last = len(resolved.layers) - 1
    executed = zip(resolved.layers, resolved.heads, resolved.neurons, strict=True)
    for place, (index, num_heads, num_neurons) in enumerate(executed):
        layer = model.backbone.encoder.layers[index]
        num_queries = 1 if place == last else None
        hidden, _ = layer.attention(hidden, mask, num_heads, num_queries=num_queries)
        hidden = layer.feed_forward(hidden, num_neurons)
    logits: Tensor = model.head(hidden)
    return logits


def judge(
    subnet: Subnet,
    logits: np.ndarray,
    labels: np.ndarray,
    metrics: tuple[str, ...],
    problem_type: str | None,
) -> Evaluation:
    """The evaluation that logits (N, C) come to against labels (N,)."""
    predictions = predictions_from_logits(logits)
    loss = classification_loss(torch.from_numpy(logits), torch.from_numpy(labels), problem_type)
    return Evaluation(
        subnet=subnet,
        metrics=score(metrics, labels, predictions),
        loss=float(loss),
        collapsed=is_collapsed(labels, predictions),
        logits=logits,
        labels=labels,
    )
