"""Quality and cost of sub-networks: metrics, parameters, MACs, measured latency."""

from dynabert.evaluation.cost import count_macs, num_params, num_params_total
from dynabert.evaluation.intervals import Interval
from dynabert.evaluation.labels import LabelEvaluation
from dynabert.evaluation.latency import Latency, LatencySetup, describe_machine, measure_latency
from dynabert.evaluation.quality import evaluate, evaluate_many
from dynabert.evaluation.sharpening import Estimate, evaluate_gradually
from dynabert.evaluation.spans import SpanEvaluation
from dynabert.evaluation.table import sweep
from dynabert.evaluation.tally import Evaluation

__all__ = [
    "Estimate",
    "Evaluation",
    "Interval",
    "LabelEvaluation",
    "Latency",
    "LatencySetup",
    "SpanEvaluation",
    "count_macs",
    "describe_machine",
    "evaluate",
    "evaluate_gradually",
    "evaluate_many",
    "measure_latency",
    "num_params",
    "num_params_total",
    "sweep",
]
