"""The phenomena of the teaching set, one family per file."""

from dynabert.data.teaching.phenomena.agreement import AGREEMENT, DETERMINERS, RELATIVE_AGREEMENT
from dynabert.data.teaching.phenomena.licensing import GAPS, POLARITY
from dynabert.data.teaching.phenomena.phenomenon import Phenomenon, Template
from dynabert.data.teaching.phenomena.reference import BINDING, CASE, REFLEXIVES_FAR
from dynabert.data.teaching.phenomena.selection import ARGUMENTS, RAISING, TWO_OBJECTS
from dynabert.data.teaching.phenomena.structure import FORMS, ORDER

_ALL = (
    AGREEMENT,
    RELATIVE_AGREEMENT,
    DETERMINERS,
    REFLEXIVES_FAR,
    BINDING,
    CASE,
    ARGUMENTS,
    RAISING,
    TWO_OBJECTS,
    ORDER,
    GAPS,
    FORMS,
    POLARITY,
)
PHENOMENA: dict[str, Phenomenon] = {phenomenon.name: phenomenon for phenomenon in _ALL}

__all__ = ["PHENOMENA", "Phenomenon", "Template"]
