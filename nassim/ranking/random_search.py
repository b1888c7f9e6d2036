"""Random search in closed form: no draws, no error bars, the reference of every comparison."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from nassim.errors import InputError
from nassim.records import FloatArray

__all__ = ["deviation_of_best", "expected_best_of"]


def expected_best_of(values: ArrayLike, k: int) -> float:
    """The mean of the largest of ``k`` values drawn without replacement.

    With ``m_(1) <= ... <= m_(n)`` this is ``sum_i m_(i) C(i-1, k-1) / C(n, k)``: the chance that
    the i-th smallest is the largest drawn. Where lower is better, pass ``-values`` and negate.

    >>> expected_best_of([3.0, 1.0, 2.0], 3)
    3.0
    >>> round(expected_best_of([1.0, 2.0, 3.0], 2), 6)  # pairs 12, 13, 23: 2, 3, 3
    2.666667

    Raises
    ------
    InputError
        if ``k`` is not from 1 to the number of values, or a value is NaN.
    """
    ordered, chances = _best_of(values, k)
    return float(chances @ ordered)


def deviation_of_best(values: ArrayLike, k: int) -> float:
    """Standard deviation of the largest of ``k`` values drawn without replacement.

    >>> round(deviation_of_best([1.0, 2.0, 3.0], 2) ** 2, 6)  # of 2, 3, 3
    0.222222

    Raises
    ------
    InputError
        as :func:`expected_best_of`.
    """
    ordered, chances = _best_of(values, k)
    return math.sqrt(float(chances @ (ordered - chances @ ordered) ** 2))


def _best_of(values: ArrayLike, k: int) -> tuple[FloatArray, FloatArray]:
    """The values that can be the largest of ``k``, (n - k + 1,), and the chance of each."""
    ordered = np.sort(np.asarray(values, np.float64).ravel())
    n = len(ordered)
    if not 1 <= k <= n:
        raise InputError(f"The best of {k} was asked for; expected 1 to {n}, the number of values.")
    if np.isnan(ordered[-1]):  # NaN sort last
        raise InputError("A value is NaN; drop the architectures that were not measured first.")
    ranks = np.arange(n, k, -1)  # from the largest down: P(i - 1) = P(i) * (i - k) / (i - 1)
    weights = np.cumprod(np.concatenate([[k / n], (ranks - k) / (ranks - 1)]))
    return ordered[k - 1 :][::-1], weights
