"""Taking a sub-network away: a folder that Hugging Face's library loads, with its measured numbers."""

from __future__ import annotations

import io
import re
import shlex
import tempfile
import zipfile
from pathlib import Path

from dynabert.analysis.choices import find_row
from dynabert.evaluation.cost import count_macs, num_params, num_params_total
from dynabert.modeling.models import TaskModel
from dynabert.runs import Run
from dynabert.subnet import ResolvedSubnet, Subnet
from dynabert.task_models import HUB_TASKS

CARD = "README.md"


def export_subnet(
    run: Run,
    subnet: Subnet,
    folder: Path,
    *,
    model: TaskModel | None = None,
    half: bool = False,
) -> None:
    """Write a sub-network as a dense model with its tokenizer and a model card.

    model: the run's model, where it is loaded already.  half: store the weights in 16 bits.
    """
    whole = run.model() if model is None else model
    small = whole.extract(subnet)
    if half:
        small = small.half()
    small.save_pretrained(folder)
    run.tokenizer().save_pretrained(folder)
    (folder / CARD).write_text(model_card(run, whole, subnet, half=half), encoding="utf-8")
    for path in folder.iterdir():
        path.chmod(0o644)  # safetensors files come readable by their owner alone


def zip_subnet(
    run: Run,
    subnet: Subnet,
    *,
    model: TaskModel | None = None,
    half: bool = False,
) -> bytes:
    """The files of `export_subnet` in a zip archive, in one folder named after run and sub-network."""
    archive = io.BytesIO()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / export_name(run, subnet)
        export_subnet(run, subnet, folder, model=model, half=half)
        # Weights are noise to a compressor: it would take long and save little.
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
            for path in sorted(folder.iterdir()):
                file.write(path, f"{folder.name}/{path.name}")
    return archive.getvalue()


def export_name(run: Run, subnet: Subnet) -> str:
    """For a folder or file: run and sub-network, its multipliers to three decimals."""
    key = re.sub(r"\b([wd]\d+\.\d{3})\d+", r"\1", subnet.key)
    return f"{run.name}-{key}"


def export_command(
    run: Run, subnet: Subnet, *, half: bool = False, argument: str | None = None
) -> str:
    """The command line that writes the same folder.  argument: the run, otherwise than on this machine."""
    words = ["python", "-m", "dynabert", "extract", argument or run.argument]
    words += ["--subnet", subnet.key, *["--half"] * half, "--out", export_name(run, subnet)]
    return shlex.join(words)


def export_bytes(model: TaskModel, subnet: Subnet, *, half: bool = False) -> int:
    """Size of its weights on disk, without the few kilobytes around them."""
    return num_params_total(model, subnet) * (2 if half else 4)


def _lengths(resolved: ResolvedSubnet) -> list[tuple[str, str]]:
    """The row of a model card about dropped tokens, where some are."""
    config = resolved.length_config
    if config is None:
        return []
    if config.is_relative:
        return [("Tokens that leave each", ", ".join(f"{share:.4g}" for share in config.entries))]
    return [("Tokens that leave each", ", ".join(map(str, config.entries)))]


def model_card(run: Run, model: TaskModel, subnet: Subnet, *, half: bool = False) -> str:
    """What the sub-network is, what it scored, and how to load it, in Markdown."""
    info, task, resolved = run.info, run.info.task, subnet.resolve(model.config.shape)
    row = find_row(run.all_results, resolved)
    tokens = int(run.results["tokens"].iloc[0])  # of all its rows
    scores = "not evaluated"
    if row is not None:
        scores = ", ".join(f"{name} {row[name]:.4f}" for name in task.metrics)
        scores += f" on {row['num_examples']:,} dev examples"
        if row["collapsed"]:
            scores += "; **collapsed**: it gives every example the same answer"
    rows = [
        ("Sub-network", f"`{subnet.key}` of run `{run.name}`"),
        ("Layers", ", ".join(str(layer + 1) for layer in resolved.layers)),
        ("Heads in each", ", ".join(map(str, resolved.heads))),
        ("Neurons in each", ", ".join(map(str, resolved.neurons))),
        *_lengths(resolved),
        ("Backbone", _plain(info.backbone)),
        ("Task", f"{_plain(task.title)}, {_plain(task.source)}"),
        ("Answers", ", ".join(map(_plain, task.answers))),
        ("Scores", scores),
        (
            "Parameters",
            f"{num_params_total(model, subnet):,}, of them {num_params(model, subnet):,} in the "
            "Transformer layers",
        ),
        (
            "MACs",
            f"{count_macs(model, subnet, tokens) / 1e6:,.1f} million for {tokens} tokens",
        ),
        ("Weights", "16-bit; the scores were measured with the run's own" if half else "32-bit"),
        ("Recipe", f"{_plain(info.recipe.get('name'))}, seed {info.seed}"),
        ("Trained", f"{_plain(info.created)} on {_plain(info.machine)}"),
    ]
    if row is not None and row["latency_ms"] == row["latency_ms"]:
        rows.append(
            (
                "Latency",
                f"{row['latency_ms']:.2f} ms at {row['tokens']} tokens, batch "
                f"{int(row['latency_batch_size'])}, on the machine it was trained on",
            )
        )
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    return f"""---
library_name: transformers
pipeline_tag: {HUB_TASKS[task.kind]}
tags:
- dynabert
---

# {export_name(run, subnet)}

A sub-network of adaptive width, depth and length (DynaBERT, arXiv 2004.04037), taken out of the network it
was trained in. It is dense: it computes what the sub-network computes there, and nothing else.

| | |
|---|---|
{table}

```python
import dynabert  # teaches the library this kind of model
{usage(run, "path/to/this/folder")}
```

Taken away with `{export_command(run, subnet, half=half, argument=run.name)}`.
"""


def loading(run: Run, folder: str) -> str:
    """The call that loads the folder."""
    if run.info.task.kind == "spans":
        return f'AutoModelForQuestionAnswering.from_pretrained("{folder}")'
    return f'pipeline("text-classification", "{folder}")'


def usage(run: Run, folder: str) -> str:
    """Python lines that use the folder."""
    if run.info.task.kind == "spans":
        return f"""from transformers import AutoModelForQuestionAnswering, AutoTokenizer
from dynabert.analysis.span_answers import answer_question

model = AutoModelForQuestionAnswering.from_pretrained("{folder}").eval()
tokenizer = AutoTokenizer.from_pretrained("{folder}")
answer_question(model, tokenizer, "a question", "a passage")"""
    return f"""from transformers import pipeline

classify = pipeline("text-classification", "{folder}", truncation=True)
classify({example_input(run)})"""


def example_input(run: Run) -> str:
    """What to call a pipeline with, as Python: a text, or a pair where the task is about pairs."""
    if len(run.info.task.text_columns) == 2:
        return '{"text": "...", "text_pair": "..."}'
    return '"..."'


def _plain(text: object) -> str:
    """Text inside a table cell, shown letter by letter."""
    return re.sub(r"([\\`*_{}\[\]<>()#+\-.!|~$:&@])", r"\\\1", " ".join(str(text).split()))
