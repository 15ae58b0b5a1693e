"""A governor answers each request with the best sub-network that fits the time it has.

Every request has a budget. What each sub-network takes for a text of that length is read from this
machine's latency table, times a factor that follows what passes really took: when other work makes the
machine slower, the governor moves to faster sub-networks, and back when it is over.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from dynabert.errors import UserError
from dynabert.evaluation.latency_table import LatencyTable, Values, existing_latency_table
from dynabert.modeling.models import DynaBertForSequenceClassification
from dynabert.runs import Run
from dynabert.serving.cascade import Cascade, check_classifies, margins
from dynabert.serving.ladder import Rung, pareto_ladder
from dynabert.serving.safety import Adaptation, SafetyFactor
from dynabert.subnet import Subnet

Text = str | tuple[str, str]  # a text or a pair
KEPT_RECORDS = 1000


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The sub-network that a request gets."""

    subnet: Subnet
    score: float  # on dev
    predicted_ms: float  # of a pass, by the latency table
    expected_ms: float  # times the safety factor
    fits: bool  # False: none does, and this is the fastest


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One forward pass of a request."""

    subnet: Subnet
    tokens: int  # of the longest text in it
    batch_size: int
    predicted_ms: float  # by the latency table, without the safety factor
    measured_ms: float


@dataclass(frozen=True, kw_only=True)
class Record:
    """What became of a request."""

    tokens: int  # of its longest text
    batch_size: int
    budget_ms: float
    elapsed_ms: float  # tokenizing included
    fits: bool  # whether it was expected to be in time
    passes: tuple[Pass, ...]  # two where a cascade went on

    @property
    def subnet(self) -> Subnet:
        """The best sub-network that answered."""
        return self.passes[-1].subnet

    @property
    def predicted_ms(self) -> float:
        return sum(one.predicted_ms for one in self.passes)

    @property
    def measured_ms(self) -> float:
        return sum(one.measured_ms for one in self.passes)

    @property
    def met(self) -> bool:
        """Whether it was in time."""
        return self.elapsed_ms <= self.budget_ms


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """The answers to the B texts of a request."""

    logits: np.ndarray  # (B, C); of a regression (B, 1), the value itself
    subnets: tuple[Subnet, ...]  # (B,) that answered
    unsure: np.ndarray  # (B,) True where a cascade wanted a better one and there was no time for it
    record: Record

    @property
    def choices(self) -> np.ndarray:
        """(B,) numbers of the answered classes.

        Raises:
            UserError: they are those of a regression, which answers by `values`.
        """
        if self._of_regression:
            raise UserError("a regression answers by numbers, not by classes: read answer.values.")
        return np.asarray(self.logits.argmax(-1))

    @property
    def values(self) -> np.ndarray:
        """(B,) predicted numbers.

        Raises:
            UserError: they are those of a classifier, which answers by `choices`.
        """
        if not self._of_regression:
            raise UserError("a classifier answers by classes, not by numbers: read answer.choices.")
        return np.asarray(self.logits[:, 0])

    @property
    def _of_regression(self) -> bool:
        return self.logits.shape[-1] == 1


class Governor:
    """Answers requests within a budget; several threads may ask at once.

    model: a classifier or a regression, in eval mode.
    ladder: the sub-networks to choose from, as from `pareto_ladder`.
    tables: latency tables of this model and machine, each for another number of texts per pass; between
    those numbers predictions are linear.
    adaptation: how the safety factor learns; None believes the tables, whatever passes take.
    cascade: begins with a fast sub-network; it must be on the ladder.
    max_tokens: longest text, special tokens included; longer ones are cut. Left out, the longest that
    model and tables are about.
    clock: seconds, of any beginning.
    kept: so many of the latest requests are in `records`.

    Raises:
        UserError: nothing to choose from, a table of another model, or another kind of model.
    """

    def __init__(
        self,
        model: DynaBertForSequenceClassification,
        tokenizer: PreTrainedTokenizerBase,
        ladder: Sequence[Rung],
        tables: Sequence[LatencyTable],
        *,
        adaptation: Adaptation | None = Adaptation(),  # noqa: B008 (frozen)
        cascade: Cascade | None = None,
        max_tokens: int | None = None,
        clock: Callable[[], float] = time.perf_counter,
        kept: int = KEPT_RECORDS,
    ) -> None:
        if not isinstance(model, DynaBertForSequenceClassification):
            raise UserError("a governor runs classifiers and regressions, not networks for spans.")
        if model.training:
            raise UserError("the model drops units at random; call model.eval() first.")
        if not ladder or not tables:
            raise UserError("a governor needs one sub-network and one latency table at least.")
        longest = min(model.config.max_tokens, *(table.max_tokens for table in tables))
        if max_tokens is not None and not 1 <= max_tokens <= longest:
            raise UserError(
                f"max_tokens must be from 1 to {longest}, which model and latency tables are about, "
                f"got {max_tokens}."
            )
        self.model, self.tokenizer, self.ladder = model, tokenizer, tuple(ladder)
        self.max_tokens = max_tokens or longest
        self.cascade = cascade
        by_size = sorted(tables, key=lambda table: table.batch_size)
        self._batch_sizes = [table.batch_size for table in by_size]
        if len(set(self._batch_sizes)) < len(tables):
            raise UserError("two latency tables are for the same number of texts per pass.")
        # (tables, rungs, tokens), worked out once: reading a table takes as long as a small pass.
        lengths = range(1, self.max_tokens + 1)
        self._times = np.array(
            [
                [table.predict_lengths(model, rung.subnet, lengths) for rung in self.ladder]
                for table in by_size
            ]
        )
        if cascade is not None:
            check_classifies(model)
            if cascade.first not in [rung.subnet for rung in self.ladder]:
                raise UserError(f"the cascade begins with {cascade.first}, which is no rung.")
            if self._batch_sizes[0] > 1:  # what goes on may be one text of many
                raise UserError("a cascade needs a latency table for one text per pass.")
        self._safety = SafetyFactor(adaptation)
        self._clock = clock
        self._records: deque[Record] = deque(maxlen=kept)
        # Padding and cutting are settings of the tokenizer, which two threads may not set at once.
        self._tokenizing = threading.Lock()

    @classmethod
    def of_run(
        cls,
        run: Run,
        *,
        batch_sizes: Sequence[int] = (1,),
        max_tokens: int | None = None,
        least_score: float = float("-inf"),
        **options: Any,
    ) -> Self:
        """A governor of a run's best sub-networks, with its latency tables of this machine.

        batch_sizes: of the tables.  max_tokens: left out, as the run was trained.
        least_score: on dev, of the sub-networks to choose from.  options: as of the class.

        Raises:
            UserError: the run has no such tables (the message says what measures one) or scores.
        """
        model = run.model()
        if not isinstance(model, DynaBertForSequenceClassification):
            raise UserError(f"{run.name} answers by spans; a governor runs classifiers.")
        tokens = min(max_tokens or run.info.max_tokens, model.config.max_tokens)
        tables = [existing_latency_table(run.folder, model, size, tokens) for size in batch_sizes]
        ladder = pareto_ladder(
            run.all_results,
            run.info.task.metric,
            model,
            tables[0],
            tokens=tokens,
            least_score=least_score,
        )
        return cls(model, run.tokenizer(), ladder, tables, max_tokens=tokens, **options)

    @property
    def safety_factor(self) -> float:
        """What predictions are multiplied by now."""
        return self._safety.value

    @property
    def records(self) -> tuple[Record, ...]:
        """The latest requests, oldest first."""
        return tuple(self._records)

    def choose(self, tokens: int, budget_ms: float, batch_size: int = 1) -> Choice:
        """The best-scoring sub-network whose pass is expected to take at most `budget_ms`, or the
        fastest where none is. Of equal scores it is the faster one.

        tokens: of the longest text.

        Raises:
            UserError: tokens or texts that the tables are not about, or a budget that is not above 0.
        """
        _check_budget(budget_ms)
        return self._choose(tokens, budget_ms, batch_size)

    def answer(self, texts: Text | Sequence[Text], budget_ms: float) -> Answer:
        """The answers to some texts, or pairs of texts (as tuples in a list), in one request.

        Time counts from the call on: what tokenizing takes is not there for the network.

        Raises:
            UserError: no text or an empty one, more texts than the tables are about, or a budget that
            is not above 0.
        """
        started = self._clock()
        _check_budget(budget_ms)
        return self._answer(self._encode(texts), budget_ms, started)

    def answer_inputs(self, inputs: Mapping[str, Tensor], budget_ms: float) -> Answer:
        """The same of what a tokenizer made of the texts: input_ids, attention_mask, perhaps
        token_type_ids, (B, S) each. Padding is cut off as far as it is all texts'.

        Raises:
            UserError: as `answer`, or more tokens than the tables are about.
        """
        started = self._clock()
        _check_budget(budget_ms)
        return self._answer(_trimmed(inputs), budget_ms, started)

    def _choose(self, tokens: int, budget_ms: float, batch_size: int) -> Choice:
        predicted = self._predicted(tokens, batch_size)
        expected = predicted * self._safety.value
        fitting = np.flatnonzero(expected <= budget_ms).tolist()
        if fitting:
            best = max(fitting, key=lambda rung: (self.ladder[rung].score, -predicted[rung]))
        else:
            best = int(predicted.argmin())
        return Choice(
            subnet=self.ladder[best].subnet,
            score=self.ladder[best].score,
            predicted_ms=float(predicted[best]),
            expected_ms=float(expected[best]),
            fits=bool(fitting),
        )

    def _predicted(self, tokens: int, batch_size: int) -> Values:
        """(rungs,) milliseconds of a pass, by the tables."""
        sizes = self._batch_sizes
        if not 1 <= tokens <= self.max_tokens:
            raise UserError(f"this governor is about 1 to {self.max_tokens} tokens, got {tokens}.")
        if not sizes[0] <= batch_size <= sizes[-1]:
            raise UserError(
                f"the latency tables are about {sizes[0]} to {sizes[-1]} texts per pass, got {batch_size}."
            )
        times = self._times[:, :, tokens - 1]
        upper = int(np.searchsorted(sizes, batch_size))
        if sizes[upper] == batch_size:
            return np.asarray(times[upper])
        share = (batch_size - sizes[upper - 1]) / (sizes[upper] - sizes[upper - 1])
        return np.asarray((1 - share) * times[upper - 1] + share * times[upper])

    def _encode(self, texts: Text | Sequence[Text]) -> dict[str, Tensor]:
        some = [texts] if isinstance(texts, str) else list(texts)
        pairs = [(one,) if isinstance(one, str) else tuple(one) for one in some]
        kinds = {len(one) for one in pairs}
        if kinds not in ({1}, {2}) or not all(part.strip() for one in pairs for part in one):
            raise UserError(f"give texts, or pairs, none of them empty; got {some!r:.200}.")
        with self._tokenizing:
            encoded = self.tokenizer(
                *(list(column) for column in zip(*pairs, strict=True)),
                padding=True,
                truncation="longest_first",
                max_length=self.max_tokens,
                return_tensors="pt",
            )
        return dict(encoded)

    def _answer(self, inputs: dict[str, Tensor], budget_ms: float, started: float) -> Answer:
        batch_size, tokens = inputs["input_ids"].shape
        choice = self._choose(tokens, self._left(budget_ms, started), batch_size)
        passes: list[Pass] = []
        fits, unsure = choice.fits, np.zeros(batch_size, dtype=bool)
        first = self._first_of_cascade()
        if first is None or not choice.fits or choice.score <= first.score:
            logits = self._pass(inputs, choice.subnet, passes)
            subnets = [choice.subnet] * batch_size
        else:
            logits = self._pass(inputs, first.subnet, passes)
            subnets = [first.subnet] * batch_size
            unsure = margins(logits) < self.cascade.threshold if self.cascade else unsure
            rows = np.flatnonzero(unsure)
            if len(rows):
                rest = _trimmed({name: value[rows] for name, value in inputs.items()})
                left = self._left(budget_ms, started)
                better = self._choose(rest["input_ids"].shape[1], left, len(rows))
                if better.fits and better.score > first.score:
                    logits[rows] = self._pass(rest, better.subnet, passes)
                    for row in rows.tolist():
                        subnets[row] = better.subnet
                    unsure = np.zeros_like(unsure)
        record = Record(
            tokens=tokens,
            batch_size=batch_size,
            budget_ms=budget_ms,
            elapsed_ms=1000 * (self._clock() - started),
            fits=fits,
            passes=tuple(passes),
        )
        self._records.append(record)
        return Answer(logits=logits, subnets=tuple(subnets), unsure=unsure, record=record)

    @torch.inference_mode()
    def _pass(self, inputs: Mapping[str, Tensor], subnet: Subnet, passes: list[Pass]) -> np.ndarray:
        """(B, C) logits; the pass is noted, and what it took learned from."""
        batch_size, tokens = inputs["input_ids"].shape
        place = next(n for n, rung in enumerate(self.ladder) if rung.subnet == subnet)
        predicted = float(self._predicted(tokens, batch_size)[place])
        began = self._clock()
        moved = {name: value.to(self.model.device) for name, value in inputs.items()}
        logits: np.ndarray = self.model(**moved, subnet=subnet).logits.double().cpu().numpy()
        measured = 1000 * (self._clock() - began)
        if predicted > 0:
            self._safety.add(measured / predicted)
        passes.append(
            Pass(
                subnet=subnet,
                tokens=tokens,
                batch_size=batch_size,
                predicted_ms=predicted,
                measured_ms=measured,
            )
        )
        return logits

    def _first_of_cascade(self) -> Rung | None:
        if self.cascade is None:
            return None
        return next(rung for rung in self.ladder if rung.subnet == self.cascade.first)

    def _left(self, budget_ms: float, started: float) -> float:
        return budget_ms - 1000 * (self._clock() - started)


def _check_budget(budget_ms: float) -> None:
    if not budget_ms > 0:
        raise UserError(f"budget_ms must be above 0 milliseconds, for example 20, got {budget_ms}.")


def _trimmed(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without the columns that are padding in every row, and without what is no input of the network."""
    mask = inputs.get("attention_mask")
    if mask is None:
        mask = torch.ones_like(inputs["input_ids"])
    real = mask.bool().any(0).nonzero()
    if not len(real):
        raise UserError("there is no token to read.")
    longest = int(real[-1]) + 1
    return {
        name: (mask if name == "attention_mask" else inputs[name])[:, :longest]
        for name in ("input_ids", "attention_mask", "token_type_ids")
        if name in inputs or name == "attention_mask"
    }
