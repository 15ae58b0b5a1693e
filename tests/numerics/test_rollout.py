"""Averages and rollout against values worked by hand and against a loop over paths."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from dynabert.analysis.rollout import layer_averages, map_of, network_average, rollout
from dynabert.errors import UserError


def random_maps(layers: int = 3, heads: int = 4, tokens: int = 5) -> np.ndarray:
    return np.random.default_rng(0).dirichlet(np.ones(tokens), (layers, heads, tokens))


def test_two_tokens_two_layers_by_hand():
    # Layer 1 has heads that look straight and crosswise: W = [[.5, .5], [.5, .5]].
    # Layer 2 looks at the first token only: W = [[1, 0], [1, 0]].
    straight, cross, first = np.eye(2), np.eye(2)[::-1], np.array([[1.0, 0.0], [1.0, 0.0]])
    maps = np.stack([[straight, cross], [first, first]])
    # A1 = [[.75, .25], [.25, .75]], A2 = [[1, 0], [.5, .5]]; A2 A1 = [[.75, .25], [.5, .5]].
    np.testing.assert_allclose(rollout(maps), [[0.75, 0.25], [0.5, 0.5]], atol=1e-12)
    np.testing.assert_allclose(layer_averages(maps), [[[0.5, 0.5]] * 2, first])
    np.testing.assert_allclose(network_average(maps), [[0.75, 0.25]] * 2)


def test_one_layer_is_half_its_average_and_half_itself():
    maps = random_maps(layers=1)
    np.testing.assert_allclose(rollout(maps), 0.5 * maps[0].mean(0) + 0.5 * np.eye(5), atol=1e-12)


def test_rollout_is_the_sum_over_all_paths_and_its_rows_sum_to_1():
    maps = random_maps()
    steps = 0.5 * maps.mean(1) + 0.5 * np.eye(5)
    flow = np.zeros((5, 5))
    for last, second, first, start in itertools.product(range(5), repeat=4):
        flow[last, start] += (
            steps[2, last, second] * steps[1, second, first] * steps[0, first, start]
        )
    np.testing.assert_allclose(rollout(maps), flow, atol=1e-12)
    np.testing.assert_allclose(rollout(maps).sum(-1), 1, atol=1e-12)


def test_what_is_gone_plays_no_part():
    maps = random_maps()
    small = maps.copy()
    small[1] = np.nan  # a layer
    small[2, [0, 3]] = np.nan  # two heads
    kept = np.stack([maps[0], maps[2]])
    np.testing.assert_allclose(layer_averages(small)[0], maps[0].mean(0))
    np.testing.assert_allclose(layer_averages(small)[2], maps[2, 1:3].mean(0))
    assert np.isnan(layer_averages(small)[1]).all()
    # Heads count the same, whatever layer they are in: four and two of them.
    wanted = (maps[0].sum(0) + maps[2, 1:3].sum(0)) / 6
    np.testing.assert_allclose(network_average(small), wanted)
    kept[1, [0, 3]] = np.nan
    np.testing.assert_allclose(rollout(small), rollout(kept))
    assert np.isnan(map_of(small, "layer", 1)).all()
    assert np.isnan(map_of(small, "head", 2, 3)).all()


def test_each_kind_is_its_own_map():
    maps = random_maps()
    np.testing.assert_array_equal(map_of(maps, "head", 2, 1), maps[2, 1])
    np.testing.assert_array_equal(map_of(maps, "layer", 2, 1), layer_averages(maps)[2])
    np.testing.assert_array_equal(map_of(maps, "network", 2, 1), network_average(maps))
    np.testing.assert_array_equal(map_of(maps, "rollout", 2, 1), rollout(maps))
    with pytest.raises(UserError, match="head, layer, network, rollout; got 'mean'"):
        map_of(maps, "mean")
