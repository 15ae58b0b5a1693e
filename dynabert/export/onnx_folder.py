"""A sub-network as a folder with one ONNX file, checked, scored and timed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from dynabert.errors import UserError
from dynabert.evaluation.latency import LatencySetup, describe_machine
from dynabert.examples import RunExamples
from dynabert.export.card import CARD, ONNX_FILE, OnnxFacts, onnx_card
from dynabert.export.naming import Format
from dynabert.export.onnx_file import (
    check_installed,
    output_names,
    quantize_onnx,
    write_onnx,
)
from dynabert.export.onnx_network import Beside, OnnxNetwork, evaluate_onnx, time_beside
from dynabert.files import new_folder
from dynabert.modeling.evaluating import evaluating
from dynabert.modeling.models import TaskModel
from dynabert.runs import Run
from dynabert.subnet import Subnet

# Logits of the graph in 32 bits and of the network may differ by rounding, no more: by so much, and by
# so much of their size.
TOLERANCE = 1e-3


def export_onnx(
    run: Run,
    subnet: Subnet,
    folder: Path,
    *,
    form: Format = "onnx",
    model: TaskModel | None = None,
    examples: RunExamples | None = None,
    on_phase: Callable[[str], None] | None = None,
    on_batch: Callable[[int], None] | None = None,
) -> OnnxFacts:
    """Write a sub-network as an ONNX file with its tokenizer and a model card; all of it or nothing.

    The graph's answers are compared with the network's before anything is kept.
    form: "onnx" or "onnx-int8".  model: the run's, where it is loaded already.
    examples: those whose dev splits the file is scored on; left out, its card has the run's own scores.
    on_phase: called with what is at work.  on_batch: with the number of examples scored.

    Raises:
        UserError: the folder exists, packages are missing, or the graph answers otherwise.
        ValueError: another form.
    """
    check_installed()
    if form == "transformers":
        raise ValueError("form must be onnx or onnx-int8, got 'transformers': use export_subnet.")
    phase = on_phase or (lambda what: None)
    whole = run.model() if model is None else model
    tokenizer = run.tokenizer()
    with new_folder(folder) as scratch:
        file, exact = scratch / ONNX_FILE, scratch / "exact.onnx"
        phase("writing the graph")
        small = whole.extract(subnet)
        write_onnx(small, exact, tokenizer.model_input_names)
        phase("comparing its answers")
        difference = largest_difference(OnnxNetwork(exact), whole, subnet)
        if form == "onnx-int8":
            phase("quantizing")
            quantize_onnx(exact, file)
            exact.unlink()
        else:
            exact.rename(file)
        _sign(file, run, subnet)
        network, evaluation = OnnxNetwork(file), None
        if examples is not None:
            phase("scoring")
            evaluation = evaluate_onnx(
                *(network, whole, subnet, examples.dev),
                metrics=run.info.task.metrics,
                other_splits=examples.other_dev,
                on_batch=on_batch,
            )
        phase("timing")
        setup = LatencySetup(tokens=run.usual_tokens(run.results))
        facts = OnnxFacts(
            form=form,
            inputs=network.inputs,
            outputs=output_names(whole),
            difference=difference,
            evaluation=evaluation,
            beside=Beside(*time_beside(small, [network], setup)),
            setup=setup,
            machine=describe_machine(torch.device("cpu")),
            num_bytes=file.stat().st_size,
        )
        tokenizer.save_pretrained(scratch)
        (scratch / CARD).write_text(onnx_card(run, whole, subnet, facts), encoding="utf-8")
    return facts


def largest_difference(network: OnnxNetwork, model: TaskModel, subnet: Subnet) -> float:
    """Of a file's logits to those of the sub-network it was made from, on made-up texts.

    Raises:
        UserError: it is more than rounding explains.
    """
    with evaluating(model):
        return _largest_difference(network, model, subnet)


def _largest_difference(network: OnnxNetwork, model: TaskModel, subnet: Subnet) -> float:
    config, generator = model.config, torch.Generator().manual_seed(0)
    largest = 0.0
    for sizes in ((1,), (3, 17, 9), (12, 12)):
        longest = min(max(sizes), config.max_tokens)
        ids = torch.randint(
            min(1000, config.vocab_size - 1),
            config.vocab_size,
            (len(sizes), longest),
            generator=generator,
        )
        mask = (torch.arange(longest) < torch.tensor(sizes).unsqueeze(1)).long()
        padding = config.pad_token_id or 0
        batch = {"input_ids": ids.where(mask == 1, padding), "attention_mask": mask}
        with torch.inference_mode():
            out = model(**batch, subnet=subnet)
            expected = model.logits_of(out, mask)
        for logits, got in zip(expected, network(batch), strict=True):
            wanted = logits.float().numpy()
            if not np.allclose(got, wanted, rtol=TOLERANCE, atol=TOLERANCE):
                raise UserError(
                    f"the ONNX graph of {subnet.key} answers otherwise than the network: logits differ by "
                    f"up to {np.abs(got - wanted).max():.3g}. Nothing was written."
                )
            largest = max(largest, float(np.abs(got - wanted).max()))
    return largest


def _sign(file: Path, run: Run, subnet: Subnet) -> None:
    """Write into the file what it is: programs that load it look there for the names of its answers."""
    import onnx

    model = onnx.load(file)
    known = {
        "run": run.name,
        "subnet": subnet.key,
        "task": run.info.task.name,
        "answers": json.dumps(list(run.info.task.answers)),
    }
    onnx.helper.set_model_props(model, known)
    onnx.save(model, file)
