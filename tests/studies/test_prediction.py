from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nassim.errors import InputError
from nassim.ranking.correlation import kendall
from nassim.reports.prediction import prediction_figure, prediction_table
from nassim.store import Store
from nassim.studies.folds import FoldPlan, load_fold
from nassim.studies.prediction import PredictionPlan, run_prediction

PREDICTOR = """
from nassim.optimizers.random_search import RandomSearch


class Learner(RandomSearch):
    '''Predicts the mean of what it was told, and a trend; notes what it was told.'''

    uses_sources = True
    told = []

    def begin(self, candidates, rng):
        return _Search(len(candidates))


class _Search:
    listens = True
    predicts_values = True
    landmarks = (0,)

    def __init__(self, n):
        self.values = {}
        Learner.told.append(self.values)

    def tell(self, run, epoch, value):
        self.values[run] = max(value, 0.1)

    def predict(self, architectures):
        import numpy as np

        mean = np.mean([*self.values.values()]) if self.values else 0.5
        return mean + np.arange(len(architectures)) / 100
"""


@pytest.fixture
def folds(tiny_store: Path) -> FoldPlan:
    return FoldPlan(str(tiny_store), Store.open(tiny_store).sha, pool="all")


@pytest.fixture
def predictor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "predictor.py").write_text(PREDICTOR)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "predictor", raising=False)
    import predictor  # type: ignore[import-not-found]

    return predictor.Learner


def test_methods_are_told_of_more_and_more_and_scored_on_others(
    folds: FoldPlan, predictor: Any
) -> None:
    plan = PredictionPlan("predictor:Learner", told=(0, 2, 4), model_seeds=2)
    found = run_prediction(plan, folds, ["digits"]).to_pylist()
    assert [(row["model_seed"], row["told"]) for row in found] == [
        (fit, n) for fit in (0, 1) for n in (0, 2, 4)
    ]
    told = [set(values) for values in predictor.told[:3]]
    assert told[0] == set()
    assert told[1] - {0} < told[2]
    assert 0 in told[1]  # the landmark
    assert len(told[2] - {0}) in (3, 4)
    assert {row["scored"] for row in found[:3]} == {8 - len(told[2])}
    table = load_fold(folds, "digits").table
    for row in found:
        assert set(row["true"]) <= set(table.qualities.tolist())
        assert row["kendall"] == kendall(row["predicted"], row["true"])
        assert row["mse"] == pytest.approx(
            np.mean((np.array(row["predicted"]) - np.array(row["true"])) ** 2)
        )


def test_the_table_and_its_figure(folds: FoldPlan, predictor: Any) -> None:
    results = run_prediction(PredictionPlan("predictor:Learner", told=(0, 3)), folds)
    table = prediction_table(results)
    assert table.unit_method == "predictor:Learner"
    assert (table.told, table.targets) == ((0, 3), ("clothes", "digits", "letters"))
    rows = [row for row in results.to_pylist() if row["told"] == 3]
    of_digits = [row["kendall"] for row in rows if row["target"] == "digits"]
    assert table.measures["kendall"][1].cells[0, 1] == pytest.approx(np.mean(of_digits))
    assert "Kendall's tau" in table.to_text()
    left, right = prediction_figure(table).axes
    assert len(right.get_lines()) == 4  # a cloud a target, and the diagonal
    assert left.get_xlabel().startswith("evaluations")


def test_what_does_not_predict_is_refused(folds: FoldPlan) -> None:
    with pytest.raises(InputError, match="'random' does not say what it predicts"):
        run_prediction(PredictionPlan("random", told=(2,)), folds, ["digits"])
    with pytest.raises(InputError, match="has 8 candidates"):
        run_prediction(PredictionPlan("nao", told=(7,)), folds, ["digits"])
    for options, message in (({"told": ()}, "told"), ({"model_seeds": 0}, "model_seeds is 0")):
        with pytest.raises(InputError, match=message):
            PredictionPlan(**options)  # type: ignore[arg-type]
