"""BertViz's three views of a sub-network's attention."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dynabert.analysis.queries_keys import LayerQueryKey, QueryKey
from dynabert.errors import UserError
from dynabert.plots.classic.bertviz_scripts import ROOT, head_parts, model_parts, neuron_script
from dynabert.plots.classic.document import Theme, document

# A line for each head of each layer and each pair of tokens; a browser takes seconds over more.
MOST_TOKENS = 24
_PARTS_OF_A_PAIR = (
    ("all", "All"),
    ("aa", "Sentence A -&gt; Sentence A"),
    ("ab", "Sentence A -&gt; Sentence B"),
    ("ba", "Sentence B -&gt; Sentence A"),
    ("bb", "Sentence B -&gt; Sentence B"),
)
_CONTROLS_PX, _SCROLLBAR_PX = 56, 16


@dataclass(frozen=True)
class ClassicView:
    """A document to be shown in a frame of that height, of any width."""

    html: str
    height_px: int


def head_view(
    found: QueryKey,
    *,
    layer: int | None = None,
    theme: Theme = "auto",
    most_tokens: int = MOST_TOKENS,
) -> ClassicView:
    """All heads of one layer at a time, as coloured lines between two columns of tokens.

    layer: the one to begin with, from 0, as in the original network; the first that is executed
    where it is left out or not executed. BertViz wants the same number of heads in every layer:
    heads that a layer lacks are filled with zeros, their squares are dashed and cannot be chosen.

    Raises:
        UserError: more than `most_tokens` tokens, no BertViz, or one of an unknown version.
    """
    _check(found, most_tokens)
    parts = head_parts(_padded(found), found.tokens, found.second_start)
    params = parts.params | {
        "include_layers": _numbers(found),
        "layer": found.layers[_place(found, layer)].layer + 1,
        "kept": _kept(found),
    }
    return ClassicView(
        document(
            title="Head view", kind="head", theme=theme, body=parts.body, params=params,
            script=parts.script,
        ),
        round(22.5 * len(found.tokens)) + 30 + _CONTROLS_PX,
    )  # fmt: skip


def model_view(
    found: QueryKey, *, theme: Theme = "auto", most_tokens: int = MOST_TOKENS
) -> ClassicView:
    """All heads of all executed layers as small pictures; a cross where a layer lacks a head.

    Raises:
        UserError: more than `most_tokens` tokens, no BertViz, or one of an unknown version.
    """
    _check(found, most_tokens)
    parts = model_parts(_padded(found), found.tokens, found.second_start)
    kept = _kept(found)
    for part in parts.params["attention"]:
        part["attn"] = [
            [matrix if there else None for matrix, there in zip(heads, row, strict=True)]
            for heads, row in zip(part["attn"], kept, strict=True)
        ]
    params = parts.params | {
        "include_layers": _numbers(found),
        "include_heads": list(range(1, found.num_heads + 1)),
        "kept": kept,
    }
    tokens = len(found.tokens)
    rows = len(found.layers) * (tokens * 7 * 12 / found.num_heads + 10) + 38  # as in its script
    return ClassicView(
        document(
            title="Model view", kind="model", theme=theme, body=parts.body, params=params,
            script=parts.script,
        ),
        round(max(rows, 18 * tokens + 55)) + _CONTROLS_PX + _SCROLLBAR_PX,
    )  # fmt: skip


def neuron_view(
    found: QueryKey,
    *,
    layer: int | None = None,
    head: int | None = None,
    theme: Theme = "auto",
    most_tokens: int = MOST_TOKENS,
) -> ClassicView:
    """One head at a time: query and key of every token, their product by dimension, and attention.

    layer, head: those to begin with, from 0, as in the original network; the first where they are
    left out or not executed. The values shown are rounded to three decimals.

    Raises:
        UserError: more than `most_tokens` tokens, no BertViz, or one of an unknown version.
    """
    _check(found, most_tokens)
    start = _place(found, layer)
    heads = found.layers[start].heads
    params = {
        "attention": {
            "tokens": found.tokens,
            "attn": [_rounded(one.probs) for one in found.layers],
            "queries": [_rounded(one.queries) for one in found.layers],
            "keys": [_rounded(one.keys) for one in found.layers],
        },
        "second": found.second_start,
        "layers": _numbers(found),
        "heads": [[head + 1 for head in one.heads] for one in found.layers],
        "default_filter": "all",
        "root_div_id": ROOT,
        "bidirectional": True,
        "display_mode": "light",  # unused: colours come from the style sheet
        "layer": start,
        "head": heads.index(head) if head in heads else 0,
    }
    return ClassicView(
        document(
            title="Neuron view", kind="neuron", theme=theme, params=params, script=neuron_script(),
            body=_neuron_body(pair=found.second_start is not None),
        ),
        26 * len(found.tokens) + 50 + _CONTROLS_PX + _SCROLLBAR_PX,
    )  # fmt: skip


def _check(found: QueryKey, most_tokens: int) -> None:
    tokens = len(found.tokens)
    if tokens > most_tokens:
        raise UserError(
            f"BertViz draws a line for every head and every pair of tokens, too many for the {tokens} "
            f"tokens of this text: give at most {most_tokens}, special tokens included."
        )


def _place(found: QueryKey, layer: int | None) -> int:
    """Where among the executed layers a layer of the original network is; 0 where it is not."""
    numbers = [one.layer for one in found.layers]
    return numbers.index(layer) if layer in numbers else 0


def _numbers(found: QueryKey) -> list[int]:
    return [one.layer + 1 for one in found.layers]


def _kept(found: QueryKey) -> list[list[bool]]:
    """Of each executed layer, whether it has the heads of the original network."""
    return [[head in one.heads for head in range(found.num_heads)] for one in found.layers]


def _padded(found: QueryKey) -> list[Tensor]:
    """(1, H, S, S) of each executed layer, in the original places, zero where a head is gone."""
    return [_padded_layer(one, found.num_heads) for one in found.layers]


def _padded_layer(one: LayerQueryKey, num_heads: int) -> Tensor:
    tokens = one.probs.shape[-1]
    padded = np.zeros((1, num_heads, tokens, tokens))
    # Rounded in double precision: a rounded float32 prints as 17 digits.
    padded[0, list(one.heads)] = np.round(one.probs.astype(np.float64), 3)
    return torch.from_numpy(padded)


def _rounded(values: np.ndarray) -> list[object]:
    return np.round(values.astype(np.float64), 3).tolist()


def _neuron_body(*, pair: bool) -> str:
    """The page of BertViz's neuron view around its picture."""
    options = "".join(f'<option value="{key}">{name}</option>' for key, name in _PARTS_OF_A_PAIR)
    choice = (
        f'<span class="dropdown-label">Attention: </span><select id="filter" '
        f'aria-label="Attention">{options}</select>'
        if pair
        else ""
    )
    return f"""
<div id="{ROOT}">
  <span>
    <span class="dropdown-label">Layer: </span><select id="layer" aria-label="Layer"></select>
    <span class="dropdown-label">Head: </span><select id="att_head" aria-label="Head"></select>
    {choice}
  </span>
  <div id="vis"></div>
</div>"""
