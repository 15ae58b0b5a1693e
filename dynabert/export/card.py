"""The model card of a sub-network that is taken away: what it is, what it scored, how to use it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dynabert.analysis.choices import find_row
from dynabert.evaluation.cost import count_macs, num_params, num_params_total
from dynabert.evaluation.latency import WIDE, LatencySetup
from dynabert.evaluation.quality import further_metrics
from dynabert.evaluation.tally import Evaluation
from dynabert.export.naming import Format, export_command, export_name
from dynabert.export.onnx_network import Beside
from dynabert.modeling.models import TaskModel
from dynabert.runs import Run
from dynabert.subnet import ResolvedSubnet, Subnet
from dynabert.task_models import HUB_TASKS

CARD = "README.md"
ONNX_FILE = "model.onnx"
FOLDER = "path/to/this/folder"
# What Markdown reads in the middle of a line; a point or a colon only where it could join up a link.
_MARKUP = re.compile(r"[\\`*_{}\[\]<>()#!|~$&@]|[.:](?=[^\W\d]|/)|(?<=www)\.")
_COLLAPSED = "; **collapsed**: it gives every example the same answer"


@dataclass(frozen=True, kw_only=True)
class OnnxFacts:
    """What was found out about an ONNX file when it was made."""

    form: Format
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    difference: float  # largest, of its logits to the network's, on made-up texts
    evaluation: Evaluation | None  # of the file on dev; None: it was not scored
    beside: Beside
    setup: LatencySetup
    machine: str
    num_bytes: int

    @property
    def was_busy(self) -> bool:
        """Whether its passes, or PyTorch's, took so different times that neither says much."""
        return max(self.beside.onnx.spread, self.beside.torch.spread) > WIDE


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
    row = _row(run, model, subnet)
    facts = [
        *_facts(
            run, model, subnet, scores="not evaluated" if row is None else _run_scores(run, row)
        ),
        ("Weights", "16-bit; the scores were measured with the run's own" if half else "32-bit"),
        *_origin(run),
    ]
    if row is not None and row["latency_ms"] == row["latency_ms"]:
        facts.append(
            (
                "Latency",
                f"{row['latency_ms']:.2f} ms at {row['tokens']} tokens, batch "
                f"{int(row['latency_batch_size'])}, on the machine it was trained on",
            )
        )
    return _page(
        export_name(run, subnet),
        facts,
        code=f"import dynabert  # teaches the library this kind of model\n{usage(run, FOLDER)}",
        command=export_command(run, subnet, half=half, argument=run.name),
        front={"library_name": "transformers", "pipeline_tag": HUB_TASKS[run.info.task.kind]},
    )


def onnx_card(run: Run, model: TaskModel, subnet: Subnet, made: OnnxFacts) -> str:
    """The same of a folder with an ONNX file."""
    row, form = _row(run, model, subnet), made.form
    if made.evaluation is not None:
        scores = _scores(run, made.evaluation.metrics, made.evaluation.num_examples)
        scores += ", measured with this file" + _COLLAPSED * made.evaluation.collapsed
    elif row is not None:
        scores = _run_scores(run, row)
        scores += ", measured with the run's own weights" if form == "onnx-int8" else ""
    else:
        scores = "not evaluated"
    weights = "32-bit"
    if form == "onnx-int8":
        weights = "8-bit; activations are quantized as they come, by the whole batch"
    beside, setup = made.beside, made.setup
    machine = f"{made.machine}, busy meanwhile" if made.was_busy else made.machine
    facts = [
        *_facts(run, model, subnet, scores=scores),
        ("Weights", weights),
        ("Inputs", ", ".join(f"`{name}`" for name in made.inputs) + ": int64, texts x tokens"),
        ("Outputs", ", ".join(f"`{name}`" for name in made.outputs)),
        *_origin(run),
        (
            "Latency",
            f"{beside.onnx.median_ms:.2f} ms at {setup.tokens} tokens, batch {setup.batch_size}; "
            f"{beside.torch.median_ms:.2f} ms in PyTorch, in 32 bits ({machine})",
        ),
    ]
    return _page(
        export_name(run, subnet, form),
        facts,
        code=onnx_usage(run, FOLDER),
        command=export_command(run, subnet, form=form, argument=run.name),
        front={"library_name": "onnx", "pipeline_tag": HUB_TASKS[run.info.task.kind]},
    )


