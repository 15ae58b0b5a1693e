"""What the network loses without one of its heads: measured, not estimated.

First-order importance (`dynabert.importance`) says what removing a head would change if the loss
were linear. Here each head is removed in turn, by a mask on its output, and the loss and the metric
are computed again, as in Michel et al., "Are Sixteen Heads Really Better than One?" (1905.10650),
Sec. 3.2.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file
from scipy import stats

from dynabert.analysis.removed_heads import logits_without_each_head
from dynabert.data.encoding import Encoded, drawn_rows, sorted_batches
from dynabert.errors import UserError
from dynabert.evaluation.quality import new_tally
from dynabert.files import new_file
from dynabert.importance import compute_importance, in_original_order
from dynabert.modeling.evaluating import evaluating
from dynabert.modeling.models import TaskModel
from dynabert.subnet import FULL, check_keeps_all_tokens

Values = NDArray[np.floating]

_MAPS = ("importance", "loss_change", "loss_change_error", "loss_moved", "metric_change")


@dataclass(frozen=True, kw_only=True, eq=False)
class HeadAblation:
    """The full network without each of its heads, one at a time.

    Arrays are (L, H), layers and heads numbered as in the network the model was made from; NaN
    where the model has no such head.
    """

    importance: Values  # first-order estimate, in the same network on the same examples
    # Mean over the examples (of spans: the windows) of: loss without the head - loss with it.
    loss_change: Values
    loss_change_error: Values  # standard error of that mean
    loss_moved: Values  # mean of the absolute change: what first-order importance estimates
    metric_change: Values  # metric without the head - metric with it
    metric: str
    score: float  # of the full network
    loss: float  # of the full network
    num_examples: int
    split: str

    def table(self) -> pd.DataFrame:
        """A row per head: layer and head (from 1) and the five numbers; largest change of loss first."""
        places = np.nonzero(~np.isnan(self.loss_change))
        columns = {name: getattr(self, name)[places].astype(float) for name in _MAPS}
        table = pd.DataFrame({"layer": places[0] + 1, "head": places[1] + 1, **columns})
        return table.sort_values("loss_change", ascending=False, kind="stable", ignore_index=True)

    def save(self, path: Path) -> None:
        """Write a safetensors file, whole; the description goes into its metadata."""
        arrays = {name: np.asarray(getattr(self, name), np.float32) for name in _MAPS}
        about = {
            "metric": self.metric,
            "score": repr(self.score),
            "loss": repr(self.loss),
            "num_examples": str(self.num_examples),
            "split": self.split,
        }
        with new_file(path) as partial:
            save_file(arrays, partial, about)
            partial.chmod(0o644)  # safetensors files come readable by their owner alone

    @classmethod
    def load(cls, path: Path) -> HeadAblation:
        """Read what `save` wrote."""
        with safe_open(path, "np") as file:
            arrays = {name: file.get_tensor(name) for name in _MAPS}
            if len({array.shape for array in arrays.values()}) != 1 or arrays[_MAPS[0]].ndim != 2:
                raise ValueError("its arrays are not all of one shape (layers, heads)")
            about = file.metadata() or {}
        return cls(
            **arrays,
            metric=about["metric"],
            score=float(about["score"]),
            loss=float(about["loss"]),
            num_examples=int(about["num_examples"]),
            split=about["split"],
        )


def ablate_heads(
    model: TaskModel,
    split: Encoded,
    *,
    metric: str,
    split_name: str = "dev",
    num_examples: int | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> HeadAblation:
    """Remove each head of the full network in turn and measure its loss and metric on a split.

    Runs in the model's own precision, without dropout.
    metric: a name as `dynabert.evaluation.quality.evaluate_many` takes them.
    split_name: what to call the split.
    num_examples: at most so many, drawn without replacement from seed; None takes all.
    on_progress: called with the number of examples done, and the total.

    Raises:
        UserError: fewer than two examples, or a network that drops tokens.
    """
    check_keeps_all_tokens(FULL.resolve(model.config.shape), "Effects of heads")
    total = split.num_examples
    if min(total, total if num_examples is None else num_examples) < 2:
        raise UserError(
            f"heads are removed on at least 2 examples; there are {total}, asked for "
            f"{'all' if num_examples is None else num_examples}."
        )
    config = model.config
    shape = config.shape
    size = (shape.num_layers, max(shape.heads))
    places = [(layer, head) for layer in range(size[0]) for head in range(shape.heads[layer])]
    part = split.select(drawn_rows(total, num_examples, seed))
    full, without = new_tally(model, part, 1), new_tally(model, part, len(places))
    importance = np.zeros(size)
    done = 0
    with evaluating(model):
        # Estimate and removal of a batch together: progress is of both.
        for rows in sorted_batches(part.lengths, batch_size or full.batch_size):
            batch = part.batch(rows)
            estimate = compute_importance(model, [batch]).heads.double()
            importance += estimate.numpy() * (len(rows) / len(part))
            whole, lacking = logits_without_each_head(model, batch)
            full.add(rows, [logits.float().cpu().numpy()[None] for logits in whole])
            without.add(rows, [logits.float().cpu().numpy() for logits in lacking])
            done += len(rows)
            if on_progress is not None:
                on_progress(done * part.num_examples // len(part), part.num_examples)

    base_losses, base_score = full.losses(0), full.scores(0, (metric,))[metric]
    maps = {name: np.full(size, np.nan) for name in _MAPS}
    maps["importance"] = importance
    for number, place in enumerate(places):
        change = without.losses(number) - base_losses
        maps["loss_change"][place] = change.mean()
        maps["loss_change_error"][place] = change.std(ddof=1) / np.sqrt(len(change))
        maps["loss_moved"][place] = np.abs(change).mean()
        maps["metric_change"][place] = without.scores(number, (metric,))[metric] - base_score
    return HeadAblation(
        **{
            name: in_original_order(model, torch.from_numpy(values), "heads").numpy()
            for name, values in maps.items()
        },
        metric=metric,
        score=base_score,
        loss=float(base_losses.mean()),
        num_examples=part.num_examples,
        split=split_name,
    )


@dataclass(frozen=True, kw_only=True)
class RankCorrelation:
    """Spearman's rank correlation with a 95 % interval."""

    value: float
    low: float
    high: float
    num_heads: int


