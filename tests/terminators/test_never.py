from __future__ import annotations

from math import comb

import numpy as np
import pytest

from nassim.checks.worlds import hard_worlds, small_world
from nassim.optimizers.random_search import RandomSearch
from nassim.simulator import simulate
from nassim.terminators.never import Never


def test_everything_is_trained_to_its_end() -> None:
    world = hard_worlds()["failed"]
    replay = world.replay()
    episode = simulate(replay, RandomSearch(), Never(), np.random.default_rng(0), workers=3)
    assert episode.epochs.tolist() == replay.lengths
    assert episode.busy_seconds == pytest.approx(world.table().total_seconds(), rel=1e-12)
    qualities = world.table().candidate_qualities
    assert qualities[episode.pick] == qualities.max()


def test_random_search_is_worth_its_closed_form() -> None:
    """E[best of k without replacement] = sum_i m_(i) C(i-1, k-1) / C(n, k), m ascending."""
    replay = small_world(n=24, epochs=1).replay()
    qualities = np.sort(replay.qualities_array)
    orders, n, k = 10_000, len(qualities), 4
    rng = np.random.default_rng(0)
    best = np.empty(orders)
    for number in range(orders):
        episode = simulate(replay, RandomSearch(), Never(), rng, budget=k)
        best[number] = replay.qualities[episode.pick]
    expected = sum(m * comb(i, k - 1) for i, m in enumerate(qualities)) / comb(n, k)
    error = best.std(ddof=1) / np.sqrt(orders)
    assert abs(best.mean() - expected) < 3 * error
    assert error < 0.002  # or else the line above says nothing
    one_more = sum(m * comb(i, k) for i, m in enumerate(qualities)) / comb(n, k + 1)
    assert abs(best.mean() - one_more) > 10 * error  # a wrong closed form would be found out
