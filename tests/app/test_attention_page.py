"""What do heads look at?"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from reading import charts, metric, numbers
from tiny_run import HEADS, LAYERS

from dynabert import Subnet
from dynabert.runs import RECIPE, Run, write_manifest

pytest_plugins = ["app_fixtures"]


def test_the_page_opens_with_a_sentence_and_shows_both_networks(open_app, tiny):
    at = open_app(tiny.folder.parent, "attention", w="0.5", d="0.5")
    assert at.text_input(key="text").value == "the cat sat on the mat."
    full, small, head = charts(at)[:3]
    tokens = ["[CLS]", "the", "cat", "sat", "on", "the", "mat", ".", "[SEP]"]
    assert head["layout"]["xaxis"]["ticktext"] == tokens
    crosses = [
        np.array(figure["data"][1]["marker"]["opacity"]).reshape(LAYERS, HEADS) > 0
        for figure in (full, small)
    ]
    assert not crosses[0].any()
    # Depth 0.5 runs layers 2 and 4; in layer l (from 0) the heads l, l + 1, l + 2 are the best.
    kept = np.zeros((LAYERS, HEADS), bool)
    kept[1, [1, 2, 3]] = kept[3, [3, 4, 5]] = True
    np.testing.assert_array_equal(crosses[1], ~kept)


def test_the_enlarged_head_has_the_models_own_numbers(open_app, tiny):
    at = open_app(tiny.folder.parent, "attention", layer="2", head="3", text="a good dog")
    model, tokenizer = tiny.model(), tiny.tokenizer()
    out = model(**tokenizer("a good dog", return_tensors="pt"), output_attentions=True)
    attention = model.backbone.encoder.layers[1].attention
    place = attention.head_ids.tolist().index(2)
    np.testing.assert_allclose(
        numbers(charts(at)[2]["data"][0]["z"]),
        out.attentions[1][0, place].detach().numpy(),
        atol=1e-6,
    )


def test_both_answers_are_the_models_own(open_app, tiny):
    text = "the cat is bad."
    at = open_app(tiny.folder.parent, "attention", w="0.5", text=text)
    model = tiny.model()
    inputs = tiny.tokenizer()(text, return_tensors="pt")
    for shown, subnet in zip(at.metric, (Subnet(), Subnet(0.5)), strict=True):
        probabilities = model(**inputs, subnet=subnet).logits.softmax(-1)[0].detach()
        best = int(torch.argmax(probabilities))
        assert shown.value == ("neg", "pos")[best]
        assert shown.delta == f"probability {float(probabilities[best]):.1%}"


def test_a_head_that_is_gone_is_named_not_drawn(open_app, tiny):
    at = open_app(tiny.folder.parent, "attention", w="0.5", d="0.5", layer="1", head="1")
    assert at.info[0].value == "Layer 1, head 1 is not in this sub-network."
    assert len(charts(at)) == 3


def test_an_empty_sentence_asks_for_one(open_app, tiny):
    at = open_app(tiny.folder.parent, "attention")
    at.text_input(key="text").set_value("   ").run()
    assert not at.exception
    assert "Type a sentence" in at.info[0].value
    assert not charts(at)


def test_a_long_sentence_is_cut_and_says_so(open_app, tiny):
    at = open_app(tiny.folder.parent, "attention", text="cat " * 60)
    assert "longer than the 16 tokens" in at.warning[0].value
    assert "last 46 are left out" in at.warning[0].value
    assert len(charts(at)[2]["layout"]["xaxis"]["ticktext"]) == 16


def test_hostile_text_is_shown_letter_by_letter(open_app, tiny):
    at = open_app(tiny.folder.parent, "attention", text="<b>x</b> <a href='j'>&amp;")
    labels = charts(at)[2]["layout"]["xaxis"]["ticktext"]
    assert not any("<" in label for label in labels)
    assert not any("<b>" in element.value for element in (*at.markdown, *at.caption))


@pytest.mark.parametrize(
    "link",
    [
        {"w": "abc", "d": "nan", "layer": "99", "head": "-1"},
        {"w": "inf", "d": "-5", "layer": "x", "head": "1e400"},
    ],
)
def test_a_link_with_nonsense_falls_back(open_app, tiny, link):
    at = open_app(tiny.folder.parent, "attention", **link)
    assert at.selectbox(key="layer").value == 1
    assert at.selectbox(key="head").value == 1
    assert at.select_slider(key="w").value in (1.0, 1 / 6)


def test_the_link_keeps_step_with_the_controls(open_app, tiny):
    at = open_app(tiny.folder.parent, "attention")
    at.select_slider(key="w").set_value(0.5)
    at.select_slider(key="d").set_value(0.75)
    at.text_input(key="text").set_value("a red bird")
    at.selectbox(key="head").set_value(5).run()
    link = {
        name: value if isinstance(value, str) else value[0]
        for name, value in at.query_params.items()
    }
    assert link == {
        "run": "tiny", "w": "0.5", "d": "0.75", "text": "a red bird", "layer": "1", "head": "5"
    }  # fmt: skip
    # Another page keeps them, and so does the way back.
    at.switch_page("pages/accuracy.py").run()
    assert at.select_slider(key="w").value == 0.5
    assert at.select_slider(key="d").value == 0.75
    at.switch_page("pages/attention.py").run()
    assert at.text_input(key="text").value == "a red bird"
    assert at.selectbox(key="head").value == 5


def test_a_collapsed_subnet_is_marked(open_app, tiny):
    at = open_app(tiny.folder.parent, "attention", w="0.5", d="0.5")
    assert "collapsed" in at.warning[0].value
    assert not open_app(tiny.folder.parent, "attention").warning


def test_a_task_of_pairs_reads_two_texts(open_app, own_run):
    rewrite(
        own_run,
        "text_columns:\n  - text\n  labels",
        "text_columns: [premise, hypothesis]\n  labels",
    )
    at = open_app(own_run.folder.parent, "attention", text="a cat", text2="a dog")
    assert [field.label for field in at.text_input] == ["Premise", "Hypothesis"]
    tokens = ["[CLS]", "a", "cat", "[SEP]", "a", "dog", "[SEP]"]
    assert charts(at)[2]["layout"]["xaxis"]["ticktext"] == tokens
    at.text_input(key="text2").set_value("").run()
    assert "Type a sentence" in at.info[0].value


def test_a_regression_shows_its_number(open_app, own_run):
    rewrite(own_run, "labels:\n  - neg\n  - pos\n", "labels: null\n")
    at = open_app(own_run.folder.parent, "attention", text="a cat")
    logits = own_run.model()(**own_run.tokenizer()("a cat", return_tensors="pt")).logits
    assert metric(at, "It predicts") == f"{logits[0, 0].item():.2f}"


def test_a_label_is_shown_as_it_is_written(open_app, own_run):
    label = "**b** <i> ![x](http://x/y) $1-$2"
    rewrite(own_run, "labels:\n  - neg\n  - pos\n", f"labels:\n  - '{label}'\n  - '{label}.'\n")
    at = open_app(own_run.folder.parent, "attention", text="a cat")
    shown = metric(at, "It answers")
    assert shown.replace("\\", "").removesuffix(".") == label
    for character in "*<[$":
        assert f"\\{character}" in shown


def rewrite(run: Run, old: str, new: str) -> None:
    """Change a run's recipe.yaml, as another task would have written it."""
    path = run.folder / RECIPE
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    write_manifest(run.folder)
