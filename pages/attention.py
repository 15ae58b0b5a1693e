"""What do heads look at?"""

import numpy as np
import pandas as pd
import streamlit as st

from dynabert import Subnet
from dynabert.analysis.attention_maps import AttentionMaps
from dynabert.analysis.choices import find_row
from dynabert.analysis.rollout import map_of
from dynabert.run_info import TaskInfo
from dynabert.web import AtlasView, atlas_page
from dynabert.words import cut_in_words
from pages.shared import (
    atlas_view,
    cache,
    classic_views,
    controls,
    saving,
    try_spans,
    wording,
)

SHOWN = {
    "head": "This head",
    "layer": "This layer's average",
    "network": "Network average",
    "rollout": "Rollout",
}

run = controls.open_run()
task = run.info.task
results = cache.results(run)
config = run.config

controls.header(
    "What do heads look at?",
    "Every small map is one attention head: its rows are the tokens that look, its columns the tokens "
    "they look at; right of them the mean of each layer. Drag the sliders to see a smaller network look; "
    "click a map to enlarge it. Layers and heads keep their numbers in the pretrained network.",
)


def show_answer(title: str, one: Subnet, maps: AttentionMaps, task: TaskInfo) -> None:
    if task.kind == "spans":
        (answer,) = cache.span_answers(run, *texts, (one,))
        st.markdown(f"{title}: {try_spans.in_words(answer)}")  # a tile would cut it
        return
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


def map_rows(view: AtlasView, maps: dict[str, AttentionMaps]) -> pd.DataFrame:
    """What is enlarged, as a row for each pair of tokens."""
    tables = []
    where: dict[str, object] = {"map": view.map}
    if view.map in ("head", "layer"):
        where["layer"] = view.layer
    if view.map == "head":
        where["head"] = view.head
    for subnet, of in maps.items():
        matrix = map_of(of.maps, view.map, view.layer - 1, view.head - 1)
        rows, columns = np.indices(matrix.shape).reshape(2, -1)
        tables.append(
            pd.DataFrame(
                {
                    "subnet": subnet,
                    **where,
                    "from": rows + 1,
                    "from_token": [of.tokens[row] for row in rows],
                    "to": columns + 1,
                    "to_token": [of.tokens[column] for column in columns],
                    "attention": matrix.ravel(),
                }
            )
        )
    return pd.concat(tables, ignore_index=True).dropna()


def file_name(view: AtlasView) -> str:
    """Of what is enlarged, without its ending."""
    place = {"head": f"layer{view.layer}-head{view.head}", "layer": f"layer{view.layer}-mean"}
    return f"{run.name}-attention-{place.get(view.map, view.map)}"


texts = controls.choose_texts(run, "what the heads do with it")
atlas = atlas_view.read(run, texts)
if atlas.num_cut:
    st.warning(
        cut_in_words(atlas.num_cut, len(atlas.tokens), pair=task.is_pair)
        + (" The answers below are looked for in all of it." if task.kind == "spans" else ""),
        icon=":material/content_cut:",
    )
view = atlas_view.show(atlas, run.largest)
subnet = view.subnet
full, small = (cache.attention(run, texts, one) for one in (Subnet(), subnet))
if atlas.block > 1:
    st.caption(
        f"The text is long: each cell stands for {atlas.block} × {atlas.block} tokens (the largest value)."
    )
with st.container(horizontal=True):
    controls.download(
        f"{SHOWN[view.map]} (CSV)",
        map_rows(view, {"full": full, subnet.key: small}),
        f"{file_name(view)}.csv",
    )
    st.download_button(
        "This view (HTML)",
        lambda: atlas_page(run, texts, atlas, view),
        f"{run.name}-attention.html",
        "text/html",
        key="download-view",
        help="One file with all maps of this text. It opens in any browser, without this app and without a "
        "network, and its sliders work.",
        icon=":material/download:",
        on_click="ignore",
    )
    saving.offer(
        atlas_view.KEY,
        run=run,
        alt=f"Attention of every head in “{' / '.join(texts)}”: the full network, width "
        f"{subnet.width_mult:.3g} and depth {subnet.depth_mult:.3g}, and the difference",
        cell=f"maps = attention_maps(\n    run.model(), run.tokenizer(), {list(texts)!r},\n"
        f"    Subnet({subnet.width_mult!r}, {subnet.depth_mult!r}), run.info.max_tokens,\n)\n"
        f"plots.attention_grid(maps.maps, chosen=({view.layer - 1}, {view.head - 1}))",
    )

st.subheader("What they answer")
left, right = st.columns(2, gap="large")
for column, name, one, maps in (
    (left, "Full network", Subnet(), full),
    (right, f"Width {subnet.width_mult:.3g}, depth {subnet.depth_mult:.3g}", subnet, small),
):
    with column:
        show_answer(name, one, maps, task)
        st.caption(f"{wording.capital(wording.subnet_counts(one, config.shape))}.")
        show_mark(one)
st.caption(
    "Attention shows where a head reads, not by itself why the network answers as it does: compare "
    "with the head's importance."
)

classic_views.show(run, texts, subnet, view.layer - 1, view.head - 1)
