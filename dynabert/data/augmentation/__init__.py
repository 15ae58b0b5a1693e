"""TinyBERT's data augmentation: more training texts, by words that could stand there as well.

TinyBERT (Jiao et al., 2020, arXiv 1909.10351), the section on data augmentation and its algorithm.
DynaBERT uses it for its distillation stages: what a new text is worth is the teacher's to say.
"""

from dynabert.data.augmentation.candidates import Candidates
from dynabert.data.augmentation.folder import Augmentation
from dynabert.data.augmentation.glove import WordVectors
from dynabert.data.augmentation.masked_lm import MaskedLanguageModel
from dynabert.data.augmentation.settings import COPIES, Settings, check_augmentable, default_copies
from dynabert.data.augmentation.writing import augment

__all__ = [
    "COPIES",
    "Augmentation",
    "Candidates",
    "MaskedLanguageModel",
    "Settings",
    "WordVectors",
    "augment",
    "check_augmentable",
    "default_copies",
]
