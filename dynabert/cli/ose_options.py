"""What the verbs of optimal subarchitecture extraction share."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import typer
from rich.markup import escape

from dynabert.cli.display import TrainingDisplay, console
from dynabert.cli.options import as_typed
from dynabert.errors import UserError
from dynabert.examples import RunExamples, load_examples
from dynabert.runs import Run
from dynabert.search.ose.folder import ExtractionFolder, Kind, ReportT, SettingsT, list_extractions
from dynabert.training.events import Working

ExtractionName = Annotated[
    str, typer.Option(help="What the extraction is called; a folder of the run.")
]
Tokens = Annotated[
    int | None, typer.Option(min=1, help="Tokens per text for it. [as the run's own results]")
]
NumExamples = Annotated[
    int, typer.Option(min=1, help="Training examples that errors are measured on.")
]
Margin = Annotated[
    float,
    typer.Option(
        min=0, help="Measure savings from so much more than the largest network: 0.1 is a tenth."
    ),
]
WExponents = Annotated[
    tuple[float, float, float],
    typer.Option(help="Of W's savings of parameters and of inference, and of 1 / error (ours)."),
]
ShowFound = Annotated[
    bool, typer.Option("--show", help="Only print what the run's extractions have found.")
]


def own_examples(run: Run, data_dir: Path | None) -> RunExamples:
    """The examples that a run was trained with.

    Raises:
        UserError: they are not the same any more.
    """
    loaded = load_examples(run, data_dir)
    loaded.check_own("An extraction")
    return loaded


def with_progress(
    carry_out: Callable[..., ReportT],
    folder: ExtractionFolder[SettingsT, ReportT],
    run: Run,
    examples: RunExamples,
    phases: Mapping[str, str] = MappingProxyType({}),
) -> ReportT:
    """What an extraction comes to, while a display tells how far it is.

    phases: what those that `carry_out` names are called; left out, as it names them.
    """
    with TrainingDisplay() as display:
        return carry_out(
            folder,
            run,
            run.model(),
            examples,
            command=as_typed(),
            on_progress=lambda phase, done, total: display(
                Working(what=phases.get(phase, phase), done=done, total=total)
            ),
        )


def show_found(
    run: Run,
    kind: Kind[SettingsT, ReportT],
    verb: str,
    show: Callable[[Run, str, ReportT], None],
) -> None:
    """Print every extraction of a kind that a run has; what is damaged is told."""
    found = list_extractions(run, kind)
    if not found:
        console.print(
            f"{run.name} has no such extractions yet. Begin one: python -m dynabert {verb} "
            f"{escape(shlex.quote(run.argument))}",
            soft_wrap=True,
        )
    for folder in found:
        try:
            report = folder.report()
        except UserError as error:
            console.print(f"[red]{escape(str(error))}[/]", soft_wrap=True)
            continue
        if report is None:
            console.print(f"{run.name}, extraction {folder.name}: not done yet.")
        else:
            show(run, folder.name, report)
