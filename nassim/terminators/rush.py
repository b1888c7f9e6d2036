"""RUSH: reuse successive halving (Zappella et al. 2021, arXiv 2103.16111).

The best architectures of the sources are trained first, and fully. At each rung of ASHA the best
value that they had there is a hurdle: another run goes on iff ASHA says so *and* its value is at
least the hurdle.

The body of the paper was not at hand. ``docs/methods/rush.md`` lists every difference.
"""

from __future__ import annotations

import math

import numpy as np

from nassim.errors import InputError
from nassim.options import check_count
from nassim.records import Action, Architecture, Sources
from nassim.terminators.asha import ASHA
from nassim.terminators.base import Judge, Rule, View, check_eta

__all__ = ["RUSH"]

_Name = tuple[str, str]  # space and canonical id: isomorphic architectures are the same one


class RUSH(Rule):
    """Start with what was best on the sources; stop what falls behind it.

    It needs candidates that the sources have too: take ``--pool shared`` or ``all``.

    Parameters
    ----------
    eta
        One run in ``eta`` survives a rung.
    min_epochs
        Epochs before the first rung.
    best
        Architectures of each source that are trained first: its best ones among the candidates.
        0 is ASHA.

    Raises
    ------
    InputError
        if an option is out of its range; at the start of a search, if no candidate was trained on
        a source.
    """

    uses_sources = True
    needs_shared = True

    def __init__(self, eta: float = 3, min_epochs: int = 1, best: int = 1) -> None:
        self.eta = check_eta(eta)
        self.min_epochs = check_count("min_epochs", min_epochs)
        self.best = check_count("best", best, least=0)
        self._asha = ASHA(self.eta, self.min_epochs)
        self._rankings: list[list[_Name]] | None = None  # of each source, the best first

    def fit(self, sources: Sources, seed: int) -> None:
        """Rank the architectures of each source by their mean quality over its runs."""
        self._rankings = []
        for task in sources.tasks:
            qualities: dict[_Name, list[float]] = {}
            for architecture, value in zip(task.architectures, task.values.tolist(), strict=True):
                qualities.setdefault(_name(architecture), []).append(value)
            means = {name: float(np.mean(values)) for name, values in qualities.items()}
            self._rankings.append(sorted(means, key=lambda name: -means[name]))

    def decision_epochs(self, max_epochs: int) -> tuple[int, ...]:
        return self._asha.decision_epochs(max_epochs)

    def judge(self, view: View) -> Judge:
        if self._rankings is None:
            raise InputError("RUSH must be fitted on source datasets before it can search.")
        candidates = {_name(architecture) for architecture in view.architectures}
        known = [[name for name in each if name in candidates] for each in self._rankings]
        if self.best and not any(known):
            raise InputError(
                f"None of the {len(view.architectures)} candidates was trained on a source; RUSH "
                "starts with the best architectures of the sources. Take --pool shared or all of "
                "a store whose datasets share architectures, or asha."
            )
        first = {name for each in known for name in each[: self.best]}
        return _RUSHJudge(view, self._asha.judge(view), first)


class _RUSHJudge(Judge):
    def __init__(self, view: View, asha: Judge, first: set[_Name]) -> None:
        self._view = view
        self._asha = asha
        names = map(_name, view.architectures)
        self._first = {run for run, name in enumerate(names) if name in first}
        self._hurdles: dict[int, float] = {}
        self._queue: list[int] | None = None  # candidates that have not started, the next last

    def draw(self, view: View) -> list[int]:
        """All candidates are asked for at once, and those known to be good started before."""
        if self._queue is None:
            drawn = view.draw(view.n_candidates)
            self._queue = sorted(drawn, key=lambda run: run not in self._first)[::-1]
        return [self._queue.pop()] if self._queue else []

    def decide(self, run: int, epoch: int) -> Action:
        value = self._view.value(run, epoch)
        action = self._asha.decide(run, epoch)  # always asked, since it keeps all values
        hurdle = self._hurdles.get(epoch, -math.inf)
        if run in self._first:
            self._hurdles[epoch] = max(hurdle, value)
            return Action.CONTINUE
        return action if value >= hurdle else Action.STOP


def _name(architecture: Architecture) -> _Name:
    return architecture.space, architecture.canonical_id
