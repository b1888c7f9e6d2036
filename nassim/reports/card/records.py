"""What a card knows, as frozen records. A number that is not known is NaN, never a guess.

Values are in the store's metric (accuracy as a share), seconds in seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nassim.records import FloatArray, IntArray, Metric

__all__ = [
    "Agreement",
    "Card",
    "DatasetCard",
    "Distribution",
    "Noise",
    "Power",
    "RankCurve",
    "SearchCurve",
]


@dataclass(frozen=True, eq=False)
class Distribution:
    """``percentiles`` (101,): from the least to the greatest of ``n`` values."""

    n: int
    percentiles: FloatArray

    @property
    def minimum(self) -> float:
        return float(self.percentiles[0])

    @property
    def p10(self) -> float:
        return float(self.percentiles[10])

    @property
    def median(self) -> float:
        return float(self.percentiles[50])

    @property
    def p90(self) -> float:
        return float(self.percentiles[90])

    @property
    def maximum(self) -> float:
        return float(self.percentiles[100])


@dataclass(frozen=True)
class Noise:
    """What moves the result of an architecture, on one split.

    - ``pooled``: standard deviation over seeds, pooled over the ``architectures`` that have at
      least two measured runs; the noisiest of them decide it.
    - ``median``: of their deviations, each corrected for its few seeds.
    - ``binomial``: standard deviation of the median architecture's accuracy over draws of as many
      ``examples`` as the split has. More seeds do not make it smaller.
    """

    split: str
    architectures: int
    pooled: float
    median: float
    examples: int
    binomial: float


@dataclass(frozen=True, eq=False)
class RankCurve:
    """How early the ranking is the final one; one run of each architecture, (k,) each.

    - ``rho``: Spearman's correlation of the values at ``epochs`` with the results.
    - ``crossing``: share of pairs whose order then is not their final one.
    - ``settled``: the first epoch from which on ``rho`` stays at 0.9 or more; 0: not known.
    """

    epochs: IntArray
    rho: FloatArray
    crossing: FloatArray
    settled: int

    def at(self, epoch: int) -> tuple[float, float]:
        """``rho`` and ``crossing`` at an epoch; NaN where it was not looked at."""
        found = np.flatnonzero(self.epochs == epoch)
        return (self.rho[found[0]], self.crossing[found[0]]) if len(found) else (math.nan,) * 2


@dataclass(frozen=True, eq=False)
class SearchCurve:
    """Random search without replacement, in closed form, (k,) each.

    ``regret`` is the mean shortfall of the best of ``budgets`` architectures from the best of
    all, ``deviation`` its standard deviation over searches.
    """

    budgets: IntArray
    regret: FloatArray
    deviation: FloatArray

    def at(self, budget: int) -> tuple[float, float]:
        """``regret`` and ``deviation`` of a budget; NaN where there are not so many."""
        found = np.flatnonzero(self.budgets == budget)
        return (self.regret[found[0]], self.deviation[found[0]]) if len(found) else (math.nan,) * 2


@dataclass(frozen=True, eq=False)
class DatasetCard:
    """One dataset under one recipe.

    - ``split``: what a search would see: ``valid`` where measured, else ``merged``, else ``test``.
    - ``scores``, ``test``: over architectures, of their mean results.
    - ``chance``, ``majority``: what guessing gets, and naming the most frequent class.
    - ``apart_pooled``, ``apart_median``: share of architecture pairs whose results differ by more
      than ``1.96 * sqrt(2)`` of either noise: what one run of each can tell apart.
    - ``tau``: Kendall's tau-b of one seed with another, its 95% interval ``tau_low`` to
      ``tau_high``; ``seed_rho``: Spearman's.
    - ``seconds``: of the successful runs that were timed; ``total_seconds`` of all runs. Failed
      ones count in the latter, evaluation in both.
    """

    dataset: str
    group: str
    recipe: str
    n_runs: int
    n_architectures: int
    n_seeds: int
    statuses: dict[str, int]
    epochs: tuple[int, int]
    split: str
    scores: Distribution
    test: Distribution
    chance: float
    majority: float
    noise: Noise
    test_noise: Noise
    apart_pooled: float
    apart_median: float
    tau: float
    tau_low: float
    tau_high: float
    seed_rho: float
    ranking: RankCurve
    search: SearchCurve
    seconds: Distribution
    total_seconds: float

    @property
    def spread(self) -> float:
        """From the 10th to the 90th percentile of the architectures."""
        return self.scores.p90 - self.scores.p10

    def spread_ratio(self, deviation: float) -> float:
        """How many times a deviation the spread is; infinite where there is no noise at all."""
        if deviation == 0:
            return math.inf if self.spread > 0 else math.nan
        return self.spread / deviation


@dataclass(frozen=True, eq=False)
class Agreement:
    """Do datasets rank architectures alike? All arrays are (datasets, datasets).

    - ``rho``: Spearman's correlation of the mean results of the ``shared`` architectures, with its
      95% interval from ``low`` to ``high``.
    - ``ceiling``: the correlation that two equal orders would show, given the noise of seeds.
    - ``mean``, ``mean_ceiling``: over the ``pairs`` pairs of different datasets that were
      correlated; the ceiling is NaN unless known for all of them.
    - ``mean_apart``: of those ``pairs_apart`` whose datasets are of different groups.
    """

    rho: FloatArray
    shared: NDArray[np.int64]
    low: FloatArray
    high: FloatArray
    ceiling: FloatArray
    pairs: int
    mean: float
    mean_ceiling: float
    pairs_apart: int
    mean_apart: float


@dataclass(frozen=True, eq=False)
class Power:
    """What it takes to see a ``gap``, with 80% power at 5%, two-sided.

    Of two methods, which here are independent random searches of ``budgets`` architectures:

    - ``deviations`` (datasets, budgets): of the differences of their regrets.
    - ``orders`` (datasets, budgets): repetitions on that dataset; ``all_orders`` (budgets,): on
      every dataset, for the mean over datasets.
    - ``visible`` (datasets, budgets): the gap that 20 orders show.

    Of two architectures (datasets,):

    - ``seeds_pooled``, ``seeds_median``: runs of each, on the same examples, by either noise.
    - ``resolvable``: the gap that the search split's examples show, for claims about new
      examples, however many the seeds; ``examples``: how many show ``gap``.
    """

    gap: float
    budgets: tuple[int, ...]
    deviations: FloatArray
    orders: FloatArray
    all_orders: FloatArray
    visible: FloatArray
    seeds_pooled: FloatArray
    seeds_median: FloatArray
    resolvable: FloatArray
    examples: FloatArray


@dataclass(frozen=True, eq=False)
class Card:
    """Numbers about a store; :func:`nassim.reports.card.text.card_text` prints them."""

    name: str
    sha: str
    metric: Metric
    n_runs: int
    datasets: tuple[DatasetCard, ...]
    agreement: Agreement
    power: Power

    @property
    def is_share(self) -> bool:
        """Whether values are printed in percent, and differences in percentage points."""
        return self.metric.bounds == (0.0, 1.0)

    @property
    def labels(self) -> list[str]:
        """A name for each of ``datasets``, with the recipe where there are several."""
        names = [group.dataset for group in self.datasets]
        return [
            name if names.count(name) == 1 else f"{name} ({group.recipe})"
            for name, group in zip(names, self.datasets, strict=True)
        ]
