"""What this server has found out about sub-networks beyond what lies in the runs' folders."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

import pandas as pd
import streamlit as st

from dynabert import Subnet
from dynabert.analysis.choices import find_row, resolved_row
from dynabert.errors import UserError
from dynabert.evaluation import Evaluation
from dynabert.evaluation.retiming import TIMES
from dynabert.results import latest_rows
from dynabert.runs import Run
from dynabert.subnet import ResolvedSubnet
from pages.shared import cache

MOST_EVALUATIONS = 64  # of which the answers are kept in memory

RunKey = tuple[str, int]


@dataclass
class _Store:
    """What this server found out and the runs' folders do not hold."""

    evaluations: OrderedDict[tuple[RunKey, ResolvedSubnet], Evaluation] = field(
        default_factory=OrderedDict
    )
    unkept: dict[RunKey, pd.DataFrame] = field(default_factory=dict)  # results, by the run
    timed: dict[RunKey, pd.DataFrame] = field(default_factory=dict)  # latencies of this machine
    slow: dict[RunKey, float] = field(default_factory=dict)  # seconds that its dev set takes
    missing: dict[RunKey, str] = field(default_factory=dict)  # why its examples are of no use
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, key: tuple[RunKey, ResolvedSubnet], evaluation: Evaluation) -> None:
        with self.lock:
            self.evaluations[key] = evaluation
            self.evaluations.move_to_end(key)
            while len(self.evaluations) > MOST_EVALUATIONS:
                self.evaluations.popitem(last=False)


@st.cache_resource(show_spinner=False)
def store() -> _Store:
    return _Store()


def results(run: Run) -> pd.DataFrame:
    """All of the run's results, with those that could not be kept in its folder."""
    known = cache.all_results(run)
    unkept = store().unkept.get(cache.run_key(run))
    if unkept is None:
        return known
    return latest_rows(pd.concat([known, unkept], ignore_index=True))


def is_unkept(run: Run, row: dict) -> bool:
    """Whether a row of `results` will be gone when the server ends."""
    unkept = store().unkept.get(cache.run_key(run))
    return unkept is not None and row["subnet"] in set(unkept["subnet"])


def evaluation(run: Run, subnet: Subnet) -> Evaluation | None:
    """What a sub-network answered on the dev set, if this server has seen it."""
    return store().evaluations.get((cache.run_key(run), subnet.resolve(run.config.shape)))


def seconds_if_slow(run: Run) -> float | None:
    """How long a pass over the run's dev set takes, where that was found to be long."""
    return store().slow.get(cache.run_key(run))


def why_not(run: Run) -> str | None:
    """Why nothing of this run can be evaluated now; None if it can. Loads its examples and model."""
    missing, key = store().missing, cache.run_key(run)
    if key not in missing:
        try:
            notices = cache.examples(run).notices
            cache.model(run)
        except UserError as error:
            notices = (str(error),)
        if not notices:
            return None
        missing[key] = "; ".join(notices)
    return missing[key]


def look_again(run: Run) -> None:
    """Forget that the examples were of no use."""
    store().missing.pop(cache.run_key(run), None)
    cache.examples.clear()


def keep_row(run: Run, same: RunKey, row: dict, *, replace: bool) -> None:
    """Keep a row with its run, or in memory where nothing can be written there."""
    cache.check_same(run, same)
    kept = store()
    if not replace and find_row(run.all_results, resolved_row(row)) is not None:
        return
    lists = {name: [int(count) for count in row[name]] for name in ("heads", "neurons", "layers")}
    rows = pd.DataFrame([row | lists])
    measured = list(TIMES)
    rows[measured] = rows[measured].astype(float)
    try:
        run.check_writable()
        run.add_results(rows)
    except (UserError, OSError):
        with kept.lock:
            before = kept.unkept.get(same)
            if before is not None:
                rows = latest_rows(pd.concat([before, rows], ignore_index=True))
            kept.unkept[same] = rows


def keep_times(same: RunKey, times: pd.DataFrame) -> None:
    """Remember latencies of this machine, in place of earlier ones.  times: as of `time_results`."""
    kept = store()
    with kept.lock:
        kept.timed[same] = times


def keep_time(same: RunKey, row: dict[str, object]) -> None:
    """Remember one more."""
    kept = store()
    with kept.lock:
        before = kept.timed[same]
        others = before[before["subnet"] != row["subnet"]]
        kept.timed[same] = pd.concat([others, pd.DataFrame([row])], ignore_index=True)
