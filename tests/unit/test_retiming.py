"""Latencies measured on another machine than the results."""

from __future__ import annotations

import pandas as pd
import pytest

from dynabert import Subnet
from dynabert.evaluation import Latency, LatencySetup
from dynabert.evaluation import retiming as core
from dynabert.evaluation.retiming import time_results, with_times

RESULTS = pd.DataFrame(
    {
        "subnet": ["w1.00-d1.00", "w0.50-d1.00"],
        "accuracy": [0.9, 0.8],
        "latency_ms": [4.0, 3.0],
        "latency_ms_iqr": [0.2, 0.2],
        "latency_batch_size": [1, 1],
    }
)


def test_every_sub_network_is_timed_in_the_order_of_the_results(monkeypatch):
    asked = {}

    def measure(model, subnets, setup, *, on_repeat):
        asked.update(model=model, subnets=subnets, setup=setup)
        on_repeat(1)
        return [Latency(median_ms=10.0 * place, iqr_ms=0.5) for place in range(1, 3)]

    monkeypatch.setattr(core, "measure_latency", measure)
    setup, told = LatencySetup(tokens=8, batch_size=4), []
    times = time_results("model", RESULTS, setup, on_repeat=told.append)
    assert asked == {"model": "model", "subnets": [Subnet(), Subnet(0.5)], "setup": setup}
    assert told == [1]
    assert times.to_dict("list") == {
        "subnet": ["w1.00-d1.00", "w0.50-d1.00"],
        "latency_ms": [10.0, 20.0],
        "latency_ms_iqr": [0.5, 0.5],
        "latency_batch_size": [4.0, 4.0],
    }


def test_other_latencies_take_the_place_of_the_results_own():
    times = pd.DataFrame(
        {
            "subnet": ["w0.50-d1.00"],
            "latency_ms": 7.0,
            "latency_ms_iqr": 1.0,
            "latency_batch_size": 2,
        }
    )
    found = with_times(RESULTS, times)
    assert found["accuracy"].tolist() == [0.9, 0.8]
    assert found["latency_ms"].tolist() == [pytest.approx(float("nan"), nan_ok=True), 7.0]
    assert found["latency_batch_size"].tolist()[1] == 2
    assert RESULTS["latency_ms"].tolist() == [4.0, 3.0]
