"""Importance on some examples of a split."""

from __future__ import annotations

from dynabert.data.encoding import Encoded, drawn_rows, sorted_batches
from dynabert.errors import UserError
from dynabert.importance import Granularity, Importance, compute_importance
from dynabert.modeling.models import TaskModel
from dynabert.training.events import OnEvent, Working, ignore


def calibrate(
    model: TaskModel,
    split: Encoded,
    *,
    num_examples: int | None,
    per: Granularity = "example",
    seed: int = 0,
    batch_size: int = 32,
    on_event: OnEvent = ignore,
) -> Importance:
    """Importance on some examples of a split, drawn without replacement; None takes all of them.

    Of a task of spans an example is a window.

    Raises:
        UserError: fewer than one example.
    """
    if num_examples is not None and num_examples < 1:
        raise UserError(f"num_examples must be at least 1, got {num_examples}.")
    drawn = drawn_rows(len(split), num_examples, seed)
    total = len(drawn)
    order = [drawn[rows].tolist() for rows in sorted_batches(split.lengths[drawn], batch_size)]

    def progress(done: int) -> None:
        on_event(Working(what="importance", done=done, total=total))

    return compute_importance(model, split.batches(order), per=per, on_batch=progress)
