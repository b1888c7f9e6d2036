"""What freeze-thaw methods share: always one more step of the run that a surrogate chooses.

All candidates are known from the start; any of them may be started, left, and taken up again.
The search ends with a budget, which is ours (the papers' searches go on until they are stopped):
its last epochs are kept back for the run that is predicted to end best, so that there is a
completed run to pick.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from nassim.encodings import TokenEncoder
from nassim.errors import InputError
from nassim.records import Architecture, FloatArray, IntArray
from nassim.terminators.base import Job, View

__all__ = [
    "Seen",
    "StepwiseSession",
    "Surrogate",
    "architecture_features",
    "budget_epochs",
    "check_budget",
    "thinned",
]

FEATURES = 10  # of an architecture, at the most: the principal components of its tokens' counts


@dataclass(frozen=True, eq=False)
class Seen:
    """All that has been paid for, in the order in which candidates were drawn.

    ``curves`` (N, max_epochs) is NaN where nothing was measured, or not yet; ``trained`` (N,)
    counts epochs.
    """

    curves: FloatArray
    trained: IntArray

    @property
    def max_epochs(self) -> int:
        return int(self.curves.shape[1])

    @property
    def best(self) -> float:
        """The best value so far; NaN before the first."""
        measured = self.curves[~np.isnan(self.curves)]
        return float(measured.max()) if len(measured) else math.nan


class Surrogate(Protocol):
    """Predicts curves of one search. Candidates are numbered as they were drawn."""

    def choose(self, seen: Seen, free: IntArray) -> int:
        """Which of the candidates ``free`` (at least one) is trained next."""

    def predict_ends(self, seen: Seen) -> FloatArray:
        """What each candidate is expected to reach after the last epoch, (N,)."""


class StepwiseSession:
    """Trains what the surrogate chooses, ``step`` epochs at a time, for ``budget`` epochs."""

    def __init__(
        self, view: View, runs: Sequence[int], surrogate: Surrogate, budget: int, step: int
    ) -> None:
        n = len(runs)
        self._view = view
        self._runs = list(runs)
        self._place = {run: place for place, run in enumerate(runs)}
        self._surrogate = surrogate
        self._budget = budget
        self._step = step
        self._until = np.zeros(n, np.intp)  # epochs that were handed out
        self._training = np.zeros(n, bool)
        self._ended = np.zeros(n, bool)
        self._failed = np.zeros(n, bool)
        self._seen = Seen(np.full((n, view.max_epochs), np.nan), np.zeros(n, np.intp))

    def next(self) -> Job | None:
        last = self._view.max_epochs
        left = self._budget - int(self._until.sum())
        if left - self._step < last and self._until.any():
            leader = self._leader(left)
            if leader is None:
                return None
            if self._ended[leader]:
                if left < self._step:
                    return None
            elif left - self._step < last - self._until[leader]:  # after a step of another one
                return None if self._training[leader] else self._job(leader, last)
        free = np.flatnonzero(~self._training & ~self._ended)
        if not len(free):
            return None
        place = self._surrogate.choose(self._seen, free)
        return self._job(place, min(last, int(self._until[place]) + self._step))

    def done(self, job: Job) -> Job | None:
        run = job.runs[0]
        place = self._place[run]
        trained = self._view.epochs(run)
        values = self._view.prefix(run)
        self._seen.curves[place, :trained] = np.where(np.isfinite(values), values, np.nan)
        self._seen.trained[place] = trained
        self._training[place] = False
        if self._view.ended(run):
            self._ended[place] = True
            self._until[place] = trained  # what a shorter run has left over is not spent
            self._failed[place] = run not in self._view.completed
        return None

    def _job(self, place: int, epoch: int) -> Job:
        self._until[place] = epoch
        self._training[place] = True
        return Job((self._runs[place],), epoch)

    def _leader(self, left: int) -> int | None:
        """The run that is predicted to end best, of those that can be finished with what is left;
        of runs that were never measured nothing is predicted."""
        in_reach = self._ended | (self._view.max_epochs - self._until <= left)
        places = np.flatnonzero((self._until > 0) & in_reach & ~self._failed)
        if not len(places):
            return None
        ends = self._surrogate.predict_ends(self._seen)[places]
        unknown = np.isnan(self._seen.curves[places]).all(axis=1)
        return int(places[np.argmax(np.where(unknown, -np.inf, ends))])


def check_budget(budget: float) -> float:
    """A share of the cost of all full trainings, above 0, or an InputError."""
    if isinstance(budget, bool) or not isinstance(budget, (int, float)) or not 0 < budget <= 1:
        raise InputError(
            f"Option budget is {budget!r}; expected a share of all full trainings, above 0 and "
            "up to 1."
        )
    return float(budget)


def budget_epochs(budget: float, candidates: int, max_epochs: int) -> int:
    """The epochs of a budget, one full training at the least.

    >>> budget_epochs(0.05, candidates=200, max_epochs=100), budget_epochs(0.05, 10, 100)
    (1000, 100)
    """
    return max(max_epochs, math.ceil(budget * candidates * max_epochs))


def architecture_features(architectures: Sequence[Architecture]) -> FloatArray:
    """(N, FEATURES or fewer): how often each token occurs, in principal components.

    The first component has deviation 1. Architectures without parts have no features, (N, 0).

    >>> from nassim.spaces import get_space
    >>> space = get_space("nasbench201")
    >>> architecture_features([space.architecture((k, 0, 0, 0, 0, 0)) for k in (0, 1, 1, 0)]).T
    array([[ 1., -1., -1.,  1.]])
    """
    encoder = TokenEncoder.fit(architectures)
    tokens = encoder.encode(architectures)
    counts = np.concatenate(
        [
            (tokens[:, :, place, None] == np.arange(1, size)).sum(axis=1)
            for place, size in enumerate(encoder.sizes)
        ],
        axis=1,
    ).astype(np.float64)
    counts -= counts.mean(axis=0)
    axes, sizes, directions = np.linalg.svd(counts, full_matrices=False)
    kept = np.flatnonzero(sizes > 1e-9 * max(1.0, sizes[0]))[:FEATURES]
    if not len(kept):
        return np.zeros((len(counts), 0))
    largest = np.abs(directions[kept]).round(9).argmax(axis=1)
    signs = np.sign(directions[kept, largest])  # a direction and its opposite are the same
    components = axes[:, kept] * sizes[kept] * signs
    features: FloatArray = np.round(components / components[:, 0].std(), 9)
    return features


def thinned(seen: Seen, most: int) -> tuple[IntArray, IntArray]:
    """At most ``most`` of the values that were paid for: (points,) places, (points,) epochs.

    Of a run of t epochs the values after t, t/2, t/4, ..., rounded down. If all of them are too
    many, fewer of each run, its last first; then the runs whose last value is best.

    >>> curves = np.array([[0.1, 0.2, 0.3, 0.4, 0.5], [0.3, 0.4, np.nan, np.nan, np.nan]])
    >>> seen = Seen(curves, np.array([5, 2]))
    >>> thinned(seen, most=9)
    (array([0, 0, 0, 1, 1]), array([5, 2, 1, 2, 1]))
    >>> thinned(seen, most=4)
    (array([0, 0, 1, 1]), array([5, 2, 2, 1]))
    >>> thinned(seen, most=1)
    (array([0]), array([5]))
    """
    halvings = seen.trained[:, None] >> np.arange(int(seen.max_epochs).bit_length())
    measured = np.zeros(halvings.shape, bool)
    rows, columns = np.nonzero(halvings)
    values = seen.curves[rows, halvings[rows, columns] - 1]
    measured[rows, columns] = ~np.isnan(values)
    depth = np.searchsorted(measured.sum(axis=0).cumsum(), most, side="right")
    measured[:, max(1, depth) :] = False
    if measured.sum() > most:
        (places,) = np.nonzero(measured[:, 0])
        last = seen.curves[places, seen.trained[places] - 1]
        measured[places[np.argsort(-last, kind="stable")[most:]]] = False
    places, columns = np.nonzero(measured)
    return places, halvings[places, columns]
