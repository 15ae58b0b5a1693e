"""Results of stages that several recipes begin with, kept so that each is computed once.

Every ablation of DynaBERT starts from the same fine-tuned network, most from the same rewired one.
A stage's result depends on the data, the backbone, the seed and the stages up to it, on nothing
after it; so a digest of these names it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dynabert.errors import BROKEN_FILES
from dynabert.runs import IMPORTANCE, METRICS

_WEIGHTS = "model.safetensors"
_ABOUT = "stage.json"


@dataclass(frozen=True)
class StageResult:
    """What a stage left behind."""

    weights: Path
    metrics: Path  # of this stage and those before it
    importance: Path | None  # the last that was measured
    seconds: float  # that the stage took


class StageCache:
    """A folder of stage results; damaged or half-written ones count as not there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @staticmethod
    def key(values: Mapping[str, Any]) -> str:
        """The name of a stage's result, from everything that it depends on."""
        text = json.dumps(values, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:40]

    def find(self, key: str) -> StageResult | None:
        """The result of that name, if it is kept."""
        folder = self.folder / key
        try:
            about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
            seconds = float(about["seconds"])
        except BROKEN_FILES:
            return None
        importance = folder / IMPORTANCE
        result = StageResult(
            weights=folder / _WEIGHTS,
            metrics=folder / METRICS,
            importance=importance if importance.is_file() else None,
            seconds=seconds,
        )
        return result if result.weights.is_file() and result.metrics.is_file() else None

    def keep(self, key: str, result: StageResult) -> None:
        """Copy a stage's files under that name, unless they are there already."""
        if self.find(key) is not None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=self.folder))
        try:
            shutil.copyfile(result.weights, partial / _WEIGHTS)
            shutil.copyfile(result.metrics, partial / METRICS)
            if result.importance is not None:
                shutil.copyfile(result.importance, partial / IMPORTANCE)
            about = json.dumps({"seconds": result.seconds})
            (partial / _ABOUT).write_text(about, encoding="utf-8")
            shutil.rmtree(self.folder / key, ignore_errors=True)
            partial.rename(self.folder / key)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
