from __future__ import annotations

import numpy as np

from nassim.optimizers.base import Candidates
from nassim.optimizers.pool import BestFirst, Pool
from nassim.spaces import get_space

SPACE = get_space("nasbench201_3nodes")
STORED = [SPACE.architecture((op,) * 3) for op in range(5)]


def table() -> Pool:
    return Pool(Candidates(STORED), STORED[:2], 9, np.random.default_rng(0))


def free(sample: int, seed: int = 0) -> tuple[Candidates, Pool]:
    candidates = Candidates(space=SPACE)
    return candidates, Pool(candidates, STORED[1:], sample, np.random.default_rng(seed))


def test_the_pool_of_a_table_is_the_table() -> None:
    pool = table()
    assert list(pool.architectures) == STORED
    assert [pool.number(k) for k in range(5)] == [0, 1, 2, 3, 4]


def test_without_a_table_it_is_what_was_good_elsewhere_and_a_sample() -> None:
    candidates, pool = free(6)
    assert list(pool.architectures[:4]) == STORED[1:]
    assert len(pool.architectures) == 10
    assert len(candidates) == 0  # nothing is named before it is proposed
    assert pool.number(7) == 0
    assert candidates[0] == pool.architectures[7]
    assert pool.architectures != free(6, seed=1)[1].architectures


def test_an_exhausted_space_ends_the_sample() -> None:
    _, pool = free(1000)
    assert len(pool.architectures) == 60  # functions, of 125 texts


def test_the_best_first_and_the_first_among_equals() -> None:
    search = BestFirst(table(), np.array([0.1, 0.9, 0.5, 0.9, 0.2]))
    assert search.ask(2) + search.ask(9) == [1, 3, 2, 4, 0]
    assert search.ask(1) == []
    assert not search.listens


def test_a_later_report_replaces_an_earlier_one() -> None:
    search = BestFirst(table(), np.arange(5.0))
    search.ask(3)
    for run, value in ((4, 0.5), (3, 0.2), (4, 0.7), (2, -np.inf)):
        search.tell(run, 1, value)
    positions, values = search.told()
    assert (positions.tolist(), values.tolist()) == ([4, 3, 2], [0.7, 0.2, 0.2])


def test_positions_are_not_numbers_without_a_table() -> None:
    _, pool = free(6)
    search = BestFirst(pool, np.arange(10.0))
    assert search.ask(2) == [0, 1]
    search.tell(1, 1, 0.5)
    assert search.told()[0].tolist() == [8]
