"""Plain values that are read from outside or written down."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """Frozen; a field that it does not know, or a number that is none, is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
