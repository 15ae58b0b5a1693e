"""Which tokens an answer needs: each is dropped alone, and the answer is read again.

Attention received says which tokens LengthDrop keeps; this says what the answer would lose without
them. Measured as comprehensiveness and sufficiency are (DeYoung et al., ERASER, 1911.03429, Sec. 4),
but with Drop-and-Restore in place of deletion: no other token moves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from scipy.special import log_softmax, softmax
from scipy.stats import spearmanr
from torch import Tensor
from transformers import BatchEncoding, PreTrainedTokenizerBase

from dynabert.analysis.attention_maps import as_inputs, encode_texts, token_texts
from dynabert.analysis.survivors import received_shares
from dynabert.errors import UserError
from dynabert.evaluation.spans import best_spans
from dynabert.modeling.heads import joined
from dynabert.modeling.models import TaskModel
from dynabert.modeling.tokens import Counts, Tokens
from dynabert.subnet import ExecutedLayer, Subnet

MOST_KEPT = 32  # numbers of kept tokens that are tried
_ROWS = 8192  # tokens in one pass


@dataclass(frozen=True, kw_only=True, eq=False)
class NeededTokens:
    """What the answer of one sub-network to one text loses without each of its tokens.

    NaN and False stand where a token cannot be dropped: a classifier reads its first.
    """

    subnet: Subnet
    tokens: tuple[str, ...]  # (S,) special tokens included
    layers: tuple[int, ...]  # (L,) executed ones, numbered as in the original network
    # (L, S) when the token enters neither that layer nor a later one: the probability of the answer
    # less what it is with all tokens; of a regression, the value less that with all tokens.
    change: np.ndarray
    other: np.ndarray  # (L, S) whether the answer is then another one; never of a regression
    received: np.ndarray  # (S,) share of the attention that a token receives, mean of the layers
    # From how many tokens on the answer stays the same, when those are kept that it needs most, or that
    # receive most attention: the same with every larger number that was tried. Of a regression None.
    enough_by_need: int | None
    enough_by_attention: int | None
    kept_step: int  # numbers of kept tokens were tried in steps of at most that
    num_cut: int  # tokens left out because the text was too long

    @property
    def needed(self) -> tuple[int, ...]:
        """Places of the tokens without which, from the first layer on, the answer is another."""
        return tuple(np.flatnonzero(self.other[0]).tolist())

    @property
    def need(self) -> np.ndarray:
        """(S,) what the answer loses without a token from the first layer on: probability; of a
        regression, how far its value moves."""
        return np.abs(self.change[0]) if self.enough_by_need is None else -self.change[0]

    @property
    def moves_most(self) -> int:
        """Place of the token without which, from the first layer on, the answer moves most."""
        return int(np.nanargmax(np.abs(self.change[0])))

    @property
    def rank_correlation(self) -> float:
        """Spearman's rho of the attention that tokens receive with need. NaN of fewer than three tokens,
        or where all are alike."""
        need, received = self.need, self.received
        known = ~np.isnan(need)
        if known.sum() < 3 or np.ptp(need[known]) == 0 or np.ptp(received[known]) == 0:
            return float("nan")
        return float(spearmanr(received[known], need[known]).statistic)

    def table(self) -> pd.DataFrame:
        """A row for each token of each layer: subnet, layer (from 1), place, token, change, other,
        received."""
        return pd.DataFrame(
            {
                "subnet": self.subnet.key,
                "layer": layer + 1,
                "place": place,
                "token": token,
                "change": float(self.change[row, place]),
                "other": bool(self.other[row, place]),
                "received": float(self.received[place]),
            }
            for row, layer in enumerate(self.layers)
            for place, token in enumerate(self.tokens)
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class ReadText:
    """A text, or a pair, as a model reads it."""

    encoded: BatchEncoding
    tokens: tuple[str, ...]  # (S,) as they are shown
    num_cut: int


def read_text(
    model: TaskModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    max_tokens: int | None = None,
) -> ReadText:
    """What `needed_tokens_of` takes; arguments and errors as of `needed_tokens`."""
    config = model.config
    encoded, num_cut = encode_texts(tokenizer, texts, config, max_tokens)
    if model.reads_all_tokens and 1 not in encoded.sequence_ids(0):
        raise UserError("give a question and a passage: there is nothing to find an answer in.")
    spelled = config.backbone == "roberta"
    names = token_texts(encoded, texts, tokenizer, spelled_by_bytes=spelled)
    return ReadText(encoded=encoded, tokens=names, num_cut=num_cut)


def needed_tokens(
    model: TaskModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    subnet: Subnet,
    max_tokens: int | None = None,
    *,
    num_layers: int | None = None,
) -> NeededTokens:
    """Drop each token of one text, or of a pair, alone, from each layer on.

    A sub-network that drops tokens itself goes on doing so.

    max_tokens: longest input, special tokens included; a longer one is cut. Left out, the longest that
    the model reads.
    num_layers: only from each of the first so many executed layers on.

    Raises:
        UserError: neither one nor two texts, or an empty one; no passage, where an answer is a part of
        it; or num_layers below 1.
    """
    text = read_text(model, tokenizer, texts, max_tokens)
    return needed_tokens_of(model, text, subnet, num_layers=num_layers)


def num_passes(tokens: int, layers: int, num_layers: int | None = None) -> float:
    """How many passes through all of a network's layers that is, at the most."""
    rows = layers if num_layers is None else min(num_layers, layers)
    return tokens * rows * (2 * layers - rows + 1) / (2 * layers) + 2 * (MOST_KEPT + 1)


