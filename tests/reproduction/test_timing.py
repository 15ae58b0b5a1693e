"""Latency is added to results without training anything again."""

from __future__ import annotations

from made_results import made_result

from dynabert.evaluation.latency import LatencySetup
from dynabert.reproduction.plan import Job
from dynabert.reproduction.results import backbone_name, read_results, write_result
from dynabert.reproduction.timing import time_results, without_latency
from dynabert.subnet import Subnet

SETUPS = (LatencySetup(tokens=8, repeats=2, warm_up=0),)


def untimed(result):
    rows = tuple(row.model_copy(update={"latency": ()}) for row in result.rows)
    return result.model_copy(update={"rows": rows, "latency_machine": None})


def test_only_what_lacks_latency_is_timed_and_nothing_else_changes(tiny_backbone, tmp_path):
    backbone = str(tiny_backbone)
    scores = {Subnet(): 0.8, Subnet(1.0, 0.5): 0.7}
    ours = {"backbone": backbone_name(backbone), "scores": scores}
    lacking = untimed(made_result(recipe="dynabert", **ours))
    timed = made_result(recipe="best", **ours)
    other = untimed(made_result(recipe="layerdrop", **ours))  # nobody asks for it
    for one in (lacking, timed, other):
        write_result(tmp_path, one)
    before = {one.recipe: one for one in read_results(tmp_path)}
    jobs = [
        Job(backbone=backbone, task="mrpc", recipe=recipe, seed=0)
        for recipe in ("dynabert", "best", "vanilla")
    ]
    assert [one.recipe for one in without_latency(read_results(tmp_path), jobs)] == ["dynabert"]
    (path,) = time_results(tmp_path, jobs, setups=SETUPS)
    found = {one.recipe: one for one in read_results(tmp_path)}
    assert path.name == "dynabert-s0.json"
    for row in found["dynabert"].rows:
        (latency,) = row.latency
        assert (latency.batch_size, latency.tokens) == (1, 8)
        assert latency.median_ms > 0
    assert found["dynabert"].latency_machine
    assert untimed(found["dynabert"]) == before["dynabert"]
    assert found["best"] == before["best"]
    assert found["layerdrop"] == before["layerdrop"]
    assert [*time_results(tmp_path, jobs, setups=SETUPS)] == []
