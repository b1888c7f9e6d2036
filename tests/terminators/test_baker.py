"""Baker: inputs by hand, what p does, on what it is trained, and when it has nothing to say."""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import spearmanr

from nassim.checks.planted import planted_tasks
from nassim.checks.recording import FixedOrder, Recorder
from nassim.checks.worlds import small_world
from nassim.errors import InputError
from nassim.optimizers.random_search import RandomSearch
from nassim.records import Incumbent, Metric, Prefixes, Sources, SourceTask
from nassim.simulator import simulate
from nassim.terminators.baker import Baker, _Rows, curve_features

LOSS = Metric("loss", higher_is_better=False, bounds=(0.0, math.inf))


@functools.cache
def planted() -> tuple[SourceTask, ...]:
    return planted_tasks(n_datasets=3, n=60, epochs=12)


@functools.cache
def fitted(seed: int = 0) -> Baker:
    """Fitted on all but the last of the planted datasets; remembered, so do not change it."""
    estimator = Baker(draws=3)
    estimator.fit(Sources(planted()[:-1]), seed)
    return estimator


def cut(task: SourceTask, epoch: int) -> Prefixes:
    return Prefixes(
        task.architectures, task.curves[:, :epoch], task.n_params, task.flops, task.curves.shape[1]
    )


# -- inputs --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        ([0.1], [0.1]),
        ([0.1, 0.3], [0.1, 0.3, 0.2]),
        ([0.1, 0.3, 0.4], [0.1, 0.3, 0.4, 0.2, 0.1, -0.1]),
        ([1, 2, 4, 8], [1, 2, 4, 8, 1, 2, 4, 1, 2]),
    ],
)
def test_inputs_by_hand(curve: list[float], expected: list[float]) -> None:
    assert curve_features(np.array([curve]))[0] == pytest.approx(expected)


def test_the_size_of_the_architecture_is_an_input() -> None:
    estimator = Baker(draws=1, epochs=(3,))
    estimator.fit(Sources(planted()[:-1]), 0)
    prefixes = cut(planted()[-1], 3)
    before = estimator.estimate(prefixes)
    bigger = estimator.estimate(dataclasses.replace(prefixes, n_params=prefixes.n_params * 3))
    unknown = estimator.estimate(dataclasses.replace(prefixes, n_params=0 * prefixes.n_params))
    assert not np.allclose(before[:, 0], bigger[:, 0], atol=1e-4)
    assert np.isfinite(unknown).all()  # the mean stands for it


# -- what it says --------------------------------------------------------------------------------


def test_it_ranks_a_planted_target() -> None:
    task = planted()[-1]
    for epoch, least in ((3, 0.3), (8, 0.7)):
        mean = fitted().estimate(cut(task, epoch))[:, 0]
        assert spearmanr(mean, task.values)[0] > least


def test_its_deviation_is_that_of_datasets_that_were_left_out() -> None:
    one, two, three = planted()
    shifted = dataclasses.replace(two, values=two.values + 0.3)  # gains no other dataset has
    alike, unlike = Baker(draws=1), Baker(draws=1)
    alike.fit(Sources((one, two)), 0)
    unlike.fit(Sources((one, shifted)), 0)
    assert alike.estimate(cut(three, 8))[0, 1] < 0.05
    assert unlike.estimate(cut(three, 8))[0, 1] > 0.2


def test_a_level_that_all_runs_share_cancels_out() -> None:
    task = planted()[-1]
    lower = dataclasses.replace(task, curves=task.curves - 10, values=task.values - 10)
    estimator = Baker(train_on="target", curves=10)
    for one, two in zip(
        estimator.trained_on(Sources((task,))).estimate(cut(task, 5)),
        estimator.trained_on(Sources((lower,))).estimate(cut(lower, 5)),
        strict=True,
    ):
        assert two == pytest.approx([one[0] - 10, one[1]], abs=1e-4)


def test_p_is_gaussian_and_falls_with_the_incumbent() -> None:
    estimates = fitted().estimate(cut(planted()[-1], 5))
    bars = np.linspace(0.5, 1.2, 9)
    p = np.array([fitted().probability(estimates, Incumbent(bar, estimates[0])) for bar in bars])
    assert p[3] == pytest.approx(ndtr((estimates[:, 0] - bars[3]) / estimates[:, 1]))
    assert (np.diff(p, axis=0) <= 0).all()
    assert (np.diff(p, axis=0) < 0).any()


def test_without_an_error_the_prediction_is_the_threshold() -> None:
    estimates = np.array([[0.7, 0.0], [0.9, 0.0]])
    assert Baker().probability(estimates, Incumbent(0.8, estimates[0])).tolist() == [0.0, 1.0]


def test_delta_0_stops_nothing() -> None:
    world = small_world()
    early = (1, 2, 3)  # later p may be so small that it is 0 as a number
    estimator = Baker(delta=0, epochs=early, train_on="target", curves=6)
    episode = simulate(world.replay(), RandomSearch(), estimator, np.random.default_rng(0))
    assert episode.epochs.tolist() == world.target.lengths.tolist()
    stopping = estimator.with_rule_of(Baker(delta=0.3))
    stopped = simulate(world.replay(), RandomSearch(), stopping, np.random.default_rng(0))
    assert stopped.epochs_charged < episode.epochs_charged


