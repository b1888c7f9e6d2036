"""The ranking study: known correlations, who is left out, and equal bytes."""

from __future__ import annotations

import dataclasses
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from nassim.errors import InputError, UnknownNameError
from nassim.store import Store
from nassim.studies.folds import FoldPlan, load_fold
from nassim.studies.ranking import RANKING_SCHEMA, RankingPlan, run_ranking
from nassim.studies.results import read_table, write_table

SEER = '''
import numpy as np
from nassim.terminators.base import Estimator

class Seer(Estimator):
    """Scores runs by their number in the batch, the last of them not at all."""
    uses_sources = True

    def __init__(self, delta=0.5, epochs="every", at_zero=False, direction=1):
        self.from_epoch = 0
        super().__init__(delta, epochs, at_zero)
        self.direction = direction

    def fit(self, sources, seed):
        self.noise = np.random.default_rng(seed).normal()

    def estimate(self, prefixes):
        scores = self.direction * np.arange(len(prefixes)) + self.noise
        scores[-1] = np.nan
        return np.stack([np.zeros(len(scores)), scores], axis=1)

    def score(self, estimates):
        return estimates[:, 1]
'''


@pytest.fixture
def folds(tiny_store: Path) -> FoldPlan:
    return FoldPlan(str(tiny_store), Store.open(tiny_store).sha, pool="all")


@pytest.fixture
def seer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "seer.py").write_text(SEER)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "seer", raising=False)
    return "seer:Seer"


def rows(folds: FoldPlan, methods: str, targets: list[str] | None = None, **options: Any) -> Any:
    plan = RankingPlan(methods, **{"epochs": (0, 1, 3), "model_seeds": 2} | options)
    return run_ranking(plan, folds, targets).to_pylist()


def test_the_last_value_is_correlated_with_the_final_one(folds: FoldPlan) -> None:
    found = rows(folds, "last_value")
    assert [(r["target"], r["epoch"]) for r in found] == [
        (target, epoch) for target in ("clothes", "digits", "letters") for epoch in (1, 3)
    ]
    for row in found:
        table, epoch = load_fold(folds, row["target"]).table, row["epoch"]
        alive = table.lengths >= epoch  # one run diverged after two epochs
        assert row["runs"] == row["scored"] == alive.sum() == (9 if epoch == 1 else 8)
        last, final = table.values[alive, epoch - 1], table.qualities[alive]
        assert row["spearman"] == pytest.approx(spearmanr(last, final).statistic)
        assert row["kendall"] == pytest.approx(kendalltau(last, final).statistic)


def test_curves_are_cut_before_their_end_only(folds: FoldPlan) -> None:
    longest = load_fold(folds, "digits").table.max_epochs
    found = rows(folds, "last_value", ["digits"], epochs=(1, longest - 1, longest, 99))
    assert [row["epoch"] for row in found] == [1, longest - 1]


def test_scores_and_not_column_0_are_ranked_and_silence_is_counted(
    folds: FoldPlan, seer: str
) -> None:
    found = rows(folds, f"{seer},{seer}:direction=-1", ["digits"], epochs=(0, 1))
    assert [(r["method"], r["model_seed"], r["epoch"]) for r in found] == [
        (method, seed, epoch)
        for method in (seer, f"{seer}:direction=-1")
        for seed in (0, 1)
        for epoch in (0, 1)
    ]
    forward, backward = (found[k]["spearman"] for k in (0, 4))
    qualities = load_fold(folds, "digits").table.qualities
    assert forward == pytest.approx(spearmanr(np.arange(8), qualities[:-1]).statistic)
    assert backward == pytest.approx(-forward)
    assert {(row["runs"], row["scored"]) for row in found} == {(9, 8)}


LEARNER = '''
import numpy as np
from nassim.terminators.base import Estimator

class Learner(Estimator):
    """Scores runs by how many runs of the target it was handed, times their last values."""

    def __init__(self, delta=0.5, epochs="every", at_zero=False):
        super().__init__(delta, epochs, at_zero)
        self.handed = 0

    def trained_on(self, completed):
        (task,) = completed.tasks
        twin = Learner()
        twin.handed = len(task.values)
        assert np.isfinite(task.curves).all() and not task.failed.any()
        return twin

    def estimate(self, prefixes):
        return self.handed * prefixes.curves[:, -1]
'''


