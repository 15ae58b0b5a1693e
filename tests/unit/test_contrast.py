"""Text on a tile can be read, whatever the tile's colour."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from dynabert import plots
from dynabert.plots.contrast import BLACK, WHITE, colour_of, contrast, text_on, text_on_tiles
from dynabert.plots.functions import function_colours
from dynabert.plots.style import COLOURS, GREY, SCALE, SIGNED_SCALE

ENOUGH = 4.5  # WCAG 2.1, level AA


def test_contrast_is_that_of_wcag():
    assert contrast(BLACK, WHITE) == pytest.approx(21)
    assert contrast("#767676", WHITE) == pytest.approx(4.54, abs=0.005)
    assert contrast(WHITE, "#767676") == contrast("#767676", WHITE)
    assert contrast("#cc79a7", "#cc79a7") == 1


def test_on_every_colour_one_of_the_two_can_be_read():
    steps = range(0, 256, 15)
    colours = [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in itertools.product(steps, repeat=3)]
    worst = min(contrast(text_on(one), one) for one in (*colours, *COLOURS, *function_colours()))
    assert worst >= ENOUGH


@pytest.mark.parametrize("scale", [SCALE, SIGNED_SCALE])
def test_text_on_all_tiles_of_a_scale_can_be_read(scale):
    values = np.linspace(-1, 1, 401)
    texts = text_on_tiles(values, scale, low=-1, high=1)
    tiles = [colour_of(value, scale, low=-1, high=1) for value in values]
    assert min(map(contrast, texts, tiles)) >= ENOUGH


def test_a_tile_has_the_colour_of_its_place_on_the_scale():
    assert colour_of(-1, SIGNED_SCALE, low=-1, high=1) == "#2f86c9"
    assert colour_of(0, SIGNED_SCALE, low=-1, high=1) == "#f7f7f7"
    assert colour_of(7, SIGNED_SCALE, low=-1, high=1) == "#d55e00"  # beyond the end
    assert colour_of(0.5, SCALE, low=0.5, high=0.5) == "#00224e"
    assert text_on_tiles([np.nan, 0.0, 1.0], SCALE, low=0, high=1) == [GREY, WHITE, BLACK]


def test_figures_write_on_their_tiles_so():
    against = np.linspace(-1, 1, 7)
    rows = pd.DataFrame(
        {"width_mult": np.arange(7) + 1, "depth_mult": 1.0, "text": "yes", "hover": "yes"}
    )
    tiles, texts = plots.answer_grid(rows.assign(against=against)).data
    for colour, value in zip(texts.textfont.color, tiles.z[0], strict=True):
        assert contrast(colour, colour_of(value, SIGNED_SCALE, low=-1, high=1)) >= ENOUGH
    order = np.arange(6)[None]
    tiles, texts = plots.head_order(order, np.arange(6.0)[None], {}).data
    for colour, value in zip(texts.textfont.color, tiles.z[0], strict=True):
        tile = colour_of(value, SCALE, low=tiles.zmin, high=tiles.zmax)
        assert contrast(colour, tile) >= ENOUGH
    kinds = ("a", "b", "c", "d", "e")
    labels = np.array([kinds], dtype=object)
    details = {(0, head): "" for head in range(5)}
    figure = plots.head_functions(labels, details, dict(zip(kinds, kinds, strict=True)))
    for trace in figure.data[1:6]:
        assert contrast(trace.textfont.color, trace.marker.color) >= ENOUGH


def test_functions_are_written_in_black_as_the_downloaded_page_takes_for_granted():
    assert {text_on(colour) for colour in function_colours()} == {BLACK}
