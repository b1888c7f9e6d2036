"""The quality card of a store: what a comparison on it can and cannot show.

Failed runs, missing values and ragged curves are ordinary: a run counts where it has a value.
A run's result is its last measured value; an architecture's, the mean over its seeds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nassim.ranking.correlation import discordant_share, spearman
from nassim.ranking.random_search import expected_best_of
from nassim.records import STATUSES, Metric
from nassim.store.store import RunIndex, Store

__all__ = ["Card", "DatasetCard", "Distribution", "card"]

BUDGETS = (1, 5, 10, 25, 50)  # architectures that a random search trains
EPOCH_SHARES = (0.05, 0.1, 0.25, 0.5)  # beside epoch 1
CROSSING_SHARE = 0.25
FEWEST_SHARED = 5  # architectures, below which datasets are not correlated

FloatMatrix = NDArray[np.float64]


@dataclass(frozen=True)
class Distribution:
    """Results of the architectures, in the store's metric; NaN where there are none."""

    n: int
    minimum: float
    p10: float
    median: float
    p90: float
    maximum: float


@dataclass(frozen=True)
class DatasetCard:
    """One dataset under one recipe. Unknown numbers are NaN.

    - ``split``: what a search would see: ``valid`` where measured, else ``merged``, else ``test``.
    - ``chance``: the share that guessing gets right, where the classes are known.
    - ``noise``: standard deviation over seeds, pooled over the ``noise_architectures`` that have
      at least two.
    - ``distinguishable``: share of architecture pairs whose results differ by more than
      ``1.96 * sqrt(2) * noise``: what one run of each can tell apart.
    - ``random_search``: for each budget the expected shortfall of its best from the best.
    - ``early_ranks``: for each epoch, Spearman's rho of the values then with the results.
    - ``crossing``: share of pairs whose order at ``crossing_epoch`` is not their final one.
    - ``seconds``: of all runs, failed ones and evaluation included.
    """

    dataset: str
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
    noise: float
    noise_architectures: int
    distinguishable: float
    random_search: dict[int, float]
    early_ranks: dict[int, float]
    crossing_epoch: int
    crossing: float
    seconds: float


@dataclass(frozen=True, eq=False)
class Card:
    """Numbers about a store; ``to_text`` prints them.

    ``agreement`` and ``shared`` are ``(len(datasets), len(datasets))``: Spearman's rho between
    the results of the architectures that two datasets share, and how many those are.
    """

    name: str
    sha: str
    metric: Metric
    n_runs: int
    datasets: tuple[DatasetCard, ...]
    agreement: FloatMatrix
    shared: NDArray[np.int64]

    def to_text(self) -> str:
        """The card as tables for a terminal."""
        return _Printer(self).text()


def card(store: Store) -> Card:
    """Compute the card of a store; reads the curves of each dataset once."""
    groups: list[DatasetCard] = []
    results: list[dict[tuple[str, str], float]] = []
    for dataset in store.datasets:
        index = store.index(dataset=dataset.name)
        measured = _Measured(store, dataset.name)
        for recipe in sorted(set(index.recipe)):
            rows = np.flatnonzero(index.recipe == recipe)
            made, by_architecture = _dataset_card(
                index.select(rows), measured.select(rows), store.metric, dataset.classes
            )
            groups.append(made)
            results.append(by_architecture)
    agreement, shared = _agreement(results)
    return Card(store.name, store.sha, store.metric, store.n_runs, tuple(groups), agreement, shared)


class _Measured:
    """The curves of a dataset that the card needs, each ``(runs, max_epochs)``."""

    def __init__(self, store: Store, dataset: str) -> None:
        splits = ("valid", "merged", "test")
        self.scores = {
            split: store.curves(store.metric.column(split), dataset=dataset) for split in splits
        }
        self.seconds = np.stack(
            [
                np.nansum(store.curves(column, dataset=dataset), axis=1, dtype=np.float64)
                for column in ("epoch_seconds", "evaluation_seconds")
            ]
        ).sum(axis=0)

    def select(self, rows: NDArray[np.intp]) -> _Measured:
        part = object.__new__(_Measured)
        part.scores = {split: curves[rows] for split, curves in self.scores.items()}
        part.seconds = self.seconds[rows]
        return part


