"""The median stopping rule (Golovin et al. 2017, Google Vizier).

``variant="vizier"``: stop a run at epoch t if its best value so far is below the median, over the
runs that are complete, of their running averages up to t. ``variant="syne_tune"``: stop a run if
more than half of the running averages of all runs that have reached t, its own counted, are better
than its own. The two differ; both need ``min_runs`` other runs to compare with and leave the first
``grace_epochs`` alone.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from typing import Literal

import numpy as np

from nassim.errors import InputError
from nassim.options import check_count
from nassim.records import Action
from nassim.terminators.base import Judge, Rule, View

__all__ = ["MedianRule"]


class MedianRule(Rule):
    """Stop what is below the median of what was seen before.

    Parameters
    ----------
    grace_epochs
        Runs are judged after this epoch and every later one.
    min_runs
        Runs that must be there to compare with.
    variant
        ``"vizier"`` or ``"syne_tune"``.
    """

    def __init__(
        self,
        grace_epochs: int = 5,
        min_runs: int = 1,
        variant: Literal["vizier", "syne_tune"] = "vizier",
    ) -> None:
        self.grace_epochs = check_count("grace_epochs", grace_epochs)
        self.min_runs = check_count("min_runs", min_runs)
        if variant not in ("vizier", "syne_tune"):
            raise InputError(f"Option variant is {variant!r}; expected 'vizier' or 'syne_tune'.")
        self.variant = variant

    def decision_epochs(self, max_epochs: int) -> tuple[int, ...]:
        return tuple(range(self.grace_epochs, max_epochs))

    def judge(self, view: View) -> Judge:
        judge = _VizierJudge if self.variant == "vizier" else _SyneTuneJudge
        return judge(view, self.min_runs)


class _VizierJudge(Judge):
    def __init__(self, view: View, min_runs: int) -> None:
        self._view = view
        self._min_runs = min_runs
        self._known = 0  # complete runs whose running averages are below
        self._averages: list[list[float]] = [[] for _ in range(view.max_epochs)]  # each ascending
        self._best: dict[int, float] = {}

    def decide(self, run: int, epoch: int) -> Action:
        view = self._view
        if run in self._best:
            best = max(self._best[run], view.value(run, epoch))
        else:
            best = float(view.prefix(run).max())
        self._best[run] = best
        for complete in view.completed[self._known :]:
            for seen, average in zip(self._averages, _averages(view, complete), strict=True):
                insort(seen, average)
            self._known += 1
        if self._known < self._min_runs:
            return Action.CONTINUE
        seen, middle = self._averages[epoch - 1], self._known // 2
        median = (seen[middle] + seen[middle - 1 + self._known % 2]) / 2
        return Action.STOP if best < median else Action.CONTINUE


class _SyneTuneJudge(Judge):
    def __init__(self, view: View, min_runs: int) -> None:
        self._view = view
        self._min_runs = min_runs
        self._seen: dict[int, list[float]] = {}  # running averages at each epoch, ascending

    def decide(self, run: int, epoch: int) -> Action:
        prefix = self._view.prefix(run)[:epoch]
        average = float(prefix.cumsum()[-1]) / len(prefix)
        seen = self._seen.setdefault(epoch, [])
        insort(seen, average)
        if len(seen) <= self._min_runs:
            return Action.CONTINUE
        better = len(seen) - bisect_right(seen, average)
        return Action.STOP if 2 * better > len(seen) else Action.CONTINUE


def _averages(view: View, run: int) -> list[float]:
    """Running averages of a complete run; a short one's last average stands for later epochs."""
    prefix = view.prefix(run)
    averages = prefix.cumsum() / np.arange(1, len(prefix) + 1)
    padding = np.full(view.max_epochs - len(prefix), averages[-1])
    all_epochs: list[float] = np.concatenate([averages, padding]).tolist()
    return all_epochs
