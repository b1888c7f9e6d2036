"""Never: every run is trained to its end."""

from __future__ import annotations

from nassim.records import Action
from nassim.terminators.base import Judge, Rule, View

__all__ = ["Never"]


class Never(Rule):
    """Train every run to its end. Without early termination, this is the reference of all costs."""

    def decision_epochs(self, max_epochs: int) -> tuple[int, ...]:
        return ()

    def judge(self, view: View) -> Judge:
        return _NeverJudge()


class _NeverJudge(Judge):
    def decide(self, run: int, epoch: int) -> Action:
        return Action.CONTINUE
