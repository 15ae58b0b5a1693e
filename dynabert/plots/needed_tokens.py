"""What an answer loses without each token, from each layer on."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from dynabert.analysis.needed_tokens import NeededTokens
from dynabert.plots.contrast import BLACK
from dynabert.plots.style import SIGNED_SCALE, finished, plain, token_axes

_SMALLEST_RANGE = 0.02  # differences smaller than that are shown as what they are: pale


def needed_tokens(found: NeededTokens, *, is_regression: bool = False) -> go.Figure:
    """Layers by tokens; red where the answer loses probability, crossed where it becomes another.

    is_regression: the answer is a number; red where it becomes larger.
    """
    z = found.change if is_regression else -found.change
    most = max(float(np.nanmax(np.abs(z), initial=0.0)), _SMALLEST_RANGE)
    names = [plain(token) for token in found.tokens]
    from_layers = [f"from layer {layer + 1}" for layer in found.layers]
    says = "the answer moves by %{z:+.2f}" if is_regression else "the answer loses %{z:.1%}"
    figure = go.Figure(
        go.Heatmap(
            z=z.astype(np.float32),
            zmin=-most,
            zmax=most,
            colorscale=SIGNED_SCALE,
            xgap=2,
            ygap=2,
            hoverongaps=False,
            text=np.where(found.other, "✕", ""),
            texttemplate="%{text}",
            textfont={"color": BLACK},  # plotly would write white on the strongest colours
            customdata=np.array([names] * len(z), dtype=object),
            hovertemplate=f"without %{{customdata}} %{{y}} on {says}<extra></extra>",
            colorbar={
                "title": {
                    "text": "value moves by" if is_regression else "probability lost",
                    "side": "right",
                },
                "tickformat": "+.2f" if is_regression else "~%",
                "thickness": 12,
            },
        )
    )
    token_axes(figure, found.tokens, from_layers)
    finished(figure, height=170 + 30 * len(z), grid=False, hover="closest")
    return figure.update_layout(margin={"t": 16, "b": 24})
