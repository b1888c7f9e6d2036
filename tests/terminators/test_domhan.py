from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from nassim.checks.worlds import small_world
from nassim.errors import InputError
from nassim.records import ACCURACY, FloatArray, Incumbent, Metric, Prefixes
from nassim.terminators.domhan import Domhan, plateau, stretch_moves
from nassim.terminators.families import FAMILIES

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


def few(**options: Any) -> Domhan:
    """Two families and a short chain."""
    return Domhan(families="pow3+ilog2", walkers=20, **{"steps": 200, "burn_in": 100} | options)


# --- the sampler --------------------------------------------------------------------------------


def test_the_sampler_recovers_the_moments_of_gaussians() -> None:
    """Two problems at once: a correlated Gaussian, and one that is a tenth as wide elsewhere."""
    covariance = np.array([[1.0, 0.8], [0.8, 2.0]])
    precision = np.linalg.inv(covariance)
    centre, width = np.array([0.0, 3.0]), np.array([1.0, 0.1])

    def density(positions: FloatArray) -> tuple[FloatArray, FloatArray]:
        away = (positions - centre[:, None]) / width[:, None]
        return -np.einsum("iwk,ij,jwk->wk", away, precision, away) / 2, positions

    rng = np.random.default_rng(0)
    start = centre[:, None] + 1e-6 * rng.standard_normal((2, 2, 40))
    kept, accepted = stretch_moves(density, start, np.array([2, 2]), rng, 3000, 500, 5)
    assert kept.shape == (500, 2, 2, 40)
    assert ((accepted > 0.5) & (accepted < 0.9)).all()
    for problem in (0, 1):
        samples = kept[:, :, problem].transpose(1, 0, 2).reshape(2, -1)
        wide = width[problem]
        np.testing.assert_allclose(samples.mean(axis=1), centre[problem], atol=0.08 * wide)
        np.testing.assert_allclose(np.cov(samples), wide**2 * covariance, atol=0.12 * wide**2)


def test_a_walker_never_leaves_where_there_is_density() -> None:
    def density(positions: FloatArray) -> tuple[FloatArray, FloatArray]:
        inside = (positions[0] > 0) & (positions[0] < 1)
        return np.where(inside, 0.0, -np.inf), positions

    rng = np.random.default_rng(0)
    start = rng.uniform(0.4, 0.6, (1, 1, 20))
    kept, _ = stretch_moves(density, start, np.array([1]), rng, 2000, 100, 1)
    assert kept.min() > 0
    assert kept.max() < 1
    assert kept.mean() == pytest.approx(0.5, abs=0.03)
    assert kept.std() == pytest.approx(np.sqrt(1 / 12), abs=0.03)


# --- the posterior ------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_end_of_a_curve_without_noise_is_inside_the_posterior() -> None:
    estimator = Domhan()
    runs = prefixes([POW3[:30]])
    posterior = estimator.posterior(runs)
    assert abs(np.median(posterior.values) - POW3[-1]) < 0.02
    assert posterior.used.sum() >= 8
    assert 0.02 < posterior.accepted[0] < 0.9
    estimates = estimator.estimate(runs)  # the sum of all families leans to higher ends here
    assert 0.5 < estimator.probability(estimates, Incumbent(POW3[-1], estimates[0]))[0] < 0.995


def test_the_posterior_of_the_families_that_made_a_curve_is_narrow_and_right() -> None:
    noisy = POW3[:30] + 0.005 * np.random.default_rng(0).standard_normal(30)
    posterior = few().posterior(prefixes([noisy]))
    assert posterior.values[0].mean() == pytest.approx(POW3[-1], abs=0.02)
    assert np.median(posterior.noise[0]) == pytest.approx(0.005, abs=0.002)


def test_recent_values_count_more() -> None:
    """A curve that two halves pull apart is believed to go on as it did last."""
    curve = np.where(np.arange(20) < 10, 0.5, 0.54)  # never 0.05 above its first value
    assert plateau(curve) == 0
    values = Domhan(families="ilog2", walkers=10).posterior(prefixes([curve])).values
    design = np.stack([np.ones(20), -1 / np.log1p(np.arange(1.0, 21.0))], axis=1)
    at = np.array([1.0, -1 / np.log(101.0)])
    even = at @ np.linalg.lstsq(design, curve, rcond=None)[0]
    roots = np.sqrt(10 ** (np.arange(20) / 20))[:, None]
    recent = at @ np.linalg.lstsq(roots * design, roots[:, 0] * curve, rcond=None)[0]
    assert abs(values[0].mean() - recent) < abs(even - recent) / 4


def test_a_plateau_at_the_beginning_is_left_out() -> None:
    assert plateau(np.full(20, 0.1)) == 0
    assert plateau(POW3[:20]) == 1  # the first value is not above itself
    late = np.concatenate([np.full(9, 0.1), POW3[:20]])
    assert plateau(late) == 9
    assert plateau(late[:14]) == 0  # 5 values above the first, and no 6th
    with_plateau = few().posterior(prefixes([late], max_epochs=109)).values.mean()
    without = few().posterior(prefixes([late[9:]], max_epochs=100)).values.mean()
    assert with_plateau == pytest.approx(without, abs=0.01)


