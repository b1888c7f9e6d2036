"""Computes a card from arrays.

Failed runs, missing values and ragged curves are ordinary: a run counts where it has a value.
A run's result is its last measured value; an architecture's, the mean over its seeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nassim.errors import InputError
from nassim.ranking import power, seeds
from nassim.ranking.correlation import discordant_share, spearman, spearman_interval
from nassim.ranking.random_search import deviation_of_best, expected_best_of
from nassim.records import STATUSES, Dataset, FloatArray, IntArray, Metric
from nassim.reports.card.records import (
    Agreement,
    Card,
    DatasetCard,
    Distribution,
    Noise,
    Power,
    RankCurve,
    SearchCurve,
)

__all__ = ["BUDGETS", "EPOCH_SHARES", "ORDERS", "Recorded", "at_share", "card_table"]

BUDGETS = (1, 5, 10, 25, 50)  # architectures that a random search trains
POWER_BUDGETS = (5, 10, 25, 50)
ORDERS = 20  # of 'nassim terminate', where nothing else is asked for
EPOCH_SHARES = (0.05, 0.1, 0.25, 0.5)  # beside epoch 1
MOST_EPOCHS = 250  # of a curve at which rankings are compared; of more, evenly spaced ones
MOST_CROSSED = 2000  # architectures whose pairs are compared; of more, evenly spaced ones
SETTLED = 0.9


@dataclass(frozen=True, eq=False)
class Recorded:
    """What a store recorded on one dataset under one recipe; the first axis is runs.

    ``architecture`` holds the same number for the same architecture on all datasets; the runs
    of each are in the order of their seeds. ``scores`` maps ``valid``, ``merged`` and ``test`` to
    curves (runs, epochs), NaN where not measured. ``seconds`` is 0 where no time was.
    """

    dataset: Dataset
    recipe: str
    architecture: IntArray
    seed: IntArray
    status: NDArray[np.object_]
    epochs: IntArray
    scores: dict[str, FloatArray]
    seconds: FloatArray


@dataclass(frozen=True, eq=False)
class _Results:
    """Of a dataset's architectures, (architectures,): number, mean result, measured runs."""

    architecture: IntArray
    means: FloatArray
    runs: IntArray


def card_table(
    name: str, sha: str, metric: Metric, recorded: Iterable[Recorded], *, gap: float
) -> Card:
    """The card of a store that recorded this; ``gap`` is what its power is computed for.

    Raises
    ------
    InputError
        if the gap is not a number above 0.
    """
    if not 0 < gap < math.inf:
        raise InputError(f"The gap is {gap}; expected a number above 0.")
    datasets, results = [], []
    for each in recorded:
        made, by_architecture = _dataset_card(each, metric)
        datasets.append(made)
        results.append(by_architecture)
    return Card(
        name=name,
        sha=sha,
        metric=metric,
        n_runs=sum(made.n_runs for made in datasets),
        datasets=tuple(datasets),
        agreement=_agreement(datasets, results),
        power=_power(datasets, metric, gap),
    )


def _dataset_card(recorded: Recorded, metric: Metric) -> tuple[DatasetCard, _Results]:
    ok = recorded.status == "ok"
    scores = {split: curves[ok] for split, curves in recorded.scores.items()}
    split = next((s for s, curves in scores.items() if np.isfinite(curves).any()), "valid")
    curves = scores[split]
    results = seeds.last_measured(curves)
    numbers, first, member = np.unique(
        recorded.architecture[ok], return_index=True, return_inverse=True
    )
    table = seeds.repeats(results, member, len(numbers))
    test_table = seeds.repeats(seeds.last_measured(scores["test"]), member, len(numbers))
    means, test_means = seeds.means(table), seeds.means(test_table)
    noise = _noise(table, means, split, recorded.dataset, metric)
    agreement = seeds.seed_agreement(table)
    longest = int(recorded.epochs[ok].max(initial=0))
    seconds = recorded.seconds[ok]
    classes = recorded.dataset.classes
    made = DatasetCard(
        dataset=recorded.dataset.name,
        group=recorded.dataset.group,
        recipe=recorded.recipe,
        n_runs=len(recorded.seed),
        n_architectures=len(np.unique(recorded.architecture)),
        n_seeds=len(np.unique(recorded.seed)),
        statuses={s: int((recorded.status == s).sum()) for s in STATUSES if s in recorded.status},
        epochs=(int(recorded.epochs[ok].min(initial=longest)), longest),
        split=split,
        scores=_distribution(means),
        test=_distribution(test_means),
        chance=_guessing(1 / classes if classes > 0 else math.nan, metric),
        majority=_guessing(recorded.dataset.majority or math.nan, metric),
        noise=noise,
        test_noise=_noise(test_table, test_means, "test", recorded.dataset, metric),
        apart_pooled=_share_apart(means, noise.pooled),
        apart_median=_share_apart(means, noise.median),
        tau=agreement.tau,
        tau_low=agreement.low,
        tau_high=agreement.high,
        seed_rho=agreement.rho,
        ranking=_rank_curve(curves[first], results[first], longest),
        search=_search_curve(metric.sign * means[np.isfinite(means)]),
        seconds=_distribution(np.where(seconds > 0, seconds, np.nan)),
        total_seconds=float(recorded.seconds.sum()) or math.nan,
    )
    return made, _Results(numbers, means, seeds.counts(table))


