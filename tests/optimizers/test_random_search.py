from __future__ import annotations

from collections import Counter
from itertools import permutations

import numpy as np

from nassim.optimizers.base import Candidates
from nassim.optimizers.random_search import RandomSearch
from nassim.spaces import get_space


def stored(n: int = 4) -> Candidates:
    return Candidates([get_space("table").parse(str(k)) for k in range(n)])


def order(seed: int, n: int = 4) -> list[int]:
    return RandomSearch().begin(stored(n), np.random.default_rng(seed)).ask(n)


def test_all_orders_are_equally_likely() -> None:
    rng = np.random.default_rng(0)
    found = Counter(tuple(RandomSearch().begin(stored(), rng).ask(4)) for _ in range(4800))
    assert set(found) == set(permutations(range(4)))
    chi_squared = sum((count - 200) ** 2 / 200 for count in found.values())
    assert chi_squared < 49.7  # 23 degrees of freedom, p = 0.001


def test_the_order_is_the_generator_s() -> None:
    assert order(7) == order(7)
    assert len({tuple(order(seed)) for seed in range(50)}) > 15


def test_the_order_does_not_depend_on_how_many_are_asked_for() -> None:
    search = RandomSearch().begin(stored(), np.random.default_rng(7))
    assert search.ask(1) + search.ask(2) + search.ask(9) == order(7)
    assert search.ask(1) == []


def test_it_does_not_listen() -> None:
    search = RandomSearch().begin(stored(), np.random.default_rng(0))
    assert not search.listens
    search.tell(0, 1, 0.5)  # and does not mind


def test_it_does_not_learn() -> None:
    assert not RandomSearch.uses_sources
    assert RandomSearch().begin(Candidates(), np.random.default_rng(0)).ask(3) == []


def test_without_a_table_it_draws_from_the_space_and_none_twice() -> None:
    free = Candidates(space=get_space("nasbench201_3nodes"))
    search = RandomSearch().begin(free, np.random.default_rng(0))
    assert search.ask(3) == [0, 1, 2]
    asked = search.ask(500)  # there are 125
    assert len(asked) == 122
    assert len({architecture.id for architecture in free.architectures}) == 125
