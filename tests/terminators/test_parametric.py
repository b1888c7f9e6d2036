from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from nassim.checks.worlds import small_world
from nassim.errors import InputError
from nassim.records import ACCURACY, Incumbent, Metric, Prefixes
from nassim.terminators.families import FAMILIES
from nassim.terminators.parametric import Parametric

X = np.arange(1.0, 31.0)
POW3 = FAMILIES["pow3"](np.arange(1.0, 101.0), (0.9, 0.6, 0.5))


def prefixes(curves: Any, max_epochs: int = 100, metric: Metric = ACCURACY) -> Prefixes:
    curves = np.array(curves, float)
    none = np.zeros(len(curves), np.int64)
    return Prefixes(
        (None,) * len(curves),  # type: ignore[arg-type]
        curves,
        none,
        none,
        max_epochs,
        metric,
    )


@pytest.mark.parametrize("family", ["pow3", "pow4", "best"])
def test_the_end_of_a_curve_without_noise_is_found(family: str) -> None:
    found = Parametric(family=family).extrapolate(prefixes([POW3[:30]]))
    assert abs(found.values[0] - POW3[-1]) < 1e-3
    assert found.reasons == ("",)


def test_the_best_family_is_the_one_that_made_the_curve() -> None:
    curve = FAMILIES["ilog2"](X, (0.9, 0.5))
    found = Parametric(family="best", restarts=0).extrapolate(prefixes([curve]))
    assert found.families == ("ilog2",)
    assert found.freedom[0] == 28


def test_an_average_lies_between_the_families_and_is_less_certain_than_the_best() -> None:
    noise = 0.02 * np.random.default_rng(0).standard_normal(12)
    runs = prefixes([POW3[:12] + noise])
    best = Parametric(family="best", restarts=0).extrapolate(runs)
    average = Parametric(family="average", restarts=0).extrapolate(runs)
    assert 0 <= average.values[0] <= 1
    assert average.values[0] != best.values[0]
    assert average.deviations[0] > best.deviations[0]


def test_the_deviation_is_that_of_linear_regression_where_the_family_is_linear() -> None:
    y = FAMILIES["ilog2"](X, (0.9, 0.5)) + 0.02 * np.sin(7 * X)
    found = Parametric(family="ilog2").extrapolate(prefixes([y]))
    design = np.stack([np.ones(30), -1 / np.log1p(X)], axis=1)
    at = np.array([1.0, -1 / np.log(101.0)])
    fit, squares, *_ = np.linalg.lstsq(design, y, rcond=None)
    expected = squares[0] / 28 * (1 + at @ np.linalg.inv(design.T @ design) @ at)
    assert found.values[0] == pytest.approx(at @ fit, rel=1e-6)
    assert found.deviations[0] == pytest.approx(np.sqrt(expected), rel=1e-5)
    assert found.freedom[0] == 28


def test_intervals_cover_what_they_say() -> None:
    """Of 200 noisy curves, p(end above the truth) is below 0.1 for about one in ten."""
    rng = np.random.default_rng(1)
    runs = prefixes(POW3[:20] + 0.01 * rng.standard_normal((200, 20)))
    estimator = Parametric(restarts=0)
    estimates = estimator.estimate(runs)
    ends = POW3[-1] + 0.01 * rng.standard_normal(200)
    p = [
        estimator.probability(estimates[[k]], Incumbent(end, estimates[k]))[0]
        for k, end in enumerate(ends)
    ]
    assert 0.04 < np.mean(np.array(p) < 0.1) < 0.18


def test_p_falls_as_the_incumbent_rises() -> None:
    rng = np.random.default_rng(0)
    estimator = Parametric()
    estimates = estimator.estimate(prefixes(POW3[:10] + 0.02 * rng.standard_normal((5, 10))))
    p = [estimator.probability(estimates, Incumbent(m, estimates[0])) for m in np.linspace(0, 1, 9)]
    assert (np.diff(p, axis=0) <= 0).all()
    assert p[0].min() > 0.5 > p[-1].max()