def _dataset_card(
    index: RunIndex, measured: _Measured, metric: Metric, classes: int
) -> tuple[DatasetCard, dict[tuple[str, str], float]]:
    ok = index.status == "ok"
    split = next((s for s, c in measured.scores.items() if np.isfinite(c[ok]).any()), "valid")
    curves = measured.scores[split][ok]
    results = _last_finite(curves)
    points = list(zip(index.space[ok].tolist(), index.architecture[ok].tolist(), strict=True))
    numbers = {point: number for number, point in enumerate(dict.fromkeys(points))}
    member = np.array([numbers[point] for point in points], np.intp)

    means = _means(results, member, len(numbers))
    noise, noise_architectures = _pooled_deviation(results, member, means)
    first = np.unique(member, return_index=True)[1]  # one run of each architecture: lowest seed
    longest = int(index.epochs[ok].max(initial=0))
    crossing_epoch = _at_share(CROSSING_SHARE, longest)
    known = means[np.isfinite(means)]
    made = DatasetCard(
        dataset=index.dataset[0],
        recipe=index.recipe[0],
        n_runs=len(index),
        n_architectures=len(set(zip(index.space, index.architecture, strict=True))),
        n_seeds=len(np.unique(index.seed)),
        statuses={s: int((index.status == s).sum()) for s in STATUSES if s in index.status},
        epochs=(int(index.epochs[ok].min(initial=longest)), longest),
        split=split,
        scores=_distribution(known),
        test=_distribution(_means(_last_finite(measured.scores["test"][ok]), member, len(numbers))),
        chance=1 / classes if classes > 0 and metric.name == "accuracy" else math.nan,
        noise=noise,
        noise_architectures=noise_architectures,
        distinguishable=_distinguishable(known, noise),
        random_search=_random_search(known, metric),
        early_ranks={
            epoch: spearman(curves[first, epoch - 1], results[first])
            for epoch in sorted({1, *(_at_share(share, longest) for share in EPOCH_SHARES)})
            if epoch < longest
        },
        crossing_epoch=crossing_epoch,
        crossing=discordant_share(curves[first, crossing_epoch - 1], results[first])
        if 0 < crossing_epoch < longest
        else math.nan,
        seconds=float(measured.seconds.sum()) or math.nan,
    )
    return made, dict(zip(numbers, means.tolist(), strict=True))


def _last_finite(curves: NDArray[np.float32]) -> FloatMatrix:
    """The last measured value of each curve ``(runs, epochs)``; NaN where there is none."""
    finite = np.isfinite(curves)
    results = np.full(len(curves), np.nan)
    some = finite.any(axis=1)
    last = curves.shape[1] - 1 - np.argmax(finite[some, ::-1], axis=1) if some.any() else []
    results[some] = curves[some, last]
    return results


def _means(results: FloatMatrix, member: NDArray[np.intp], n: int) -> FloatMatrix:
    """The mean result of each of ``n`` architectures over its measured runs."""
    known = np.isfinite(results)
    totals = np.bincount(member[known], results[known], minlength=n)
    counts = np.bincount(member[known], minlength=n)
    return np.where(counts > 0, totals / np.maximum(counts, 1), np.nan)


def _pooled_deviation(
    results: FloatMatrix, member: NDArray[np.intp], means: FloatMatrix
) -> tuple[float, int]:
    """Standard deviation within architectures, and how many have at least two runs."""
    known = np.isfinite(results)
    counts = np.bincount(member[known], minlength=len(means))
    freedom = int(np.maximum(counts - 1, 0).sum())
    if freedom == 0:
        return math.nan, 0
    squares = float(((results[known] - means[member[known]]) ** 2).sum())
    return math.sqrt(squares / freedom), int((counts > 1).sum())


def _distribution(values: FloatMatrix) -> Distribution:
    known = values[np.isfinite(values)]
    if len(known) == 0:
        return Distribution(0, *[math.nan] * 5)
    return Distribution(len(known), *np.percentile(known, [0, 10, 50, 90, 100]).tolist())


def _distinguishable(values: FloatMatrix, noise: float) -> float:
    n = len(values)
    if n < 2 or math.isnan(noise):
        return math.nan
    ordered = np.sort(values)
    beyond = n - np.searchsorted(ordered, ordered + 1.96 * math.sqrt(2) * noise, side="right")
    return float(beyond.sum()) / (n * (n - 1) / 2)


def _random_search(values: FloatMatrix, metric: Metric) -> dict[int, float]:
    merits = metric.sign * values
    return {
        budget: max(0.0, float(merits.max()) - expected_best_of(merits, budget))
        for budget in BUDGETS
        if budget <= len(merits)
    }


def _at_share(share: float, longest: int) -> int:
    return min(longest, max(1, round(share * longest)))


def _agreement(
    results: Sequence[dict[tuple[str, str], float]],
) -> tuple[FloatMatrix, NDArray[np.int64]]:
    agreement = np.full((len(results), len(results)), np.nan)
    shared = np.zeros((len(results), len(results)), np.int64)
    for a, left in enumerate(results):
        for b, right in enumerate(results):
            pairs = [(left[p], right[p]) for p in left if p in right]
            values = np.array([pair for pair in pairs if not math.isnan(sum(pair))])
            shared[a, b] = len(values)
            if len(values) >= FEWEST_SHARED:
                agreement[a, b] = spearman(values[:, 0], values[:, 1])
    return agreement, shared


