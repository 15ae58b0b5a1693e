"""The head view, model view and neuron view of BertViz, as HTML documents that need no network.

    from dynabert.analysis.queries_keys import query_key
    from dynabert.plots.classic import head_view
    found = query_key(model, tokenizer, ["the cat sat on the mat."], Subnet(0.5, 0.75))
    Path("heads.html").write_text(head_view(found).html, encoding="utf-8")

In a notebook, `IPython.display.IFrame("heads.html", 900, 500)` shows it. The package `bertviz` draws;
it comes with `pip install "dynabert[app]"`. What is changed in it: layers and heads are counted from 1
by their numbers in the original network, also in a sub-network, where what a layer lacks is marked;
twelve heads have twelve colours; the neuron view shows this project's models; and d3 and jQuery, which
BertViz fetches from the internet, are part of the document.

BertViz: Vig, A Multiscale Visualization of Attention in the Transformer Model, ACL 2019.
"""

from dynabert.plots.classic.views import (
    MOST_TOKENS,
    ClassicView,
    head_view,
    model_view,
    neuron_view,
)

__all__ = ["MOST_TOKENS", "ClassicView", "head_view", "model_view", "neuron_view"]
