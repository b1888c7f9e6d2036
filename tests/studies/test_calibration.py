"""Every decision is written down with what was true, and nothing about the searches changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nassim.errors import InputError
from nassim.store import Store
from nassim.studies.calibration import run_calibration
from nassim.studies.folds import FoldPlan, load_fold
from nassim.studies.termination import TerminationPlan, run_termination

PLAN = TerminationPlan("last_value", orders=3, runs="first")


@pytest.fixture
def folds(tiny_store: Path) -> FoldPlan:
    return FoldPlan(str(tiny_store), Store.open(tiny_store).sha, pool="all")


def test_a_decision_stands_beside_the_truth(folds: FoldPlan) -> None:
    decisions = run_calibration(PLAN, folds, ["digits"]).to_pylist()
    assert {row["order_seed"] for row in decisions} == {0, 1, 2}
    table = load_fold(folds, "digits").table
    final = table.qualities[table.first_runs]
    for row in decisions:
        assert row["p"] in (0, 0.5, 1)
        assert row["stopped"] is (row["p"] <= 0.45)
        assert row["best"] is (row["candidate"] == int(np.argmax(table.candidate_qualities)))
        if final[row["candidate"]] == final.max():
            assert row["better"]
        if final[row["candidate"]] == final.min():
            assert not row["better"]


def test_the_searches_are_those_of_the_early_termination_study(folds: FoldPlan) -> None:
    decisions = run_calibration(PLAN, folds, ["digits"]).to_pylist()
    searches = run_termination(PLAN, folds, ["digits"]).results.to_pylist()
    assert any(row["stopped"] for row in decisions)
    for search in searches:
        mine = [row for row in decisions if row["order_seed"] == search["order_seed"]]
        stopped = {row["candidate"]: row["epoch"] for row in mine if row["stopped"]}
        for candidate, epoch in stopped.items():
            assert search["epochs_trained"][candidate] == epoch
        asked = {row["candidate"] for row in mine}
        assert len(asked) + 1 >= search["candidates"]  # all but the first, which has no rival


def test_the_table_does_not_depend_on_processes(folds: FoldPlan) -> None:
    assert run_calibration(PLAN, folds, workers=2).equals(run_calibration(PLAN, folds))


def test_a_schedule_has_no_probabilities(folds: FoldPlan) -> None:
    with pytest.raises(InputError, match="'asha' does not say how good a run will be"):
        run_calibration(TerminationPlan("last_value,asha"), folds)
