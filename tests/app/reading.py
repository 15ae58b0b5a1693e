"""Reading what a page shows."""

from __future__ import annotations

import ast
import base64
import json
import time
from typing import Any

import numpy as np
import plotly.graph_objects as go
from atlas_bytes import unpack
from streamlit.testing.v1 import AppTest


def texts(at: AppTest) -> list[str]:
    """All Markdown of the page, in order."""
    return [element.value for element in at.markdown]


def metric(at: AppTest, label: str) -> str:
    """The value of the first metric so labelled."""
    return next(element.value for element in at.metric if element.label == label)


def charts(at: AppTest) -> list[dict[str, Any]]:
    """The plotly figures of the page, as JSON values."""
    return [json.loads(chart.proto.spec) for chart in at.get("plotly_chart")]


def numbers(values: Any) -> np.ndarray:
    """An array as plotly writes it: a list, or base64 of its bytes."""
    if isinstance(values, list):
        return np.array(values, dtype=float)
    flat = np.frombuffer(base64.b64decode(values["bdata"]), dtype=values["dtype"])
    shape = [int(size) for size in str(values.get("shape", flat.size)).split(",")]
    return flat.reshape(shape).astype(float)


def finished(at: AppTest) -> AppTest:
    """Run the page until its work is done."""
    for _ in range(300):
        if not at.get("progress"):
            return at
        time.sleep(0.1)
        at.run()
    raise AssertionError("it never ended")


def atlas(at: AppTest) -> tuple[dict[str, Any], list[np.ndarray]]:
    """What the page sends to the browser of the attention of all sub-networks."""
    (component,) = [one for one in at.get("bidi_component") if one.proto.bytes]
    return unpack(component.proto.bytes)


def cells(at: AppTest) -> list[str]:
    """The code for a notebook of every chart of the page, in their order."""
    return [code.value for code in at.code if "Run.load(" in code.value]


def figure_of(cell: str) -> dict[str, Any]:
    """What a notebook would show of the last line of a cell, as JSON values."""
    *body, last = ast.parse(cell).body
    assert isinstance(last, ast.Expr)
    names: dict[str, Any] = {}
    exec(compile(ast.Module(body, []), "cell", "exec"), names)
    figure = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    assert isinstance(figure, go.Figure)
    return json.loads(figure.to_json())


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal, arrays by their numbers."""
    if isinstance(one, dict) and "bdata" in one:
        return np.array_equal(numbers(one), numbers(other), equal_nan=True)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other
