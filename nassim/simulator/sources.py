"""Where replayed curves come from: a table of recorded runs of one dataset.

A :class:`TableSource` holds validation curves and seconds, never a test value. A :class:`Replay`
is the table with one recorded run chosen for each candidate (a store may hold several training
seeds), prepared for fast look-ups; many searches share it, and the estimates made on it. Other
sources of curves are other kinds of :class:`Replayable`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal
from weakref import WeakKeyDictionary

import numpy as np

from nassim.errors import ContractError, InputError
from nassim.optimizers.base import Candidates
from nassim.records import (
    ACCURACY,
    Architecture,
    Dataset,
    FloatArray,
    Incumbent,
    IntArray,
    Metric,
    Prefixes,
    SourceTask,
)
from nassim.terminators.base import Estimator

__all__ = ["Quality", "Replay", "Replayable", "TableSource", "entries"]

Quality = Literal["max", "final"]


class TableSource:
    """The recorded runs of one dataset: R runs of N candidates, T epochs.

    Parameters
    ----------
    dataset
        What was trained on.
    architectures
        The N candidates.
    candidate
        (R,) the candidate of each run; every candidate has at least one.
    curves
        (R, T) validation values in the store's metric, NaN where not measured and past the end.
    seconds
        (R, T) measured training seconds of each epoch.
    lengths
        (R,) epochs of each run; 0 for a run that failed in its first epoch.
    failed
        (R,) runs that ended badly (diverged, out of memory, ...).
    quality
        What a run is worth, m: its best (``"max"``) or last (``"final"``) validation value. A
        failed run is worth as much as guessing: 1 / classes, or the worst value of the table
        where the number of classes is not known.

    Raises
    ------
    InputError
        if seconds are missing or not positive, a candidate has no run, or nothing was measured.
    """

    def __init__(
        self,
        dataset: Dataset,
        architectures: Sequence[Architecture],
        candidate: IntArray,
        curves: FloatArray,
        seconds: FloatArray,
        lengths: IntArray,
        failed: np.ndarray,
        *,
        metric: Metric = ACCURACY,
        quality: Quality = "max",
        n_params: IntArray | None = None,
        flops: IntArray | None = None,
    ) -> None:
        n, (n_runs, n_epochs) = len(architectures), curves.shape
        past_end = np.arange(n_epochs) >= lengths[:, None]
        seconds = np.asarray(seconds, np.float64)
        if not bool((past_end | (seconds > 0)).all()):  # False for NaN too
            row, epoch = np.argwhere(~(past_end | (seconds > 0)))[0]
            raise InputError(
                f"Epoch {epoch + 1} of a run of {architectures[int(candidate[row])].id!r} on "
                f"{dataset.name!r} took {seconds[row, epoch]} seconds; expected a positive number. "
                "Import the table with measured seconds, or without a seconds column at all."
            )
        if missing := set(range(n)) - set(candidate.tolist()):
            raise InputError(
                f"Candidate {architectures[min(missing)].id!r} has no run on {dataset.name!r}."
            )
        self.dataset = dataset
        self.architectures = tuple(architectures)
        self.candidate = np.asarray(candidate, np.intp)
        self.metric = metric
        self.max_epochs = n_epochs
        self.lengths = np.asarray(lengths, np.intp)
        self.failed = np.asarray(failed, bool)
        self.n_params = np.zeros(n_runs, np.int64) if n_params is None else n_params
        self.flops = np.zeros(n_runs, np.int64) if flops is None else flops
        self.values = _carried_forward(metric.sign * np.asarray(curves, np.float64))
        self.values[past_end & self.failed[:, None]] = -np.inf
        self.cumulative = np.zeros((n_runs, n_epochs + 1))  # seconds; flat past a run's end
        np.cumsum(np.where(past_end, 0.0, seconds), axis=1, out=self.cumulative[:, 1:])
        self.qualities = self._qualities(quality)
        # (R, T) what a run would be worth if it ended at an epoch
        self.standing = (
            np.maximum.accumulate(self.values, axis=1) if quality == "max" else self.values
        )
        self.runs_of: list[IntArray] = [np.flatnonzero(self.candidate == c) for c in range(n)]
        self.first_runs: IntArray = np.array([runs[0] for runs in self.runs_of])
        totals = np.array([self.qualities[runs].mean() for runs in self.runs_of])
        self.candidate_qualities: FloatArray = totals  # (N,), mean over training seeds
        self._estimates: WeakKeyDictionary[Estimator, dict[int, FloatArray]] = WeakKeyDictionary()
        self._probabilities: WeakKeyDictionary[Estimator, dict[tuple[int, int], FloatArray]]
        self._probabilities = WeakKeyDictionary()

    def _qualities(self, quality: Quality) -> FloatArray:
        ok = ~self.failed & (self.lengths > 0)
        ends = self.values[np.arange(len(self.values)), np.maximum(self.lengths, 1) - 1]
        best = self.values.max(axis=1, where=ok[:, None], initial=-np.inf)
        qualities = np.where(ok, best if quality == "max" else ends, -np.inf)
        measured = np.isfinite(qualities)
        if not measured.any():
            raise InputError(
                f"No run on {self.dataset.name!r} has a finite validation value; nothing to replay."
            )
        if self.metric.name == "accuracy" and self.dataset.classes > 0:
            guess = 1 / self.dataset.classes
        else:
            guess = float(qualities[measured].min())
        return np.where(measured, qualities, guess)

    def choose(self, rng: np.random.Generator | None) -> IntArray:
        """One run for each candidate, (N,): drawn, or the lowest seed without a generator."""
        if rng is None:
            return self.first_runs
        return np.array([runs[int(rng.integers(len(runs)))] for runs in self.runs_of])

    def total_seconds(self) -> float:
        """Seconds to train every candidate fully; the mean over its runs where it has several."""
        full = self.cumulative[:, -1]
        return float(np.cumsum([full[runs].mean() for runs in self.runs_of])[-1])

    def estimates(self, estimator: Estimator, epoch: int) -> FloatArray:
        """What an estimator says of every run after ``epoch`` epochs, (R, k), NaN for a run that
        was over before. Remembered as long as the estimator lives, so fit it before this; those
        that differ in their rule alone share what is said.

        The estimator is handed beginnings that all end at this epoch, so it cannot look further.
        """
        remembered = self._estimates.setdefault(estimator.source, {})
        if epoch not in remembered:
            alive = np.flatnonzero(self.lengths >= epoch)
            prefixes = Prefixes(
                tuple(self.architectures[self.candidate[run]] for run in alive),
                self.values[alive, :epoch],
                self.n_params[alive],
                self.flops[alive],
                self.max_epochs,
                self.metric,
            )
            answer = np.asarray(estimator.estimate(prefixes), np.float64)
            if answer.ndim not in (1, 2) or len(answer) != len(alive):
                raise ContractError(
                    f"{type(estimator).__name__}.estimate returned shape {answer.shape} for "
                    f"{len(alive)} runs; expected ({len(alive)},) or ({len(alive)}, k)."
                )
            answer = answer.reshape(len(alive), -1)
            estimates = np.full((len(self.lengths), answer.shape[1]), np.nan)
            estimates[alive] = answer
            remembered[epoch] = estimates
        return remembered[epoch]

    def probabilities(self, estimator: Estimator, epoch: int, incumbent: int) -> FloatArray:
        """p(better than the run ``incumbent``) of every run after ``epoch`` epochs, (R,).

        Made in one batch and remembered, as the estimates are: a thousand orders, and all rules of
        an estimator, cost what one costs.
        """
        remembered = self._probabilities.setdefault(estimator.source, {})
        known = remembered.get((epoch, incumbent))
        if known is None:
            estimates = self.estimates(estimator, epoch)
            reference = Incumbent(float(self.qualities[incumbent]), estimates[incumbent])
            known = estimator.probability(estimates, reference)
            if known.shape != (len(estimates),):
                raise ContractError(
                    f"{type(estimator).__name__}.probability returned shape {known.shape}; "
                    f"expected ({len(estimates)},), one number a run."
                )
            remembered[epoch, incumbent] = known
        return known

    @property
    def has_several_runs(self) -> bool:
        return len(self.candidate) > len(self.architectures)


class Replayable(ABC):
    """Runs that can be replayed, numbered as the candidates of a search; T epochs at most.

    ``..._array`` are arrays; the same without it serves single entries fast, as Python numbers:
    ``values[run, epoch - 1]`` and ``cumulative[run, epoch]`` (memory views, which cost nothing to
    make), ``lengths[run]``, ``completes[run]``, ``qualities[run]`` (lists).
    """

    dataset: Dataset
    metric: Metric
    max_epochs: int  # T
    values_array: FloatArray  # (N, T), higher is better
    values: memoryview[float]
    standing_array: FloatArray  # (N, T) what a run is worth so far; read where a search listens
    standing: memoryview[float]
    cumulative_array: FloatArray  # (N, T + 1) seconds
    cumulative: memoryview[float]
    lengths_array: IntArray  # (N,)
    lengths: list[int]
    shortest: int  # before this epoch no run ends
    completes_array: np.ndarray  # (N,) whether it ends well, with a value
    completes: list[bool]
    qualities_array: FloatArray  # (N,)
    qualities: list[float]
    n_params: IntArray  # (N,)
    flops: IntArray  # (N,)

    @property
    @abstractmethod
    def architectures(self) -> tuple[Architecture, ...]:
        """The N candidates."""

    @abstractmethod
    def candidates(self) -> Candidates:
        """What a search may propose."""

    @abstractmethod
    def probabilities(self, estimator: Estimator, epoch: int, incumbent: int) -> list[float]:
        """p(better than the incumbent) of every candidate after ``epoch`` epochs."""

    def grow(self) -> None:
        """Take in the candidates that have been named since; a table has no others."""
        return

    def as_source(self, runs: IntArray) -> SourceTask:
        """These candidates' runs, (runs,), as a source dataset; their seeds are not told: 0."""
        lengths = self.lengths_array[runs]
        past_end = np.arange(self.max_epochs) >= lengths[:, None]
        architectures = self.architectures
        return SourceTask(
            dataset=self.dataset,
            architectures=tuple(architectures[run] for run in runs.tolist()),
            seeds=np.zeros(len(runs), np.int64),
            curves=np.where(past_end, np.nan, self.values_array[runs]),
            lengths=lengths,
            values=self.qualities_array[runs],
            failed=~self.completes_array[runs],
            seconds=np.where(past_end, np.nan, np.diff(self.cumulative_array[runs], axis=1)),
            n_params=self.n_params[runs],
            flops=self.flops[runs],
        )


