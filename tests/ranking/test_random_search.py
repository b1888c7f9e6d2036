import itertools
import math

import numpy as np
import pytest

from nassim.errors import InputError
from nassim.ranking.random_search import deviation_of_best, expected_best_of


@pytest.mark.parametrize("k", range(1, 8))
def test_is_the_mean_over_all_subsets(k):
    values = np.random.default_rng(0).normal(size=7)
    values[3] = values[5]  # a tie
    subsets = [max(subset) for subset in itertools.combinations(values, k)]
    assert expected_best_of(values, k) == pytest.approx(np.mean(subsets))
    assert deviation_of_best(values, k) == pytest.approx(np.std(subsets), abs=1e-9)


def test_agrees_with_simulated_random_search():
    rng = np.random.default_rng(0)
    values = rng.normal(size=200)
    drawn = np.array([rng.permutation(values)[:33].max() for _ in range(4000)])
    error = drawn.std() / math.sqrt(len(drawn))
    assert abs(expected_best_of(values, 33) - drawn.mean()) < 3 * error


def test_large_pools_neither_overflow_nor_lose_mass():
    assert expected_best_of(np.full(50_000, 0.7), 1000) == pytest.approx(0.7, abs=1e-9)
    ramp = np.arange(1, 15_626)
    assert expected_best_of(ramp, 50) == pytest.approx(50 / 51 * 15_626)  # known for a ramp


def test_grows_with_k_to_the_best():
    values = np.random.default_rng(1).normal(size=20)
    means = [expected_best_of(values, k) for k in range(1, 21)]
    assert means == sorted(means)
    assert means[-1] == values.max()


@pytest.mark.parametrize("k", [0, -1, 4])
def test_k_out_of_range_is_refused(k):
    with pytest.raises(InputError, match="expected 1 to 3"):
        expected_best_of([1, 2, 3], k)


def test_nan_is_refused():
    with pytest.raises(InputError, match="NaN"):
        expected_best_of([1, math.nan, 3], 1)
