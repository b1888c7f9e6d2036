from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from nassim.checks.worlds import small_world
from nassim.errors import InputError
from nassim.optimizers.base import Candidates, Search
from nassim.optimizers.nearest_dataset import NearestDataset
from nassim.records import Architecture, Sources, SourceTask
from nassim.spaces import get_space

SPACE = get_space("nasbench201")
POOL = tuple(SPACE.architecture((first, 1, 1, 0, 0, last)) for last in (2, 3) for first in range(5))
ASCENDING = np.arange(10.0)
ODD_FIRST = np.where(ASCENDING % 2 == 1, 20 - ASCENDING, 10 - ASCENDING)


def source(values: np.ndarray, pool: tuple[Architecture, ...] = POOL) -> SourceTask:
    return dataclasses.replace(small_world().target, architectures=pool, values=values)


def begun(*tasks: SourceTask, evaluations: int = 3) -> Search:
    optimizer = NearestDataset(evaluations=evaluations)
    optimizer.fit(Sources(tasks), seed=0)
    return optimizer.begin(Candidates(POOL), np.random.default_rng(0))


def after(search: Search, told: np.ndarray, count: int = 3) -> list[int]:
    """What it proposes when all that it proposed before has been told of."""
    for candidate in search.ask(count):
        search.tell(candidate, 1, float(told[candidate]))
    return search.ask(4)


def test_the_average_starts() -> None:
    search = begun(source(ASCENDING), source(ASCENDING), source(-ASCENDING))
    assert search.ask(3) == [9, 8, 7]


@pytest.mark.parametrize("target", [ASCENDING, ODD_FIRST, 3 * ODD_FIRST + 1])
def test_the_source_that_agrees_says_what_comes_next(target: np.ndarray) -> None:
    search = begun(source(ASCENDING), source(ODD_FIRST))
    proposed = after(search, target)
    values = ASCENDING if target is ASCENDING else ODD_FIRST
    assert values[proposed].tolist() == sorted(values[proposed].tolist(), reverse=True)
    assert proposed[0] == max(set(range(10)) - {9, 7, 5}, key=lambda k: values[k])


def test_it_is_chosen_anew_at_each_proposal() -> None:
    search = begun(source(ASCENDING), source(-ASCENDING), source(ASCENDING))
    for candidate, value in zip(search.ask(3), (0.3, 0.2, 0.1), strict=True):
        search.tell(candidate, 1, value)  # as on the first source
    assert search.ask(1) == [6]
    for candidate, value in zip((9, 8, 7), (0.1, 0.2, 0.3), strict=True):
        search.tell(candidate, 2, value)
    assert search.ask(1) == [0]  # as on the second


def test_until_enough_is_told_the_average_goes_on() -> None:
    three = (source(ASCENDING), source(ASCENDING), source(-ASCENDING))
    assert after(begun(*three, evaluations=4), -ASCENDING)[0] == 6
    assert after(begun(*three, evaluations=3), -ASCENDING)[0] == 0


def test_equal_values_agree_with_no_source() -> None:
    three = (source(ASCENDING), source(ASCENDING), source(-ASCENDING))
    assert after(begun(*three), np.full(10, 0.5)) == [6, 5, 4, 3]


def test_what_the_source_lacks_is_predicted_from_it_alone() -> None:
    """Operation 4 of the first edge is good on one source, which has not trained candidate 9."""
    values = np.array([1.0, 2, 3, 4, 9] * 2)
    few = source(values[:9], POOL[:9])
    search = begun(few, source(-values), evaluations=4)
    first = search.ask(4)
    assert 9 not in first
    for candidate in first:
        search.tell(candidate, 1, float(values[candidate]))
    assert search.ask(2 if 4 not in first else 1)[-1] == 9


def test_odd_options_are_refused() -> None:
    with pytest.raises(InputError, match="Option evaluations is 0"):
        NearestDataset(evaluations=0)
