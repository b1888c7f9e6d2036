"""Is p(better than the incumbent) what it says? Every decision of a search, and what was true.

Searches are those of the early-termination study (same fits, same orders); each probability that a
rule asked for is written down beside whether the run would have beaten the incumbent. A run that
was stopped is not asked about again, so these are the decisions that a method brought upon itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

import nassim
from nassim.loading import Specification, parse_specifications
from nassim.simulator.simulate import simulate
from nassim.store import Store
from nassim.studies.fitting import build_estimator, each_task, mixed_seed
from nassim.studies.folds import LEAKAGE, FoldPlan, load_fold, target_names
from nassim.studies.results import to_table
from nassim.studies.termination import TerminationPlan, each_order, random_search
from nassim.terminators import TERMINATORS
from nassim.terminators.base import Estimator, Session, Terminator, View

__all__ = ["DECISIONS_SCHEMA", "run_calibration"]

DECISIONS_SCHEMA = pa.schema(
    [
        ("study", pa.string()),  # calibration
        ("store", pa.string()),
        ("store_sha", pa.string()),
        ("metric", pa.string()),
        ("pool", pa.string()),
        ("leave_out", pa.string()),
        ("quality", pa.string()),
        ("leakage", pa.string()),
        ("seed", pa.int64()),
        ("target", pa.string()),
        ("method", pa.string()),
        ("order_seed", pa.int32()),
        ("model_seed", pa.int32()),
        ("candidate", pa.int32()),  # as in the pool of the early-termination study
        ("epoch", pa.int32()),
        ("p", pa.float64()),  # that the run will be better than the incumbent; NaN: no answer
        ("better", pa.bool_()),  # whether the recorded run is
        ("stopped", pa.bool_()),
        ("best", pa.bool_()),  # the best candidate of the pool
        ("nassim_version", pa.string()),
    ]
)

_Row = dict[str, Any]


@dataclass(frozen=True)
class _Task:
    """One fit and all its orders: what one process does at a time."""

    folds: FoldPlan
    plan: TerminationPlan
    target: str
    specification: Specification
    model_seed: int


def run_calibration(
    plan: TerminationPlan,
    folds: FoldPlan,
    targets: Sequence[str] | None = None,
    *,
    workers: int = 1,
    progress: Callable[[int, int, str], None] | None = None,
) -> pa.Table:
    """Every decision of every search, of :data:`DECISIONS_SCHEMA`.

    Parameters
    ----------
    plan, folds, targets, workers, progress
        As of ``run_termination``; the methods must be estimators.

    Raises
    ------
    InputError
        if a method or target is unknown, a method is no estimator, or it cannot learn because no
        source is left.
    """
    store = Store.open(folds.store)
    specifications = parse_specifications(plan.methods, TERMINATORS, "terminator")
    learns = [build_estimator(spec).uses_sources for spec in specifications]
    names = target_names(store) if targets is None else list(targets)
    for name in names:
        load_fold(folds, name)  # before the work: what is wrong shows now
    tasks = [
        _Task(folds, plan, name, spec, model_seed)
        for name in names
        for spec, fitted in zip(specifications, learns, strict=True)
        for model_seed in range(plan.model_seeds if fitted else 1)
    ]
    answers: dict[_Task, list[_Row]] = {}
    for done, (task, rows) in enumerate(each_task(_run, tasks, workers), start=1):
        answers[task] = rows
        if progress is not None:
            progress(done, len(tasks), f"{task.target} {task.specification.text}")
    stamp = {
        "study": "calibration",
        "store": store.name,
        "store_sha": folds.store_sha,
        "metric": store.metric.name,
        "pool": folds.pool,
        "leave_out": folds.leave_out,
        "quality": folds.quality,
        "leakage": LEAKAGE[folds.split],
        "seed": plan.seed,
        "nassim_version": nassim.__version__,
    }
    return to_table([row | stamp for task in tasks for row in answers[task]], DECISIONS_SCHEMA)


def _run(task: _Task) -> tuple[_Task, list[_Row]]:
    return task, list(_decisions(task))


def _decisions(task: _Task) -> Iterator[_Row]:
    """Fit once, replay all orders, and compare each answer with the recorded runs."""
    plan = task.plan
    fold = load_fold(task.folds, task.target)
    estimator = build_estimator(task.specification)
    estimator.fit(fold.sources, seed=mixed_seed(plan.seed, task.model_seed, task.target))
    best = int(np.argmax(fold.table.candidate_qualities))
    for order_seed, replay, order in each_order(fold, plan):
        watched = _Watched(estimator)
        simulate(
            replay,
            random_search(),
            watched,
            np.random.default_rng(order),
            workers=plan.simulated_workers,
            accounting=plan.accounting,
        )
        for run, epoch, incumbent, p in watched.asked:
            yield {
                "target": task.target,
                "method": task.specification.text,
                "order_seed": order_seed,
                "model_seed": task.model_seed,
                "candidate": run,
                "epoch": epoch,
                "p": p,
                "better": replay.qualities[run] > replay.qualities[incumbent],
                "stopped": p <= estimator.delta,
                "best": run == best,
            }


class _Watched(Terminator):
    """An estimator with its rule; ``asked`` lists (run, epoch, incumbent, p) of each decision."""

    def __init__(self, estimator: Estimator) -> None:
        self._estimator = estimator
        self.asked: list[tuple[int, int, int, float]] = []

    def begin(self, view: View) -> Session:
        return self._estimator.begin(_Listening(view, self.asked))


class _Listening:
    """The view of a search, which notes down what it answers about probabilities."""

    def __init__(self, view: View, asked: list[tuple[int, int, int, float]]) -> None:
        self._view = view
        self._asked = asked

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view, name)

    def probability_better(self, estimator: Estimator, run: int, epoch: int) -> float:
        p = self._view.probability_better(estimator, run, epoch)
        incumbent = self._view.incumbent
        if incumbent is not None:
            self._asked.append((run, epoch, incumbent, p))
        return p
