"""Intervals of a ranking: architectures, their trainings and the supernets are all drawn anew.

With the same ``seed``, draws of architectures and trainings are the same whatever is judged, and so
are those of equally many supernets. So two predictors are compared draw by draw: what a draw does
to both is no difference between them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal, NamedTuple, get_args

import numpy as np

from nassim.errors import InputError
from nassim.ranking.intervals import Interval
from nassim.ranking.scores import Statistics, tau
from nassim.ranking.seeds import means
from nassim.records import FloatArray, IntArray

__all__ = [
    "SOURCES",
    "Contrast",
    "Difference",
    "Drawn",
    "Source",
    "clustered_draws",
    "clustered_intervals",
    "contrast",
    "mean_tau_draws",
    "paired_difference",
    "tau_interval",
]

Source = Literal["architectures", "trainings", "supernets"]
SOURCES: tuple[Source, ...] = get_args(Source)
DRAWS = 1000
_MOST_NUMBERS = 4_000_000  # that are held at a time: signs of pairs, of some supernets or draws


class Difference(NamedTuple):
    """How much more one predictor has than another, its 95% interval, and a two-sided p."""

    value: float
    low: float
    high: float
    p: float


def clustered_intervals(
    statistics: Statistics,
    scores: FloatArray,
    table: FloatArray,
    clusters: IntArray,
    *,
    sources: Collection[Source] = SOURCES,
    level: float = 0.95,
    seed: int = 0,
    draws: int = DRAWS,
) -> dict[str, Interval]:
    """Bootstrap intervals of statistics that are means over supernets.

    Parameters
    ----------
    statistics
        Of one supernet's scores, the values and the positions of the drawn architectures.
    scores
        (n, supernets), what each supernet says of each architecture.
    table
        (n, seeds), trainings of each architecture, NaN where missing; values are their means.
    clusters
        (n,), the number of each architecture's class of equal functions: a class is drawn whole.
    sources
        What is drawn anew: classes with replacement, the trainings of each architecture, and
        supernets. What is not named stays as it is.
    level, seed, draws
        Of the percentile intervals.

    The noise of a single score or training is in the draws of each source, so it counts more than
    once and intervals are rather too wide: 1.7 times as wide as repeated studies of 40
    architectures, three trainings and three supernets scatter.

    Drawing seeds anew adds noise to values that have it already, and classes drawn twice are tied
    with themselves; both shift a correlation. So the percentiles are taken around their median,
    and that is put on the statistic itself.

    Raises
    ------
    InputError
        if shapes disagree, or a source is unknown.
    """
    drawn = clustered_draws(
        statistics, scores, table, clusters, sources=sources, seed=seed, draws=draws
    )
    return {name: _around(one.value, one.drawn, level) for name, one in drawn.items()}


@dataclass(frozen=True, eq=False)
class Drawn:
    """A statistic, and what it was in each draw of the bootstrap, (draws,)."""

    value: float
    drawn: FloatArray


def contrast(parts: Sequence[Drawn], weights: Sequence[float], *, level: float = 0.95) -> Contrast:
    """The sum of weight times statistic over parts that were measured apart, and its interval.

    Parts must share nothing: neither architectures nor trainings nor supernets, nor the seed of
    their draws.

    >>> rng = np.random.default_rng(0)
    >>> some, other = (Drawn(mean, rng.normal(mean, 0.1, 10_000)) for mean in (0.5, 0.2))
    >>> difference = contrast([some, other], [1, -1])
    >>> round(difference.value, 3), [round(end, 2) for end in difference.interval]
    (0.3, [0.02, 0.57])

    Raises
    ------
    InputError
        if there is not one weight a part, or parts have different numbers of draws.
    """
    lengths = {len(part.drawn) for part in parts}
    if len(weights) != len(parts) or len(lengths) != 1:
        raise InputError(
            f"{len(weights)} weights were given for {len(parts)} statistics of "
            f"{', '.join(map(str, sorted(lengths)))} draws; expected a weight each, and as many "
            "draws of each."
        )
    value = sum(weight * part.value for weight, part in zip(weights, parts, strict=True))
    drawn = np.tensordot(np.array(weights), np.stack([part.drawn for part in parts]), axes=1)
    return Contrast(value, _around(value, drawn, level))


class Contrast(NamedTuple):
    """A sum of weighted statistics, and its interval."""

    value: float
    interval: Interval


def clustered_draws(
    statistics: Statistics,
    scores: FloatArray,
    table: FloatArray,
    clusters: IntArray,
    *,
    sources: Collection[Source] = SOURCES,
    seed: int = 0,
    draws: int = DRAWS,
) -> dict[str, Drawn]:
    """What :func:`clustered_intervals` takes its percentiles of; see there."""
    _check(scores, table, clusters, sources)
    whole = _averaged(statistics, scores, means(table), np.arange(len(clusters)))
    supernets = _supernets_drawn(scores.shape[1], sources, seed, draws)
    drawn: dict[str, list[float]] = {name: [] for name in whole}
    for k, (rows, values) in enumerate(_drawn(table, clusters, sources, seed, draws)):
        found = _averaged(statistics, scores[:, supernets[k]][rows], values[rows], rows)
        for name, value in found.items():
            drawn[name].append(value)
    return {name: Drawn(whole[name], np.array(drawn[name])) for name in whole}


def mean_tau_draws(
    scores: FloatArray,
    table: FloatArray,
    clusters: IntArray,
    *,
    sources: Collection[Source] = SOURCES,
    seed: int = 0,
    draws: int = DRAWS,
) -> FloatArray:
    """Tau-b, the mean over supernets, in each draw: (draws,).

    Arguments and errors are those of :func:`clustered_intervals`, whose draws these are too; all
    pairs of many draws are counted at a time, which is some twenty times as quick.
    """
    _check(scores, table, clusters, sources)
    n, m = scores.shape
    columns = max(1, _MOST_NUMBERS // n**2)
    taus = np.concatenate(
        [
            _tau_draws(scores[:, at : at + columns], table, clusters, sources, seed, draws)
            for at in range(0, m, columns)
        ],
        axis=1,
    )
    supernets = _supernets_drawn(m, sources, seed, draws)
    answer: FloatArray = np.take_along_axis(taus, supernets, axis=1).mean(axis=1)
    return answer


def tau_interval(
    scores: FloatArray,
    table: FloatArray,
    clusters: IntArray,
    *,
    sources: Collection[Source] = SOURCES,
    level: float = 0.95,
    seed: int = 0,
    draws: int = DRAWS,
) -> Interval:
    """:func:`clustered_intervals` of tau-b alone."""
    drawn = mean_tau_draws(scores, table, clusters, sources=sources, seed=seed, draws=draws)
    values = means(table)
    return _around(float(np.mean([tau(column, values) for column in scores.T])), drawn, level)


def paired_difference(
    first: float, second: float, first_drawn: FloatArray, second_drawn: FloatArray
) -> Difference:
    """The first number less the second, with what each was in the same draws, (draws,).

    p is that of a normal variable with the draws' standard deviation, so that its smallest value
    does not depend on their number; as intervals are rather too wide, p is rather too large. It is
    1 where the two never differ, NaN where they differ by the same in each draw.

    >>> rng = np.random.default_rng(0)
    >>> shared, own = rng.normal(size=1000), 0.1 * rng.normal(size=1000)
    >>> found = paired_difference(0.5, 0.2, shared, shared + own)
    >>> round(found.low, 1), round(found.high, 1), found.p < 0.01
    (0.1, 0.5, True)
    """
    value, apart = first - second, first_drawn - second_drawn
    low, high = _around(value, apart, 0.95)
    finite = apart[np.isfinite(apart)]
    error = float(np.std(finite, ddof=1)) if len(finite) > 1 else math.nan
    if error > 1e-12:
        p = 2 * NormalDist().cdf(-abs(value) / error)
    else:
        p = 1.0 if abs(value) < 1e-12 else math.nan
    return Difference(value, low, high, p if math.isfinite(value) else math.nan)


def _check(
    scores: FloatArray, table: FloatArray, clusters: IntArray, sources: Collection[Source]
) -> None:
    n = len(clusters)
    if scores.shape[:1] != (n,) or table.shape[:1] != (n,) or scores.ndim != 2 or table.ndim != 2:
        raise InputError(
            f"Scores of shape {scores.shape} and results of shape {table.shape} do not fit "
            f"{n} architectures; expected (architectures, supernets) and (architectures, seeds)."
        )
    if unknown := [source for source in sources if source not in SOURCES]:
        raise InputError(f"{unknown[0]!r} cannot be drawn; expected {', '.join(SOURCES)}.")


def _drawn(
    table: FloatArray, clusters: IntArray, sources: Collection[Source], seed: int, draws: int
) -> Iterator[tuple[IntArray, FloatArray]]:
    """Positions of the drawn architectures, and new values (n,) of all: once a draw."""
    members = [np.flatnonzero(clusters == one) for one in np.unique(clusters)]
    rng = np.random.default_rng(seed)
    for _ in range(draws):
        # both are drawn each time, so that one source alone gives the same draws
        chosen = rng.integers(len(members), size=len(members))
        values = means(_trainings_drawn(table, rng))
        rows = np.arange(len(clusters))
        if "architectures" in sources:
            rows = np.concatenate([members[one] for one in chosen])
        yield rows, values if "trainings" in sources else means(table)


def _supernets_drawn(count: int, sources: Collection[Source], seed: int, draws: int) -> IntArray:
    """Numbers of supernets, (draws, count); from a generator of their own, so that predictors with
    another number of supernets meet the same architectures and trainings."""
    if "supernets" not in sources:
        return np.tile(np.arange(count), (draws, 1))
    return np.random.default_rng([seed, 1]).integers(count, size=(draws, count))


def _tau_draws(
    scores: FloatArray,
    table: FloatArray,
    clusters: IntArray,
    sources: Collection[Source],
    seed: int,
    draws: int,
) -> FloatArray:
    """Tau-b of each supernet in each draw, (draws, supernets).

    An architecture that is drawn several times is a pair so often, and tied with itself. The sums
    are of small whole numbers, which single precision holds exactly.
    """
    n, m = scores.shape
    ordered = np.sign(scores.T[:, :, None] - scores.T[:, None, :]).reshape(m, n * n)
    ordered = ordered.astype(np.float32)
    untied = np.abs(ordered)
    block = max(1, _MOST_NUMBERS // n**2)
    answer = np.empty((draws, m))
    every = _drawn(table, clusters, sources, seed, draws)
    for at in range(0, draws, block):
        some = list(itertools.islice(every, block))
        times = np.stack([np.bincount(rows, minlength=n) for rows, _ in some])
        values = np.stack([each for _, each in some])
        pairs = (times[:, :, None] * times[:, None, :]).astype(np.float32)
        agreeing = pairs * np.sign(values[:, :, None] - values[:, None, :]).astype(np.float32)
        pairs, agreeing = pairs.reshape(len(some), -1), agreeing.reshape(len(some), -1)
        scale = (pairs @ untied.T).astype(np.float64)
        scale *= np.abs(agreeing).sum(axis=1, dtype=np.float64)[:, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            answer[at : at + block] = (agreeing @ ordered.T) / np.sqrt(scale)
    return answer


def _averaged(
    statistics: Statistics, scores: FloatArray, values: FloatArray, rows: IntArray
) -> dict[str, float]:
    """Each statistic's mean over supernets; one that has no value for any of them is NaN."""
    each = [statistics(column, values, rows) for column in scores.T]
    return {name: float(np.mean([one[name] for one in each])) for name in each[0]}


def _trainings_drawn(table: FloatArray, rng: np.random.Generator) -> FloatArray:
    """For each architecture as many of its trainings as it has, with replacement."""
    order = np.argsort(np.isnan(table), axis=1, kind="stable")  # those that are there come first
    packed = np.take_along_axis(table, order, axis=1)
    times = np.isfinite(table).sum(axis=1)
    picks = np.floor(rng.random(table.shape) * times[:, None]).astype(np.intp)
    answer: FloatArray = np.take_along_axis(packed, picks, axis=1)
    answer[np.arange(table.shape[1]) >= times[:, None]] = np.nan
    return answer


def _around(value: float, drawn: FloatArray, level: float) -> Interval:
    finite = drawn[np.isfinite(drawn)]
    if not len(finite) or not math.isfinite(value):
        return Interval(math.nan, math.nan)
    low, middle, high = np.quantile(finite, [(1 - level) / 2, 0.5, (1 + level) / 2])
    return Interval(float(value + low - middle), float(value + high - middle))
