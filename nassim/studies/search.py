"""The optimizer track: optimizer x terminator, regret after k evaluations and over time.

Every method searches with the same seeds, and on the same recorded runs (paired). A method that
learns is fitted once for each target and model seed, from the other datasets only, and all its
searches share the fit.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from nassim.errors import InputError
from nassim.loading import Specification, build, parse_specifications
from nassim.optimizers import OPTIMIZERS
from nassim.optimizers.base import Optimizer
from nassim.records import FloatArray
from nassim.simulator.simulate import Accounting, Episode, simulate
from nassim.simulator.sources import Replayable
from nassim.simulator.surrogate import Surrogate, Surrogates
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
from nassim.studies.results import SEARCH_SCHEMA, Study
from nassim.terminators import TERMINATORS
from nassim.terminators.base import Terminator

__all__ = ["DEFAULT_OPTIMIZERS", "SearchPlan", "run_search"]

DEFAULT_OPTIMIZERS = (
    "random,evolution,tournament,reinforce,smbo,nao,naml,best_elsewhere,average_rank,"
    "nearest_dataset,zero_shot,copula,bounding_box,ridge,ridge:update=true,maml,tapas,tnaml,xfernas"
)

_TABLE: dict[str, Any] = {"source": "tabular", "surrogate_r2": None, "surrogate_tau": None}

_Row = dict[str, Any]
_Answer = tuple[list[_Row], list[_Row]]  # results, timings


@dataclass(frozen=True)
class SearchPlan:
    """What to compare, apart from the folds.

    Parameters
    ----------
    methods
        Specifications of optimizers, separated by commas.
    terminators
        Specifications of terminators; every optimizer searches with each of them.
    budget
        Candidates that a search may start; all of a smaller pool.
    surrogate
        A file of ``nassim surrogate``: methods then search its whole space on it, instead of the
        candidates of the store. What they learn from stays the store's.
    orders, model_seeds
        Searches of each method, and fits of each that learns: each fit searches all orders.
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

    methods: str = DEFAULT_OPTIMIZERS
    terminators: str = "never"
    budget: int = 33
    surrogate: str | None = None
    orders: int = 10
    model_seeds: int = 2
    seed: int = 0
    simulated_workers: int = 1
    accounting: Accounting = "continue"
    runs: Literal["drawn", "first"] = "drawn"

    def __post_init__(self) -> None:
        check_replay(self, "budget", "orders", "model_seeds", "simulated_workers")


@dataclass(frozen=True)
class _Task:
    """One fit of an optimizer with all its searches: what one process does at a time."""

    folds: FoldPlan
    plan: SearchPlan
    target: str
    optimizer: Specification
    terminators: tuple[Specification, ...]
    model_seed: int


