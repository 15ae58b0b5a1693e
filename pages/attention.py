"""What do heads look at?"""

import numpy as np
import pandas as pd
import streamlit as st

from dynabert import Subnet
from dynabert.analysis.attention_maps import AttentionMaps
from dynabert.analysis.choices import find_row
from dynabert.runs import Run, TaskInfo
from pages.shared import atlas_view, cache, classic_views, controls, wording

run = controls.open_run()
task = run.info.task
results = cache.results(run)
config = run.config

controls.header(
    "What do heads look at?",
    "Every small map is one attention head: its rows are the tokens that look, its columns the tokens "
    "they look at. Drag the sliders to see a smaller network look; click a map to enlarge it. Layers and "
    "heads keep their numbers in the pretrained network.",
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


def show_mark(subnet: Subnet) -> None:
    """Say that a network is collapsed."""
    row = find_row(results, subnet.resolve(config.shape))
    if row is not None and row["collapsed"]:
        st.warning(
            f"This network {wording.COLLAPSED}, so this one says nothing about the sentence.",
            icon=":material/warning:",
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
if not all(text.strip() for text in texts):
    st.info("Type a sentence to see what the heads do with it.", icon=":material/edit:")
    st.stop()

atlas = cache.atlas(run, texts)
if atlas.num_cut:
    st.warning(
        f"The text is longer than the {len(atlas.tokens)} tokens this model was trained to read: the "
        f"last {atlas.num_cut} are left out.",
        icon=":material/content_cut:",
    )
subnet, layer, head = atlas_view.show(atlas)
full, small = (cache.attention(run, texts, one) for one in (Subnet(), subnet))
if atlas.block > 1:
    st.caption(
        f"The text is long: each cell stands for {atlas.block} × {atlas.block} tokens (the largest value)."
    )
controls.download(
    "This head (CSV)",
    head_rows(run, layer, head, {"full": full, subnet.key: small}),
    f"{run.name}-attention-layer{layer + 1}-head{head + 1}.csv",
)

st.subheader("What they answer")
left, right = st.columns(2, gap="large")
for column, name, one, maps in (
    (left, "Full network", Subnet(), full),
    (right, f"Width {subnet.width_mult:.3g}, depth {subnet.depth_mult:.3g}", subnet, small),
):
    with column:
        show_answer(name, maps, task)
        st.caption(f"{wording.capital(wording.subnet_counts(one, config.shape))}.")
        show_mark(one)
st.caption(
    "Attention shows where a head reads, not by itself why the network answers as it does: compare "
    "with the head's importance."
)

classic_views.show(run, texts, subnet, layer, head)
