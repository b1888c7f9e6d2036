"""ASHA, asynchronous successive halving (Li et al. 2020).

Rungs are at min_epochs * eta^k. ``variant="stopping"``: a run that reaches a rung goes on iff its
value is at least the (1 - 1/eta) quantile of all values seen at that rung, its own included; the
first to arrive always goes on. ``variant="promotion"`` (the paper's): a run pauses at every rung,
and an idle worker resumes the best paused run among the top floor(n / eta) of its rung, highest
rung first, before it starts a new one.
"""

from __future__ import annotations

import math
from bisect import insort
from typing import Literal

from nassim.errors import InputError
from nassim.options import check_count
from nassim.records import Action
from nassim.terminators.base import Judge, Rule, View, check_eta

__all__ = ["ASHA"]


class ASHA(Rule):
    """Asynchronous successive halving.

    Parameters
    ----------
    eta
        One run in ``eta`` survives a rung.
    min_epochs
        Epochs before the first rung.
    variant
        ``"stopping"`` or ``"promotion"``.
    """

    def __init__(
        self,
        eta: float = 3,
        min_epochs: int = 1,
        variant: Literal["stopping", "promotion"] = "stopping",
    ) -> None:
        self.eta = check_eta(eta)
        self.min_epochs = check_count("min_epochs", min_epochs)
        if variant not in ("stopping", "promotion"):
            raise InputError(f"Option variant is {variant!r}; expected 'stopping' or 'promotion'.")
        self.variant = variant

    def decision_epochs(self, max_epochs: int) -> tuple[int, ...]:
        epochs, k = set(), 0
        while (epoch := round(self.min_epochs * self.eta**k)) < max_epochs:
            epochs.add(epoch)
            k += 1
        return tuple(sorted(epochs))

    def judge(self, view: View) -> Judge:
        rungs = self.decision_epochs(view.max_epochs)
        judge = _StoppingJudge if self.variant == "stopping" else _PromotionJudge
        return judge(view, rungs, self.eta)


class _StoppingJudge(Judge):
    def __init__(self, view: View, rungs: tuple[int, ...], eta: float) -> None:
        self._view = view
        self._eta = eta
        self._seen: dict[int, list[float]] = {epoch: [] for epoch in rungs}  # ascending

    def decide(self, run: int, epoch: int) -> Action:
        value = self._view.value(run, epoch)
        seen = self._seen[epoch]
        insort(seen, value)
        # The linear quantile, from a list that is kept sorted; -inf (not measured yet) stays -inf.
        # Written as (n - 1) (1 - 1 / eta), as numpy does, a whole position may come out a little
        # too high, above the run that stands there.
        others = len(seen) - 1
        position = others - others / self._eta
        below = int(position)
        cutoff = seen[below]
        if below + 1 < len(seen) and seen[below + 1] > cutoff > -math.inf:
            cutoff += (seen[below + 1] - cutoff) * (position - below)
        return Action.CONTINUE if value >= cutoff else Action.STOP


class _PromotionJudge(Judge):
    def __init__(self, view: View, rungs: tuple[int, ...], eta: float) -> None:
        self._view = view
        self._eta = eta
        self._rungs = rungs
        self._ranked: dict[int, list[tuple[float, int, int]]] = {epoch: [] for epoch in rungs}
        self._promoted: dict[int, set[int]] = {epoch: set() for epoch in rungs}
        self._arrivals = 0

    def decide(self, run: int, epoch: int) -> Action:
        self._arrivals += 1  # of equal values the one that arrived first is better
        insort(self._ranked[epoch], (-self._view.value(run, epoch), self._arrivals, run))
        return Action.PAUSE

    def promote(self) -> int | None:
        for epoch in reversed(self._rungs):
            ranked, promoted = self._ranked[epoch], self._promoted[epoch]
            for _, _, run in ranked[: int(len(ranked) / self._eta)]:
                if run not in promoted:
                    promoted.add(run)
                    return run
        return None
