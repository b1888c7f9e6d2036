"""What a replay costs at the least, and what it has to decide.

The first half are loops that do nothing but what is asked, without a contract, a ledger or a check:
nobody can be much faster. The second half simulates ASHA epoch by epoch on an event heap; it shares
no code with nassim and serves as the reference for decisions.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Sequence
from heapq import heappop, heappush

import numpy as np
from curves import Curves, FloatArray
from numpy.typing import NDArray

Rungs = Sequence[tuple[int, int]]  # (runs, until epoch)


def hyperband(
    curves: FloatArray,
    best: FloatArray,
    cumulative: FloatArray,
    order: NDArray[np.intp],
    brackets: Sequence[Rungs],
) -> int:
    """Epochs charged by synchronous halving, bracket after bracket, numpy only.

    The incumbent's trace (when, and how good) is made too, as a replay that is worth its name must.
    """
    now, charged, left = 0.0, 0, order
    trace = []
    for rungs in brackets:
        alive, trained = left[: rungs[0][0]], 0
        left = left[rungs[0][0] :]
        for count, epoch in rungs:
            if trained:
                ranked = (-curves[alive, trained - 1]).argsort(kind="stable")
                alive = alive[np.sort(ranked[:count])]
            ends = now + (cumulative[alive, epoch] - cumulative[alive, trained]).cumsum()
            charged += len(alive) * (epoch - trained)
            now, trained = ends[-1], epoch
        trace.append((ends, np.maximum.accumulate(best[alive])))
    return charged


def asha(
    values: list[list[float]],
    cumulative: list[list[float]],
    order: list[int],
    epochs: list[int],
    eta: float,
    workers: int,
) -> int:
    """Epochs charged by ASHA (stopping), a bare heap of events from rung to rung."""
    last = len(epochs) - 1
    seen: list[list[float]] = [[] for _ in epochs]
    heap: list[tuple[float, int, int, int]] = []
    position = counter = charged = 0

    def start(now: float) -> None:
        nonlocal position, counter
        if position < len(order):
            run = order[position]
            position += 1
            counter += 1
            heappush(heap, (now + cumulative[run][epochs[0]], counter, run, 0))

    for _ in range(workers):
        start(0.0)
    while heap:
        now, _, run, rung = heappop(heap)
        epoch = epochs[rung]
        if rung == last:
            charged += epoch
            start(now)
            continue
        value = values[run][epoch - 1]
        ranked = seen[rung]
        insort(ranked, value)
        others = len(ranked) - 1
        place = others - others / eta
        below = int(place)
        cutoff = ranked[below]
        if below + 1 < len(ranked):
            cutoff += (ranked[below + 1] - cutoff) * (place - below)
        if value >= cutoff:
            counter += 1
            ahead = cumulative[run][epochs[rung + 1]] - cumulative[run][epoch]
            heappush(heap, (now + ahead, counter, run, rung + 1))
        else:
            charged += epoch
            start(now)
    return charged


# How many runs may be better, of ``seen`` at a rung (its own included), for a run to go on. The
# packages read "the best 1 / eta" in three ways.
GoesOn = Callable[[int, int], bool]


def quantile_rule(eta: int) -> GoesOn:
    """At least the (1 - 1 / eta) quantile, linearly interpolated: nassim."""
    return lambda better, seen: better * eta <= seen - 1


def rank_rule(eta: int) -> GoesOn:
    """Rank, counted from 0, over the number seen is at most 1 / eta: Syne Tune."""
    return lambda better, seen: better / seen <= 1 / eta


def top_rule(eta: int) -> GoesOn:
    """Among the best floor(seen / eta), or the very best: Optuna."""
    return lambda better, seen: better < max(1, seen // eta)


def exact_asha(
    curves: Curves, order: list[int], milestones: Sequence[int], goes_on: GoesOn, workers: int
) -> tuple[list[int], float]:
    """ASHA (stopping), one event an epoch: epochs of each run, and the second of the last event."""
    n_epochs = curves.accuracies.shape[1]
    trained = [0] * len(curves.accuracies)
    seen: dict[int, list[float]] = {epoch: [] for epoch in milestones}
    waiting = list(reversed(order))
    events: list[tuple[float, int, int]] = []
    counter, now = 0, 0.0

    def train(run: int) -> None:
        nonlocal counter
        counter += 1
        seconds = float(curves.seconds[run, trained[run]])
        heappush(events, (now + seconds, counter, run))

    for _ in range(workers):
        train(waiting.pop())
    while events:
        now, _, run = heappop(events)
        trained[run] += 1
        epoch, stop = trained[run], trained[run] == n_epochs
        if epoch in seen and not stop:
            value = float(curves.accuracies[run, epoch - 1])
            better = sum(other > value for other in seen[epoch])
            seen[epoch].append(value)
            stop = not goes_on(better, len(seen[epoch]))
        if not stop:
            train(run)
        elif waiting:
            train(waiting.pop())
    return trained, now
