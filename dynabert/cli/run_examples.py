"""The examples that a verb looks at a run with."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape

from dynabert.cli.display import console
from dynabert.examples import RunExamples, load_examples
from dynabert.runs import Run


def examples_of(
    run: Run, data_dir: Path | None, *, keep: bool = False, told: Console = console
) -> RunExamples:
    """A run's examples, and what there is to say of them.

    keep: what is measured on them is kept with the run, which must be the run's own then.
    told: where notices go.

    Raises:
        UserError: they are not there, or are not the run's own where they have to be.
    """
    examples = load_examples(run, data_dir)
    if keep:
        examples.check_own("--keep")
    for notice in examples.notices:
        told.print(f"[yellow]Note:[/] {escape(notice)}", soft_wrap=True)
    return examples
