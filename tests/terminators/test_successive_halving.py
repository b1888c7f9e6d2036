from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from nassim.checks.recording import FixedOrder
from nassim.checks.worlds import World, small_world
from nassim.optimizers.random_search import RandomSearch
from nassim.simulator import Episode, simulate
from nassim.terminators.successive_halving import SuccessiveHalving, halving_rungs

HALF = SuccessiveHalving(eta=2)


def flat(n: int, epochs: int) -> World:
    """Each epoch takes one second."""
    world = small_world(n, epochs)
    return world.with_curves(world.target.curves, np.ones((n, epochs)))


def search(world: World, terminator: Any = HALF, **options: Any) -> Episode:
    return simulate(world.replay(), RandomSearch(), terminator, np.random.default_rng(0), **options)


LEDGERS = [  # eta, min_epochs, rungs, epochs if resumed, epochs if started anew
    (4, 2, [(200, 2), (50, 8), (12, 32), (3, 100)], 1192, 1484),
    (3, 1, [(200, 1), (66, 3), (22, 9), (7, 27), (2, 81), (1, 100)], 717, 1047),
    (
        2,
        1,
        [(200, 1), (100, 2), (50, 4), (25, 8), (12, 16), (6, 32), (3, 64), (1, 100)],
        824,
        1476,
    ),
]


@pytest.mark.parametrize(("eta", "min_epochs", "rungs", "resumed", "anew"), LEDGERS)
def test_ledgers(
    eta: int, min_epochs: int, rungs: list[tuple[int, int]], resumed: int, anew: int
) -> None:
    assert halving_rungs(200, 100, eta, min_epochs) == rungs
    terminator, world = SuccessiveHalving(eta, min_epochs), flat(200, 100)
    for accounting, epochs in (("continue", resumed), ("restart", anew)):
        episode = search(world, terminator, accounting=accounting)
        assert (episode.epochs_charged, episode.busy_seconds) == (epochs, epochs)
    trained = sorted(episode.epochs.tolist(), reverse=True)
    for (count, epoch), (after, _) in zip(rungs, [*rungs[1:], (0, 0)], strict=True):
        assert trained[after:count] == [epoch] * (count - after)


def test_it_really_spends_less_than_full_trainings() -> None:
    world = small_world(n=27, epochs=27)
    assert search(world).busy_seconds < 0.35 * world.table().total_seconds()


def test_curves_that_never_cross_are_halved_without_regret() -> None:
    rng = np.random.default_rng(0)
    for seed in range(20):
        final = rng.permutation(np.linspace(0.2, 0.9, 50))
        curves = final[:, None] * (1 - np.exp(-np.arange(1, 28) / 5))
        world = small_world(n=50, epochs=27).with_curves(curves)
        for eta in (2, 3, 4):
            terminator, rng_order = SuccessiveHalving(eta), np.random.default_rng(seed)
            episode = simulate(world.replay(), RandomSearch(), terminator, rng_order)
            assert episode.pick == int(final.argmax())  # a regret of exactly 0


def test_curves_that_cross_may_cost_the_best() -> None:
    """The twin of the test above, which must not pass whatever the curves are."""
    final = np.linspace(0.2, 0.9, 50)
    curves = final[:, None] * (1 - np.exp(-np.arange(1, 28) / 5 * (1.2 - final[:, None])))
    assert search(small_world(n=50, epochs=27).with_curves(curves)).pick != 49


def test_of_equal_runs_the_first_to_arrive_survives() -> None:
    world = small_world(n=6, epochs=4)
    same = world.with_curves(np.tile(world.target.curves[:1], (6, 1)))
    order = [3, 5, 0, 1, 2, 4]
    episode = simulate(same.replay(), FixedOrder(order), HALF, np.random.default_rng(0))
    assert [episode.epochs[run] for run in order] == [4, 2, 2, 1, 1, 1]
    assert episode.pick == 3


def test_a_run_is_judged_by_its_last_value_not_its_best() -> None:
    world = small_world(n=2, epochs=4).with_curves(
        np.array([[0.9, 0.3, 0.3, 0.3], [0.2, 0.4, 0.4, 0.4]])
    )
    episode = search(world, SuccessiveHalving(eta=2, min_epochs=2))
    assert episode.epochs.tolist() == [2, 4]


@pytest.mark.parametrize("workers", [1, 2, 3, 8, 50])
def test_the_decisions_do_not_depend_on_the_workers(workers: int) -> None:
    world = small_world()
    one, many = search(world), search(world, workers=workers)
    assert one.epochs.tolist() == many.epochs.tolist()
    assert one.busy_seconds == pytest.approx(many.busy_seconds, rel=1e-12)
    assert many.seconds >= one.seconds / workers


def test_with_flat_costs_workers_share_a_rung_evenly() -> None:
    # rungs (24, 1) (12, 2) (6, 4) (3, 8) (1, 16) (1, 27) on four workers
    episode = search(flat(24, 27), workers=4)
    assert episode.seconds == 6 * 1 + 3 * 1 + 2 * 2 + 1 * 4 + 8 + 11


def test_a_bracket_may_start_with_fewer_runs() -> None:
    episode = search(small_world(), SuccessiveHalving(n=9))
    assert len(episode.started) == 9
    assert len(search(small_world(), SuccessiveHalving(n=99)).started) == 24


@pytest.mark.parametrize(
    ("arguments", "rungs"),
    [
        ((1, 1, 3, 1), [(1, 1)]),
        ((1, 9, 3, 1), [(1, 1), (1, 3), (1, 9)]),
        ((9, 9, 3, 1), [(9, 1), (3, 3), (1, 9)]),
        ((2, 100, 3, 1), [(2, 1), (1, 3), (1, 9), (1, 27), (1, 81), (1, 100)]),
        ((9, 10, 3, 100), [(9, 10)]),  # the first rung is the full training
        ((8, 8, 1.5, 1), [(8, 1), (5, 2), (2, 3), (1, 5), (1, 8)]),
    ],
)
def test_rungs(arguments: tuple[int, int, float, int], rungs: list[tuple[int, int]]) -> None:
    assert halving_rungs(*arguments) == rungs


@pytest.mark.parametrize("eta", [1.01, 1.1, 1.3, 2, 2.5, 7])
@pytest.mark.parametrize("epochs", [1, 2, 5, 50])
def test_rungs_rise_and_never_grow(eta: float, epochs: int) -> None:
    rungs = halving_rungs(30, epochs, eta, 1)
    assert rungs[-1][1] == epochs
    for (count, epoch), (fewer, later) in pairwise(rungs):
        assert later > epoch
        assert 1 <= fewer <= count
