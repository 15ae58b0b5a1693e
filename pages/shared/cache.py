"""The core's slow calls, remembered. A run that is replaced on disk is read anew."""

from __future__ import annotations

import gc
import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from transformers import PreTrainedTokenizerBase

from dynabert import Subnet
from dynabert.analysis.answers import Answer, answer_all
from dynabert.analysis.attention_maps import AttentionMaps, attention_maps
from dynabert.analysis.attention_maps import kept_heads as find_kept_heads
from dynabert.analysis.choices import keeping_all_tokens
from dynabert.analysis.functions import FunctionProfile, function_profile
from dynabert.analysis.fusion import Fusion, measure_fusion
from dynabert.analysis.head_ablation import HeadAblation
from dynabert.analysis.head_order import head_order as find_head_order
from dynabert.analysis.head_order import neuron_order as find_neuron_order
from dynabert.analysis.map_atlas import MapAtlas
from dynabert.analysis.needed_tokens import NeededTokens, needed_tokens_of, read_text
from dynabert.analysis.queries_keys import QueryKey
from dynabert.analysis.queries_keys import query_key as find_query_key
from dynabert.analysis.sentences import (
    Sentence,
    attention_of,
    read_sentences,
    teaching_sentences,
)
from dynabert.analysis.sentences import (
    cut_to_fit as cut_text,
)
from dynabert.analysis.span_answers import SpanAnswer, answer_question, time_answers
from dynabert.analysis.span_answers import question_tokens_cut as find_question_cut
from dynabert.analysis.survivors import Survivors
from dynabert.analysis.survivors import survivors as find_survivors
from dynabert.errors import UserError
from dynabert.evaluation import Latency, LatencySetup, measure_latency
from dynabert.examples import RunExamples, load_examples
from dynabert.modeling.models import TaskModel
from dynabert.reproduction.plan import PLAN_FILE, read_plan
from dynabert.reproduction.results import Result, list_results, read_result
from dynabert.runs import ABLATION, MANIFEST, MEASURED, Run
from dynabert.web import read_atlas
from pages.shared import wording

MOST_KEPT = 16
PHENOMENON = "phenomenon"  # the teaching set's column that names what a sentence tests

# A tokenizer that has to cut a text changes a setting of its own; one visitor at a time.
_TOKENIZER = threading.Lock()


def run_key(run: Run) -> tuple[str, int]:
    """Changes when the run is replaced."""
    return str(run.folder), (run.folder / MANIFEST).stat().st_mtime_ns


_RUN = {Run: run_key}


def check_same(run: Run, key: tuple[str, int]) -> None:
    """Refuse to keep what was measured of a run that has been replaced since.

    Raises:
        UserError: it has been.
    """
    if run_key(run) != key:
        raise UserError(f"run {run.name} has been replaced meanwhile; measure again.")


def open_run(folder: Path) -> Run:
    """The run in a folder, checked once.

    Raises:
        UserError: it is missing or damaged.
    """
    try:
        changed = (folder / MANIFEST).stat().st_mtime_ns
    except OSError as error:
        raise UserError(f"run {folder} is not there any more.") from error
    return _open_run(str(folder), changed)


@st.cache_resource(max_entries=16, show_spinner="Opening the run …")
def _open_run(folder: str, changed: int) -> Run:
    return Run.load(folder)


@st.cache_resource(max_entries=3, show_spinner="Loading the model …", hash_funcs=_RUN)
def model(run: Run) -> TaskModel:
    loaded = run.model()
    # What is loaded stays; the garbage collector need not look at it after each click.
    gc.collect()
    gc.freeze()
    return loaded


@st.cache_resource(max_entries=3, show_spinner=False, hash_funcs=_RUN)
def tokenizer(run: Run) -> PreTrainedTokenizerBase:
    return run.tokenizer()


@st.cache_resource(max_entries=2, show_spinner="Loading the examples …", hash_funcs=_RUN)
def examples(run: Run) -> RunExamples:
    """The run's examples, tokenized when first asked for.

    Raises:
        UserError: they are not there any more.
    """
    return load_examples(run)


def reproduction_results(folder: Path) -> tuple[list[Result], list[UserError]]:
    """The results of reproductions, read anew where a file has changed, and why others are left out."""
    files = [(str(path), path.stat().st_mtime_ns) for path in list_results(folder)]
    return _reproduction_results(str(folder), tuple(files))


@st.cache_resource(max_entries=4, show_spinner="Reading the results …")
def _reproduction_results(
    folder: str, files: tuple[tuple[str, int], ...]
) -> tuple[list[Result], list[UserError]]:
    results, damaged = [], []
    for path, _ in files:
        try:
            results.append(read_result(Path(path)))
        except UserError as error:
            damaged.append(error)
    return results, damaged


