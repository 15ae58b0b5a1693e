"""The verb that takes a sub-network away."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from dynabert.cli.display import console, finite, in_figures, marked
from dynabert.cli.options import (
    AsJson,
    DataDir,
    Depth,
    RunName,
    RunsDir,
    SubnetKey,
    Width,
    check_data_dir,
    chosen_subnet,
)
from dynabert.errors import UserError
from dynabert.evaluation.cost import count_macs, num_params, num_params_total
from dynabert.evaluation.quality import further_metrics
from dynabert.examples import RunExamples, load_examples
from dynabert.export import CARD, Format, OnnxFacts, export_onnx, export_subnet, loading
from dynabert.modeling.models import TaskModel
from dynabert.runs import RUNS_DIR, Run, find_run
from dynabert.subnet import Subnet

TELL_SECONDS = 2.0
said = Console(stderr=True, style="dim")  # what is at work; what comes of it is printed


def extract(
    run: RunName,
    out: Annotated[Path, typer.Option(help="Folder to write; must not exist.")],
    width: Width = 1.0,
    depth: Depth = 1.0,
    subnet: SubnetKey = None,
    half: Annotated[
        bool,
        typer.Option("--half", help="Store the weights in 16 bits: half the size (transformers)."),
    ] = False,
    form: Annotated[
        Format,
        typer.Option(
            "--format",
            help="For Hugging Face's library, or one ONNX file that runs without PyTorch; with 8-bit "
            "weights it is a quarter of the size.",
        ),
    ] = "transformers",
    score: Annotated[
        bool, typer.Option(help="Score an 8-bit file on dev; its card says what it loses.")
    ] = True,
    data_dir: DataDir = None,
    as_json: AsJson = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Take a sub-network away as a small model of its own, with its tokenizer.

    Example: python -m dynabert extract demo --width 0.5 --depth 0.75 --out small
    """
    chosen = chosen_subnet(width, depth, subnet)
    if half and form != "transformers":
        raise UserError(f"--half is for --format transformers, got --format {form}.")
    opened = find_run(run, runs_dir)
    check_data_dir(opened, data_dir)
    if form != "onnx-int8" and (data_dir is not None or not score):
        raise UserError(
            "--data-dir and --no-score are about the score of an 8-bit file (--format onnx-int8), got "
            f"--format {form}."
        )
    if out.exists():
        raise UserError(f"{out} exists already; give a folder that does not.")
    model = opened.model()
    facts, not_scored = None, None
    if form == "transformers":
        export_subnet(opened, chosen, out, model=model, half=half)
    else:
        examples = None
        if form == "onnx-int8" and score:
            examples, not_scored = _own_examples(opened, data_dir)
        facts = _extract_onnx(opened, chosen, out, model, form, examples)
    if as_json:
        values = _values(model, chosen, form, facts) | {"not_scored": not_scored}
        console.print_json(json.dumps(values))
        return
    _tell(opened, model, chosen, out, facts)
    if not_scored is not None:
        console.print(f"[yellow]Not scored:[/] {escape(not_scored)}", soft_wrap=True)


def _own_examples(run: Run, data_dir: Path | None) -> tuple[RunExamples | None, str | None]:
    """The run's examples to score a file on, or why they are not at hand."""
    try:
        examples = load_examples(run, data_dir)
        examples.check_own("A score on the card")
    except UserError as error:
        return None, str(error)
    return examples, None


def _extract_onnx(
    run: Run,
    subnet: Subnet,
    out: Path,
    model: TaskModel,
    form: Format,
    examples: RunExamples | None,
) -> OnnxFacts:
    told = 0.0

    def tell(done: int) -> None:
        nonlocal told
        assert examples is not None
        if time.monotonic() - told > TELL_SECONDS:
            told = time.monotonic()
            said.print(f"scored {done:,} of {examples.num_dev:,} examples")

    return export_onnx(
        run,
        subnet,
        out,
        form=form,
        model=model,
        examples=examples,
        on_phase=lambda what: said.print(f"{what} …"),
        on_batch=tell,
    )


def _values(
    model: TaskModel, subnet: Subnet, form: Format, facts: OnnxFacts | None
) -> dict[str, Any]:
    values: dict[str, Any] = {
        "subnet": subnet.key,
        "format": form,
        "num_params": num_params(model, subnet),
        "num_params_total": num_params_total(model, subnet),
    }
    if facts is not None:
        found = facts.evaluation
        values |= {
            "bytes": facts.num_bytes,
            "metrics": None if found is None else finite(found.metrics),
            "collapsed": None if found is None else found.collapsed,
            "num_examples": None if found is None else found.num_examples,
            "tokens": facts.setup.tokens,
            "latency_ms": facts.beside.onnx.median_ms,
            "latency_ms_torch": facts.beside.torch.median_ms,
            "was_busy": facts.was_busy,
            "machine": facts.machine,
        }
    return values


def _tell(run: Run, model: TaskModel, subnet: Subnet, out: Path, facts: OnnxFacts | None) -> None:
    share = num_params_total(model, subnet) / num_params_total(model)
    tokens = run.usual_tokens(run.results)
    console.print(f"{subnet.key}: {subnet.resolve(model.config.shape)}")
    console.print(
        f"{num_params_total(model, subnet):,} parameters ({share:.0%} of the whole; "
        f"{num_params(model, subnet):,} in the Transformer layers), "
        f"{count_macs(model, subnet, tokens) / 1e6:,.1f} million MACs at {tokens} tokens"
    )
    if facts is None:
        console.print(
            f"Written to {escape(str(out))}. Load it: import dynabert; {escape(loading(run, str(out)))}"
        )
        return
    beside = facts.beside
    console.print(
        f"{facts.num_bytes / 1e6:.1f} MB; {beside.onnx.median_ms:.2f} ms for {facts.setup.tokens} tokens, "
        f"in PyTorch {beside.torch.median_ms:.2f} ms ({escape(facts.machine)})"
    )
    if facts.was_busy:
        console.print("[yellow]The machine was busy:[/] the passes took very different times.")
    if (found := facts.evaluation) is not None:
        metrics = run.info.task.metrics
        scores = marked(in_figures(found.metrics, metrics), found.collapsed)
        console.print(f"dev, {found.num_examples:,} examples, by the file itself: {scores}")
        if others := further_metrics(found.metrics, metrics):
            console.print(f"further dev sets: {in_figures(found.metrics, others)}")
    console.print(f"Written to {escape(str(out))}; its {CARD} says how to use it.")