def test_what_is_said_of_a_run_is_the_same_bits_in_any_batch() -> None:
    curves = np.array(small_world().target.curves[:, :9])
    estimator = Domhan(steps=30, burn_in=10)
    together = estimator.estimate(prefixes(curves, 27))
    mixed = [5, 0, 17]
    assert np.array_equal(estimator.estimate(prefixes(curves[mixed], 27)), together[mixed])
    assert np.array_equal(estimator.estimate(prefixes(curves[[5]], 27)), together[[5]])


def test_equal_curves_are_equally_good_and_seeds_differ() -> None:
    runs = prefixes([POW3[:10]] * 2)
    estimates = []
    for seed in (0, 0, 1):
        estimator = few()
        estimator.fit(small_world().sources, seed)
        estimates.append(estimator.estimate(runs))
    assert np.array_equal(estimates[0][0], estimates[0][1])
    assert np.array_equal(estimates[0], estimates[1])
    assert not np.array_equal(estimates[0], estimates[2])


def test_families_that_fall_are_no_part_of_the_sum() -> None:
    falling = 0.5 - 0.03 * np.arange(10.0)
    posterior = few().posterior(prefixes([falling, POW3[:10]]))
    assert not posterior.used[0].any()
    assert posterior.used[1].all()
    assert posterior.reasons == ("no family fits", "")
    assert np.isnan(posterior.values[0]).all()
    assert np.isfinite(posterior.values[1]).all()


def test_a_flat_curve_is_sampled_too() -> None:
    posterior = few().posterior(prefixes([np.full(8, 0.1)]))
    if posterior.reasons == ("",):  # a fit may fall by a rounding error
        assert posterior.values[0].mean() == pytest.approx(0.1, abs=0.05)
    assert posterior.reasons[0] in ("", "no family fits")


# --- the decision -------------------------------------------------------------------------------


def test_p_falls_as_the_incumbent_rises() -> None:
    estimator = few()
    estimates = estimator.estimate(prefixes([POW3[:10], POW3[:10] / 2]))
    incumbents = np.linspace(0.0, 1.5, 16)
    p = np.array([estimator.probability(estimates, Incumbent(m, estimates[0])) for m in incumbents])
    assert (np.diff(p, axis=0) <= 0).all()
    assert p[0].min() > 0.99
    assert p[-1].max() < 0.01
    assert (p[:, 1] <= p[:, 0]).all()


def test_what_has_been_better_already_goes_on() -> None:
    curve = POW3[:20].copy()
    curve[10] = 0.95
    estimator = few()
    estimates = estimator.estimate(prefixes([curve]))
    assert estimator.probability(estimates, Incumbent(0.94, estimates[0])).tolist() == [1.0]
    assert estimator.probability(estimates, Incumbent(0.96, estimates[0]))[0] < 1


def test_of_what_was_not_measured_or_too_short_nothing_is_said_but_why() -> None:
    curves = np.tile(POW3[:10], (3, 1))
    curves[0, 0], curves[1, 4] = -np.inf, np.nan
    estimator = few()
    posterior = estimator.posterior(prefixes(curves))
    assert posterior.reasons == ("not every epoch was measured",) * 2 + ("",)
    estimates = estimator.estimate(prefixes(curves))
    p = estimator.probability(estimates, Incumbent(2.0, estimates[2]))
    assert np.isnan(p).tolist() == [True, True, False]
    assert estimator.decision_epochs(30)[0] == 5
    short = estimator.posterior(prefixes([POW3[:4]]))
    assert short.reasons == ("fewer than 5 epochs",)
    assert np.isnan(short.values).all()


def test_errors_in_percent_say_the_same_as_accuracies() -> None:
    curve = np.round(POW3[:12] * 64) / 64  # exact in either unit
    accuracy = few().posterior(prefixes([curve]))
    percent = Metric("error", higher_is_better=False, bounds=(0.0, 64.0))
    error = few().posterior(prefixes([-64 * (1 - curve)], metric=percent))
    np.testing.assert_allclose(error.values, -64 * (1 - accuracy.values), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(error.noise, 64 * accuracy.noise)


def test_a_metric_without_bounds_is_refused_before_any_search() -> None:
    sources = dataclasses.replace(
        small_world().sources, metric=Metric("perplexity", False, (0.0, np.inf))
    )
    with pytest.raises(InputError, match="measure perplexity, whose bounds"):
        few().fit(sources, seed=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"families": "pow3+pow5"}, r"Option families is 'pow3\+pow5'; expected 'all', or"),
        ({"families": "pow3+pow3"}, "expected 'all', or different ones"),
        ({"walkers": 94}, "Option walkers is 94; expected a whole number, 96 or more"),
        ({"walkers": 101}, "Option walkers is 101; expected an even number"),
        ({"steps": 300}, "burn_in=300 and thin=10 leave nothing of steps=300"),
        ({"thin": 0}, "Option thin is 0"),
    ],
)
def test_odd_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Domhan(**options)


def test_runs_are_ranked_by_the_mean_of_what_is_sampled() -> None:
    estimates = np.array([[0.9, 0.6, 0.8, 0.1, 0.1], [0.1, 0.9, 0.9, 0.1, 0.1]])
    np.testing.assert_allclose(Domhan().score(estimates), [0.7, 0.9])
