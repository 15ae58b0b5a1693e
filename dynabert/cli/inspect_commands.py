"""The verbs that look into a run: evaluate, sweep, importance, ablate, runs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Literal

import torch
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from dynabert.analysis.head_ablation import HeadAblation, ablate_heads, rank_correlation
from dynabert.analysis.survivors import dropping
from dynabert.cli.display import (
    TrainingDisplay,
    apart_from,
    console,
    finite,
    in_figures,
    marked,
    results_table,
)
from dynabert.cli.options import (
    ALL_DEPTHS,
    ALL_WIDTHS,
    AsJson,
    DataDir,
    Depth,
    Depths,
    Drops,
    LatencyBatch,
    RunName,
    RunsDir,
    SubnetKey,
    Width,
    Widths,
    check_data_dir,
    check_out_file,
    chosen_drops,
    chosen_space,
    chosen_subnet,
)
from dynabert.errors import UserError
from dynabert.evaluation.cost import PAPER_TOKENS, num_params
from dynabert.evaluation.latency import LatencySetup, check_tokens, describe_machine
from dynabert.evaluation.quality import evaluate as evaluate_subnet
from dynabert.evaluation.quality import metric_on
from dynabert.evaluation.table import sweep as sweep_subnets
from dynabert.examples import RunExamples, load_examples
from dynabert.files import new_file
from dynabert.importance import Granularity, Importance
from dynabert.keeping import check_same_tokens, why_times_differ, without_times
from dynabert.results import as_csv
from dynabert.runs import RUNS_DIR, Run, find_run, list_runs
from dynabert.training import calibrate
from dynabert.training.events import Working
from dynabert.training.plan import MAX_SEED


def evaluate(
    run: RunName,
    width: Width = 1.0,
    depth: Depth = 1.0,
    subnet: SubnetKey = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Score one sub-network on the dev set.

    Example: python -m dynabert evaluate demo --width 0.5 --depth 0.75
    """
    chosen = chosen_subnet(width, depth, subnet)
    opened = find_run(run, runs_dir)
    model = opened.model()
    resolved = chosen.resolve(model.config.shape)
    told, metrics = apart_from(as_json), opened.info.task.metrics
    examples = _examples(opened, data_dir, told=told)
    with TrainingDisplay(told) as display:
        total = examples.num_dev
        result = evaluate_subnet(
            model,
            examples.dev,
            chosen,
            metrics=metrics,
            other_splits=examples.other_dev,
            on_batch=lambda done: display(Working(what="evaluate", done=done, total=total)),
        )
    if as_json:
        values = {
            "subnet": chosen.key,
            **dataclasses.asdict(resolved),
            "length_config": resolved.length_config and resolved.length_config.key,
            **result.metrics,
            "loss": result.loss,
            "collapsed": result.collapsed,
            "num_examples": result.num_examples,
            "num_params": num_params(model, chosen),
        }
        console.print_json(json.dumps(finite(values)))
        return
    console.print(f"{opened.name}, {chosen.key}: {resolved}")
    scores = in_figures(result.metrics, metrics)
    console.print(f"dev, {result.num_examples:,} examples: {scores}  loss {result.loss:.4f}")
    for split, others in examples.other_dev.items():
        scores = "  ".join(
            f"{name} {result.metrics[metric_on(split, name)]:.4f}" for name in metrics
        )
        console.print(f"dev {split}, {others.num_examples:,} examples: {scores}")
    if result.collapsed:
        console.print("[red]Collapsed: it gives every example the same answer.[/]")


