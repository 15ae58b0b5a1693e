"""A page of one file: it opens without a network, and may not reach one."""

from __future__ import annotations

import base64
import html
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import resources

import torch
import transformers

import dynabert
from dynabert.runs import Run

_ASSETS = resources.files("dynabert.web") / "assets"


@dataclass(frozen=True, kw_only=True)
class Component:
    """A browser component: a piece of HTML, its CSS, and an ES module."""

    html: str
    css: str
    js: str


@cache
def read_assets(folder: str, *names: str) -> str:
    """Files of one folder of `assets/`, one after another."""
    return "\n".join((_ASSETS / folder / name).read_text(encoding="utf-8") for name in names)


def page(
    *,
    title: str,
    about: Mapping[str, str],
    component: Component,
    start: str,
    notes: Sequence[str] = (),
    data: bytes,
) -> str:
    """One HTML file with a component and its data.

    title, about (a table of names and values), notes (sentences at the foot): texts, shown letter by
    letter.  start: JavaScript that runs after the component's own module, in the same scope; it finds
    `data` (packed here) as an `Uint8Array` of that name, and where the component is as `place`.
    """
    rows = "\n".join(
        f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>"
        for name, value in about.items()
    )
    parts = {
        "TITLE": html.escape(title),
        "ABOUT": rows,
        "NOTES": "\n".join(f"<p>{html.escape(note)}</p>" for note in notes),
        "CSS": _inside(read_assets("page", "page.css") + component.css, "style"),
        "COMPONENT": component.html,
        "DATA": base64.b64encode(zlib.compress(data, 9)).decode(),
        "SCRIPT": _inside(
            "\n".join([component.js, read_assets("page", "unpack.js"), start]), "script"
        ),
    }
    # Piece by piece: what is put in is not searched again.
    pieces = read_assets("page", "page.html").split("@@")
    return "".join(parts[piece] if number % 2 else piece for number, piece in enumerate(pieces))


def json_bytes(value: object) -> bytes:
    """A value as JSON, for `page`."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def about_run(run: Run) -> dict[str, str]:
    """What a reader must know of a run, for `page`."""
    info, task = run.info, run.info.task
    return {
        "Run": f"{run.name} (recipe {info.recipe.get('name')}, seed {info.seed})",
        "Task": f"{task.title}, {task.source}",
        "Backbone": info.backbone,
    }


def about_making(when: datetime | None = None) -> dict[str, str]:
    """With what a page was made, and when, for `page`."""
    made = when or datetime.now().astimezone()
    return {
        "Made": f"{made:%-d %B %Y, %H:%M %Z}".strip(),
        "Versions": f"dynabert {dynabert.__version__}, torch {torch.__version__}, "
        f"transformers {transformers.__version__}",
    }


def _inside(text: str, element: str) -> str:
    # Only our own files come here; a page that they would break must not be written.
    if f"</{element}" in text.lower():
        raise ValueError(f"an asset contains </{element}, which would end the element it stands in")
    return text
