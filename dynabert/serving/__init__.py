"""Answering requests within a latency: a sub-network for each, chosen as it comes."""

from dynabert.serving.cascade import Cascade, calibrate_cascade, cascade_of
from dynabert.serving.governor import Answer, Choice, Governor, Pass, Record
from dynabert.serving.ladder import Rung, pareto_ladder
from dynabert.serving.safety import Adaptation, SafetyFactor

__all__ = [
    "Adaptation",
    "Answer",
    "Cascade",
    "Choice",
    "Governor",
    "Pass",
    "Record",
    "Rung",
    "SafetyFactor",
    "calibrate_cascade",
    "cascade_of",
    "pareto_ladder",
]
