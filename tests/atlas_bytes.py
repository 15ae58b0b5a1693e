"""An atlas of attention maps as a browser reads it."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np


def unpack(packed: bytes) -> tuple[dict[str, Any], list[np.ndarray]]:
    """The header, and the maps (K, s, s) of every sub-network."""
    (length,) = struct.unpack("<I", packed[:4])
    header = json.loads(packed[4 : 4 + length])
    body = np.frombuffer(packed, np.uint8, offset=4 + length)
    cells = header["cells"]
    maps = body.reshape(-1, cells, cells)
    return header, [maps[numbers] for numbers in header["numbers"]]
