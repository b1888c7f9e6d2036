"""Virtual time: a heap of ``(time, counter, ...)``. Nothing but recorded seconds moves it."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Any

import numpy as np

from nassim.records import FloatArray

__all__ = ["Clock", "spread"]


class Clock:
    """Events in the order of their time; of equal times the one announced first comes first.

    >>> clock = Clock()
    >>> clock.announce(2.0, "b"), clock.announce(1.0, "a"), clock.announce(2.0, "c")
    (None, None, None)
    >>> [clock.advance() for _ in range(3)], clock.now
    (['a', 'b', 'c'], 2.0)
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._heap: list[tuple[float, int, Any]] = []
        self._counter = 0

    def __bool__(self) -> bool:
        return bool(self._heap)

    def announce(self, time: float, event: object) -> None:
        """An event will happen at a time."""
        self._counter += 1
        heappush(self._heap, (time, self._counter, event))

    def advance(self) -> Any:
        """Go to the next event and return it."""
        self.now, _, event = heappop(self._heap)
        return event


def spread(seconds: FloatArray, workers: int) -> FloatArray:
    """When each job ends if they start in order, each on the first worker that is free.

    >>> spread(np.array([3.0, 1.0, 1.0, 4.0]), workers=2)
    array([3., 1., 2., 6.])
    """
    if workers == 1:
        ends: FloatArray = seconds.cumsum()
        return ends
    free = [0.0] * workers
    ends = np.empty(len(seconds))
    for job, duration in enumerate(seconds.tolist()):
        end = free[0] + duration
        ends[job] = end
        heappop(free)
        heappush(free, end)
    return ends
