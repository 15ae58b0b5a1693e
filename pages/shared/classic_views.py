"""BertViz's own views at the foot of the attention page, for those who know them."""

from __future__ import annotations

import streamlit as st

from dynabert import Subnet
from dynabert.analysis.queries_keys import QueryKey
from dynabert.plots.classic import MOST_TOKENS, ClassicView, head_view, model_view, neuron_view
from dynabert.plots.classic.document import Theme
from dynabert.runs import Run
from pages.shared import cache, controls, wording

VIEWS = {"none": "None", "head": "Head view", "model": "Model view", "neuron": "Neuron view"}
NETWORKS = {"full": "Full network", "sub": "Sub-network"}
HOW = {
    "head": "One layer at a time. A square is a head, by its number in the pretrained network: click "
    "it to hide or show the head, double-click it to see that head alone. Point at a token to see "
    "only its lines.",
    "model": "All heads of all layers that run, by their numbers in the pretrained network. Click a "
    "small picture to enlarge it. In a narrow window it scrolls sideways.",
    "neuron": "One head at a time. Point at a token on the left: its query, every token's key, their "
    "product in each dimension (blue above 0, orange below), the sum over dimensions divided by the "
    "square root of their number, and the attention that comes of it. In a narrow window it scrolls "
    "sideways.",
}
LACKS = {
    "head": "A dashed square is a head that this layer does not have.",
    "model": "A cross is a head that this layer does not have.",
    "neuron": "Only the heads that a layer has are offered.",
}


def show(run: Run, texts: tuple[str, ...], subnet: Subnet, layer: int, head: int) -> None:
    """Offer the three views, and draw the one that is asked for.

    layer, head: the chosen ones, from 0, as in the pretrained network; the view begins there.
    """
    st.subheader("BertViz's classic views")
    st.caption(
        f"For texts of up to {MOST_TOKENS} tokens. A view sends 0.4 MB or more to the browser (up to "
        "4 MB for a network as large as BERT base), so it is drawn only when asked for."
    )
    with st.container(horizontal=True, gap="medium"):
        kind = controls.choose_one(
            "Classic view", "classic", list(VIEWS), format_option=VIEWS.__getitem__
        )
        if kind == "none":
            return
        of = controls.choose_one("Of", "of", list(NETWORKS), format_option=NETWORKS.__getitem__)
    chosen = subnet if of == "sub" else Subnet()
    found = cache.query_key(run, texts, chosen)
    if len(found.tokens) > MOST_TOKENS:
        st.info(_too_long(found), icon=":material/straighten:")
        return
    view = _draw(run, texts, chosen, kind, layer, head, st.context.theme.type or "auto")
    st.caption(_about(run, chosen, found, kind, layer, head))
    st.iframe(
        view.html,
        height=view.height_px,
        alt=f"BertViz, {VIEWS[kind].lower()} of the {NETWORKS[of].lower()}",
    )
    st.caption(f"{len(view.html) / 1e6:.1f} MB were sent to the browser for this view.")


@st.cache_data(max_entries=8, show_spinner="Drawing …", hash_funcs={Run: cache.run_key})
def _draw(
    run: Run,
    texts: tuple[str, ...],
    subnet: Subnet,
    kind: str,
    layer: int,
    head: int,
    theme: Theme,
) -> ClassicView:
    found = cache.query_key(run, texts, subnet)
    match kind:
        case "head":
            return head_view(found, layer=layer, theme=theme)
        case "model":
            return model_view(found, theme=theme)
        case _:
            return neuron_view(found, layer=layer, head=head, theme=theme)


def _about(run: Run, subnet: Subnet, found: QueryKey, kind: str, layer: int, head: int) -> str:
    parts = [f"{wording.capital(wording.subnet_counts(subnet, run.config.shape))}.", HOW[kind]]
    if any(len(one.heads) < found.num_heads for one in found.layers):
        parts.append(LACKS[kind])
    heads = {one.layer: one.heads for one in found.layers}
    if kind != "model" and layer not in heads:
        first = found.layers[0].layer + 1
        parts.append(
            f"Layer {layer + 1}, chosen above, does not run in this network: the view begins with "
            f"layer {first}."
        )
    elif kind == "neuron" and head not in heads[layer]:
        parts.append(
            f"Layer {layer + 1} of this network does not have head {head + 1}, chosen above: the view "
            f"begins with head {heads[layer][0] + 1}."
        )
    return " ".join(parts)


def _too_long(found: QueryKey) -> str:
    heads = sum(len(one.heads) for one in found.layers)
    tokens = len(found.tokens)
    return (
        f"This text has {wording.count(tokens, 'token')}. BertViz draws a line for every head and every "
        f"pair of tokens, here {heads * tokens**2:,} of them, and browsers become slow. Shorten the "
        f"text to {MOST_TOKENS} tokens, or use the maps above, which take texts of any length."
    )