def _distribution(values: FloatArray) -> Distribution:
    known = values[np.isfinite(values)]
    if len(known) == 0:
        return Distribution(0, np.full(101, np.nan))
    return Distribution(len(known), np.percentile(known, np.arange(101)))


def _guessing(share: float, metric: Metric) -> float:
    """The share that a guess gets right, in the metric; NaN where that does not count hits."""
    if not _counts_hits(metric):
        return math.nan
    return share if metric.higher_is_better else 1 - share


def _counts_hits(metric: Metric) -> bool:
    """Whether a value is the share of examples that are (or are not) hit, and so binomial."""
    return metric.name in ("accuracy", "error") and metric.bounds == (0.0, 1.0)


def _noise(
    table: FloatArray, means: FloatArray, split: str, dataset: Dataset, metric: Metric
) -> Noise:
    examples = {"valid": dataset.n_valid, "test": dataset.n_test}.get(split, 0)
    hits = _hits(_distribution(means).median, metric)
    binomial = math.sqrt(hits * (1 - hits) / examples) if examples else math.nan
    return Noise(
        split,
        int((seeds.counts(table) > 1).sum()),
        seeds.pooled_deviation(table),
        seeds.median_deviation(table),
        examples,
        binomial,
    )


def _hits(value: float, metric: Metric) -> float:
    """The value where it is a share of examples, else NaN."""
    return value if _counts_hits(metric) and 0 <= value <= 1 else math.nan


def _share_apart(values: FloatArray, noise: float) -> float:
    known = np.sort(values[np.isfinite(values)])
    n = len(known)
    if n < 2 or math.isnan(noise):
        return math.nan
    beyond = n - np.searchsorted(known, known + 1.96 * math.sqrt(2) * noise, side="right")
    return float(beyond.sum()) / (n * (n - 1) / 2)


def at_share(share: float, longest: int) -> int:
    """The epoch after this share of them."""
    return min(longest, max(1, round(share * longest)))


def _rank_curve(curves: FloatArray, results: FloatArray, longest: int) -> RankCurve:
    marks = {1, *(at_share(share, longest) for share in EPOCH_SHARES)} if longest else set()
    every = np.linspace(1, longest, min(longest, MOST_EPOCHS)).round().astype(np.int64)
    epochs = np.array(sorted({*every.tolist(), *marks}), np.int64)
    n = len(curves)
    some = np.linspace(0, max(0, n - 1), min(n, MOST_CROSSED)).round().astype(np.int64)
    rho, crossing = np.full((2, len(epochs)), np.nan)
    for at, epoch in enumerate(epochs):
        values = curves[:, epoch - 1]
        if np.isfinite(values + results).sum() >= seeds.FEWEST:
            rho[at] = spearman(values, results)
            crossing[at] = discordant_share(values[some], results[some])
    measured = np.isfinite(rho)
    settled = 0
    if measured.sum() > 1:
        below = np.flatnonzero(rho[measured] < SETTLED)
        stays = epochs[measured][below[-1] + 1 if len(below) else 0 :]
        settled = int(stays[0]) if len(stays) else 0
    return RankCurve(epochs, rho, crossing, settled)