class Replay(Replayable):
    """A table with one run for each candidate, prepared for a loop."""

    def __init__(self, table: TableSource, chosen: IntArray | None = None) -> None:
        runs = table.choose(None) if chosen is None else chosen
        self.table = table
        self.dataset = table.dataset
        self.metric = table.metric
        self.max_epochs = table.max_epochs
        self.values_array = _rows(table.values, runs)
        self.values = entries(self.values_array)
        self.standing_array = _rows(table.standing, runs)
        self.standing = entries(self.standing_array)
        self.cumulative_array = _rows(table.cumulative, runs)
        self.cumulative = entries(self.cumulative_array)
        self.lengths_array = table.lengths[runs]
        self.lengths = self.lengths_array.tolist()
        self.shortest = min(self.lengths)
        # a run that ended well, but of which nothing was measured, is no result either
        self.completes_array = ~table.failed[runs] & np.isfinite(self.values_array[:, -1])
        self.completes = self.completes_array.tolist()
        self.qualities_array = table.qualities[runs]
        self.qualities = self.qualities_array.tolist()
        self.n_params = table.n_params[runs]
        self.flops = table.flops[runs]
        self._runs = runs
        self._probabilities: WeakKeyDictionary[Estimator, dict[tuple[int, int], list[float]]]
        self._probabilities = WeakKeyDictionary()

    @property
    def architectures(self) -> tuple[Architecture, ...]:
        return self.table.architectures

    def candidates(self) -> Candidates:
        return Candidates(self.table.architectures)

    def probabilities(self, estimator: Estimator, epoch: int, incumbent: int) -> list[float]:
        """p(better than the incumbent) of every candidate after ``epoch`` epochs."""
        remembered = self._probabilities.setdefault(estimator.source, {})
        known = remembered.get((epoch, incumbent))
        if known is None:
            of_all = self.table.probabilities(estimator, epoch, int(self._runs[incumbent]))
            known = remembered[epoch, incumbent] = of_all[self._runs].tolist()
        return known


def _rows(values: FloatArray, rows: IntArray) -> FloatArray:
    """These rows; no copy if they are all, as where every candidate has one run."""
    return values if np.array_equal(rows, np.arange(len(values))) else values[rows]


def entries(values: FloatArray) -> memoryview[float]:
    """A view that gives single entries faster than the array does, and as Python numbers."""
    return memoryview(values)  # type: ignore[arg-type]  # an array is a buffer


def _carried_forward(values: FloatArray) -> FloatArray:
    """Each row with its last measured value carried forward, -inf before the first."""
    measured = np.isfinite(values)
    last = np.where(measured, np.arange(values.shape[1]), -1)
    np.maximum.accumulate(last, axis=1, out=last)
    carried: FloatArray = np.where(
        last >= 0, np.take_along_axis(values, np.maximum(last, 0), axis=1), -np.inf
    )
    return carried
