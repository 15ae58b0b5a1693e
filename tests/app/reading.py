"""Reading what a page shows."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import numpy as np
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