def test_what_has_been_better_already_goes_on() -> None:
    curve = POW3[:20].copy()
    curve[10] = 0.95
    estimator = Parametric()
    estimates = estimator.estimate(prefixes([curve]))
    assert estimator.probability(estimates, Incumbent(0.94, estimates[0])).tolist() == [1.0]
    assert estimator.probability(estimates, Incumbent(0.96, estimates[0]))[0] < 1


def test_of_what_was_not_measured_nothing_is_said_but_why() -> None:
    curves = np.tile(POW3[:10], (3, 1))
    curves[0, 0], curves[1, 4] = -np.inf, np.nan
    found = Parametric().extrapolate(prefixes(curves))
    assert found.reasons == ("not every epoch was measured",) * 2 + ("",)
    assert np.isnan(found.values).tolist() == [True, True, False]
    estimator = Parametric()
    estimates = estimator.estimate(prefixes(curves))
    p = estimator.probability(estimates, Incumbent(2.0, estimates[2]))
    assert np.isnan(p).tolist() == [True, True, False]


def test_a_curve_needs_more_epochs_than_there_are_parameters() -> None:
    for family, first in {"ilog2": 3, "pow3": 4, "pow4": 5, "best": 3, "average": 3}.items():
        estimator = Parametric(family=family, epochs="every")
        assert estimator.decision_epochs(30)[0] == first
        short = estimator.extrapolate(prefixes([POW3[: first - 1]]))
        assert short.reasons == (f"fewer than {first} epochs",)
        assert np.isnan(short.values[0])
        assert estimator.extrapolate(prefixes([POW3[:first]])).reasons == ("",)


def test_a_flat_curve_stays_where_it_is() -> None:
    found = Parametric().extrapolate(prefixes([np.full(8, 0.1)]))
    assert found.values[0] == pytest.approx(0.1, abs=1e-6)
    assert found.deviations[0] < 1e-3


def test_an_accuracy_never_ends_above_one() -> None:
    found = Parametric().extrapolate(prefixes([np.linspace(0.1, 0.8, 8)]))
    assert found.values[0] == 1.0


def test_errors_in_percent_say_the_same_as_accuracies() -> None:
    curve = POW3[:12] + 0.01 * np.sin(np.arange(12.0))
    accuracy = Parametric().extrapolate(prefixes([curve]))
    percent = Metric("error", higher_is_better=False, bounds=(0.0, 100.0))
    error = Parametric().extrapolate(prefixes([-100 * (1 - curve)], metric=percent))
    np.testing.assert_allclose(error.values, -100 * (1 - accuracy.values), rtol=1e-6)
    np.testing.assert_allclose(error.deviations, 100 * accuracy.deviations, rtol=1e-5)


def test_a_metric_without_bounds_is_refused_before_any_search() -> None:
    sources = dataclasses.replace(
        small_world().sources, metric=Metric("perplexity", False, (0.0, np.inf))
    )
    with pytest.raises(InputError, match="measure perplexity, whose bounds"):
        Parametric().fit(sources, seed=0)


def test_the_seed_moves_random_starts_only() -> None:
    curve = [POW3[:8] + 0.02 * np.cos(np.arange(8.0))]
    answers = []
    for seed, restarts in ((0, 0), (1, 0), (1, 2), (1, 2)):
        estimator = Parametric(family="mmf", restarts=restarts)
        estimator.fit(small_world().sources, seed)
        answers.append(estimator.estimate(prefixes(curve)).tolist())
    assert answers[0] == answers[1]
    assert answers[2] == answers[3]


def test_odd_options_are_refused() -> None:
    with pytest.raises(InputError, match="Option family is 'pow5'; expected 'best', 'average'"):
        Parametric(family="pow5")
    with pytest.raises(InputError, match="Option restarts is -1"):
        Parametric(restarts=-1)
