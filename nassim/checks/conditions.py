"""Odd conditions that must not change what a method does: other clocks, other global chance."""

from __future__ import annotations

import contextlib
import itertools
import random
import sys
import time
from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np

__all__ = ["global_chance", "odd_clock"]

_CLOCKS = ("time", "perf_counter", "monotonic", "process_time", "thread_time")


@contextlib.contextmanager
def odd_clock(step_seconds: float) -> Iterator[None]:
    """All clocks of ``time`` advance by so many seconds (or go back) each time one is read.

    Not seen by a module that took a clock's name before: ``from time import perf_counter``.
    """
    ticks = itertools.count()

    def now() -> float:
        return 1e9 + step_seconds * next(ticks)

    clocks: dict[str, Any] = dict.fromkeys(_CLOCKS, now)
    clocks |= {f"{name}_ns": lambda: int(1e9 * now()) for name in _CLOCKS}
    with mock.patch.multiple(time, **clocks):
        yield


@contextlib.contextmanager
def global_chance(seed: int) -> Iterator[list[str]]:
    """The global generators start from ``seed``; the list names those that were used inside.

    They are afterwards what they were before.
    """
    torch = sys.modules.get("torch")
    numpy_before = np.random.get_state()  # noqa: NPY002  # the global generator is what is watched
    random_before, torch_before = random.getstate(), torch and torch.get_rng_state()
    used: list[str] = []
    try:
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        if torch:
            torch.manual_seed(seed)
        start = _states()
        yield used
        used += [name for name, state in _states().items() if start.get(name, state) != state]
    finally:
        random.setstate(random_before)
        np.random.set_state(numpy_before)  # noqa: NPY002
        if torch:
            torch.set_rng_state(torch_before)


def _states() -> dict[str, bytes]:
    torch = sys.modules.get("torch")
    name, keys, position, *_ = np.random.get_state(legacy=True)  # noqa: NPY002
    states = {
        "random": repr(random.getstate()).encode(),
        "numpy.random": np.asarray(keys).tobytes() + repr((name, position)).encode(),
    }
    if torch:
        states["torch"] = torch.get_rng_state().numpy().tobytes()
    return states
