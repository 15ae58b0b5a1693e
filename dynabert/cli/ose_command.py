"""The verb that carries out optimal subarchitecture extraction over a run's sub-networks: ose."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from dynabert.cli.display import console, marked
from dynabert.cli.options import (
    Batch,
    DataDir,
    Drops,
    RunName,
    RunsDir,
    chosen_drops,
    chosen_space,
    whole_numbers,
)
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
from dynabert.export import export_command
from dynabert.runs import RUNS_DIR, Run, find_run
from dynabert.search.objectives import Cost
from dynabert.search.ose.carry_out import carry_out
from dynabert.search.ose.folder import SUPERNET, open_extraction
from dynabert.search.ose.report import Outcome, Report
from dynabert.search.ose.settings import CALIBRATION, EPSILONS, Counted, ask_ose
from dynabert.subnet import Subnet
from dynabert.training.plan import MAX_SEED

_PHASES = {"costs": "latency", "errors": "losses on train", "dev": "evaluate", "latency": "latency"}


def ose(
    run: RunName,
    name: ExtractionName = "ose",
    widths: Annotated[
        str, typer.Option(help="Width multipliers of the space, or all: every number of heads.")
    ] = "all",
    depths: Annotated[
        str, typer.Option(help="Depth multipliers of the space, or all: every number of layers.")
    ] = "all",
    drops: Drops = "0",
    per_layer: Annotated[
        bool,
        typer.Option(
            "--per-layer",
            help="Also widths of single layers: as many heads and neurons, where importance is.",
        ),
    ] = False,
    epsilon: Annotated[
        str,
        typer.Option(
            help="Try every so many-th architecture; several, separated by commas. 1: all."
        ),
    ] = ",".join(map(str, EPSILONS)),
    counted: Annotated[
        Counted, typer.Option(help="Parameters of the whole network, or of the encoder's layers.")
    ] = "all",
    cost: Annotated[
        Cost,
        typer.Option(
            help="What inference costs: MACs, latency on this machine, or modelled (`dynabert latency`)."
        ),
    ] = "macs",
    tokens: Tokens = None,
    batch: Batch = 1,
    examples: NumExamples = CALIBRATION,
    margin: Margin = 0.0,
    exponents: WExponents = (1.0, 1.0, 1.0),
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Of the examples.")] = 0,
    show: ShowFound = False,
    data_dir: DataDir = None,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Find the sub-network that is small, fast and right at once: optimal subarchitecture extraction.

    The search that found Bort, over the sub-networks of a run; it trains nothing. Stopped at any moment,
    the same command goes on where it stopped.

    Example: python -m dynabert ose demo --epsilon 1,2,4,8
    """
    opened = find_run(run, runs_dir)
    if show:
        show_found(opened, SUPERNET, "ose", _print)
        return
    grid = chosen_space(widths, depths, opened.config.shape)
    settings = ask_ose(
        width_mults=grid.width_mults,
        depth_mults=grid.depth_mults,
        drops=chosen_drops(drops),
        per_layer=("raw", "by layer") if per_layer else (),
        epsilons=whole_numbers(epsilon, "--epsilon", example="1,4"),
        counted=counted,
        cost=cost,
        tokens=tokens or opened.usual_tokens(opened.results),
        batch_size=batch,
        num_examples=examples,
        margin=margin,
        exponents=exponents,
        seed=seed,
    )
    loaded = own_examples(opened, data_dir)
    if not opened.is_family:
        trained = [subnet.key for subnet in opened.recipe_grid]
        console.print(
            f"[yellow]Note:[/] of these architectures the recipe of {escape(opened.name)} trained "
            f"{', '.join(trained)}; what the others have learned is by chance.",
            soft_wrap=True,
        )
    folder = open_extraction(opened, name, settings, SUPERNET)
    _print(opened, name, with_progress(carry_out, folder, opened, loaded, _PHASES))


def _print(run: Run, name: str, report: Report) -> None:
    settings = report.settings
    shown = Table(
        title=f"{run.name}, extraction {name}: {len(report.members)} architectures",
        title_justify="left",
    )
    for heading in ("epsilon", "tried"):
        shown.add_column(heading, justify="right")
    shown.add_column("winner", overflow="fold")
    for heading in ("W", "of brute force", report.metric, "params (M)", "MACs (M)", "ms"):
        shown.add_column(heading, justify="right")
    shown.add_column("were all errors equal", overflow="fold")
    shown.add_column("with its neighbours (ours)", overflow="fold")
    for outcome in report.outcomes:
        shown.add_row(*_outcome_cells(report, outcome))
    console.print(shown)
    said = report.agreement
    taus = {
        "parameters with inference cost": said.params_inference,
        "parameters with error": said.params_error,
        "inference cost with error": said.inference_error,
        "error with the loss on dev": said.error_dev_loss,
        f"error with {report.metric} on dev": said.error_dev_metric,
    }
    console.print(
        "Kendall's tau: "
        + ", ".join(f"{what} {'-' if tau is None else f'{tau:.2f}'}" for what, tau in taus.items())
        + f". {said.in_words}",
        soft_wrap=True,
    )
    console.print(
        f"Errors: mean loss of the shared weights on {report.num_examples:,} training examples, "
        f"{report.seconds:.0f} s for {sum(one.error is not None for one in report.members)} of them. Scores: "
        f"all of dev. Costs and ms: {settings.tokens} tokens, batch {settings.batch_size}, "
        f"{escape(report.machine)}.",
        soft_wrap=True,
    )
    if not settings.w_exponents.is_published:
        console.print("W with exponents of ours, not the published one.")
    best = report.best
    if report.finalist(best.winner).collapsed:
        console.print(
            "[red]The winner has collapsed[/]: it gives every dev example the same answer. W weighs the "
            "mean loss, and does not see that.",
            soft_wrap=True,
        )
    console.print(f"Take it away: {export_command(run, Subnet.parse(best.winner))}", soft_wrap=True)


def _outcome_cells(report: Report, outcome: Outcome) -> list[str]:
    judged = report.finalist(outcome.winner)
    around = report.finalist(outcome.zoomed_winner)
    frozen = "the same" if outcome.frozen_winner == outcome.winner else outcome.frozen_winner
    zoomed = (
        "the same"
        if outcome.zoomed_winner == outcome.winner
        else marked(outcome.zoomed_winner, around.collapsed)
    )
    return [
        str(outcome.epsilon),
        f"{outcome.num_tried} of {len(report.members)}",
        outcome.winner,
        f"{outcome.w:.3f}",
        "-" if outcome.ratio is None else f"{outcome.ratio:.3f}",
        marked("-" if judged.score is None else f"{judged.score:.4f}", judged.collapsed),
        f"{judged.num_params / 1e6:.2f}",
        f"{judged.macs / 1e6:.0f}",
        f"{judged.latency_ms:.2f} ±{judged.latency_ms_iqr / 2:.2f}",
        frozen,
        zoomed,
    ]
