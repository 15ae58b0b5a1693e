"""Which costs that were measured later may stand beside those that a run has.

All rows of a run are drawn on one axis, so their MACs are of equally many tokens, and their latencies
of one machine and as many texts at a time.
"""

from __future__ import annotations

import pandas as pd

from dynabert.errors import UserError
from dynabert.evaluation.latency import LatencySetup
from dynabert.evaluation.retiming import TIMES
from dynabert.runs import Run


def tokens_of(run: Run) -> int:
    """Tokens that the costs of a run's results are counted for."""
    return int(run.results["tokens"].iloc[0])


def check_same_tokens(run: Run, tokens: int) -> None:
    """Refuse costs that would not compare with the run's.

    Raises:
        UserError: they are for another number of tokens.
    """
    if tokens != (own := tokens_of(run)):
        so = f"--tokens {own}, or no --keep" if own <= run.config.max_tokens else "no --keep"
        raise UserError(
            f"{run.name} counts costs for {own} tokens, got {tokens}; rows for another number are not "
            f"kept with it. Give {so}."
        )


def why_times_differ(run: Run, setup: LatencySetup, machine: str) -> str | None:
    """Why latencies measured so do not compare with the run's; None: they do."""
    if machine != run.info.machine:
        return f"the run's are of another machine ({run.info.machine})"
    batch = run.all_results["latency_batch_size"].dropna()
    if len(batch) and (own := int(batch.iloc[0])) != setup.batch_size:
        return f"the run's are of {own} text{'' if own == 1 else 's'} at a time"
    return None


def without_times(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with no latency."""
    return rows.assign(**dict.fromkeys(TIMES, float("nan")))
