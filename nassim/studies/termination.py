"""The early-termination track: random search x terminator, regret and cost for each target.

Every method sees the same orders of the candidates (paired seeds). A method that learns is fitted
once for each target and model seed, from the other datasets only.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np

from nassim.errors import InputError
from nassim.loading import Specification, build, load, parse_specifications
from nassim.optimizers import OPTIMIZERS
from nassim.optimizers.base import Candidates, Optimizer
from nassim.simulator.simulate import Accounting, Episode, simulate
from nassim.simulator.sources import Replay, TableSource
from nassim.store import Store
from nassim.studies.fitting import build_terminator, mixed_seed, stamp_of
from nassim.studies.folds import Fold, FoldPlan, load_fold
from nassim.studies.replaying import (
    check_replay,
    each_order,
    replay_stamp,
    replayed,
    target_folds,
    trace_of,
)
from nassim.studies.results import (
    RESULTS_SCHEMA,
    Study,
)
from nassim.terminators import TERMINATORS
from nassim.terminators.base import Estimator, Terminator

__all__ = [
    "DEFAULT_METHODS",
    "TerminationPlan",
    "default_methods",
    "fit_groups",
    "random_search",
    "run_termination",
]

# All but lcranknet_nested, which is fitted a dozen times and more for each target.
DEFAULT_METHODS = (
    "never,last_value,successive_halving,successive_halving:eta=4:min_epochs=2,hyperband,"
    "hyperband:repeat=true,asha,rush,median,parametric,domhan,baker,chandrashekaran,"
    "chandrashekaran:train_on=sources,freeze_thaw,dyhpo,lcnet,lcpfn,lcranknet,"
    "lcranknet:at_zero=true"
)

_Row = dict[str, Any]
_Answer = tuple[list[_Row], list[_Row]]  # results, timings


@dataclass(frozen=True)
class TerminationPlan:
    """What to compare, apart from the folds.

    Parameters
    ----------
    methods
        Specifications of terminators, separated by commas; None: those of ``DEFAULT_METHODS`` that
        have what they need (:func:`default_methods`).
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

    methods: str | None = None
    orders: int = 20
    model_seeds: int = 3
    seed: int = 0
    simulated_workers: int = 1
    accounting: Accounting = "continue"
    runs: Literal["drawn", "first"] = "drawn"

    def __post_init__(self) -> None:
        check_replay(self, "orders", "model_seeds", "simulated_workers")


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


def default_methods(
    folds: FoldPlan, targets: Sequence[str] | None = None
) -> tuple[str, dict[str, str]]:
    """``DEFAULT_METHODS`` without those that these folds cannot serve, and why each is left out.

    Raises
    ------
    InputError
        as ``load_fold``.
    """
    pools = target_folds(Store.open(folds.store), folds, targets)
    kept: list[str] = []
    left_out: dict[str, str] = {}
    for spec in parse_specifications(DEFAULT_METHODS, TERMINATORS, "terminator"):
        terminator = build_terminator(spec)
        reasons = (_unmet(terminator, fold) for fold in pools.values())
        reason = next((reason for reason in reasons if reason is not None), None)
        if reason is None:
            kept.append(spec.text)
        else:
            left_out[spec.text] = reason
    return ",".join(kept), left_out


def _unmet(terminator: Terminator, fold: Fold) -> str | None:
    """What a method needs and this fold does not have, if anything."""
    if terminator.uses_sources and not fold.sources.tasks:
        return f"there is no other dataset to learn from for {fold.target.name!r}"
    if terminator.needs_bounds and not np.isfinite(fold.metric.bounds).all():
        return f"it needs a metric with two bounds, and {fold.metric.name} has none"
    if terminator.needs_shared:
        candidates = {each.canonical_id for each in fold.table.architectures}
        known = {each.canonical_id for task in fold.sources.tasks for each in task.architectures}
        if not candidates & known:
            return (
                f"no source has a candidate of {fold.target.name!r}; it needs --pool shared or all"
            )
    return None


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
    methods = default_methods(folds, targets)[0] if plan.methods is None else plan.methods
    specifications = parse_specifications(methods, TERMINATORS, "terminator")
    learns = {spec: build_terminator(spec).uses_sources for spec in specifications}
    store = Store.open(folds.store)
    pools = target_folds(store, folds, targets)  # before the work: what is wrong shows now
    for fold in pools.values():
        _check_curves(fold)
    tasks = [
        _Task(folds, plan, name, group, model_seed)
        for name in pools
        for group in fit_groups(specifications)
        for model_seed in range(plan.model_seeds if learns[group[0]] else 1)
    ]
    return replayed(
        _run,
        # the slow ones first, so that the last process is not left alone with them
        sorted(tasks, key=lambda task: not learns[task.specifications[0]]),
        lambda task: f"{task.target} {task.specifications[0].text}",
        schema=RESULTS_SCHEMA,
        methods=[spec.text for spec in specifications],
        pools=pools,
        stamp=stamp_of("termination", store, folds, plan.seed)
        | replay_stamp(plan)
        | {"optimizer": "random", "source": "tabular"},
        workers=workers,
        ray=ray,
        progress=progress,
    )


def fit_groups(specifications: list[Specification]) -> list[tuple[Specification, ...]]:
    """Methods that share a fit, together: those that differ in the options of their rule only."""
    groups: dict[object, list[Specification]] = {}
    for spec in specifications:
        rule_options: frozenset[str] = getattr(load(spec.path), "rule_options", frozenset())
        learned = tuple((name, value) for name, value in spec.options if name not in rule_options)
        groups.setdefault((spec.path, learned), []).append(spec)
    return [tuple(group) for group in groups.values()]


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


def _random_regret(
    replay: Replay, order: list[int], full: np.ndarray, budget: float, regrets: np.ndarray
) -> float:
    """Regret of full trainings in this order at the same cost; one at the least."""
    spent = np.cumsum(full[order])
    count = max(1, int(np.searchsorted(spent, budget * (1 + 1e-12), side="right")))
    seen = np.array(order[:count])
    return float(regrets[seen[np.argmax(replay.qualities_array[seen])]])


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
