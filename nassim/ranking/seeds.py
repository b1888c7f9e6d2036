"""Noise between trainings of the same architecture, and what it does to a ranking.

A run's result is its :func:`last_measured` value. All other functions take *repeats*: results
(architectures, repetitions), each row the measured runs of an architecture in the order of their
seeds, NaN after the last.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from nassim.ranking.correlation import kendall, spearman
from nassim.ranking.intervals import RESAMPLES
from nassim.records import FloatArray, IntArray

__all__ = [
    "FEWEST",
    "SeedAgreement",
    "counts",
    "last_measured",
    "means",
    "median_deviation",
    "pooled_deviation",
    "reliability",
    "repeats",
    "seed_agreement",
]

FEWEST = 5  # architectures, below which nothing is correlated
MOST_REPETITIONS = 5  # of an architecture, that are compared with each other
BOOTSTRAPPED = 300  # architectures; an interval from more is scaled from so many


def last_measured(curves: FloatArray) -> FloatArray:
    """The last finite value of each curve (runs, epochs), as (runs,); NaN where there is none.

    >>> last_measured(np.array([[0.1, 0.2], [0.3, np.nan], [np.nan, np.nan]]))
    array([0.2, 0.3, nan])
    """
    padded = np.column_stack([np.full(len(curves), np.nan), curves])
    epochs = np.arange(1, padded.shape[1])
    ends = np.where(np.isfinite(curves), epochs, 0).max(axis=1, initial=0)
    last: FloatArray = padded[np.arange(len(curves)), ends]
    return last


def repeats(results: FloatArray, member: IntArray, n: int) -> FloatArray:
    """Results (runs,) as (n, repetitions): ``member`` (runs,) is the architecture of each run.

    Runs without a result are left out.

    >>> repeats(np.array([0.1, np.nan, 0.2, 0.3]), np.array([0, 1, 2, 0]), 3)
    array([[0.1, 0.3],
           [nan, nan],
           [0.2, nan]])
    """
    known = np.flatnonzero(np.isfinite(results))
    known = known[np.argsort(member[known], kind="stable")]
    rows = member[known]
    times = np.bincount(rows, minlength=n)
    table = np.full((n, max(1, int(times.max(initial=0)))), np.nan)
    table[rows, np.arange(len(rows)) - (np.cumsum(times) - times)[rows]] = results[known]
    return table


def counts(table: FloatArray) -> IntArray:
    """Measured runs of each architecture (architectures,)."""
    answer: IntArray = np.isfinite(table).sum(axis=1)
    return answer


def means(table: FloatArray) -> FloatArray:
    """The mean result of each architecture (architectures,); NaN where none was measured."""
    times = counts(table)
    totals = np.where(np.isfinite(table), table, 0.0).sum(axis=1)
    answer: FloatArray = np.where(times > 0, totals / np.maximum(times, 1), np.nan)
    return answer


def pooled_deviation(table: FloatArray) -> float:
    """Standard deviation over seeds, the root of the mean variance over degrees of freedom.

    >>> pooled_deviation(np.array([[1.0, 3.0], [5.0, 5.0], [9.0, np.nan]]))
    1.0
    """
    squares, freedom = _squares(table)
    return math.sqrt(squares.sum() / freedom.sum()) if len(freedom) else math.nan


def median_deviation(table: FloatArray) -> float:
    """The median over architectures of their standard deviation over seeds.

    A few bad architectures with several times the noise do not move it. The median of deviations
    from two or three seeds is too small by a third or a sixth; each is divided by the median
    that it would have under normal noise of deviation 1, so that the two measures agree where
    all architectures are equally noisy.

    >>> table = np.random.default_rng(0).normal(0, 0.5, (10_000, 2))
    >>> round(pooled_deviation(table), 2), round(median_deviation(table), 2)
    (0.5, 0.5)
    """
    from scipy.special import chdtri

    squares, freedom = _squares(table)
    return float(np.median(np.sqrt(squares / chdtri(freedom, 0.5)))) if len(freedom) else math.nan


def _squares(table: FloatArray) -> tuple[FloatArray, IntArray]:
    """Sums of squares and degrees of freedom of the architectures with several runs."""
    several = table[counts(table) > 1]
    apart = np.where(np.isfinite(several), several - means(several)[:, None], 0.0)
    return (apart**2).sum(axis=1), counts(several) - 1


@dataclass(frozen=True)
class SeedAgreement:
    """How one training of the architectures ranks them as another one does.

    - ``tau``: Kendall's tau-b, the mean over pairs of repetitions; ``low``, ``high``: its 95%
      interval over architectures.
    - ``rho``: Spearman's, likewise.
    - ``architectures``: with two runs or more.
    """

    tau: float
    low: float
    high: float
    rho: float
    architectures: int


def seed_agreement(table: FloatArray, *, seed: int = 0, level: float = 0.95) -> SeedAgreement:
    """Compare the first measured run of each architecture with its second, and so on.

    The interval is a bootstrap that draws architectures. Of more than 300, it draws from 300 of
    them and is scaled by the root of the share, as the width of an interval is. NaN below five
    architectures with two runs.
    """
    several = table[counts(table) > 1, :MOST_REPETITIONS]
    pairs = [(a, b) for a, b in combinations(several.T, 2) if np.isfinite(a + b).sum() >= FEWEST]
    taus = np.array([kendall(a, b) for a, b in pairs])
    pairs = [pair for pair, each in zip(pairs, taus, strict=True) if math.isfinite(each)]
    if not pairs:
        return SeedAgreement(math.nan, math.nan, math.nan, math.nan, len(several))
    tau = float(np.nanmean(taus))
    rho = float(np.mean([spearman(a, b) for a, b in pairs]))
    low, high = _tau_interval(pairs, tau, seed, level)
    return SeedAgreement(tau, low, high, rho, len(several))


def _tau_interval(
    pairs: list[tuple[FloatArray, FloatArray]], tau: float, seed: int, level: float
) -> tuple[float, float]:
    n = len(pairs[0][0])
    rng = np.random.default_rng(seed)
    kept = np.sort(rng.choice(n, BOOTSTRAPPED, replace=False)) if n > BOOTSTRAPPED else np.arange(n)
    m = len(kept)
    drawn = rng.integers(m, size=(RESAMPLES, m)) + m * np.arange(RESAMPLES)[:, None]
    weights = np.bincount(drawn.ravel(), minlength=RESAMPLES * m).reshape(RESAMPLES, m)
    whole = np.ones((1, m))  # the architectures that are drawn from, each once
    taus = _weighted_taus(pairs, kept, np.concatenate([whole, weights]))
    center, taus = taus[0], taus[1:][np.isfinite(taus[1:])]
    if math.isnan(center) or not len(taus):
        return math.nan, math.nan
    ends = np.quantile(taus, [(1 - level) / 2, (1 + level) / 2]) - center
    low, high = np.clip(tau + ends * math.sqrt(m / n), -1, 1)
    return float(low), float(high)


def _weighted_taus(
    pairs: list[tuple[FloatArray, FloatArray]], kept: IntArray, weights: FloatArray
) -> FloatArray:
    """Mean tau-b over pairs of repetitions, (resamples,), each architecture so many times.

    An architecture drawn twice is tied with itself on both sides, and so is not counted.
    """
    total = np.zeros(len(weights))
    for sides in pairs:
        a, b = (np.where(np.isfinite(sum(sides)), side, np.nan)[kept] for side in sides)
        signs = [np.nan_to_num(np.sign(side[:, None] - side)) for side in (a, b)]
        agreeing, untied_a, untied_b = (
            ((weights @ matrix) * weights).sum(axis=1)
            for matrix in (signs[0] * signs[1], np.abs(signs[0]), np.abs(signs[1]))
        )
        with np.errstate(invalid="ignore"):
            total += agreeing / np.sqrt(untied_a * untied_b)
    answer: FloatArray = total / len(pairs)
    return answer


def reliability(rho: float, runs: float) -> float:
    """The correlation of two means over ``runs`` seeds each, given ``rho`` of single runs.

    Spearman and Brown's formula. The root of the product of two reliabilities is the highest
    correlation that can be expected of two noisy measurements of the same order.

    >>> reliability(0.5, 1), round(reliability(0.5, 3), 2), reliability(-0.2, 3)
    (0.5, 0.75, 0.0)
    """
    rho = max(0.0, rho) if not math.isnan(rho) else rho
    return runs * rho / (1 + (runs - 1) * rho)
