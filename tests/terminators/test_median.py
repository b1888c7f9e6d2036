from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nassim.checks.recording import FixedOrder
from nassim.checks.worlds import small_world
from nassim.errors import InputError
from nassim.simulator import simulate
from nassim.terminators.median import MedianRule


def epochs(curves: Any, terminator: MedianRule, **options: Any) -> list[int]:
    curves = np.array(curves, float)
    world = small_world(*curves.shape).with_curves(curves)
    order = FixedOrder(range(len(curves)))
    episode = simulate(world.replay(), order, terminator, np.random.default_rng(0), **options)
    return episode.epochs.tolist()


def test_a_run_below_the_median_of_running_averages_is_stopped() -> None:
    complete = [[0.2, 0.4, 0.6, 0.6], [0.4, 0.6, 0.8, 0.8]]
    # averages after 1, 2, 3 epochs: 0.2 0.3 0.4 and 0.4 0.5 0.6, medians 0.3 0.4 0.5
    below = [0.31, 0.39, 0.9, 0.9]  # not below the median at first, but after 2
    best_so_far = [0.45, 0.1, 0.5, 0.1]  # its best is never below, its average is
    never = [0.29, 0.9, 0.9, 0.9]
    found = epochs([*complete, below, best_so_far, never], MedianRule(1, min_runs=2))
    assert found == [4, 4, 2, 4, 1]


def test_only_complete_runs_are_compared_with() -> None:
    rows = [[0.5] * 4, [0.1] * 4, [0.2] * 4, [0.3] * 4]
    # each of the others is stopped by the first alone; being stopped they do not count
    assert epochs(rows, MedianRule(1)) == [4, 1, 1, 1]


def test_grace() -> None:
    rows = [[0.5] * 9, [0.1] * 9]
    for grace in (1, 2, 5, 8):
        assert epochs(rows, MedianRule(grace)) == [9, grace]
    assert epochs(rows, MedianRule(9)) == [9, 9]
    assert MedianRule(3).decision_epochs(6) == (3, 4, 5)


def test_min_runs() -> None:
    rows = [[0.5] * 4, [0.1] * 4, [0.1] * 4, [0.2] * 4]
    assert epochs(rows, MedianRule(1, min_runs=1)) == [4, 1, 1, 1]
    assert epochs(rows, MedianRule(1, min_runs=2)) == [4, 4, 1, 1]  # the median is 0.3
    assert epochs(rows, MedianRule(1, min_runs=3)) == [4, 4, 4, 4]  # the median is 0.1


def test_a_short_complete_run_stands_as_it_ended() -> None:
    world = small_world(n=2, epochs=4).with_target(
        curves=np.array([[0.5, np.nan, np.nan, np.nan], [0.6, 0.6, 0.4, 0.4]]),
        lengths=np.array([1, 4]),
    )
    rule = MedianRule(1)
    episode = simulate(world.replay(), FixedOrder([0, 1]), rule, np.random.default_rng(0))
    assert episode.epochs.tolist() == [1, 4]
    lower = world.with_curves(np.where(world.target.curves >= 0.55, 0.45, world.target.curves))
    episode = simulate(lower.replay(), FixedOrder([0, 1]), rule, np.random.default_rng(0))
    assert episode.epochs.tolist() == [1, 1]


def test_syne_tune_compares_averages_with_all_that_came_by() -> None:
    rows = [[0.5, 0.5, 0.5], [0.4, 0.4, 0.4], [0.3, 0.3, 0.3], [0.35, 0.9, 0.9], [0.6, 0.0, 0.0]]
    # at 1: 1 of 2 is better, 2 of 3 (stop), 2 of 4 (just not more than half), none
    # at 2 there are 0.5, 0.4, then 0.625 and 0.3: 3 of 4 are better
    assert epochs(rows, MedianRule(1, variant="syne_tune")) == [3, 3, 1, 3, 2]


def test_syne_tune_keeps_equals() -> None:
    assert epochs([[0.5] * 3] * 6, MedianRule(1, variant="syne_tune")) == [3] * 6


def test_odd_options_are_refused() -> None:
    with pytest.raises(InputError, match="Option variant is 'mean'; expected 'vizier' or"):
        MedianRule(variant="mean")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="Option grace_epochs is 0"):
        MedianRule(grace_epochs=0)
    with pytest.raises(InputError, match="Option min_runs is 0"):
        MedianRule(min_runs=0)
