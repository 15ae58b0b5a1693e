"""What a choice within a budget costs, spares and misses, in words."""

from __future__ import annotations

from dynabert.search.budget import FLOOR, Budget
from dynabert.search.choice import Choice
from dynabert.words import figures

# Costs by their names: what they are divided by, and the unit of that.
COST_UNITS = {
    "latency_ms": (1.0, "ms"),
    "num_params": (1e6, "million parameters"),
    "macs": (1e6, "million MACs"),
}


def price_in_words(choice: Choice) -> str:
    """What the step up costs more, for example "1.3 ms and 0.5 million parameters more"."""
    parts = []
    for name in choice.budget.limits or ("latency_ms",):
        scale, unit = COST_UNITS[name]
        price = (choice.price(name) or 0.0) / scale
        parts.append(f"{figures(abs(price), 3)} {unit} {'more' if price >= 0 else 'less'}")
    return " and ".join(parts)


def excess_in_words(choice: Choice) -> str:
    """By how much the nearest miss misses: "1.3 ms more than the budget's 5 ms"."""
    parts = []
    for name, by in choice.excess.items():
        if name == FLOOR:
            parts.append(f"{100 * by:.1f} points of {choice.metric} below the floor")
            continue
        scale, unit = COST_UNITS[name]
        limit = f"{figures(choice.budget.limits[name] / scale, 4)} {unit}"
        parts.append(f"{figures(by / scale, 3)} {unit} more than the budget's {limit}")
    return " and ".join(parts)


def budget_in_words(budget: Budget, metric: str) -> str:
    """For example "at most 5 ms, at least 0.85 accuracy"."""
    parts = [
        f"at most {figures(limit / COST_UNITS[name][0], 4)} {COST_UNITS[name][1]}"
        for name, limit in budget.limits.items()
    ]
    if budget.floor is not None:
        parts.append(f"at least {budget.floor:g} {metric}")
    return ", ".join(parts)
