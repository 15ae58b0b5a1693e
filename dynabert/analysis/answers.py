"""What every sub-network answers to one text, and where they begin to disagree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from transformers import PreTrainedTokenizerBase

from dynabert.analysis.attention_maps import as_inputs, encode_texts
from dynabert.analysis.choices import find_row
from dynabert.analysis.class_answer import ClassAnswer
from dynabert.evaluation.cost import num_params
from dynabert.evaluation.latency import Latency, time_passes
from dynabert.modeling.models import DynaBertForSequenceClassification
from dynabert.runs import Run
from dynabert.subnet import Subnet


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer(ClassAnswer):
    """What one sub-network answers, and how fast."""

    subnet: Subnet
    logits: np.ndarray  # (C,); of a regression (1,), the value itself
    num_params: int  # of its Transformer layers
    latency: Latency  # of this text, in a batch of one


@torch.inference_mode()
def answer_all(
    model: DynaBertForSequenceClassification,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    subnets: Sequence[Subnet],
    *,
    max_tokens: int | None = None,
    repeats: int = 7,
) -> tuple[list[Answer], int]:
    """The answer of each sub-network to one text or a pair, and how many tokens were cut from it.

    max_tokens: longest input, special tokens included; left out, the longest that the model reads.
    repeats: how often each is timed, after one pass that is not.

    Raises:
        UserError: neither one nor two texts, or an empty one.
    """
    encoded, num_cut = encode_texts(tokenizer, texts, model.config, max_tokens)
    inputs = as_inputs(encoded, model.device)
    logits = [model(**inputs, subnet=subnet).logits[0].float().cpu().numpy() for subnet in subnets]
    generator = torch.Generator().manual_seed(0)
    latencies = time_passes(model, inputs, subnets, repeats=repeats, warm_up=1, generator=generator)
    answers = [
        Answer(subnet=subnet, logits=own, num_params=num_params(model, subnet), latency=latency)
        for subnet, own, latency in zip(subnets, logits, latencies, strict=True)
    ]
    return answers, num_cut


def first_to_disagree(answers: Sequence[Answer]) -> Answer | None:
    """The largest sub-network that answers another class than the first; None if none does."""
    by_size = sorted(answers, key=lambda answer: answer.num_params, reverse=True)
    return next((one for one in by_size if one.choice != answers[0].choice), None)


def answer_table(answers: Sequence[Answer], run: Run) -> pd.DataFrame:
    """A row per answer, in their order: what it is, how sure, how fast, and what the run knows of its
    sub-network.

    Columns: subnet, width_mult, depth_mult, answer (in words), value (of a regression), probability
    (of the answer, for a classification), latency_ms, latency_ms_iqr, num_params, dev_<metric>,
    collapsed.
    """
    task, shape, results = run.info.task, run.config.shape, run.results
    rows = []
    for answer in answers:
        row = find_row(results, answer.subnet.resolve(shape))
        value = float(answer.logits[0])
        choice = answer.choice
        rows.append(
            {
                "subnet": answer.subnet.key,
                "width_mult": answer.subnet.width_mult,
                "depth_mult": answer.subnet.depth_mult,
                "answer": f"{value:.2f}" if task.labels is None else task.labels[choice],
                "value": value if task.labels is None else None,
                "probability": None if task.labels is None else answer.probabilities[choice],
                "latency_ms": answer.latency.median_ms,
                "latency_ms_iqr": answer.latency.iqr_ms,
                "num_params": answer.num_params,
                f"dev_{task.metric}": None if row is None else row[task.metric],
                "collapsed": bool(row is not None and row["collapsed"]),
            }
        )
    return pd.DataFrame(rows)
