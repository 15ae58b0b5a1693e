"""Which tokens of a text leave each layer of a sub-network that drops some."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from transformers import PreTrainedTokenizerBase

from dynabert.analysis.attention_maps import as_inputs, encode_texts, token_texts
from dynabert.analysis.class_answer import ClassAnswer
from dynabert.evaluation.cost import count_macs
from dynabert.length_config import shrinking
from dynabert.modeling.attention import received_of
from dynabert.modeling.heads import joined
from dynabert.modeling.models import TaskModel
from dynabert.modeling.tokens import Tokens
from dynabert.subnet import NetworkShape, Subnet

DROPS = tuple(number / 20 for number in range(11))  # shares that a layer may drop: 0 to one half


@dataclass(frozen=True, kw_only=True, eq=False)
class Survivors(ClassAnswer):
    """What becomes of the tokens of one text in one sub-network."""

    subnet: Subnet
    tokens: tuple[str, ...]  # (S,) special tokens included
    layers: tuple[int, ...]  # (L,) executed ones, numbered as in the original network
    leaving: np.ndarray  # (L, S) whether a token leaves that layer
    # (L, S) share of a layer's attention that a token receives; NaN for one that did not enter it.
    received: np.ndarray
    logits: np.ndarray  # (C,); of spans (2, S), start and end
    macs: int  # of its Transformer layers for this text
    num_cut: int  # tokens left out because the text was too long

    @property
    def num_leaving(self) -> tuple[int, ...]:
        """(L,) how many tokens leave each layer."""
        return tuple(int(count) for count in self.leaving.sum(1))


@torch.inference_mode()
def survivors(
    model: TaskModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    subnets: Sequence[Subnet],
    max_tokens: int | None = None,
) -> list[Survivors]:
    """Follow the tokens of one text, or of a pair, through sub-networks.

    max_tokens: longest input, special tokens included; a longer one is cut. Left out, the longest that
    the model reads.

    Raises:
        UserError: neither one nor two texts, or an empty one.
    """
    config = model.config
    encoded, num_cut = encode_texts(tokenizer, texts, config, max_tokens)
    names = token_texts(encoded, texts, tokenizer, spelled_by_bytes=config.backbone == "roberta")
    inputs = as_inputs(encoded, model.device)
    embedded = model.backbone.embeddings(inputs["input_ids"], inputs.get("token_type_ids"))
    found = []
    for subnet in subnets:
        tokens, leaving, received = Tokens.of(embedded, None), [], []
        resolved = subnet.resolve(config.shape)
        for executed in resolved.executed:
            before = tokens
            tokens, probs = model.backbone.encoder.execute(tokens, executed, need_probs=True)
            assert probs is not None  # asked for
            received.append(received_shares(probs, before, len(names)))
            leaving.append(tokens.at_work(len(names))[0].cpu().numpy())
        layer_ids = config.layer_ids or []
        found.append(
            Survivors(
                subnet=subnet,
                tokens=names,
                layers=tuple(layer_ids[layer] for layer in resolved.layers),
                leaving=np.stack(leaving),
                received=np.stack(received),
                logits=joined(model.read(tokens.restored))[0].float().cpu().numpy(),
                macs=count_macs(model, subnet, len(names)),
                num_cut=num_cut,
            )
        )
    return found


def dropping(subnet: Subnet, shape: NetworkShape, drops: Sequence[float] = DROPS) -> list[Subnet]:
    """The sub-network with every layer dropping such a share of the tokens that enter it."""
    layers = len(subnet.resolve(shape).layers)
    return [
        replace(subnet, length_config=shrinking(layers, drop) if drop else None) for drop in drops
    ]


def survivor_table(found: Sequence[Survivors]) -> pd.DataFrame:
    """A row for each token of each layer: subnet, layer (from 1), place, token, received, leaves."""
    return pd.DataFrame(
        {
            "subnet": one.subnet.key,
            "layer": layer + 1,
            "place": place,
            "token": token,
            "received": float(one.received[row, place]),
            "leaves": bool(one.leaving[row, place]),
        }
        for one in found
        for row, layer in enumerate(one.layers)
        for place, token in enumerate(one.tokens)
    )


def received_shares(probs: torch.Tensor, entered: Tokens, length: int) -> np.ndarray:
    """(S,) share of a layer's attention that each token of one text receives; NaN for one that did not
    enter it.

    probs: (1, h, R, R) of the rows that entered.
    """
    received = received_of(probs, None)[0]
    places = np.arange(length)
    if entered.positions is not None:
        places = entered.positions[0].cpu().numpy()
    shares = np.full(length, np.nan)
    shares[places] = (received / received.sum()).cpu().numpy()
    return shares
