"""How well scores order what was measured: plain functions on arrays.

``scores`` (n,) are what a predictor says of n architectures, ``values`` (n,) what these are worth;
both higher is better, without NaN. Names and definitions follow Yu et al., "Evaluating the Search
Phase of Neural Architecture Search", ICLR 2020, and Ning et al., "Evaluating Efficient Performance
Estimators of Neural Architectures", NeurIPS 2021. A share of the architectures is rounded to a
whole number of them, at least two. Of equal scores the earlier architecture comes first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import numpy as np

from nassim.errors import InputError
from nassim.ranking.correlation import ranks
from nassim.records import FloatArray, IntArray

__all__ = [
    "PairTau",
    "Statistics",
    "best_rank_at",
    "better_than_random",
    "chance_of_rank",
    "partial_tau",
    "precision_at",
    "regret",
    "share_of",
    "significant_tau",
    "sparse_tau",
    "tau",
    "tau_in_top",
    "true_ranks",
]

# Several of these at once: of scores (k,), values (k,) and positions (k,), which say what else
# belongs to those architectures, to numbers by name.
Statistics = Callable[[FloatArray, FloatArray, IntArray], Mapping[str, float]]


def tau(scores: FloatArray, values: FloatArray) -> float:
    """Kendall's tau-b, by all pairs: the quicker way up to a few hundred architectures.

    NaN where all scores or all values are equal. Equal to ``nassim.ranking.correlation.kendall``.

    >>> round(tau(np.array([1, 2, 3, 4]), np.array([10, 20, 30, 25])), 6)
    0.666667
    """
    a, b = (np.sign(side[:, None] - side) for side in (scores, values))
    untied = math.sqrt(float(np.abs(a).sum()) * float(np.abs(b).sum()))
    return float((a * b).sum()) / untied if untied else math.nan


def sparse_tau(scores: FloatArray, values: FloatArray, grid: float = 1e-3) -> float:
    """Tau-b with values cut down to a grid, so that tiny differences are ties (Yu et al.).

    >>> sparse_tau(np.array([1.0, 2.0, 3.0]), np.array([0.9012, 0.9011, 0.95])) > 0.8
    True
    """
    # a value on the grid, such as 0.9, must not fall below it for its last binary digit
    return tau(scores, np.floor(np.round(values / grid, 6)))


class PairTau(NamedTuple):
    """A tau over some pairs, and the share of all pairs that these are."""

    tau: float
    share: float


def significant_tau(
    scores: FloatArray, values: FloatArray, deviation: float, seeds: float, errors: float = 2.0
) -> PairTau:
    """Concordant less discordant pairs, among those that seeds tell apart.

    These differ by more than ``errors`` standard errors of a difference of two means over
    ``seeds`` trainings, of which one has the standard deviation ``deviation``. A tie of scores
    counts as neither, and in the denominator.

    >>> significant_tau(np.array([1, 2, 3]), np.array([0.1, 0.0, 0.9]), 0.1, 2)
    PairTau(tau=1.0, share=0.6666666666666666)
    """
    n = len(values)
    upper = np.triu_indices(n, 1)
    difference = (values[:, None] - values)[upper]
    kept = np.abs(difference) > errors * deviation * math.sqrt(2 / seeds)
    if not kept.any():
        return PairTau(math.nan, 0.0)
    agreeing = np.sign(difference) * np.sign((scores[:, None] - scores)[upper])
    return PairTau(float(agreeing[kept].mean()), float(kept.mean()))


def tau_in_top(
    scores: FloatArray, values: FloatArray, share: float, of: Literal["true", "predicted"]
) -> float:
    """Tau-b within the best ``share`` of architectures, by their values or by their scores.

    >>> scores, values = np.array([1, 2, 3, 4]), np.array([1, 2, 4, 3])
    >>> tau_in_top(scores, values, 0.5, "true"), tau_in_top(scores, values, 1.0, "true") > 0
    (-1.0, True)
    """
    top = _best(values if of == "true" else scores, share_of(len(values), share))
    return tau(scores[top], values[top])


def precision_at(scores: FloatArray, values: FloatArray, k: int) -> float:
    """The share of the k best by score that are among the k best by value.

    >>> precision_at(np.array([4, 3, 2, 1]), np.array([4, 1, 3, 2]), 2)
    0.5
    """
    return len(np.intersect1d(_best(scores, k), _best(values, k))) / k


def best_rank_at(scores: FloatArray, values: FloatArray, k: int) -> float:
    """The best true rank among the k best by score, as a share of n: 1/n is a perfect answer.

    >>> best_rank_at(np.array([4, 3, 2, 1]), np.array([1, 3, 4, 2]), 2)
    0.5
    """
    return float(true_ranks(values)[_best(scores, k)].min()) / len(values)


def regret(values: FloatArray, picked: int) -> tuple[float, float]:
    """What a pick lacks of the best value, and that in units of what the median lacks.

    The second is 0 for the best and 1 for a middling pick; NaN where the median is the best.

    >>> regret(np.array([0.5, 0.7, 0.75, 0.9]), 1)
    (0.20000000000000007, 1.142857142857143)
    """
    lacks = float(values.max() - values[picked])
    scale = float(values.max() - np.median(values))
    return lacks, lacks / scale if scale > 0 else math.nan


def better_than_random(values: FloatArray, picks: IntArray) -> float:
    """The chance that the best of m picks beats the best of m uniform draws (Yu et al.).

    ``(1 - r / n) ** m``, where r is the true rank of the best pick, with the mean rank of equal
    values. Beside it one should say how the m picks are spread: it rewards luck.

    >>> better_than_random(np.array([0.9, 0.8, 0.7, 0.6]), np.array([1, 3]))  # rank 2 of 4, twice
    0.25
    """
    return chance_of_rank(float(true_ranks(values)[picks].min()), len(values), len(picks))


def chance_of_rank(best: float, n: int, searches: int) -> float:
    """The chance that the best of so many searches, of rank ``best`` of n, beats as many draws.

    >>> round(chance_of_rank(57_079, 423_624, 10), 2)  # as Yu et al. print it for DARTS
    0.24
    """
    return (1 - best / n) ** searches


def partial_tau(scores: FloatArray, values: FloatArray, strata: FloatArray | IntArray) -> float:
    """Tau-b over the pairs of equal ``strata`` (n,) alone: what a predictor knows beside those.

    With the number of parameters as strata, a predictor that only counts parameters has none
    (NaN). Sums are taken over strata before they are divided, so that large ones weigh more.

    >>> scores, values = np.array([1, 2, 5, 4]), np.array([1, 2, 8, 9])
    >>> partial_tau(scores, values, np.array([0, 0, 1, 1])), tau(scores, values) > 0.6
    (0.0, True)
    """
    alike = strata[:, None] == strata
    a, b = (np.sign(side[:, None] - side) * alike for side in (scores, values))
    untied = math.sqrt(float(np.abs(a).sum()) * float(np.abs(b).sum()))
    return float((a * b).sum()) / untied if untied else math.nan


def share_of(n: int, share: float) -> int:
    """How many of n architectures a share is: a whole number, at least two.

    >>> share_of(60, 0.1), share_of(3, 0.1)
    (6, 2)
    """
    if not 0 < share <= 1:
        raise InputError(f"share is {share}; expected a number above 0, at most 1.")
    return max(2, round(share * n))


def _best(values: FloatArray, k: int) -> IntArray:
    """Positions of the k largest, of equal ones the first."""
    if not 1 <= k <= len(values):
        raise InputError(f"The best {k} were asked for; expected 1 to {len(values)}.")
    return np.argsort(-values, kind="stable")[:k]


def true_ranks(values: FloatArray) -> FloatArray:
    """Ranks (n,) from 1, the best first; equal values share the mean of their ranks."""
    answer: FloatArray = len(values) + 1 - ranks(values)
    return answer
