"""Chandrashekaran: exact answers, what p does, and whose curves it compares with."""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from nassim.checks.planted import planted_tasks
from nassim.checks.recording import FixedOrder, Recorder
from nassim.checks.worlds import small_world
from nassim.errors import InputError
from nassim.records import FloatArray, Incumbent, Metric, Prefixes, Sources, SourceTask
from nassim.simulator import simulate
from nassim.terminators.chandrashekaran import Chandrashekaran, affine_fits

LOSS = Metric("loss", higher_is_better=False, bounds=(0.0, math.inf))
EPOCHS = 12


@functools.cache
def planted() -> tuple[SourceTask, ...]:
    return planted_tasks(n_datasets=3, n=40, epochs=EPOCHS)


def knowing(curves: FloatArray, **changes: object) -> Chandrashekaran:
    """With these curves, (runs, EPOCHS), as a source."""
    n = len(curves)
    task = planted()[0]
    task = dataclasses.replace(
        task,
        architectures=task.architectures[:n],
        curves=curves,
        values=curves.max(axis=1),
        failed=np.zeros(n, bool),
        **changes,  # type: ignore[arg-type]
    )
    estimator = Chandrashekaran(train_on="sources")
    estimator.fit(Sources((task,)), 0)
    return estimator


def begun(curves: FloatArray) -> Prefixes:
    n, task = len(curves), planted()[1]
    return Prefixes(task.architectures[:n], curves, task.n_params[:n], task.flops[:n], EPOCHS)


# -- the fit -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("a", "b"), [(0.5, 0.1), (1, 0), (3, -2), (0, 0.4)])
@pytest.mark.parametrize("epoch", [2, 3, 8])
def test_an_affine_curve_is_recovered(a: float, b: float, epoch: int) -> None:
    h = planted()[0].curves[:5, :epoch].astype(np.float64)
    found_a, found_b, error = affine_fits(a * h + b, h)
    assert np.diag(found_a) == pytest.approx(np.full(5, a), abs=1e-9)
    assert np.diag(found_b) == pytest.approx(np.full(5, b), abs=1e-9)
    assert np.diag(error) == pytest.approx(np.zeros(5), abs=1e-12)


def test_a_fit_is_that_of_least_squares() -> None:
    rng = np.random.default_rng(0)
    h = rng.random((3, 7)).cumsum(axis=1)
    y = rng.random((4, 7)).cumsum(axis=1)
    a, b, error = affine_fits(y, h)
    for run in range(4):
        for j in range(3):
            line, (residual, *_), *_ = np.polyfit(h[j], y[run], 1, full=True)
            assert [a[run, j], b[run, j]] == pytest.approx(line.tolist())
            assert error[run, j] * 7 == pytest.approx(residual)


def test_no_curve_is_turned_upside_down_or_stretched_out_of_shape() -> None:
    h = np.array([[0.1, 0.2, 0.3]])
    assert affine_fits(-h, h)[0] == 0
    assert affine_fits(9 * h, h)[0] == 5
    assert affine_fits(9 * h, h)[2] == pytest.approx(np.var(4 * h))  # what is left unexplained


@pytest.mark.parametrize("h", [[[0.4]], [[0.4, 0.4, 0.4]], [[0.0, 0.0]], [[1e6, 1e6 + 1e-6]]])
def test_where_a_curve_does_not_move_only_b_is_found(h: list[list[float]]) -> None:
    y = np.linspace(0.2, 0.6, len(h[0]))[None]
    a, b, error = affine_fits(y, np.array(h))
    assert a == 0
    assert b == pytest.approx(y.mean())
    assert error == pytest.approx(y.var())


# -- what it says --------------------------------------------------------------------------------


@pytest.mark.parametrize("epoch", [2, 5, 11])
def test_the_end_of_an_affine_curve_is_exact(epoch: int) -> None:
    h = planted()[0].curves[:1].astype(np.float64)
    whole = 0.5 * h + 0.1
    mean, deviation = knowing(h).estimate(begun(whole[:, :epoch]))[0]
    assert mean == pytest.approx(whole.max(), abs=1e-8)
    assert deviation == pytest.approx(0, abs=1e-8)


