from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from nassim.checks.worlds import small_world
from nassim.errors import InputError
from nassim.optimizers.base import Candidates
from nassim.optimizers.best_elsewhere import BestElsewhere
from nassim.records import Architecture, Sources, SourceTask
from nassim.spaces import get_space

SPACE = get_space("nasbench201")
POOL = tuple(SPACE.architecture((op, 1, 1, 0, 0, 3)) for op in range(5))


def source(values: list[float], pool: tuple[Architecture, ...] = POOL) -> SourceTask:
    return dataclasses.replace(
        small_world().target, architectures=pool, values=np.array(values, float)
    )


def search(candidates: Candidates, *tasks: SourceTask, seed: int = 0):  # type: ignore[no-untyped-def]
    optimizer = BestElsewhere()
    optimizer.fit(Sources(tasks), seed=0)
    return optimizer.begin(candidates, np.random.default_rng(seed))


FIRST = source([5, 4, 3, 2, 1])
SECOND = source([5, 3, 1, 2, 4])


def test_the_best_of_each_in_turn_and_none_twice() -> None:
    orders = {tuple(search(Candidates(POOL), FIRST, SECOND, seed=k).ask(9)) for k in range(20)}
    assert orders == {(0, 1, 4, 2, 3), (0, 4, 1, 2, 3)}  # which source begins is left to chance


def test_a_candidate_that_the_sources_have_has_distance_0() -> None:
    begun = search(Candidates(POOL), FIRST)
    begun.ask(5)
    assert begun.notes == {"mean_distance": 0.0}


def test_an_isomorphic_candidate_is_the_same_one() -> None:
    """The nearest by its decisions would be another network."""
    twin = SPACE.architecture((3, 0, 1, 0, 0, 1))  # a convolution, then identities
    same = SPACE.architecture((0, 0, 0, 3, 0, 0))
    near = SPACE.architecture((3, 0, 1, 0, 0, 3))
    assert twin.canonical_id == same.canonical_id != near.canonical_id
    begun = search(Candidates([near, same]), source([1], (twin,)))
    assert begun.ask(1) == [1]
    assert begun.notes == {"mean_distance": 0.0}


def test_in_a_disjoint_pool_the_nearest_that_is_left_takes_its_place() -> None:
    elsewhere = tuple(SPACE.architecture((op, 1, 1, 0, 0, 0)) for op in (2, 2, 4))
    assert elsewhere[0] == elsewhere[1]  # trained twice
    begun = search(Candidates(POOL), source([9, 7, 1], elsewhere))
    assert begun.ask(2) == [2, 4]
    assert begun.notes == {"mean_distance": pytest.approx(1 / 6)}


def test_then_the_rest_comes_in_a_random_order() -> None:
    begun = [search(Candidates(POOL), source([1], POOL[3:4]), seed=k) for k in range(20)]
    orders = {tuple(each.ask(1) + each.ask(9)) for each in begun}
    assert {found[0] for found in orders} == {3}
    assert all(sorted(found) == [0, 1, 2, 3, 4] for found in orders)
    assert len(orders) > 5


def test_in_a_space_each_is_proposed_as_it_is() -> None:
    candidates = Candidates(space=SPACE)
    begun = search(candidates, FIRST)
    assert begun.ask(7) == [0, 1, 2, 3, 4, 5, 6]
    assert candidates.architectures[:5] == POOL
    assert begun.notes == {"mean_distance": 0.0}


def test_names_are_proposed_where_they_are_candidates() -> None:
    names = tuple(map(get_space("table").parse, "abc"))
    assert search(Candidates(names), source([1, 3, 2], names)).ask(3) == [1, 2, 0]
    with pytest.raises(InputError, match="no decisions of one length"):
        search(Candidates(names[:2]), source([1], names[2:])).ask(1)
