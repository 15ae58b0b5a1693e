"""The file of trials: several workers, killed ones, half-written lines."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

from dynabert.search.space import Candidate
from dynabert.search.trials import Trial, TrialLog

SECONDS = 300.0  # a busy machine is slow, not wrong: each worker imports torch first


def trial(number: int, quality: float = 0.5) -> Trial:
    return Trial(
        number=number,
        candidate=Candidate(0, 1, (90, number)),
        subnet=f"w1.00-d0.50-r0.9_0.{number + 1}",
        origin="tpe",
        quality=quality,
        cost=1e9 / (number + 1),
        seconds=0.1,
    )


def work(folder: Path, total: int, pause: float = 0.0) -> None:
    """Do trials until none is left."""
    log = TrialLog(folder)
    while True:
        with log.claimed(total) as claim:
            if claim is None:
                return
            claim.chosen(Candidate(0, 0, (claim.number,)))
            time.sleep(pause)
            claim.finish(trial(claim.number))


def test_numbers_are_done_once_each_in_order(tmp_path):
    work(tmp_path, 5)
    assert TrialLog(tmp_path).finished() == [trial(number) for number in range(5)]
    work(tmp_path, 7)
    assert [one.number for one in TrialLog(tmp_path).finished()] == [*range(7)]
    assert sorted(path.name for path in (tmp_path / "claims").iterdir()) == ["lock"]


def test_workers_share_the_trials(tmp_path):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=work, args=(tmp_path, 24, 0.005)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(SECONDS)
        assert worker.exitcode == 0
    lines = (tmp_path / "trials.jsonl").read_text().splitlines()
    assert sorted(Trial.model_validate_json(line).number for line in lines) == [*range(24)]


def test_what_a_killed_worker_had_begun_is_done_again(tmp_path):
    context = multiprocessing.get_context("spawn")
    worker = context.Process(target=work, args=(tmp_path, 3, SECONDS))
    worker.start()
    log = TrialLog(tmp_path)
    deadline = time.monotonic() + SECONDS
    while not any(claim.candidate for claim in log.under_way()):
        assert time.monotonic() < deadline, "it began nothing"
        time.sleep(0.05)
    assert [(claim.number, claim.candidate) for claim in log.under_way()] == [
        (0, Candidate(0, 0, (0,)))
    ]
    with log.claimed(3) as second:  # the first number is taken
        assert second.number == 1
        assert {claim.number for claim in log.under_way()} == {0, 1}
    os.kill(worker.pid, signal.SIGKILL)
    worker.join(SECONDS)
    assert log.under_way() == []
    work(tmp_path, 3)
    assert [one.number for one in log.finished()] == [0, 1, 2]


def test_nothing_is_left_while_others_are_at_work_on_it(tmp_path):
    log = TrialLog(tmp_path)
    with log.claimed(1) as first, TrialLog(tmp_path).claimed(1) as second:
        assert first.number == 0
        assert second is None


def test_a_half_written_line_loses_no_other(tmp_path):
    work(tmp_path, 3)
    path = tmp_path / "trials.jsonl"
    whole = path.read_bytes()
    for cut in (5, 40):  # in the last line
        path.write_bytes(whole[:-cut])
        assert [one.number for one in TrialLog(tmp_path).finished()] == [0, 1]
        work(tmp_path, 4)
        assert TrialLog(tmp_path).finished() == [trial(number) for number in range(4)]


def test_damage_is_passed_over_and_the_first_of_two_counts(tmp_path):
    work(tmp_path, 2)
    path = tmp_path / "trials.jsonl"
    again = trial(1, quality=0.9).model_dump_json()
    nan = trial(2).model_dump_json().replace("0.5,", "NaN,", 1)
    path.write_bytes(path.read_bytes() + f"{again}\n\xff[]\nnull\n{nan}\n".encode("latin-1"))
    assert TrialLog(tmp_path).finished() == [trial(0), trial(1)]


def test_a_search_that_has_not_begun_has_no_trials(tmp_path):
    log = TrialLog(tmp_path / "none")
    assert log.finished() == []
    assert log.under_way() == []