def test_only_the_best_fitting_quarter_predicts_by_hand() -> None:
    t = np.arange(EPOCHS)
    rising, late = t / 20, np.where(t < 6, t / 20, 0.9)  # the same until epoch 6
    zigzag = np.tile([0.1, 0.9], EPOCHS // 2)
    h = np.stack([rising, late, *[zigzag + k / 100 for k in range(6)]])
    mean, deviation = knowing(h).estimate(begun(rising[None, :5]))[0]
    ends = np.array([rising.max(), 0.9])
    assert mean == pytest.approx(ends.mean(), abs=1e-8)
    assert deviation == pytest.approx(ends.std(), abs=1e-8)


def test_what_the_fit_does_not_explain_adds_to_the_deviation() -> None:
    h = np.arange(EPOCHS)[None] / 20
    y = np.array([[0.0, 0.2, 0.0, 0.2]])
    _, _, error = affine_fits(y, h[:, :4])
    assert knowing(h).estimate(begun(y))[0, 1] == pytest.approx(float(error[0, 0]) ** 0.5)
    assert error[0, 0] > 0.005


def test_p_falls_with_the_incumbent() -> None:
    estimator = knowing(planted()[0].curves)
    estimates = estimator.estimate(begun(planted()[1].curves[:, :5]))
    bars = np.linspace(0.6, 1.1, 9)
    p = np.array([estimator.probability(estimates, Incumbent(bar, estimates[0])) for bar in bars])
    assert (np.diff(p, axis=0) <= 0).all()
    assert (np.diff(p, axis=0) < 0).any()


def test_it_ranks_a_planted_target() -> None:
    estimator = Chandrashekaran(train_on="sources")
    estimator.fit(Sources(planted()[:-1]), 0)
    task = planted()[-1]
    mean = estimator.estimate(begun(task.curves[:, :8]))[:, 0]
    assert spearmanr(mean, task.values)[0] > 0.7


def test_a_metric_without_bounds_that_is_better_lower() -> None:
    h = -50 * (1 - planted()[0].curves)
    plain = knowing(planted()[0].curves).estimate(begun(planted()[1].curves[:, :5]))
    loss = Chandrashekaran(train_on="sources")
    loss.fit(Sources((dataclasses.replace(planted()[0], curves=h, values=h.max(axis=1)),), LOSS), 0)
    scaled = begun(-50 * (1 - planted()[1].curves[:, :5]))
    estimates = loss.estimate(dataclasses.replace(scaled, metric=LOSS))
    assert estimates == pytest.approx(plain * 50 - [50, 0], abs=1e-5)
    with pytest.raises(InputError, match="Curves measure accuracy"):
        loss.estimate(scaled)


def test_where_nothing_can_be_said_a_run_goes_on() -> None:
    curves = planted()[0].curves
    estimator = knowing(curves)
    gap = curves[:3, :4].copy()
    gap[1, 0] = -np.inf
    assert np.isnan(estimator.estimate(begun(gap))[:, 0]).tolist() == [False, True, False]
    assert np.isnan(estimator.estimate(begun(curves[:3, :1]))).all()  # one value: b only
    short = knowing(np.where(np.arange(EPOCHS) < 5, curves, np.nan) + 0, lengths=np.full(40, 5))
    assert np.isnan(short.estimate(begun(curves[:3, :8]))).all()  # no curve is as long
    assert 1 not in estimator.decision_epochs(EPOCHS)


# -- whose curves --------------------------------------------------------------------------------


def test_it_learns_from_completed_runs_and_from_each_later_one() -> None:
    known: list[int] = []

    class Watched(Chandrashekaran):
        def trained_on(self, completed: Sources) -> Chandrashekaran:
            known.append(len(completed.tasks[0].values))
            return super().trained_on(completed)

    world = small_world()
    recorder = Recorder(Watched(curves=4, delta=0.3))
    episode = simulate(world.replay(), FixedOrder(range(24)), recorder, np.random.default_rng(0))
    stopped = [event.runs[0] for event in recorder.events if event.what == "STOP"]
    assert min(stopped) >= 4
    assert episode.completed[:4] == (0, 1, 2, 3)
    assert known[0] == 4
    assert len(known) > 2
    assert known == sorted(set(known))  # once for each that was new


def test_failed_runs_are_no_complete_curves() -> None:
    task = planted()[0]
    failed = np.arange(40) > 0  # all but one
    estimator = Chandrashekaran(train_on="sources")
    estimator.fit(Sources((dataclasses.replace(task, failed=failed),)), 0)
    alone = knowing(task.curves[:1])
    prefixes = begun(planted()[1].curves[:, :5])
    assert np.array_equal(estimator.estimate(prefixes), alone.estimate(prefixes))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train_on": "both"}, "Option train_on is 'both'; expected 'target' or 'sources'"),
        ({"curves": 0}, "Option curves is 0; expected a whole number, 1 or more"),
    ],
)
def test_odd_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Chandrashekaran(**options)  # type: ignore[arg-type]


def test_it_says_what_it_lacks() -> None:
    with pytest.raises(InputError, match="Chandrashekaran was given no source dataset"):
        Chandrashekaran(train_on="sources").fit(Sources(()), 0)
    with pytest.raises(InputError, match="Chandrashekaran must be fitted"):
        Chandrashekaran(train_on="sources").estimate(begun(planted()[0].curves[:, :3]))
