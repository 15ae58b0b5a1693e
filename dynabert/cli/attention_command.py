"""The verb that writes the attention maps of a text as a page of its own: attention."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from dynabert.analysis.choices import closest
from dynabert.analysis.rollout import MapKind
from dynabert.cli.display import console
from dynabert.cli.options import Depth, RunName, RunsDir, Width, check_out_file
from dynabert.errors import UserError
from dynabert.files import write_text_atomically
from dynabert.runs import RUNS_DIR, find_run
from dynabert.subnet import Subnet, check_mult
from dynabert.web import AtlasView, atlas_page, read_atlas
from dynabert.words import cut_in_words


def attention(
    run: RunName,
    text: Annotated[str, typer.Option(help="The text to read.")],
    out: Annotated[Path, typer.Option(help="Write the page to this .html file.")],
    second_text: Annotated[
        str | None, typer.Option(help="The second text, where the task is about pairs.")
    ] = None,
    width: Width = 1.0,
    depth: Depth = 1.0,
    layer: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Enlarge this layer first; without --head too, the sub-network's first.",
            show_default=False,
        ),
    ] = None,
    head: Annotated[
        int | None,
        typer.Option(min=1, help="Enlarge this head of it first.", show_default=False),
    ] = None,
    map_kind: Annotated[
        MapKind,
        typer.Option(
            "--map", help="Enlarge a head, the average of its layer or network, or rollout."
        ),
    ] = "head",
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Write what all heads of every sub-network look at, as one HTML file whose sliders work offline.

    Example: python -m dynabert attention demo --text "The keys to the cabinet are old." --out keys.html
    """
    check_out_file(out, ".html")
    check_mult(width, name="--width")
    check_mult(depth, name="--depth")
    opened = find_run(run, runs_dir)
    columns = opened.info.task.text_columns
    if len(columns) == 2 and second_text is None:
        raise UserError(
            f"run {opened.name} reads pairs ({', '.join(columns)}); give --second-text."
        )
    if len(columns) == 1 and second_text is not None:
        raise UserError(f"run {opened.name} reads one text at a time; leave out --second-text.")
    layers, heads = opened.config.original_num_layers or 0, opened.config.original_num_heads or 0
    if (layer or 1) > layers or (head or 1) > heads:
        raise UserError(
            f"the network has {layers} layers with {heads} heads each; got layer {layer or 1}, head "
            f"{head or 1}."
        )
    texts = (text,) if second_text is None else (text, second_text)
    atlas = read_atlas(opened, texts, also=Subnet(width, depth))
    w, d = closest(atlas.width_mults, width), closest(atlas.depth_mults, depth)
    if layer is None and head is None:
        layer, head = (number + 1 for number in atlas.first_head(w, d))
    view = AtlasView(w=w, d=d, layer=layer or 1, head=head or 1, map=map_kind)
    if not (
        math.isclose(view.w, width, abs_tol=1e-3) and math.isclose(view.d, depth, abs_tol=1e-3)
    ):
        console.print(
            f"[yellow]Note:[/] opened at width {view.w:.3g} and depth {view.d:.3g}, the nearest that the "
            "network has heads and layers for.",
            soft_wrap=True,
        )
    made = atlas_page(opened, texts, atlas, view)
    write_text_atomically(out, made)
    if atlas.num_cut:
        console.print(
            "[yellow]Note:[/] "
            + cut_in_words(atlas.num_cut, len(atlas.tokens), pair=opened.info.task.is_pair),
            soft_wrap=True,
        )
    console.print(
        f"{len(atlas.maps):,} maps of {len(atlas.numbers)} sub-networks, {len(atlas.tokens)} tokens, "
        f"{out.stat().st_size / 1e6:.2f} MB. Written to {escape(str(out))}; open it in a browser.",
        soft_wrap=True,
    )
