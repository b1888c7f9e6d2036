"""LC-PFN: the prior, the bar distribution, the network that is shipped, and what p does."""

from __future__ import annotations

import dataclasses
import importlib.util
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nassim.checks.worlds import small_world
from nassim.errors import InputError
from nassim.records import ACCURACY, FloatArray, Incumbent, Metric, Prefixes
from nassim.terminators import lcpfn
from nassim.terminators.families import FAMILIES
from nassim.terminators.lcpfn import (
    BUCKETS,
    LCPFN,
    LENGTH,
    BarDistribution,
    Network,
    observed,
    place,
    sample_curves,
    weight_shapes,
)

SCRIPT = Path(__file__).parents[2] / "analysis" / "train_lcpfn.py"
POW3 = FAMILIES["pow3"](np.arange(1.0, 101.0), (0.9, 0.6, 0.5))
END = np.array([float(LENGTH)])


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


@pytest.fixture(scope="module")
def training() -> Any:
    found = importlib.util.spec_from_file_location("train_lcpfn", SCRIPT)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[found.name] = module
    found.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def curves() -> FloatArray:
    """Of the prior, without noise; the seed is none that was trained with."""
    return sample_curves(300, np.random.default_rng(12345))[0]


# -- the prior -----------------------------------------------------------------------------------


def test_curves_of_the_prior_rise_and_stay_within_bounds() -> None:
    values, noise = sample_curves(2000, np.random.default_rng(1))
    assert values.shape == (2000, LENGTH)
    assert values.min() >= 0
    assert values.max() <= 1
    assert (values[:, -1] > values[:, 0]).all()
    assert np.log(noise).mean() == pytest.approx(-4, abs=0.1)
    assert np.log(noise).std() == pytest.approx(1, abs=0.1)


def test_the_prior_is_a_sum_of_its_families() -> None:
    """By hand: numbers that a generator would draw, as shares of the range."""
    shares = iter([0.4, 0.75, 0.5, 0.75, 0.8, 0.05, 0.5])

    class Scripted:
        def uniform(self, low: float, high: float, shape: tuple[int, ...]) -> FloatArray:
            return np.full(shape, low + next(shares) * (high - low))

        def lognormal(self, mean: float, deviation: float, shape: Any) -> FloatArray:
            return np.full(shape, math.exp(mean))

    values, noise = sample_curves(1, Scripted())  # type: ignore[arg-type]
    x = np.arange(1.0, LENGTH + 1)
    pow3 = 0.5 - 0.3 / x
    ilog2 = 0.5 - 0.25 / np.log1p(x)
    janoschek = 0.8 - 0.7 * np.exp(-math.exp(-2) * x)
    np.testing.assert_allclose(values[0], 0.5 * (pow3 + ilog2 + janoschek), rtol=1e-12)
    assert noise[0] == math.exp(-4)


def test_noise_is_kept_within_bounds() -> None:
    rng = np.random.default_rng(0)
    noisy = observed(np.full((2, 4000), 0.5), np.array([0.1, 5.0]), rng)
    assert noisy[0].std() == pytest.approx(0.1, rel=0.05)
    assert (noisy[1].min(), noisy[1].max()) == (0, 1)


# -- the bar distribution ------------------------------------------------------------------------


def test_a_bar_distribution_integrates_to_1(curves: FloatArray) -> None:
    x = np.arange(1.0, 11)
    distribution = Network.load()(x, curves[:5, :10], np.array([11.0, 50.0, 100.0]))
    np.testing.assert_allclose(distribution.masses.sum(axis=-1), 1, rtol=1e-12)
    grid = (np.arange(8 * BUCKETS) + 0.5) / (8 * BUCKETS)
    one = BarDistribution(np.broadcast_to(distribution.masses[0, 0], (len(grid), BUCKETS)))
    assert np.exp(one.log_density(grid)).mean() == pytest.approx(1, rel=1e-9)


def test_mean_survival_and_quantiles_by_hand() -> None:
    masses = np.zeros(BUCKETS)
    masses[[20, 60]] = 0.25, 0.75  # 0.10 to 0.105, and 0.30 to 0.305
    distribution = BarDistribution(masses)
    assert distribution.mean() == pytest.approx(0.25 * 0.1025 + 0.75 * 0.3025)
    assert distribution.survival()[[0, 20, 21, 60, 61, -1]].tolist() == [1, 1, 0.75, 0.75, 0, 0]
    assert distribution.quantile(0.125) == pytest.approx(0.1025)
    assert distribution.quantile(0.625) == pytest.approx(0.3025)
    assert distribution.log_density(np.array(0.302)) == pytest.approx(math.log(0.75 * BUCKETS))


# -- the network that is shipped -----------------------------------------------------------------