def sweep(
    run: RunName,
    widths: Widths = ALL_WIDTHS,
    depths: Depths = ALL_DEPTHS,
    drops: Drops = "0",
    tokens: Annotated[
        int | None,
        typer.Option(help="Tokens per sentence for MACs and latency. [as the run's own results]"),
    ] = None,
    latency_batch: LatencyBatch = 1,
    out: Annotated[
        Path | None, typer.Option(help="Write the table to this .csv or .parquet file.")
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the rows with the run, for the app.")
    ] = False,
    data_dir: DataDir = None,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Score and time many sub-networks: every width with every depth.

    Example: python -m dynabert sweep demo --widths 1,0.5,0.25 --depths 1,0.5 --out sweep.csv
    """
    shares = chosen_drops(drops)
    # Whatever would be refused after the evaluation is refused at once.
    LatencySetup(tokens=PAPER_TOKENS if tokens is None else tokens, batch_size=latency_batch)
    check_out_file(out, ".csv", ".parquet")
    opened = find_run(run, runs_dir)
    if keep:
        opened.check_writable()
    setup = LatencySetup(
        tokens=opened.usual_tokens(opened.results) if tokens is None else tokens,
        batch_size=latency_batch,
    )
    check_tokens(opened.config.max_tokens, setup.tokens)
    space = chosen_space(widths, depths, opened.config.shape)
    different = None
    if keep:
        check_same_tokens(opened, setup.tokens)
        machine = describe_machine(torch.device("cpu"))
        if (different := why_times_differ(opened, setup, machine)) is not None:
            console.print(
                f"[yellow]Note:[/] latencies are measured but not kept: {escape(different)}.",
                soft_wrap=True,
            )
    examples = _examples(opened, data_dir, keep=keep)
    model = opened.model()
    subnets = [
        one for subnet in space for one in dropping(subnet, model.config.shape, drops=shares)
    ]
    with TrainingDisplay() as display:
        results = sweep_subnets(
            model,
            examples.dev,
            subnets,
            metrics=opened.info.task.metrics,
            other_splits=examples.other_dev,
            latency=setup,
            on_progress=lambda phase, done, total: display(
                Working(what=phase, done=done, total=total)
            ),
        )
    console.print(results_table(results, opened.info.task.metrics, f"{opened.name}, dev"))
    console.print(
        f"MACs and latency: {setup.tokens} tokens, batch {latency_batch}, "
        f"{describe_machine(torch.device('cpu'))}; ± half the interquartile range."
    )
    if out is not None:
        with new_file(out) as partial:
            if out.suffix == ".csv":
                partial.write_text(as_csv(results), encoding="utf-8")
            else:
                results.to_parquet(partial, index=False)
        console.print(f"Written to {out}.")
    if keep:
        opened.add_results(results if different is None else without_times(results))
        less = "" if different is None else f" without latencies: {escape(different)}"
        console.print(f"Kept with run {opened.name}{less}.", soft_wrap=True)


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
        examples = _examples(opened, data_dir)
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
    examples = _examples(opened, data_dir, keep=keep)
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


def runs(runs_dir: RunsDir = RUNS_DIR) -> None:
    """List the complete runs.

    Example: python -m dynabert runs
    """
    names = list_runs(runs_dir)
    if not names:
        console.print(f"No runs in {runs_dir} yet. Train one: python -m dynabert train teaching")
        return
    table = Table(title=f"Runs in {runs_dir}", title_justify="left")
    for heading in ("run", "task", "backbone", "recipe", "metric", "largest", "smallest"):
        table.add_column(heading)
    table.add_column("MB", justify="right")
    for name in track(names, description="reading", transient=True, console=console):
        try:
            table.add_row(*_summary(Run.load(runs_dir / name)))
        except UserError as error:
            table.add_row(name, f"[red]{escape(str(error))}[/]")
    console.print(table)


def _summary(run: Run) -> list[str]:
    metric, results = run.info.task.metric, run.reported_results.sort_values("num_params")
    scores = [
        marked(f"{row[metric]:.4f}", row["collapsed"])
        for row in (results.iloc[-1], results.iloc[0])
    ]
    task, recipe = escape(run.info.task.name), escape(str(run.info.recipe.get("name")))
    backbone = escape(run.info.backbone)
    return [run.name, task, backbone, recipe, metric, *scores, f"{run.size_bytes / 1e6:.0f}"]


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


def _examples(
    run: Run, data_dir: Path | None, *, keep: bool = False, told: Console = console
) -> RunExamples:
    """keep: what is measured on them is kept with the run, which must be the run's own then."""
    examples = load_examples(run, data_dir)
    if keep:
        examples.check_own("--keep")
    for notice in examples.notices:
        told.print(f"[yellow]Note:[/] {escape(notice)}", soft_wrap=True)
    return examples
