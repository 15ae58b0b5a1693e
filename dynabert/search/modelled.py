"""The latency table that a search by modelled latency reads its costs from."""

from __future__ import annotations

from pathlib import Path

from dynabert.errors import UserError
from dynabert.evaluation.latency import LatencySetup
from dynabert.evaluation.latency_table import (
    MOST_ERROR,
    LatencyTable,
    existing_latency_table,
    measuring_command,
)
from dynabert.files import write_once
from dynabert.modeling.models import TaskModel
from dynabert.search.search import LATENCY_TABLE, Search


def modelled_latency(search: Search, model: TaskModel) -> LatencyTable:
    """The search's own copy of its run's table: all its trials are told by one.

    Raises:
        UserError: as `usable_table`.
    """
    path = search.folder / LATENCY_TABLE
    if not path.exists():
        if search.trials:  # another table would not compare with theirs
            raise UserError(
                f"search {search.folder}: its {LATENCY_TABLE} is gone; remove the search."
            )
        found = usable_table(search.folder.parent.parent, model, search.settings.setup)
        write_once(path, found.to_bytes())
    try:
        return LatencyTable.load(path)
    except UserError as error:
        raise UserError(
            f"search {search.folder}: its {LATENCY_TABLE} is damaged; remove the search."
        ) from error


def usable_table(folder: Path, model: TaskModel, setup: LatencySetup) -> LatencyTable:
    """The table of a run's folder that tells what `setup` would measure.

    Raises:
        UserError: there is none of this machine, or it is too far from the clock.
    """
    tokens, batch = setup.tokens, setup.batch_size
    found = existing_latency_table(folder, model, batch, tokens)
    if not found.is_trusted:
        raise UserError(
            f"the latency table of {folder.name} is off by {found.error:.1%} on average, more than "
            f"{MOST_ERROR:.0%}. Search by measured latency, or measure it again when the machine is quiet: "
            f"{measuring_command(folder, batch, tokens)}"
        )
    return found
