"""What is recorded while training."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any


class Recorder:
    """Appends events to metrics.jsonl, one JSON object a line."""

    def __init__(self, path: Path, active: bool = True) -> None:
        self.path, self.active = path, active

    @property
    def num_bytes(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    def cut(self, num_bytes: int) -> None:
        """Drop what was written after that point: it is about to happen again."""
        if self.active and num_bytes < self.num_bytes:  # truncating would lengthen a shorter file
            with self.path.open("r+b") as file:
                file.truncate(num_bytes)

    def write(self, kind: str, event: Any, omit: tuple[str, ...] = ()) -> None:
        if self.active:
            values = {name: value for name, value in asdict(event).items() if name not in omit}
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"event": kind, **values}) + "\n")
