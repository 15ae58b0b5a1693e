"""What a front has at a cost."""

from __future__ import annotations

import pandas as pd


def best_at(table: pd.DataFrame, metric: str, column: str, full: float, times: float) -> str:
    """The best score, percent, of what costs at most full / times in that column; "-" where nothing does."""
    some = table[table[column] <= full / times]
    return f"{100 * some[metric].max():.1f}" if len(some) else "-"
