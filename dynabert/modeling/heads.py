"""Task heads on top of the encoder, and their losses."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.activations import ACT2FN

from dynabert.labels import IGNORED_LABEL
from dynabert.modeling.configuration import DynaBertConfig
from dynabert.modeling.dropout import Dropout

NEVER = -1e9  # a logit whose share is 0, and that still can be scaled by a temperature


class ClassificationHead(nn.Module):
    """Dense, tanh and output layer on the first token; regression is the case of one output.

    In BERT the dense layer is the pooler. RoBERTa applies dropout before it as well.
    """

    def __init__(self, config: DynaBertConfig) -> None:
        super().__init__()
        rate = config.classifier_dropout
        self.dropout = Dropout(config.hidden_dropout_prob if rate is None else rate)
        self.drops_first = config.backbone == "roberta"
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.output = nn.Linear(config.hidden_size, config.num_labels or 1)

    def forward(self, last_hidden_state: Tensor) -> Tensor:
        """(B, S, D) -> logits (B, C)."""
        first = last_hidden_state[:, 0]
        if self.drops_first:
            first = self.dropout(first)
        return self.output(self.dropout(torch.tanh(self.dense(first))))


class SpanHead(nn.Module):
    """Start and end logits of an answer in the text."""

    def __init__(self, config: DynaBertConfig) -> None:
        super().__init__()
        self.output = nn.Linear(config.hidden_size, 2)

    def forward(self, last_hidden_state: Tensor) -> tuple[Tensor, Tensor]:
        """(B, S, D) -> start logits (B, S), end logits (B, S)."""
        start, end = self.output(last_hidden_state).unbind(-1)
        return start.contiguous(), end.contiguous()


class MaskedTokenHead(nn.Module):
    """Scores of every piece of the vocabulary; its output weights are the word embeddings."""

    def __init__(self, config: DynaBertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        # RoBERTa's is GELU whatever its layers have.
        self.activation = ACT2FN["gelu" if config.backbone == "roberta" else config.hidden_act]
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.output = VocabularyBias(config.vocab_size)

    def forward(self, hidden: Tensor, embeddings: Tensor) -> Tensor:
        """(..., D) and word embeddings (V, D) -> logits (..., V)."""
        transformed = self.norm(self.activation(self.dense(hidden)))
        return F.linear(transformed, embeddings, self.output.bias)


class VocabularyBias(nn.Module):
    """What an output layer without weights of its own still has."""

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(vocab_size))


def at_least_float32(x: Tensor) -> Tensor:
    """The tensor, converted if it is of half precision: losses must not be computed in that."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def classification_loss(logits: Tensor, labels: Tensor, problem_type: str | None) -> Tensor:
    """Mean loss of logits (B, C) against labels, in float32 or better.

    One output, or `problem_type` "regression": mean squared error. Several: cross-entropy against
    class numbers (B,), or binary cross-entropy against (B, C) where `problem_type` is
    "multi_label_classification" or, as in Hugging Face's classes, where it is open and labels are
    not whole numbers.
    """
    return _losses(logits, labels, problem_type, reduction="mean")


def example_losses(logits: Tensor, labels: Tensor, problem_type: str | None) -> Tensor:
    """The loss of each example (B,), of which `classification_loss` is the mean."""
    losses = _losses(logits, labels, problem_type, reduction="none")
    return losses.flatten(1).mean(1) if losses.dim() > 1 else losses


def _losses(logits: Tensor, labels: Tensor, problem_type: str | None, *, reduction: str) -> Tensor:
    logits = at_least_float32(logits)
    if logits.shape[-1] == 1 or problem_type == "regression":
        labels = labels.to(logits.dtype).reshape(logits.shape)
        return F.mse_loss(logits, labels, reduction=reduction)
    if problem_type == "multi_label_classification" or (
        problem_type is None and labels.is_floating_point()
    ):
        labels = labels.to(logits.dtype)
        return F.binary_cross_entropy_with_logits(logits, labels, reduction=reduction)
    return F.cross_entropy(logits, labels.reshape(-1), reduction=reduction)


def at_real_tokens(logits: Tensor, attention_mask: Tensor | None) -> Tensor:
    """Logits (B, S) over the tokens of a text, such that a softmax gives padding no share.

    attention_mask: (B, S), 1 where there is a token.  Hugging Face's classes lack this: there the loss
    depends on how far a batch was padded.
    """
    logits = at_least_float32(logits)
    return logits if attention_mask is None else logits.masked_fill(attention_mask == 0, NEVER)


def masked_token_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy against the M of the labels (B, S) that are not `IGNORED_LABEL`; of none, 0.

    logits: of those alone, (M, V), or of all tokens, (B, S, V).
    """
    asked = labels != IGNORED_LABEL
    if logits.dim() == 3:
        logits = logits[asked]
    loss = F.cross_entropy(at_least_float32(logits), labels[asked], reduction="sum")
    return loss / max(1, len(logits))


def joined(sets: tuple[Tensor, ...]) -> Tensor:
    """A task's sets of logits as one tensor: (B, C), or (B, 2, S) of start and end."""
    return sets[0] if len(sets) == 1 else torch.stack(sets, dim=1)


def span_loss(start: Tensor, end: Tensor, start_positions: Tensor, end_positions: Tensor) -> Tensor:
    """Mean of the cross-entropies of start and end, (B, S) against (B,).

    An answer that lies outside the window (position >= S) does not count.
    """
    ignored = start.shape[1]
    losses = [
        F.cross_entropy(
            at_least_float32(logits), positions.reshape(-1).clamp(0, ignored), ignore_index=ignored
        )
        for logits, positions in ((start, start_positions), (end, end_positions))
    ]
    return (losses[0] + losses[1]) / 2
