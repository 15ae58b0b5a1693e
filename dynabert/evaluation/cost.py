"""Exact size and arithmetic of a sub-network, from formulas."""

from __future__ import annotations

from dynabert.errors import UserError
from dynabert.modeling.configuration import DynaBertConfig
from dynabert.modeling.pretrained import DynaBertPreTrainedModel
from dynabert.subnet import FULL, Subnet

PAPER_TOKENS = 128  # the length at which the paper counts FLOPs and measures latency, App. B.3


def num_params(model: DynaBertPreTrainedModel | DynaBertConfig, subnet: Subnet = FULL) -> int:
    """Parameters of the Transformer layers that a sub-network uses; embeddings and head not
    counted.

    Per layer with a = heads * head size and f neurons:
    3 (D a + a) + a D + D (attention), 2 D f + f + D (feed-forward), 4 D (two LayerNorms).
    """
    config = _config(model)
    hidden, shape = config.hidden_size, config.shape
    resolved = subnet.resolve(shape)
    total = 0
    for heads, neurons in zip(resolved.heads, resolved.neurons, strict=True):
        width = heads * shape.head_dim
        total += 3 * (hidden * width + width) + width * hidden + hidden
        total += 2 * hidden * neurons + neurons + hidden
        total += 4 * hidden
    return total


def num_params_total(model: DynaBertPreTrainedModel, subnet: Subnet = FULL) -> int:
    """Parameters of the whole sub-network: embeddings, Transformer layers and head."""
    everything = sum(parameter.numel() for parameter in model.parameters())
    return everything - num_params(model, FULL) + num_params(model, subnet)


def count_macs(
    model: DynaBertPreTrainedModel | DynaBertConfig,
    subnet: Subnet = FULL,
    tokens: int = PAPER_TOKENS,
) -> int:
    """Multiply-accumulate operations of the Transformer layers for one sentence of `tokens` tokens.

    Per layer, with a = heads * head size, f neurons, n tokens that enter it and m that leave it: 3 n
    D a (query, key, value) + 2 n^2 a (scores and their use) + n a D (output projection) + 2 m D f
    (feed-forward), as Dynamic-TinyBERT and the Length-Adaptive Transformer count. (The program computes
    less: where m < n it leaves out what attention gives only to tokens that are dropped, and in a
    classifier's last layer all but the first token's output. So there the last m counts, but no time
    depends on it.)
    Published "FLOPs" of BERT are usually twice this number; embeddings, LayerNorm, softmax and the
    head are not counted.

    Raises:
        UserError: fewer than one token.
    """
    if tokens < 1:
        raise UserError(f"tokens must be at least 1, got {tokens}.")
    config = _config(model)
    hidden, shape = config.hidden_size, config.shape
    resolved = subnet.resolve(shape)
    total = 0
    entering = tokens
    layers = zip(resolved.heads, resolved.neurons, resolved.tokens_left(tokens), strict=True)
    for heads, neurons, leaving in layers:
        width = heads * shape.head_dim
        total += 4 * entering * hidden * width + 2 * entering**2 * width
        total += 2 * leaving * hidden * neurons
        entering = leaving
    return total


def _config(model: DynaBertPreTrainedModel | DynaBertConfig) -> DynaBertConfig:
    return model if isinstance(model, DynaBertConfig) else model.config
