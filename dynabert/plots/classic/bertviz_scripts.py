"""The scripts of the installed BertViz, with their labels, colours and sources changed.

Every change replaces an exact text; where BertViz has become another, that is an error with a
sentence, not a wrong picture.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module, metadata, resources
from typing import Any

from torch import Tensor

from dynabert.errors import UserError

ROOT = "bertviz"  # the id of the view's element; BertViz draws a new one each time

_REQUIRE = (
    '<script src="https://cdnjs.cloudflare.com/ajax/libs/require.js/2.3.6/require.min.js"></script>'
)
_SCRIPT, _SCRIPT_END = '<script type="text/javascript">\n', "\n</script>\n"
_PARAMS = "const params = "
_READ = 'JSON.parse(document.getElementById("params").textContent)'


@dataclass(frozen=True)
class Change:
    """A text of BertViz's script, and what stands there instead."""

    old: str
    new: str
    times: int = 1


_OFFLINE = (
    Change("'https://cdnjs.cloudflare.com/ajax/libs/d3/5.7.0/d3.min'", "''"),
    Change("'https://cdnjs.cloudflare.com/ajax/libs/jquery/2.0.0/jquery.min'", "''"),
)
_HEAD = (
    Change("d3.scaleOrdinal(d3.schemeCategory10)", "dynabert.colour"),
    Change("function renderVis() {", "function renderVis() { dynabert.keepHeads(params, config);"),
    Change("new Array(config.nHeads).fill(true)", "dynabert.headsThere(params, config)", 2),
    Change(
        '.attr("fill", (d, i) => d ? headColors(i): lighten(headColors(i)));',
        "; dynabert.paintHeads(d3, checkboxContainer, config);",
    ),
)
_MODEL = (
    Change("LAYER_COLORS[config.layers[layer] % 10]", "dynabert.colour(config.layers[layer] - 1)"),
    *(
        Change(f"return PALETTE[config.mode]['{name}']", f"return dynabert.paint('{name}')")
        for name in ("text", "background", "highlight")
    ),
    Change(
        "renderThumbnailAttn(x, y, config.attn[layerIndex][headIndex], layerIndex, headIndex);",
        "if (!params.kept[layerIndex][headIndex]) return dynabert.crossOut(config, x, y);\n"
        "renderThumbnailAttn(x, y, config.attn[layerIndex][headIndex], layerIndex, headIndex);",
    ),
)
_NEURON = (
    Change("const params = window.bertviz_params", f"{_PARAMS}{_READ};"),
    Change("return PALETTE[config.mode][name]", "return dynabert.paint(name)"),
    # A name that no palette has: without it the hint is black on black.
    Change("getColor('text_highlighted')", "getColor('text')"),
    Change("config.attention = params['attention'];", "config.attention = dynabert.parts(params);"),
    Change("const HEIGHT_PADDING = 100;", "const HEIGHT_PADDING = 50;"),
    # What the view is for, without having to find the plus sign.
    Change(
        "config.expanded = false;\n            config.bidirectional",
        "config.expanded = true;\n            config.bidirectional",
    ),
    Change(
        'layerSelect.append($("<option />").val(i).text(i));',
        'layerSelect.append($("<option />").val(i).text(params.layers[i]));',
    ),
    Change(
        """for (var i = 0; i < config.nHeads; i++) {
                headSelect.append($("<option />").val(i).text(i));
            }
            headSelect.val(config.head).change();""",
        "dynabert.offerHeads(headSelect, $, params, config);",
    ),
    Change(
        "config.layer = +e.currentTarget.value;\n",
        "config.layer = +e.currentTarget.value;\n"
        "dynabert.offerHeads(headSelect, $, params, config);\n",
    ),
)
_CHANGES: Mapping[str, Sequence[Change]] = {
    "head_view": (*_OFFLINE, *_HEAD),
    "model_view": (*_OFFLINE, *_MODEL),
    "neuron_view": (*_OFFLINE, *_NEURON),
}


@dataclass(frozen=True)
class Parts:
    """A BertViz view taken apart."""

    body: str  # HTML without any token
    params: dict[str, Any]
    script: str  # reads the params from the document


def head_parts(attention: Sequence[Tensor], tokens: Sequence[str], second: int | None) -> Parts:
    """What `bertviz.head_view` draws.  attention: (1, H, S, S) of each layer."""
    return _parts("head_view", attention, tokens, second)


def model_parts(attention: Sequence[Tensor], tokens: Sequence[str], second: int | None) -> Parts:
    """What `bertviz.model_view` draws.  attention: (1, H, S, S) of each layer."""
    return _parts("model_view", attention, tokens, second)


def neuron_script() -> str:
    """BertViz's neuron view. Its Python part reads models of 2019 only, so the params are ours."""
    _find("head_view")
    text = resources.files("bertviz").joinpath("neuron_view.js").read_text(encoding="utf-8")
    return changed("neuron_view", text)


def changed(view: str, script: str) -> str:
    """A view's script with our changes.

    Raises:
        UserError: a text that is to be changed is not there, or not as often as it should be.
    """
    for change in _CHANGES[view]:
        if script.count(change.old) != change.times:
            raise _unknown(change.old)
        script = script.replace(change.old, change.new)
    return script


def _parts(
    view: str, attention: Sequence[Tensor], tokens: Sequence[str], second: int | None
) -> Parts:
    draw = _find(view)
    page = draw(
        list(attention), list(tokens), second, prettify_tokens=False, html_action="return"
    ).data
    # The tokens stand in the script, unescaped, twice: nothing is searched for behind them.
    body, found, script = page.partition(_SCRIPT)
    start = script.find(_PARAMS) + len(_PARAMS)
    if not (found and script.endswith(_SCRIPT_END) and start >= len(_PARAMS)):
        raise _unknown(_SCRIPT + _PARAMS)
    if _REQUIRE not in body:
        raise _unknown(_REQUIRE)
    params, end = json.JSONDecoder().raw_decode(script, start)
    rest = script.index("\n", end)  # the line ends in a comment that holds them once more
    script = f"{script[:start]}{_READ};{script[rest : -len(_SCRIPT_END)]}"
    body = body.replace(_REQUIRE, "").replace(params["root_div_id"], ROOT)
    for name, label in (("layer", "Layer"), ("filter", "Attention")):
        body = body.replace(f'<select id="{name}">', f'<select id="{name}" aria-label="{label}">')
    return Parts(body, params | {"root_div_id": ROOT}, changed(view, script))


def _find(view: str) -> Callable[..., Any]:
    try:
        found: Callable[..., Any] = getattr(import_module("bertviz"), view)
    except ImportError as error:
        raise UserError(
            'this view needs BertViz; install it with: pip install "dynabert[app]".'
        ) from error
    return found


def _unknown(text: str) -> UserError:
    return UserError(
        f"bertviz {metadata.version('bertviz')} is not written as this view expects: it has no "
        f"{text.strip().splitlines()[0]!r}. Install bertviz 1.4.1."
    )
