"""Scales against SciPy and scikit-learn, and what is known of the sources."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.stats import norm, rankdata
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nassim.checks.worlds import small_world
from nassim.optimizers.sources import (
    ALPHAS,
    SCALES,
    LinearModel,
    ModelledSources,
    SourceValues,
    gaussian_ranks,
    ranks_from_best,
    winsorised_normal,
    zscore,
)
from nassim.records import Architecture, Sources, SourceTask
from nassim.spaces import get_space

SPACE = get_space("nasbench201")
POOL = tuple(SPACE.architecture((op, 1, 1, 0, 0, 3)) for op in range(5))


def task(values: list[float], pool: tuple[Architecture, ...] = POOL) -> SourceTask:
    return dataclasses.replace(small_world().target, architectures=pool, values=np.array(values))


def drawn(n: int, features: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    rows = rng.normal(3.0, 2.0, (n, features))
    return rows, rows @ np.arange(features) + rng.standard_normal(n)


def test_gaussian_ranks() -> None:
    values = np.random.default_rng(0).integers(0, 9, 30).astype(float)
    assert np.allclose(gaussian_ranks(values), norm.ppf((rankdata(values) - 0.5) / 30))


def test_the_winsorised_distribution_function() -> None:
    values = np.random.default_rng(0).permutation(100).astype(float)
    margin = 1 / (4 * 100**0.25 * np.sqrt(np.pi * np.log(100)))
    expected = norm.ppf(np.clip((values + 1) / 100, margin, 1 - margin))
    assert np.allclose(winsorised_normal(values), expected)
    assert winsorised_normal(values).max() == pytest.approx(norm.ppf(1 - margin))


@pytest.mark.parametrize("values", [[0.5], [0.5, 0.5, 0.5]])
def test_equal_values_are_finite_and_equal(values: list[float]) -> None:
    for scale in (*SCALES.values(), winsorised_normal):
        scaled = scale(np.array(values))
        assert np.isfinite(scaled).all()
        assert len(set(scaled.tolist())) == 1


def test_ranks_are_those_of_each_source() -> None:
    values = np.array([[0.1, 0.3, 0.2], [5.0, 5.0, 7.0]])
    assert ranks_from_best(values).tolist() == [[3, 1, 2], [2.5, 2.5, 1]]


def test_runs_of_one_architecture_are_averaged_before_they_are_scaled() -> None:
    twice = SourceValues.of(task([0.2, 0.4, 0.9], (POOL[0], POOL[0], POOL[1])), zscore)
    assert twice.architectures == POOL[:2]
    assert twice.values.tolist() == pytest.approx([-1, 1])


def test_isomorphic_architectures_are_one() -> None:
    twin = dataclasses.replace(POOL[0], id="another text")
    known = SourceValues.of(task([0.2, 0.4], (POOL[0], twin)))
    assert known.values.tolist() == pytest.approx([0.3])
    guesses = np.array([9.0, 9.0])
    assert known.completed([twin, POOL[1]], guesses).tolist() == pytest.approx([0.3, 9.0])


def test_best_first() -> None:
    known = SourceValues.of(task([0.2, 0.9, 0.5, 0.9, 0.1]))
    assert known.best_first() == [POOL[k] for k in (1, 3, 2, 0, 4)]


def test_the_model_is_scikit_learn_s() -> None:
    rows, targets = drawn(40)
    expected = make_pipeline(StandardScaler(), RidgeCV(alphas=ALPHAS)).fit(rows, targets)
    model = LinearModel.fit(rows, targets)
    assert np.allclose(model.predict(rows), expected.predict(rows), atol=1e-6)
    assert model.residual == pytest.approx((targets - expected.predict(rows)).std(), abs=1e-5)


def test_a_feature_that_is_always_the_same_says_nothing() -> None:
    rows, targets = drawn(40)
    same = np.column_stack([rows, np.full(40, 7.0)])
    other = np.column_stack([rows, np.full(40, 8.0)])
    model = LinearModel.fit(same, targets)
    assert np.array_equal(model.predict(same), model.predict(other))


@pytest.mark.parametrize("n", [1, 2])
def test_one_or_two_values_give_their_mean(n: int) -> None:
    rows, targets = drawn(n)
    assert LinearModel.fit(rows, targets).predict(rows) == pytest.approx(targets.mean(), abs=1e-6)


def test_an_update_does_not_depend_on_the_scale_of_the_target() -> None:
    rows, targets = drawn(40)
    told, values = drawn(6, seed=1)
    model = LinearModel.fit(rows, targets)
    updated, scaled = (model.updated(told, v, 5.0) for v in (values, 0.1 * values + 0.6))
    assert np.allclose(updated.predict(rows), scaled.predict(rows), atol=1e-5)


def test_an_update_turns_the_model_towards_the_target() -> None:
    rows, targets = drawn(40)
    told = drawn(30, seed=1)[0]
    values = -told @ np.arange(4)  # the opposite of the sources
    model = LinearModel.fit(rows, targets)
    correlations = [
        np.corrcoef(model.updated(told, values, weight).predict(told), values)[0, 1]
        for weight in (1e-9, 1.0, 100.0)
    ]
    assert correlations == sorted(correlations)
    assert correlations[0] < -0.9
    assert correlations[-1] > 0.9


def test_a_first_value_of_the_target_says_nothing() -> None:
    rows, targets = drawn(40)
    model = LinearModel.fit(rows, targets)
    again = model.updated(rows[:1], np.array([123.0]), 1e-9)
    assert np.allclose(again.predict(rows), model.predict(rows), atol=1e-5)


def test_each_source_has_its_own_model() -> None:
    sources = Sources((task([1, 2, 3, 4, 5]), task([5, 4, 3, 2, 1])))
    modelled = ModelledSources.fit(sources, "Method")
    unknown = SPACE.architecture((4, 3, 1, 0, 0, 3))
    values = modelled.values([POOL[0], POOL[4], unknown])
    assert values[:, 0].tolist() == pytest.approx([-(2**0.5), 2**0.5])
    assert values[:, 0].tolist() == values[::-1, 1].tolist()
    assert values[0, 2] > 0 > values[1, 2]  # as with operation 4 elsewhere
