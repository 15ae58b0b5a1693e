"""BertViz's views as documents of our own: what they hold, and what they cannot do."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any

import bertviz
import numpy as np
import pytest
from made_query_keys import HEADS, HOSTILE, NUM_HEADS, make_query_key

from dynabert.errors import UserError
from dynabert.plots import classic
from dynabert.plots.classic import MOST_TOKENS, head_view, model_view, neuron_view
from dynabert.plots.classic.bertviz_scripts import changed

VIEWS = {"head_view": head_view, "model_view": model_view, "neuron_view": neuron_view}
WORDS = ("[CLS]", "a", "cat", "[SEP]", "dogs", "[SEP]")
VENDOR = resources.files(classic).joinpath("vendor")


class Document(HTMLParser):
    """What a browser makes of a document: its elements, and the text of its scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] == "script" and data.strip():
            self.scripts.append((self.tags[-1][1], data))

    @property
    def params(self) -> dict[str, Any]:
        (text,) = (text for attributes, text in self.scripts if attributes.get("id") == "params")
        return json.loads(text)

    @property
    def code(self) -> list[str]:
        return [text for attributes, text in self.scripts if "id" not in attributes]


def kept_rows() -> list[list[bool]]:
    return [[head in heads for head in range(NUM_HEADS)] for heads in HEADS.values()]


def test_the_head_view_has_original_numbers_and_zeros_where_a_layer_lacks_a_head():
    found = make_query_key(WORDS)
    params = Document(head_view(found, layer=3).html).params
    assert params["include_layers"] == [2, 4]
    assert params["layer"] == 4
    assert params["kept"] == kept_rows()
    (part,) = params["attention"]
    assert part["left_text"] == part["right_text"] == list(WORDS)
    expected = np.zeros((2, NUM_HEADS, 6, 6))
    for place, one in enumerate(found.layers):
        expected[place, list(one.heads)] = one.probs
    np.testing.assert_allclose(np.array(part["attn"]), expected, rtol=0, atol=0.0005001)


def test_the_model_view_has_original_numbers_and_nothing_where_a_layer_lacks_a_head():
    params = Document(model_view(make_query_key(WORDS)).html).params
    assert params["include_layers"] == [2, 4]
    assert params["include_heads"] == [1, 2, 3, 4, 5, 6]
    assert params["kept"] == kept_rows()
    there = [[matrix is not None for matrix in row] for row in params["attention"][0]["attn"]]
    assert there == kept_rows()


def test_the_neuron_view_has_real_queries_and_keys_by_original_numbers():
    found = make_query_key(WORDS)
    params = Document(neuron_view(found, layer=3, head=4).html).params
    assert params["layers"] == [2, 4]
    assert params["heads"] == [[1, 3], [2, 5, 6]]
    assert (params["layer"], params["head"]) == (1, 1)  # the second layer's second head
    assert params["attention"]["tokens"] == list(WORDS)
    for name, key in (("queries", "queries"), ("keys", "keys"), ("attn", "probs")):
        for shown, one in zip(params["attention"][name], found.layers, strict=True):
            np.testing.assert_allclose(np.array(shown), getattr(one, key), rtol=0, atol=0.0005001)


def test_a_layer_or_head_that_does_not_run_leaves_the_first():
    found = make_query_key(WORDS)
    assert Document(head_view(found, layer=0).html).params["layer"] == 2
    params = Document(neuron_view(found, layer=3, head=0).html).params
    assert (params["layer"], params["head"]) == (1, 0)


def test_a_pair_can_be_seen_by_text():
    found = make_query_key(WORDS, second_start=4)
    for view in (head_view, model_view):
        parts = Document(view(found).html).params["attention"]
        assert [part["name"] for part in parts] == [
            "All",
            *(f"Sentence {one} -> Sentence {other}" for one, other in ("AA", "BB", "AB", "BA")),
        ]
        across = parts[3]
        assert (across["left_text"], across["right_text"]) == (list(WORDS[:4]), list(WORDS[4:]))
        shown = np.array(across["attn"][0][2])
        np.testing.assert_allclose(shown, found.layers[0].probs[1, :4, 4:], atol=0.0005001)
    assert Document(neuron_view(found).html).params["second"] == 4
    assert "Sentence B -&gt; Sentence A" in neuron_view(found).html
    assert 'id="filter"' not in neuron_view(make_query_key(WORDS)).html


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("second", [None, 4])
def test_hostile_tokens_stay_tokens(name, second):
    html = VIEWS[name](make_query_key(HOSTILE, second_start=second)).html
    harmless = VIEWS[name](make_query_key(("x",) * len(HOSTILE), second_start=second)).html
    document = Document(html)
    assert document.tags == Document(harmless).tags
    assert document.code == Document(harmless).code
    attention = document.params["attention"]
    shown = attention["tokens"] if name == "neuron_view" else attention[0]["left_text"]
    assert shown == list(HOSTILE)


