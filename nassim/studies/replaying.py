"""What the studies that replay searches share: targets, orders, and the gathering of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeVar, get_args

import numpy as np
import pyarrow as pa

from nassim.errors import InputError
from nassim.simulator.simulate import Accounting, Episode
from nassim.simulator.sources import Replay, Replayable
from nassim.store import Store
from nassim.studies.fitting import each_task, mixed_seed
from nassim.studies.folds import Fold, FoldPlan, load_fold, target_names
from nassim.studies.results import POOL_SCHEMA, TIMINGS_SCHEMA, Study, to_table

__all__ = [
    "Progress",
    "ReplayPlan",
    "check_replay",
    "each_order",
    "replay_stamp",
    "replayed",
    "target_folds",
    "trace_of",
]

Progress = Callable[[int, int, str], None]  # done, total, what

_Row = dict[str, Any]
_Task = TypeVar("_Task")


class ReplayPlan(Protocol):
    """What the plans of these studies have in common."""

    @property
    def orders(self) -> int: ...
    @property
    def seed(self) -> int: ...
    @property
    def simulated_workers(self) -> int: ...
    @property
    def accounting(self) -> Accounting: ...
    @property
    def runs(self) -> Literal["drawn", "first"]: ...


def check_replay(plan: ReplayPlan, *counts: str) -> None:
    """Refuse (InputError) a plan that cannot be run; ``counts`` name its whole numbers from 1."""
    for name in counts:
        value = getattr(plan, name)
        if not isinstance(value, int) or value < 1:
            raise InputError(f"{name} is {value!r}; expected a whole number, 1 or more.")
    if plan.seed < 0:
        raise InputError(f"seed is {plan.seed}; expected 0 or more.")
    if plan.accounting not in get_args(Accounting):
        raise InputError(f"accounting is {plan.accounting!r}; expected 'continue' or 'restart'.")
    if plan.runs not in ("drawn", "first"):
        raise InputError(f"runs is {plan.runs!r}; expected 'drawn' or 'first'.")


def target_folds(store: Store, folds: FoldPlan, targets: Sequence[str] | None) -> dict[str, Fold]:
    """The fold of each named target, of all by default, in their order.

    Raises
    ------
    InputError
        if none is named, one is named twice or is unknown, and as ``load_fold``.
    """
    names = target_names(store) if targets is None else list(targets)
    if not names:
        raise InputError(f"No target is named, of store {store.name!r} with {store.n_runs} runs.")
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"Target {name!r} is named twice; name it once.")
    return {name: load_fold(folds, name) for name in names}


def each_order(fold: Fold, plan: ReplayPlan) -> Iterator[tuple[int, Replay, list[int]]]:
    """Each order's number, the runs that are replayed in it, and the seed of its chance."""
    table, target = fold.table, fold.target.name
    fixed = Replay(table)
    for order_seed in range(plan.orders):
        replay = fixed
        if plan.runs == "drawn" and table.has_several_runs:
            drawing = np.random.default_rng([1, mixed_seed(plan.seed, order_seed, target)])
            replay = Replay(table, table.choose(drawing))
        yield order_seed, replay, [0, mixed_seed(plan.seed, order_seed, target)]


def trace_of(
    replay: Replayable, episode: Episode, regrets: np.ndarray, full_seconds: float
) -> tuple[list[float], list[float]]:
    """When the incumbent changed, as a share of the full cost, and its regret from then on."""
    costs, trace, best = [], [], -np.inf
    for run, seconds in zip(episode.completed, episode.completion_seconds.tolist(), strict=True):
        if replay.qualities[run] > best:
            best = replay.qualities[run]
            costs.append(seconds / full_seconds)
            trace.append(float(regrets[run]))
    return costs, trace


def replay_stamp(plan: ReplayPlan) -> _Row:
    """What every row of such a study says beside ``stamp_of`` and what is the fold's."""
    return {
        "runs": plan.runs,
        "workers": plan.simulated_workers,
        "accounting": plan.accounting,
    }


def replayed(
    run: Callable[[_Task], tuple[list[_Row], list[_Row]]],
    queue: Sequence[_Task],
    name_of: Callable[[_Task], str],
    *,
    schema: pa.Schema,
    methods: Sequence[str],
    pools: Mapping[str, Fold],
    stamp: _Row,
    workers: int,
    ray: str | None,
    progress: Progress | None,
) -> Study:
    """Do all tasks, and make a study of their rows, sorted by target, method and seeds.

    Parameters
    ----------
    run
        Answers the results and the timings of a task; a function of a module.
    queue, name_of
        The tasks as they are to be begun, and what ``progress`` calls each.
    schema
        Of the results.
    methods, pools
        All methods and targets, in the order of the rows.
    stamp
        Added to every row, with what is the target's.
    workers, ray, progress
        As of ``run_termination``.
    """
    rows: list[_Row] = []
    timings: list[_Row] = []
    for done, (task, answer) in enumerate(each_task(run, queue, workers, ray), start=1):
        rows += answer[0]
        timings += answer[1]
        if progress is not None:
            progress(done, len(queue), name_of(task))
    targets = list(pools)
    position = {name: k for k, name in enumerate(methods)}

    def place(row: _Row) -> tuple[int, ...]:
        seeds = (row["model_seed"], row.get("order_seed", 0))
        return (targets.index(row["target"]), position[row["method"]], *seeds)

    stamps = {
        name: stamp | {"space": fold.space, "time_unit": fold.time_unit}
        for name, fold in pools.items()
    }
    return Study(
        to_table([stamps[row["target"]] | row for row in sorted(rows, key=place)], schema),
        to_table([row for fold in pools.values() for row in _pool_rows(fold)], POOL_SCHEMA),
        to_table(sorted(timings, key=place), TIMINGS_SCHEMA),
    )


def _pool_rows(fold: Fold) -> Iterator[_Row]:
    """The candidates of a target, as the pool file has them."""
    table = fold.table
    replay = Replay(table)
    for c, architecture in enumerate(table.architectures):
        yield {
            "target": fold.target.name,
            "candidate": c,
            "architecture": architecture.id,
            "quality": float(table.candidate_qualities[c]),
            "full_seconds": float(replay.cumulative_array[c, -1]),
            "n_params": int(replay.n_params[c]),
            "valid": replay.values_array[c, : replay.lengths[c]].tolist(),
        }
