"""What is measured of a whole process: ``python jobs.py NAME [argument ...]``.

Each job prints one JSON object. Its peak memory is its own (``VmHWM``): what the operating system
says of a finished child (``ru_maxrss``) includes the parent that forked it.
"""

from __future__ import annotations

import contextlib
import gc
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

Measured = dict[str, Any]


def memory(field: str) -> float:
    """``VmRSS`` (now) or ``VmHWM`` (the most so far) of this process, in MB."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1e3
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3  # no Linux: the best there is


def restart_peak() -> None:
    """Let ``VmHWM`` start again from now, where the kernel can."""
    gc.collect()
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """The answer and its milliseconds."""
    start = time.perf_counter()
    answer = work()
    return answer, 1e3 * (time.perf_counter() - start)


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

    before = memory("VmRSS")
    restart_peak()
    store, first = timed(lambda: Store.open(path))
    grown = memory("VmHWM") - before
    again = [timed(lambda: Store.open(path))[1] for _ in range(9)]
    return {"runs": store.n_runs, "ms": median([first, *again]), "first_ms": first, "MB": grown}


def store_curves(path: str) -> Measured:
    """All validation curves in one array."""
    from nassim.store import Store

    store = Store.open(path)
    before = memory("VmRSS")
    restart_peak()
    curves, first = timed(lambda: store.curves("valid_accuracy"))
    grown, array = memory("VmHWM") - before, curves.nbytes / 1e6
    del curves
    again = [timed(lambda: store.curves("valid_accuracy"))[1] for _ in range(6)]
    return {"ms": median([first, *again]), "first_ms": first, "MB": grown, "array_MB": array}


def store_curve(path: str) -> Measured:
    """One curve alone, each of another run."""
    from nassim.store import Store

    store = Store.open(path)
    keys = store.index().keys()[:: max(1, store.n_runs // 50)]
    del store
    times = [
        timed(lambda key=key: Store.open(path).curve("valid_accuracy", key))[1] for key in keys
    ]
    store = Store.open(path)
    opened = [timed(lambda key=key: store.curve("valid_accuracy", key))[1] for key in keys]
    return {"ms": median(opened), "with_opening_ms": median(times)}


def syne_tune_curves() -> Measured:
    """Syne Tune's table from arrays that are in memory already."""
    from with_syne_tune import large_arrays, large_blackbox

    arrays = large_arrays()
    before = memory("VmRSS")
    restart_peak()
    table, first = timed(lambda: large_blackbox(*arrays))
    grown = memory("VmHWM") - before
    del table
    again = [timed(lambda: large_blackbox(*arrays))[1] for _ in range(4)]
    return {"ms": median([first, *again]), "first_ms": first, "MB": grown}


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