def rank_correlation(
    first: np.ndarray, second: np.ndarray, *, within_layers: bool = False, seed: int = 0
) -> RankCorrelation | None:
    """How alike two maps (L, H) rank the heads; NaN in either leaves a head out.

    None where there is nothing to rank: fewer than three heads, or all of them equal.

    within_layers: heads are ranked in their own layer, as rewiring does, instead of all together.
    The interval is the 2.5 and 97.5 percentiles of 2,000 bootstrap samples of the heads.
    """
    known = ~(np.isnan(first) | np.isnan(second))
    if known.sum() < 3:
        return None
    pairs = np.stack([first[known], second[known]])
    if within_layers:
        layers = np.nonzero(known)[0]
        for layer, row in itertools.product(np.unique(layers), (0, 1)):
            inside = layers == layer
            ranks = stats.rankdata(pairs[row, inside])
            pairs[row, inside] = (ranks - ranks.mean()) / len(ranks)
    value = _spearman(pairs[0], pairs[1])
    if np.isnan(value):
        return None
    drawn = np.random.default_rng(seed).integers(0, pairs.shape[1], (2000, pairs.shape[1]))
    samples = _spearman(pairs[0, drawn], pairs[1, drawn])
    low, high = np.nanpercentile(samples, (2.5, 97.5))
    return RankCorrelation(
        value=float(value), low=float(low), high=float(high), num_heads=pairs.shape[1]
    )


def _spearman(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Along the last axis; NaN where all are equal."""
    ranks = [stats.rankdata(values, axis=-1) for values in (first, second)]
    a, b = (values - values.mean(-1, keepdims=True) for values in ranks)
    with np.errstate(invalid="ignore"):
        return (a * b).sum(-1) / np.sqrt((a**2).sum(-1) * (b**2).sum(-1))
