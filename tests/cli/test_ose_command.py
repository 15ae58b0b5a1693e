"""`dynabert ose` as a user types it."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner, Result

from dynabert.cli.main import app
from dynabert.errors import UserError
from dynabert.export import export_command
from dynabert.runs import Run
from dynabert.search.ose.folder import SUPERNET, list_extractions
from dynabert.subnet import Subnet

pytest_plugins = ["searched_run"]
FAST = ("--tokens", "8", "--examples", "6", "--widths", "1,0.5", "--depths", "1,0.5")


def ose(run: Run, *arguments: str) -> Result:
    return CliRunner().invoke(
        app, ["ose", "tiny", "--runs-dir", str(run.folder.parent), *arguments]
    )


def test_it_names_the_winner_of_each_epsilon_and_what_may_be_claimed(run):
    told = ose(run, *FAST, "--epsilon", "1,2")
    assert told.exit_code == 0, told.output
    (folder,) = list_extractions(run, SUPERNET)
    report = folder.report()
    assert [one.epsilon for one in report.outcomes] == [1, 2]
    for outcome in report.outcomes:
        assert outcome.winner in told.output
        assert f"{outcome.w:.3f}" in told.output
    assert "4 of 4" in told.output
    assert "No approximation guarantee" in told.output
    assert export_command(run, Subnet.parse(report.best.winner)) in " ".join(told.output.split())
    shown = ose(run, "--show")
    assert report.best.winner in shown.output
    assert shown.exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--epsilon", "0"), "--epsilon takes whole numbers from 1"),
        (("--epsilon", "9"), "from 1 to 4, the size of the space, got 9"),
        (("--name", "../x", "--epsilon", "1"), "'../x' cannot name an extraction: use 1 to 64"),
        (("--drops", "1"), "--drops takes shares from 0 to below 1"),
        (("--widths", "2"), "width_mults"),
        (("--depths", "1", "--widths", "1", "--epsilon", "1"), "W is 0 for each of the 1 "),
        (("--cost", "modelled", "--epsilon", "1"), "no latency table of this machine"),
    ],
)
def test_bad_input_is_one_sentence(run, arguments, said):
    told = ose(run, *FAST, *arguments)
    assert told.exit_code != 0
    assert said in str(told.exception or told.output)


def test_a_collapsed_winner_is_called_so(run):
    assert ose(run, *FAST, "--epsilon", "1,2").exit_code == 0
    (folder,) = list_extractions(run, SUPERNET)
    report = folder.report()
    for collapsed in (True, False, None):  # None: a report from before that was kept
        finalists = tuple(
            one.model_copy(update={"collapsed": collapsed, "score": 0.6838})
            for one in report.finalists
        )
        folder.keep_report(report.model_copy(update={"finalists": finalists}))
        told = " ".join(ose(run, "--show").output.split())
        assert (
            ("0.6838 collapsed" in told) == ("The winner has collapsed" in told) == bool(collapsed)
        )


def test_what_is_judged_says_whether_it_has_collapsed(run):
    # The tiny run's own row of its smallest says that it has.
    assert ose(run, *FAST, "--epsilon", "1").exit_code == 0
    (folder,) = list_extractions(run, SUPERNET)
    judged = {one.key: one.collapsed for one in folder.report().finalists}
    assert judged["w0.50-d0.50"] is True
    assert judged["w1.00-d1.00"] is False


def test_no_extractions_yet(run):
    assert "has no such extractions yet" in ose(run, "--show").output


def test_what_a_student_of_fixed_size_was_not_trained_for_is_said(student):
    told = ose(student, *FAST, "--epsilon", "1")
    assert told.exit_code == 0, told.output
    assert (
        "the recipe of tiny trained w1.00-d0.50; what the others have learned is by chance"
        in " ".join(told.output.split())
    )
    (folder,) = list_extractions(student, SUPERNET)
    assert [one.key for one in folder.report().finalists if one.is_standard] == ["w1.00-d0.50"]


def test_a_finished_extraction_is_told_from_a_folder_that_cannot_be_written(run, monkeypatch):
    first = ose(run, *FAST, "--epsilon", "1,2")
    assert first.exit_code == 0, first.output
    (folder,) = list_extractions(run, SUPERNET)
    before = (folder.path / "report.json").read_bytes()

    def refuse(self: Run) -> None:
        raise UserError("cannot write")

    monkeypatch.setattr(Run, "check_writable", refuse)
    again = ose(run, *FAST, "--epsilon", "1,2")
    assert again.exit_code == 0, again.output
    assert (folder.path / "report.json").read_bytes() == before
    assert ose(run, *FAST, "--epsilon", "1,2,4").exit_code == 1  # more is to be done
