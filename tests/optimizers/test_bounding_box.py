from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from nassim.checks.worlds import small_world
from nassim.errors import InputError
from nassim.optimizers.base import Candidates
from nassim.optimizers.bounding_box import BoundingBox
from nassim.records import Architecture, Sources, SourceTask
from nassim.spaces import Space, get_space

TINY = get_space("nasbench201_3nodes")
# on one source (3, 1, 3) is the best, on the other (1, 1, 3)
GOOD = ((3, 1, 3), (1, 1, 3))
BAD = ((4, 4, 1), (4, 3, 4))


def source(decisions: tuple[tuple[int, ...], ...], space: Space = TINY) -> SourceTask:
    """The first is the best."""
    return dataclasses.replace(
        small_world().target,
        architectures=tuple(map(space.architecture, decisions)),
        values=-np.arange(float(len(decisions))),
    )


def fitted(best: int = 1) -> BoundingBox:
    optimizer = BoundingBox(best=best)
    tasks = [source((good, bad)) for good, bad in zip(GOOD, BAD, strict=True)]
    optimizer.fit(Sources(tuple(tasks)), seed=0)
    return optimizer


def outside(architecture: Architecture, optimizer: BoundingBox) -> int:
    pairs = zip(architecture.decisions, optimizer.box, strict=True)
    return sum(decision not in values for decision, values in pairs)


def test_the_box_spans_the_best_of_each_source() -> None:
    assert [values.tolist() for values in fitted().box] == [[1, 3], [1], [3]]
    assert [values.tolist() for values in fitted(best=2).box] == [[1, 3, 4], [1, 3, 4], [1, 3, 4]]


def test_of_a_table_those_in_the_box_come_first_then_the_others() -> None:
    table = list(TINY.every())
    search = fitted().begin(Candidates(table), np.random.default_rng(0))
    counts = [outside(table[k], fitted()) for k in search.ask(200)]
    assert counts == sorted(counts)
    assert [counts.count(k) for k in range(4)] == [2, 19, 56, 48]


def test_equals_are_in_a_random_order() -> None:
    table = Candidates(list(TINY.every()))
    orders = {tuple(fitted().begin(table, np.random.default_rng(k)).ask(2)) for k in range(20)}
    assert len(orders) == 2  # two candidates are in the box


def test_without_a_table_the_box_is_exhausted_before_the_space() -> None:
    candidates = Candidates(space=TINY)
    search = fitted().begin(candidates, np.random.default_rng(0))
    search.ask(2)
    assert {a.decisions for a in candidates.architectures} == {(1, 1, 3), (3, 1, 3)}
    search.ask(200)
    assert len(candidates) == 125


def test_what_is_no_architecture_is_not_drawn() -> None:
    """Of the box of two graphs most draws have no path, or are pruned to something smaller."""
    space = get_space("nasbench101")
    rng = np.random.default_rng(0)
    pool = tuple(space.sample(rng).decisions for _ in range(2))
    optimizer = BoundingBox()
    optimizer.fit(Sources((source(pool[:1], space), source(pool[1:], space))), seed=0)
    candidates = Candidates(space=space)
    assert optimizer.begin(candidates, rng).ask(30) == list(range(30))


def test_names_have_no_box() -> None:
    names = tuple(map(get_space("table").parse, "ab"))
    task = dataclasses.replace(small_world().target, architectures=names, values=np.ones(2))
    with pytest.raises(InputError, match="no decisions of one length"):
        BoundingBox().fit(Sources((task,)), seed=0)


def test_another_space_is_refused() -> None:
    with pytest.raises(InputError, match="Candidates have 40 decisions, those of the sources 3"):
        fitted().begin(Candidates(small_world().target.architectures), np.random.default_rng(0))


def test_odd_options_are_refused() -> None:
    with pytest.raises(InputError, match="Option best is 0"):
        BoundingBox(best=0)
