"""The evolutionary search of the Length-Adaptive Transformer, over all three axes.

Kim and Cho (ACL 2021), Sec. 3.3: a generation is made from the Pareto front of all that was tried
before it, by mutation and by crossover. Widths and depths, which that search does not have, mutate
like lengths and cross like them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from dynabert.search.space import Candidate, JointSpace

CHANGE = 0.5  # probability with which each place of a parent changes in a mutation
_TRIES = 200  # to make something new of the parents


def mutated(space: JointSpace, parent: Candidate, rng: np.random.Generator) -> Candidate:
    """A point near a parent: each place changes with probability one half.

    A new length lies between the parent's next layer (the fewest, for the last) and the new length
    of the layer before, so lengths never rise.
    """
    width, depth = (
        int(rng.integers(size)) if rng.random() < CHANGE else before
        for before, size in (
            (parent.width, len(space.grid.width_mults)),
            (parent.depth, len(space.grid.depth_mults)),
        )
    )
    if space.lengths is None:
        return Candidate(width, depth)
    # Only of the layers that run: the others have no length of their own.
    running = [parent.lengths[layer] for layer in space.layers(depth)]
    upper, lengths = space.lengths.most, []
    for lower, length in zip((*running[1:], space.lengths.fewest), running, strict=True):
        if rng.random() < CHANGE:
            length = int(rng.integers(lower, upper, endpoint=True))
        lengths.append(length)
        upper = length
    return space.with_running(width, depth, lengths)


def nudged(space: JointSpace, parent: Candidate, rng: np.random.Generator) -> Candidate:
    """A point beside a parent: one length moved a little, as far as its neighbours allow."""
    if space.lengths is None:
        return mutated(space, parent, rng)
    running = [parent.lengths[layer] for layer in space.layers(parent.depth)]
    place = int(rng.integers(len(running)))
    upper = running[place - 1] if place else space.lengths.most
    lower = running[place + 1] if place + 1 < len(running) else space.lengths.fewest
    step = int(rng.integers(1, 4)) * (1 if rng.random() < 0.5 else -1)
    running[place] = min(max(running[place] + step, lower), upper)
    return space.with_running(parent.width, parent.depth, running)


def crossed(space: JointSpace, one: Candidate, other: Candidate) -> Candidate:
    """The point halfway between two parents, rounded up place by place."""

    def middle(a: int, b: int) -> int:
        return (a + b + 1) // 2

    lengths = tuple(map(middle, one.lengths, other.lengths))
    return space.canonical(
        Candidate(middle(one.width, other.width), middle(one.depth, other.depth), lengths)
    )


def offspring(
    space: JointSpace,
    front: Sequence[Candidate],
    *,
    crossover: bool,
    wanted: Callable[[Candidate], bool],
    rng: np.random.Generator,
) -> tuple[Candidate, str] | None:
    """A child of the front, and how it came about; None where no wanted one was found.

    crossover: of two members, where there are two; else a mutation of one.
    """
    for _ in range(_TRIES):
        if crossover and len(front) > 1:
            one, other = rng.choice(len(front), size=2, replace=False)
            child, origin = crossed(space, front[one], front[other]), "crossover"
        else:
            parent = front[int(rng.integers(len(front)))]
            child, origin = mutated(space, parent, rng), "mutation"
        if wanted(child):
            return child, origin
    return None
