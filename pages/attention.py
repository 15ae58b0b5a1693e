"""What do heads look at?"""

import numpy as np
import pandas as pd
import streamlit as st

from dynabert import Subnet, plots
from dynabert.analysis.attention_maps import AttentionMaps, pooled
from dynabert.analysis.choices import find_row
from dynabert.runs import Run, TaskInfo
from pages.shared import cache, controls, state, wording

GRID_TOKENS = 40  # of one small map; more are merged, or the browser would stall

run = controls.open_run()
task = run.info.task
results = cache.results(run)
config = run.config

controls.header(
    "What do heads look at?",
    "Every small map is one attention head: its rows are the tokens that look, its columns the tokens "
    "they look at. Layers and heads keep their numbers in the pretrained network; a cross means that "
    "the sub-network has no such head.",
)


def show_answer(title: str, maps: AttentionMaps, task: TaskInfo) -> None:
    if task.labels is None:
        st.metric(title, f"{maps.logits[0]:.2f}")
        return
    probabilities = dict(zip(task.labels, maps.probabilities, strict=True))
    best = max(probabilities, key=probabilities.__getitem__)
    st.metric(
        title,
        wording.escape(best),
        f"probability {probabilities[best]:.1%}",
        "off",
        delta_arrow="off",
    )


def show_mark(row: dict | None) -> None:
    """Say that a network is collapsed, below its map so that the two maps stay side by side."""
    if row is not None and row["collapsed"]:
        st.warning(
            f"This network {wording.COLLAPSED}, so this one says nothing about the sentence.",
            icon=":material/warning:",
        )


def take_click(key: str) -> None:
    """Enlarge the head that was clicked on in a grid."""
    points = st.session_state[key]["selection"]["points"]
    if points:
        for name, number in zip(("layer", "head"), points[0]["customdata"], strict=True):
            state.change(name, number + 1)


def show_grid(key: str, maps: AttentionMaps, chosen: tuple[int, int], alt: str) -> None:
    small, _ = pooled(maps.maps, GRID_TOKENS)
    st.plotly_chart(
        plots.attention_grid(small, chosen=chosen),
        key=key,
        on_select=lambda: take_click(key),
        selection_mode="points",
        config={"displayModeBar": False},
        alt=alt,
    )


def show_head(maps: AttentionMaps, layer: int, head: int, key: str) -> None:
    if not maps.kept[layer, head]:
        st.info(
            f"Layer {layer + 1}, head {head + 1} is not in this sub-network.",
            icon=":material/block:",
        )
        return
    st.plotly_chart(
        plots.attention_map(maps.tokens, maps.maps[layer, head]),
        key=key,
        config={"displayModeBar": False},
        alt=f"Attention of layer {layer + 1}, head {head + 1}",
    )


def head_rows(run: Run, layer: int, head: int, maps: dict[str, AttentionMaps]) -> pd.DataFrame:
    """One head's attention as a row for each pair of tokens."""
    tables = []
    for subnet, of in maps.items():
        matrix = of.maps[layer, head]
        rows, columns = np.indices(matrix.shape).reshape(2, -1)
        tables.append(
            pd.DataFrame(
                {
                    "subnet": subnet,
                    "layer": layer + 1,
                    "head": head + 1,
                    "from": rows + 1,
                    "from_token": [of.tokens[row] for row in rows],
                    "to": columns + 1,
                    "to_token": [of.tokens[column] for column in columns],
                    "attention": matrix.ravel(),
                }
            )
        )
    return pd.concat(tables, ignore_index=True).dropna()


texts = controls.choose_texts(run)
subnet = controls.choose_subnet(run, results)
if not all(text.strip() for text in texts):
    st.info("Type a sentence to see what the heads do with it.", icon=":material/edit:")
    st.stop()

full = cache.attention(run, texts, Subnet())
small = cache.attention(run, texts, subnet)
shape = config.shape
if full.num_cut:
    st.warning(
        f"The text is longer than the {len(full.tokens)} tokens this model was trained to read: the "
        f"last {full.num_cut} are left out.",
        icon=":material/content_cut:",
    )

layer_column, head_column, _ = st.columns([1, 1, 2])
layers, heads = small.kept.shape
gone_layers = {layer: " (left out)" for layer in range(layers) if not small.kept[layer].any()}
with layer_column:
    layer = controls.choose_index("Layer", "layer", layers, gone_layers)
gone_heads = {head: " (left out)" for head in range(heads) if not small.kept[layer, head]}
with head_column:
    head = controls.choose_index("Head", "head", heads, gone_heads)

left, right = st.columns(2, gap="large")
with left:
    st.subheader("Full network")
    show_answer("It answers" if task.labels else "It predicts", full, task)
    show_grid("full-grid", full, (layer, head), "Attention of all heads of the full network")
    show_mark(find_row(results, Subnet().resolve(shape)))
with right:
    st.subheader(f"Width {subnet.width_mult:.3g}, depth {subnet.depth_mult:.3g}")
    show_answer("It answers" if task.labels else "It predicts", small, task)
    show_grid("small-grid", small, (layer, head), "Attention of all heads of the sub-network")
    show_mark(find_row(results, subnet.resolve(shape)))
block = pooled(full.maps[:1, :1], GRID_TOKENS)[1]
merged = f" Each cell of a small map stands for {block} × {block} tokens (the largest value)." * (
    block > 1
)
st.caption(
    "Click a map to enlarge its head. Dark is 0, light is 1; the colours spread small values out."
    + merged
)

st.subheader(f"Layer {layer + 1}, head {head + 1}")
left, right = st.columns(2, gap="large")
with left:
    st.caption("In the full network")
    show_head(full, layer, head, "full-head")
with right:
    st.caption("In the sub-network")
    show_head(small, layer, head, "small-head")
controls.download(
    "This head (CSV)",
    head_rows(run, layer, head, {"full": full, subnet.key: small}),
    f"{run.name}-attention-layer{layer + 1}-head{head + 1}.csv",
)
st.caption(
    "Attention shows where a head reads, not by itself why the network answers as it does: compare "
    "with the head's importance."
)
