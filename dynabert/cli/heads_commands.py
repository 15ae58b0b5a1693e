"""`dynabert importance` and `dynabert ablate`: which heads matter, by estimate and by removing them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table

from dynabert.analysis.head_ablation import HeadAblation, ablate_heads, rank_correlation
from dynabert.cli.display import TrainingDisplay, console
from dynabert.cli.options import DataDir, RunName, RunsDir, check_data_dir, check_out_file
from dynabert.cli.run_examples import examples_of
from dynabert.errors import UserError
from dynabert.files import new_file
from dynabert.importance import Granularity, Importance
from dynabert.runs import RUNS_DIR, find_run
from dynabert.training import calibrate
from dynabert.training.events import Working
from dynabert.training.plan import MAX_SEED


def importance(
    run: RunName,
    measure: Annotated[
        bool,
        typer.Option(
            "--measure",
            help="Measure the trained network now, instead of showing what rewired it.",
        ),
    ] = False,
    split: Annotated[
        Literal["train", "dev"] | None, typer.Option(help="With --measure. [train]")
    ] = None,
    num_examples: Annotated[
        int | None, typer.Option(min=1, help="With --measure: how many at most. [2048]")
    ] = None,
    per: Annotated[
        Granularity | None,
        typer.Option(help="With --measure: average |example| or |batch| losses. [example]"),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, max=MAX_SEED, help="With --measure: draws the examples. [0]"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write all scores to this .safetensors file.")
    ] = None,
    data_dir: DataDir = None,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Show the importance of attention heads, most important first, by their original numbers.

    Example: python -m dynabert importance demo --measure --split dev
    """
    opened = find_run(run, runs_dir)
    check_out_file(out, ".safetensors")
    check_data_dir(opened, data_dir)
    measuring = {"--split": split, "--num-examples": num_examples, "--per": per, "--seed": seed}
    used = [option for option, value in measuring.items() if value is not None]
    if used and not measure:
        raise UserError(f"{used[0]} says how to measure; give --measure too.")
    if measure:
        model = opened.model()
        examples = examples_of(opened, data_dir)
        with TrainingDisplay() as display:
            measured = calibrate(
                model,
                examples.dev if split == "dev" else examples.train,
                num_examples=num_examples or 2048,
                per=per or "example",
                seed=seed or 0,
                on_event=display,
            )
        scores = measured.in_original_order(model)
        about = (
            f"of the trained network, {measured.about['num_examples']} {split or 'train'} examples"
        )
    else:
        if opened.importance is None:
            raise UserError(f"run {opened.name} was not rewired; measure it with --measure.")
        scores = opened.importance
        about = (
            f"by which the network was rewired, {scores.about.get('num_examples')} "
            f"{scores.about.get('split')} examples"
        )
    console.print(_importance_table(scores, f"{opened.name}: importance of heads, {about}"))
    if out is not None:
        scores.save(out)
        console.print(f"Written to {out}.")


def ablate(
    run: RunName,
    split: Annotated[
        Literal["train", "dev"], typer.Option(help="The examples to measure on.")
    ] = "dev",
    num_examples: Annotated[
        int | None, typer.Option(min=2, help="How many of them at most. [all]")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Draws them.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Write the table to this .csv file.")] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the measurement with the run, for the app.")
    ] = False,
    data_dir: DataDir = None,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Remove each attention head in turn and measure what the loss and the metric become.

    Example: python -m dynabert ablate demo --keep
    """
    check_out_file(out, ".csv")
    opened = find_run(run, runs_dir)
    if keep:
        opened.check_writable()
    examples = examples_of(opened, data_dir, keep=keep)
    with TrainingDisplay() as display:
        found = ablate_heads(
            opened.model(),
            examples.dev if split == "dev" else examples.train,
            metric=opened.info.task.metric,
            split_name=split,
            num_examples=num_examples,
            seed=seed,
            on_progress=lambda done, total: display(Working(what="ablate", done=done, total=total)),
        )
    console.print(_ablation_table(found, f"{opened.name}: the network without one of its heads"))
    console.print(f"{split}, {found.num_examples:,} examples.")
    alike = rank_correlation(found.importance, found.loss_moved)
    if alike is not None:
        console.print(
            f"First-order importance and measured effect rank the {alike.num_heads} heads alike by "
            f"{alike.value:.2f} (Spearman, 95 % interval {alike.low:.2f} to {alike.high:.2f})."
        )
    if out is not None:
        with new_file(out) as partial:
            found.table().to_csv(partial, index=False)
        console.print(f"Written to {out}.")
    if keep:
        opened.keep_ablation(found)
        console.print(f"Kept with run {opened.name}.")


def _importance_table(scores: Importance, title: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("layer", justify="right")
    table.add_column("heads, most important first (share of the layer's importance)")
    for number, layer in enumerate(scores.heads, start=1):
        present = layer[~layer.isnan()]
        order = present.argsort(descending=True).tolist()
        shares = present / present.sum()
        table.add_row(str(number), "  ".join(f"{head + 1} ({shares[head]:.0%})" for head in order))
    return table


def _ablation_table(found: HeadAblation, title: str, most: int = 12) -> Table:
    rows = found.table()
    table = Table(title=title, title_justify="left", caption_justify="left")
    for heading in ("layer", "head", "loss", "±", found.metric, "importance"):
        table.add_column(heading, justify="right")
    for row in rows.head(most).to_dict("records"):
        table.add_row(
            f"{row['layer']}",
            f"{row['head']}",
            f"{row['loss_change']:+.4f}",
            f"{row['loss_change_error']:.4f}",
            f"{row['metric_change']:+.4f}",
            f"{row['importance']:.4g}",
        )
    if len(rows) > most:
        table.caption = (
            f"and {len(rows) - most} more, whose removal raises the loss less (--out writes all)"
        )
    return table
