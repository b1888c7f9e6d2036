"""What the simple transfer methods have in common; what is particular is in their own files."""

from __future__ import annotations

import dataclasses
from typing import cast

import numpy as np
import pytest

from nassim.checks.planted import planted_tasks
from nassim.checks.worlds import relabelled, small_world
from nassim.errors import InputError
from nassim.loading import build, parse_specification
from nassim.optimizers import OPTIMIZERS
from nassim.optimizers.base import Candidates, Optimizer
from nassim.ranking.random_search import expected_best_of
from nassim.records import Architecture, Sources, SourceTask
from nassim.spaces import get_space

RANKING = ("average_rank", "copula", "nearest_dataset", "ridge", "zero_shot")
ALL = (*RANKING, "best_elsewhere", "bounding_box")
LISTENING = ("copula:update=true", "nearest_dataset:evaluations=3", "ridge:update=true")
TINY = get_space("nasbench201_3nodes")


def made(specification: str) -> Optimizer:
    parsed = parse_specification(specification, OPTIMIZERS, "optimizer")
    return cast(Optimizer, build(parsed, "optimizer"))


def fitted(specification: str, sources: Sources) -> Optimizer:
    optimizer = made(specification)
    optimizer.fit(sources, seed=0)
    return optimizer


def proposals(specification: str, sources: Sources, target: SourceTask, count: int) -> list[int]:
    """Candidates in the order in which they are proposed; each is trained fully, and told."""
    candidates = Candidates(target.architectures)
    search = fitted(specification, sources).begin(candidates, np.random.default_rng(0))
    asked: list[int] = []
    for _ in range(count):
        (candidate,) = search.ask(1)
        asked.append(candidate)
        if search.listens:
            search.tell(candidate, target.curves.shape[1], float(target.values[candidate]))
    return asked


def tiny_sources(n: int = 20) -> Sources:
    """Two sources of the space of 125 cells; convolutions are good."""
    task = small_world().target
    rng = np.random.default_rng(0)
    tasks = []
    for _ in range(2):
        pool = tuple(TINY.sample(rng) for _ in range(n))
        values = np.array([sum(op == 3 for op in a.decisions) for a in pool]) + rng.random(n)
        tasks.append(dataclasses.replace(task, architectures=pool, values=values))
    return Sources(tuple(tasks))


# -- planted stores ------------------------------------------------------------------------------


def gains(specification: str, *, shuffle: bool, counts: tuple[int, ...] = (1, 5)) -> np.ndarray:
    """Regret of random search less that of a method, after so many runs, (counts,), in pp.

    The mean over three stores of five datasets with disjoint pools, each dataset in turn the
    target. Shuffled sources say nothing.
    """
    found = []
    for seed in range(3):
        tasks = planted_tasks(n=100, epochs=3, seed=seed)
        rng = np.random.default_rng(seed)
        for k, target in enumerate(tasks):
            others = [task for j, task in enumerate(tasks) if j != k]
            if shuffle:
                others = [dataclasses.replace(t, values=rng.permutation(t.values)) for t in others]
            asked = proposals(specification, Sources(tuple(others)), target, max(counts))
            best = [target.values[asked[:count]].max() for count in counts]
            by_chance = [expected_best_of(target.values, count) for count in counts]
            found.append(100 * (np.array(best) - by_chance))
    means: np.ndarray = np.mean(found, axis=0)
    return means


@pytest.mark.parametrize("method", [*RANKING, "ridge:update=true", "ridge:normalise=rank"])
def test_related_sources_help(method: str) -> None:
    first, five = gains(method, shuffle=False)
    assert first > 2.0
    assert five > 0.5


@pytest.mark.parametrize("method", RANKING)
def test_shuffled_sources_do_not(method: str) -> None:
    """The negative twin: what the test above asserts is not there."""
    first, five = gains(method, shuffle=True)
    assert first < 2.0
    assert five < 0.5


# -- contracts beyond those of every optimizer ---------------------------------------------------


@pytest.mark.parametrize("method", ALL)
def test_without_sources_it_says_so(method: str) -> None:
    with pytest.raises(InputError, match="was given no source dataset, and has nothing else"):
        made(method).fit(Sources(()), seed=0)


