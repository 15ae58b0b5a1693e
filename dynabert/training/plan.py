"""What a training is started with, and whether an unfinished one was started with the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from dynabert.data.source import DataSource
from dynabert.errors import UserError
from dynabert.evaluation.latency import LatencySetup
from dynabert.files import write_text_atomically
from dynabert.names import check_run_name
from dynabert.training.checkpoint import Workspace, reading
from dynabert.training.precision import Precision
from dynabert.training.recipe import Recipe, in_todays_words

PLAN = "plan.yaml"  # in the folder of an unfinished run: what it was started with
PROCESSES = "number of processes"  # that share the work: batches are theirs
MAX_SEED = 2**32 - 1  # what every random number generator here takes


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """What to train, on what, from what, and how."""

    name: str
    data: DataSource
    backbone: str
    recipe: Recipe
    seed: int = 0
    precision: Precision = "auto"
    # Of the final table. "usual": for as many tokens as the task's inputs may have; None: not measured.
    latency: LatencySetup | Literal["usual"] | None = "usual"
    half_precision_file: bool = False  # store the weights in 16 bits: half the size
    command: str = ""  # what repeats it, for the record

    def __post_init__(self) -> None:
        check_run_name(self.name)
        if not 0 <= self.seed <= MAX_SEED:
            raise UserError(f"seed must be from 0 to {MAX_SEED}, got {self.seed}.")


def check_same_plan(plan: TrainingPlan, found: Mapping[str, Any], workspace: Workspace) -> None:
    """Write the plan down, or refuse to go on with a training that began with another one.

    found: by name, what the plan came to here: its precision, what its examples are, how many processes
    share the work.

    Raises:
        UserError: training has begun, with another plan; says what differs.
    """
    path = workspace.folder / PLAN
    values: dict[str, Any] = {
        "backbone": plan.backbone,
        "data": plan.data.model_dump(mode="json"),
        "seed": plan.seed,
        "recipe": plan.recipe.model_dump(mode="json"),
        **found,
    }
    if not path.is_file() or not workspace.has_begun:
        # The command is for the record: another one may mean the same.
        written = {"command": plan.command} | values
        write_text_atomically(path, yaml.safe_dump(written, sort_keys=False))
        return
    with reading(path):
        earlier = dict(yaml.safe_load(path.read_text(encoding="utf-8")))
    if PROCESSES in values:  # once it was not written down: nobody knows
        earlier.setdefault(PROCESSES, values[PROCESSES])
    earlier["recipe"] = in_todays_words(earlier.get("recipe"))
    different = [name for name, value in values.items() if earlier.get(name) != value]
    if different:
        name = different[0]
        said = name not in ("recipe", "data") and not name.startswith("fingerprint")
        shown = f" ({earlier.get(name)}, now {values[name]})" if said else ""
        raise UserError(
            f"an unfinished training {plan.name!r} was started with another {name}{shown}. Repeat its "
            "command to go on with it, choose another name, or drop it with --restart."
        )
