"""OSE over the sub-networks of one network, which share its weights: their space and the three objectives."""

from __future__ import annotations

from collections.abc import Callable

from dynabert.analysis.survivors import dropping
from dynabert.data.encoding import Encoded, drawn_rows
from dynabert.errors import UserError
from dynabert.evaluation.cost import count_macs, num_params, num_params_total
from dynabert.evaluation.latency import measure_latency
from dynabert.evaluation.latency_table import LatencyTable
from dynabert.evaluation.quality import evaluate
from dynabert.importance import Importance
from dynabert.modeling.models import TaskModel
from dynabert.search.ose.objective import Member
from dynabert.search.ose.settings import Counted, SupernetSettings
from dynabert.search.per_layer import subnet_by_importance
from dynabert.subnet import ResolvedSubnet, SearchSpace, Subnet


def subnets_of(
    model: TaskModel, settings: SupernetSettings, importance: Importance | None
) -> list[Subnet]:
    """The sub-networks of the space, none of them twice under two names.

    Raises:
        UserError: widths by importance are asked for, and none was measured.
    """
    if settings.per_layer and importance is None:
        raise UserError(
            "this run has no importance of heads and neurons, so widths cannot be distributed over the "
            "layers by it; leave per_layer out."
        )
    shape = model.config.shape
    first: dict[ResolvedSubnet, Subnet] = {}
    for uniform in SearchSpace(settings.width_mults, settings.depth_mults):
        forms = [uniform]
        if importance is not None:
            forms += [
                subnet_by_importance(model, importance, uniform, comparison=comparison)
                for comparison in settings.per_layer
            ]
        for form in forms:
            for drop in sorted(settings.drops):
                (subnet,) = dropping(form, shape, drops=(drop,))
                first.setdefault(subnet.resolve(shape), subnet)
    return list(first.values())


def counter(counted: Counted) -> Callable[[TaskModel, Subnet], int]:
    """What counts p: parameters of the whole extracted network, or of its layers."""
    return num_params_total if counted == "all" else num_params


def members_of(
    model: TaskModel,
    subnets: list[Subnet],
    settings: SupernetSettings,
    *,
    table: LatencyTable | None = None,
    on_repeat: Callable[[int], None] | None = None,
) -> list[Member]:
    """The sub-networks with p, trainable parameters of the extracted network, and i, MACs or milliseconds.

    table: what modelled latency is read from. on_repeat: called while latency is measured.
    """
    if settings.cost == "latency":
        times = measure_latency(model, subnets, settings.setup, on_repeat=on_repeat)
        costs = [time.median_ms for time in times]
    elif settings.cost == "modelled":
        assert table is not None
        costs = [table.predict(model, subnet, settings.tokens) for subnet in subnets]
    else:
        costs = [float(count_macs(model, subnet, settings.tokens)) for subnet in subnets]
    count = counter(settings.counted)
    return [
        Member(key=subnet.key, num_params=count(model, subnet), inference=cost)
        for subnet, cost in zip(subnets, costs, strict=True)
    ]


class Calibration:
    """e of sub-networks: their mean loss, with the weights they share, on a fixed part of train.

    The same examples for all, drawn with the seed. Not dev: what is chosen by it could not be judged by it.
    """

    def __init__(self, model: TaskModel, train: Encoded, settings: SupernetSettings) -> None:
        self.model = model
        rows = drawn_rows(train.num_examples, settings.num_examples, settings.seed)
        self.split = train.select(rows)

    def error_of(self, subnet: Subnet) -> float:
        """Cross-entropy (of a regression the squared error, of spans the mean of start and end)."""
        return evaluate(self.model, self.split, subnet, metrics=()).loss
