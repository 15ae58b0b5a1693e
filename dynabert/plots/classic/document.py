"""An HTML document that holds all it needs: libraries, data, script. It can ask nothing of a network."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from functools import cache
from importlib import resources
from typing import Any, Literal

Theme = Literal["light", "dark", "auto"]  # "auto" follows the reader's system
# BertViz asks for d3 5.7 and jQuery 2.0, which is not on npm; 2.2 is its last compatible line.
_LIBRARIES = ("vendor/d3-5.7.0.min.js", "vendor/jquery-2.2.4.min.js", "additions.js")


def document(*, title: str, kind: str, theme: Theme, body: str, params: Any, script: str) -> str:
    """A complete HTML page.

    kind: the class of its body, for the style sheet.  body: HTML that holds no text from outside.
    params: JSON values that the script reads from the element "params"; these may hold such text.

    The content security policy lets run the scripts named here, by their hashes, and nothing else:
    even a text that broke out of its place could neither run nor fetch anything. The app shows
    these documents on its own origin.
    """
    scripts = [*_libraries(), _in_script(script)]
    hashes = " ".join(f"'sha256-{_sha256(one)}'" for one in scripts)
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'unsafe-inline'; "
        f"script-src {hashes}"
    )
    tags = "\n".join(f"<script>{one}</script>" for one in scripts)
    return f"""<!doctype html>
<html lang="en" data-theme="{theme}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>{_read("classic.css")}</style>
</head>
<body class="{kind}">
{body.strip()}
<script type="application/json" id="params">{_json(params)}</script>
{tags}
</body>
</html>
"""


def _json(values: Any) -> str:
    """JSON as the text of an element: plain ASCII, and nothing that HTML would take for a tag."""
    text = json.dumps(values, separators=(",", ":"), allow_nan=False)
    return text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


def _in_script(code: str) -> str:
    """Code as the text of a script element. In code, "<" before these stands in strings only."""
    code = code.replace("\r\n", "\n")  # as an HTML parser reads it, or its hash would differ
    return re.sub(r"<(?=/?script|!--)", r"\\x3c", code, flags=re.IGNORECASE)


def _sha256(code: str) -> str:
    return base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()


@cache
def _libraries() -> tuple[str, ...]:
    return tuple(_in_script(_read(name)) for name in _LIBRARIES)


@cache
def _read(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
