from __future__ import annotations

from collections import Counter
from itertools import permutations
from typing import Any

import numpy as np

from nassim.optimizers.random_search import RandomSearch

NOTHING: Any = (None,) * 4  # it does not look at architectures


def order(seed: Any, n: int = 4) -> list[int]:
    return RandomSearch().begin(NOTHING[:n], np.random.default_rng(seed)).ask(n)


def test_all_orders_are_equally_likely() -> None:
    rng = np.random.default_rng(0)
    found = Counter(tuple(RandomSearch().begin(NOTHING, rng).ask(4)) for _ in range(4800))
    assert set(found) == set(permutations(range(4)))
    chi_squared = sum((count - 200) ** 2 / 200 for count in found.values())
    assert chi_squared < 49.7  # 23 degrees of freedom, p = 0.001


def test_the_order_is_the_generator_s() -> None:
    assert order(7) == order(7)
    assert len({tuple(order(seed)) for seed in range(50)}) > 15


def test_the_order_does_not_depend_on_how_many_are_asked_for() -> None:
    search = RandomSearch().begin(NOTHING, np.random.default_rng(7))
    assert search.ask(1) + search.ask(2) + search.ask(9) == order(7)
    assert search.ask(1) == []


def test_it_does_not_listen() -> None:
    search = RandomSearch().begin(NOTHING, np.random.default_rng(0))
    assert not search.listens
    search.tell(0, 1, 0.5)  # and does not mind


def test_it_does_not_learn() -> None:
    assert not RandomSearch.uses_sources
    assert RandomSearch().begin((), np.random.default_rng(0)).ask(3) == []
