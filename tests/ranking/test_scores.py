from __future__ import annotations

import math

import numpy as np
import pytest

from nassim.errors import InputError
from nassim.ranking.correlation import kendall
from nassim.ranking.scores import (
    best_rank_at,
    better_than_random,
    partial_tau,
    precision_at,
    regret,
    significant_tau,
    sparse_tau,
    tau,
    tau_in_top,
)

RNG = np.random.default_rng(0)
SCORES, VALUES = RNG.random(40), RNG.random(40)


@pytest.mark.parametrize("digits", [8, 1, 0])
def test_tau_is_scipys(digits: int) -> None:
    a, b = SCORES.round(digits), (SCORES + VALUES).round(digits)
    assert tau(a, b) == pytest.approx(kendall(a, b), abs=1e-12)


def test_tau_of_equal_values_is_unknown() -> None:
    assert math.isnan(tau(SCORES, np.ones(40)))


def test_sparse_tau_ties_what_shares_a_cell() -> None:
    values = np.array([0.9001, 0.9009, 0.910, 0.911])
    assert tau(np.array([2, 1, 3, 4]), values) == pytest.approx(4 / 6)
    # the first two are one: 5 pairs, all concordant, tau-b 5 / sqrt(6 * 5)
    assert sparse_tau(np.array([2, 1, 3, 4]), values) == pytest.approx(5 / math.sqrt(30))
    assert sparse_tau(np.array([1, 2]), np.array([0.3, 0.301])) == 1  # 0.3 is on the grid


def test_significant_pairs_by_hand() -> None:
    scores, values = np.array([1, 3, 2, 4]), np.array([0.0, 1.0, 1.1, 5.0])
    # more than 2 * 0.5 * sqrt(2 / 2) = 1 apart: 02, 03, 13, 23; each in the right order
    assert significant_tau(scores, values, 0.5, 2) == (1.0, 4 / 6)
    assert significant_tau(-scores, values, 0.5, 2) == (-1.0, 4 / 6)
    assert significant_tau(np.zeros(4), values, 0.5, 2).tau == 0
    nothing = significant_tau(scores, values, 9.0, 2)
    assert math.isnan(nothing.tau)
    assert nothing.share == 0


def test_the_true_and_the_predicted_top_differ() -> None:
    scores, values = np.array([6, 5, 4, 3, 2, 1]), np.array([1, 6, 5, 4, 2, 3])
    assert tau_in_top(scores, values, 0.5, "true") == 1  # 6, 5, 4 have scores 5, 4, 3
    assert tau_in_top(scores, values, 0.5, "predicted") == pytest.approx(-1 / 3)  # 1, 6, 5
    with pytest.raises(InputError, match="share is 0"):
        tau_in_top(scores, values, 0, "true")


def test_precision_and_best_rank_by_hand() -> None:
    scores, values = np.array([5, 4, 3, 2, 1]), np.array([3, 5, 1, 4, 2])
    assert [precision_at(scores, values, k) for k in (1, 2, 4)] == [0, 0.5, 0.75]
    assert [best_rank_at(scores, values, k) for k in (1, 2)] == [3 / 5, 1 / 5]
    with pytest.raises(InputError, match="best 6"):
        precision_at(scores, values, 6)


def test_regret_by_hand() -> None:
    assert regret(np.array([0.0, 2.0, 3.0]), 0) == (3.0, 3.0)
    assert regret(np.array([0.0, 2.0, 3.0]), 2) == (0.0, 0.0)
    assert math.isnan(regret(np.ones(3), 1)[1])


@pytest.mark.parametrize(
    ("rank", "printed"),
    [(57_079, 0.24), (19_552, 0.62), (96_939, 0.07), (3_543, 0.92), (4_610, 0.90)],
)
def test_better_than_random_gives_the_published_table(rank: int, printed: float) -> None:
    """Yu et al., table of NAS-Bench-101 with seven nodes: ten searches of each method."""
    values = -np.arange(423_624.0)
    picks = np.full(10, rank - 1)
    assert better_than_random(values, picks) == pytest.approx(printed, abs=0.005)


def test_better_than_random_takes_the_middle_rank_of_ties() -> None:
    # the three best are equal: rank 2 of 4
    assert better_than_random(np.array([1.0, 1.0, 1.0, 0.0]), np.array([2])) == 0.5


def test_partial_tau_knows_nothing_of_strata() -> None:
    strata = np.repeat([1.0, 2.0, 3.0], 10)
    assert tau(strata, strata + 0.1 * VALUES[:30]) > 0.8
    assert math.isnan(partial_tau(strata, strata + 0.1 * VALUES[:30], strata))
    assert partial_tau(VALUES[:30], VALUES[:30], strata) == pytest.approx(1)


def test_metrics_do_not_depend_on_the_order_of_architectures() -> None:
    order = RNG.permutation(40)
    for metric in (
        tau,
        sparse_tau,
        lambda s, v: significant_tau(s, v, 0.05, 2).tau,
        lambda s, v: tau_in_top(s, v, 0.5, "true"),
        lambda s, v: tau_in_top(s, v, 0.5, "predicted"),
        lambda s, v: precision_at(s, v, 5),
        lambda s, v: best_rank_at(s, v, 5),
        lambda s, v: regret(v, int(s.argmax()))[1],
    ):
        assert metric(SCORES, VALUES) == pytest.approx(metric(SCORES[order], VALUES[order]))
