"""The early-termination track: random search x terminator, regret and cost for each target.

Every method sees the same orders of the candidates (paired seeds). A method that learns is fitted
once for each target and model seed, from the other datasets only.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import numpy as np

import nassim
from nassim.errors import InputError
from nassim.loading import Specification, build, load, parse_specifications
from nassim.optimizers import OPTIMIZERS
from nassim.optimizers.base import Candidates, Optimizer
from nassim.simulator.simulate import Accounting, Episode, simulate
from nassim.simulator.sources import Replay, Replayable, TableSource
from nassim.store import Store
from nassim.studies.fitting import build_terminator, each_task, mixed_seed
from nassim.studies.folds import LEAKAGE, Fold, FoldPlan, load_fold, target_names
from nassim.studies.results import (
    POOL_SCHEMA,
    RESULTS_SCHEMA,
    TIMINGS_SCHEMA,
    Study,
    to_table,
)
from nassim.terminators import TERMINATORS
from nassim.terminators.base import Estimator, Terminator

__all__ = [
    "DEFAULT_METHODS",
    "TerminationPlan",
    "each_order",
    "pool_rows",
    "random_search",
    "run_termination",
    "trace_of",
]

DEFAULT_METHODS = (
    "never,last_value,successive_halving,successive_halving:eta=4:min_epochs=2,hyperband,"
    "hyperband:repeat=true,asha,median,lcranknet,lcranknet:at_zero=true,lcranknet:fusion=concat"
)

_Row = dict[str, Any]
_Answer = tuple[list[_Row], list[_Row]]  # results, timings


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
    """One fit, the methods that share it, all orders: what one process does at a time.

    Methods share a fit if they differ in the options of the stopping rule only.
    """

    folds: FoldPlan
    plan: TerminationPlan
    target: str
    specifications: tuple[Specification, ...]
    model_seed: int


def run_termination(
    plan: TerminationPlan,
    folds: FoldPlan,
    targets: Sequence[str] | None = None,
    *,
    workers: int = 1,
    ray: str | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> Study:
    """Compare terminators on every target; the results do not depend on ``workers`` or ``ray``.

    Parameters
    ----------
    plan, folds
        What to compare, and on what.
    targets
        Names of target datasets; all by default.
    workers
        Processes.
    ray
        The address of a Ray cluster (``nassim.cluster.joined``) that takes the place of
        ``workers``: a core each. Its machines must see the store.
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
    learns = {spec: build_terminator(spec).uses_sources for spec in specifications}
    names = target_names(store) if targets is None else list(targets)
    if not names:
        raise InputError(f"No target is named, of store {store.name!r} with {store.n_runs} runs.")
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"Target {name!r} is named twice; name it once.")
    pools = [load_fold(folds, name) for name in names]  # before the work: what is wrong shows now
    for fold in pools:
        _check_curves(fold)
    tasks = [
        _Task(folds, plan, name, group, model_seed)
        for name in names
        for group in _fit_groups(specifications)
        for model_seed in range(plan.model_seeds if learns[group[0]] else 1)
    ]
    # the slow ones first, so that the last process is not left alone with them
    queue = sorted(tasks, key=lambda task: not learns[task.specifications[0]])
    rows: list[_Row] = []
    timings: list[_Row] = []
    for done, (task, answer) in enumerate(each_task(_run_named, queue, workers, ray), start=1):
        rows += answer[0]
        timings += answer[1]
        if progress is not None:
            progress(done, len(tasks), f"{task.target} {task.specifications[0].text}")
    stamps = {fold.target.name: _stamp(store, folds, fold, plan) for fold in pools}
    position = {spec.text: k for k, spec in enumerate(specifications)}

    def place(row: _Row) -> tuple[int, ...]:
        seeds = (row["model_seed"], row.get("order_seed", 0))
        return (names.index(row["target"]), position[row["method"]], *seeds)

    return Study(
        to_table([row | stamps[row["target"]] for row in sorted(rows, key=place)], RESULTS_SCHEMA),
        to_table([row for fold in pools for row in pool_rows(fold)], POOL_SCHEMA),
        to_table(sorted(timings, key=place), TIMINGS_SCHEMA),
    )


def _fit_groups(specifications: list[Specification]) -> list[tuple[Specification, ...]]:
    """Methods that share a fit, together."""
    groups: dict[object, list[Specification]] = {}
    for spec in specifications:
        rule_options: frozenset[str] = getattr(load(spec.path), "rule_options", frozenset())
        learned = tuple((name, value) for name, value in spec.options if name not in rule_options)
        groups.setdefault((spec.path, learned), []).append(spec)
    return [tuple(group) for group in groups.values()]


def _run_named(task: _Task) -> tuple[_Task, _Answer]:
    return task, _run(task)


