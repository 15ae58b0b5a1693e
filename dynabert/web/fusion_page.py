"""Head functions and function fusion of several sub-networks, as a page in one file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from dynabert.analysis.function_names import FUNCTIONS_DEFINED, FUSION_DEFINED, GROUPS, SHORT
from dynabert.analysis.functions import FunctionProfile, function_profile
from dynabert.analysis.fusion import Fusion, measure_fusion
from dynabert.analysis.sentences import Sentence, attention_of
from dynabert.modeling.models import TaskModel
from dynabert.plots.functions import function_colours
from dynabert.runs import Run
from dynabert.subnet import FULL, ResolvedSubnet, Subnet
from dynabert.web.page import Component, about_making, about_run, json_bytes, page, read_assets

_TOPS = 3  # functions told of each head


@dataclass(frozen=True, kw_only=True, eq=False)
class SubnetFunctions:
    """What the heads of one sub-network do, and what they took over."""

    subnet: Subnet
    resolved: ResolvedSubnet
    profile: FunctionProfile
    fusion: Fusion | None  # None for the full network


def measure_functions(
    model: TaskModel,
    sentences: Sequence[Sentence],
    subnets: Iterable[Subnet],
    on_progress: Callable[[int, int], None] | None = None,
) -> list[SubnetFunctions]:
    """Functions and fusion of the full network and of those sub-networks; the same one only once.

    on_progress: called with the number of sub-networks done, and the total.
    """
    shape = model.config.shape
    different = {subnet.resolve(shape): subnet for subnet in (*reversed(list(subnets)), FULL)}
    full = attention_of(model, sentences, FULL)
    measured = []
    for done, (resolved, subnet) in enumerate(sorted(different.items(), key=_largest), start=1):
        maps = full if subnet.is_full else attention_of(model, sentences, subnet)
        measured.append(
            SubnetFunctions(
                subnet=subnet,
                resolved=resolved,
                profile=function_profile(maps, sentences),
                fusion=None if subnet.is_full else measure_fusion(maps, full, sentences),
            )
        )
        if on_progress is not None:
            on_progress(done, len(different))
    return measured


def fusion_page(
    run: Run,
    sentences: Sequence[Sentence],
    measured: Sequence[SubnetFunctions],
    chosen: Subnet = FULL,
    *,
    when: datetime | None = None,
) -> str:
    """One HTML file in which a reader goes from sub-network to sub-network, without app and network.

    chosen: the sub-network shown first, if it is among those measured.  when: the time to give; left
    out, now.
    """
    places = [one.resolved for one in measured]
    wanted = chosen.resolve(run.config.shape)
    data = {
        "groups": list(dict.fromkeys(GROUPS.values())),
        "colours": function_colours(),
        "short": SHORT,
        "group_of": GROUPS,
        "subnets": [_values(one) for one in measured],
        "chosen": places.index(wanted) if wanted in places else 0,
    }
    text = (
        sentences[0].text
        if len(sentences) == 1
        else f"{len(sentences)} acceptable sentences of the teaching set, for example “{sentences[0].text}”"
    )
    return page(
        title=f"Do the heads of {run.name} that are left take over?",
        about={**about_run(run), "Measured over": text, **about_making(when)},
        component=Component(
            html=read_assets("fusion", "fusion.html"),
            css=read_assets("fusion", "fusion.css"),
            js=read_assets("fusion", "fusion.js"),
        ),
        start="showFusion({ data: JSON.parse(new TextDecoder().decode(data)), parentElement: place });",
        notes=[text.replace("*", "") for text in (FUNCTIONS_DEFINED, *FUSION_DEFINED)],
        data=json_bytes(data),
    )


def _largest(item: tuple[ResolvedSubnet, Subnet]) -> tuple[float, float]:
    return -item[1].width_mult, -item[1].depth_mult


def _values(one: SubnetFunctions) -> dict[str, Any]:
    tops = one.profile.table().groupby(["layer", "head"]).head(_TOPS)
    details: dict[str, list[Any]] = {}
    for row in tops.to_dict("records"):
        details.setdefault(f"{row['layer']},{row['head']}", []).append(
            [row["function"], *_rounded([row["observed"], row["chance"]]), row["num_tokens"]]
        )
    fusion = one.fusion
    return {
        "title": "Full network"
        if one.subnet.is_full
        else f"Width {one.subnet.width_mult:.3g}, depth {one.subnet.depth_mult:.3g}",
        "counts": str(one.resolved),
        "labels": one.profile.labels().tolist(),
        "breadth": _rounded(one.profile.breadth),
        "tops": details,
        "fusion": None if fusion is None or not len(fusion.removed) else _fusion_values(fusion),
    }


def _fusion_values(fusion: Fusion) -> dict[str, Any]:
    return {
        "kept": len(fusion.heads),
        "removed": len(fusion.removed),
        "mean": _rounded(fusion.mean),
        "chance": _rounded(fusion.chance_mean),
        "above": _rounded(fusion.above_chance),
        "interval": _rounded(fusion.interval) if fusion.num_sentences > 1 else None,
        "covered": _rounded(fusion.covered.mean()),
        "by_layer": _rows(fusion.by_layer()),
        "absorbed": _rows(fusion.absorbed()),
        "resemblance": _rows(fusion.resemblance()),
    }


def _rows(table: pd.DataFrame) -> dict[str, Any]:
    return {"columns": list(table), "rows": table.round(4).to_numpy().tolist()}


def _rounded(values: Any) -> Any:
    """Four decimals; None where there is no number, for JSON knows no NaN."""
    numbers = np.asarray(values, dtype=float)
    if numbers.ndim:
        return [_rounded(one) for one in numbers]
    return None if np.isnan(numbers) else round(float(numbers), 4)
