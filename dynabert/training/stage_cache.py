"""Results of stages that several recipes begin with, kept so that each is computed once.

Every ablation of DynaBERT starts from the same fine-tuned network, most from the same rewired one.
A stage's result depends on the data, the backbone, the seed and the stages up to it, on nothing
after it; so a digest of these names it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from dynabert.errors import BROKEN_FILES
from dynabert.files import file_sha256, remove_stale
from dynabert.runs import IMPORTANCE, METRICS
from dynabert.training.stage import Stage

logger = logging.getLogger(__name__)
_WEIGHTS = "model.safetensors"
_ABOUT = "stage.json"
_STAGES = TypeAdapter(tuple[Stage, ...])


@dataclass(frozen=True)
class StageResult:
    """What a stage left behind."""

    weights: Path
    metrics: Path  # of this stage and those before it
    importance: Path | None  # the last that was measured
    seconds: float  # that the stage took

    @property
    def files(self) -> dict[str, Path]:
        """By the names they are kept under."""
        files = {_WEIGHTS: self.weights, METRICS: self.metrics}
        return files if self.importance is None else files | {IMPORTANCE: self.importance}


class StageCache:
    """A folder of stage results; damaged or half-written ones count as not there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @staticmethod
    def key(values: Mapping[str, Any], stages: Sequence[Stage]) -> str:
        """The name of the result of the last of some stages, from everything that it depends on.

        values: all but the stages.
        """
        # Without defaults: a field that is added later does not make old results unknown.
        plain = [
            stage.model_dump(mode="json", exclude_defaults=True) | {"kind": stage.kind}
            for stage in stages
        ]
        text = json.dumps({**values, "stages": plain}, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:40]

    def find(self, key: str, stages: Sequence[Stage]) -> StageResult | None:
        """The result of that name, if it is kept, whole, and of these stages.

        A default that has changed since it was kept does not show in the name.
        """
        folder = self.folder / key
        try:
            about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
            result = StageResult(
                weights=folder / _WEIGHTS,
                metrics=folder / METRICS,
                importance=folder / IMPORTANCE if IMPORTANCE in about["sha256"] else None,
                seconds=float(about["seconds"]),
            )
            whole = _sha256(result) == about["sha256"]
            same = _STAGES.validate_python(about["stages"]) == tuple(stages)
        except BROKEN_FILES:
            return None
        return result if whole and same else None

    def keep(self, key: str, result: StageResult, stages: Sequence[Stage]) -> None:
        """Copy a stage's files under that name, unless they are there already."""
        if self.find(key, stages) is not None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        remove_stale(self.folder, ".partial-*")
        partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=self.folder))
        try:
            for name, path in result.files.items():
                shutil.copyfile(path, partial / name)
            about = {
                "seconds": result.seconds,
                "sha256": _sha256(result),
                "stages": _STAGES.dump_python(tuple(stages), mode="json"),
            }
            (partial / _ABOUT).write_text(json.dumps(about, indent=1), encoding="utf-8")
            # Another process may have kept it since, and a third may be reading: what is whole stays.
            if self.find(key, stages) is None:
                self._put(partial, self.folder / key)
        except FileNotFoundError:  # the whole folder was removed meanwhile: nobody is left to share
            logger.info("%s was removed; its stages are not shared", self.folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _put(self, partial: Path, target: Path) -> None:
        old = partial.with_name(f"{partial.name}.old")
        with suppress(FileNotFoundError):
            target.rename(old)  # in one move: nobody sees half of it
        with suppress(OSError):  # another process was faster
            partial.rename(target)
        shutil.rmtree(old, ignore_errors=True)


def _sha256(result: StageResult) -> dict[str, str]:
    return {name: file_sha256(path) for name, path in result.files.items()}
