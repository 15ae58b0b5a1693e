"""All sub-networks on one text at once.

A short text is too little work for a forward pass of its own: most of the time goes into starting
operations. Sub-networks that execute the same layers therefore run as one batch, each row with masks
that switch off the heads and neurons it has not. Masked and sliced are the same numbers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dynabert.modeling.heads import joined
from dynabert.modeling.models import TaskModel
from dynabert.subnet import ResolvedSubnet, Subnet


@dataclass(frozen=True, kw_only=True, eq=False)
class Reading:
    """What one sub-network makes of a text."""

    subnet: Subnet
    resolved: ResolvedSubnet
    logits: Tensor  # (C,); of spans (2, S), start and end
    attentions: tuple[Tensor, ...]  # (h, S, S) of each executed layer


@torch.inference_mode()
def read_together(
    model: TaskModel,
    inputs: Mapping[str, Tensor],
    subnets: Sequence[Subnet],
) -> list[Reading]:
    """Logits and attention probabilities of every sub-network for one text.

    inputs: input_ids and token_type_ids, (1, S), without padding. The model must be in eval mode.
    """
    shape = model.config.shape
    groups: dict[tuple[object, ...], list[int]] = defaultdict(list)
    resolved = [subnet.resolve(shape) for subnet in subnets]
    for number, one in enumerate(resolved):
        # Which tokens leave a layer depends on the width: there nothing can be computed together.
        alone = () if one.length_config is None else (number,)
        groups[one.layers, alone].append(number)
    embedding_output = model.backbone.embeddings(inputs["input_ids"], inputs.get("token_type_ids"))
    readings: dict[int, Reading] = {}
    for numbers in groups.values():
        group = [resolved[number] for number in numbers]
        if group[0].length_config is None:
            logits, attentions = _read_group(model, embedding_output, group)
        else:
            out = model.backbone.encoder(embedding_output, None, group[0], output_attentions=True)
            logits, attentions = joined(model.read(out.last_hidden_state)), out.attentions
        for row, number in enumerate(numbers):
            readings[number] = Reading(
                subnet=subnets[number],
                resolved=resolved[number],
                logits=logits[row],
                attentions=tuple(
                    probs[row, :heads]
                    for probs, heads in zip(attentions, resolved[number].heads, strict=True)
                ),
            )
    return [readings[number] for number in range(len(subnets))]


def _read_group(
    model: TaskModel,
    embedding_output: Tensor,
    group: Sequence[ResolvedSubnet],
) -> tuple[Tensor, list[Tensor]]:
    """Sub-networks of the same layers: logits (B, ...), and of each layer probabilities (B, h, S, S)."""
    hidden = embedding_output.expand(len(group), -1, -1)
    attentions = []
    for place, index in enumerate(group[0].layers):
        layer = model.backbone.encoder.layers[index]
        heads, neurons = (
            torch.tensor(counts, device=hidden.device)
            for counts in zip(
                *((one.heads[place], one.neurons[place]) for one in group), strict=True
            )
        )
        hidden, probs = layer.attention(
            hidden, None, int(heads.max()), head_mask=_first(heads), need_probs=True
        )
        hidden = layer.feed_forward(hidden, int(neurons.max()), neuron_mask=_first(neurons))
        assert probs is not None  # asked for
        attentions.append(probs)
    return joined(model.read(hidden)), attentions


def _first(counts: Tensor) -> Tensor:
    """(B, n) 1 for the first of each row, as many as it counts."""
    return (torch.arange(int(counts.max()), device=counts.device) < counts[:, None]).float()