def reproduction_without(root: Path) -> Mapping[str, str]:
    """Tasks that cannot be measured with the data at hand, and why, as the checkout's plan says."""
    path = root / PLAN_FILE
    return _without(str(path), path.stat().st_mtime_ns) if path.is_file() else {}


@st.cache_resource(max_entries=4, show_spinner=False)
def _without(path: str, changed: int) -> Mapping[str, str]:
    return read_plan(Path(path)).without


def ablation(run: Run) -> HeadAblation | None:
    """What the network loses without each of its heads, if that was measured.

    Raises:
        UserError: the file cannot be read.
    """
    kept = run.folder / ABLATION
    return _ablation(run, kept.stat().st_mtime_ns) if kept.is_file() else None


def ranked_alike(run: Run) -> str:
    """How well importance ranks the heads by what removing them does; it must have been measured."""
    return _ranked_alike(run, (run.folder / ABLATION).stat().st_mtime_ns)


@st.cache_data(max_entries=32, show_spinner=False, hash_funcs=_RUN)
def _ranked_alike(run: Run, kept: int) -> str:
    found = _ablation(run, kept)
    return "" if found is None else wording.ranked_alike(found)


@st.cache_data(max_entries=32, show_spinner=False, hash_funcs=_RUN)
def _ablation(run: Run, kept: int) -> HeadAblation | None:
    return run.ablation


def results(run: Run) -> pd.DataFrame:
    """The run's results of sub-networks that keep all tokens, with those that were measured since.

    Raises:
        UserError: the latter cannot be read.
    """
    return keeping_all_tokens(all_results(run))


def all_results(run: Run) -> pd.DataFrame:
    """Those of `results`, and of sub-networks that drop tokens."""
    measured = run.folder / MEASURED
    return _results(run, measured.stat().st_mtime_ns if measured.is_file() else 0)


@st.cache_data(max_entries=32, show_spinner=False, hash_funcs=_RUN)
def _results(run: Run, measured: int) -> pd.DataFrame:
    return run.all_results


def reported_results(run: Run) -> pd.DataFrame:
    """Those of `results` that the run's recipe reports."""
    return run.among_reported(results(run))


@st.cache_data(max_entries=8, show_spinner="Reading the sentence …", hash_funcs=_RUN)
def attention(run: Run, texts: tuple[str, ...], subnet: Subnet) -> AttentionMaps:
    loaded, reader = model(run), tokenizer(run)
    with _TOKENIZER:
        return attention_maps(loaded, reader, texts, subnet, run.info.max_tokens)


@st.cache_resource(max_entries=16, show_spinner="Reading the sentence …", hash_funcs=_RUN)
def query_key(run: Run, texts: tuple[str, ...], subnet: Subnet) -> QueryKey:
    loaded, reader = model(run), tokenizer(run)
    with _TOKENIZER:
        return find_query_key(loaded, reader, texts, subnet, run.info.max_tokens)


@st.cache_data(max_entries=256, show_spinner=False, hash_funcs=_RUN)
def kept_heads(run: Run, subnet: Subnet) -> np.ndarray:
    return find_kept_heads(model(run), subnet)


@st.cache_data(max_entries=32, show_spinner=False, hash_funcs=_RUN)
def head_order(run: Run) -> np.ndarray:
    return find_head_order(model(run))


@st.cache_data(max_entries=32, show_spinner=False, hash_funcs=_RUN)
def neuron_order(run: Run) -> np.ndarray:
    return find_neuron_order(model(run))


def cut_to_fit(run: Run, text: str) -> tuple[str, int]:
    """As much of a sentence as the run's model was trained to read, and how many tokens were cut."""
    with _TOKENIZER:
        return cut_text(tokenizer(run), text, run.info.max_tokens)


@st.cache_resource(max_entries=16, show_spinner="Writing the sentences …", hash_funcs=_RUN)
def sentences(run: Run, text: str | None) -> list[Sentence]:
    """One sentence, or (None) those of the teaching set, as the run's model reads them.

    Raises:
        UserError: an empty sentence, or one that is too long.
    """
    with _TOKENIZER:
        if text is None:
            return teaching_sentences(tokenizer(run), max_tokens=run.info.max_tokens)
        return read_sentences(tokenizer(run), [text], max_tokens=run.info.max_tokens)


@st.cache_resource(max_entries=8, show_spinner="Reading the sentences …", hash_funcs=_RUN)
def attention_over(run: Run, text: str | None, subnet: Subnet) -> list[np.ndarray]:
    return attention_of(model(run), sentences(run, text), subnet)


