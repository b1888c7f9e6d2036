"""Freeze-thaw: the kernel, the process against plain algebra, and what is thawed."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from nassim.checks.recording import FixedOrder, Recorder
from nassim.checks.worlds import World, hard_worlds, small_world
from nassim.errors import InputError
from nassim.records import ACCURACY, FloatArray, Metric
from nassim.simulator import Episode, simulate
from nassim.terminators import freeze_thaw
from nassim.terminators.base import Terminator
from nassim.terminators.freeze_thaw import FreezeThaw, freeze_thaw_kernel
from nassim.terminators.stepwise import Seen
from nassim.terminators.successive_halving import SuccessiveHalving


def search(
    terminator: Terminator, world: World, order_seed: int = 0, seed: int = 0, **options: Any
) -> tuple[Recorder, Episode]:
    terminator.fit(world.sources, seed)
    recorder, replay = Recorder(terminator), world.replay()
    order = np.random.default_rng(order_seed).permutation(len(replay.lengths)).tolist()
    rng = np.random.default_rng(0)
    return recorder, simulate(replay, FixedOrder(order), recorder, rng, **options)


# -- the kernel ----------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", freeze_thaw.GRID["alpha"])
@pytest.mark.parametrize("beta", freeze_thaw.GRID["beta"])
def test_the_kernel_is_positive_semi_definite_and_decays(alpha: float, beta: float) -> None:
    t = np.arange(0.0, 60.0)
    kernel = freeze_thaw_kernel(t, t, alpha, beta)
    assert np.allclose(kernel, kernel.T)
    assert np.linalg.eigvalsh(kernel).min() > -1e-10
    assert kernel[0, 0] == 1
    assert (np.diff(kernel, axis=1) < 0).all()
    assert freeze_thaw_kernel(t[:1], np.array([1e9]), alpha, beta)[0, 0] < 1e-3


@pytest.mark.parametrize(("t", "other"), [(1.0, 1.0), (2.0, 7.0)])
def test_the_kernel_mixes_decaying_exponentials(t: float, other: float) -> None:
    alpha, beta = 2.0, 3.0

    def exponential(rate: float) -> float:
        weight = beta**alpha / math.gamma(alpha) * rate ** (alpha - 1) * math.exp(-rate * beta)
        return weight * math.exp(-rate * (t + other))

    kernel = freeze_thaw_kernel(np.array([t]), np.array([other]), alpha, beta)
    assert kernel[0, 0] == pytest.approx(quad(exponential, 0, math.inf)[0])


# -- the process ---------------------------------------------------------------------------------


def surrogate(world: World, metric: Metric = ACCURACY) -> Any:
    max_epochs = world.target.curves.shape[1]
    rng = np.random.default_rng(0)
    return freeze_thaw._Surrogate(world.target.architectures, max_epochs, metric, 256, rng)


def seen_of(world: World, trained: list[int]) -> Seen:
    """The world after these epochs of its first runs."""
    curves = world.target.curves
    counts = np.array(trained + [0] * (len(curves) - len(trained)))
    known = np.arange(curves.shape[1]) < counts[:, None]
    return Seen(np.where(known, curves, np.nan), counts)


SOME = [4, 1, 2, 8, 1, 1]


def plain(model: Any, seen: Seen, at: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean and deviation of all runs at these epochs, by an inverse and a loop."""
    setting, n = model._kernel.setting, len(seen.trained)
    distances = model._kernel._distances

    def covariance(run: int, t: float, other: int, u: float) -> float:
        near = math.exp(-0.5 * distances[run, other] / setting.length**2)
        runs = (1 - setting.own) * near + setting.own * (run == other)
        decay = (setting.beta / (t + u + setting.beta)) ** setting.alpha
        return float(runs * (setting.asymptote + (1 - setting.asymptote) * decay))

    points = [
        (run, epoch)
        for run, trained in enumerate(seen.trained.tolist())
        for epoch in sorted({trained >> k for k in range(8)} - {0})
    ]
    values = np.array([seen.curves[run, epoch - 1] for run, epoch in points])
    matrix = np.array([[covariance(*a, *b) for b in points] for a in points])
    inverse = np.linalg.inv(matrix + setting.noise * np.eye(len(points)))
    mean = inverse.sum(axis=0) @ values / inverse.sum()
    prior = (0.1 * (1 - seen.best)) ** 2
    scale = ((values - mean) @ inverse @ (values - mean) + prior) / (len(points) + 1)
    across = np.array([[covariance(run, at[run], *b) for b in points] for run in range(n)])
    own = np.array([covariance(run, at[run], run, at[run]) for run in range(n)])
    variance = own - np.einsum("ij,jk,ik->i", across, inverse, across)
    return mean + across @ inverse @ (values - mean), np.sqrt(scale * variance)


def test_the_posterior_is_that_of_plain_algebra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freeze_thaw, "FIRST_FIT", 10**9)
    world = small_world(n=10, epochs=9)
    model, seen = surrogate(world), seen_of(world, SOME)
    at = np.minimum(seen.trained + 3, 9)
    mean, deviation = model._posterior(seen).predict(np.arange(10), at)
    expected_mean, expected_deviation = plain(model, seen, at.astype(float))
    assert np.allclose(mean, expected_mean, atol=1e-9)
    assert np.allclose(deviation, expected_deviation, rtol=1e-5)
    assert np.allclose(model.predict_ends(seen), plain(model, seen, np.full(10, 9.0))[0])


class Fixed:
    """A generator that draws the longest horizon, and no step beyond the best value."""

    def integers(self, low: int, high: int) -> int:
        return high - 1

    def uniform(self, low: float, high: float) -> float:
        return -math.inf


