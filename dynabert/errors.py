"""Errors that are the user's to mend: an entry point shows the sentence and no traceback."""

import yaml
from pydantic import ValidationError
from safetensors import SafetensorError

# What libraries raise when a file of a saved model is missing, damaged or not what it is called.
BROKEN_FILES = (
    *(OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError, SafetensorError),
)


class UserError(ValueError):
    """Bad input. The message names the value, what is allowed, and what to do."""


def explain(error: ValidationError) -> str:
    """The wrong fields of a value read from outside, in one sentence."""
    details = error.errors()
    places = [_place(detail["loc"]) for detail in details]
    return "; ".join(
        f"{place or 'the whole'}: {detail['msg']} (got {_shown(detail['input'])})"
        for place, detail in zip(places, details, strict=True)
        # A list with a wrong member counts as too short as well: the member says more.
        if not (detail["type"] == "too_short" and any(p.startswith(f"{place}.") for p in places))
    )


def explain_plainly(error: ValidationError) -> str:
    """The same as whole sentences; where rules of our own were broken, what they say and nothing else."""
    own = [str(cause) for d in error.errors() if (cause := d.get("ctx", {}).get("error"))]
    return "; ".join(own).removesuffix(".") + "." if own else f"{explain(error)}."


def first_line(error: BaseException) -> str:
    """The beginning of an error's message, without what follows over many lines."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def why_unreadable(error: Exception) -> str:
    """Why a file of text or YAML cannot be read, on one line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    return " ".join(str(error).split())


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(map(str, location))


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
