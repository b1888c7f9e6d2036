"""LCNet: its toy, its curves, what it learns from other datasets, and what it lacks."""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from nassim.checks.planted import planted_tasks
from nassim.checks.worlds import small_world
from nassim.errors import InputError
from nassim.records import FloatArray, Metric, Prefixes, Sources, SourceTask
from nassim.terminators.lcnet import BASES, SHAPES, Ensemble, LCNet, Runs, basis_functions

EPOCHS = 20


def toy(count: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """The toy of the authors' code: (10 + a ln(b t)) / 10 and noise, with a and b as features."""
    rng = np.random.default_rng(seed)
    features = rng.random((count, 2))
    t = np.arange(1, EPOCHS + 1) / EPOCHS
    a, b = features[:, :1], features[:, 1:]
    return features, (10 + a * np.log(b * t)) / 10 + 0.01 * rng.random((count, EPOCHS))


@functools.cache
def toy_ensemble() -> Ensemble:
    return Ensemble.fit(Runs.of(*toy(100, 0), EPOCHS), 3, 300, np.random.default_rng(0))


@functools.cache
def planted() -> tuple[SourceTask, ...]:
    return planted_tasks(n_datasets=4, n=60, epochs=16)


@functools.cache
def fitted(seed: int = 0, steps: int = 250) -> LCNet:
    """Fitted on all but the last of the planted datasets; remembered, so do not change it."""
    estimator = LCNet(networks=3, steps=steps)
    estimator.fit(Sources(planted()[:-1]), seed)
    return estimator


def cut(task: SourceTask, epoch: int) -> Prefixes:
    return Prefixes(
        task.architectures, task.curves[:, :epoch], task.n_params, task.flops, task.curves.shape[1]
    )


# -- its toy, and its curves ---------------------------------------------------------------------


@pytest.mark.parametrize("known", [1, 5, 10])
def test_it_predicts_its_toy_within_two_deviations(known: int) -> None:
    features, curves = toy(200, 1)
    runs = Runs.of(features, curves[:, :known], EPOCHS)
    for t in (0.75, 1.0):
        mean, deviation = toy_ensemble().predict(runs, known, t)
        error = np.abs(curves[:, round(t * EPOCHS) - 1] - mean)
        assert (error < 2 * deviation).mean() > 0.95
        assert deviation.max() < 0.1
        assert error.mean() < np.abs(curves[:, -1] - curves[:, known - 1]).mean() / 2


def test_beyond_the_data_it_is_finite() -> None:
    features, curves = toy(20, 1)
    runs = Runs.of(features, curves[:, :5], EPOCHS)
    for t in (1.5, 10.0):
        mean, deviation = toy_ensemble().predict(runs, 5, t)
        assert np.isfinite(mean).all()
        assert (deviation > 0).all()


def test_basis_functions_by_hand() -> None:
    shapes = torch.tensor([0.2, -0.5, 0.1, 0.5, -0.3, 0.8, 0.4, -0.2], dtype=torch.float64)
    at = {
        t: basis_functions(shapes, torch.tensor(t, dtype=torch.float64)).numpy() for t in (0.1, 1.0)
    }
    assert at[1.0].tolist() == [0.0] * BASES
    vapour = math.exp(-0.6 - 0.025 / 0.1) * 0.1**-0.055 - math.exp(-0.625)
    steep = math.exp(6 * 0.35)
    logarithm = 0.5 * math.log((1 + steep * 0.1) / (1 + steep))
    half, power = math.exp(-4 * 0.7), math.exp(-0.4)
    hill = 0.8 * (0.1**power / (half**power + 0.1**power) - 1 / (1 + half**power))
    np.testing.assert_allclose(at[0.1], [vapour, logarithm, hill], rtol=1e-9)


def test_basis_functions_stay_finite_at_their_limits() -> None:
    corners = torch.tensor([[-1.0] * SHAPES, [1.0] * SHAPES])
    for t in (1e-3, 1.0, 100.0):
        assert torch.isfinite(basis_functions(corners, torch.tensor(t))).all()


def test_the_deviation_counts_what_networks_disagree_about() -> None:
    features, curves = toy(50, 1)
    runs = Runs.of(features, curves[:, :5], EPOCHS)
    ensemble = toy_ensemble()
    alone = [
        Ensemble(
            {name: weight[k : k + 1] for name, weight in ensemble.weights.items()},
            ensemble.mean,
            ensemble.deviation,
        ).predict(runs, 5)
        for k in range(3)
    ]
    means, deviations = (np.stack(each) for each in zip(*alone, strict=True))
    assert (means.std(axis=0) > 0).all()
    mean, deviation = ensemble.predict(runs, 5)
    np.testing.assert_allclose(mean, means.mean(axis=0), atol=2e-6)
    together = np.sqrt((deviations**2).mean(axis=0) + means.var(axis=0))
    np.testing.assert_allclose(deviation, together, atol=2e-6)


# -- what it reads -------------------------------------------------------------------------------


def test_beginnings_are_cut_before_what_is_asked_for() -> None:
    curves = np.full((4, 8), 0.5)
    curves[0, 3:], curves[1, 1:], curves[2, 4] = np.nan, -np.inf, np.nan
    runs = Runs.of(np.zeros((4, 1)), curves, 8)
    measured = np.array([3, 1, 4, 8])
    rows, epochs, asked = runs.draw(4000, np.random.default_rng(0))
    assert set(rows) == {0, 2, 3}  # one epoch leaves nothing to ask for
    assert (epochs >= 1).all()
    assert (epochs < asked).all()
    assert (asked <= measured[rows]).all()
    assert set(zip(epochs[rows == 0], asked[rows == 0], strict=True)) == {(1, 2), (1, 3), (2, 3)}
    assert set(asked[rows == 3]) == set(range(2, 9))


def test_the_beginning_by_hand() -> None:
    runs = Runs.of(np.array([[7.0]]), np.array([[0.1, 0.3, 0.6, 0.5, 0.9]]), 10)
    inputs = runs.inputs(np.array([0]), np.array([4]))[0]
    assert inputs == pytest.approx([7, 0, 0.4, 0.2, 0.1, math.log(4), 0.4])


def test_datasets_of_different_lengths_are_joined() -> None:
    short, long = (Runs.of(np.zeros((2, 1)), np.full((2, n), 0.5), n) for n in (3, 5))
    runs = Runs.joined([short, long])
    assert runs.max_epochs.tolist() == [3, 3, 5, 5]
    assert np.isfinite(runs.curves).sum(axis=1).tolist() == [3, 3, 5, 5]


# -- what it says of a dataset it has not seen ---------------------------------------------------


def test_it_ranks_a_planted_target() -> None:
    task = planted()[-1]
    for epoch, least in ((3, 0.3), (8, 0.6)):
        mean, deviation = fitted().estimate(cut(task, epoch)).T
        assert spearmanr(mean, task.values)[0] > least
        end = task.curves[:, -1]
        assert np.abs(end - mean).mean() < np.abs(end - task.curves[:, epoch - 1]).mean()
        assert (np.abs(end - mean) < 3 * deviation).mean() > 0.9


def test_the_architecture_is_an_input() -> None:
    prefixes = cut(planted()[-1], 2)
    before = fitted().estimate(prefixes)
    bigger = fitted().estimate(dataclasses.replace(prefixes, n_params=prefixes.n_params * 3))
    others = dataclasses.replace(prefixes, architectures=prefixes.architectures[::-1])
    assert not np.allclose(before, bigger, atol=1e-4)
    assert not np.allclose(before, fitted().estimate(others), atol=1e-4)
    unknown = dataclasses.replace(prefixes, n_params=0 * prefixes.n_params)
    assert np.isfinite(fitted().estimate(unknown)).all()  # the mean stands for it


def test_the_seed_decides() -> None:
    prefixes = cut(planted()[-1], 4)
    one = fitted(0, 5).estimate(prefixes)
    again = LCNet(networks=3, steps=5)
    again.fit(Sources(planted()[:-1]), 0)
    assert np.array_equal(one, again.estimate(prefixes))
    assert not np.array_equal(one, fitted(1, 5).estimate(prefixes))


def test_errors_in_percent_are_read_as_accuracies() -> None:
    percent = Metric("error", higher_is_better=False, bounds=(0.0, 100.0))
    tasks = tuple(
        dataclasses.replace(task, curves=100 * task.curves - 100, values=100 * task.values - 100)
        for task in planted()
    )
    estimator = LCNet(networks=3, steps=5)
    estimator.fit(Sources(tasks[:-1], percent), 0)
    error = estimator.estimate(dataclasses.replace(cut(tasks[-1], 4), metric=percent))
    accuracy = fitted(0, 5).estimate(cut(planted()[-1], 4))
    np.testing.assert_allclose(error[:, 0], 100 * accuracy[:, 0] - 100, atol=1e-3)
    np.testing.assert_allclose(error[:, 1], 100 * accuracy[:, 1], atol=1e-3)
    with pytest.raises(InputError, match="Curves measure accuracy; LCNet was fitted on curves of"):
        estimator.estimate(cut(planted()[-1], 4))


# -- when it has nothing to say ------------------------------------------------------------------


def test_a_beginning_that_was_not_measured_goes_on() -> None:
    prefixes = cut(planted()[-1], 3)
    curves = prefixes.curves.copy()
    curves[0, 0], curves[1, 1] = -np.inf, np.nan
    estimates = fitted().estimate(dataclasses.replace(prefixes, curves=curves))
    assert np.isnan(estimates[:2]).all()
    assert np.isfinite(estimates[2:]).all()
    assert np.isnan(fitted().estimate(dataclasses.replace(prefixes, curves=curves - np.inf))).all()


def test_it_says_what_it_lacks() -> None:
    with pytest.raises(InputError, match="LCNet was given no source dataset with a run of two"):
        LCNet().fit(Sources(()), 0)
    one_epoch = dataclasses.replace(planted()[0], curves=planted()[0].curves[:, :1])
    with pytest.raises(InputError, match="LCNet was given no source dataset with a run of two"):
        LCNet().fit(Sources((one_epoch,)), 0)
    with pytest.raises(InputError, match="LCNet must be fitted"):
        LCNet().estimate(cut(planted()[-1], 3))
    with pytest.raises(InputError, match="Prefixes have 0 epochs; LCNet expects 1 or more"):
        fitted().estimate(cut(planted()[-1], 0))
    perplexity = dataclasses.replace(
        small_world().sources, metric=Metric("perplexity", False, (0.0, np.inf))
    )
    with pytest.raises(InputError, match="measure perplexity, whose bounds"):
        LCNet().fit(perplexity, seed=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"networks": 0}, "Option networks is 0; expected a whole number, 1 or more"),
        ({"steps": 0}, "Option steps is 0"),
        ({"delta": 2}, "Option delta is 2"),
    ],
)
def test_odd_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        LCNet(**options)  # type: ignore[arg-type]
