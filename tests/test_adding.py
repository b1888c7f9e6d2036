"""Adding a terminator takes one file and one line: then every part of the house knows it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from nassim.checks.terminators import check_terminator
from nassim.cli import cli
from nassim.store import Store
from nassim.studies.folds import FoldPlan
from nassim.studies.termination import TerminationPlan, run_termination
from nassim.terminators import TERMINATORS

FILE = '''
from nassim.records import Action
from nassim.terminators.base import Judge, Rule


class HalfTime(Rule):
    """Stop a run that is worse at half time than the incumbent was."""

    def decision_epochs(self, max_epochs):
        return (max(1, max_epochs // 2),)

    def judge(self, view):
        return HalfTimeJudge(view)


class HalfTimeJudge(Judge):
    def __init__(self, view):
        self.view = view

    def decide(self, run, epoch):
        best = self.view.incumbent
        if best is None or self.view.value(run, epoch) >= self.view.value(best, epoch):
            return Action.CONTINUE
        return Action.STOP
'''


def test_a_terminator_is_one_file_and_one_line(
    tmp_path: Path, tiny_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "half_time.py").write_text(FILE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "half_time", raising=False)
    monkeypatch.setitem(TERMINATORS, "half_time", "half_time:HalfTime")

    shown = CliRunner().invoke(cli, ["terminate", "--help"]).output
    assert "half_time" in shown
    assert "Stop a run that is worse at half time" in " ".join(shown.split())
    assert "check_unpaid_values" in check_terminator("half_time")
    folds = FoldPlan(str(tiny_store), Store.open(tiny_store).sha, pool="all")
    results = run_termination(TerminationPlan("never,half_time", orders=3), folds).results
    cost = dict.fromkeys(("never", "half_time"), 0.0)
    for row in results.to_pylist():
        cost[row["method"]] += row["cost_fraction"]
    assert 0 < cost["half_time"] < cost["never"]
