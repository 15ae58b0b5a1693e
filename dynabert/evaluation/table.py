"""Many sub-networks in one table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import pandas as pd

from dynabert.data.encoding import Encoded
from dynabert.evaluation.cost import count_macs, num_params, num_params_total
from dynabert.evaluation.latency import DEFAULT_SETUP, Latency, LatencySetup, measure_latency
from dynabert.evaluation.quality import evaluate_many
from dynabert.evaluation.tally import Evaluation
from dynabert.modeling.models import TaskModel
from dynabert.subnet import PAPER_SPACE, Subnet


def sweep(
    model: TaskModel,
    split: Encoded,
    subnets: Iterable[Subnet] = PAPER_SPACE,
    *,
    metrics: tuple[str, ...],
    other_splits: Mapping[str, Encoded] | None = None,
    latency: LatencySetup | None = DEFAULT_SETUP,
    batch_size: int | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> pd.DataFrame:
    """One row per sub-network: what it scores and what it costs.

    Columns: width_mult, depth_mult, subnet (its key), heads, neurons, layers (resolved, a list
    each), length_config (its key, of the tokens that leave each layer; None: all), the metrics by
    name, loss, collapsed, num_examples, num_params (Transformer layers), num_params_total, tokens
    and macs (for one sentence of that many tokens), latency_ms, latency_ms_iqr, latency_batch_size.
    other_splits: further ones by their names (of MNLI, the mismatched genres), for columns such as
    accuracy_mismatched; everything else is of the split.
    latency: how to measure it; None leaves its columns empty, and MACs are of 128 tokens or as many as
    the model reads.
    on_progress: called with a phase ("evaluate", "latency"), what is done, and the total.
    """
    subnets = list(subnets)
    splits = (split, *(other_splits or {}).values())
    tokens = min(DEFAULT_SETUP.tokens, model.config.max_tokens)
    setup = latency or replace(DEFAULT_SETUP, tokens=tokens)

    def report(phase: str, total: int) -> Callable[[int], None] | None:
        return None if on_progress is None else lambda done: on_progress(phase, done, total)

    evaluations = evaluate_many(
        model,
        split,
        subnets,
        metrics=metrics,
        other_splits=other_splits,
        batch_size=batch_size,
        on_batch=report("evaluate", sum(one.num_examples for one in splits)),
    )
    latencies: list[Latency | None] = [None] * len(subnets)
    if latency is not None:
        latencies = [
            *measure_latency(model, subnets, latency, on_repeat=report("latency", latency.repeats))
        ]
    rows = [
        result_row(model, evaluation, measured, setup)
        for evaluation, measured in zip(evaluations, latencies, strict=True)
    ]
    return pd.DataFrame(rows)


def result_row(
    model: TaskModel,
    evaluation: Evaluation,
    latency: Latency | None,
    setup: LatencySetup,
) -> dict[str, object]:
    """The row of `sweep` for one evaluated sub-network."""
    subnet = evaluation.subnet
    resolved = subnet.resolve(model.config.shape)
    return {
        "width_mult": subnet.width_mult,
        "depth_mult": subnet.depth_mult,
        "subnet": subnet.key,
        "heads": list(resolved.heads),
        "neurons": list(resolved.neurons),
        "layers": list(resolved.layers),
        "length_config": resolved.length_config and resolved.length_config.key,
        **evaluation.metrics,
        "loss": evaluation.loss,
        "collapsed": evaluation.collapsed,
        "num_examples": evaluation.num_examples,
        "num_params": num_params(model, subnet),
        "num_params_total": num_params_total(model, subnet),
        "tokens": setup.tokens,
        "macs": count_macs(model, subnet, setup.tokens),
        "latency_ms": None if latency is None else latency.median_ms,
        "latency_ms_iqr": None if latency is None else latency.iqr_ms,
        "latency_batch_size": None if latency is None else setup.batch_size,
    }