def test_what_was_written_matches_the_code() -> None:
    network = Network.load()
    assert {name: array.shape for name, array in network.weights.items()} == weight_shapes()
    sizes = ("LENGTH", "WIDTH", "LAYERS", "HEADS", "HIDDEN", "BUCKETS")
    assert {name: network.header[name.lower()] for name in sizes} == {
        name: getattr(lcpfn, name) for name in sizes
    }
    assert network.header["curves"] == network.header["steps"] * network.header["batch"]
    assert lcpfn.WEIGHTS.stat().st_size < 1_500_000


def test_the_order_of_known_points_means_nothing(curves: FloatArray) -> None:
    network, x, asked = Network.load(), np.arange(1.0, 21), np.array([21.0, 60.0, 100.0])
    order = np.random.default_rng(0).permutation(20)
    plain = network(x, curves[:9, :20], asked).masses
    permuted = network(x[order], curves[:9, :20][:, order], asked).masses
    np.testing.assert_allclose(permuted, plain, rtol=1e-9, atol=1e-12)
    mixed = network(x, curves[:9, :20][:, order], asked).masses  # values at other epochs
    assert abs(mixed - plain).max() > 0.01


def test_questions_do_not_hear_each_other(curves: FloatArray) -> None:
    network, x = Network.load(), np.arange(1.0, 6)
    together = network(x, curves[:3, :5], np.array([6.0, 50.0, 100.0])).masses
    alone = network(x, curves[:3, :5], END).masses
    np.testing.assert_allclose(alone[:, 0], together[:, 2], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("known", [1, 2, 5, 10, 20])  # after 50 they are level
def test_without_noise_it_beats_a_gaussian_around_the_last_value(
    curves: FloatArray, known: int
) -> None:
    """By the negative log-likelihood of the end, and though that Gaussian knows its own error."""
    predicted = Network.load()(np.arange(1.0, known + 1), curves[:, :known], END)
    loss = -predicted.log_density(curves[:, -1:]).mean()
    deviation = np.sqrt(((curves[:, -1] - curves[:, known - 1]) ** 2).mean())
    assert loss < 0.5 + math.log(deviation * math.sqrt(2 * math.pi))


@pytest.mark.parametrize("known", [1, 5, 20, 50])
def test_its_80_percent_intervals_hold(known: int) -> None:
    rng = np.random.default_rng([54321, known])
    values = observed(*sample_curves(400, rng), rng)
    asked = np.array([known + 1.0, (known + LENGTH) // 2, LENGTH])
    predicted = Network.load()(np.arange(1.0, known + 1), values[:, :known], asked)
    truth = values[:, asked.astype(int) - 1]
    held = (predicted.quantile(0.1) <= truth) & (truth <= predicted.quantile(0.9))
    assert 0.7 < held.mean() < 0.9


def test_half_precision_loses_nothing() -> None:
    """Weights that are rounded at random once more are as good."""
    network, rng = Network.load(), np.random.default_rng(7)
    values = observed(*sample_curves(200, rng), rng)
    rounded = {
        name: array + rng.uniform(-0.5, 0.5, array.shape) * np.spacing(array.astype(np.float16))
        for name, array in network.weights.items()
    }
    losses = [
        -each(np.arange(1.0, 21), values[:, :20], END).log_density(values[:, -1:]).mean()
        for each in (network, Network(rounded, {}))
    ]
    assert losses[1] == pytest.approx(losses[0], abs=1e-3)


# -- its training --------------------------------------------------------------------------------


def test_the_network_that_is_trained_is_the_one_that_is_shipped(
    training: Any, curves: FloatArray
) -> None:
    import torch

    network, x, asked = Network.load(), np.arange(1.0, 8), np.array([8.0, 30.0])
    weights = {name: torch.from_numpy(array) for name, array in network.weights.items()}
    logits = training._logits(weights, x, torch.from_numpy(curves[:4, :7]), asked)
    masses = torch.softmax(logits, -1).numpy()
    np.testing.assert_allclose(masses, network(x, curves[:4, :7], asked).masses, atol=1e-9)
    y = curves[:4, [7, 29]]
    loss = training._loss(logits, torch.from_numpy(y)).item()
    assert loss == pytest.approx(-BarDistribution(masses).log_density(y).mean())


def test_a_short_training_lowers_the_loss(training: Any, tmp_path: Path) -> None:
    weights, losses = training.train(steps=60, batch=6, seed=0, every=20)
    assert len(losses) == 3
    assert losses[2] < losses[0] - 0.05
    again, _ = training.train(steps=20, batch=6, seed=0, every=20)
    other, _ = training.train(steps=20, batch=6, seed=1, every=20)
    assert not np.array_equal(again["out"], other["out"])
    Network(weights, {"seed": 0}).save(tmp_path / "small.npz")
    read = Network.load(tmp_path / "small.npz")
    assert read.header == {"seed": 0}
    for name, array in weights.items():
        np.testing.assert_allclose(read.weights[name], array, rtol=1e-3, atol=1e-6)


# -- what it says --------------------------------------------------------------------------------


def test_p_is_that_of_the_epoch_that_says_the_most() -> None:
    falling = np.linspace(0.6, 0.5, 10)  # so that an epoch before the last may be the most likely
    runs = prefixes([POW3[:10], falling], 20)
    estimator = LCPFN()
    epochs, distribution = estimator.predict(runs)
    assert epochs.tolist() == list(range(11, 21))
    estimates = estimator.estimate(runs)
    for bucket in (110, 130, 150, 160):
        bar = bucket / BUCKETS
        p = estimator.probability(estimates, Incumbent(bar, estimates[0]))
        by_hand = distribution.masses[:, :, bucket:].sum(axis=-1).max(axis=1)
        already = np.array([POW3[9], 0.6]) > bar
        np.testing.assert_allclose(p, np.where(already, 1, by_hand), atol=2e-6)


def test_p_falls_as_the_incumbent_rises() -> None:
    estimator = LCPFN()
    estimates = estimator.estimate(prefixes([POW3[:10], POW3[:10] / 2]))
    bars = np.linspace(-0.1, 1.1, 25)
    p = np.array([estimator.probability(estimates, Incumbent(m, estimates[0])) for m in bars])
    assert (np.diff(p, axis=0) <= 0).all()
    assert (p[0] == 1).all()
    assert (p[-1] == 0).all()
    assert (p[:, 1] <= p[:, 0] + 1e-3).all()


def test_the_end_of_a_power_law_is_inside_what_it_predicts() -> None:
    estimator = LCPFN()
    for known, width in ((5, 0.55), (30, 0.2)):
        _, distribution = estimator.predict(prefixes([POW3[:known]]))
        low, high = distribution.quantile(0.02)[0, -1], distribution.quantile(0.98)[0, -1]
        assert low < POW3[-1] < high
        assert high - low < width
    assert estimator.score(estimator.estimate(prefixes([POW3[:30]])))[0] == pytest.approx(
        POW3[-1], abs=0.03
    )


def test_a_longer_curve_is_read_by_the_hundredth() -> None:
    """Of a curve of 200 epochs, every other one: as if it had 100."""
    long = np.repeat(POW3, 2)
    half = LCPFN().predict(prefixes([POW3[:10]], 100))
    epochs, distribution = LCPFN().predict(prefixes([long[:20]], 200))
    assert epochs.tolist() == list(range(22, 201, 2))
    np.testing.assert_allclose(distribution.masses, half[1].masses, rtol=1e-9, atol=1e-12)
    odd, _ = LCPFN().predict(prefixes([long[:1]], 250))
    assert len(odd) == 100
    assert place(np.array([0.4]))[0].tolist() == [0.01, 0.0]


def test_a_complete_curve_is_asked_for_its_last_epoch() -> None:
    epochs, distribution = LCPFN().predict(prefixes([POW3]))
    assert epochs.tolist() == [100]
    assert distribution.mean()[0, 0] == pytest.approx(POW3[-1], abs=0.02)


def test_of_what_was_not_measured_nothing_is_said() -> None:
    runs = np.tile(POW3[:6], (3, 1))
    runs[0, 0], runs[1, 3] = -np.inf, np.nan
    estimator = LCPFN()
    estimates = estimator.estimate(prefixes(runs))
    p = estimator.probability(estimates, Incumbent(0.9, estimates[2]))
    assert np.isnan(p).tolist() == [True, True, False]
    assert np.isnan(estimator.score(estimates)).tolist() == [True, True, False]
    with pytest.raises(InputError, match="Prefixes have 0 epochs; LCPFN expects 1 or more"):
        estimator.estimate(prefixes(np.empty((2, 0))))


def test_errors_in_percent_say_the_same_as_accuracies() -> None:
    curve = np.round(POW3[:12] * 64) / 64  # exact in either unit
    percent = Metric("error", higher_is_better=False, bounds=(0.0, 64.0))
    estimator = LCPFN()
    accuracy = estimator.estimate(prefixes([curve]))
    error = estimator.estimate(prefixes([-64 * (1 - curve)], metric=percent))
    np.testing.assert_allclose(error[:, 0], -64 * (1 - accuracy[:, 0]), atol=1e-4)
    for bar in (0.75, 0.8125):
        np.testing.assert_allclose(
            estimator.probability(error, Incumbent(-64 * (1 - bar), error[0])),
            estimator.probability(accuracy, Incumbent(bar, accuracy[0])),
        )


def test_a_metric_without_bounds_is_refused_before_any_search() -> None:
    sources = dataclasses.replace(
        small_world().sources, metric=Metric("perplexity", False, (0.0, np.inf))
    )
    with pytest.raises(InputError, match="measure perplexity, whose bounds"):
        LCPFN().fit(sources, seed=0)
