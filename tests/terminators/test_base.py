from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nassim.checks.recording import FixedOrder, Recorder
from nassim.checks.worlds import World, renamed, small_world
from nassim.errors import InputError
from nassim.optimizers.random_search import RandomSearch
from nassim.records import Action, FloatArray, Incumbent, Prefixes
from nassim.simulator import simulate
from nassim.terminators.base import (
    DECISION_EPOCHS,
    Estimator,
    Judge,
    Rule,
    View,
    check_eta,
)
from nassim.terminators.last_value import LastValue


class Told(Estimator):
    """Answers p as it is told for each candidate, whatever the curves are."""

    from_epoch = 0

    def __init__(self, p: list[float], delta: float = 0.3, **options: Any) -> None:
        super().__init__(delta, **options)
        self.p = np.array(p)

    def estimate(self, prefixes: Prefixes) -> FloatArray:
        return self.p[[int(a.id.split()[1]) for a in prefixes.architectures]]

    def probability(self, estimates: FloatArray, incumbent: Incumbent) -> FloatArray:
        return estimates[:, 0]


def told_world() -> World:
    return renamed(small_world(n=5, epochs=6))  # "candidate 0", ...


def search(terminator: Estimator, order: Any = range(5)) -> Recorder:
    recorder = Recorder(terminator)
    simulate(told_world().replay(), FixedOrder(order), recorder, np.random.default_rng(0))
    return recorder


# --- the rule ----------------------------------------------------------------------------------


def test_the_first_run_is_complete_and_then_p_decides() -> None:
    told = Told([0.0, 0.3, 0.3 + 1e-9, np.nan, 1.0], epochs=(2, 4))
    events = [str(event) for event in search(told).events]
    assert events[:6] == [  # p = 0, and yet it is trained to its end: there is no incumbent
        "train 0 until epoch 2",
        "done 0 at epoch 2",
        "CONTINUE 0 at epoch 2",
        "train 0 until epoch 4",
        "done 0 at epoch 4",
        "CONTINUE 0 at epoch 4",
    ]
    answers = {e.runs[0]: e.what for e in search(told).events if e.epoch == 2 and e.what.isupper()}
    assert answers == {
        0: "CONTINUE",
        1: "STOP",  # p <= delta
        2: "CONTINUE",  # just above
        3: "CONTINUE",  # NaN: nothing can be said
        4: "CONTINUE",
    }


def test_a_run_may_be_refused_before_it_is_trained() -> None:
    told = Told([0.9, 0.1, 0.9, 0.1, 0.9], epochs=(2,), at_zero=True)
    recorder = Recorder(told)
    episode = simulate(
        told_world().replay(), FixedOrder(range(5)), recorder, np.random.default_rng(0)
    )
    assert episode.epochs.tolist() == [6, 0, 6, 0, 6]
    assert episode.started == (0, 1, 2, 3, 4)
    assert episode.completed == (0, 2, 4)
    assert ("STOP", (1,), 0) in recorder.events


def test_the_first_run_is_never_refused_at_zero() -> None:
    recorder = search(Told([0.0] * 5, at_zero=True))
    assert ("CONTINUE", (0,), 0) in recorder.events
    assert [e.runs[0] for e in recorder.events if e.what == "STOP"] == [1, 2, 3, 4]


# --- when it is judged -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [
        ("sparse", (1, 2, 3, 5, 8)),
        ("every", tuple(range(1, 10))),
        ((4, 2), (2, 4)),
        ([4, 2], (2, 4)),
        (range(3, 5), (3, 4)),
        (7, (7,)),
        ((9, 10, 11), (9,)),
    ],
)
def test_decision_epochs(epochs: Any, expected: tuple[int, ...]) -> None:
    assert LastValue(epochs=epochs).decision_epochs(10) == expected
    assert Told([], epochs=epochs, at_zero=True).decision_epochs(10) == (0, *expected)


def test_epochs_before_an_estimator_can_speak_are_left_out() -> None:
    class Late(Told):
        from_epoch = 3

    assert Late([]).decision_epochs(10) == (3, 5, 8)
    with pytest.raises(InputError, match="Late knows nothing before the first epoch"):
        Late([], at_zero=True)


@pytest.mark.parametrize("epochs", ["often", (), (0, 1), (1.5,), 0, None, 1.5, [], {2}])
def test_odd_epochs_are_refused(epochs: Any) -> None:
    with pytest.raises(InputError, match="Option epochs is"):
        LastValue(epochs=epochs)


