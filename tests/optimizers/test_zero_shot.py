from __future__ import annotations

import dataclasses

import numpy as np

from nassim.checks.worlds import small_world
from nassim.optimizers.average_rank import AverageRank
from nassim.optimizers.base import Candidates, Optimizer
from nassim.optimizers.zero_shot import ZeroShot
from nassim.records import Architecture, Sources, SourceTask
from nassim.spaces import get_space

SPACE = get_space("nasbench201")
CHOICES = ((0, 3), (1, 3), (2, 3), (3, 3), (4, 3), (4, 2))  # six networks
POOL = tuple(SPACE.architecture((first, 1, 1, 0, 0, last)) for first, last in CHOICES)
A, B, C, D, E, F = range(6)


def source(best_first: tuple[int, ...], pool: tuple[Architecture, ...] = POOL) -> SourceTask:
    values = np.zeros(len(pool))
    values[list(best_first)] = -np.arange(len(pool))
    return dataclasses.replace(small_world().target, architectures=pool, values=values)


def order(optimizer: Optimizer, *tasks: SourceTask) -> list[int]:
    optimizer.fit(Sources(tasks), seed=0)
    return optimizer.begin(Candidates(POOL), np.random.default_rng(0)).ask(6)


def test_greedy_picks_complementary_ones_and_not_the_best_averages() -> None:
    """B is second twice; then A and D, each the best of one dataset and the worst of the other.

    Ranks: A 1 6, B 2 2, C 3 3, D 6 1, E 4 4, F 5 5. The averages would take C before A.
    """
    tasks = source((A, B, C, E, F, D)), source((D, B, C, E, F, A))
    assert order(AverageRank(), *tasks)[:2] == [B, C]
    assert order(ZeroShot(), *tasks) == [B, A, D, C, E, F]


def test_when_nothing_helps_any_more_the_rest_is_ranked_anew() -> None:
    """A is best everywhere, and no other adds anything.

    Of the others B is the best on average; then F adds more than C does.
    """
    tasks = source((A, C, B, D, E, F)), source((A, F, B, D, E, C)), source((A, F, B, D, E, C))
    assert order(ZeroShot(), *tasks) == [A, B, F, C, D, E]


def test_one_source_is_followed_in_its_order() -> None:
    assert order(ZeroShot(), source((C, A, F, B, E, D))) == [C, A, F, B, E, D]


def test_asking_for_one_or_many_is_the_same() -> None:
    world = small_world()
    optimizer = ZeroShot()
    optimizer.fit(world.sources, seed=0)
    one, many = (
        optimizer.begin(Candidates(world.target.architectures), np.random.default_rng(k))
        for k in range(2)
    )
    assert [one.ask(1)[0] for _ in range(24)] == many.ask(24)


def test_it_does_not_listen() -> None:
    optimizer = ZeroShot()
    optimizer.fit(small_world().sources, seed=0)
    assert not optimizer.begin(Candidates(POOL[:0]), np.random.default_rng(0)).listens
