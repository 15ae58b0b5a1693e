"""The Hugging Face hub, where there is one."""

from __future__ import annotations

import time

import datasets
from huggingface_hub import constants
from huggingface_hub.utils import get_session

_SECONDS = 5.0  # to answer in
_SILENCE = 60.0  # seconds for which a hub that did not answer is not asked again

_answered = False
_silent_since: float | None = None  # and offline by us since then, not by HF_HUB_OFFLINE


def hub_answers() -> bool:
    """Ask the hub for a sign of life, once; without one, only what was downloaded before is used.

    The same as if HF_HUB_OFFLINE=1 had been set, for a minute. Otherwise every request would be tried
    six times and half a minute would pass, before anything could be said.
    """
    global _answered, _silent_since
    if _silent_since is not None:
        if time.monotonic() - _silent_since < _SILENCE:
            return False
        _silent_since = None
        _use_hub(True)
    if constants.is_offline_mode():
        return False
    if not _answered:
        try:
            get_session().head(constants.ENDPOINT, timeout=_SECONDS)
            _answered = True
        except Exception:  # whichever way it fails, it does not answer
            _silent_since = time.monotonic()
            _use_hub(False)
    return _answered


def _use_hub(wanted: bool) -> None:
    constants.HF_HUB_OFFLINE = not wanted
    datasets.config.HF_HUB_OFFLINE = not wanted
