from __future__ import annotations

import dataclasses

import numpy as np

from nassim.checks.worlds import small_world
from nassim.optimizers.average_rank import AverageRank
from nassim.optimizers.base import Candidates, Optimizer
from nassim.optimizers.ridge import Ridge
from nassim.records import Architecture, Sources, SourceTask
from nassim.spaces import get_space

SPACE = get_space("nasbench201")
POOL = tuple(SPACE.architecture((op, 1, 1, 0, 0, 3)) for op in range(5))


def source(values: list[float], pool: tuple[Architecture, ...] = POOL) -> SourceTask:
    return dataclasses.replace(
        small_world().target, architectures=pool, values=np.array(values, float)
    )


def order(optimizer: Optimizer, pool: tuple[Architecture, ...], *tasks: SourceTask) -> list[int]:
    optimizer.fit(Sources(tasks), seed=0)
    return optimizer.begin(Candidates(pool), np.random.default_rng(0)).ask(len(pool))


def test_mean_ranks_by_hand() -> None:
    first = [0.9, 0.8, 0.7, 0.6, 0.5]  # ranks 1 2 3 4 5
    second = [0.1, 0.4, 0.5, 0.2, 0.3]  # ranks 5 2 1 4 3
    assert order(AverageRank(), POOL, source(first), source(second)) == [1, 2, 0, 3, 4]


def test_ranks_count_and_not_how_far_values_are_apart() -> None:
    """The mean of standardised values would begin with number 3."""
    outstanding = [4, 3, 2, 100, 1]  # ranks 2 3 4 1 5
    assert order(AverageRank(), POOL, source([5, 4, 3, 2, 1]), source(outstanding))[0] == 0


def test_equal_values_share_their_rank() -> None:
    equal = [0.5, 0.5, 0.5, 0.5, 0.5]
    assert order(AverageRank(), POOL, source(equal), source([1, 2, 5, 4, 3])) == [2, 3, 4, 1, 0]
    assert order(AverageRank(), POOL, source(equal)) == [0, 1, 2, 3, 4]


def test_in_a_disjoint_pool_it_is_ridge() -> None:
    world = small_world()
    target = small_world(seed=1).target.architectures
    orders = [order(o, target, *world.sources.tasks) for o in (AverageRank(), Ridge())]
    assert orders[0] == orders[1]
    shared = world.target.architectures  # of which the sources have every other one
    orders = [order(o, shared, *world.sources.tasks) for o in (AverageRank(), Ridge())]
    assert orders[0] != orders[1]


def test_what_a_source_lacks_is_predicted_from_all() -> None:
    """Operation 4 of the first edge is known of another architecture, on the second source."""
    sibling = SPACE.architecture((4, 1, 1, 0, 3, 3))
    known = source([4, 3, 2, 1], POOL[:4])
    good = source([4, 3, 2, 1, 9], (*POOL[:4], sibling))
    bad = source([4, 3, 2, 1, -9], (*POOL[:4], sibling))
    before, after = (order(AverageRank(), POOL, known, task).index(4) for task in (good, bad))
    assert before < after