def test_completed_runs_of_the_target_are_given_to_who_learns_from_them(
    folds: FoldPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "learner.py").write_text(LEARNER)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "learner", raising=False)
    methods = "learner:Learner,last_value"
    without = rows(folds, methods, ["digits"], epochs=(1,))
    assert math.isnan(without[0]["spearman"])
    learned, last = rows(folds, methods, ["digits"], epochs=(1,), given=4)
    assert learned["given"] == 4
    assert learned["spearman"] == last["spearman"] != without[1]["spearman"]
    # one of the eight candidates failed; the four that were given away are asked of nobody
    assert learned["runs"] == last["runs"] == last["scored"] in (4, 5)
    with pytest.raises(InputError, match=r"given is 6; expected at least 2 of the 7 completed"):
        rows(folds, methods, ["digits"], given=6)


def test_sources_may_be_cut_and_results_say_so(folds: FoldPlan) -> None:
    less = dataclasses.replace(folds, source_datasets=1, source_architectures=3)
    whole, cut = (rows(f, "lcranknet:steps=2", ["digits"], epochs=(0,)) for f in (folds, less))
    assert {row["source_datasets"] for row in whole} == {None}
    assert {(row["source_datasets"], row["source_architectures"]) for row in cut} == {(1, 3)}
    assert cut[0]["spearman"] != whole[0]["spearman"]


def test_equal_scores_have_no_correlation(folds: FoldPlan, seer: str) -> None:
    found = rows(folds, f"{seer}:direction=0", ["digits"], epochs=(1,), model_seeds=1)
    assert math.isnan(found[0]["spearman"])
    assert math.isnan(found[0]["kendall"])


def test_a_network_is_fitted_for_each_target_and_seed(folds: FoldPlan) -> None:
    found = rows(folds, "lcranknet:steps=2,lcranknet:steps=2:architecture=false", ["digits"])
    epochs = {(r["method"], r["model_seed"], r["epoch"]): r["spearman"] for r in found}
    assert len(epochs) == 2 * (3 + 2)  # nothing is known at epoch 0 without the architecture
    assert all(math.isfinite(rho) for rho in epochs.values())
    assert epochs["lcranknet:steps=2", 0, 0] != epochs["lcranknet:steps=2", 1, 0]


def test_the_bytes_do_not_depend_on_processes_and_can_be_read_again(
    folds: FoldPlan, tmp_path: Path
) -> None:
    methods = "last_value,last_value:statistic=best"
    alone = run_ranking(RankingPlan(methods), folds)
    written = write_table(alone, tmp_path / "new" / "alone.parquet")
    together = run_ranking(RankingPlan(methods), folds, workers=2)
    other = write_table(together, tmp_path / "together.parquet")
    assert written.read_bytes() == other.read_bytes()
    assert read_table(written, RANKING_SCHEMA).equals(alone)


def test_progress_is_told_after_each_fit(folds: FoldPlan) -> None:
    told: list[tuple[int, int, str]] = []
    run_ranking(
        RankingPlan("last_value"),
        folds,
        ["digits", "letters"],
        progress=lambda *it: told.append(it),
    )
    assert told == [(1, 2, "digits last_value"), (2, 2, "letters last_value")]


def test_what_is_no_estimator_or_out_of_range_is_refused(folds: FoldPlan) -> None:
    with pytest.raises(InputError, match="'asha' does not say how good a run will be"):
        rows(folds, "asha")
    with pytest.raises(UnknownNameError, match="'digit'"):
        rows(folds, "last_value", ["digit"])
    for options, message in (
        ({"epochs": ()}, "epochs is"),
        ({"epochs": (1, 1)}, "epochs is"),
        ({"epochs": (-1,)}, "epochs is"),
        ({"model_seeds": 0}, "model_seeds is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"given": -1}, "given is -1"),
    ):
        with pytest.raises(InputError, match=message):
            RankingPlan(**options)  # type: ignore[arg-type]
