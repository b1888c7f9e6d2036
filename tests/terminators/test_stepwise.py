"""One step at a time: the budget is kept, a run is finished, and what surrogates are told."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from nassim.checks.recording import FixedOrder, Recorder
from nassim.checks.worlds import World, hard_worlds, small_world
from nassim.errors import InputError
from nassim.records import Architecture, FloatArray, IntArray
from nassim.simulator import Episode, simulate
from nassim.spaces import get_space
from nassim.terminators.base import Session, Terminator, View
from nassim.terminators.stepwise import (
    Seen,
    StepwiseSession,
    architecture_features,
    budget_epochs,
    check_budget,
    thinned,
)

EPOCHS = 10


class Newest:
    """Starts one candidate after the other; predicts that each ends as it stands."""

    def choose(self, seen: Seen, free: IntArray) -> int:
        return int(free[np.argmin(seen.trained[free])])

    def predict_ends(self, seen: Seen) -> FloatArray:
        return np.nan_to_num(seen.curves, nan=-1.0).max(axis=1)


class Stepwise(Terminator):
    def __init__(self, epochs: int, step: int, make: Callable[[], Newest] = Newest) -> None:
        self.epochs, self.step, self.make = epochs, step, make

    def begin(self, view: View) -> Session:
        runs = view.draw(view.n_candidates)
        return StepwiseSession(view, runs, self.make(), self.epochs, self.step)


def search(
    epochs: int, step: int = 1, world: World | None = None, workers: int = 1, **options: object
) -> tuple[Recorder, Episode]:
    recorder = Recorder(Stepwise(epochs, step, **options))  # type: ignore[arg-type]
    replay = (world or small_world(n=12, epochs=EPOCHS)).replay()
    order = FixedOrder(range(len(replay.lengths)))
    episode = simulate(replay, order, recorder, np.random.default_rng(0), workers=workers)
    return recorder, episode


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("step", [1, 3, 4, 10])
@pytest.mark.parametrize("epochs", [10, 15, 30, 64, 120])
def test_the_budget_is_kept_and_a_run_completed(epochs: int, step: int, workers: int) -> None:
    _, episode = search(epochs, step, workers=workers)
    assert epochs - step < episode.epochs_charged <= epochs or workers > 1
    assert episode.epochs_charged <= epochs
    assert episode.completed


def test_the_last_epochs_are_for_the_best_predicted_run() -> None:
    world = small_world(n=12, epochs=EPOCHS)
    recorder, episode = search(12 + EPOCHS - 1)  # one epoch of each, and the rest of one
    best = int(np.argmax(world.target.curves[:, 0]))
    assert str(recorder.events[-2]) == f"train {best} until epoch {EPOCHS}"
    assert episode.completed == (best,)
    assert sorted(episode.epochs.tolist()) == [1] * 11 + [EPOCHS]


def test_a_leader_out_of_reach_gives_way_to_one_in_reach() -> None:
    """With fewer epochs left than a new run needs, a run that is further is finished."""

    class Late(Newest):
        """Takes the first one half through, and then all of the others a little."""

        def choose(self, seen: Seen, free: IntArray) -> int:
            return int(free[0]) if seen.trained[free[0]] < 5 else super().choose(seen, free[1:])

        def predict_ends(self, seen: Seen) -> FloatArray:
            return np.where(seen.trained > 0, np.arange(len(seen.trained)), -1.0)

    _, episode = search(20, make=Late)
    assert len(episode.completed) == 1
    assert episode.epochs_charged == 20
    assert episode.completed[0] == max(episode.started, key=lambda run: episode.epochs[run])


@pytest.mark.parametrize("kind", ["ragged", "failed", "unmeasured", "gaps"])
def test_what_ends_early_is_not_charged_and_another_is_finished(kind: str) -> None:
    world = hard_worlds()[kind]
    lengths, last = world.target.lengths, world.target.curves.shape[1]
    _, episode = search(3 * last, world=world)
    assert episode.epochs_charged <= 3 * last
    assert (episode.epochs <= lengths).all()
    assert episode.completed


def test_surrogates_see_what_was_paid_for() -> None:
    world = small_world(n=12, epochs=EPOCHS)
    told: list[Seen] = []

    class Listening(Newest):
        def choose(self, seen: Seen, free: IntArray) -> int:
            told.append(Seen(seen.curves.copy(), seen.trained.copy()))
            return super().choose(seen, free)

    search(40, step=2, world=world, make=Listening)
    assert len(told) > 10
    for number, seen in enumerate(told):
        assert seen.trained.sum() == 2 * number
        known = np.arange(EPOCHS) < seen.trained[:, None]
        assert np.isnan(seen.curves[~known]).all()
        assert np.allclose(seen.curves[known], world.target.curves[known])
    assert np.isnan(told[0].best)
    assert told[5].best == pytest.approx(world.target.curves[:5, :2].max())


def test_a_budget_is_a_share_of_all_epochs_and_one_training_at_the_least() -> None:
    assert budget_epochs(0.1, 60, 30) == 180
    assert budget_epochs(0.01, 60, 30) == 30
    assert budget_epochs(1.0, 60, 30) == 1800
    for odd in (0, -0.1, 1.5, True, "all", float("nan")):
        with pytest.raises(InputError, match=r"Option budget is .*; expected a share"):
            check_budget(odd)  # type: ignore[arg-type]


# -- what surrogates read ------------------------------------------------------------------------


def test_features_tell_operations_apart_and_orders_not() -> None:
    space = get_space("nasbench201")
    cells = [(0, 1, 2, 3, 4, 0), (4, 3, 2, 1, 0, 0), (1, 1, 1, 1, 1, 1), (2, 0, 0, 0, 0, 0)]
    features = architecture_features([space.architecture(cell) for cell in cells])
    assert np.allclose(features[0], features[1])
    distances = ((features[:, None] - features) ** 2).sum(axis=2)
    assert (distances[np.ix_([0, 2, 3], [0, 2, 3])] + 9 * np.eye(3) > 1e-3).all()
    assert features[:, 0].std() == pytest.approx(1)
    assert np.allclose(features.mean(axis=0), 0)


def test_features_are_few_and_the_first_says_most() -> None:
    rng, table = np.random.default_rng(0), get_space("table")
    texts = [", ".join(rng.choice(list("abcdefghijklmnopqrst"), 9)) for _ in range(50)]
    features = architecture_features([table.parse(text) for text in texts])
    assert features.shape == (50, 10)
    assert (np.diff(features.std(axis=0)) <= 1e-9).all()


@pytest.mark.parametrize("n", [1, 3])
def test_architectures_that_are_all_alike_have_no_features(n: int) -> None:
    alike = [get_space("nasbench201").architecture((0,) * 6)] * n
    assert architecture_features(alike).shape == (n, 0)
    unnamed = [Architecture("table", (), "", "")] * n
    assert architecture_features(unnamed).shape == (n, 0)


def test_thinning_keeps_the_last_values_first() -> None:
    rng = np.random.default_rng(0)
    trained = rng.integers(0, 21, 30)
    curves = np.where(np.arange(20) < trained[:, None], rng.random((30, 20)), np.nan)
    seen = Seen(curves, trained)
    started = int((trained > 0).sum())
    for most in (1, 5, started, started + 5, 70, 1000):
        places, epochs = thinned(seen, most)
        assert 0 < len(places) <= most
        assert np.isfinite(curves[places, epochs - 1]).all()
        assert len(set(zip(places.tolist(), epochs.tolist(), strict=True))) == len(places)
        last = epochs == trained[places]
        assert last.sum() == min(most, started)
    best = np.argsort(-curves[np.arange(30), trained - 1])
    assert set(thinned(seen, 5)[0]) == set([p for p in best if trained[p]][:5])


def test_what_was_not_measured_is_no_point() -> None:
    seen = Seen(np.array([[np.nan, 0.2, np.nan, np.nan]]), np.array([4]))
    places, epochs = thinned(dataclasses.replace(seen), 9)
    assert (places.tolist(), epochs.tolist()) == ([0], [2])