def _run(task: _Task) -> _Answer:
    """Fit once on one fold; then each method of the group replays all orders."""
    fold, plan = load_fold(task.folds, task.target), task.plan
    started = time.perf_counter()
    fitted = build_terminator(task.specifications[0])
    fitted.fit(fold.sources, seed=mixed_seed(plan.seed, task.model_seed, task.target))
    fit_seconds = time.perf_counter() - started
    rows: list[_Row] = []
    timings: list[_Row] = []
    for spec in task.specifications:
        terminator = fitted
        if isinstance(fitted, Estimator):
            terminator = fitted.with_rule_of(cast(Estimator, build_terminator(spec)))
        started = time.perf_counter()
        method = {"target": task.target, "method": spec.text, "model_seed": task.model_seed}
        options = json.dumps(dict(spec.options), sort_keys=True)
        for row in _replay_orders(fold, plan, terminator):
            rows.append(row | method | {"options": options, "learns": fitted.uses_sources})
        search_seconds = time.perf_counter() - started
        timings.append(method | {"fit_seconds": fit_seconds, "search_seconds": search_seconds})
    return rows, timings


def _replay_orders(fold: Fold, plan: TerminationPlan, terminator: Terminator) -> Iterator[_Row]:
    """One fitted method on every order of the candidates."""
    optimizer = random_search()
    for order_seed, replay, order in each_order(fold, plan):
        episode = simulate(
            replay,
            optimizer,
            terminator,
            np.random.default_rng(order),
            workers=plan.simulated_workers,
            accounting=plan.accounting,
        )
        architectures = fold.table.architectures
        permutation = optimizer.begin(Candidates(architectures), np.random.default_rng(order))
        order_of_all = permutation.ask(len(architectures))
        yield _row(fold, replay, episode, order_of_all) | {"order_seed": order_seed}


def each_order(fold: Fold, plan: TerminationPlan) -> Iterator[tuple[int, Replay, list[int]]]:
    """Each order's number, the runs that are replayed in it, and the seed of its chance."""
    table, target = fold.table, fold.target.name
    fixed = Replay(table)
    for order_seed in range(plan.orders):
        replay = fixed
        if plan.runs == "drawn" and table.has_several_runs:
            drawing = np.random.default_rng([1, mixed_seed(plan.seed, order_seed, target)])
            replay = Replay(table, table.choose(drawing))
        yield order_seed, replay, [0, mixed_seed(plan.seed, order_seed, target)]


def _row(fold: Fold, replay: Replay, episode: Episode, order: list[int]) -> _Row:
    """What is written of one episode; here, after the search, test values are looked up."""
    table = fold.table
    scale = 100.0 if fold.metric.name == "accuracy" else 1.0
    qualities = table.candidate_qualities
    regrets = scale * (qualities.max() - qualities)
    test = fold.sealed.test
    best_test = np.nanmax(test) if np.isfinite(test).any() else np.nan
    full = replay.cumulative_array[:, -1]
    full_seconds = float(full.cumsum()[-1])
    trace_cost, trace_regret = trace_of(replay, episode, regrets, full_seconds)
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


def _random_regret(
    replay: Replay, order: list[int], full: np.ndarray, budget: float, regrets: np.ndarray
) -> float:
    """Regret of full trainings in this order at the same cost; one at the least."""
    spent = np.cumsum(full[order])
    count = max(1, int(np.searchsorted(spent, budget * (1 + 1e-12), side="right")))
    seen = np.array(order[:count])
    return float(regrets[seen[np.argmax(replay.qualities_array[seen])]])


def _stamp(store: Store, folds: FoldPlan, fold: Fold, plan: TerminationPlan) -> _Row:
    return {
        "study": "termination",
        "store": store.name,
        "store_sha": folds.store_sha,
        "space": fold.space,
        "metric": fold.metric.name,
        "pool": folds.pool,
        "leave_out": folds.leave_out,
        "quality": folds.quality,
        "source_datasets": folds.source_datasets,
        "source_architectures": folds.source_architectures,
        "shuffled_sources": folds.shuffled_sources,
        "runs": plan.runs,
        "seed": plan.seed,
        "optimizer": "random",
        "workers": plan.simulated_workers,
        "accounting": plan.accounting,
        "time_unit": fold.time_unit,
        "leakage": LEAKAGE[folds.split],
        "source": "tabular",
        "nassim_version": nassim.__version__,
    }


def pool_rows(fold: Fold) -> Iterator[_Row]:
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


def _check_curves(fold: Fold) -> None:
    """Early termination needs values before the end."""
    table: TableSource = fold.table
    if table.max_epochs < 2 or not np.isfinite(table.values[:, : table.max_epochs - 1]).any():
        raise InputError(
            f"Runs on {fold.target.name!r} were validated after the last epoch only; early "
            "termination needs whole curves. Take a store that has them."
        )


def random_search() -> Optimizer:
    """The optimizer of this track: all candidates, in random order."""
    (specification,) = parse_specifications("random", OPTIMIZERS, "optimizer")
    return cast(Optimizer, build(specification, "optimizer"))