class _Printer:
    """The card as text. Shares are printed in percent, other metrics as they are."""

    def __init__(self, card: Card) -> None:
        self._card = card
        self._share = card.metric.bounds == (0.0, 1.0)
        recipes_of = [group.dataset for group in card.datasets]
        self._labels = [
            group.dataset
            if recipes_of.count(group.dataset) == 1
            else f"{group.dataset} ({group.recipe})"
            for group in card.datasets
        ]

    def text(self) -> str:
        card, metric = self._card, self._card.metric
        better = "higher" if metric.higher_is_better else "lower"
        n = len({group.dataset for group in card.datasets})
        head = (
            f"Store {card.name}, {card.n_runs} runs on {n} dataset{'s' * (n != 1)}; "
            f"{metric.name}, {better} is better\nsha {card.sha}"
        )
        if not card.datasets:
            return f"{head}\n\nNo runs yet.\n"
        parts = [self._runs(), self._results(), self._noise(), self._search(), self._early()]
        if len(card.datasets) > 1:
            parts.append(self._agreement())
        return "\n\n".join([head, *parts]) + "\n"

    def _runs(self) -> str:
        header = ["", "runs", "architectures", "seeds", "epochs", "ok", "not ok", "hours"]
        rows = []
        for group in self._card.datasets:
            failed = [f"{n} {status}" for status, n in group.statuses.items() if status != "ok"]
            low, high = group.epochs
            rows.append(
                [
                    str(group.n_runs),
                    str(group.n_architectures),
                    str(group.n_seeds),
                    str(high) if low == high else f"{low}-{high}",
                    str(group.statuses.get("ok", 0)),
                    ", ".join(failed) or "0",
                    _number(group.seconds / 3600, 2),
                ]
            )
        return self._block("Runs", header, rows)

    def _results(self) -> str:
        unit = ", in percent" if self._share else ""
        header = ["", "split", "n", "chance", "min", "p10", "median", "p90", "max"]
        labels, rows = [], []
        for label, group in zip(self._labels, self._card.datasets, strict=True):
            splits = {group.split: group.scores} | {"test": group.test}
            for split, found in splits.items():
                spread = (found.minimum, found.p10, found.median, found.p90, found.maximum)
                values = [self._value(value) for value in (group.chance, *spread)]
                labels.append(label)
                rows.append([split, str(found.n), *values])
        return self._block(f"Results over architectures{unit}", header, rows, labels)

    def _noise(self) -> str:
        unit = " (pp)" if self._share else ""
        header = ["", f"s.d.{unit}", "architectures with 2+ seeds", "pairs told apart"]
        rows = [
            [
                self._value(group.noise, 3),
                str(group.noise_architectures),
                _number(100 * group.distinguishable, 1, "%"),
            ]
            for group in self._card.datasets
        ]
        title = "Seed noise, and the share of pairs that differ by more than 1.96 sqrt(2) s.d."
        return self._block(title, header, rows)

    def _search(self) -> str:
        unit = ", in percentage points" if self._share else ""
        rows = [
            [self._value(group.random_search.get(budget, math.nan), 3) for budget in BUDGETS]
            for group in self._card.datasets
        ]
        title = f"Random search: expected regret after so many architectures{unit}"
        return self._block(title, ["", *map(str, BUDGETS)], rows)

    def _early(self) -> str:
        shares = [f"{share:.0%} of epochs" for share in EPOCH_SHARES]
        rows = []
        for group in self._card.datasets:
            longest = group.epochs[1]
            epochs = [1, *(_at_share(share, longest) for share in EPOCH_SHARES)]
            rhos = [_number(group.early_ranks.get(epoch, math.nan), 2) for epoch in epochs]
            rows.append([*rhos, _number(100 * group.crossing, 1, "%")])
        title = (
            "Rank correlation (Spearman) of early values with results, and pairs that change order "
            f"after {CROSSING_SHARE:.0%} of the epochs"
        )
        return self._block(title, ["", "epoch 1", *shares, "crossing"], rows)

    def _agreement(self) -> str:
        rows = [
            [
                f"{_number(rho, 2)} ({n})"
                for rho, n in zip(rhos.tolist(), counts.tolist(), strict=True)
            ]
            for rhos, counts in zip(self._card.agreement, self._card.shared, strict=True)
        ]
        title = (
            "Rank correlation (Spearman) between datasets, and the number of architectures shared "
            f"(n/a below {FEWEST_SHARED})"
        )
        return self._block(title, ["", *self._labels], rows)

    def _block(
        self,
        title: str,
        header: list[str],
        rows: list[list[str]],
        labels: list[str] | None = None,
    ) -> str:
        cells = [header] + [
            [label, *row] for label, row in zip(labels or self._labels, rows, strict=True)
        ]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [
            "  ".join(
                cell.rjust(width) if at else cell.ljust(width)
                for at, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
            for line in cells
        ]
        return "\n".join([title, *(f"  {line}".rstrip() for line in lines)])

    def _value(self, value: float, digits: int = 2) -> str:
        return _number(100 * value, digits) if self._share else _number(value, digits + 1)


def _number(value: float, digits: int, unit: str = "") -> str:
    return "n/a" if math.isnan(value) else f"{value:.{digits}f}{unit}"
