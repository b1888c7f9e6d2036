import itertools
import math

import numpy as np
import pytest
import scipy.stats

from nassim.errors import InputError
from nassim.ranking.correlation import discordant_share, kendall, ranks, spearman, spearman_interval


@pytest.mark.parametrize("distinct", [3, 10, 1000])
def test_agrees_with_scipy_with_and_without_ties(distinct):
    rng = np.random.default_rng(distinct)
    a, b = rng.integers(distinct, size=(2, 60))
    assert spearman(a, b) == pytest.approx(scipy.stats.spearmanr(a, b).statistic, abs=1e-12)
    assert kendall(a, b) == pytest.approx(scipy.stats.kendalltau(a, b).statistic, abs=1e-12)
    np.testing.assert_array_equal(ranks(a), scipy.stats.rankdata(a))


@pytest.mark.parametrize("distinct", [2, 5, 1000])
def test_discordant_share_is_the_count_over_all_pairs(distinct):
    rng = np.random.default_rng(distinct)
    a, b = rng.integers(distinct, size=(2, 40)).astype(float)
    signs = [
        np.sign(a[i] - a[j]) * np.sign(b[i] - b[j]) for i, j in itertools.combinations(range(40), 2)
    ]
    ordered = [sign for sign in signs if sign]
    assert discordant_share(a, b) == sum(sign < 0 for sign in ordered) / len(ordered)


@pytest.mark.parametrize("measure", [spearman, kendall])
def test_extremes_and_invariance(measure):
    a = np.random.default_rng(0).normal(size=30)
    assert measure(a, np.exp(a)) == pytest.approx(1.0)
    assert measure(a, -a) == pytest.approx(-1.0)
    order = np.random.default_rng(1).permutation(30)
    b = np.random.default_rng(2).normal(size=30)
    assert measure(a, b) == pytest.approx(measure(a[order], b[order]))
    assert measure(a, b) == pytest.approx(measure(b, a))


@pytest.mark.parametrize("measure", [spearman, kendall, discordant_share])
def test_nothing_to_correlate_is_nan_not_an_error_or_a_warning(measure):
    for a, b in (([], []), ([1], [2]), ([1, 1, 1], [1, 2, 3]), ([1, math.nan], [math.nan, 2])):
        assert math.isnan(measure(a, b))


@pytest.mark.parametrize("measure", [spearman, kendall, discordant_share])
def test_entries_without_a_value_are_left_out(measure):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 20))
    expected = measure(a[2:-1], b[2:-1])
    a[0] = b[1] = a[-1] = b[-1] = np.nan
    assert measure(a, b) == expected


@pytest.mark.parametrize("measure", [spearman, kendall, discordant_share])
def test_unequal_lengths_are_refused(measure):
    with pytest.raises(InputError, match=r"\(3,\) and \(2,\)"):
        measure([1, 2, 3], [1, 2])


def test_arrays_passed_in_are_not_changed():
    a = np.array([3.0, 1.0, 2.0])
    spearman(a, a)
    np.testing.assert_array_equal(a, [3, 1, 2])


def test_the_interval_of_a_correlation_covers_it():
    rng = np.random.default_rng(0)
    true = 6 / math.pi * math.asin(0.6 / 2)  # Spearman's rho of a normal with correlation 0.6
    inside = 0
    for _ in range(400):
        a = rng.normal(size=40)
        low, high = spearman_interval(spearman(a, 0.6 * a + 0.8 * rng.normal(size=40)), 40)
        inside += low < true < high
    assert 0.92 < inside / 400 < 0.98
    assert spearman_interval(1.0, 10) == (1.0, 1.0)
    assert all(map(math.isnan, (*spearman_interval(0.5, 3), *spearman_interval(math.nan, 9))))