def test_at_the_end_and_the_best_value_it_is_plain_improvement() -> None:
    world = small_world(n=10, epochs=9)
    free = np.array([0, 1, 2, 4, 5, 8])
    for trained in (SOME, [1, 1, 1], [3, 7, 2, 9]):
        model, seen = surrogate(world), seen_of(world, trained)
        model._rng = Fixed()
        chosen = model.choose(seen, free)
        mean, deviation = plain(model, seen, np.full(10, 9.0))
        improvement = norm.cdf((mean - seen.best) / deviation)[free]
        assert chosen == free[np.argmax(improvement)]


def test_a_farther_threshold_asks_for_a_wider_guess() -> None:
    """Close to the best value a run that is nearly there is chosen; far from it an unknown one."""
    world = small_world(n=10, epochs=9)
    best = int(np.argmax(world.target.curves[:8, 7]))
    trained = [8] * 8
    model, seen = surrogate(world), seen_of(world, trained)
    free = np.arange(10)
    assert free[np.argmax(model.gains(seen, free, 1, seen.best - 0.1))] == best
    assert free[np.argmax(model.gains(seen, free, 1, 1.0))] >= 8


def test_the_fit_finds_out_whether_architectures_matter() -> None:
    world = small_world(n=24, epochs=9)
    epochs = np.full(24, 9)
    rng, own = np.random.default_rng(0), {}
    distances = freeze_thaw._squared_distances(world.target.architectures)
    kernel = freeze_thaw._Kernel(distances, 9, freeze_thaw._Setting())
    smooth = np.linalg.cholesky(np.exp(-0.5 * distances / 3) + 1e-6 * np.eye(24))
    for kind, factor in (("smooth", smooth), ("rough", np.eye(24))):
        values = 0.5 + 0.1 * factor @ rng.standard_normal(24)
        fitted = freeze_thaw._fitted(kernel, np.arange(24), epochs, values, 1e-4)
        own[kind] = fitted.setting.own
        before, after = (
            freeze_thaw._Posterior.of(each, np.arange(24), epochs, values, 1e-4).evidence
            for each in (kernel, fitted)
        )
        assert after >= before
    assert own["smooth"] < 0.3 < own["rough"]


# -- the search ----------------------------------------------------------------------------------


def slow_starter() -> tuple[World, int]:
    """Sixteen runs of 20 epochs that settle at once, but for one: the worst until epoch 2, the
    best from epoch 5."""
    world = small_world(n=16, epochs=20)
    t, rng = np.arange(1, 21), np.random.default_rng(0)
    levels = rng.uniform(0.6, 0.7, 16)[:, None]
    curves = levels - 0.2 * np.exp(-t / 1.5) + rng.normal(0, 0.002, (16, 20))
    curves[3] = 0.9 - 0.6 * np.exp(-t / 4)
    return world.with_curves(curves), 3


def test_a_slow_starter_is_found_within_the_budget() -> None:
    world, slow = slow_starter()
    found = halved = 0
    for seed in range(5):
        _, episode = search(FreezeThaw(budget=0.4), world, seed, seed)
        assert episode.epochs_charged <= 0.4 * 16 * 20
        found += episode.pick == slow
        _, episode = search(SuccessiveHalving(eta=2), world, seed)
        halved += episode.pick == slow
    assert found >= 4
    assert halved == 0  # it is the worst at the first rung


def test_runs_are_frozen_and_thawed() -> None:
    recorder, episode = search(FreezeThaw(budget=0.5), small_world(n=10, epochs=12))
    trained = [event.runs[0] for event in recorder.events if event.what == "train"]
    blocks = 1 + sum(a != b for a, b in itertools.pairwise(trained))
    assert blocks > len(set(trained)) > 3
    assert 0 < len(episode.completed) < 10


@pytest.mark.parametrize("step", [1, 4])
def test_a_step_has_so_many_epochs(step: int) -> None:
    recorder, _ = search(FreezeThaw(budget=0.5, step=step), small_world(n=10, epochs=12))
    reached: dict[int, int] = {}
    steps = []
    for event in recorder.events:
        if event.what == "train":
            steps.append(event.epoch - reached.get(event.runs[0], 0))
            reached[event.runs[0]] = event.epoch
    assert set(steps[:-1]) <= {step, *range(4, 12)}
    assert steps[0] == step


def test_chance_comes_from_the_seed() -> None:
    world = small_world(n=12, epochs=12)
    first, again, other = (search(FreezeThaw(), world, 0, seed)[0].events for seed in (0, 0, 1))
    assert first == again != other


def test_few_points_are_enough_for_a_search() -> None:
    _, episode = search(FreezeThaw(budget=0.5, points=4), small_world(n=12, epochs=12))
    assert episode.completed


def test_the_highest_value_is_that_of_the_metric() -> None:
    world = small_world(n=10, epochs=9)
    seen = seen_of(world, SOME)
    assert surrogate(world)._missing(seen) == pytest.approx(1 - seen.best)
    loss = Metric("loss", False, (0.0, math.inf))
    below = dataclasses.replace(seen, curves=seen.curves - 1)
    assert surrogate(world, loss)._missing(below) == pytest.approx(1 - seen.best)
    score = Metric("score", True, (0.0, math.inf))
    spread = np.nanmax(seen.curves) - np.nanmin(seen.curves)
    assert surrogate(world, score)._missing(seen) == pytest.approx(spread)
    _, episode = search(FreezeThaw(budget=0.5), hard_worlds()["lower_is_better"])
    assert episode.completed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget": 0}, "Option budget is 0"),
        ({"step": 0}, "Option step is 0"),
        ({"points": 0.5}, "Option points is 0.5"),
    ],
)
def test_odd_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        FreezeThaw(**options)
