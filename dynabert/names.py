"""What a run, a search and the like may be called: their names are folders."""

from __future__ import annotations

import re
from collections.abc import Callable

from dynabert.errors import UserError

LONGEST_NAME = 64
_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{LONGEST_NAME - 1}}}")
_NUMBERS = 1000  # behind a name that is taken


def may_name(name: str) -> bool:
    """Whether a run may be called so."""
    return _NAME.fullmatch(name) is not None


def check_run_name(name: str, what: str = "a run") -> str:
    """The name itself, if a run, or something else that is kept in a folder of its name, may be called so.

    what: it is to name, for example "a search".

    Raises:
        UserError: it could leave the runs folder or hide in it.
    """
    if not may_name(name):
        raise UserError(
            f"{name!r} cannot name {what}: use 1 to {LONGEST_NAME} letters, digits, '.', '_' and '-', "
            "beginning with a letter or digit."
        )
    return name


def in_run_letters(text: str) -> str:
    """As much of a text as a run may be called, "-" for what it may not; maybe nothing is left."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).lstrip("._-")[:LONGEST_NAME]


def first_free(wanted: str, is_taken: Callable[[str], bool], *, suffix: str = "") -> str:
    """That name, or with a number behind it, such that nothing else is called so.

    suffix: the name ends with it, a hyphen before it; what is too long loses letters in front of that.

    Raises:
        UserError: they are all taken.
    """
    for number in range(1, _NUMBERS):
        ends = (suffix, str(number) if number > 1 else "")
        end = "".join(f"-{one}" for one in ends if one)
        name = wanted[: LONGEST_NAME - len(end)] + end
        if not is_taken(name):
            return name
    raise UserError(f"{wanted} and all numbers behind it are taken; give another name.")
