"""First-order importance of every attention head and FFN neuron.

How much would the loss change if a head (or neuron) were removed? The first-order Taylor expansion
answers without removing any: |dL/dh . h| for a head with output h, and |sum over the 2D weights w
of a neuron of dL/dw . w| for a neuron. DynaBERT, Sec. 2.1.1.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from dynabert.files import new_file
from dynabert.labels import IGNORED_LABEL
from dynabert.modeling.encoder import ElasticLayer
from dynabert.modeling.evaluating import evaluating
from dynabert.modeling.models import TaskModel
from dynabert.modeling.pretrained import DynaBertPreTrainedModel

Granularity = Literal["example", "batch"]


_EMBEDDED = ("input_ids", "token_type_ids", "position_ids", "inputs_embeds")


@dataclass(frozen=True)
class Importance:
    """Scores of the heads and neurons of each layer; the higher, the more the loss depends on it.

    Rows are layers, columns heads or neurons in the order the model had them. Where layers differ
    in size, rows are filled up with NaN.
    """

    heads: Tensor  # (L, H)
    neurons: Tensor  # (L, F)
    about: Mapping[str, str] = field(default_factory=dict)  # how it was computed, for the reader

    def in_original_order(self, model: DynaBertPreTrainedModel) -> Importance:
        """The scores by the heads and neurons of the network that `model` was before any rewiring.

        self: scores of `model` as it is now, as from `compute_importance`. Where `model` was
        extracted, what that network had and `model` has not is NaN.
        """
        heads = in_original_order(model, self.heads, "heads")
        return Importance(heads, in_original_order(model, self.neurons, "neurons"), self.about)

    def save(self, path: Path) -> None:
        """Write a safetensors file, whole; the description goes into its metadata."""
        with new_file(path) as partial:
            save_file({"heads": self.heads, "neurons": self.neurons}, partial, dict(self.about))
            partial.chmod(0o644)  # safetensors files come readable by their owner alone

    @classmethod
    def load(cls, path: Path) -> Importance:
        """Read what `save` wrote."""
        with safe_open(path, "pt") as file:
            about = dict(file.metadata() or {})
            return cls(file.get_tensor("heads"), file.get_tensor("neurons"), about)


def in_original_order(
    model: DynaBertPreTrainedModel, values: Tensor, of: Literal["heads", "neurons"]
) -> Tensor:
    """A number for each head or neuron of `model`, in the order of the network it was made from.

    values: (L, H) or (L, F) as the model has them now.  NaN where that network had one and `model`
    has not.
    """
    config = model.config
    layer_ids = config.layer_ids or []
    most = config.original_num_heads if of == "heads" else config.original_num_neurons
    sorted_back = torch.full((config.original_num_layers or 0, most or 0), torch.nan).to(values)
    for number, layer in enumerate(model.backbone.encoder.layers):
        ids = layer.attention.head_ids if of == "heads" else layer.feed_forward.neuron_ids
        sorted_back[layer_ids[number], ids.to(values.device).long()] = values[number, : len(ids)]
    return sorted_back


def compute_importance(
    model: TaskModel,
    batches: Iterable[Mapping[str, Tensor]],
    *,
    per: Granularity = "example",
    on_batch: Callable[[int], None] | None = None,
) -> Importance:
    """Mean importance of every head and neuron of the full network over labelled batches.

    batches: dicts that the model's forward takes, labels included; the loss is the model's own.
    per: what the absolute value is taken of before averaging. "example": each example's own loss,
    so the
        result does not depend on how examples were put into batches. "batch": the mean loss of each
        batch, which reads the paper's formula literally; contributions of opposite sign cancel
        inside a batch. Batches of one example make the two agree.
    on_batch: called with the number of examples seen so far.

    Gradients of the model's parameters are neither used nor touched; the model is run in eval mode
    and put back as it was.

    Raises:
        ValueError: no batches, or a batch without labels.
    """
    if per not in ("example", "batch"):
        raise ValueError(f'per must be "example" or "batch", got {per!r}.')
    config = model.config
    head_sum = torch.zeros(config.num_hidden_layers, max(config.shape.heads), dtype=torch.float64)
    neuron_sum = torch.zeros(
        config.num_hidden_layers, max(config.shape.neurons), dtype=torch.float64
    )
    weight_sum = 0
    seen = 0
    with evaluating(model), torch.enable_grad(), _captured(model) as captured:
        for batch in batches:
            inputs = {name: value.to(model.device) for name, value in batch.items()}
            # From a detached embedding output on, so that no gradient runs into the vocabulary
            # and frozen models can be measured too.
            texts = {name: inputs.pop(name) for name in _EMBEDDED if name in inputs}
            embedding_output = model.backbone.embeddings(**texts).detach().requires_grad_()
            out = model(embedding_output=embedding_output, **inputs)
            if out.loss is None:
                raise ValueError(
                    "importance needs labels: every batch must hold labels (or start_positions and "
                    "end_positions)."
                )
            # The loss that training lessens: padding is no place for an answer.
            loss = model.label_loss(model.logits_of(out, inputs.get("attention_mask")), inputs)
            size, counting = len(embedding_output), _num_counting(inputs, embedding_output.shape[1])
            tensors = [tensor for layer in captured for tensor in layer.tensors]
            gradients = iter(torch.autograd.grad(loss, tensors))
            for number, layer in enumerate(captured):
                for total, signed in zip(  # (B, h) of heads, (B, f) of neurons
                    (head_sum, neuron_sum), layer.contributions(gradients), strict=True
                ):
                    # The loss is a mean over examples; for one example's own loss undo that.
                    scores = (
                        signed.abs().sum(0) * counting if per == "example" else signed.sum(0).abs()
                    )
                    total[number, : len(scores)] += scores.double().cpu()
            weight_sum += counting if per == "example" else 1
            seen += size
            if on_batch is not None:
                on_batch(seen)
    if not weight_sum:
        raise ValueError("importance needs at least one batch, got none.")
    for total, counts in ((head_sum, config.shape.heads), (neuron_sum, config.shape.neurons)):
        for number, count in enumerate(counts):
            total[number, count:] = torch.nan
    about = {"per": per, "num_examples": str(seen)}
    return Importance((head_sum / weight_sum).float(), (neuron_sum / weight_sum).float(), about)


def _num_counting(inputs: Mapping[str, Tensor], num_tokens: int) -> int:
    """The examples of a batch that its loss counts: it leaves out some of those without an answer."""
    if "start_positions" in inputs:  # an answer outside the window is none
        start, end = inputs["start_positions"], inputs["end_positions"]
        return int(((start < num_tokens) & (end < num_tokens)).sum())
    labels = inputs["labels"]
    return len(labels) if labels.is_floating_point() else int((labels != IGNORED_LABEL).sum())


class _LayerCapture:
    """The tensors of one layer from which its importance follows, caught on their way."""

    def __init__(self, layer: ElasticLayer) -> None:
        self.head_dim = layer.attention.head_dim
        self.inner_bias = layer.feed_forward.inner.bias
        self.context: Tensor  # (B, S, h * d) outputs of the heads, concatenated
        self.before: Tensor  # (B, S, f) input of the activation
        self.after: Tensor  # (B, S, f) output of the activation

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.context, self.before, self.after

    def contributions(self, gradients: Iterator[Tensor]) -> tuple[Tensor, Tensor]:
        """Each example's dL/dh . h of the heads (B, h), and sum of dL/dw . w of the neurons (B, f).

        For a neuron with input x, pre-activation z = x . w1 + b and output a: the gradient of w1 is
        sum_t dL/dz x, hence dL/dw1 . w1 = sum_t dL/dz (z - b); and likewise dL/dw2 . w2 = sum_t
        dL/da a. So the weights' gradients, which would mix the examples, are not needed.
        """
        context, before, after = (tensor.detach() for tensor in self.tensors)
        d_context, d_before, d_after = (next(gradients) for _ in range(3))
        heads = (context * d_context).unflatten(-1, (-1, self.head_dim)).sum((1, 3))
        bias = self.inner_bias.detach()
        neurons = ((before - bias) * d_before + after * d_after).sum(1)
        return heads, neurons


@contextlib.contextmanager
def _captured(model: DynaBertPreTrainedModel) -> Iterator[list[_LayerCapture]]:
    captures, handles = [], []
    for layer in model.backbone.encoder.layers:
        capture = _LayerCapture(layer)

        def catch_context(_: nn.Module, inputs: tuple[Any, ...], *, to: Any = capture) -> None:
            to.context = inputs[0]

        def catch_neurons(
            _: nn.Module, inputs: tuple[Any, ...], output: Tensor, *, to: Any = capture
        ) -> None:
            to.before, to.after = inputs[0], output

        handles.append(layer.attention.output.register_forward_pre_hook(catch_context))
        handles.append(layer.feed_forward.activation.register_forward_hook(catch_neurons))
        captures.append(capture)
    try:
        yield captures
    finally:
        for handle in handles:
            handle.remove()
