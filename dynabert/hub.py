"""The Hugging Face hub, where there is one."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import datasets
from huggingface_hub import constants
from huggingface_hub.utils import get_session

_SECONDS = 5.0  # to answer in
_SECONDS_OF_SILENCE = 60.0  # a hub that did not answer is not asked again before


@dataclass(frozen=True)
class _Silence:
    """The hub did not answer, so we work offline: since when, and what HF_HUB_OFFLINE and
    HF_DATASETS_OFFLINE had said before."""

    since: float
    before: tuple[bool, bool]


_answered = False
_silence: _Silence | None = None
_asking = threading.Lock()


def hub_answers() -> bool:
    """Ask the hub for a sign of life, once; without one, only what was downloaded before is used.

    The same as if HF_HUB_OFFLINE=1 had been set, for a minute. Otherwise every request would be tried
    six times and half a minute would pass, before anything could be said.
    """
    with _asking:  # who comes meanwhile waits for the answer
        return _ask()


def _ask() -> bool:
    global _answered, _silence
    silence = _silence
    if silence is not None:
        if time.monotonic() - silence.since < _SECONDS_OF_SILENCE:
            return False
        _silence = None
        constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = silence.before
    if constants.is_offline_mode():
        return False
    if not _answered:
        try:
            get_session().head(constants.ENDPOINT, timeout=_SECONDS)
            _answered = True
        except Exception:  # whichever way it fails, it does not answer
            before = constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE
            _silence = _Silence(since=time.monotonic(), before=before)
            constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = True
    return _answered
