"""Plotly figures from plain data, for pages and notebooks alike.

Backgrounds are transparent and text has no colour of its own, so that a figure fits a light and a
dark page. Colours are those of Okabe and Ito (the blue a little lighter, for dark pages) and the
Cividis scale, which people with any kind of colour vision can read. Layers and heads are shown
counted from 1, layer 1 on top. Text from outside is escaped: plotly would read it as HTML.
"""

from dynabert.plots.attention import (
    attention_grid,
    attention_map,
    attention_palette,
    change_palette,
)
from dynabert.plots.budget import budget_choice
from dynabert.plots.cost import quality_of_runs, quality_vs_cost
from dynabert.plots.data import data_of
from dynabert.plots.functions import (
    function_kinds,
    functions_of,
    fusion_by_layer,
    head_functions,
)
from dynabert.plots.heads import (
    estimate_and_measured,
    head_effect,
    head_importance,
    head_order,
    head_ranking,
    kept_heads,
    neuron_ranking,
)
from dynabert.plots.needed_tokens import needed_tokens
from dynabert.plots.ose import errors_by_cost, w_over_space
from dynabert.plots.reproduction import beside_paper, methods_by_cost
from dynabert.plots.scores import (
    FAR,
    accuracy_by_group,
    answer_grid,
    answers,
    differences,
    metric_grid,
)
from dynabert.plots.search import search_fronts
from dynabert.plots.style import plain, span
from dynabert.plots.survivors import surviving_tokens
from dynabert.plots.training import training_curve
from dynabert.words import percent

__all__ = [
    "FAR",
    "accuracy_by_group",
    "answer_grid",
    "answers",
    "attention_grid",
    "attention_map",
    "attention_palette",
    "beside_paper",
    "budget_choice",
    "change_palette",
    "data_of",
    "differences",
    "errors_by_cost",
    "estimate_and_measured",
    "function_kinds",
    "functions_of",
    "fusion_by_layer",
    "head_effect",
    "head_functions",
    "head_importance",
    "head_order",
    "head_ranking",
    "kept_heads",
    "methods_by_cost",
    "metric_grid",
    "needed_tokens",
    "neuron_ranking",
    "percent",
    "plain",
    "quality_of_runs",
    "quality_vs_cost",
    "search_fronts",
    "span",
    "surviving_tokens",
    "training_curve",
    "w_over_space",
]
