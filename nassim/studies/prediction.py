"""How well does an optimizer's predictor know a dataset, before and after some evaluations on it?

Each method is fitted on the other datasets, told of some random candidates of the target, and
predicts all others: a search without a search. Methods whose search has ``predict`` are asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from nassim.errors import InputError
from nassim.loading import Specification, parse_specifications
from nassim.optimizers import OPTIMIZERS
from nassim.ranking.correlation import kendall, spearman
from nassim.records import FloatArray, IntArray
from nassim.simulator.sources import Replay
from nassim.store import Store
from nassim.studies.fitting import each_task, mixed_seed, stamp_of
from nassim.studies.folds import FoldPlan, load_fold, target_names
from nassim.studies.results import to_table
from nassim.studies.search import build_optimizer

__all__ = ["PREDICTION_SCHEMA", "PredictionPlan", "run_prediction"]

PREDICTION_SCHEMA = pa.schema(
    [
        ("study", pa.string()),  # prediction
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
        ("model_seed", pa.int32()),
        ("told", pa.int32()),  # random candidates of the target; landmarks are told beside them
        ("scored", pa.int32()),  # candidates that were predicted, none of which is ever told
        ("spearman", pa.float64()),
        ("kendall", pa.float64()),  # tau-b
        ("r2", pa.float64()),  # NaN where a method does not predict in the metric's unit
        ("mse", pa.float64()),
        ("predicted", pa.list_(pa.float64())),  # of the scored candidates
        ("true", pa.list_(pa.float64())),
        ("nassim_version", pa.string()),
    ]
)

_Row = dict[str, Any]


@dataclass(frozen=True)
class PredictionPlan:
    """What to compare, apart from the folds.

    Parameters
    ----------
    methods
        Specifications of optimizers, separated by commas.
    told
        Numbers of random candidates of the target that a method is told of; more are the same
        ones, and others.
    model_seeds
        Fits of each method, each with other candidates told.
    seed
        All chance of the study comes from here.
    """

    methods: str = "nao,xfernas,tapas"
    told: tuple[int, ...] = (0, 5, 10, 20, 33)
    model_seeds: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.told or min(self.told) < 0:
            raise InputError(f"told is {self.told!r}; expected numbers, 0 or more.")
        if self.model_seeds < 1:
            raise InputError(f"model_seeds is {self.model_seeds}; expected 1 or more.")
        if self.seed < 0:
            raise InputError(f"seed is {self.seed}; expected 0 or more.")


@dataclass(frozen=True)
class _Task:
    folds: FoldPlan
    plan: PredictionPlan
    target: str
    method: Specification
    model_seed: int


def run_prediction(
    plan: PredictionPlan,
    folds: FoldPlan,
    targets: Sequence[str] | None = None,
    *,
    workers: int = 1,
    progress: Callable[[int, int, str], None] | None = None,
) -> pa.Table:
    """Predictions of every method on every target, of :data:`PREDICTION_SCHEMA`.

    Parameters
    ----------
    plan, folds
        What to compare, and on what.
    targets
        Names of target datasets; all by default.
    workers, progress
        As of :func:`nassim.studies.ranking.run_ranking`.

    Raises
    ------
    InputError
        if a method or target is unknown, a method does not predict, or a pool has too few
        candidates to be told of so many.
    """
    store = Store.open(folds.store)
    methods = parse_specifications(plan.methods, OPTIMIZERS, "optimizer")
    names = target_names(store) if targets is None else list(targets)
    for name in names:
        n = len(load_fold(folds, name).table.architectures)
        if n < max(plan.told) + 2:
            raise InputError(
                f"{name!r} has {n} candidates; to be told of {max(plan.told)} of them and predict "
                f"others takes {max(plan.told) + 2}. Tell of fewer, or take another --pool."
            )
    tasks = [
        _Task(folds, plan, name, method, model_seed)
        for name in names
        for method in methods
        for model_seed in range(plan.model_seeds)
    ]
    answers: dict[_Task, list[_Row]] = {}
    for done, (task, rows) in enumerate(each_task(_run, tasks, workers), start=1):
        answers[task] = rows
        if progress is not None:
            progress(done, len(tasks), f"{task.target} {task.method.text}")
    stamp = stamp_of("prediction", store, folds, plan.seed)
    rows = [row | stamp for task in tasks for row in answers[task]]
    return to_table(rows, PREDICTION_SCHEMA)


def _run(task: _Task) -> list[_Row]:
    """Fit once; then tell of more and more candidates, and let the others be predicted."""
    fold, plan = load_fold(task.folds, task.target), task.plan
    chance = mixed_seed(plan.seed, task.model_seed, task.target)
    optimizer = build_optimizer(task.method)
    optimizer.fit(fold.sources, seed=chance)
    replay = Replay(fold.table)
    order = np.random.default_rng([2, chance]).permutation(len(replay.lengths))
    rows = []
    for told in sorted(plan.told):
        search: Any = optimizer.begin(replay.candidates(), np.random.default_rng([0, chance]))
        if not hasattr(search, "predict"):
            raise InputError(
                f"{task.method.text!r} does not say what it predicts; expected one of nao, "
                "xfernas, tapas, or an optimizer whose search has predict(architectures)."
            )
        landmarks = getattr(search, "landmarks", ()) if told else ()
        for run in (*landmarks, *(run for run in order[:told].tolist() if run not in landmarks)):
            worth = replay.qualities[run] if replay.completes[run] else -np.inf
            search.tell(run, replay.lengths[run], worth)
        never_told = np.setdiff1d(order[max(plan.told) :], getattr(search, "landmarks", ()))
        try:
            predicted = search.predict([replay.architectures[run] for run in never_told.tolist()])
        except InputError:
            if told:
                raise
            continue  # a method that knows nothing before it is told of something
        rows.append(
            _row(replay, never_told, predicted, in_unit=getattr(search, "predicts_values", False))
            | {
                "target": task.target,
                "method": task.method.text,
                "model_seed": task.model_seed,
                "told": told,
            }
        )
    return rows


def _row(replay: Replay, runs: IntArray, predicted: FloatArray, *, in_unit: bool) -> _Row:
    true = replay.qualities_array[runs]
    mse = float(np.mean((true - predicted) ** 2)) if in_unit else np.nan
    variance = float(np.var(true))
    return {
        "scored": len(runs),
        "spearman": spearman(predicted, true),
        "kendall": kendall(predicted, true),
        "r2": 1 - mse / variance if variance > 0 else np.nan,
        "mse": mse,
        "predicted": predicted.tolist(),
        "true": true.tolist(),
    }
