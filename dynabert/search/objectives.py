"""What a search wants much of, quality, and little of, cost."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, get_args

from dynabert.data.encoding import Encoded, drawn_rows
from dynabert.errors import UserError
from dynabert.evaluation.cost import count_macs
from dynabert.evaluation.latency import LatencySetup, measure_latency
from dynabert.evaluation.latency_table import LatencyTable
from dynabert.evaluation.quality import evaluate
from dynabert.modeling.models import TaskModel
from dynabert.search.space import JointSpace
from dynabert.subnet import FULL, Subnet

Cost = Literal["macs", "latency", "modelled"]
COSTS: tuple[Cost, ...] = get_args(Cost)
UNITS: dict[Cost, str] = {"macs": "MACs", "latency": "ms", "modelled": "ms"}


class Objectives:
    """Quality and cost of sub-networks of one model, as a search measures them.

    Quality is the task's metric on a fixed part of a split: cheap, and the same for all. Latency is
    timed in turn with the full network's and told in units of one time of that, so that a slow moment
    of the machine, or of another process of the same search, makes nobody look slow.
    """

    def __init__(
        self,
        model: TaskModel,
        split: Encoded,
        *,
        metric: str,
        cost: Cost,
        setup: LatencySetup,
        num_examples: int | None,
        seed: int,
        full_ms: float | None = None,
        table: LatencyTable | None = None,
    ) -> None:
        """num_examples: of the split, drawn with the seed; None: all.

        full_ms: the full network's time, the unit of latency; None: it is measured now.
        table: what modelled latency is read from.
        """
        if (table is not None) != (cost == "modelled"):
            raise ValueError(f"a latency table is for cost modelled and nothing else, got {cost}")
        self.model, self.metric, self.cost, self.setup = model, metric, cost, setup
        self.split = split
        if num_examples is not None and num_examples < split.num_examples:
            self.split = split.select(drawn_rows(split.num_examples, num_examples, seed))
        if full_ms is None and cost == "latency":
            full_ms = full_network_ms(model, setup)
        self.full_ms = float("nan") if full_ms is None else full_ms
        self.table = table

    def predicted_cost(self, subnet: Subnet) -> float | None:
        """The cost where a formula or a table gives it; None where only measuring does."""
        if self.cost == "macs":
            return float(count_macs(self.model, subnet, self.setup.tokens))
        if self.table is not None:
            return self.table.predict(self.model, subnet, self.setup.tokens)
        return None

    def cost_of(self, subnet: Subnet) -> float:
        """In MACs of one text, or in milliseconds of one pass."""
        predicted = self.predicted_cost(subnet)
        if predicted is not None:
            return predicted
        full, this = measure_latency(self.model, [FULL, subnet], self.setup)
        return self.full_ms * this.median_ms / full.median_ms

    def quality_of(self, subnet: Subnet) -> float:
        """The metric; 0 where it is not defined: a correlation of answers that are all alike."""
        evaluation = evaluate(self.model, self.split, subnet, metrics=(self.metric,))
        score = evaluation.metrics[self.metric]
        return 0.0 if math.isnan(score) else score


def full_network_ms(model: TaskModel, setup: LatencySetup) -> float:
    """The median time of a pass of the full network."""
    (full,) = measure_latency(model, [FULL], setup)
    return full.median_ms


def check_feasible(
    space: JointSpace, cost: Cost, cost_of: Callable[[Subnet], float], at_most: float | None
) -> None:
    """Raise a UserError where even the smallest sub-network costs more than allowed.

    cost: which one `cost_of` gives.
    """
    if at_most is None:
        return
    subnet = space.subnet(space.smallest)
    value = cost_of(subnet)
    if value > at_most:
        raise UserError(
            f"nothing here costs at most {at_most:,.6g} {UNITS[cost]}: the smallest sub-network, {subnet}, "
            f"costs {value:,.6g}. Allow more, or let widths, depths or lengths be smaller."
        )