def _row(run: Run, model: TaskModel, subnet: Subnet) -> Mapping[str, Any] | None:
    return find_row(run.all_results, subnet.resolve(model.config.shape))


def _run_scores(run: Run, row: Mapping[str, Any]) -> str:
    scores = _scores(run, row, row["num_examples"])
    return scores + _COLLAPSED * bool(row["collapsed"])


def _scores(run: Run, values: Mapping[str, Any], num_examples: int) -> str:
    metrics = run.info.task.metrics
    scores = ", ".join(f"{name} {values[name]:.4f}" for name in metrics)
    others = "".join(
        f"; {name} {values[name]:.4f}"
        for name in further_metrics(values, metrics)
        if not math.isnan(values[name])
    )
    return f"{scores} on {num_examples:,} dev examples{others}"


def _facts(run: Run, model: TaskModel, subnet: Subnet, *, scores: str) -> list[tuple[str, str]]:
    info, task, resolved = run.info, run.info.task, subnet.resolve(model.config.shape)
    tokens = run.usual_tokens(run.results)
    layers = [str(layer + 1) for layer in resolved.layers]
    return [
        ("Sub-network", f"`{subnet.key}` of run `{run.name}`"),
        ("Layers", f"{len(layers)} (number{'' if len(layers) == 1 else 's'} {', '.join(layers)})"),
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
    ]


def _origin(run: Run) -> list[tuple[str, str]]:
    info = run.info
    return [
        ("Recipe", f"{_plain(info.recipe.get('name'))}, seed {info.seed}"),
        ("Trained", f"{_plain(info.created)} on {_plain(info.machine)}"),
    ]


def _page(
    title: str,
    facts: Sequence[tuple[str, str]],
    *,
    code: str,
    command: str,
    front: Mapping[str, str],
) -> str:
    table = "\n".join(f"| {name} | {value} |" for name, value in facts)
    head = "\n".join(f"{name}: {value}" for name, value in front.items())
    return f"""---
{head}
tags:
- dynabert
---

# {title}

A sub-network of adaptive width, depth and length (DynaBERT, arXiv 2004.04037), taken out of the network it
was trained in. It is dense: it computes what the sub-network computes there, and nothing else.

| | |
|---|---|
{table}

```python
{code}
```

Taken away with `{command}`.
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


def onnx_usage(run: Run, folder: str) -> str:
    """Python lines that use a folder with an ONNX file; neither PyTorch nor this package is needed."""
    if run.info.task.kind == "spans":
        texts, truncation = '["a question"], ["a passage"]', '"only_second"'
        outputs = "start_logits, end_logits"
    else:
        pair = len(run.info.task.text_columns) == 2
        texts, truncation = '["..."], ["..."]' if pair else '["..."]', "True"
        outputs = "(logits,)"
    return f"""import onnxruntime
from transformers import AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{folder}")
network = onnxruntime.InferenceSession("{folder}/{ONNX_FILE}")
batch = tokenizer({texts}, padding=True, truncation={truncation}, return_tensors="np")
{outputs} = network.run(None, {{one.name: batch[one.name] for one in network.get_inputs()}})"""


def example_input(run: Run) -> str:
    """What to call a pipeline with, as Python: a text, or a pair where the task is about pairs."""
    if len(run.info.task.text_columns) == 2:
        return '{"text": "...", "text_pair": "..."}'
    return '"..."'


def _plain(text: object) -> str:
    """Text inside a table cell, shown letter by letter."""
    return _MARKUP.sub(r"\\\g<0>", " ".join(str(text).split()))
