"""Is p(better than the incumbent) what it says? Every decision of a search, and what was true.

Searches are those of the early-termination study (same fits, same orders); each probability that a
rule asked for is written down beside whether the run would have beaten the incumbent. A run that
was stopped is not asked about again, so these are the decisions that a method brought upon itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from nassim.errors import InputError
from nassim.simulator.simulate import simulate
from nassim.studies.fitting import Fit, each_fit
from nassim.studies.folds import FoldPlan, load_fold
from nassim.studies.replaying import each_order
from nassim.studies.results import to_table
from nassim.studies.termination import TerminationPlan, random_search
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
        ("source_datasets", pa.int32()),  # drawn of each fold's; null: all
        ("source_architectures", pa.int32()),  # drawn of each source; null: all
        ("shuffled_sources", pa.bool_()),  # results exchanged among architectures
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
        if no method is named, a method or target is unknown, a method is no estimator, or it
        cannot learn because no source is left.
    """
    if plan.methods is None:
        raise InputError("methods is None; expected estimators, as in 'last_value,lcranknet'.")
    rows = each_fit("calibration", _decisions, plan, folds, targets, workers, progress)
    return to_table(rows, DECISIONS_SCHEMA)


def _decisions(fit: Fit) -> list[_Row]:
    """Fit once, replay all orders, and compare each answer with the recorded runs."""
    plan: TerminationPlan = fit.plan
    fold = load_fold(fit.folds, fit.target)
    estimator = fit.fitted(fold)
    rows: list[_Row] = []
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
            rows.append(
                {
                    "target": fit.target,
                    "method": fit.specification.text,
                    "order_seed": order_seed,
                    "model_seed": fit.model_seed,
                    "candidate": run,
                    "epoch": epoch,
                    "p": p,
                    "better": replay.qualities[run] > replay.qualities[incumbent],
                    "stopped": p <= estimator.delta,
                    "best": run == best,
                }
            )
    return rows


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
