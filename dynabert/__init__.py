"""DynaBERT: one BERT or RoBERTa as a family of sub-networks of adaptive width, depth and length.

Shapes in comments and docstrings use these letters: `B` batch, `S` tokens, `D` hidden size, `L`
layers, `H` heads, `F` FFN neurons, `C` classes, and in lower case (`h`, `f`, `d`) what a
sub-network or one head has.
"""

from dynabert.modeling import (
    DynaBertConfig,
    DynaBertForMaskedLM,
    DynaBertForQuestionAnswering,
    DynaBertForSequenceClassification,
    DynaBertModel,
)
from dynabert.subnet import PAPER_SPACE, SearchSpace, Subnet

__version__ = "0.1.0"

__all__ = [
    "PAPER_SPACE",
    "DynaBertConfig",
    "DynaBertForMaskedLM",
    "DynaBertForQuestionAnswering",
    "DynaBertForSequenceClassification",
    "DynaBertModel",
    "SearchSpace",
    "Subnet",
]