@pytest.mark.parametrize("method", ALL)
def test_it_must_be_fitted(method: str) -> None:
    with pytest.raises(InputError, match="must be fitted on source datasets"):
        made(method).begin(Candidates(space=TINY), np.random.default_rng(0))


@pytest.mark.parametrize("method", [*ALL, *LISTENING])
def test_what_datasets_are_called_changes_nothing(method: str) -> None:
    world = small_world()
    other = relabelled(world)
    before, after = (proposals(method, w.sources, w.target, 24) for w in (world, other))
    assert before == after


@pytest.mark.parametrize("method", LISTENING)
def test_what_it_is_told_matters(method: str) -> None:
    world = small_world()
    values = world.target.values
    reverse = dataclasses.replace(world.target, values=values.max() - values)
    before, after = (proposals(method, world.sources, t, 24) for t in (world.target, reverse))
    assert before != after


@pytest.mark.parametrize("method", LISTENING)
def test_a_failed_run_is_the_worst_that_was_told(method: str) -> None:
    world = small_world()
    orders = []
    for failure in (-np.inf, 0.25):
        candidates = Candidates(world.target.architectures)
        search = fitted(method, world.sources).begin(candidates, np.random.default_rng(0))
        asked = search.ask(4)
        for candidate, value in zip(asked, (0.5, failure, 0.25, 0.75), strict=True):
            search.tell(candidate, 27, value)
        orders.append(search.ask(20))
    assert orders[0] == orders[1]


@pytest.mark.parametrize("method", LISTENING)
def test_all_failed_is_nothing_told(method: str) -> None:
    world = small_world()
    orders = []
    for tells in (True, False):
        candidates = Candidates(world.target.architectures)
        search = fitted(method, world.sources).begin(candidates, np.random.default_rng(0))
        for candidate in search.ask(4):
            if tells:
                search.tell(candidate, 1, -np.inf)
        orders.append(search.ask(20))
    assert orders[0] == orders[1]


# -- without a table -----------------------------------------------------------------------------


def free_search(specification: str, count: int, seed: int = 0) -> list[Architecture]:
    """What is proposed from the whole space of 125 cells; convolutions are good there too."""
    candidates = Candidates(space=TINY)
    optimizer = fitted(specification, tiny_sources())
    search = optimizer.begin(candidates, np.random.default_rng(seed))
    asked: list[int] = []
    while len(asked) < count and (answer := search.ask(min(7, count - len(asked)))):
        asked += answer
        for number in answer:
            convolutions = sum(op == 3 for op in candidates[number].decisions)
            search.tell(number, 1, convolutions / 3)
    assert asked == list(range(len(asked)))  # none twice, and none named that was not proposed
    return list(candidates.architectures)


@pytest.mark.parametrize("method", [f"{name}:sample=30" for name in RANKING])
def test_a_sample_of_the_space_and_the_sources_are_ranked(method: str) -> None:
    proposed = free_search(method, 200)
    elsewhere = {a.canonical_id for task in tiny_sources().tasks for a in task.architectures}
    assert len({a.canonical_id for a in proposed}) == len(proposed)  # isomorphic ones once
    assert elsewhere < {a.canonical_id for a in proposed}
    assert len(proposed) > len(elsewhere) + 15  # there are 60 classes, so a few draws are missing


@pytest.mark.parametrize("method", [*ALL, "copula:update=true", "ridge:update=true"])
def test_good_architectures_of_the_space_come_first(method: str) -> None:
    convolutions = [sum(op == 3 for op in a.decisions) for a in free_search(method, 10)]
    assert np.mean(convolutions) > 1.0  # of three decisions with five values each: 0.6 by chance


@pytest.mark.parametrize("method", ["best_elsewhere", "bounding_box"])
def test_the_whole_space_comes_in_the_end(method: str) -> None:
    assert len(free_search(method, 500)) == 125


@pytest.mark.parametrize("method", ["copula", "bounding_box", "ridge:sample=5"])
def test_the_draw_is_the_generator_s(method: str) -> None:
    first, again, other = (free_search(method, 40, seed) for seed in (1, 1, 2))
    assert first == again != other