@pytest.mark.parametrize("name", VIEWS)
def test_only_the_documents_own_scripts_may_run_and_nothing_may_be_fetched(name):
    html = VIEWS[name](make_query_key(WORDS)).html
    document = Document(html)
    (policy,) = (
        attributes["content"]
        for tag, attributes in document.tags
        if tag == "meta" and "http-equiv" in attributes
    )
    hashes = [
        base64.b64encode(hashlib.sha256(code.encode()).digest()).decode() for code in document.code
    ]
    assert policy == (
        "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'unsafe-inline'; "
        "script-src " + " ".join(f"'sha256-{one}'" for one in hashes)
    )
    assert not any({"src", "href"} & set(attributes) for _, attributes in document.tags)
    assert "cdnjs" not in html


@pytest.mark.parametrize("name", VIEWS)
def test_the_same_view_is_the_same_document(name):
    """Or each click on the page would load its frame anew."""
    assert VIEWS[name](make_query_key(WORDS)) == VIEWS[name](make_query_key(WORDS))


@pytest.mark.parametrize("name", VIEWS)
def test_a_long_text_is_refused_with_a_sentence(name):
    found = make_query_key(("a",) * (MOST_TOKENS + 1))
    with pytest.raises(UserError, match="the 25 tokens of this text: give at most 24"):
        VIEWS[name](found)
    assert VIEWS[name](found, most_tokens=25).height_px > 25 * 18


@pytest.mark.parametrize("name", VIEWS)
def test_a_bertviz_of_another_version_is_noticed(name):
    """The installed one is as expected; without any of the changed texts, or with one more, it is not."""
    script = Path(bertviz.__file__).with_name(f"{name}.js").read_text(encoding="utf-8")
    ours = changed(name, script)
    assert "cloudflare" not in ours
    assert "PALETTE[config.mode]" not in ours
    with pytest.raises(UserError, match=r"bertviz 1\.\d.* is not written as this view expects"):
        changed(name, script.replace("d3/5.7.0", "d3/7.0.0"))
    with pytest.raises(UserError, match="Install bertviz 1.4.1"):
        changed(name, script + script)


def test_vendored_libraries_are_the_published_ones_and_are_named():
    """Of d3@5.7.0 and jquery@2.2.4 on npm, dist/d3.min.js and dist/jquery.min.js."""
    notice = (Path(__file__).parents[2] / "NOTICE").read_text(encoding="utf-8")
    for name, size, sha256 in (
        ("d3-5.7.0", 237_682, "bdad5585ef9a965ff25458738309b006058c55f2c78d794d25fbecae35014609"),
        (
            "jquery-2.2.4",
            85_578,
            "05b85d96f41fff14d8f608dad03ab71e2c1017c2da0914d7c59291bad7a54f8e",
        ),
    ):
        data = VENDOR.joinpath(f"{name}.min.js").read_bytes()
        assert len(data) == size
        assert hashlib.sha256(data).hexdigest() == sha256
        assert f"{name}.min.js" in notice
        assert VENDOR.joinpath(f"{name.split('-')[0]}-LICENSE.txt").is_file()


# Machado, Oliveira, Fernandes, A Physiologically-based Model for Simulation of Color Vision Deficiency,
# 2009: severity 1, for linear RGB.
VISION = {
    "normal": np.eye(3),
    "no green": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "no red": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "no blue": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
LUMINANCE = np.array([0.2126729, 0.7151522, 0.0721750])


def linear(colour: str) -> np.ndarray:
    values = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIELAB of linear RGB, white D65."""
    matrix = np.array(
        [[0.4124564, 0.3575761, 0.1804375], LUMINANCE, [0.0193339, 0.1191920, 0.9503041]]
    )
    xyz = matrix @ np.clip(rgb, 0, 1) / matrix.sum(1)
    x, y, z = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def contrast(one: str, other: str) -> float:
    low, high = sorted(float(LUMINANCE @ linear(colour)) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_twelve_heads_can_be_told_apart_with_any_colour_vision(theme):
    css = resources.files(classic).joinpath("classic.css").read_text()
    page = re.findall(r"--background: light-dark\((#\w+), (#\w+)\)", css)[0][theme]
    found = re.findall(r"--colour-\d+: light-dark\((#\w{6}), (#\w{6})\)", css)
    colours = [pair[theme] for pair in found]
    assert len(set(colours)) == 12
    assert min(contrast(colour, page) for colour in colours) >= 3.5
    for matrix in VISION.values():
        seen = [lab(np.array(matrix) @ linear(colour)) for colour in colours]
        distances = [np.linalg.norm(one - other) for one, other in itertools.combinations(seen, 2)]
        assert min(distances) >= 20
