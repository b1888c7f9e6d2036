"""Fitting a surrogate to the runs of one dataset, and finding out how good it is.

Each dataset is fitted on its own runs only: were the other datasets' runs used, a surrogate would
make its datasets more alike than they are, and flatter every method that transfers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from nassim.errors import InputError
from nassim.ranking.correlation import kendall
from nassim.records import FloatArray, IntArray, Metric, Sources
from nassim.simulator.forest import Forest, fit_forest
from nassim.simulator.sources import Quality, TableSource
from nassim.simulator.surrogate import (
    Curves,
    Encoder,
    HeldOut,
    Surrogate,
    mean_curves,
    target_value,
    within_bounds,
)

__all__ = ["fit_surrogate"]

MIN_ARCHITECTURES = 10
_FOLDS = 5
_COMPONENTS = 4
_DRAWS = 256  # of noise in each bin
_BINS = 4
_RUNS_OF_A_BIN = 20  # at least


def fit_surrogate(
    table: TableSource,
    test: FloatArray,
    encoder: Encoder,
    sources: Sources,
    seed: int,
    *,
    quality: Quality = "max",
) -> Surrogate:
    """Fit on a table of N candidates.

    Parameters
    ----------
    table
        The runs. Those that failed, are shorter than the longest or have no value in the first
        epochs are left out; their share is noted.
    test
        (N,) test values, higher is better. Where one is missing, the surrogate has none.
    encoder
        Of the table's space.
    sources
        Runs of other datasets, for ``tau_other_datasets`` alone.
    seed
        Of the trees and of the noise.
    quality
        What ``table`` was made with.

    Raises
    ------
    InputError
        if fewer than ten architectures are left.
    """
    complete = ~table.failed & (table.lengths == table.max_epochs)
    rows = np.flatnonzero(complete & np.isfinite(table.values).all(axis=1))
    used, of_run = np.unique(table.candidate[rows], return_inverse=True)
    if len(used) < MIN_ARCHITECTURES:
        raise InputError(
            f"{len(used)} architectures have complete curves on {table.dataset.name!r}; expected "
            f"at least {MIN_ARCHITECTURES} to fit a surrogate on. Add runs, or leave it out."
        )

    def mean(of_runs: FloatArray) -> FloatArray:
        """Of each architecture: one with many seeds must not count for more than another."""
        return np.array([of_runs[of_run == k].mean(axis=0) for k in range(len(used))])

    architectures = [table.architectures[c] for c in used.tolist()]
    features = encoder.encode(architectures)
    curves = table.values[rows]
    log_seconds = np.log(np.diff(table.cumulative[rows], axis=1))
    level, shape = mean(table.qualities[rows]), mean(curves)
    shape -= level[:, None]
    pace = mean(log_seconds).mean(axis=1)
    gap = test[used] - level
    has_test = bool(np.isfinite(gap).all())
    gap = gap if has_test else np.zeros(len(used))

    fold = _folds([one.canonical_id for one in architectures])
    held_curve = _held_out(
        fold,
        lambda away, here: mean_curves(
            *_fit_curves(features[away], level[away], shape[away], seed), features[here]
        ),
    )
    held_pace = _held_out_numbers(fold, features, pace, seed)
    held_gap = _held_out_numbers(fold, features, gap, seed)
    errors = [
        curves - held_curve[of_run],
        log_seconds - held_pace[of_run, None],
        (gap - held_gap)[of_run, None],
    ]
    edges, noise = _noise(np.hstack(errors), target_value(held_curve, quality)[of_run], seed)
    epochs = table.max_epochs
    held_level = _held_levels(fold, held_curve, errors[0], of_run, table.metric, quality)
    held_out = HeldOut(
        architectures=len(used),
        runs=len(rows),
        left_out=1 - len(rows) / len(table.candidate),
        folds=int(fold.max()) + 1,
        r2=_r2(held_level, level),
        tau=kendall(held_level, level),
        tau_top=_tau_top(held_level, level),
        r2_test=_r2(held_level + held_gap, test[used]),
        tau_test=kendall(held_level + held_gap, test[used]),
        r2_seconds=_r2(held_pace, pace),
        noise=float(np.std(table.qualities[rows] - held_level[of_run])),
        tau_other_datasets=kendall(_from_others(encoder, sources, features, seed), level),
        mae=tuple(np.abs(errors[0]).mean(axis=0).tolist()),
    )
    return Surrogate(
        Curves(
            table.dataset,
            table.metric,
            quality,
            encoder,
            *_fit_curves(features, level, shape, seed),
            _fit_numbers(features, pace, seed),
            edges,
            # copies: a view would hold on to the noise of test values
            noise[:, :, :epochs].copy(),
            noise[:, :, epochs : 2 * epochs].copy(),
        ),
        _fit_numbers(features, gap, seed) if has_test else None,
        noise[:, :, -1].copy(),
        held_out,
    )


# --- models ---------------------------------------------------------------------------------


def _fit_curves(
    features: FloatArray, level: FloatArray, shape: FloatArray, seed: int
) -> tuple[Forest, Forest, FloatArray, FloatArray]:
    """Level, shape, centre (T,) and components (K, T) of :class:`Curves`.

    The level has a forest of its own: in one forest for all epochs, the first ones, in which
    curves differ most, would decide on the splits, and it is the level that a search is after.
    """
    centre = shape.mean(axis=0)
    components = np.linalg.svd(shape - centre, full_matrices=False)[2][:_COMPONENTS]
    coefficients = fit_forest(features, (shape - centre) @ components.T, seed)
    return _fit_numbers(features, level, seed), coefficients, centre, components


def _fit_numbers(features: FloatArray, numbers: FloatArray, seed: int) -> Forest:
    return fit_forest(features, numbers[:, None], seed)


def _noise(errors: FloatArray, levels: FloatArray, seed: int) -> tuple[FloatArray, FloatArray]:
    """Edges (bins - 1,) between levels, and in each bin draws of noise (bins, draws, width).

    A draw is two errors of the bin, (runs, width) in all, mixed at a random angle: so it keeps
    their variance, and their correlation over epochs, and no value of it need have been seen.
    """
    bins = max(1, min(_BINS, len(errors) // _RUNS_OF_A_BIN))
    edges = np.quantile(levels, np.arange(1, bins) / bins)
    of_run = np.searchsorted(edges, levels, side="right")
    rng = np.random.default_rng(seed)
    draws = []
    for k in range(bins):
        own = errors[of_run == k] if (of_run == k).sum() > 1 else errors
        own = own - own.mean(axis=0)  # what is better, the trees alone say
        first = rng.integers(len(own), size=_DRAWS)
        second = (first + rng.integers(1, len(own), size=_DRAWS)) % len(own)  # another
        angle = rng.uniform(0, 2 * np.pi, (_DRAWS, 1))
        mixed = np.cos(angle) * own[first] + np.sin(angle) * own[second]
        draws.append(mixed - mixed.mean(axis=0))
    return edges, np.stack(draws).astype(np.float32)


# --- how good it is -------------------------------------------------------------------------


def _folds(groups: Sequence[str]) -> IntArray:
    """The fold of each architecture; equal groups share one."""
    from sklearn.model_selection import GroupKFold

    fold = np.zeros(len(groups), np.intp)
    splits = GroupKFold(min(_FOLDS, len(set(groups)))).split(groups, groups=groups)
    for number, (_, here) in enumerate(splits):
        fold[here] = number
    return fold


def _held_out(fold: IntArray, predict: Callable[[IntArray, IntArray], FloatArray]) -> FloatArray:
    """Predictions for each fold (``here``) by what was fitted on the others (``away``)."""
    parts = []
    order = []
    for number in range(int(fold.max()) + 1):
        here = np.flatnonzero(fold == number)
        parts.append(predict(np.flatnonzero(fold != number), here))
        order.append(here)
    return np.concatenate(parts)[np.argsort(np.concatenate(order))]


def _held_out_numbers(
    fold: IntArray, features: FloatArray, numbers: FloatArray, seed: int
) -> FloatArray:
    return _held_out(
        fold,
        lambda away, here: _fit_numbers(features[away], numbers[away], seed).predict(
            features[here]
        ),
    )[:, 0]


def _held_levels(
    fold: IntArray,
    held_curve: FloatArray,
    errors: FloatArray,
    of_run: IntArray,
    metric: Metric,
    quality: Quality,
) -> FloatArray:
    """Expected m of each architecture, (architectures,).

    The expectation is over the errors of the runs in the other folds.
    """
    levels = np.zeros(len(held_curve))
    for one, mean in enumerate(held_curve):
        noise = errors[fold[of_run] != fold[one]]
        noise = noise - noise.mean(axis=0)
        levels[one] = target_value(within_bounds(mean + noise, metric), quality).mean()
    return levels


def _tau_top(predicted: FloatArray, value: FloatArray) -> float:
    top = value >= np.quantile(value, 0.75)
    return kendall(predicted[top], value[top])


def _from_others(encoder: Encoder, sources: Sources, features: FloatArray, seed: int) -> FloatArray:
    """Standardised m by what the other datasets say, (architectures,); NaN without any."""
    seen, values = [], []
    for task in sources.tasks:
        rows = np.flatnonzero(~task.failed & np.isfinite(task.values))
        spread = task.values[rows].std() if len(rows) else 0.0
        if spread > 0:
            seen.append(encoder.encode([task.architectures[row] for row in rows.tolist()]))
            values.append((task.values[rows] - task.values[rows].mean()) / spread)
    if not seen:
        return np.full(len(features), math.nan)
    return _fit_numbers(np.concatenate(seen), np.concatenate(values), seed).predict(features)[:, 0]


def _r2(predicted: FloatArray, value: FloatArray) -> float:
    """The share of the variance that is explained; negative if the mean would be nearer."""
    variance = float(np.var(value))
    if variance > 0:
        return 1 - float(np.mean((predicted - value) ** 2)) / variance
    return math.nan
