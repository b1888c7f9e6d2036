"""Intervals of a ranking: architectures, their trainings and the supernets are all drawn anew."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np

from nassim.errors import InputError
from nassim.ranking.intervals import Interval
from nassim.ranking.scores import Statistics
from nassim.ranking.seeds import means
from nassim.records import FloatArray, IntArray

__all__ = [
    "SOURCES",
    "Contrast",
    "Drawn",
    "Source",
    "clustered_draws",
    "clustered_intervals",
    "contrast",
]

Source = Literal["architectures", "trainings", "supernets"]
SOURCES: tuple[Source, ...] = get_args(Source)
DRAWS = 1000


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
    n = len(clusters)
    if scores.shape[:1] != (n,) or table.shape[:1] != (n,) or scores.ndim != 2 or table.ndim != 2:
        raise InputError(
            f"Scores of shape {scores.shape} and results of shape {table.shape} do not fit "
            f"{n} architectures; expected (architectures, supernets) and (architectures, seeds)."
        )
    if unknown := [source for source in sources if source not in SOURCES]:
        raise InputError(f"{unknown[0]!r} cannot be drawn; expected {', '.join(SOURCES)}.")
    whole = _averaged(statistics, scores, means(table), np.arange(n))
    members = [np.flatnonzero(clusters == one) for one in np.unique(clusters)]
    rng = np.random.default_rng(seed)
    drawn: dict[str, list[float]] = {name: [] for name in whole}
    for _ in range(draws):
        # all three are drawn each time, so that one source alone gives the same draws
        chosen = rng.integers(len(members), size=len(members))
        redrawn = means(_trainings_drawn(table, rng))
        supernets = rng.integers(scores.shape[1], size=scores.shape[1])
        rows = np.arange(n)
        if "architectures" in sources:
            rows = np.concatenate([members[one] for one in chosen])
        values = redrawn if "trainings" in sources else means(table)
        used = scores[:, supernets] if "supernets" in sources else scores
        found = _averaged(statistics, used[rows], values[rows], rows)
        for name, value in found.items():
            drawn[name].append(value)
    return {name: Drawn(whole[name], np.array(drawn[name])) for name in whole}


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
