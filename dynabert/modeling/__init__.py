"""The elastic encoder: one implementation of BERT and RoBERTa whose width and depth can be turned."""

from dynabert.modeling.configuration import DynaBertConfig
from dynabert.modeling.models import (
    DynaBertForQuestionAnswering,
    DynaBertForSequenceClassification,
    DynaBertModel,
    DynaBertPreTrainedModel,
)

__all__ = [
    "DynaBertConfig",
    "DynaBertForQuestionAnswering",
    "DynaBertForSequenceClassification",
    "DynaBertModel",
    "DynaBertPreTrainedModel",
]
