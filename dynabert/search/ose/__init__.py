"""Optimal subarchitecture extraction (OSE): the smallest, fastest, least wrong architecture of a space.

De Wynter, An Approximation Algorithm for Optimal Subarchitecture Extraction (arXiv 2010.08512); used by De
Wynter and Perry to find Bort (arXiv 2010.10499). Definitions follow the restatement in a white paper of
2021 on a later use of the algorithm (QOSE); where the papers leave something open, the docstring says so.
"""

from dynabert.search.ose.algorithm import Extraction, extract, frozen_winner, zoom
from dynabert.search.ose.assumptions import Assumptions, check_assumptions
from dynabert.search.ose.objective import (
    PUBLISHED,
    Exponents,
    MaximumPoint,
    Member,
    check_w_says_something,
    maximum_point,
    w_coefficient,
)

__all__ = [
    "PUBLISHED",
    "Assumptions",
    "Exponents",
    "Extraction",
    "MaximumPoint",
    "Member",
    "check_assumptions",
    "check_w_says_something",
    "extract",
    "frozen_winner",
    "maximum_point",
    "w_coefficient",
    "zoom",
]