def test_settings_are_drawn_from_the_seed() -> None:
    def chosen(seed: int) -> tuple[float, float, float]:
        estimator = Baker(draws=6, epochs=(2,))
        estimator.fit(Sources(planted()[:-1]), seed)
        machine = estimator._regressors[2].machine
        return machine.C, machine.nu, machine.gamma

    assert chosen(0) == chosen(0)
    assert len({chosen(seed) for seed in range(4)}) > 1


# -- on what it is trained -----------------------------------------------------------------------


def test_on_the_target_it_pays_for_what_it_learns_from() -> None:
    world, order = small_world(), range(24)
    recorder = Recorder(Baker(train_on="target", curves=8, delta=0.3))
    simulate(world.replay(), FixedOrder(order), recorder, np.random.default_rng(0))
    stopped = [event.runs[0] for event in recorder.events if event.what == "STOP"]
    assert stopped
    assert min(stopped) >= 8  # the first eight were trained fully
    assert not Baker(train_on="target").uses_sources
    assert Baker().uses_sources


def test_on_the_target_it_needs_no_sources() -> None:
    estimator = Baker(train_on="target")
    estimator.fit(Sources(()), 0)
    assert np.isnan(estimator.estimate(cut(planted()[-1], 3))).all()  # nothing was paid for


def test_a_metric_without_bounds_that_is_better_lower() -> None:
    tasks = tuple(
        dataclasses.replace(task, curves=50 * task.curves - 60, values=50 * task.values - 60)
        for task in planted()
    )
    estimator = Baker(draws=1)
    estimator.fit(Sources(tasks[:-1], LOSS), 0)
    prefixes = dataclasses.replace(cut(tasks[-1], 8), metric=LOSS)
    assert spearmanr(estimator.estimate(prefixes)[:, 0], tasks[-1].values)[0] > 0.7
    with pytest.raises(InputError, match="Curves measure accuracy; Baker was fitted on other"):
        estimator.estimate(cut(tasks[-1], 8))


# -- when it has nothing to say ------------------------------------------------------------------


def test_an_epoch_without_a_regressor_has_a_reason_and_goes_on() -> None:
    few = tuple(
        dataclasses.replace(
            task,
            curves=np.where(
                np.arange(12) < np.where(np.arange(60) < 2, 12, 4)[:, None], task.curves, np.nan
            ),
        )
        for task in planted()
    )
    estimator = Baker(draws=1)
    estimator.fit(Sources(few[:-1]), 0)
    assert list(estimator.reasons) == [5, 8, 12]
    assert estimator.reasons[5] == (
        "4 runs have values until epoch 5; expected at least 6 to learn from"
    )
    assert np.isfinite(estimator.estimate(cut(planted()[-1], 3))).all()
    assert np.isnan(estimator.estimate(cut(planted()[-1], 5))).all()


def test_a_regressor_that_cannot_be_fitted_has_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("no such luck")

    monkeypatch.setattr("nassim.terminators.baker._fit", refuse)
    estimator = Baker(draws=1, epochs=(2,))
    estimator.fit(Sources(planted()[:-1]), 0)
    assert estimator.reasons == {2: "no such luck"}
    assert np.isnan(estimator.estimate(cut(planted()[-1], 2))).all()


def test_a_beginning_that_was_not_measured_goes_on() -> None:
    prefixes = cut(planted()[-1], 3)
    curves = prefixes.curves.copy()
    curves[0, 0] = -np.inf
    estimates = fitted().estimate(dataclasses.replace(prefixes, curves=curves))
    assert np.isnan(estimates[0]).all()
    assert np.isfinite(estimates[1:]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train_on": "both"}, "Option train_on is 'both'; expected 'sources' or 'target'"),
        ({"curves": 3}, "Option curves is 3; expected a whole number, 6 or more"),
        ({"draws": 0}, "Option draws is 0"),
        ({"delta": 2}, "Option delta is 2"),
    ],
)
def test_odd_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Baker(**options)  # type: ignore[arg-type]


def test_it_says_what_it_lacks() -> None:
    with pytest.raises(InputError, match="Baker was given no source dataset"):
        Baker().fit(Sources(()), 0)
    with pytest.raises(InputError, match="Baker must be fitted"):
        Baker().estimate(cut(planted()[-1], 3))


# -- how much it learns from ---------------------------------------------------------------------


def test_of_many_runs_as_many_of_each_source_are_drawn() -> None:
    every = [_Rows.of(task, number) for number, task in enumerate(planted())]
    rows = _Rows.until(every, 3)
    few = rows.drawn(50, np.random.default_rng(0))
    assert np.bincount(few.fold).tolist() in ([17, 17, 16], [17, 16, 17], [16, 17, 17])
    again, other = (rows.drawn(50, np.random.default_rng(seed)) for seed in (0, 1))
    assert np.array_equal(few.curves, again.curves)
    assert not np.array_equal(few.curves, other.curves)


def test_fewer_rows_are_another_regressor_and_too_many_are_all() -> None:
    def estimates(rows: int) -> np.ndarray:
        baker = Baker(epochs=(3,), draws=2, rows=rows)
        baker.fit(Sources(planted()[:-1]), 0)
        return baker.estimate(cut(planted()[-1], 3))

    assert np.array_equal(estimates(120), estimates(400))
    assert not np.array_equal(estimates(120), estimates(40))
    with pytest.raises(InputError, match="rows"):
        Baker(rows=5)