@st.cache_resource(max_entries=64, show_spinner="Looking for functions …", hash_funcs=_RUN)
def functions(run: Run, text: str | None, subnet: Subnet) -> FunctionProfile:
    return function_profile(attention_over(run, text, subnet), sentences(run, text))


@st.cache_resource(max_entries=64, show_spinner="Comparing heads …", hash_funcs=_RUN)
def fusion(run: Run, text: str | None, subnet: Subnet) -> Fusion:
    full = attention_over(run, text, Subnet())
    return measure_fusion(attention_over(run, text, subnet), full, sentences(run, text))


@st.cache_data(max_entries=32, show_spinner="Asking every sub-network …", hash_funcs=_RUN)
def answers(
    run: Run, texts: tuple[str, ...], subnets: tuple[Subnet, ...]
) -> tuple[list[Answer], int]:
    loaded, reader = model(run), tokenizer(run)
    with _TOKENIZER:  # and no two texts are timed at once
        return answer_all(loaded, reader, texts, subnets, max_tokens=run.info.max_tokens)


@st.cache_data(max_entries=32, show_spinner="Asking every sub-network …", hash_funcs=_RUN)
def span_answers(
    run: Run, question: str, passage: str, subnets: tuple[Subnet, ...]
) -> list[SpanAnswer]:
    """The answers of a run that answers questions."""
    loaded, reader, info = model(run), tokenizer(run), run.info
    with _TOKENIZER:
        return answer_question(
            loaded,
            reader,
            question,
            passage,
            subnets=subnets,
            max_tokens=info.max_tokens,
            doc_stride=info.doc_stride,
        )


def question_tokens_cut(run: Run, question: str) -> int:
    """How many tokens of a question are not read."""
    loaded, reader = model(run), tokenizer(run)
    with _TOKENIZER:
        return find_question_cut(loaded, reader, question, run.info.max_tokens)


@st.cache_data(max_entries=32, show_spinner="Timing every sub-network …", hash_funcs=_RUN)
def span_latencies(
    run: Run, question: str, passage: str, subnets: tuple[Subnet, ...]
) -> list[Latency]:
    """How long they take for them."""
    loaded, reader, info = model(run), tokenizer(run), run.info
    with _TOKENIZER:  # and no two texts are timed at once
        return time_answers(
            loaded,
            reader,
            question,
            passage,
            subnets=subnets,
            max_tokens=info.max_tokens,
            doc_stride=info.doc_stride,
        )


@st.cache_resource(max_entries=16, show_spinner="Following the tokens …", hash_funcs=_RUN)
def survivors(run: Run, texts: tuple[str, ...], subnets: tuple[Subnet, ...]) -> list[Survivors]:
    loaded, reader = model(run), tokenizer(run)
    with _TOKENIZER:
        return find_survivors(loaded, reader, texts, subnets, run.info.max_tokens)


@st.cache_resource(
    max_entries=16, show_spinner="Dropping one token after another …", hash_funcs=_RUN
)
def needed_tokens(
    run: Run, texts: tuple[str, ...], subnet: Subnet, *, num_layers: int | None
) -> NeededTokens:
    loaded, reader = model(run), tokenizer(run)
    with _TOKENIZER:
        text = read_text(loaded, reader, texts, run.info.max_tokens)
    return needed_tokens_of(loaded, text, subnet, num_layers=num_layers)


@st.cache_data(max_entries=256, show_spinner=False, hash_funcs=_RUN)
def pass_seconds(run: Run, subnet: Subnet, tokens: int) -> float:
    """About how long one text takes."""
    setup = LatencySetup(tokens=tokens, repeats=2, warm_up=1)
    (latency,) = measure_latency(model(run), [subnet], setup)
    return latency.median_ms / 1000


@st.cache_resource(max_entries=16, show_spinner="Reading the sentence …", hash_funcs=_RUN)
def atlas(run: Run, texts: tuple[str, ...], also: Subnet | None = None) -> MapAtlas:
    """The attention maps of every sub-network; of a long text, of those that the run reports.

    also: one that is there in any case.
    """
    loaded, reader = model(run), tokenizer(run)
    with _TOKENIZER:
        return read_atlas(run, texts, also=also, model=loaded, tokenizer=reader)


class _Latest(OrderedDict[str, Any]):
    """What background work has found, by its key: the latest few."""

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        while len(self) > MOST_KEPT:
            self.popitem(last=False)


@st.cache_resource(show_spinner=False)
def finished_pages() -> _Latest:
    """Pages that background work has written, by its key."""
    return _Latest()


@st.cache_resource(show_spinner=False)
def choices() -> _Latest:
    """Choices within a budget, each with when it was measured, by the key of the work."""
    return _Latest()


def finished_page(key: str) -> str | None:
    return finished_pages().get(key)
