"""The verbs, and what happens to errors."""

from __future__ import annotations

import errno
import logging
import sys

import datasets
import transformers
import typer
from rich.markup import escape

from dynabert.cli import (
    attention_command,
    augment_command,
    choose_command,
    evaluate_command,
    extract_command,
    heads_commands,
    latency_command,
    ose_command,
    ose_plain_command,
    pretrain_command,
    recipes_command,
    reproduce_command,
    runs_command,
    search_command,
    serve_commands,
    sweep_command,
    train_command,
)
from dynabert.cli.display import stderr
from dynabert.errors import UserError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

app = typer.Typer(
    name="dynabert",
    help="Train one BERT or RoBERTa as a family of sub-networks, measure them, take them away.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(name="train")(train_command.train)
app.command(name="recipes")(recipes_command.recipes)
app.command(name="pretrain")(pretrain_command.pretrain)
app.command(name="augment")(augment_command.augment)
app.command(name="evaluate")(evaluate_command.evaluate)
app.command(name="sweep")(sweep_command.sweep)
app.command(name="importance")(heads_commands.importance)
app.command(name="ablate")(heads_commands.ablate)
app.command(name="attention")(attention_command.attention)
app.command(name="extract")(extract_command.extract)
app.command(name="latency")(latency_command.latency)
app.command(name="search")(search_command.search)
app.command(name="ose")(ose_command.ose)
app.command(name="ose-plain")(ose_plain_command.ose_plain)
app.command(name="choose")(choose_command.choose)
app.command(name="reproduce")(reproduce_command.reproduce)
app.command(name="runs")(runs_command.runs)
app.command(name="app")(serve_commands.app)


def main() -> None:
    """Run the command line; bad input is one sentence and exit code 2."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    datasets.logging.set_verbosity_error()
    datasets.disable_progress_bars()
    try:
        app()
    except UserError as error:
        stderr.print(f"[bold red]Error:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(2)
    except OSError as error:  # a full disk, a folder that cannot be written, ...
        place = f"{error.filename}: " if error.filename else ""
        advice = " Free some space there, or write elsewhere." if error.errno in _FULL else ""
        stderr.print(
            f"[bold red]Error:[/] {escape(f'{place}{error.strerror or error}')}.{advice}",
            soft_wrap=True,
        )
        sys.exit(2)
