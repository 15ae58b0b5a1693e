"""Which tokens survive?"""

from __future__ import annotations

import pytest
from reading import charts, texts

from dynabert import Subnet
from dynabert.analysis.needed_tokens import needed_tokens
from dynabert.analysis.survivors import DROPS, dropping, survivors

pytest_plugins = ["app_fixtures"]
TEXT = "the cat is good and the dog is bad."


def test_every_drop_has_its_answer(open_app, tiny):
    at = open_app(tiny.folder.parent, "survivors", text=TEXT, w="0.5")
    model = tiny.model()
    subnets = dropping(Subnet(0.5), model.config.shape)
    found = survivors(model, tiny.tokenizer(), [TEXT], subnets, tiny.info.max_tokens)
    table = at.dataframe[0].value
    assert table["drop"].tolist() == [100 * drop for drop in DROPS]
    answers = [("neg", "pos")[int(one.logits.argmax())] for one in found]
    assert table["answer"].tolist() == answers
    assert table["left"].tolist() == [", ".join(map(str, one.num_leaving)) for one in found]
    assert table["macs"].iloc[0] == 100
    assert table["macs"].is_monotonic_decreasing
    differing = [number for number, answer in enumerate(answers) if answer != answers[0]]
    last = differing[0] - 1 if differing else len(DROPS) - 1
    figure = charts(at)[0]
    assert figure["layout"]["sliders"][0]["active"] == last
    said = next(text for text in texts(at) if "with all tokens" in text)
    assert f"**{answers[0]}**" in said
    assert "another as soon as" in said if last == 0 else f"**{DROPS[last]:.0%}**" in said
    assert any("trained on whole texts" in caption.value for caption in at.caption)


def test_no_text_and_a_long_one(open_app, tiny):
    at = open_app(tiny.folder.parent, "survivors", text="<b>good</b> " * 60)
    assert not at.error
    assert "tokens this model was trained to read" in at.warning[0].value
    at.text_input(key="text").set_value(" ").run()
    assert "Type a text" in at.info[0].value


def test_which_tokens_the_answer_needs(open_app, tiny):
    at = open_app(tiny.folder.parent, "survivors", text=TEXT, w="0.5")
    found = needed_tokens(tiny.model(), tiny.tokenizer(), [TEXT], Subnet(0.5), tiny.info.max_tokens)
    figure = charts(at)[1]
    assert list(figure["layout"]["yaxis"]["ticktext"]) == [f"from layer {n}" for n in (1, 2, 3, 4)]
    said = next(text for text in texts(at) if "stays the same from" in text)
    assert f"**{found.enough_by_need} of {len(found.tokens)}** on" in said
    assert f"attention, from **{found.enough_by_attention}** on" in said
    assert f"ρ = **{found.rank_correlation:.2f}**" in said
    for place in found.needed:
        assert f"**{found.tokens[place]}**" in said


@pytest.mark.parametrize(("patience", "rows"), [(1e9, 4), (0.0, 1)])
def test_what_takes_long_is_asked_for(open_app, tiny, monkeypatch, patience, rows):
    monkeypatch.setattr("pages.shared.needed._AT_ONCE", 0.0)
    monkeypatch.setattr("pages.shared.needed._ALL_LAYERS", patience)
    at = open_app(tiny.folder.parent, "survivors", text="<b>good</b> dog cat")
    (toggle,) = [one for one in at.toggle if one.key == "needed"]
    assert ("from the first layer on" in toggle.label) is (rows == 1)
    assert len(charts(at)) == 1
    assert not any("stays the same from" in text for text in texts(at))
    toggle.set_value(True).run()
    assert not at.exception
    assert len(charts(at)[1]["layout"]["yaxis"]["ticktext"]) == rows
    assert any("stays the same from" in text for text in texts(at))
