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
    rows = np.flatnonzero(
        ~table.failed & (table.lengths == table.max_epochs) & np.isfinite(table.values).all(axis=1)
    )
    candidate = table.candidate[rows]
    used = np.unique(candidate)
    if len(used) < MIN_ARCHITECTURES:
        raise InputError(
            f"{len(used)} architectures have complete curves on {table.dataset.name!r}; expected "
            f"at least {MIN_ARCHITECTURES} to fit a surrogate on. Add runs, or leave it out."
        )
    names = [table.architectures[c] for c in candidate.tolist()]
    features = encoder.encode(names)
    fold = _folds([one.canonical_id for one in names])
    curves = table.values[rows]
    log_seconds = np.log(np.diff(table.cumulative[rows], axis=1))
    pace = log_seconds.mean(axis=1)
    gaps = (test - table.candidate_qualities)[candidate]

    def held_out_curves(away: IntArray, here: IntArray) -> FloatArray:
        fitted = _fit_curves(features[away], curves[away], seed)
        return mean_curves(*fitted, features[here])

    def held_out_numbers(numbers: FloatArray) -> FloatArray:
        return _held_out(
            fold,
            lambda away, here: _fit_numbers(features[away], numbers[away], seed).predict(
                features[here]
            ),
        )[:, 0]

    held_curves = _held_out(fold, held_out_curves)
    held_pace = held_out_numbers(pace)
    has_test = bool(np.isfinite(gaps).all())
    held_gaps = held_out_numbers(gaps) if has_test else np.zeros(len(rows))
    errors = np.column_stack(
        [
            curves - held_curves,
            log_seconds - held_pace[:, None],
            gaps - held_gaps if has_test else held_gaps,
        ]
    )
    edges, noise = _noise(errors, target_value(held_curves, quality), seed)
    epochs = table.max_epochs
    held_values = _held_values(fold, curves, held_curves, table.metric, quality)
    return Surrogate(
        Curves(
            table.dataset,
            table.metric,
            quality,
            encoder,
            *_fit_curves(features, curves, seed),
            _fit_numbers(features, pace, seed),
            edges,
            noise[:, :, :epochs],
            noise[:, :, epochs : 2 * epochs],
        ),
        _fit_numbers(features, gaps, seed) if has_test else None,
        noise[:, :, -1],
        _scores(
            table=table,
            rows=rows,
            test=test,
            held_values=held_values,
            held_test=held_values + held_gaps,
            n_folds=int(fold.max()) + 1,
            r2_seconds=_r2(held_pace, pace),
            mae=np.abs(curves - held_curves).mean(axis=0),
            from_others=_from_others(encoder, sources, features, seed),
        ),
    )


# --- models ---------------------------------------------------------------------------------


def _fit_curves(
    features: FloatArray, curves: FloatArray, seed: int
) -> tuple[Forest, FloatArray, FloatArray]:
    """Forest, centre (T,) and components (K, T) of :class:`Curves`.

    Epochs are scaled to equal variance before the principal components are taken, or the first
    ones, in which curves differ most, would be all that the trees look at.
    """
    centre, spread = curves.mean(axis=0), curves.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    scaled = (curves - centre) / spread
    directions = np.linalg.svd(scaled, full_matrices=False)[2][:_COMPONENTS]
    return fit_forest(features, scaled @ directions.T, seed), centre, directions * spread


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
    """The fold of each run, (runs,); equal groups share one."""
    from sklearn.model_selection import GroupKFold

    fold = np.zeros(len(groups), np.intp)
    splits = GroupKFold(min(_FOLDS, len(set(groups)))).split(groups, groups=groups)
    for number, (_, here) in enumerate(splits):
        fold[here] = number
    return fold


def _held_out(fold: IntArray, predict: Callable[[IntArray, IntArray], FloatArray]) -> FloatArray:
    """Predictions for each fold's runs (``here``) by what was fitted on the others (``away``)."""
    parts = []
    order = []
    for number in range(int(fold.max()) + 1):
        here = np.flatnonzero(fold == number)
        parts.append(predict(np.flatnonzero(fold != number), here))
        order.append(here)
    return np.concatenate(parts)[np.argsort(np.concatenate(order))]


def _held_values(
    fold: IntArray, curves: FloatArray, held: FloatArray, metric: Metric, quality: Quality
) -> FloatArray:
    """Expected m of each run, (runs,): over the errors that were made in the other folds."""
    errors = curves - held
    values = np.zeros(len(held))
    for run, mean in enumerate(held):
        noise = errors[fold != fold[run]]
        noise = noise - noise.mean(axis=0)
        values[run] = target_value(within_bounds(mean + noise, metric), quality).mean()
    return values


def _from_others(encoder: Encoder, sources: Sources, features: FloatArray, seed: int) -> FloatArray:
    """m of these runs, standardised, by what the other datasets say, (runs,); NaN without any."""
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


def _scores(
    *,
    table: TableSource,
    rows: IntArray,
    test: FloatArray,
    held_values: FloatArray,
    held_test: FloatArray,
    n_folds: int,
    r2_seconds: float,
    mae: FloatArray,
    from_others: FloatArray,
) -> HeldOut:
    """Scores over architectures; where one has several runs, over their means."""
    candidate = table.candidate[rows]
    used = np.unique(candidate)

    def mean(values: FloatArray) -> FloatArray:
        return np.array([values[candidate == c].mean() for c in used])

    value, predicted = mean(table.qualities[rows]), mean(held_values)
    top = value >= np.quantile(value, 0.75)
    return HeldOut(
        architectures=len(used),
        runs=len(rows),
        left_out=1 - len(rows) / len(table.candidate),
        folds=n_folds,
        r2=_r2(predicted, value),
        tau=kendall(predicted, value),
        tau_top=kendall(predicted[top], value[top]),
        r2_test=_r2(mean(held_test), test[used]),
        tau_test=kendall(mean(held_test), test[used]),
        r2_seconds=r2_seconds,
        noise=float(np.std(table.qualities[rows] - held_values)),
        tau_other_datasets=kendall(mean(from_others), value),
        mae=tuple(mae.tolist()),
    )


def _r2(predicted: FloatArray, value: FloatArray) -> float:
    """The share of the variance that is explained; negative if the mean would be nearer."""
    variance = float(np.var(value))
    if variance > 0:
        return 1 - float(np.mean((predicted - value) ** 2)) / variance
    return math.nan
