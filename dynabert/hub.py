"""The Hugging Face hub, where there is one."""

from __future__ import annotations

from functools import cache

import datasets
from huggingface_hub import constants
from huggingface_hub.utils import get_session

_SECONDS = 5.0  # to answer in


@cache
def hub_answers() -> bool:
    """Ask the hub for a sign of life, once; without one, only what was downloaded before is used.

    The same as if HF_HUB_OFFLINE=1 had been set. Otherwise every request would be tried six times
    and half a minute would pass, before anything could be said.
    """
    if constants.is_offline_mode():
        return False
    try:
        get_session().head(constants.ENDPOINT, timeout=_SECONDS)
    except Exception:  # whichever way it fails, it does not answer
        constants.HF_HUB_OFFLINE = True
        datasets.config.HF_HUB_OFFLINE = True
        return False
    return True