def run_search(
    plan: SearchPlan,
    folds: FoldPlan,
    targets: Sequence[str] | None = None,
    *,
    workers: int = 1,
    ray: str | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> Study:
    """Compare optimizers on every target; the results do not depend on ``workers`` or ``ray``.

    Parameters
    ----------
    plan, folds
        What to compare, and on what.
    targets
        Names of target datasets; all by default.
    workers, ray, progress
        As of :func:`nassim.studies.termination.run_termination`.

    Raises
    ------
    InputError
        if a method or target is unknown, a method is named twice, or a method cannot run on such a
        space or without sources.
    """
    if workers < 1:
        raise InputError(f"workers is {workers}; expected 1 or more.")
    optimizers = parse_specifications(plan.methods, OPTIMIZERS, "optimizer")
    terminators = tuple(parse_specifications(plan.terminators, TERMINATORS, "terminator"))
    teaches = any(build_terminator(spec).uses_sources for spec in terminators)
    learns = {spec: build_optimizer(spec).uses_sources or teaches for spec in optimizers}
    store = Store.open(folds.store)
    pools = target_folds(store, folds, targets)  # before the work: what is wrong shows now
    if plan.surrogate is not None:
        for fold in pools.values():
            _check_surrogate(_surrogates(plan.surrogate), plan.surrogate, folds, fold)
    tasks = [
        _Task(folds, plan, name, spec, terminators, model_seed)
        for name in pools
        for spec in optimizers
        for model_seed in range(plan.model_seeds if learns[spec] else 1)
    ]
    return replayed(
        _run,
        # the slow ones first, so that the last process is not left alone with them
        sorted(tasks, key=lambda task: not learns[task.optimizer]),
        lambda task: f"{task.target} {task.optimizer.text}",
        schema=SEARCH_SCHEMA,
        methods=[_label(spec, terminator) for spec in optimizers for terminator in terminators],
        pools=pools,
        stamp=stamp_of("search", store, folds, plan.seed)
        | replay_stamp(plan)
        | {"budget": plan.budget},
        workers=workers,
        ray=ray,
        progress=progress,
    )


def build_optimizer(specification: Specification) -> Optimizer:
    """The optimizer of a specification.

    Raises
    ------
    InputError
        if an option is unknown or refused, or the class is no optimizer.
    """
    optimizer = build(specification, "optimizer")
    if not isinstance(optimizer, Optimizer):
        raise InputError(
            f"{specification.path!r} is a {type(optimizer).__name__}; expected a subclass of "
            "nassim.optimizers.base.Optimizer."
        )
    return optimizer


def _label(optimizer: Specification, terminator: Specification) -> str:
    return optimizer.text if terminator.text == "never" else f"{optimizer.text} + {terminator.text}"


def _run(task: _Task) -> _Answer:
    """Fit once on one fold; then search with each terminator in all orders."""
    fold, plan = load_fold(task.folds, task.target), task.plan
    started = time.perf_counter()
    optimizer = build_optimizer(task.optimizer)
    optimizer.fit(fold.sources, seed=mixed_seed(plan.seed, task.model_seed, task.target))
    fit_seconds = time.perf_counter() - started
    rows: list[_Row] = []
    timings: list[_Row] = []
    for spec in task.terminators:
        terminator = _fitted_terminator(task.folds, plan.seed, task.target, spec, task.model_seed)
        method = {
            "target": task.target,
            "method": _label(task.optimizer, spec),
            "model_seed": task.model_seed,
        }
        also = {
            "optimizer": task.optimizer.text,
            "terminator": spec.text,
            "options": json.dumps(dict(task.optimizer.options), sort_keys=True),
            "learns": optimizer.uses_sources or terminator.uses_sources,
        }
        started = time.perf_counter()
        for row in _searches(fold, plan, optimizer, terminator):
            rows.append(row | method | also)
        search_seconds = time.perf_counter() - started
        timings.append(method | {"fit_seconds": fit_seconds, "search_seconds": search_seconds})
    return rows, timings


@functools.lru_cache(maxsize=2)
def _surrogates(path: str) -> Surrogates:
    return Surrogates.load(path)


def _check_surrogate(surrogates: Surrogates, path: str, folds: FoldPlan, fold: Fold) -> None:
    """Refuse a file that was made of something else than what the study is about."""
    about = surrogates.about
    for what, found, expected in (
        ("contents of the store (sha)", about.store_sha[:12], folds.store_sha[:12]),
        ("space", about.space, fold.space),
        ("split", about.split, folds.split),
        ("quality", about.quality, folds.quality),
    ):
        if found != expected:
            raise InputError(
                f"The surrogate {path!r} was fitted on other {what}: {found}, not {expected}. Make "
                f"it anew with 'nassim surrogate {about.store}'."
            )
    surrogates[fold.target.name]  # an error if it is not there


@functools.lru_cache(maxsize=4)
def _fitted_terminator(
    folds: FoldPlan, seed: int, target: str, specification: Specification, model_seed: int
) -> Terminator:
    """A terminator that the optimizers of a target share."""
    terminator = build_terminator(specification)
    terminator.fit(load_fold(folds, target).sources, seed=mixed_seed(seed, model_seed, target))
    return terminator


def _searches(
    fold: Fold, plan: SearchPlan, optimizer: Optimizer, terminator: Terminator
) -> Iterator[_Row]:
    surrogate = None if plan.surrogate is None else _surrogates(plan.surrogate)
    name = fold.target.name
    for order_seed, recorded, order in each_order(fold, plan):
        replay: Replayable = recorded
        if surrogate is not None:
            replay = surrogate.replay(name, seed=order[-1])
        episode = simulate(
            replay,
            optimizer,
            terminator,
            np.random.default_rng(order),
            workers=plan.simulated_workers,
            accounting=plan.accounting,
            budget=plan.budget,
        )
        if surrogate is None:
            worth, source = _worth(fold, replay), _TABLE
        else:
            worth = _worth_on(surrogate[name], replay, plan.budget)
            held_out = surrogate.held_out(name)
            source = {
                "source": "surrogate",
                "surrogate_r2": held_out.r2,
                "surrogate_tau": held_out.tau,
            }
        yield _row(fold, replay, episode, worth) | source | {"order_seed": order_seed}


@dataclass(frozen=True, eq=False)
class _Worth:
    """What the candidates of a search were worth, known when it has ended.

    Regrets are (candidates,), higher is worse; ``guess`` that of a random one; ``candidates`` is 0
    where a whole space was searched; ``full_seconds`` is what a cost is a share of.
    """

    regrets: FloatArray
    test_regrets: FloatArray
    guess: float
    test_guess: float
    candidates: int
    full_seconds: float


def _worth(fold: Fold, replay: Replayable) -> _Worth:
    """Of the candidates of a table; here, after the search, test values are looked up."""
    qualities, test = fold.table.candidate_qualities, fold.sealed.test
    regrets = qualities.max() - qualities
    best_test = np.nanmax(test) if np.isfinite(test).any() else np.nan
    test_regrets = best_test - test
    full_seconds = float(replay.cumulative_array[:, -1].cumsum()[-1])
    guess, test_guess = float(regrets.mean()), float(test_regrets.mean())
    return _Worth(regrets, test_regrets, guess, test_guess, len(qualities), full_seconds)


def _worth_on(surrogate: Surrogate, replay: Replayable, budget: int) -> _Worth:
    """Of the architectures of a space that a search named.

    Costs are a share of ``budget`` mean trainings.
    """
    architectures = replay.architectures
    regrets = surrogate.best_expected - surrogate.curves.expected(architectures)
    test_regrets = surrogate.best_expected_test - surrogate.expected_test(architectures)
    mean_seconds = float(replay.cumulative_array[:, -1].mean())
    guess, test_guess = float(regrets.mean()), float(test_regrets.mean())
    return _Worth(regrets, test_regrets, guess, test_guess, 0, budget * mean_seconds)


def _row(fold: Fold, replay: Replayable, episode: Episode, worth: _Worth) -> _Row:
    """What is written of one search."""
    scale = 100.0 if fold.metric.name == "accuracy" else 1.0
    regrets, test_regrets = scale * worth.regrets, scale * worth.test_regrets
    full_seconds = worth.full_seconds
    incumbents = list(_incumbents(replay, episode))
    trace_cost, trace_regret = trace_of(replay, episode, regrets, full_seconds)
    guess, test_guess = scale * worth.guess, scale * worth.test_guess
    return {
        "candidates": worth.candidates,
        "regret_valid_pp": float(regrets[episode.pick]),
        "regret_test_pp": float(test_regrets[episode.pick]),
        "cost_fraction": episode.busy_seconds / full_seconds,
        "simulated_seconds": episode.seconds,
        "full_seconds": full_seconds,
        "epochs_charged": episode.epochs_charged,
        "started": len(episode.started),
        "evaluations": len(episode.completed),
        "pick": replay.architectures[episode.pick].id,
        "regret_at_pp": [guess if c is None else float(regrets[c]) for c in incumbents],
        "test_regret_at_pp": [
            test_guess if c is None else float(test_regrets[c]) for c in incumbents
        ],
        "trace_cost": trace_cost,
        "trace_regret_pp": trace_regret,
        "proposed": list(episode.started),
        "notes": json.dumps(episode.notes, sort_keys=True),
    }


def _incumbents(replay: Replayable, episode: Episode) -> Iterator[int | None]:
    """After each candidate, the best one so far that was trained to its end; None: there is none.

    Candidates count in the order in which they were started.
    """
    completed = set(episode.completed)
    best: int | None = None
    for run in episode.started:
        if run in completed and (best is None or replay.qualities[run] > replay.qualities[best]):
            best = run
        yield best
