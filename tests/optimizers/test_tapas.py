"""TAPAS: what the DCN is, what is learned from whom, and how it ranks what it never saw."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Sequence

import numpy as np
import pytest
from scipy.stats import kendalltau

from nassim.checks.planted import planted_tasks
from nassim.errors import InputError
from nassim.optimizers.base import Candidates
from nassim.optimizers.tapas import TAPAS, TAPASSearch, simulate_evolution
from nassim.records import Architecture, Dataset, FloatArray, Sources, SourceTask
from nassim.spaces import get_space

SPACE = get_space("nasbench201")
LEVELS = {"hard": 0.30, "harder": 0.34, "middling": 0.60, "easy": 0.80}


def task(name: str, architectures: Sequence[Architecture], values: FloatArray) -> SourceTask:
    n = len(architectures)
    return SourceTask(
        dataset=Dataset(name, group=name),
        architectures=tuple(architectures),
        seeds=np.zeros(n, np.int64),
        curves=values[:, None],
        lengths=np.ones(n, np.int64),
        values=values,
        failed=~np.isfinite(values),
        seconds=np.ones((n, 1)),
        n_params=np.zeros(n, np.int64),
        flops=np.zeros(n, np.int64),
    )


def quality(architecture: Architecture) -> float:
    """0 to 0.12: how many convolutions an architecture has."""
    return 0.02 * sum(op in (2, 3) for op in architecture.decisions)


@functools.cache
def pool() -> tuple[Architecture, ...]:
    rng = np.random.default_rng(0)
    return tuple(SPACE.sample(rng) for _ in range(40))


@functools.cache
def store(*names: str) -> Sources:
    """Datasets on which accuracy = level of the dataset + quality of the architecture."""
    return Sources(
        tuple(
            task(name, pool(), LEVELS[name] + np.array([quality(a) for a in pool()]))
            for name in names or LEVELS
        )
    )


@functools.cache
def fitted(**options: object) -> TAPAS:
    """Fitted on all datasets; remembered, so do not change it."""
    tapas = TAPAS(**options)  # type: ignore[arg-type]
    tapas.fit(store(), seed=0)
    return tapas


def begun(tapas: TAPAS, values: Sequence[float] = (), table: bool = True) -> TAPASSearch:
    """A search whose landmarks are told these values, in turn."""
    candidates = Candidates(pool()) if table else Candidates(space=SPACE)
    search = tapas.begin(candidates, np.random.default_rng(0))
    for run, value in zip(search.ask(len(values)), values, strict=True):
        search.tell(run, 1, value)
    return search


# -- options -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"landmarks": 0},
        {"tolerance": -0.1},
        {"targets": "ranks"},
        {"steps": 0},
        {"population": 1},
        {"generations": 0},
    ],
)
def test_options_have_ranges(options: dict[str, object]) -> None:
    with pytest.raises(InputError, match="expected"):
        TAPAS(**options)  # type: ignore[arg-type]


def test_it_needs_sources() -> None:
    nothing = task("nothing", pool()[:2], np.array([np.nan, -np.inf]))
    for tasks in ((), (nothing,)):
        with pytest.raises(InputError, match="no source dataset on which anything"):
            TAPAS().fit(Sources(tasks), seed=0)
    with pytest.raises(InputError, match="must be fitted"):
        TAPAS().begin(Candidates(pool()), np.random.default_rng(0))


# -- landmarks and DCN ---------------------------------------------------------------------------


def test_the_dcn_of_a_source_is_the_mean_of_its_landmarks() -> None:
    tapas = fitted(steps=1)
    search = tapas.begin(Candidates(pool()), np.random.default_rng(0))
    mean_quality = np.mean([quality(pool()[run]) for run in search.ask(3)])
    assert tapas.source_dcn == pytest.approx({k: v + mean_quality for k, v in LEVELS.items()})
    assert search.notes["landmark_distance"] == 0  # the sources have the very same architectures


def test_the_dcn_does_not_depend_on_any_other_architecture() -> None:
    search = begun(fitted(steps=1))
    landmarks = set(search.ask(3))
    shuffled = []
    for k, each in enumerate(store().tasks):
        values = each.values.copy()
        others = np.array(sorted(set(range(40)) - landmarks))
        values[others] = np.random.default_rng(k).random(len(others))
        shuffled.append(dataclasses.replace(each, values=values))
    tapas = TAPAS(steps=1)
    tapas.fit(Sources(tuple(shuffled)), seed=0)
    assert tapas.source_dcn == fitted(steps=1).source_dcn


def test_the_dcn_of_the_target_is_that_of_its_landmarks_alone() -> None:
    search = begun(fitted(steps=1), (0.5, 0.6, 0.7))
    assert search.dcn == pytest.approx(0.6)
    before = search.predict(pool())
    for run in search.ask(5):
        search.tell(run, 1, 0.99)
    assert search.dcn == pytest.approx(0.6)
    assert np.array_equal(search.predict(pool()), before)


def test_a_later_report_of_a_landmark_replaces_the_earlier_one() -> None:
    search = begun(fitted(steps=1))
    first, second, third = search.ask(3)
    search.tell(first, 1, 0.2)
    search.tell(first, 2, 0.4)
    assert search.dcn == 0.4
    search.tell(second, 1, 0.8)
    search.tell(third, 1, -np.inf)
    assert search.dcn == pytest.approx((0.4 + 0.8 + 0.4) / 3)  # it failed: as the worst


def test_where_all_landmarks_failed_the_dcn_is_the_mean_of_the_sources() -> None:
    tapas = fitted(steps=1)
    expected = pytest.approx(np.mean(list(tapas.source_dcn.values())))
    assert begun(tapas).dcn == expected
    assert begun(tapas, (-np.inf,) * 3).dcn == expected


def test_where_nothing_is_shared_the_nearest_stand_for_the_landmarks() -> None:
    tasks = planted_tasks(n_datasets=3, n=30, epochs=2)
    tapas = TAPAS(steps=1)
    tapas.fit(Sources(tasks[:-1]), seed=0)
    search = tapas.begin(Candidates(tasks[-1].architectures), np.random.default_rng(0))
    assert 0.3 < search.notes["landmark_distance"] < 0.6
    assert len(set(search.ask(3))) == 3


def test_in_a_space_the_landmarks_are_themselves() -> None:
    candidates = Candidates(space=SPACE)
    search = fitted(steps=1).begin(candidates, np.random.default_rng(0))
    assert search.ask(3) == [0, 1, 2]
    assert set(candidates.architectures) <= set(pool())


# -- the database, filtered by DCN ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("dcn", "kept"),
    [
        (0.36, ("hard", "harder")),
        (0.66, ("middling",)),
        (0.73, ("middling",)),  # none is similar: the nearest
        (0.99, ("easy",)),
    ],
)
def test_only_sources_of_a_similar_dcn_are_kept(dcn: float, kept: tuple[str, ...]) -> None:
    tapas = fitted(steps=1, tolerance=0.06)
    level = np.mean(list(tapas.source_dcn.values())) - np.mean(list(LEVELS.values()))
    search = begun(tapas, (dcn - 0.06 + level,) * 3)
    assert search.kept == kept
    assert search.notes["sources_kept"] == len(kept)


def test_which_search_comes_first_changes_no_predictor() -> None:
    def predictions(*order: float) -> list[float]:
        tapas = TAPAS(steps=2, tolerance=0.06)
        tapas.fit(store(), seed=0)
        found = {dcn: tapas.predict(pool()[:1], dcn)[0] for dcn in order}
        return [float(found[dcn]) for dcn in sorted(order)]

    assert predictions(0.35, 0.65, 0.85) == predictions(0.85, 0.35, 0.65)


# -- the predictor -------------------------------------------------------------------------------


@pytest.mark.parametrize("targets", ["raw", "standardised"])
def test_the_higher_the_dcn_the_higher_the_prediction(targets: str) -> None:
    tapas = fitted(steps=60, targets=targets)
    predicted = np.array([tapas.predict(pool(), dcn) for dcn in tapas.source_dcn.values()])
    assert (np.diff(predicted, axis=0) > 0).all()  # LEVELS are in ascending order
    true = np.array([each.values for each in store().tasks])
    assert np.abs(predicted - true).mean() < 0.05  # it is in the metric's unit


def test_a_source_run_that_failed_is_the_worst_of_its_dataset() -> None:
    values = store().tasks[0].values.copy()
    failed = np.array([quality(a) > 0.06 for a in pool()])
    values[failed] = -np.inf
    tapas = TAPAS(steps=60)
    tapas.fit(Sources((task("failing", pool(), values),)), seed=0)
    predicted = tapas.predict(pool(), 0.36)
    assert np.isfinite(predicted).all()
    assert predicted[failed].mean() < predicted[~failed].mean()


@functools.cache
def planted_tau(rho: float) -> float:
    """Kendall's tau of predictions and values of a target, of which three landmarks were told."""
    *tasks, target = planted_tasks(n_datasets=4, n=150, epochs=2, rho=rho, noise=0.0, seed=1)
    tapas = TAPAS(steps=50)
    tapas.fit(Sources(tuple(tasks)), seed=0)
    search = tapas.begin(Candidates(target.architectures), np.random.default_rng(0))
    for run in search.ask(3):
        search.tell(run, 2, float(target.values[run]))
    return float(kendalltau(search.predict(target.architectures), target.values).statistic)


