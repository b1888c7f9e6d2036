from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from nassim.checks.worlds import small_world
from nassim.errors import InputError, UnknownNameError
from nassim.optimizers.base import Candidates
from nassim.optimizers.ridge import Ridge
from nassim.records import Architecture, Sources, SourceTask
from nassim.spaces import get_space

SPACE = get_space("nasbench201")
RNG = np.random.default_rng(0)
DRAWN = {a.canonical_id: a for a in (SPACE.sample(RNG) for _ in range(400))}  # networks, once each
POOL, CANDIDATES = tuple(DRAWN.values())[:60], tuple(DRAWN.values())[60:160]


def convolutions(architectures: tuple[Architecture, ...]) -> np.ndarray:
    return np.array([sum(op == 3 for op in a.decisions) for a in architectures], float)


def source(values: np.ndarray, pool: tuple[Architecture, ...] = POOL) -> SourceTask:
    return dataclasses.replace(small_world().target, architectures=pool, values=values)


def order(optimizer: Ridge, *tasks: SourceTask, seed: int = 0) -> list[int]:
    optimizer.fit(Sources(tasks), seed=0)
    search = optimizer.begin(Candidates(CANDIDATES), np.random.default_rng(seed))
    return search.ask(len(CANDIDATES))


def test_what_the_sources_say_of_decisions_orders_other_architectures() -> None:
    proposed = order(Ridge(), source(convolutions(POOL)))
    counts = convolutions(CANDIDATES)[proposed]
    assert counts.tolist() == sorted(counts.tolist(), reverse=True)


def test_nothing_is_left_to_chance() -> None:
    task = source(convolutions(POOL))
    assert order(Ridge(), task, seed=0) == order(Ridge(), task, seed=1)


@pytest.mark.parametrize("normalise", ["zscore", "rank"])
def test_the_scale_of_a_source_does_not_matter(normalise: str) -> None:
    values = convolutions(POOL) + RNG.random(60)
    other = convolutions(POOL[::-1]) + RNG.random(60)
    scaled = [source(0.01 * values + 5, POOL), source(other, POOL[::-1])]
    plain = [source(values, POOL), source(other, POOL[::-1])]
    optimizer = Ridge(normalise=normalise)  # type: ignore[arg-type]
    assert order(optimizer, *scaled) == order(optimizer, *plain)
    assert order(Ridge(normalise="none"), *scaled) != order(Ridge(normalise="none"), *plain)


def test_ranks_do_not_care_how_bad_a_failure_is() -> None:
    values = convolutions(POOL) + RNG.random(60)
    failed = np.where(values == values.min(), -1000.0, values)
    orders = [order(Ridge(normalise="rank"), source(v)) for v in (values, failed)]
    assert orders[0] == orders[1]
    assert order(Ridge(), source(values)) != order(Ridge(), source(failed))


def share_of_the_good(weight: float) -> float:
    """Of ten more proposals, on a target where only a convolution on the last edge is good."""
    optimizer = Ridge(update=True, weight=weight)
    optimizer.fit(Sources((source(convolutions(POOL)),)), seed=0)
    search = optimizer.begin(Candidates(CANDIDATES), np.random.default_rng(0))
    good = [a.decisions[-1] == 3 for a in CANDIDATES]
    for candidate in search.ask(10):
        search.tell(candidate, 1, float(good[candidate]))
    return float(np.mean([good[candidate] for candidate in search.ask(10)]))


def test_the_heavier_the_target_the_more_it_is_listened_to() -> None:
    assert share_of_the_good(1e-6) < share_of_the_good(30.0) > 0.8


def test_odd_options_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="No option normalise is called 'zscores'"):
        Ridge(normalise="zscores")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="Option weight is 0; expected a number above 0"):
        Ridge(weight=0)
    with pytest.raises(InputError, match="Option sample is 0"):
        Ridge(sample=0)


def test_another_space_is_refused() -> None:
    optimizer = Ridge()
    optimizer.fit(Sources((source(convolutions(POOL)),)), seed=0)
    candidates = Candidates(small_world().target.architectures)
    with pytest.raises(InputError, match="is of space 'nasnet'; expected 'nasbench201'"):
        optimizer.begin(candidates, np.random.default_rng(0))
