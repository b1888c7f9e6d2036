from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from nassim.checks.planted import planted_tasks
from nassim.optimizers.base import Candidates
from nassim.optimizers.copula import Copula
from nassim.records import Sources, SourceTask
from nassim.spaces import get_space

TARGET, *OTHERS = planted_tasks(n=60, epochs=3, rho=0.95)


def order(optimizer: Copula, tasks: list[SourceTask], seed: int = 0) -> list[int]:
    optimizer.fit(Sources(tuple(tasks)), seed=0)
    search = optimizer.begin(Candidates(TARGET.architectures), np.random.default_rng(seed))
    return search.ask(60)


@pytest.mark.parametrize("transform", [np.exp, lambda y: y**9, lambda y: 100 * y - 3])
def test_monotone_transforms_of_a_source_change_nothing(
    transform: Callable[[np.ndarray], np.ndarray],
) -> None:
    other = dataclasses.replace(OTHERS[0], values=transform(OTHERS[0].values.astype(float)))
    assert order(Copula(), [other, *OTHERS[1:]]) == order(Copula(), OTHERS)


@pytest.mark.parametrize("transform", [lambda y: y**200, lambda y: 100 * y - 3])
def test_nor_do_those_of_the_target(transform: Callable[[np.ndarray], np.ndarray]) -> None:
    optimizer = Copula(update=True)
    optimizer.fit(Sources(tuple(OTHERS)), seed=0)
    orders = []
    for values in (TARGET.values.astype(float), transform(TARGET.values.astype(float))):
        search = optimizer.begin(Candidates(TARGET.architectures), np.random.default_rng(0))
        asked = []
        for _ in range(15):
            asked += search.ask(1)
            search.tell(asked[-1], 3, float(values[asked[-1]]))
        orders.append(asked)
    assert orders[0] == orders[1]


def test_a_reversed_source_changes_much() -> None:
    reverse = [dataclasses.replace(task, values=-task.values) for task in OTHERS]
    forth, back = (TARGET.values[order(Copula(), t)[:20]].mean() for t in (OTHERS, reverse))
    assert forth > TARGET.values.mean() > back


def test_each_search_draws_otherwise_and_the_good_come_first() -> None:
    orders = [order(Copula(), OTHERS, seed) for seed in range(20)]
    assert len({found[0] for found in orders}) > 3
    optimizer = Copula()
    optimizer.fit(Sources(tuple(OTHERS)), seed=0)
    places = np.argsort(orders, axis=1).mean(axis=0)  # of each candidate
    assert np.corrcoef(places, TARGET.values)[0, 1] < -0.3


def test_where_the_model_does_not_err_nothing_is_left_to_chance() -> None:
    """One decision is all that matters on the sources, so no error is seen on what is held out."""
    space, rng = get_space("nasbench201"), np.random.default_rng(0)
    drawn = {a.canonical_id: a for a in (space.sample(rng) for _ in range(600))}
    known, others = tuple(drawn.values())[:100], tuple(drawn.values())[100:250]
    good = np.array([a.decisions[-1] == 3 for a in others])
    values = np.array([a.decisions[-1] == 3 for a in known], float)
    optimizer = Copula()
    task = dataclasses.replace(OTHERS[0], architectures=known, values=values)
    optimizer.fit(Sources((task, task)), seed=0)
    for seed in range(5):
        search = optimizer.begin(Candidates(others), np.random.default_rng(seed))
        proposed = good[search.ask(150)].tolist()
        assert proposed == sorted(proposed, reverse=True)


def test_it_listens_only_to_update() -> None:
    for update in (False, True):
        optimizer = Copula(update=update)
        optimizer.fit(Sources(tuple(OTHERS)), seed=0)
        search = optimizer.begin(Candidates(TARGET.architectures), np.random.default_rng(0))
        assert search.listens == update