def test_it_ranks_the_architectures_of_a_dataset_that_it_never_saw() -> None:
    """And its negative twin: a store without anything to transfer."""
    assert planted_tau(1.0) > 0.3
    assert planted_tau(0.0) < 0.15


def test_it_scores_a_thousand_architectures_a_second() -> None:
    rng = np.random.default_rng(0)
    space = get_space("nasnet")
    architectures = [space.sample(rng) for _ in range(512)]
    tapas = TAPAS(steps=1)
    tapas.fit(Sources((task("one", architectures, rng.random(512)),)), seed=0)
    tapas.predict(architectures[:8], 0.5)
    before = time.process_time()
    tapas.predict(architectures, 0.5)
    assert 512 / (time.process_time() - before) > 1000


# -- the search ----------------------------------------------------------------------------------


def test_after_the_landmarks_the_best_predictions_are_proposed_in_order() -> None:
    search = begun(fitted(steps=60), (0.6, 0.6, 0.6))
    asked = search.ask(99)
    assert len(set(asked)) == 37
    predicted = search.predict([pool()[run] for run in asked])
    assert (np.diff(predicted) <= 0).all()
    assert np.mean([quality(pool()[run]) for run in asked[:5]]) > 0.06


def test_without_a_table_it_proposes_what_evolution_met() -> None:
    tapas = TAPAS(steps=60, population=20, generations=10)
    tapas.fit(store(), seed=0)
    search = begun(tapas, (0.6, 0.6, 0.6), table=False)
    asked = search.ask(40)
    assert len(set(asked)) == 40
    found = search._candidates.architectures[3:13]
    assert np.mean([quality(a) for a in found]) > 0.095  # convolutions only: 0.12
    rest = search.ask(200)  # more than evolution met: random ones
    assert len(set(asked) | set(rest)) == 240


