"""The attention maps of all sub-networks of a text: the component, and a page of it in one file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

from transformers import PreTrainedTokenizerBase

from dynabert import plots
from dynabert.analysis.choices import closest, depth_choices, width_choices
from dynabert.analysis.map_atlas import MapAtlas, build_atlas
from dynabert.analysis.rollout import MapKind
from dynabert.modeling.models import TaskModel
from dynabert.runs import Run
from dynabert.subnet import PAPER_DEPTHS, PAPER_WIDTHS, Subnet
from dynabert.web.page import Component, about_making, about_run, page, read_assets
from dynabert.words import cut_in_words

Hidden = Literal["none", "special", "renormalise"]
_NOTE = (
    "Attention shows where a head reads, not by itself why the network answers as it does. Layers and "
    "heads keep their numbers in the pretrained network."
)


@dataclass(frozen=True, kw_only=True)
class AtlasView:
    """What an atlas shows at first. Fields are named as in the app's links."""

    w: float = 1.0  # width_mult
    d: float = 1.0  # depth_mult
    layer: int = 1  # from 1
    head: int = 1  # from 1
    map: MapKind = "head"  # what is enlarged
    token: int = 0  # the only row that is shown, from 1; 0 shows all
    below: int = 0  # attention of so many hundredths, or less, is not shown
    hide: Hidden = "none"  # special tokens; "renormalise": and rows sum to 1 without them

    @property
    def subnet(self) -> Subnet:
        return Subnet(self.w, self.d)


def read_atlas(
    run: Run,
    texts: Sequence[str],
    *,
    also: Subnet | None = None,
    model: TaskModel | None = None,
    tokenizer: PreTrainedTokenizerBase | None = None,
) -> MapAtlas:
    """The atlas of a run on a text, or a pair: every width and depth; of a long text, those it reports.

    also: its width and depth, or the nearest to them (`nearest_in_atlas`), are there in any case.
    model, tokenizer: the run's, where they are loaded already.

    Raises:
        UserError: neither one nor two texts, or an empty one.
    """
    widths, depths = _reported(run)
    if also is not None:
        also = nearest_in_atlas(run, also)
        widths, depths = (*widths, also.width_mult), (*depths, also.depth_mult)
    every = _choices(run)
    return build_atlas(
        model or run.model(),
        tokenizer or run.tokenizer(),
        texts,
        widths=every[0],
        depths=every[1],
        fewer=(widths, depths),
        max_tokens=run.info.max_tokens,
    )


def nearest_in_atlas(run: Run, subnet: Subnet) -> Subnet:
    """The nearest width and depth that an atlas of a run may have."""
    widths, depths = _choices(run)
    return Subnet(closest(widths, subnet.width_mult), closest(depths, subnet.depth_mult))


def _reported(run: Run) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The widths and depths that a run reports, and the full network's."""
    widths, depths = (
        (1.0, *map(float, run.info.recipe.get(name) or usual))
        for name, usual in (("width_mults", PAPER_WIDTHS), ("depth_mults", PAPER_DEPTHS))
    )
    return widths, depths


def _choices(run: Run) -> tuple[list[float], list[float]]:
    """Every width and depth that differ in heads and layers."""
    (widths, depths), shape = _reported(run), run.config.shape
    return width_choices(shape, widths), depth_choices(shape, depths)


def atlas_component() -> Component:
    """The component. Its module's default export, `showAtlas`, takes what `packed_atlas` makes."""
    return Component(
        html=read_assets("atlas", "atlas.html"),
        css=read_assets("atlas", "atlas.css"),
        js=read_assets("atlas", "maps.js", "canvas.js", "atlas.js"),
    )


def packed_atlas(atlas: MapAtlas, view: AtlasView, *, turn: int = 1) -> bytes:
    """The component's data.  turn: changes where the view is to be followed once more."""
    return atlas.pack(
        {
            "start": asdict(view) | {"turn": turn},
            "palettes": {"attention": plots.attention_palette(), "change": plots.change_palette()},
        }
    )


def atlas_page(
    run: Run,
    texts: Sequence[str],
    atlas: MapAtlas,
    view: AtlasView | None = None,
    *,
    when: datetime | None = None,
) -> str:
    """One HTML file with the atlas of a run on a text, or a pair; its sliders work without app and network.

    when: the time to give; left out, now.

    In a notebook, a frame keeps its styles and names apart from the notebook's own:
    `display(HTML(f'<iframe srcdoc="{html.escape(made)}" width="100%" height="900"></iframe>'))`
    """
    view = view or AtlasView()
    names = run.info.task.text_columns if len(texts) > 1 else ("Text",)
    about = {
        **about_run(run),
        **{name[:1].upper() + name[1:]: text for name, text in zip(names, texts, strict=False)},
        "Opened at": f"width {view.w:.3g}, depth {view.d:.3g}: {view.subnet.resolve(run.config.shape)}",
        **about_making(when),
    }
    notes = [_NOTE]
    if atlas.num_cut:
        notes.append(cut_in_words(atlas.num_cut, len(atlas.tokens), pair=run.info.task.is_pair))
    if atlas.block > 1:
        notes.append(
            f"The text is long: each cell stands for {atlas.block} × {atlas.block} tokens (the largest "
            "value)."
        )
    return page(
        title=f"What do the heads of {run.name} look at?",
        about=about,
        component=atlas_component(),
        start=read_assets("page", "atlas_start.js"),
        notes=notes,
        data=packed_atlas(atlas, view),
    )
