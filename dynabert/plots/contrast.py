"""Which colour text must have to be read on a tile: the contrast of WCAG 2.1, which asks for 4.5."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from plotly.colors import get_colorscale, hex_to_rgb, sample_colorscale

from dynabert.plots.style import GREY

# On any colour one of the two reaches 4.5; with a dark grey for the black, none would on middle ones.
BLACK, WHITE = "#000000", "#ffffff"


def contrast(one: str, other: str) -> float:
    """From 1 for equal colours to 21 for black and white.  one, other: as #rrggbb."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def text_on(colour: str) -> str:
    """Black or white, whichever is easier to read on a colour #rrggbb."""
    return max((BLACK, WHITE), key=lambda text: contrast(text, colour))


def text_on_tiles(
    values: Iterable[float], scale: str | Sequence[Sequence[Any]], *, low: float, high: float
) -> list[str]:
    """For each value the colour of text on its tile; grey where it is NaN and the tile has no colour.

    scale: name or stops of the tiles' colours, from `low` to `high`.
    """
    return [
        GREY if np.isnan(value) else text_on(colour_of(value, scale, low=low, high=high))
        for value in values
    ]


def colour_of(
    value: float, scale: str | Sequence[Sequence[Any]], *, low: float, high: float
) -> str:
    """The colour #rrggbb that a scale from `low` to `high` gives a value."""
    stops = get_colorscale(scale) if isinstance(scale, str) else scale
    place = np.clip((value - low) / (high - low), 0, 1) if high > low else 0.0
    (parts,) = sample_colorscale(stops, [float(place)], colortype="tuple")
    return "#" + "".join(f"{round(255 * part):02x}" for part in parts)


def _luminance(colour: str) -> float:
    parts = np.array(hex_to_rgb(colour)) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
