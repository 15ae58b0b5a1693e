"""Every page on a run that answers questions."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from reading import charts, finished, metric, texts
from squad_run import squad_plan
from streamlit.testing.v1 import AppTest

from dynabert import SearchSpace, Subnet
from dynabert.analysis.changed_answers import changed_spans
from dynabert.analysis.span_answers import SpanAnswer, answer_question, first_to_differ
from dynabert.analysis.survivors import dropping
from dynabert.evaluation import evaluate_many
from dynabert.examples import load_examples
from dynabert.runs import Run
from dynabert.training import train

pytest_plugins = ["app_fixtures"]

QUESTION, PASSAGE = "what is good ?", "the old red good cat is on the tree ."
PAGES = (
    *("overview", "importance", "attention", "fusion", "accuracy", "try_it", "compare"),
    *("survivors", "search", "take_away", "learn", "train"),
)
SPACE = list(SearchSpace((1.0, 0.5), (1.0, 0.5)))


@pytest.fixture(scope="module")
def squad(tmp_path_factory: pytest.TempPathFactory, tiny_backbone: Path) -> Run:
    folder = tmp_path_factory.mktemp("squad")
    return train(squad_plan(folder / "data", tiny_backbone), folder / "runs")


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens(open_app, squad: Run, page: str) -> None:
    at = open_app(squad.folder.parent, page)
    assert not at.error, [error.value for error in at.error]


@pytest.mark.parametrize("step", range(1, 7))
def test_every_step_of_the_tour_has_an_answer(open_app, squad: Run, step: int) -> None:
    at = open_app(squad.folder.parent, tour=str(step))
    at.session_state[f"tour-answer-{step}"] = True
    at.run()
    assert not at.exception
    assert not at.error


def test_every_sub_network_answers_a_question(open_app, squad: Run) -> None:
    at = open_app(squad.folder.parent, "try_it", text=QUESTION, text2=PASSAGE)
    info = squad.info
    expected = answer_question(
        *(squad.model(), squad.tokenizer(), QUESTION, PASSAGE),
        subnets=SPACE,
        max_tokens=info.max_tokens,
        doc_stride=info.doc_stride,
    )
    table = at.dataframe[0].value
    assert table["subnet"].tolist() == [subnet.key for subnet in SPACE]
    assert table["answer"].tolist() == [answer.text for answer in expected]
    assert table["probability"].tolist() == pytest.approx(
        [100 * one.probability for one in expected]
    )
    assert (table["latency_ms"] > 0).all()
    (figure,) = charts(at)
    assert any(text.startswith("cat") for text in figure["data"][1]["text"])
    assert marked_passage(at) == PASSAGE
    blue = [one.text for one in marks(at) if "rgba(47" in one.get("style", "")]
    assert "".join(map(str, blue)) == expected[0].text  # in pieces where others end in it
    at.text_area(key="text2").set_value("  ").run()
    assert "Type a question and a passage" in at.info[0].value


def test_the_sub_network_that_is_open_is_asked_too(open_app, squad: Run) -> None:
    at = open_app(squad.folder.parent, "try_it", text=QUESTION, text2=PASSAGE, w="0.667", d="1")
    opened = Subnet(4 / 6)
    info = squad.info
    _, answer = answer_question(
        *(squad.model(), squad.tokenizer(), QUESTION, PASSAGE),
        subnets=[Subnet(), opened],
        max_tokens=info.max_tokens,
        doc_stride=info.doc_stride,
    )
    assert at.dataframe[0].value["subnet"].iloc[-1] == opened.key
    said = next(text for text in texts(at) if "framed below" in text)
    assert (answer.text or "nothing") in said
    assert len(charts(at)[0]["layout"]["shapes"]) == 1


def marked_passage(at: AppTest) -> str:
    """The text of the passage as the browser would show it."""
    return "".join(_passage(at).itertext())


def marks(at: AppTest) -> list[ElementTree.Element]:
    return list(_passage(at).iter("mark"))


def _passage(at: AppTest) -> ElementTree.Element:
    (passage,) = at.get("html")
    return ElementTree.fromstring(passage.proto.body)


HOSTILE = (
    "</script><img src=x onerror=alert(1)> ]:red[x] **b** http://example.org :material/home:\n\n"
    "    <mark style='display: none'> \N{HEBREW LETTER ALEF}\N{GRINNING FACE} good cat"
)


def test_hostile_texts_are_shown_letter_by_letter(open_app, squad: Run) -> None:
    at = open_app(squad.folder.parent, "try_it", text=HOSTILE, text2=HOSTILE)
    assert not at.error
    # Read as XML, it is one division with marks in it and nothing else, and says just that.
    assert marked_passage(at) == HOSTILE
    assert {element.tag for element in _passage(at).iter()} <= {"div", "mark"}


def test_a_long_passage_is_cut_rather_than_refused(open_app, squad: Run) -> None:
    at = open_app(squad.folder.parent, "try_it", text=QUESTION, text2=PASSAGE)
    assert (
        at.text_area(key="text2").proto.max_chars == 0
    )  # a field with a limit drops what is pasted
    at.text_area(key="text2").set_value("good cat " * 1000).run()
    assert at.info[0].value.endswith("its first 5,000 letters are shown.")
    assert marked_passage(at) == ("good cat " * 1000)[:5000]


def test_a_question_that_is_cut_is_said_to_be(open_app, squad: Run) -> None:
    read = (squad.info.max_tokens - 3) // 2  # half of a window without its special tokens
    at = open_app(squad.folder.parent, "try_it", text="good " * (read + 2), text2=PASSAGE)
    assert "its last 2 tokens are left out" in at.warning[0].value
    at = open_app(squad.folder.parent, "try_it", text="good " * read, text2=PASSAGE)
    assert not at.warning


def test_the_largest_network_to_answer_otherwise_is_named(squad: Run) -> None:
    texts = ("cat", "cat", "dog", "cat", "tree")
    subnets = (Subnet(), Subnet(0.75), Subnet(0.25), Subnet(0.75, 0.5), Subnet(0.5))
    given = [
        SpanAnswer(subnet=subnet, text=text, start=0, end=1, probability=0.5)
        for subnet, text in zip(subnets, texts, strict=True)
    ]
    found = first_to_differ(given, squad)
    assert found is not None
    assert found.subnet == Subnet(0.5)  # not the first in order: it is smaller
    assert first_to_differ(given[:2], squad) is None


def test_a_page_that_opens_on_another_task_asks_a_question(open_app, squad: Run) -> None:
    at = open_app(squad.folder.parent, "try_it", text="the cat sat on the mat.")
    assert at.text_input(key="text").value == "Where did the dog sleep?"
    at = open_app(squad.folder.parent, "try_it", text="Who?")
    assert at.text_input(key="text").value == "Who?"


def test_attention_shows_the_answer(open_app, squad: Run) -> None:
    at = open_app(squad.folder.parent, "attention", text=QUESTION, text2=PASSAGE)
    (expected,) = answer_question(
        *(squad.model(), squad.tokenizer(), QUESTION, PASSAGE), max_tokens=squad.info.max_tokens
    )
    assert any(text.startswith(f"Full network: **{expected.text}**") for text in texts(at))


def test_a_new_sub_network_is_evaluated_and_its_changed_answers_are_shown(
    open_app, squad: Run
) -> None:
    at = finished(open_app(squad.folder.parent, "accuracy", w="0.1667", d="0.5", auto="1"))
    narrow = Subnet(1 / 6, 0.5)
    dev = load_examples(squad).dev
    full, small = evaluate_many(
        squad.model(), dev, [Subnet(), narrow], metrics=squad.info.task.metrics
    )
    assert metric(at, "F1") == f"{small.metrics['f1']:.3f}"
    assert metric(at, "Exact match") == f"{small.metrics['em']:.3f}"
    (measured,) = squad.results[squad.results["subnet"] == narrow.key]["f1"]
    assert measured == pytest.approx(small.metrics["f1"])
    at.toggle(key="changes").set_value(True).run()
    at = finished(at)
    expected = changed_spans(full, small, {})
    said = next(text for text in texts(at) if "get another answer" in text)
    assert f"Of 24 questions, **{len(expected)}** get another answer" in said
    table = at.dataframe[0].value
    assert table["subnet"].tolist() == expected["subnet"].tolist()
    assert table["change"].is_monotonic_increasing
    gold = [set(answers) for answers in dev.gold]
    for _, row in table.iterrows():
        assert {row["right"]} in gold
        assert row["full"] != row["subnet"]


def test_what_is_taken_away_is_told_how_to_use(open_app, squad: Run) -> None:
    at = open_app(squad.folder.parent, "take_away")
    assert any("answer_question(model, tokenizer" in code.value for code in at.code)


def test_heads_are_removed_one_by_one(open_app, squad: Run) -> None:
    at = open_app(squad.folder.parent, "importance")
    (button,) = [one for one in at.button if one.label == "Measure now"]
    at = finished(button.click().run())
    assert squad.ablation is not None
    assert squad.ablation.metric == "f1"
    assert squad.ablation.num_examples == 24


def test_answers_of_a_passage_that_drops_tokens(open_app, squad: Run) -> None:
    at = open_app(squad.folder.parent, "survivors", text=QUESTION, text2=PASSAGE)
    model, info = squad.model(), squad.info
    subnets = dropping(Subnet(), model.config.shape)
    answers = answer_question(
        model,
        squad.tokenizer(),
        QUESTION,
        PASSAGE,
        subnets=subnets,
        max_tokens=info.max_tokens,
        doc_stride=info.doc_stride,
    )
    table = at.dataframe[0].value
    assert table["answer"].tolist() == [one.text for one in answers]
    assert table["sure"].tolist() == pytest.approx([100 * one.probability for one in answers])
    figure, needed = charts(at)
    assert "answer" not in figure["layout"]["title"]["text"]
    assert needed["layout"]["yaxis"]["ticktext"][0] == "from layer 1"
    at.text_area(key="text2").set_value(f"{PASSAGE} " * 8).run()
    assert "the answers are from the whole passage" in at.warning[0].value
