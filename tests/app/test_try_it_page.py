"""What does every sub-network answer?"""

from __future__ import annotations

import pytest
from reading import charts, texts
from tiny_run import as_student, copy_run, rewrite_recipe

from dynabert import SearchSpace, Subnet
from dynabert.analysis.answers import answer_all

pytest_plugins = ["app_fixtures"]


def test_every_sub_network_of_the_run_answers(open_app, tiny):
    at = open_app(tiny.folder.parent, "try_it", text="the cat is good.")
    space = list(SearchSpace((1.0, 0.5), (1.0, 0.5)))
    answers, _ = answer_all(tiny.model(), tiny.tokenizer(), ["the cat is good."], space)
    table = at.dataframe[0].value
    assert table["subnet"].tolist() == [subnet.key for subnet in space]
    assert table["answer"].tolist() == [("neg", "pos")[answer.choice] for answer in answers]
    assert (table["latency_ms"] > 0).all()
    assert table["dev_accuracy"].tolist() == [0.9, 0.8, 0.7, 0.5]
    said = next(text for text in texts(at) if "answer" in text and "**" in text)
    differ = sum(answer.choice != answers[0].choice for answer in answers)
    assert (
        (f"{differ} of 4 answer otherwise" in said)
        if differ
        else ("All 4 sub-networks answer" in said)
    )
    (figure,) = charts(at)
    shown = dict(
        zip(figure["data"][1]["text"], figure["data"][1]["textfont"]["color"], strict=True)
    )
    assert any(text.endswith("✕") for text in shown)


def test_the_sub_network_that_is_open_answers_too_and_is_framed(open_app, tiny):
    opened = Subnet(4 / 6, 0.5)  # the recipe reports widths 1 and 0.5
    at = open_app(tiny.folder.parent, "try_it", text="a cat", w="0.667", d="0.5")
    (*_, answer), _ = answer_all(tiny.model(), tiny.tokenizer(), ["a cat"], [Subnet(), opened])
    table = at.dataframe[0].value
    assert len(table) == 5
    assert table["subnet"].iloc[-1] == opened.key
    label = ("neg", "pos")[answer.choice]
    assert any(
        text.startswith("The sub-network that is open (width 0.667, depth 0.5; framed below)")
        and f"answers **{label}** (" in text
        for text in texts(at)
    )
    (frame,) = charts(at)[0]["layout"]["shapes"]
    # Its place among the widths 0.5, 0.667 and 1 and the depths 0.5 and 1.
    assert [frame[side] for side in ("x0", "x1", "y0", "y1")] == [0.5, 1.5, -0.5, 0.5]


def test_a_width_and_depth_do_not_stand_for_heads_by_layer(open_app, tiny):
    at = open_app(tiny.folder.parent, "try_it", text="a cat", w="0.667", d="0.5", per_layer="6.1")
    assert len(at.dataframe[0].value) == 4
    assert not any("framed below" in text for text in texts(at))


def test_another_that_is_opened_does_not_time_the_others_anew(open_app, tiny):
    at = open_app(tiny.folder.parent, "try_it", text="the cat", w="0.667", d="0.5")
    before = at.dataframe[0].value
    at.query_params["w"] = "0.833"
    at.run()
    after = at.dataframe[0].value
    assert list(before["subnet"])[-1:] != list(after["subnet"])[-1:]
    assert before["latency_ms"].tolist()[:4] == after["latency_ms"].tolist()[:4]


def test_what_is_reported_anyway_is_not_asked_twice(open_app, tiny):
    at = open_app(tiny.folder.parent, "try_it", text="a cat", w="0.5")
    assert len(at.dataframe[0].value) == 4
    assert any("width 0.5, depth 1; framed below" in text for text in texts(at))
    at = open_app(tiny.folder.parent, "try_it", text="a cat", w="1", d="1")
    assert len(at.dataframe[0].value) == 4
    assert not any("framed below" in text for text in texts(at))


def test_how_sure_is_in_percent_and_a_number_has_none(open_app, own_run):
    at = open_app(own_run.folder.parent, "try_it", text="a cat")
    space = list(SearchSpace((1.0, 0.5), (1.0, 0.5)))
    answers, _ = answer_all(own_run.model(), own_run.tokenizer(), ["a cat"], space)
    sure = [100 * answer.probabilities[answer.choice] for answer in answers]
    assert at.dataframe[0].value["probability"].tolist() == pytest.approx(sure)
    rewrite_recipe(own_run, "labels:\n  - neg\n  - pos\n", "labels: null\n")
    for page in ("try_it", "survivors"):
        at = open_app(own_run.folder.parent, page, text="a cat")
        assert not at.exception
        assert not at.error
        assert not {"probability", "sure"} & set(at.dataframe[0].value)


def test_hostile_text_and_no_text(open_app, tiny):
    at = open_app(tiny.folder.parent, "try_it", text="</script><img src=x onerror=alert(1)>")
    assert not at.error
    at.text_input(key="text").set_value("   ").run()
    assert "Type a text" in at.info[0].value
    at.text_input(key="text").set_value("good " * 100).run()
    assert "tokens this model was trained to read" in at.warning[0].value


def test_a_student_of_fixed_size_answers_alone(open_app, own_run):
    as_student(own_run)
    at = open_app(own_run.folder.parent, "try_it", text="the cat is good.")
    assert at.dataframe[0].value["subnet"].tolist() == ["w1.00-d0.50"]
    assert (
        "the full network that some pages show beside it says nothing about the task"
        in at.info[0].value
    )
    name = "he sub-network of width 1 and depth 0.5"
    assert any(text.startswith(f"T{name} answers **") for text in texts(at))
    assert any(f"Blue answers as t{name} does" in text for text in texts(at))


@pytest.mark.parametrize("page", ["attention", "fusion", "accuracy", "take_away"])
def test_pages_open_with_the_student_that_was_trained(open_app, own_run, page):
    as_student(own_run)
    at = open_app(own_run.folder.parent, page)
    assert float(at.session_state["view"]["d"]) == 0.5


def test_another_run_is_opened_with_its_own_network(open_app, tiny, own_run):
    as_student(copy_run(tiny, own_run.folder.parent, "student"))
    at = open_app(own_run.folder.parent, "accuracy", run=own_run.name)
    assert float(at.session_state["view"]["d"]) == 1.0
    at.sidebar.selectbox(key="run").set_value("student").run()
    assert float(at.session_state["view"]["d"]) == 0.5
    at.sidebar.selectbox(key="run").set_value(own_run.name).run()
    assert float(at.session_state["view"]["d"]) == 1.0
