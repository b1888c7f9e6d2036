import math

import numpy as np
import pytest
import scipy.stats

from nassim.ranking.seeds import (
    counts,
    means,
    median_deviation,
    pooled_deviation,
    reliability,
    repeats,
    seed_agreement,
)

NAN = math.nan


def noisy(n, k, noise, seed=0):
    """Repeats of ``n`` architectures that truly differ with deviation 1."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 1)) + noise * rng.normal(size=(n, k))


def test_repeats_keep_the_order_of_runs_and_leave_gaps_out():
    results = np.array([3.0, NAN, 1.0, 5.0, 2.0])
    table = repeats(results, np.array([1, 1, 0, 1, 3]), 4)
    np.testing.assert_array_equal(table, [[1, NAN], [3, 5], [NAN, NAN], [2, NAN]])
    np.testing.assert_array_equal(counts(table), [1, 2, 0, 1])
    np.testing.assert_array_equal(means(table), [1, 4, NAN, 2])
    assert repeats(np.zeros(0), np.zeros(0, np.int64), 0).shape == (0, 1)


def test_deviations_find_the_planted_noise():
    table = noisy(4000, 3, 0.3)
    table[::2, 2] = NAN  # two seeds for every other one
    assert pooled_deviation(table) == pytest.approx(0.3, rel=0.03)
    assert median_deviation(table) == pytest.approx(0.3, rel=0.05)


def test_a_few_noisy_architectures_move_the_pooled_deviation_only():
    table = noisy(1000, 3, 0.1)
    table[:100] = noisy(100, 3, 5.0)
    assert pooled_deviation(table) > 1
    assert median_deviation(table) < 0.12


def test_one_seed_has_no_deviation():
    table = noisy(10, 1, 0.1)
    assert math.isnan(pooled_deviation(table))
    assert math.isnan(median_deviation(table))
    found = seed_agreement(table)
    assert math.isnan(found.tau)
    assert found.architectures == 0


def test_tau_of_known_ranks():
    ranks = np.arange(8.0)
    same = seed_agreement(np.stack([ranks, 2 * ranks + 1], axis=1))
    assert [same.tau, same.low, same.high, same.rho] == pytest.approx([1, 1, 1, 1])
    swapped = ranks.copy()
    swapped[[0, 1]] = swapped[[1, 0]]  # one of 28 pairs
    found = seed_agreement(np.stack([ranks, swapped, ranks[::-1]], axis=1))
    assert found.tau == pytest.approx((26 / 28 - 1 - 26 / 28) / 3)
    assert found.low <= found.tau <= found.high
    assert found.architectures == 8


def test_missing_runs_and_equal_results():
    table = noisy(30, 3, 0.5)
    table[10:, 2] = NAN
    table[25:, 1] = NAN
    first, second, third = table.T
    pairs = [(first[:25], second[:25]), (first[:10], third[:10]), (second[:10], third[:10])]
    taus = [scipy.stats.kendalltau(a, b).statistic for a, b in pairs]
    found = seed_agreement(table)
    assert found.tau == pytest.approx(np.mean(taus))
    assert found.architectures == 25
    assert math.isnan(seed_agreement(np.ones((10, 2))).tau)  # nothing to rank
    assert math.isnan(seed_agreement(noisy(4, 2, 0.1)).tau)  # too few


def test_the_interval_is_that_of_a_plain_bootstrap():
    table = np.round(noisy(40, 2, 0.6), 1)  # with ties
    rng = np.random.default_rng(1)
    taus = [
        scipy.stats.kendalltau(*table[rng.integers(40, size=40)].T).statistic for _ in range(1500)
    ]
    found = seed_agreement(table)
    assert [found.low, found.high] == pytest.approx(np.quantile(taus, [0.025, 0.975]), abs=0.03)


def test_of_many_architectures_the_interval_is_narrow_and_quick():
    few, many = seed_agreement(noisy(300, 2, 0.6)), seed_agreement(noisy(4800, 2, 0.6))
    ratio = (few.high - few.low) / (many.high - many.low)
    assert ratio == pytest.approx(4, rel=0.2)
    assert many.low < many.tau < many.high


def test_reliability_is_the_ceiling_of_a_correlation():
    """Two datasets with the same true order: their correlation is what the formula says."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(20_000, 1))
    one, other = (truth + rng.normal(size=(20_000, 3)) for _ in range(2))
    single = np.corrcoef(one[:, 0], one[:, 1])[0, 1]
    seen = np.corrcoef(one.mean(axis=1), other.mean(axis=1))[0, 1]
    assert reliability(single, 3) == pytest.approx(seen, abs=0.02)
    assert math.isnan(reliability(NAN, 3))
