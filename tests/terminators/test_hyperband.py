from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from nassim.checks.worlds import small_world
from nassim.errors import InputError
from nassim.optimizers.random_search import RandomSearch
from nassim.simulator import Episode, simulate
from nassim.terminators.hyperband import Hyperband, hyperband_brackets


def search(n: int, terminator: Hyperband, epochs: int = 81, **options: Any) -> Episode:
    world = small_world(n, epochs)
    flat = world.with_curves(world.target.curves, np.ones((n, epochs)))
    return simulate(flat.replay(), RandomSearch(), terminator, np.random.default_rng(0), **options)


FLOOR = [
    [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
    [(34, 3), (11, 9), (3, 27), (1, 81)],
    [(15, 9), (5, 27), (1, 81)],
    [(8, 27), (2, 81)],
    [(5, 81)],
]
CEIL = [FLOOR[0], [(34, 3), (12, 9), (4, 27), (2, 81)], [(15, 9), (5, 27), (2, 81)]]
CEIL += [[(8, 27), (3, 81)], FLOOR[4]]


@pytest.mark.parametrize(
    ("rounding", "brackets", "anew", "resumed"),
    [("floor", FLOOR, 1902, 1581), ("ceil", CEIL, 2181, 1767)],
)
def test_ledgers_of_81_epochs(rounding: Any, brackets: Any, anew: int, resumed: int) -> None:
    assert hyperband_brackets(81, 3, rounding) == brackets
    assert sum(rungs[0][0] for rungs in brackets) == 143
    terminator = Hyperband(rounding=rounding)
    for accounting, epochs in (("continue", resumed), ("restart", anew)):
        episode = search(200, terminator, accounting=accounting)
        assert len(episode.started) == 143
        assert (episode.epochs_charged, episode.busy_seconds) == (epochs, epochs)


def test_a_hundred_epochs_cost_a_tenth_of_two_hundred_full_trainings() -> None:
    assert hyperband_brackets(100)[0] == [(81, 1), (27, 4), (9, 11), (3, 33), (1, 100)]
    assert search(200, Hyperband(), epochs=100).epochs_charged == 1944  # 9.7 % of 20,000


@pytest.mark.parametrize("n", [1, 2, 80, 81, 82, 142])
def test_brackets_take_what_is_left(n: int) -> None:
    episode = search(n, Hyperband())
    assert len(episode.started) == n
    assert len(episode.completed) >= 1


def test_it_may_repeat_until_nothing_is_left() -> None:
    assert len(search(200, Hyperband(repeat=True)).started) == 200
    once, again = (search(143, Hyperband(repeat=r)) for r in (False, True))
    assert once.epochs.tolist() == again.epochs.tolist()


def test_one_epoch_is_one_bracket() -> None:
    assert hyperband_brackets(1) == [[(1, 1)]]
    assert hyperband_brackets(2) == [[(1, 2)]]


@pytest.mark.parametrize("eta", [1.05, 1.5, 2, 2.5, 4, 100])
@pytest.mark.parametrize("epochs", [1, 2, 7, 50])
@pytest.mark.parametrize("rounding", ["floor", "ceil"])
def test_every_bracket_rises_to_a_full_training(eta: float, epochs: int, rounding: Any) -> None:
    for rungs in hyperband_brackets(epochs, eta, rounding):
        assert rungs[-1][1] == epochs
        for (count, epoch), (fewer, later) in pairwise(rungs):
            assert 1 <= epoch < later
            assert 1 <= fewer <= count


def test_odd_options_are_refused() -> None:
    with pytest.raises(InputError, match="Option rounding is 'up'; expected 'floor' or 'ceil'"):
        Hyperband(rounding="up")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="Option eta is 1"):
        Hyperband(eta=1)
