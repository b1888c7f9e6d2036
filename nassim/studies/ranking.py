"""How well does an estimator rank the runs of a dataset that it has not seen?

Each estimator is fitted on the other datasets and scores all runs of the target after some epochs;
the rank correlation of the scores with what the runs are worth in the end is written down. There
is no search and no threshold: this is what an estimator knows, apart from what a rule makes of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from nassim.errors import InputError
from nassim.ranking.correlation import kendall, spearman
from nassim.records import IntArray, Sources
from nassim.simulator.sources import Replay, TableSource
from nassim.studies.fitting import Fit, each_fit, mixed_seed
from nassim.studies.folds import FoldPlan, load_fold
from nassim.studies.results import to_table

__all__ = ["RANKING_EPOCHS", "RANKING_SCHEMA", "RankingPlan", "run_ranking"]

RANKING_EPOCHS = (0, 1, 2, 5, 10, 20, 30)

RANKING_SCHEMA = pa.schema(
    [
        ("study", pa.string()),  # ranking
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
        ("given", pa.int32()),  # completed runs of the target that methods were handed
        ("seed", pa.int64()),
        ("target", pa.string()),
        ("method", pa.string()),
        ("model_seed", pa.int32()),
        ("options", pa.string()),  # JSON, those that were given
        ("learns", pa.bool_()),  # from the other datasets
        ("epoch", pa.int32()),  # after which curves are cut
        ("runs", pa.int32()),  # that were not over before
        ("scored", pa.int32()),  # of which the method had something to say
        ("spearman", pa.float64()),  # NaN where there is nothing to correlate
        ("kendall", pa.float64()),  # tau-b
        ("nassim_version", pa.string()),
    ]
)

_Row = dict[str, Any]


@dataclass(frozen=True)
class RankingPlan:
    """What to compare, apart from the folds.

    Parameters
    ----------
    methods
        Specifications of estimators, separated by commas.
    epochs
        After which curves are cut; those that a target's curves do not go beyond are left out.
    model_seeds
        Fits of each method that learns.
    seed
        A method is fitted as in the early-termination study of the same seed.
    given
        Candidates of the target, drawn, whose completed runs are handed to methods that learn
        from the target; no method is asked about them.
    """

    methods: str = "last_value,lcranknet"
    epochs: tuple[int, ...] = RANKING_EPOCHS
    model_seeds: int = 3
    seed: int = 0
    given: int = 0

    def __post_init__(self) -> None:
        if not self.epochs or min(self.epochs) < 0 or len(set(self.epochs)) < len(self.epochs):
            raise InputError(f"epochs is {self.epochs!r}; expected different numbers, 0 or more.")
        if self.model_seeds < 1:
            raise InputError(f"model_seeds is {self.model_seeds}; expected 1 or more.")
        if self.seed < 0:
            raise InputError(f"seed is {self.seed}; expected 0 or more.")
        if self.given < 0:
            raise InputError(f"given is {self.given}; expected 0 or more.")


def run_ranking(
    plan: RankingPlan,
    folds: FoldPlan,
    targets: Sequence[str] | None = None,
    *,
    workers: int = 1,
    progress: Callable[[int, int, str], None] | None = None,
) -> pa.Table:
    """Rank correlations of every estimator on every target, of :data:`RANKING_SCHEMA`.

    Parameters
    ----------
    plan, folds
        What to compare, and on what.
    targets
        Names of target datasets; all by default.
    workers
        Processes; the results do not depend on it.
    progress
        Called as ``progress(done, total, what)`` after each fit.

    Raises
    ------
    InputError
        if a method or target is unknown, a method is no estimator, or it cannot learn because no
        source is left.
    """
    rows = each_fit("ranking", _correlations, plan, folds, targets, workers, progress)
    return to_table(rows, RANKING_SCHEMA)


def _correlations(fit: Fit) -> list[_Row]:
    """Fit once, and correlate after each epoch."""
    fold, plan = load_fold(fit.folds, fit.target), fit.plan
    table = fold.table
    given = _given(table, plan, fit.target)
    estimator = fit.fitted(fold)
    if len(given):
        completed = Replay(table).as_source(given)
        estimator = estimator.trained_on(Sources((completed,), table.metric))
    asked = ~np.isin(table.candidate, given)
    rows: list[_Row] = []
    for epoch in sorted(plan.epochs):
        if not estimator.from_epoch <= epoch < table.max_epochs:
            continue
        scores = estimator.score(table.estimates(estimator, epoch))
        scores = np.where(asked, scores, np.nan)
        rows.append(
            {
                "target": fit.target,
                "method": fit.specification.text,
                "model_seed": fit.model_seed,
                "options": json.dumps(dict(fit.specification.options), sort_keys=True),
                "learns": estimator.uses_sources,
                "given": plan.given,
                "epoch": epoch,
                "runs": int((asked & (table.lengths >= epoch)).sum()),
                "scored": int(np.isfinite(scores).sum()),
                "spearman": spearman(scores, table.qualities),
                "kendall": kendall(scores, table.qualities),
            }
        )
    return rows


def _given(table: TableSource, plan: RankingPlan, target: str) -> IntArray:
    """Candidates whose runs are handed out, the same for every method: all that were completed."""
    if plan.given == 0:
        return np.zeros(0, np.intp)
    rng = np.random.default_rng([2, mixed_seed(plan.seed, target)])
    complete = np.flatnonzero(Replay(table).completes_array)
    if plan.given > len(complete) - 2:
        raise InputError(
            f"given is {plan.given}; expected at least 2 of the {len(complete)} completed runs on "
            f"{target!r} to be left to ask about."
        )
    drawn: IntArray = np.sort(rng.permutation(complete)[: plan.given])
    return drawn
