"""The verb that carries out optimal subarchitecture extraction over plain architectures: ose-plain."""

from __future__ import annotations

from typing import Annotated, Literal

import typer
from rich.markup import escape
from rich.table import Table

from dynabert.cli.display import console, marked
from dynabert.cli.options import DataDir, RunName, RunsDir, whole_numbers
from dynabert.cli.ose_options import (
    ExtractionName,
    Margin,
    NumExamples,
    ShowFound,
    Tokens,
    WExponents,
    own_examples,
    show_found,
    with_progress,
)
from dynabert.errors import UserError
from dynabert.modeling.architecture import (
    BORT,
    BORT_BY_SIZE,
    BORT_POSITIONS,
    BORT_SPACE,
    BORT_VOCABULARY,
    Architecture,
)
from dynabert.runs import RUNS_DIR, Run, find_run
from dynabert.search.ose.folder import PLAIN, open_extraction
from dynabert.search.ose.full_training import training_command
from dynabert.search.ose.plain import carry_out_plain
from dynabert.search.ose.plain_report import PlainReport
from dynabert.search.ose.plain_settings import STEPS, ask_plain
from dynabert.search.ose.settings import CALIBRATION
from dynabert.subnet import NetworkShape
from dynabert.training.plan import MAX_SEED


def ose_plain(
    run: RunName,
    name: ExtractionName = "ose-plain",
    layers: Annotated[str | None, typer.Option(help="D. [a third, two thirds, all]")] = None,
    heads: Annotated[str | None, typer.Option(help="A. [a third, half, all]")] = None,
    hidden: Annotated[str | None, typer.Option(help="H. [half, three quarters, all]")] = None,
    neurons: Annotated[str | None, typer.Option(help="I. [a quarter, half, all]")] = None,
    start: Annotated[
        Literal["teacher", "scratch"],
        typer.Option(help="Students are cut from the run's network, or begin with random weights."),
    ] = "teacher",
    steps: Annotated[
        str, typer.Option(help="Training steps of each architecture, round by round.")
    ] = ",".join(map(str, STEPS)),
    going_on: Annotated[
        float, typer.Option(help="Share of a round, by W, that goes on to the next; 1: all.")
    ] = 0.5,
    rates: Annotated[
        str | None,
        typer.Option(help="Learning rates to try each with. [what is usual for its hidden size]"),
    ] = None,
    optimizer: Annotated[Literal["adamw", "sgd"], typer.Option(help="sgd: as in the papers.")] = (
        "adamw"
    ),
    clip: Annotated[
        float | None, typer.Option(help="Keep every weight within this bound. [no bound]")
    ] = None,
    epsilon: Annotated[
        int, typer.Option(min=1, help="Try every so many-th architecture. 1: all.")
    ] = 1,
    cost: Annotated[
        Literal["macs", "latency"], typer.Option(help="What inference costs.")
    ] = "macs",
    tokens: Tokens = None,
    examples: NumExamples = CALIBRATION,
    margin: Margin = 0.0,
    exponents: WExponents = (1.0, 1.0, 1.0),
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Of everything random.")] = 0,
    show: ShowFound = False,
    published: Annotated[
        bool, typer.Option("--published", help="Only print the space in which Bort was found.")
    ] = False,
    data_dir: DataDir = None,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Find a plain architecture <layers, heads, hidden size, neurons>, as the search that found Bort did.

    Each is trained for a few steps by the answers of the run's network and the labels. Stopped at any
    moment, the same command goes on where it stopped.

    Example: python -m dynabert ose-plain cola-minilm --steps 3,50 --going-on 1
    """
    opened = find_run(run, runs_dir)
    if published:
        _print_published()
        return
    if show:
        show_found(opened, PLAIN, "ose-plain", _print)
        return
    given = {"layers": layers, "heads": heads, "hiddens": hidden, "neurons": neurons}
    usual = usual_sizes(opened.config.shape, opened.config.hidden_size)
    sizes = {
        name: usual[name]
        if text is None
        else whole_numbers(
            text, f"--{name.removesuffix('s') if name == 'hiddens' else name}", example="2,4"
        )
        for name, text in given.items()
    }
    settings = ask_plain(
        **sizes,
        start=start,
        steps=whole_numbers(steps, "--steps", example="3,50,200"),
        going_on=going_on,
        learning_rates=() if rates is None else _rates(rates),
        optimizer=optimizer,
        clip=clip,
        epsilon=epsilon,
        cost=cost,
        tokens=tokens or opened.usual_tokens(opened.results),
        num_examples=examples,
        margin=margin,
        exponents=exponents,
        seed=seed,
    )
    loaded = own_examples(opened, data_dir)
    folder = open_extraction(opened, name, settings, PLAIN)
    _print(opened, name, with_progress(carry_out_plain, folder, opened, loaded))


def usual_sizes(shape: NetworkShape, hidden_size: int) -> dict[str, tuple[int, ...]]:
    """A space of at most 81 architectures below a network of that shape."""
    layers, heads, neurons = shape.num_layers, min(shape.heads), min(shape.neurons)
    hidden = min(hidden_size, heads * shape.head_dim)
    return {
        "layers": tuple(sorted({max(1, layers // 3), max(1, 2 * layers // 3), layers})),
        "heads": tuple(sorted({max(1, heads // 3), max(1, heads // 2), heads})),
        "hiddens": tuple(sorted({max(1, hidden // 2), max(1, 3 * hidden // 4), hidden})),
        "neurons": tuple(sorted({max(1, neurons // 4), max(1, neurons // 2), neurons})),
    }


def _rates(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise UserError(
            f"--rates takes learning rates separated by commas, for example 5e-5,2e-4, got {text!r}."
        ) from error


def _print(run: Run, name: str, report: PlainReport) -> None:
    shown = Table(
        title=f"{run.name}, extraction {name}: {len(report.members)} plain architectures",
        title_justify="left",
    )
    for heading in ("steps", "tried"):
        shown.add_column(heading, justify="right")
    shown.add_column("winner")
    for heading in ("W", f"{report.metric} then", "tau of errors", "tau of W", "s"):
        shown.add_column(heading, justify="right")
    shown.add_column("were all errors equal")
    for one in report.rounds:
        frozen = (
            "the same"
            if one.frozen_winner == one.winner
            else str(Architecture.parse(one.frozen_winner))
        )
        shown.add_row(
            str(one.steps),
            f"{len(one.tried)}",
            str(Architecture.parse(one.winner)),
            f"{one.w:.3f}",
            marked(_number(one.dev_score, 4), one.collapsed),
            _number(one.error_before, 2),
            _number(one.w_before, 2),
            f"{one.seconds:.0f}",
            frozen,
        )
    console.print(shown)
    console.print(
        "tau: Kendall's, with the round before, over what is in both: near 1, few steps tell what more would "
        "tell. No approximation guarantee: the loss of a Transformer is not strongly convex.",
        soft_wrap=True,
    )
    first, last = report.rounds[0], report.rounds[-1]
    if last.errors_are_alike:
        low, high = last.error_range
        console.print(
            f"[yellow]Note:[/] after {last.steps} steps the errors of all {len(last.tried)} lie between "
            f"{low:.4f} and {high:.4f}, so close that W follows the sizes. More --steps may tell them "
            "apart.",
            soft_wrap=True,
        )
    if len(report.rounds) > 1 and first.winner != last.winner:
        later = report.first_winner_after_all_steps
        fate = (
            "did not get that far" if later is None else f"has W {later.w:.3f} after {last.steps}"
        )
        console.print(
            f"The winner after {first.steps} steps, {Architecture.parse(first.winner)}, {fate}.",
            soft_wrap=True,
        )

    command = escape(training_command(run, report.winner))
    console.print(f"Train it in full: {command}", soft_wrap=True)


def _print_published() -> None:
    console.print(
        f"Bort's space: layers {BORT_SPACE.layers}, heads {BORT_SPACE.heads}, hidden size "
        f"{BORT_SPACE.hiddens}, neurons {BORT_SPACE.neurons}: {len(BORT_SPACE)} architectures.",
        soft_wrap=True,
    )
    shown = Table(title="Bort's parameters, counted", title_justify="left")
    for heading in ("<D, A, H, I>", "", "embeddings", "layers", "together"):
        shown.add_column(heading, justify="right" if heading else "left")
    for architecture, what in (
        (BORT, "as stated, and as in its code"),
        (BORT_BY_SIZE, "H and I exchanged: its published sizes"),
    ):
        embeddings = architecture.embedding_params(
            vocab_size=BORT_VOCABULARY, positions=BORT_POSITIONS
        )
        layers = architecture.encoder_params
        shown.add_row(
            escape(str(architecture)),
            what,
            f"{embeddings:,}",
            f"{layers:,}",
            f"{embeddings + layers:,}",
        )
    console.print(shown)
    console.print(
        f"Vocabulary {BORT_VOCABULARY:,}, {BORT_POSITIONS} positions, no token types, no pooler. Published: "
        "56 M parameters, 39 M of them embeddings: the sizes of the second row with two dense heads, not of "
        "the first.",
        soft_wrap=True,
    )


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
