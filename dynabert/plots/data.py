"""The numbers behind a figure."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

_COLUMNS = ["trace", "x", "y", "z", "text"]


def data_of(figure: go.Figure) -> pd.DataFrame:
    """A row for each point or tile that a figure draws: its trace, x, y, and z or text if it has one.

    Tiles without a value are left out, and columns that nothing has.
    """
    tables = []
    for number, trace in enumerate(figure.data):
        name = trace.name or f"{trace.type} {number + 1}"
        if trace.type == "heatmap":
            z = np.asarray(trace.z, dtype=float)
            rows, columns = np.nonzero(~np.isnan(z))
            xs = columns if trace.x is None else np.asarray(trace.x)[columns]
            ys = rows if trace.y is None else np.asarray(trace.y)[rows]
            values: dict[str, object] = {"x": xs, "y": ys, "z": z[rows, columns]}
        else:
            values = {"x": list(trace.x), "y": list(trace.y)}
            if isinstance(trace.text, tuple | list | np.ndarray):
                values["text"] = list(trace.text)
        tables.append(pd.DataFrame(values).assign(trace=name))
    if not tables:
        return pd.DataFrame(columns=_COLUMNS)
    whole = pd.concat(tables, ignore_index=True)
    return whole[[column for column in _COLUMNS if column in whole]]
