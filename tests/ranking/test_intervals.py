"""Intervals and tests over datasets."""

import math

import numpy as np
import pytest

from nassim.errors import InputError
from nassim.ranking.intervals import (
    bootstrap_interval,
    bootstrap_means,
    grand_mean,
    holm,
    sign_test,
    smallest_sign_test,
    standard_error,
)


def groups(n_datasets=5, orders=20, models=3, between=1.0, within=1.0, seed=0):
    rng = np.random.default_rng(seed)
    return [
        between * rng.normal() + within * rng.normal(size=(orders, models))
        for _ in range(n_datasets)
    ]


def test_every_dataset_weighs_the_same_however_many_seeds_it_has():
    assert grand_mean([np.zeros(100), np.ones((2, 1))]) == 0.5
    assert grand_mean([np.array([0.0, np.nan]), np.array([np.nan]), np.array([1.0])]) == 0.5
    assert math.isnan(grand_mean([np.array([np.nan])]))


def test_the_bootstrap_is_deterministic_for_a_seed_and_differs_between_seeds():
    values = groups()
    assert bootstrap_interval(values, seed=3) == bootstrap_interval(values, seed=3)
    assert bootstrap_interval(values, seed=3) != bootstrap_interval(values, seed=4)


def test_bootstrap_means_spread_as_theory_says():
    """Two levels: var = between / D + (orders and models, each drawn on its own)."""
    between = bootstrap_means(groups(within=0.0), resamples=20_000)
    means = np.array([g.mean() for g in groups(within=0.0)])
    assert between.mean() == pytest.approx(means.mean(), abs=0.02)
    assert between.std() == pytest.approx(means.std() / math.sqrt(5), rel=0.03)
    one = np.random.default_rng(1).normal(size=50)
    within = bootstrap_means([one], resamples=20_000)
    assert within.std() == pytest.approx(one.std() / math.sqrt(50), rel=0.03)


def test_a_shift_between_model_seeds_is_not_averaged_away_by_many_orders():
    shift = np.tile([0.0, 1.0, 2.0], (200, 1))
    low, high = bootstrap_interval([shift])
    assert (low, high) == (0.0, 2.0)
    # which orders x models taken as 600 independent values would hide
    assert bootstrap_interval([shift.ravel()]).high < 1.1


def test_more_datasets_narrow_the_interval_and_more_seeds_of_few_datasets_do_not():
    def width(**kwargs):
        low, high = bootstrap_interval(groups(**kwargs))
        return high - low

    assert width(n_datasets=40) < 0.6 * width(n_datasets=5)
    assert width(orders=200) == pytest.approx(width(orders=20), rel=0.35)


def test_missing_values_are_left_out():
    with_gaps = [np.array([[1.0, np.nan], [3.0, 3.0]]), np.array([np.nan, np.nan])]
    low, high = bootstrap_interval(with_gaps)
    assert 1.0 <= low < high <= 3.0
    assert all(math.isnan(end) for end in bootstrap_interval([np.array([np.nan])]))
    assert bootstrap_interval([np.array([2.0])]) == (2.0, 2.0)


def test_level_sets_the_width():
    narrow, wide = (bootstrap_interval(groups(), level=level) for level in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], {}), "no dataset"),
        (([np.zeros((2, 2, 2))], {}), "shape"),
        (([np.zeros(2)], {"resamples": 0}), "resamples"),
        (([np.zeros(2)], {"level": 95}), "level is 95"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    values, options = arguments
    with pytest.raises(InputError, match=message):
        bootstrap_interval(values, **options)


def test_standard_error_of_one_axis_is_the_usual_one_and_axes_add_up():
    values = np.random.default_rng(0).normal(size=30)
    assert standard_error(values) == pytest.approx(values.std(ddof=1) / math.sqrt(30))
    assert standard_error(values[:, None]) == standard_error(values)
    shift = np.tile([0.0, 1.0, 2.0], (30, 1))
    assert standard_error(shift) == pytest.approx(1 / math.sqrt(3))
    assert math.isnan(standard_error(np.array([1.0])))
    assert standard_error(np.array([1.0, np.nan, 3.0])) == 1.0


def test_sign_test_agrees_with_scipy():
    from scipy.stats import binomtest

    rng = np.random.default_rng(0)
    for n in range(1, 12):
        differences = rng.normal(0.5, size=n)
        expected = binomtest(int((differences > 0).sum()), n).pvalue
        assert sign_test(differences) == pytest.approx(expected)
        assert sign_test(differences) >= smallest_sign_test(n)
    assert sign_test(np.array([0.0, np.nan])) == 1.0
    assert sign_test(np.ones(5)) == smallest_sign_test(5) == 0.0625
    assert smallest_sign_test(0) == 1.0


def test_holm_of_a_worked_example_keeps_order_and_missing_values():
    adjusted = holm(np.array([0.04, np.nan, 0.01, 0.5, 0.03]))
    np.testing.assert_allclose(adjusted, [0.09, np.nan, 0.04, 0.5, 0.09])
    assert holm(np.array([0.6, 0.9])).tolist() == [1.0, 1.0]
    with pytest.raises(InputError, match="p-values"):
        holm(np.array([1.5]))