def test_the_default_epochs_are_the_protocol_s() -> None:
    assert DECISION_EPOCHS == (1, 2, 3, 5, 8, 12, 20, 30, 50)


# --- the Gaussian ------------------------------------------------------------------------------


class Gaussian(Told):
    probability = Estimator.probability


def test_p_of_a_gaussian() -> None:
    estimates = np.array([[0.5, 0.1], [0.6, 0.1], [0.4, 0.2], [np.nan, 0.1]])
    p = Gaussian([]).probability(estimates, Incumbent(0.5, estimates[0]))
    assert p[:3] == pytest.approx([0.5, 0.8413447, 0.3085375])
    assert np.isnan(p[3])


def test_without_deviation_p_is_certain() -> None:
    estimates = np.array([[0.6, 0.0], [0.5, 0.0], [0.4, 0.0], [np.nan, 0.0]])
    p = Gaussian([]).probability(estimates, Incumbent(0.5, estimates[0]))
    assert p[:3].tolist() == [1, 0, 0]  # as good is not better
    assert np.isnan(p[3])


def test_p_falls_with_the_incumbent() -> None:
    estimates = 0.2 + np.random.default_rng(0).random((20, 2))
    p = [
        Gaussian([]).probability(estimates, Incumbent(value, estimates[0]))
        for value in (0.1, 0.5, 0.9)
    ]
    assert (p[0] > p[1]).all()
    assert (p[1] > p[2]).all()


# --- rule options ------------------------------------------------------------------------------


def test_another_rule_keeps_what_was_learned() -> None:
    told = Told([0.1, 0.2, 0.3, 0.4, 0.5], delta=0.1)
    other = told.with_rule_of(Told([], delta=0.4, epochs="every", at_zero=True))
    assert (other.delta, other.epochs, other.at_zero) == (0.4, "every", True)
    assert other.p is told.p
    assert (told.delta, told.epochs, told.at_zero) == (0.1, "sparse", False)
    stopped = [{e.runs[0] for e in search(t).events if e.what == "STOP"} for t in (told, other)]
    assert stopped == [set(), {1, 2, 3}]


def test_twins_do_not_share_estimates_of_different_rules() -> None:
    replay = small_world().replay()
    one = LastValue(epochs=(1,))
    two = one.with_rule_of(LastValue(epochs=(9,)))
    episodes = [
        simulate(replay, RandomSearch(), t, np.random.default_rng(0)) for t in (one, two, one)
    ]
    assert episodes[0].epochs.tolist() == episodes[2].epochs.tolist()
    assert episodes[0].epochs.tolist() != episodes[1].epochs.tolist()


@pytest.mark.parametrize("delta", [-0.1, 1.1, "x", True, None, np.nan])
def test_odd_deltas_are_refused(delta: Any) -> None:
    with pytest.raises(InputError, match=r"Option delta is .*; expected a number from 0 to 1"):
        LastValue(delta=delta)


@pytest.mark.parametrize("eta", [1, 0.5, -3, "x", True, np.inf, np.nan])
def test_odd_etas_are_refused(eta: Any) -> None:
    with pytest.raises(InputError, match=r"Option eta is .*; expected a number above 1"):
        check_eta(eta)


def test_sound_etas_are_returned() -> None:
    assert check_eta(2) == 2.0


# --- rules of one's own ------------------------------------------------------------------------


class StopsTwice(Rule):
    """Judges at epochs 0, 2 and the last; the last is never asked about."""

    def decision_epochs(self, max_epochs: int) -> tuple[int, ...]:
        return (0, 2, max_epochs)

    def judge(self, view: View) -> Judge:
        return _Asked()


class _Asked(Judge):
    def decide(self, run: int, epoch: int) -> Action:
        return Action.STOP if (run, epoch) in ((1, 0), (2, 2)) else Action.CONTINUE


def test_a_rule_is_asked_at_its_epochs_only_and_never_after_the_end() -> None:
    recorder = Recorder(StopsTwice())
    episode = simulate(
        small_world(n=4, epochs=5).replay(),
        FixedOrder(range(4)),
        recorder,
        np.random.default_rng(0),
    )
    assert episode.epochs.tolist() == [5, 0, 2, 5]
    asked = [(e.runs[0], e.epoch, e.what) for e in recorder.events if e.what.isupper()]
    assert asked == [
        (0, 0, "CONTINUE"),
        (0, 2, "CONTINUE"),
        (1, 0, "STOP"),
        (2, 0, "CONTINUE"),
        (2, 2, "STOP"),
        (3, 0, "CONTINUE"),
        (3, 2, "CONTINUE"),
    ]
