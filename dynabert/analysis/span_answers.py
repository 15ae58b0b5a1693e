"""What sub-networks answer to one question about one passage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from transformers import PreTrainedTokenizerBase

from dynabert.analysis.choices import find_row
from dynabert.data.squad.windows import (
    DEFAULT_STRIDE,
    EncodedWindows,
    PairTemplate,
    encode_windows,
    longest_question,
)
from dynabert.data.tasks import find_task
from dynabert.errors import UserError
from dynabert.evaluation.cost import num_params
from dynabert.evaluation.latency import Latency, time_passes
from dynabert.evaluation.quality import read_all
from dynabert.evaluation.spans import SpanTally
from dynabert.modeling.models import DynaBertForQuestionAnswering
from dynabert.runs import Run
from dynabert.subnet import FULL, Subnet


@dataclass(frozen=True, kw_only=True)
class SpanAnswer:
    """An answer: a part of the passage."""

    subnet: Subnet
    text: str
    start: int  # its first letter
    end: int  # the letter after its last
    probability: float  # of its start times that of its end


def answer_question(
    model: DynaBertForQuestionAnswering,
    tokenizer: PreTrainedTokenizerBase,
    question: str,
    passage: str,
    *,
    subnets: Sequence[Subnet] = (FULL,),
    max_tokens: int | None = None,
    doc_stride: int = DEFAULT_STRIDE,
) -> list[SpanAnswer]:
    """The answer of each sub-network; a long passage is read through windows.

    max_tokens: of a window; left out, as usual for SQuAD.

    Raises:
        UserError: question or passage are empty.
    """
    windows = windows_of(model, tokenizer, question, passage, max_tokens, doc_stride)
    tally = read_all(model, windows, subnets)
    assert isinstance(tally, SpanTally)  # of windows
    answers = []
    for number, subnet in enumerate(subnets):
        found = tally.answers(number)
        start, end = found.letters[0].tolist()
        probability = float(found.probabilities[0])
        answers.append(
            SpanAnswer(
                subnet=subnet, text=found.texts[0], start=start, end=end, probability=probability
            )
        )
    return answers


def time_answers(
    model: DynaBertForQuestionAnswering,
    tokenizer: PreTrainedTokenizerBase,
    question: str,
    passage: str,
    *,
    subnets: Sequence[Subnet],
    max_tokens: int | None = None,
    doc_stride: int = DEFAULT_STRIDE,
    repeats: int = 7,
) -> list[Latency]:
    """How long each sub-network takes for that: for all windows, in one batch."""
    windows = windows_of(model, tokenizer, question, passage, max_tokens, doc_stride)
    batch = windows.batch(range(len(windows)))
    inputs = {
        name: value.to(model.device)
        for name, value in batch.items()
        if not name.endswith("positions")
    }
    generator = torch.Generator().manual_seed(0)
    return time_passes(model, inputs, subnets, repeats=repeats, warm_up=1, generator=generator)


def windows_of(
    model: DynaBertForQuestionAnswering,
    tokenizer: PreTrainedTokenizerBase,
    question: str,
    passage: str,
    max_tokens: int | None,
    doc_stride: int,
) -> EncodedWindows:
    if not question.strip() or not passage.strip():
        raise UserError("give a question and a passage, neither of them empty.")
    split = {
        "id": [""],
        "question": [question],
        "context": [passage],
        "answers": [{"text": [""], "answer_start": [0]}],  # not known
    }
    limit = _window_tokens(model, max_tokens)
    return encode_windows(split, tokenizer, max_tokens=limit, doc_stride=doc_stride)


def question_tokens_cut(
    model: DynaBertForQuestionAnswering,
    tokenizer: PreTrainedTokenizerBase,
    question: str,
    max_tokens: int | None = None,
) -> int:
    """How many of a question's last tokens are not read, to leave room for the passage."""
    tokens = tokenizer(question, add_special_tokens=False, verbose=False)["input_ids"]
    most = longest_question(PairTemplate.of(tokenizer), _window_tokens(model, max_tokens))
    return max(0, len(tokens) - most)


def _window_tokens(model: DynaBertForQuestionAnswering, max_tokens: int | None) -> int:
    return min(max_tokens or find_task("squad").max_tokens, model.config.max_tokens)


def first_to_differ(answers: Sequence[SpanAnswer], run: Run) -> SpanAnswer | None:
    """The largest sub-network that answers in other words than the first; None if none does."""
    by_size = sorted(answers, key=lambda one: num_params(run.config, one.subnet), reverse=True)
    return next((one for one in by_size if one.text != answers[0].text), None)


def span_table(
    answers: Sequence[SpanAnswer], latencies: Sequence[Latency], run: Run
) -> pd.DataFrame:
    """A row per answer, in their order: what it is, how sure, how fast, and what the run knows of its
    sub-network.

    Columns: subnet, width_mult, depth_mult, answer, probability, start, end (letters of the passage),
    latency_ms, latency_ms_iqr, num_params, dev_<metric>, collapsed.
    """
    metric, shape, results = run.info.task.metric, run.config.shape, run.results
    rows = []
    for answer, latency in zip(answers, latencies, strict=True):
        row = find_row(results, answer.subnet.resolve(shape))
        rows.append(
            {
                "subnet": answer.subnet.key,
                "width_mult": answer.subnet.width_mult,
                "depth_mult": answer.subnet.depth_mult,
                "answer": answer.text,
                "probability": answer.probability,
                "start": answer.start,
                "end": answer.end,
                "latency_ms": latency.median_ms,
                "latency_ms_iqr": latency.iqr_ms,
                "num_params": num_params(run.config, answer.subnet),
                f"dev_{metric}": np.nan if row is None else row[metric],
                "collapsed": bool(row is not None and row["collapsed"]),
            }
        )
    return pd.DataFrame(rows)


def marked_pieces(passage: str, answers: Sequence[SpanAnswer]) -> list[tuple[str, tuple[int, ...]]]:
    """The passage cut where an answer begins or ends; each piece with the numbers of those it is in."""
    edges = sorted({0, len(passage), *(edge for one in answers for edge in (one.start, one.end))})
    return [
        (
            passage[a:b],
            tuple(n for n, one in enumerate(answers) if one.start <= a and b <= one.end),
        )
        for a, b in zip(edges, edges[1:], strict=False)
    ]
