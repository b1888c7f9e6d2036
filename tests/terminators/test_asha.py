from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nassim.checks.recording import FixedOrder, Recorder
from nassim.checks.worlds import World, small_world
from nassim.errors import InputError
from nassim.simulator import Episode, simulate
from nassim.terminators.asha import ASHA


def search(curves: Any, terminator: ASHA, order: Any = None, **options: Any) -> Recorder:
    curves = np.array(curves, float)
    world = small_world(*curves.shape).with_curves(curves)
    recorder = Recorder(terminator)
    order = range(len(curves)) if order is None else order
    rng = np.random.default_rng(0)
    recorder.episode = simulate(  # type: ignore[attr-defined]
        world.replay(), FixedOrder(order), recorder, rng, **options
    )
    return recorder


def epochs(curves: Any, terminator: ASHA, **options: Any) -> list[int]:
    episode: Episode = search(curves, terminator, **options).episode  # type: ignore[attr-defined]
    return episode.epochs.tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize("eta", [1.5, 2, 3, 4, 10])
def test_the_cutoff_is_the_linear_quantile(eta: float) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        curves = np.tile(rng.random((40, 1)), (1, 2))
        recorder = search(curves, ASHA(eta))
        seen: list[float] = []
        answers = [event for event in recorder.events if event.what.isupper()]
        assert len(answers) == 40
        for event in answers:
            seen.append(curves[event.runs[0], 0])
            cutoff = np.quantile(seen, 1 - 1 / eta) - 1e-12  # numpy may round it up
            assert event.what == ("CONTINUE" if seen[-1] >= cutoff else "STOP")
        assert {event.what for event in answers} == {"CONTINUE", "STOP"}


def test_a_run_that_stands_at_the_quantile_goes_on() -> None:
    """(n - 1) (1 - 1 / 3) is a whole number at n = 4, and no rounding may lift the cutoff."""
    for seed in range(50):
        low, mid, high, top = np.sort(np.random.default_rng(seed).random(4))
        curves = np.tile(np.array([[low], [high], [top], [mid]]), (1, 2))
        assert epochs(curves, ASHA(eta=3))[-1] == 1  # second from below
        curves[[1, 3]] = curves[[3, 1]]
        assert epochs(curves, ASHA(eta=3))[-1] == 2  # stands at the quantile


def test_who_always_improves_is_never_stopped() -> None:
    curves = np.linspace(0.1, 0.9, 30)[:, None] * np.ones((1, 27))
    assert epochs(curves, ASHA()) == [27] * 30
    falling = epochs(curves, ASHA(), order=range(29, -1, -1))
    assert falling == [1] * 29 + [27]  # the first is the best; all others stop at once


def test_the_first_to_arrive_goes_on_whatever_it_is_worth() -> None:
    assert epochs([[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]], ASHA(eta=2)) == [4, 4]


def test_equals_all_go_on() -> None:
    assert epochs(np.full((5, 9), 0.5), ASHA()) == [9] * 5


def test_a_run_that_was_not_measured_yet_does_not_stop_the_next() -> None:
    curves = np.full((3, 9), 0.5)
    curves[0, :2] = np.nan
    assert epochs(curves, ASHA()) == [9, 9, 9]
    assert epochs(curves[::-1], ASHA()) == [9, 9, 1]  # among those that were it is the worst


def test_rungs_are_geometric() -> None:
    assert ASHA(3, 1).decision_epochs(81) == (1, 3, 9, 27)
    assert ASHA(3, 1).decision_epochs(82) == (1, 3, 9, 27, 81)
    assert ASHA(4, 2).decision_epochs(100) == (2, 8, 32)
    assert ASHA(3, 5).decision_epochs(5) == ()


def test_promotion_takes_the_best_of_the_highest_rung_first() -> None:
    curves = np.array([0.1, 0.2, 0.3, 0.4])[:, None] * np.ones((1, 4))
    recorder = search(curves, ASHA(2, variant="promotion"))
    told = [str(e) for e in recorder.events if e.what == "train"]
    assert told == [
        "train 0 until epoch 1",
        "train 1 until epoch 1",
        "train 1 until epoch 2",  # 1 of 2
        "train 2 until epoch 1",
        "train 2 until epoch 2",  # 1 of 3, and 1 has been promoted already
        "train 2 until epoch 4",  # 1 of 2 in the higher rung, before another is started
        "train 3 until epoch 1",
        "train 3 until epoch 2",
        "train 3 until epoch 4",
    ]


def test_promotion_prefers_of_equals_the_first_to_arrive() -> None:
    assert epochs(np.full((3, 2), 0.5), ASHA(3, variant="promotion"), order=[2, 0, 1]) == [1, 1, 2]


def test_promotion_of_too_few_completes_nothing() -> None:
    recorder = search(np.full((2, 9), 0.5), ASHA(3, variant="promotion"))
    assert recorder.episode.completed == ()  # type: ignore[attr-defined]
    assert recorder.episode.pick == 0  # type: ignore[attr-defined]


def test_a_promoted_run_that_starts_anew_pays_again() -> None:
    world: World = small_world(n=9, epochs=9)
    ones = world.with_curves(world.target.curves, np.ones((9, 9)))
    charged = {}
    for accounting in ("continue", "restart"):
        episode = simulate(
            ones.replay(),
            FixedOrder(range(9)),
            ASHA(3, variant="promotion"),
            np.random.default_rng(0),
            accounting=accounting,  # type: ignore[arg-type]
        )
        charged[accounting] = episode.epochs_charged
        at = sorted(episode.epochs.tolist(), reverse=True)
    promotions = sum(1 * (e >= 3) + 3 * (e >= 9) for e in at)
    assert promotions > 0
    assert charged["restart"] == charged["continue"] + promotions


def test_odd_options_are_refused() -> None:
    with pytest.raises(InputError, match="Option variant is 'pause'; expected 'stopping' or"):
        ASHA(variant="pause")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="Option min_epochs is 0"):
        ASHA(min_epochs=0)
