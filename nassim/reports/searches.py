"""Single searches in numbers: regret of the incumbent over cost, and one search's curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from nassim.errors import unknown_name
from nassim.records import FloatArray, IntArray
from nassim.reports.grid import LEVEL, BoolArray, Grid, Settings, pool_of

__all__ = ["AnytimeTable", "CurvesTable", "anytime_table", "curves_table"]


@dataclass(frozen=True, eq=False)
class AnytimeTable:
    """Regret of the incumbent over cost, for M methods on T targets and, last, on all of them.

    ``costs`` (G,) are shares of the full cost on a logarithmic grid; ``median``, ``low`` and
    ``high`` (M, T + 1, G) the median and quartiles over seeds (on all targets: over targets and
    seeds, every target with the same weight), NaN until so many searches have an incumbent.
    ``ends`` (M, T + 1) is the median cost at which a method was done. A search without an
    incumbent counts as infinitely bad.
    """

    settings: Settings
    methods: tuple[str, ...]
    targets: tuple[str, ...]
    costs: FloatArray
    median: FloatArray
    low: FloatArray
    high: FloatArray
    ends: FloatArray

    @property
    def unit(self) -> str:
        return self.settings.unit


@dataclass(frozen=True, eq=False)
class CurvesTable:
    """What one search did: N candidates and their curves of E epochs.

    ``curves`` (N, E) is in percent for accuracies, else in the metric with the sign that makes
    higher better; NaN past a run's end. ``trained`` (N,) counts epochs paid for, ``lengths`` (N,)
    those recorded; ``kept`` (N,) were trained to their end. ``pick`` and ``best`` are rows.
    """

    settings: Settings
    method: str
    target: str
    order_seed: int
    model_seed: int
    curves: FloatArray
    lengths: IntArray
    trained: IntArray
    kept: BoolArray
    pick: int
    best: int
    regret: float
    cost: float


def anytime_table(
    results: pa.Table,
    methods: Sequence[str] | None = None,
    *,
    least: float = 0.005,
    points: int = 200,
) -> AnytimeTable:
    """Median and quartiles of the incumbent's regret over cost.

    Parameters
    ----------
    results
        As in :func:`termination_table`.
    methods
        Some of the methods, in this order; all by default, from the dearest to the cheapest.
    least, points
        The grid begins at this share of the full cost, or earlier if a search ended earlier, and
        has so many points.

    Raises
    ------
    UnknownNameError
        if no method of the results is called so.
    InputError
        as in :func:`termination_table`.
    """
    grid = Grid(results, study=None)
    if methods is None:
        spent = grid.measure("cost_fraction", LEVEL, 0).mean
        methods = [grid.methods[m] for m in np.argsort(-spent, kind="stable").tolist()]
    for name in methods:
        if name not in grid.methods:
            raise unknown_name("method of these results", name, grid.methods)
    ended = grid.elapsed[grid.elapsed > 0]  # not NaN
    costs = np.geomspace(min(least, *ended), max(1.0, *ended), points)
    shape = (len(methods), len(grid.targets) + 1)
    quartiles = np.full((3, *shape, points), np.nan)
    ends = np.full(shape, np.nan)
    for at, name in enumerate(methods):
        m = grid.methods.index(name)
        steps = [grid.traces(m, t, costs) for t in range(len(grid.targets))]
        elapsed = [grid.elapsed[m, t].ravel() for t in range(len(grid.targets))]
        elapsed = [found[np.isfinite(found)] for found in elapsed]
        for t in range(len(grid.targets) + 1):
            some = range(len(grid.targets)) if t == len(grid.targets) else [t]
            weights = np.concatenate(
                [np.full(len(steps[k]), 1 / max(1, len(steps[k]))) for k in some]
            )
            stacked = np.concatenate([steps[k] for k in some])
            if not len(stacked):
                continue
            for q, share in enumerate((0.25, 0.5, 0.75)):
                quartiles[q, at, t] = _weighted_quantile(stacked, weights, share)
            ended = np.concatenate([elapsed[k] for k in some])[:, None]
            ends[at, t] = _weighted_quantile(ended, weights, 0.5)[0]
    quartiles[np.isinf(quartiles)] = np.nan
    return AnytimeTable(
        settings=grid.settings,
        methods=tuple(methods),
        targets=grid.targets,
        costs=costs,
        low=quartiles[0],
        median=quartiles[1],
        high=quartiles[2],
        ends=ends,
    )


def curves_table(
    results: pa.Table,
    pool: pa.Table,
    method: str,
    target: str,
    order_seed: int | None = None,
    model_seed: int | None = None,
) -> CurvesTable:
    """What one search did with every candidate.

    Parameters
    ----------
    results, pool
        As in :func:`termination_table`.
    method, target
        Of the results.
    order_seed, model_seed
        The lowest of the results by default.

    Raises
    ------
    UnknownNameError
        if the results have no such method or target.
    InputError
        if they have no such search, or the pool does not belong to them.
    """
    grid = Grid(results)
    for kind, name, known in (
        ("method of these results", method, grid.methods),
        ("target of these results", target, grid.targets),
    ):
        if name not in known:
            raise unknown_name(kind, name, known)
    row = grid.row(method, target, order_seed, model_seed)
    found = pool_of(pool, results, target)
    record = (
        results.select(
            [
                "order_seed",
                "model_seed",
                "pick",
                "regret_valid_pp",
                "cost_fraction",
                "epochs_trained",
            ]
        )
        .slice(row, 1)
        .to_pylist()[0]
    )
    scale = 100.0 if grid.settings.metric == "accuracy" else 1.0
    lengths = np.array([len(curve) for curve in found.curves])
    curves = np.full((len(lengths), int(lengths.max())), np.nan)
    for candidate, curve in enumerate(found.curves):
        curves[candidate, : len(curve)] = curve
    curves[~np.isfinite(curves)] = np.nan
    trained = np.array(record["epochs_trained"])
    return CurvesTable(
        settings=grid.settings,
        method=method,
        target=target,
        order_seed=record["order_seed"],
        model_seed=record["model_seed"],
        curves=scale * curves,
        lengths=lengths,
        trained=trained,
        kept=(trained >= lengths) & (lengths > 0),
        pick=found.architectures.index(record["pick"]),
        best=int(np.argmax(found.quality)),
        regret=record["regret_valid_pp"],
        cost=record["cost_fraction"],
    )


def _weighted_quantile(values: FloatArray, weights: FloatArray, share: float) -> FloatArray:
    """The smallest value of each column that this share of the weight does not exceed, (G,).

    >>> _weighted_quantile(np.array([[1.0], [2.0], [np.inf]]), np.ones(3), 0.5)
    array([2.])
    """
    order = np.argsort(values, axis=0, kind="stable")
    reached = np.cumsum(weights[order], axis=0) >= share * weights.sum() * (1 - 1e-12)
    rank = reached.argmax(axis=0)
    answer: FloatArray = np.take_along_axis(values, order, axis=0)[rank, np.arange(values.shape[1])]
    return answer
