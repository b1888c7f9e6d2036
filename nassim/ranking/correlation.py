"""Rank correlation of two arrays, ties included.

Entries that are NaN in either array are left out. A correlation is NaN, not an error, where
there is nothing to correlate: fewer than two entries are left, or all of one side are equal.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nassim.errors import InputError

__all__ = ["discordant_share", "kendall", "ranks", "spearman", "spearman_interval"]


def spearman(first: ArrayLike, second: ArrayLike) -> float:
    """Spearman's rho: Pearson's correlation of the ranks, ties sharing their mean rank.

    >>> spearman([1, 2, 3, 4], [10, 20, 30, 25])
    0.8
    >>> spearman([1, 2, 3], [5, 5, 5])
    nan
    """
    a, b = (ranks(side) for side in _pairs(first, second))
    a -= a.mean() if len(a) else 0
    b -= b.mean() if len(b) else 0
    scale = math.sqrt(float(a @ a) * float(b @ b))
    if scale == 0:
        return math.nan
    return max(-1.0, min(1.0, float(a @ b) / scale))


def spearman_interval(rho: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Interval of a Spearman correlation of ``n`` pairs, by Fisher's transformation.

    With the variance ``(1 + rho**2 / 2) / (n - 3)`` of Bonett and Wright, "Sample size
    requirements for estimating Pearson, Kendall and Spearman correlations", 2000. NaN below four
    pairs; of no width where the ranks agree fully.

    >>> [round(end, 2) for end in spearman_interval(0.6, 50)]
    [0.36, 0.76]
    """
    if n < 4 or math.isnan(rho):
        return math.nan, math.nan
    if abs(rho) > 1 - 1e-12:
        return rho, rho
    reach = NormalDist().inv_cdf((1 + level) / 2) * math.sqrt((1 + rho**2 / 2) / (n - 3))
    return math.tanh(math.atanh(rho) - reach), math.tanh(math.atanh(rho) + reach)


def kendall(first: ArrayLike, second: ArrayLike) -> float:
    """Kendall's tau-b: concordant less discordant pairs, corrected for ties. O(n log n).

    >>> round(kendall([1, 2, 3, 4], [10, 20, 30, 25]), 6)
    0.666667
    """
    from scipy.stats import kendalltau

    a, b = _pairs(first, second)
    if len(np.unique(a)) < 2 or len(np.unique(b)) < 2:
        return math.nan
    return float(kendalltau(a, b).statistic)


def discordant_share(first: ArrayLike, second: ArrayLike) -> float:
    """The share of pairs whose order differs, among those tied on neither side.

    >>> discordant_share([1, 2, 3], [1, 3, 2])  # pairs 12 and 13 agree, 23 does not
    0.3333333333333333
    """
    a, b = _pairs(first, second)
    n = len(a)
    all_pairs = n * (n - 1) // 2
    tied_a, tied_b = _tied_pairs(a), _tied_pairs(b)
    tied_both = _tied_pairs(a + 1j * b)
    ordered = all_pairs - tied_a - tied_b + tied_both
    if ordered == 0:
        return math.nan
    tau = kendall(a, b)
    concordant_less_discordant = tau * math.sqrt((all_pairs - tied_a) * (all_pairs - tied_b))
    return round((ordered - concordant_less_discordant) / 2) / ordered


def ranks(values: ArrayLike) -> NDArray[np.float64]:
    """Ranks from 1, smallest first; equal values share the mean of their ranks.

    >>> ranks([0.3, 0.1, 0.3])
    array([2.5, 1. , 2.5])
    """
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    means: NDArray[np.float64] = last - (counts - 1) / 2
    return means[places]


def _pairs(first: ArrayLike, second: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise InputError(
            f"Arrays of shapes {a.shape} and {b.shape} cannot be correlated; "
            "expected two of one dimension and equal length."
        )
    both = ~(np.isnan(a) | np.isnan(b))
    return a[both], b[both]


def _tied_pairs(values: NDArray[np.inexact]) -> int:
    counts = np.unique(values, return_counts=True)[1]
    return int((counts * (counts - 1) // 2).sum())