def _search_curve(merits: FloatArray) -> SearchCurve:
    """Of results of which higher is better, (architectures,)."""
    n = len(merits)
    spaced = np.geomspace(1, n, 40).round().astype(np.int64).tolist() if n else []
    budgets = sorted({*spaced, *(budget for budget in BUDGETS if budget <= n)})
    best = float(merits.max(initial=-math.inf))
    return SearchCurve(
        np.array(budgets, np.int64),
        np.array([max(0.0, best - expected_best_of(merits, k)) for k in budgets]),
        np.array([deviation_of_best(merits, k) for k in budgets]),
    )


def _agreement(datasets: Sequence[DatasetCard], results: Sequence[_Results]) -> Agreement:
    size = len(datasets)
    rho, low, high, ceiling = np.full((4, size, size), np.nan)
    shared = np.zeros((size, size), np.int64)
    for a in range(size):
        for b in range(a, size):
            _, at_a, at_b = np.intersect1d(
                results[a].architecture, results[b].architecture, True, True
            )
            both = np.isfinite(results[a].means[at_a] + results[b].means[at_b])
            at_a, at_b = at_a[both], at_b[both]
            shared[a, b] = shared[b, a] = n = len(at_a)
            if n < seeds.FEWEST:
                continue
            found = spearman(results[a].means[at_a], results[b].means[at_b])
            rho[a, b] = rho[b, a] = found
            if a != b:
                low[a, b], high[a, b] = low[b, a], high[b, a] = spearman_interval(found, n)
                ceiling[a, b] = ceiling[b, a] = math.sqrt(
                    seeds.reliability(datasets[a].seed_rho, float(results[a].runs[at_a].mean()))
                    * seeds.reliability(datasets[b].seed_rho, float(results[b].runs[at_b].mean()))
                )
    names, groups = (
        np.array([getattr(made, name) for made in datasets], object)
        for name in ("dataset", "group")
    )
    counted = np.triu(np.isfinite(rho), 1) & (names[:, None] != names)
    apart = counted & (groups[:, None] != groups)
    return Agreement(
        rho,
        shared,
        low,
        high,
        ceiling,
        pairs=int(counted.sum()),
        mean=_mean(rho[counted]),
        mean_ceiling=_mean(ceiling[counted]),
        pairs_apart=int(apart.sum()),
        mean_apart=_mean(rho[apart]),
    )


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if len(values) else math.nan


def _power(datasets: Sequence[DatasetCard], metric: Metric, gap: float) -> Power:
    deviations = np.full((len(datasets), len(POWER_BUDGETS)), np.nan)
    for d, made in enumerate(datasets):
        for b, budget in enumerate(POWER_BUDGETS):
            if budget < made.scores.n:  # else every search finds the best
                deviations[d, b] = math.sqrt(2) * made.search.at(budget)[1]
    # orders on each dataset add up, and the datasets are the ones that there are
    of_mean = (
        np.sqrt((deviations**2).sum(axis=0)) / len(datasets) if datasets else deviations.sum(0)
    )
    typical = [_hits(made.scores.median, metric) for made in datasets]
    return Power(
        gap=gap,
        budgets=POWER_BUDGETS,
        deviations=deviations,
        orders=_each(lambda deviation: power.repetitions_needed(deviation, gap), deviations),
        all_orders=_each(lambda deviation: power.repetitions_needed(deviation, gap), of_mean),
        visible=_each(lambda deviation: power.detectable_gap(deviation, ORDERS), deviations),
        seeds_pooled=np.array([power.runs_needed(made.noise.pooled, gap) for made in datasets]),
        seeds_median=np.array([power.runs_needed(made.noise.median, gap) for made in datasets]),
        resolvable=np.array(
            [
                power.resolvable_gap(accuracy, made.noise.examples)
                for accuracy, made in zip(typical, datasets, strict=True)
            ]
        ),
        examples=np.array([power.examples_needed(accuracy, gap) for accuracy in typical]),
    )


def _each(needed: Callable[[float], float], deviations: FloatArray) -> FloatArray:
    return np.array([needed(float(each)) for each in deviations.ravel()]).reshape(deviations.shape)
