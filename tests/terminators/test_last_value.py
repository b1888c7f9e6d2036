from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nassim.checks.recording import FixedOrder
from nassim.checks.worlds import small_world
from nassim.errors import InputError
from nassim.records import Incumbent, Prefixes
from nassim.simulator import simulate
from nassim.terminators.last_value import LastValue


def prefixes(curves: Any) -> Prefixes:
    curves = np.array(curves, float)
    none = np.zeros(len(curves), np.int64)
    return Prefixes((None,) * len(curves), curves, none, none, 10)  # type: ignore[arg-type]


def test_the_last_or_the_best_value_stands_for_a_run() -> None:
    curves = [[0.1, 0.5, 0.3], [0.4, 0.2, 0.1]]
    assert LastValue().estimate(prefixes(curves)).tolist() == [[0.3], [0.1]]
    assert LastValue("best").estimate(prefixes(curves)).tolist() == [[0.5], [0.4]]


@pytest.mark.parametrize("statistic", ["last", "best"])
def test_of_what_was_not_measured_nothing_is_said(statistic: Any) -> None:
    estimates = LastValue(statistic).estimate(prefixes([[-np.inf, -np.inf], [-np.inf, 0.5]]))
    assert np.isnan(estimates[0])
    assert estimates[1] == 0.5
    estimator = LastValue(statistic)
    for incumbent in (0, 1):
        p = estimator.probability(estimates, Incumbent(0.5, estimates[incumbent]))
        assert np.isnan(p[0])


def test_worse_equal_better() -> None:
    estimates = np.array([[0.3], [0.4], [0.5]])
    p = LastValue().probability(estimates, Incumbent(0.9, estimates[1]))
    assert p.tolist() == [0.0, 0.5, 1.0]


@pytest.mark.parametrize(("delta", "kept"), [(0.45, True), (0.5, False)])
def test_a_tie_goes_on_if_delta_is_below_a_half(delta: float, kept: bool) -> None:
    world = small_world(n=3, epochs=6)
    same = world.with_curves(np.tile(world.target.curves[:1], (3, 1)))
    episode = simulate(
        same.replay(), FixedOrder(range(3)), LastValue(delta=delta), np.random.default_rng(0)
    )
    assert episode.epochs.tolist() == [6, 6 if kept else 1, 6 if kept else 1]


def test_it_compares_with_the_incumbent_after_the_same_epoch() -> None:
    rising, high = np.linspace(0.1, 0.9, 9), np.full(9, 0.5)
    world = small_world(n=3, epochs=9).with_curves(np.array([rising, high, rising - 0.05]))
    episode = simulate(
        world.replay(), FixedOrder(range(3)), LastValue(epochs=(2, 8)), np.random.default_rng(0)
    )
    # ahead of what the incumbent had at 2, though not of its end; behind at 8. The other at once
    assert episode.epochs.tolist() == [9, 8, 2]


def test_there_is_nothing_to_say_before_the_first_epoch() -> None:
    assert 0 not in LastValue(epochs="every").decision_epochs(5)


def test_an_odd_statistic_is_refused() -> None:
    with pytest.raises(InputError, match="Option statistic is 'mean'; expected 'last' or 'best'"):
        LastValue("mean")  # type: ignore[arg-type]