@torch.inference_mode()
def needed_tokens_of(
    model: TaskModel, text: ReadText, subnet: Subnet, *, num_layers: int | None = None
) -> NeededTokens:
    """The same for a text that was read before."""
    if num_layers is not None and num_layers < 1:
        raise UserError(f"num_layers must be at least 1, got {num_layers}.")
    config, encoded = model.config, text.encoded
    inputs = as_inputs(encoded, model.device)
    resolved = subnet.resolve(config.shape)
    executed, size = resolved.executed, len(encoded["input_ids"])
    tokens = Tokens.of(
        model.backbone.embeddings(inputs["input_ids"], inputs.get("token_type_ids")), None
    )
    entered, received = list[Tokens](), np.zeros((len(executed), size))
    for row, layer in enumerate(executed):
        entered.append(tokens)
        tokens, probs = model.backbone.encoder.execute(tokens, layer, need_probs=True)
        assert probs is not None  # asked for
        received[row] = np.nan_to_num(received_shares(probs, entered[-1], size))
    answer = _Answer(joined(model.read(tokens.restored)).float().cpu().numpy(), encoded)

    places = np.arange(1 if model.backbone.encoder.keeps_first_token else 0, size)
    rows = len(executed) if num_layers is None else min(num_layers, len(executed))
    change, other = np.full((rows, size), np.nan), np.zeros((rows, size), dtype=bool)
    alone = np.ones((len(places), size), dtype=bool)
    alone[np.arange(len(places)), places] = False
    for row in range(rows):
        # LengthDrop leaves a token as it entered the layer that drops it: the one before.
        whole = entered[max(row - 1, 0)].restored
        logits = _read(model, entered[row], whole, executed[row:], alone)
        change[row, places] = answer.sureness(logits) - answer.sureness(answer.logits)
        other[row, places] = answer.differs(logits)

    share, enough = received.mean(0), dict[str, int]()
    orders = {"need": -change[0, places], "attention": share[places]} if answer.is_choice else {}
    for name, worth in orders.items():
        order = places[np.argsort(-worth, kind="stable")]  # what is kept longest comes first
        numbers = np.unique(np.linspace(0, len(order), MOST_KEPT + 1).round().astype(int))
        kept = np.ones((len(numbers), size), dtype=bool)
        kept[:, places] = False
        for variant, number in zip(kept, numbers, strict=True):
            variant[order[:number]] = True
        some = kept.any(1)  # without a single token there is nothing to read
        differs = answer.differs(_read(model, entered[0], entered[0].hidden, executed, kept[some]))
        last = np.flatnonzero(differs)
        first = min(int(last[-1]) + 1 if len(last) else 0, len(differs) - 1)
        enough[name] = int(kept[some][first].sum())
    layer_ids = config.layer_ids or []
    return NeededTokens(
        subnet=subnet,
        tokens=text.tokens,
        layers=tuple(layer_ids[layer] for layer in resolved.layers[:rows]),
        change=change,
        other=other,
        received=share,
        enough_by_need=enough.get("need"),
        enough_by_attention=enough.get("attention"),
        kept_step=-(-len(places) // MOST_KEPT),
        num_cut=text.num_cut,
    )


class _Answer:
    """What a network answers with all tokens, and how another answer compares with that."""

    def __init__(self, logits: np.ndarray, encoded: BatchEncoding) -> None:
        """logits: (1, C), or of spans (1, 2, S)."""
        self.logits = logits
        self.inside = np.array([part == 1 for part in encoded.sequence_ids(0)])
        self.is_choice = logits.shape[-1] > 1
        self.choice = self._choices(logits)[0]

    def sureness(self, logits: np.ndarray) -> np.ndarray:
        """(B,) probability of the answer; of a regression, the value."""
        if logits.ndim == 3:
            first, last = self.choice
            start, end = (log_softmax(logits[:, part], axis=-1) for part in (0, 1))
            return np.exp(start[:, first] + end[:, last])
        if not self.is_choice:
            return logits[:, 0]
        return np.asarray(softmax(logits, axis=-1)[:, self.choice[0]])

    def differs(self, logits: np.ndarray) -> np.ndarray:
        """(B,) whether another class, or another part of the passage, is answered."""
        if not self.is_choice:
            return np.zeros(len(logits), dtype=bool)
        return (self._choices(logits) != self.choice).any(1)

    def _choices(self, logits: np.ndarray) -> np.ndarray:
        if logits.ndim == 3:
            first, last, _ = best_spans(logits[:, 0], logits[:, 1], self.inside)
            return np.stack([first, last], axis=1)
        return logits.argmax(-1)[:, None]


def _read(
    model: TaskModel,
    entering: Tokens,
    whole: Tensor,
    executed: Sequence[ExecutedLayer],
    kept: np.ndarray,
) -> np.ndarray:
    """Logits of one text from a layer on, (B, C) or (B, 2, S), each time with other tokens kept.

    entering: what enters that layer; not what is dropped here.  whole: (1, S, D), what those stay like
    that are dropped.  kept: (B, S).
    """
    found = []
    for some in _chunks(kept):
        tokens = _keeping(entering, whole, torch.as_tensor(some, device=whole.device))
        for layer in executed:
            tokens, _ = model.backbone.encoder.execute(tokens, layer)
        found.append(joined(model.read(tokens.restored)).float().cpu().numpy())
    return np.concatenate(found)


def _chunks(kept: np.ndarray) -> Iterator[np.ndarray]:
    step = max(1, _ROWS // kept.shape[1])
    for begin in range(0, len(kept), step):
        yield kept[begin : begin + step]


def _keeping(tokens: Tokens, whole: Tensor, kept: Tensor) -> Tokens:
    """One text as a batch, each time without the tokens that are not kept (B, S)."""
    batch, size = kept.shape
    positions = tokens.positions
    if positions is None:
        positions = torch.arange(size, device=kept.device)[None]
    positions = positions.expand(batch, -1)
    real = kept.gather(1, positions)
    return Tokens(
        hidden=tokens.hidden.expand(batch, -1, -1),
        real=real,
        counted=Counts((size,) * batch, tuple(real.sum(1).tolist())),
        positions=positions,
        whole=whole.expand(batch, -1, -1),
    )
