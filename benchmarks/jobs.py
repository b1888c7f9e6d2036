"""What is measured of a whole process: ``python jobs.py NAME [argument ...]``.

Each job prints one JSON object. Its peak memory is its own (``VmHWM``): what the operating system
says of a finished child (``ru_maxrss``) includes the parent that forked it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

Measured = dict[str, Any]
Work = Callable[[], Any]


def memory(field: str) -> float:
    """``VmRSS`` (now) or ``VmHWM`` (the most so far) of this process, in MB."""
    try:
        with open("/proc/self/status") as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1e3
    except OSError:  # no Linux: the best there is
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def milliseconds(work: Work) -> float:
    """Processor time."""
    start = time.process_time_ns()
    work()
    return (time.process_time_ns() - start) / 1e6


def growth(work: Work) -> tuple[float, float]:
    """Milliseconds of a first time, and by how many MB it let memory grow at the most."""
    import gc

    gc.collect()
    before = memory("VmRSS")
    try:
        with open("/proc/self/clear_refs", "w") as peak:
            peak.write("5")  # VmHWM starts again from now
    except OSError:
        pass
    first = milliseconds(work)
    return first, memory("VmHWM") - before


def middle(numbers: Sequence[float]) -> float:
    return sorted(numbers)[len(numbers) // 2]


def halving_runs(count: str) -> Measured:
    """Many halving searches, each with an order of its own."""
    import numpy as np
    from ours import halving, optimizer, table_source

    from nassim.simulator import Replay, simulate

    replay, charged = Replay(table_source()), 0
    for seed in range(int(count)):
        episode = simulate(replay, optimizer, halving, np.random.default_rng(seed))
        charged += episode.epochs_charged
    return {"epochs": charged / int(count)}


def optuna_halving_run() -> Measured:
    """A single halving search by Optuna."""
    from curves import MILESTONES, make_curves, make_order
    from with_optuna import halving_pruner, search

    values = make_curves().accuracies.tolist()
    return {"epochs": sum(search(values, make_order(1), MILESTONES, halving_pruner()))}


def store_opened(path: str) -> Measured:
    """Opening a store, in a process that has imported the package."""
    from nassim.store import Store

    first, grown = growth(lambda: Store.open(path))
    again = [milliseconds(lambda: Store.open(path)) for _ in range(9)]
    return {"ms": middle(again), "first_ms": first, "MB": grown}


def store_curves(path: str) -> Measured:
    """All validation curves in one array."""
    from nassim.store import Store

    store = Store.open(path)
    kept = []
    first, grown = growth(lambda: kept.append(store.curves("valid_accuracy")))
    array = kept.pop().nbytes / 1e6
    again = [milliseconds(lambda: store.curves("valid_accuracy")) for _ in range(7)]
    return {"ms": middle(again), "first_ms": first, "MB": grown, "array_MB": array}


def store_curve(path: str) -> Measured:
    """One curve alone, each of another run."""
    from nassim.store import Store

    store = Store.open(path)
    keys = store.index().keys()[:: max(1, store.n_runs // 50)]
    store = Store.open(path)  # which has read no index
    times = [milliseconds(lambda key=key: store.curve("valid_accuracy", key)) for key in keys]  # type: ignore[misc]
    return {"ms": middle(times), "first_ms": times[0]}


def syne_tune_curves() -> Measured:
    """Syne Tune's table from arrays that are in memory already."""
    from with_syne_tune import large_arrays, large_blackbox

    arrays = large_arrays()
    kept = []
    first, grown = growth(lambda: kept.append(large_blackbox(*arrays)))
    again = [milliseconds(lambda: large_blackbox(*arrays)) for _ in range(5)]
    return {"ms": middle(again), "first_ms": first, "MB": grown}


def imports(statement: str) -> Measured:
    """One import statement, and which heavy packages it loads."""
    exec(statement)
    heavy = ("torch", "pandas", "sklearn", "matplotlib", "scipy")
    return {"heavy": [name for name in heavy if name in sys.modules]}


JOBS: dict[str, Callable[..., Measured]] = {
    job.__name__: job
    for job in (
        halving_runs,
        optuna_halving_run,
        store_opened,
        store_curves,
        store_curve,
        syne_tune_curves,
        imports,
    )
}

if __name__ == "__main__":
    answer = JOBS[sys.argv[1]](*sys.argv[2:])
    print(json.dumps(answer | {"peak_MB": memory("VmHWM")}))
