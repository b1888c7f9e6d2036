from __future__ import annotations

import numpy as np
import pytest

from nassim.simulator.clock import Clock, spread


def test_events_come_in_the_order_of_their_time() -> None:
    clock = Clock()
    for time in (3.0, 1.0, 2.0):
        clock.announce(time, time)
    assert [clock.advance() for _ in range(3)] == [1.0, 2.0, 3.0]
    assert clock.now == 3.0
    assert not clock


def test_of_equal_times_the_first_announced_comes_first() -> None:
    clock = Clock()
    for name in "bca":  # neither their names nor what they are is compared
        clock.announce(1.0, {name})
    assert [clock.advance() for _ in range(3)] == [{"b"}, {"c"}, {"a"}]


def test_an_event_may_be_announced_for_now() -> None:
    clock = Clock()
    clock.announce(1.0, "first")
    clock.advance()
    clock.announce(clock.now, "second")
    assert (clock.advance(), clock.now) == ("second", 1.0)


@pytest.mark.parametrize("workers", [1, 2, 3, 7, 100])
def test_spread_gives_each_job_to_the_worker_that_is_free_first(workers: int) -> None:
    seconds = np.random.default_rng(0).integers(1, 9, 50).astype(float)
    free = [0.0] * workers
    for end, duration in zip(spread(seconds, workers), seconds, strict=True):
        worker = free.index(min(free))
        free[worker] += duration
        assert end == free[worker]


def test_one_worker_takes_one_job_after_the_other() -> None:
    assert spread(np.array([1.0, 2.0, 4.0]), 1).tolist() == [1.0, 3.0, 7.0]
