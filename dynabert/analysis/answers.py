"""What every sub-network answers to one text, and where they begin to disagree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import softmax
from transformers import PreTrainedTokenizerBase

from dynabert.analysis.attention_maps import as_inputs, encode_texts
from dynabert.evaluation.cost import num_params
from dynabert.evaluation.latency import Latency, time_passes
from dynabert.modeling.models import DynaBertForSequenceClassification
from dynabert.subnet import Subnet


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """What one sub-network answers, and how fast."""

    subnet: Subnet
    logits: np.ndarray  # (C,); of a regression (1,), the value itself
    num_params: int  # of its Transformer layers
    latency: Latency  # of this text, in a batch of one

    @property
    def probabilities(self) -> np.ndarray:
        """(C,) softmax of the logits, for a classification."""
        return np.asarray(softmax(self.logits))

    @property
    def choice(self) -> int:
        """Number of the answered class; 0 of a regression."""
        return int(self.logits.argmax())


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
    """The largest sub-network that answers another class than the largest of all; None if none does."""
    by_size = sorted(answers, key=lambda answer: answer.num_params, reverse=True)
    return next((one for one in by_size if one.choice != by_size[0].choice), None)
