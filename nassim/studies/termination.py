"""The early-termination track: random search x terminator, regret and cost for each target.

Every method sees the same orders of the candidates (paired seeds). A method that learns is fitted
once for each target and model seed, from the other datasets only.
"""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import numpy as np

import nassim
from nassim.errors import InputError
from nassim.loading import Specification, build, parse_specifications
from nassim.optimizers import OPTIMIZERS
from nassim.optimizers.base import Optimizer
from nassim.simulator.simulate import Accounting, Episode, simulate
from nassim.simulator.sources import Replay, TableSource
from nassim.store import Store
from nassim.studies.folds import LEAKAGE, Fold, FoldPlan, load_fold, target_names
from nassim.studies.results import (
    POOL_SCHEMA,
    RESULTS_SCHEMA,
    TIMINGS_SCHEMA,
    Study,
    to_table,
)
from nassim.terminators import TERMINATORS
from nassim.terminators.base import Terminator

__all__ = ["DEFAULT_METHODS", "TerminationPlan", "run_termination"]

DEFAULT_METHODS = (
    "never,last_value,successive_halving,successive_halving:eta=4:min_epochs=2,hyperband,asha,"
    "median,lcranknet,lcranknet:at_zero=true,lcranknet:fusion=concat"
)


@dataclass(frozen=True)
class TerminationPlan:
    """What to compare, apart from the folds.

    Parameters
    ----------
    methods
        Specifications of terminators, separated by commas.
    orders, model_seeds
        Random orders of the candidates, and fits of each method that learns.
    seed
        All chance of the study comes from here.
    simulated_workers
        Trainings that run side by side on the virtual clock.
    accounting
        Whether a resumed run pays only its new epochs (``"continue"``) or all (``"restart"``).
    runs
        Where a candidate was trained with several seeds: one ``"drawn"`` anew for each order, or
        always the ``"first"`` (lowest) seed.
    """

    methods: str = DEFAULT_METHODS
    orders: int = 20
    model_seeds: int = 3
    seed: int = 0
    simulated_workers: int = 1
    accounting: Accounting = "continue"
    runs: Literal["drawn", "first"] = "drawn"

    def __post_init__(self) -> None:
        for name in ("orders", "model_seeds", "simulated_workers"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise InputError(f"{name} is {value!r}; expected a whole number, 1 or more.")
        if self.seed < 0:
            raise InputError(f"seed is {self.seed}; expected 0 or more.")
        if self.accounting not in get_args(Accounting):
            raise InputError(
                f"accounting is {self.accounting!r}; expected 'continue' or 'restart'."
            )
        if self.runs not in ("drawn", "first"):
            raise InputError(f"runs is {self.runs!r}; expected 'drawn' or 'first'.")


@dataclass(frozen=True)
class _Task:
    """One fit and all its orders; what one process does at a time."""

    folds: FoldPlan
    plan: TerminationPlan
    target: str
    specification: Specification
    model_seed: int


def run_termination(
    plan: TerminationPlan,
    folds: FoldPlan,
    targets: Sequence[str] | None = None,
    *,
    workers: int = 1,
    progress: Callable[[int, int, str], None] | None = None,
) -> Study:
    """Compare terminators on every target; the results do not depend on ``workers``.

    Parameters
    ----------
    plan, folds
        What to compare, and on what.
    targets
        Names of target datasets; all by default.
    workers
        Processes.
    progress
        Called as ``progress(done, total, what)`` after each fit with its orders.

    Raises
    ------
    InputError
        if a method or target is unknown, a method is named twice, or a method cannot learn
        because no source is left.
    """
    if workers < 1:
        raise InputError(f"workers is {workers}; expected 1 or more.")
    store = Store.open(folds.store)
    specifications = parse_specifications(plan.methods, TERMINATORS, "terminator")
    terminators = {spec.text: _terminator(spec) for spec in specifications}
    names = target_names(store) if targets is None else list(targets)
    pools = [load_fold(folds, name) for name in names]  # before the work: what is wrong shows now
    for fold in pools:
        _check_curves(fold)
    tasks = [
        _Task(folds, plan, name, spec, model_seed)
        for name in names
        for spec in specifications
        for model_seed in range(plan.model_seeds if terminators[spec.text].uses_sources else 1)
    ]
    # the slow ones first, so that the last process is not left alone with them
    queue = sorted(tasks, key=lambda task: not terminators[task.specification.text].uses_sources)
    answers: dict[_Task, tuple[list[dict[str, Any]], dict[str, Any]]] = {}
    for done, (task, answer) in enumerate(_work(queue, workers), start=1):
        answers[task] = answer
        if progress is not None:
            progress(done, len(tasks), f"{task.target} {task.specification.text}")
    results = [
        row | _stamp(store, folds, fold, plan)
        for fold in pools
        for row in _of(fold, tasks, answers)
    ]
    return Study(
        to_table(results, RESULTS_SCHEMA),
        to_table([row for fold in pools for row in _pool_rows(fold)], POOL_SCHEMA),
        to_table([answers[task][1] for task in tasks], TIMINGS_SCHEMA),
    )


def _of(
    fold: Fold,
    tasks: list[_Task],
    answers: dict[_Task, tuple[list[dict[str, Any]], dict[str, Any]]],
) -> Iterator[dict[str, Any]]:
    for task in tasks:
        if task.target == fold.target.name:
            yield from answers[task][0]


def _work(
    queue: list[_Task], workers: int
) -> Iterator[tuple[_Task, tuple[list[dict[str, Any]], dict[str, Any]]]]:
    """The tasks with their answers, in whatever order they finish."""
    if workers == 1:
        for task in queue:
            yield task, _run(task)
        return
    from joblib import Parallel, delayed

    parallel = Parallel(n_jobs=workers, return_as="generator_unordered")
    yield from parallel(delayed(_run_named)(task) for task in queue)


def _run_named(task: _Task) -> tuple[_Task, tuple[list[dict[str, Any]], dict[str, Any]]]:
    return task, _run(task)


def _run(task: _Task) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Fit one method on one fold and replay all orders."""
    fold, plan = load_fold(task.folds, task.target), task.plan
    table = fold.table
    started = time.perf_counter()
    terminator = _terminator(task.specification)
    terminator.fit(fold.sources, seed=_mix(plan.seed, task.model_seed, task.target))
    fitted = time.perf_counter()
    optimizer = _optimizer()
    fixed = Replay(table)
    rows = []
    for order_seed in range(plan.orders):
        replay = fixed
        if plan.runs == "drawn" and table.has_several_runs:
            drawing = np.random.default_rng([1, _mix(plan.seed, order_seed, task.target)])
            replay = Replay(table, table.choose(drawing))
        order = [0, _mix(plan.seed, order_seed, task.target)]
        episode = simulate(
            replay,
            optimizer,
            terminator,
            np.random.default_rng(order),
            workers=plan.simulated_workers,
            accounting=plan.accounting,
        )
        permutation = optimizer.begin(table.architectures, np.random.default_rng(order))
        row = _row(fold, replay, episode, permutation.ask(len(table.architectures)))
        row |= {
            "target": task.target,
            "method": task.specification.text,
            "order_seed": order_seed,
            "model_seed": task.model_seed,
            "options": json.dumps(dict(task.specification.options), sort_keys=True),
        }
        rows.append(row)
    timing = {
        "target": task.target,
        "method": task.specification.text,
        "model_seed": task.model_seed,
        "fit_seconds": fitted - started,
        "search_seconds": time.perf_counter() - fitted,
    }
    return rows, timing


def _row(fold: Fold, replay: Replay, episode: Episode, order: list[int]) -> dict[str, Any]:
    """What is written of one episode; here, after the search, test values are looked up."""
    table = fold.table
    scale = 100.0 if fold.metric.name == "accuracy" else 1.0
    qualities = table.candidate_qualities
    regrets = scale * (qualities.max() - qualities)
    test = fold.sealed.test
    best_test = np.nanmax(test) if np.isfinite(test).any() else np.nan
    full = replay.cumulative_array[:, -1]
    full_seconds = float(full.cumsum()[-1])
    trace_cost, trace_regret = _trace(replay, episode, regrets, full_seconds)
    return {
        "candidates": len(qualities),
        "regret_valid_pp": float(regrets[episode.pick]),
        "regret_test_pp": float(scale * (best_test - test[episode.pick])),
        "random_regret_pp": _random_regret(replay, order, full, episode.busy_seconds, regrets),
        "cost_fraction": episode.busy_seconds / full_seconds,
        "simulated_seconds": episode.seconds,
        "full_seconds": full_seconds,
        "epochs_charged": episode.epochs_charged,
        "started": len(episode.started),
        "evaluations": len(episode.completed),
        "killed_best": int(np.argmax(qualities)) not in episode.completed,
        "pick": table.architectures[episode.pick].id,
        "trace_cost": trace_cost,
        "trace_regret_pp": trace_regret,
        "epochs_trained": episode.epochs.tolist(),
    }


def _trace(
    replay: Replay, episode: Episode, regrets: np.ndarray, full_seconds: float
) -> tuple[list[float], list[float]]:
    """When the incumbent changed, as a share of the full cost, and its regret from then on."""
    costs, trace, best = [], [], -np.inf
    for run, seconds in zip(episode.completed, episode.completion_seconds.tolist(), strict=True):
        if replay.qualities[run] > best:
            best = replay.qualities[run]
            costs.append(seconds / full_seconds)
            trace.append(float(regrets[run]))
    return costs, trace


def _random_regret(
    replay: Replay, order: list[int], full: np.ndarray, budget: float, regrets: np.ndarray
) -> float:
    """Regret of full trainings in this order at the same cost; one at the least."""
    spent = np.cumsum(full[order])
    count = max(1, int(np.searchsorted(spent, budget * (1 + 1e-12), side="right")))
    seen = np.array(order[:count])
    return float(regrets[seen[np.argmax(replay.qualities_array[seen])]])


def _stamp(store: Store, folds: FoldPlan, fold: Fold, plan: TerminationPlan) -> dict[str, Any]:
    return {
        "study": "termination",
        "store": store.name,
        "store_sha": folds.store_sha,
        "space": fold.space,
        "metric": fold.metric.name,
        "pool": folds.pool,
        "leave_out": folds.leave_out,
        "quality": folds.quality,
        "runs": plan.runs,
        "optimizer": "random",
        "workers": plan.simulated_workers,
        "accounting": plan.accounting,
        "leakage": LEAKAGE[folds.split],
        "source": "tabular",
        "nassim_version": nassim.__version__,
    }


def _pool_rows(fold: Fold) -> Iterator[dict[str, Any]]:
    table = fold.table
    replay = Replay(table)
    for c, architecture in enumerate(table.architectures):
        yield {
            "target": fold.target.name,
            "candidate": c,
            "architecture": architecture.id,
            "quality": float(table.candidate_qualities[c]),
            "full_seconds": replay.cumulative[c][-1],
            "n_params": int(replay.n_params[c]),
            "valid": replay.values[c][: replay.lengths[c]],
        }


def _check_curves(fold: Fold) -> None:
    """Early termination needs values before the end."""
    table: TableSource = fold.table
    if table.max_epochs < 2 or not np.isfinite(table.values[:, : table.max_epochs - 1]).any():
        raise InputError(
            f"Runs on {fold.target.name!r} were validated after the last epoch only; early "
            "termination needs whole curves. Take a store that has them."
        )


def _terminator(specification: Specification) -> Terminator:
    terminator = build(specification, "terminator")
    if not isinstance(terminator, Terminator):
        raise InputError(
            f"{specification.path!r} is a {type(terminator).__name__}; expected a subclass of "
            "nassim.terminators.base.Terminator (Estimator, Rule)."
        )
    return terminator


def _optimizer() -> Optimizer:
    (specification,) = parse_specifications("random", OPTIMIZERS, "optimizer")
    return cast(Optimizer, build(specification, "optimizer"))


def _mix(*parts: int | str) -> int:
    """One number from several, the same on every machine."""
    return zlib.crc32(":".join(map(str, parts)).encode())
