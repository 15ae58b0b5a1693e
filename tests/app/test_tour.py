"""The guided tour: six questions, each on its page, with answers of the open run."""

from __future__ import annotations

import pytest
from reading import texts
from tiny_run import as_student

from pages.shared.glossary import GLOSSARY
from pages.shared.tour import NEEDS_FAMILY, STEPS

pytest_plugins = ["app_fixtures"]


def banner(at) -> str:
    return next((text for text in texts(at) if text.startswith("**Tour, ")), "")


def test_the_tour_goes_from_page_to_page_and_ends(open_app, tiny):
    at = open_app(tiny.folder.parent, "learn")
    assert banner(at) == ""
    next(button for button in at.button if button.label == "Start the tour").click().run()
    for number, step in enumerate(STEPS, start=1):
        assert banner(at).startswith(f"**Tour, {number} of 6: {step.question}**")
        assert at.session_state["view"]["tour"] == str(number)
        for name, value in step.view.items():
            if isinstance(value, str):  # numbers move to the nearest that the run has
                assert at.session_state["view"][name] == value
        if number < len(STEPS):
            at.button(key="tour-next").click().run()
            assert not at.exception
    assert not [button for button in at.button if button.key == "tour-next"]
    at.button(key="tour-back").click().run()
    assert banner(at).startswith("**Tour, 5 of 6")
    at.button(key="tour-end").click().run()
    assert banner(at) == ""
    assert "tour" not in at.session_state["view"]


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (1, "scores 0.900, the smallest sub-network (width 0.5, depth 0.5) 0.500: **-0.400**"),
        # In layer 1, heads are worth 6, 5, 4, 3, 2 and 1; so they are, turned, in the others.
        (2, "Head 1 of layer 1 holds **29%** of its layer's importance"),
        (3, "of 24 heads of the full network"),
        (5, "scores **0.800** with 0.03 M parameters in the layers, half of the depth **0.700**"),
        (6, "The full network answers **"),
    ],
)  # fmt: skip
def test_answers_are_of_the_open_run(open_app, tiny, number, said):
    step = STEPS[number - 1]
    at = open_app(tiny.folder.parent, step.page, tour=str(number))
    assert banner(at).startswith(f"**Tour, {number} of 6")
    assert said in step.answer(tiny)


@pytest.mark.parametrize("given", ["0", "7", "two", "<b>"])
def test_a_bad_step_is_no_tour(open_app, tiny, given):
    at = open_app(tiny.folder.parent, tour=given)
    assert banner(at) == ""
    assert "the tour is over" in at.info[0].value


def test_on_another_page_the_tour_leads_back(open_app, tiny):
    at = open_app(tiny.folder.parent, "take_away", tour="2")
    at.button(key="tour-return").click().run()
    assert at.title[0].value == "Which heads and neurons matter?"


def test_the_glossary_is_in_alphabetical_order():
    words = [word.lower() for word, _, _ in GLOSSARY]
    assert words == sorted(words)


def test_the_tour_needs_a_family(open_app, own_run):
    as_student(own_run)
    at = open_app(own_run.folder.parent, "learn")
    assert NEEDS_FAMILY in [one.value for one in at.info]
    at = open_app(own_run.folder.parent, "overview", tour="1")
    at.session_state["tour-answer-1"] = True
    at.run()
    assert NEEDS_FAMILY in texts(at)