def test_bare_names_are_ranked_but_not_evolved() -> None:
    bare = get_space("table")
    names = tuple(bare.parse(f"[C({8 * k},{k % 3},1), GAP(10)]") for k in range(1, 13))
    tapas = TAPAS(steps=1)
    tapas.fit(Sources((task("bare", names, np.arange(12.0) / 12),)), seed=0)
    search = tapas.begin(Candidates(names), np.random.default_rng(0))
    assert sorted(search.ask(12)) == list(range(12))
    with pytest.raises(InputError, match="'table' has no decision"):
        search.evolve(np.random.default_rng(0))


def test_a_simulated_evolution_scores_each_generation_at_once_and_keeps_the_best() -> None:
    calls: list[int] = []

    def convolutions(architectures: Sequence[Architecture]) -> FloatArray:
        calls.append(len(architectures))
        return np.array([quality(a) for a in architectures])

    found = simulate_evolution(
        convolutions, SPACE, np.random.default_rng(0), population=21, generations=8
    )
    assert calls == [21] + [10] * 8
    assert len(found.best) == len(found.mean) == 9
    assert (np.diff(found.best) >= 0).all()  # in a tournament the best never dies
    assert found.mean[-1] > found.mean[0] + 0.03
    assert len({a.id for a in found.architectures}) == len(found.predictions) <= 101
    assert found.predictions.max() == found.best[-1]


def test_evolution_on_a_search_is_the_generator_s() -> None:
    search = begun(fitted(steps=1, population=10, generations=2), (0.5, 0.5, 0.5))
    first, again, other = (search.evolve(np.random.default_rng(k)) for k in (0, 0, 1))
    assert first.architectures == again.architectures != other.architectures
