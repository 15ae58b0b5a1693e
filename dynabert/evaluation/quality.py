"""Running sub-networks over a labelled split."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from dynabert.data.encoding import Batch, EncodedSplit, sorted_batches
from dynabert.evaluation.linear_kernel import fastest_linear
from dynabert.evaluation.metrics import is_collapsed, predictions_from_logits, score
from dynabert.modeling.heads import classification_loss
from dynabert.modeling.models import DynaBertForSequenceClassification
from dynabert.subnet import FULL, Subnet

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
    """Logits (S, B, C) of each of S sub-networks; the embeddings are computed once for all.

    The model must be in eval mode.
    """
    batch = {name: value.to(model.device) for name, value in batch.items()}
    with fastest_linear(model.dtype, model.device):
        embedding_output = model.backbone.embeddings(
            batch["input_ids"], batch.get("token_type_ids")
        )
        answers = [
            model(
                embedding_output=embedding_output,
                attention_mask=batch["attention_mask"],
                subnet=subnet,
            ).logits
            for subnet in subnets
        ]
    return np.stack([logits.float().cpu().numpy() for logits in answers])


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
