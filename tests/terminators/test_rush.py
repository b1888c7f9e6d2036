"""RUSH: who starts, what the hurdle stops, and what it is without sources."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from nassim.checks.recording import FixedOrder, Recorder
from nassim.checks.worlds import World, permuted, renamed, small_world
from nassim.errors import InputError
from nassim.records import FloatArray, Sources, SourceTask
from nassim.simulator import simulate
from nassim.terminators.asha import ASHA
from nassim.terminators.base import Terminator
from nassim.terminators.rush import RUSH

ORDER = (5, 2, 0, 1, 3, 4)


def shared(values: list[list[float]], **changes: Any) -> World:
    """Six candidates that each source has too, whose qualities there are ``values``."""
    world = small_world(n=6, epochs=9)
    world = world.with_target(**changes)
    return with_sources(world, values)


def with_sources(world: World, values: list[list[float]]) -> World:
    def source(task: SourceTask, qualities: list[float]) -> SourceTask:
        architectures = world.target.architectures
        return dataclasses.replace(task, architectures=architectures, values=np.array(qualities))

    tasks = map(source, world.sources.tasks, values)
    return dataclasses.replace(world, sources=Sources(tuple(tasks)))


def search(terminator: Terminator, world: World, order: Any = ORDER) -> Recorder:
    terminator.fit(world.sources, 0)
    recorder = Recorder(terminator)
    simulate(world.replay(), FixedOrder(order), recorder, np.random.default_rng(0))
    return recorder


def first_jobs(recorder: Recorder) -> list[int]:
    """Candidates in the order in which they were started."""
    return list(dict.fromkeys(e.runs[0] for e in recorder.events if e.what == "train"))


def rungs(*values: float) -> FloatArray:
    """Six curves of nine epochs, each at one level."""
    return np.repeat(np.array(values)[:, None], 9, axis=1)


# one best on the first source, another on the second
BEST_4_AND_1 = [[0.1, 0.2, 0.3, 0.4, 0.9, 0.5], [0.3, 0.8, 0.1, 0.1, 0.7, 0.1]]


def test_the_best_of_each_source_start_and_are_trained_fully() -> None:
    world = shared(BEST_4_AND_1, curves=rungs(0.9, 0.1, 0.8, 0.7, 0.2, 0.6))
    recorder = search(RUSH(), world)
    assert first_jobs(recorder) == [1, 4, 5, 2, 0, 3]  # then as the optimizer wants it
    stopped = {e.runs[0] for e in recorder.events if e.what == "STOP"}
    assert stopped.isdisjoint({1, 4})  # although they are the worst


def test_more_of_each_source_may_start() -> None:
    recorder = search(RUSH(best=2), shared(BEST_4_AND_1))
    assert first_jobs(recorder) == [5, 1, 4, 2, 0, 3]


def test_the_hurdle_is_the_best_of_them_at_each_rung() -> None:
    """ASHA alone would let the first two pass: each is the best so far at its rung."""
    curves = rungs(0.3, 0.5, 0.4, 0.5, 0.2, 0.6)
    curves[5, 2:] = 0.45  # at epoch 3 it has fallen behind
    world = shared(BEST_4_AND_1, curves=curves)  # hurdle: 0.5, of candidate 1
    answers = [(e.what, e.runs[0], e.epoch) for e in search(RUSH(), world).events]
    assert ("CONTINUE", 5, 1) in answers
    assert ("STOP", 5, 3) in answers
    assert ("STOP", 2, 1) in answers
    assert ("CONTINUE", 3, 1) in answers  # as good is good enough, and ASHA says so


def test_asha_stops_what_jumps_the_hurdle_too() -> None:
    world = shared(BEST_4_AND_1, curves=rungs(0.6, 0.1, 0.9, 0.5, 0.2, 0.95))
    answers = [(e.what, e.runs[0], e.epoch) for e in search(RUSH(), world).events]
    assert ("STOP", 3, 1) in answers  # 0.5 is above the hurdle of 0.2


@pytest.mark.parametrize("options", [{}, {"eta": 2}, {"min_epochs": 2}])
def test_without_them_it_is_asha(options: dict[str, Any]) -> None:
    world = small_world()
    order = np.random.default_rng(0).permutation(24)
    rush = search(RUSH(best=0, **options), world, order).events
    assert rush == search(ASHA(**options), world, order).events
    assert rush != search(RUSH(best=3, **options), world, order).events


def test_isomorphic_architectures_are_the_same() -> None:
    world = shared(BEST_4_AND_1)
    tasks = []
    for task in world.sources.tasks:
        twins = tuple(dataclasses.replace(a, id=f"twin of {a.id}") for a in task.architectures)
        tasks.append(dataclasses.replace(task, architectures=twins))
    twins_only = dataclasses.replace(world, sources=Sources(tuple(tasks)))
    assert first_jobs(search(RUSH(), twins_only))[:2] == [1, 4]


def test_the_mean_over_training_seeds_ranks() -> None:
    world = shared(BEST_4_AND_1)
    task = world.sources.tasks[0]
    again = dataclasses.replace(
        task,
        architectures=task.architectures * 2,
        values=np.array([0.5, 0.5, 0.5, 0.6, 0.9, 0.5, 0.5, 0.5, 0.5, 0.6, 0.1, 0.5]),
    )
    lucky = dataclasses.replace(world, sources=Sources((again,)))
    assert first_jobs(search(RUSH(), lucky))[0] == 3  # not 4, which was lucky once


def test_the_best_that_is_a_candidate_counts() -> None:
    """Where a source's very best is none of the candidates, its next one starts."""
    world = shared([BEST_4_AND_1[0]])
    few = permuted(world, np.array([0, 1, 2, 3, 5, 4]))
    fewer = few.with_target(
        architectures=few.target.architectures[:5],
        **{
            name: getattr(few.target, name)[:5]
            for name in ("curves", "seconds", "lengths", "failed", "n_params", "flops", "values")
        },
    )
    fewer = dataclasses.replace(fewer, candidate=np.arange(5))
    assert first_jobs(search(RUSH(), fewer, range(5)))[0] == 4  # what was number 5


def test_it_refuses_a_pool_that_no_source_knows() -> None:
    with pytest.raises(InputError, match="None of the 6 candidates was trained on a source"):
        search(RUSH(), renamed(shared(BEST_4_AND_1)))
    search(RUSH(best=0), renamed(shared(BEST_4_AND_1)))


def test_it_must_be_fitted() -> None:
    with pytest.raises(InputError, match="RUSH must be fitted"):
        simulate(small_world().replay(), FixedOrder(range(24)), RUSH(), np.random.default_rng(0))


def test_odd_options_are_refused() -> None:
    with pytest.raises(InputError, match="Option best is -1; expected a whole number, 0 or more"):
        RUSH(best=-1)
    with pytest.raises(InputError, match="Option eta is 1"):
        RUSH(eta=1)
