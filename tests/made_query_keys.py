"""Queries and keys made up, of a network whose layers differ in heads."""

from __future__ import annotations

import numpy as np

from dynabert.analysis.queries_keys import LayerQueryKey, QueryKey

NUM_HEADS, HEAD_DIM = 6, 4
HEADS = {1: (0, 2), 3: (1, 4, 5)}  # of each layer that runs, from 0

# Each would do harm somewhere: in a script, in HTML, in BertViz's own template, or in a parser of it.
HOSTILE = (
    "</script><img src=x onerror=document.title='broken'>",
    "<!--<script>",
    "'\"`${document.title='broken'}",
    "\\u003c\\",
    "const params = {}; // HACK: PYTHON_PARAMS",
    " \n\t",
    "\u2028",
    "😀",
    "\ud83d",  # half of it
    "שלום",
    "",
    "&lt;b&gt;",
)


def make_query_key(
    tokens: tuple[str, ...], *, second_start: int | None = None, head_dim: int = HEAD_DIM
) -> QueryKey:
    random = np.random.default_rng(0)
    layers = []
    for layer, heads in HEADS.items():
        queries, keys = random.normal(size=(2, len(heads), len(tokens), head_dim))
        powers = np.exp(np.einsum("hqd,hkd->hqk", queries, keys) / head_dim**0.5)
        probs = powers / powers.sum(-1, keepdims=True)
        layers.append(
            LayerQueryKey(
                layer=layer,
                heads=heads,
                queries=queries.astype(np.float32),
                keys=keys.astype(np.float32),
                probs=probs.astype(np.float32),
            )
        )
    return QueryKey(
        tokens=tokens,
        second_start=second_start,
        layers=tuple(layers),
        num_heads=NUM_HEADS,
        num_cut=0,
    )
