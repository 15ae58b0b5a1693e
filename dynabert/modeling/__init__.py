"""The elastic encoder: one implementation of BERT and RoBERTa whose width and depth can be turned."""

from dynabert.modeling.configuration import DynaBertConfig
from dynabert.modeling.models import (
    DynaBertForMaskedLM,
    DynaBertForQuestionAnswering,
    DynaBertForSequenceClassification,
)
from dynabert.modeling.pretrained import DynaBertModel, DynaBertPreTrainedModel

__all__ = [
    "DynaBertConfig",
    "DynaBertForMaskedLM",
    "DynaBertForQuestionAnswering",
    "DynaBertForSequenceClassification",
    "DynaBertModel",
    "DynaBertPreTrainedModel",
]
