"""Successive Halving (Jamieson & Talwalkar 2016).

Train n runs for r epochs, keep the best 1/eta of them by their value there, train those eta times
as long, and so on; the last rung is the full training.

Rung k trains ``max(1, floor(n / eta^k))`` runs until epoch ``r * eta^k``, while that is below the
full length R, and then one more rung until R. With n=200, R=100, eta=4, r=2 the rungs are (200
until 2), (50 until 8), (12 until 32), (3 until 100).

Choices that the paper leaves open: a run is judged by its value at the rung's last epoch (not its
best so far); of equal values the one that arrived first stays.
"""

from __future__ import annotations

import numpy as np

from nassim.options import check_count
from nassim.records import IntArray
from nassim.terminators.base import Job, Session, Terminator, View, check_eta

__all__ = ["HalvingSession", "Rung", "SuccessiveHalving", "halving_rungs"]

Rung = tuple[int, int]  # runs that start it, epoch until which they are trained


class SuccessiveHalving(Terminator):
    """One bracket of synchronous halving over all candidates.

    Parameters
    ----------
    eta
        One run in ``eta`` survives a rung.
    min_epochs
        Epochs of the first rung, r.
    n
        Runs that start; all candidates by default.
    """

    def __init__(self, eta: float = 3, min_epochs: int = 1, n: int | None = None) -> None:
        self.eta = check_eta(eta)
        self.min_epochs = check_count("min_epochs", min_epochs)
        self.n = None if n is None else check_count("n", n)

    def begin(self, view: View) -> Session:
        n = view.n_candidates if self.n is None else min(self.n, view.n_candidates)
        rungs = halving_rungs(n, view.max_epochs, self.eta, self.min_epochs)
        return HalvingSession(view, [rungs])


def halving_rungs(n: int, max_epochs: int, eta: float, min_epochs: int) -> list[Rung]:
    """The rungs of one bracket.

    >>> halving_rungs(200, 100, eta=3, min_epochs=1)
    [(200, 1), (66, 3), (22, 9), (7, 27), (2, 81), (1, 100)]
    """
    rungs: list[Rung] = []
    k = 0
    while (epoch := round(min_epochs * eta**k)) < max_epochs:
        if not rungs or epoch > rungs[-1][1]:  # a small eta may round two rungs to one epoch
            rungs.append((max(1, int(n / eta**k)), epoch))
        k += 1
    rungs.append((max(1, int(n / eta**k)), max_epochs))
    return rungs


class HalvingSession:
    """Runs brackets one after the other, each rung as one job."""

    def __init__(self, view: View, brackets: list[list[Rung]]) -> None:
        self._view = view
        self._rungs = [(rung, k == 0) for rungs in brackets for k, rung in enumerate(rungs)]
        self._survivors: IntArray = np.zeros(0, np.intp)
        self._position = 0
        self._waiting = False

    def next(self) -> Job | None:
        while not self._waiting and self._position < len(self._rungs):
            (count, epoch), starts_bracket = self._rungs[self._position]
            if starts_bracket:
                drawn = self._view.draw(count)
                runs: IntArray = np.fromiter(drawn, np.intp, len(drawn))
                self._survivors = runs
            else:
                self._survivors = self._best(count)
                runs = self._alive()
            self._position += 1
            if len(runs):
                self._waiting = True
                return Job(runs, epoch)
        return None

    def done(self, job: Job) -> Job | None:
        self._waiting = False
        return None

    def _alive(self) -> IntArray:
        """Survivors that can be trained on; the others failed, or were shorter than the rest."""
        ended = list(map(self._view.ended, self._survivors.tolist()))
        alive: IntArray = self._survivors[np.logical_not(ended)] if any(ended) else self._survivors
        return alive

    def _best(self, count: int) -> IntArray:
        """The best of the rung that has just ended, in the order of their arrival."""
        (_, epoch), _ = self._rungs[self._position - 1]
        values = self._view.values(self._survivors, epoch)
        best = (-values).argsort(kind="stable")[:count]
        best.sort()
        kept: IntArray = self._survivors[best]
        return kept
