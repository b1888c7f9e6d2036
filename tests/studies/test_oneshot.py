"""Ground truth, judging and the study: known ranks, honest ceilings, anybody's scores."""

from __future__ import annotations

import dataclasses
import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nassim.errors import InputError, UnknownNameError
from nassim.ranking.correlation import kendall
from nassim.records import Run
from nassim.spaces import get_space
from nassim.store import Store
from nassim.studies.judging import Prediction, judge
from nassim.studies.oneshot import RankPlan, RankStudy, run_rank
from nassim.studies.predictors import one_shot_prediction, read_scores, trivial_predictions
from nassim.studies.truth import Truth, load_truth

METHOD = "spos:steps=12:batch_size=16"


@pytest.fixture(scope="module")
def truth(cell_store: Path) -> Truth:
    return load_truth(Store.open(cell_store), "nasbench201_3nodes", "digits")


@pytest.fixture(scope="module")
def study(truth: Truth) -> RankStudy:
    return run_rank(RankPlan(METHOD, seeds=2, draws=20), truth)


def rows_of(study: RankStudy, **where: Any) -> list[dict[str, Any]]:
    rows = study.report.to_pylist()
    return [row for row in rows if all(row[name] == value for name, value in where.items())]


# --- the ground truth -------------------------------------------------------------------------


def test_the_truth_is_the_last_test_value(truth: Truth, cell_store: Path) -> None:
    store = Store.open(cell_store)
    index, tested = store.index(), store.curves("test_accuracy")
    assert truth.test.shape == (len(set(index.architecture)), 3)
    for row, architecture in enumerate(truth.architectures):
        for seed in range(3):
            (run,) = np.flatnonzero((index.architecture == architecture.id) & (index.seed == seed))
            value = tested[run, 3] if index.status[run] == "ok" else np.nan
            assert truth.test[row, seed] == pytest.approx(value, nan_ok=True)
    assert np.isnan(truth.test).sum() == 1


def test_isomorphic_cells_have_one_representative(truth: Truth) -> None:
    chosen = truth.representatives(np.ones(len(truth.architectures), bool))
    ids = [one.canonical_id for one in truth.architectures]
    assert [ids[row] for row in chosen] == list(dict.fromkeys(ids))
    assert len(chosen) < len(ids)


def test_what_a_truth_must_have(cell_store: Path, tiny_store: Path, tmp_path: Path) -> None:
    store = Store.open(cell_store)
    with pytest.raises(UnknownNameError, match="No dataset"):
        load_truth(store, "nasbench201_3nodes", "mnist")
    with pytest.raises(UnknownNameError, match="No recipe"):
        load_truth(store, "nasbench201_3nodes", "digits", "other")
    alone = Store.create(tmp_path / "alone")
    runs = [run for run in store.runs() if run.seed == 0]
    alone.append(runs, datasets=store.datasets, recipes=store.recipes)
    with pytest.raises(InputError, match="one seed of each architecture"):
        load_truth(alone, "nasbench201_3nodes", "digits")


def test_a_large_space_is_sampled_by_function(truth: Truth) -> None:
    some = truth.sample(7, seed=0)
    assert len(some.architectures) == len(set(some.classes)) == 7
    assert [one.id for one in some.architectures] != [
        one.id for one in truth.sample(7, seed=1).architectures
    ]
    assert truth.sample(17, seed=0) is truth  # of 17 functions
    row = next(k for k, one in enumerate(truth.architectures) if one == some.architectures[2])
    assert np.array_equal(some.test[2], truth.test[row], equal_nan=True)


def test_scores_of_an_imported_table_are_judged(cell_store: Path, tmp_path: Path) -> None:
    """It says neither how networks were trained, nor what they were in between."""
    store = Store.open(cell_store)
    imported = Store.create(tmp_path / "imported")
    runs = [
        dataclasses.replace(run, n_params=10 + k // 3, scores={"test": run.scores["test"]})
        for k, run in enumerate(store.runs())
    ]
    imported.append(runs, datasets=store.datasets, recipes={runs[0].recipe: {}})
    truth = load_truth(imported, "nasbench201_3nodes", "digits")
    path = write_csv(tmp_path / "mine.csv", truth, np.nanmean(truth.test, axis=1)[:, None])
    study = run_rank(RankPlan("", scores=str(path), draws=5), truth)
    assert [row["method"] for row in rows_of(study, metric="tau", scope="classes")] == [
        "live_params",
        "live_flops",
        "mine.csv",
    ]
    with pytest.raises(InputError, match="nothing says how its networks are"):
        run_rank(RankPlan("spos"), truth)


# --- judging ----------------------------------------------------------------------------------


def judged(truth: Truth, scores: np.ndarray, **more: Any) -> dict[tuple[str, str], dict[str, Any]]:
    params = np.arange(len(truth.architectures)) // 4
    prediction = Prediction("mine", "file", scores, **more)
    rows = judge(prediction, truth, params, draws=20, seed=0)
    return {(row["metric"], row["scope"]): row for row in rows}


def test_the_truth_itself_is_a_perfect_predictor(truth: Truth) -> None:
    rows = judged(truth, np.nanmean(truth.test, axis=1)[:, None])
    tau = rows["tau", "classes"]
    assert tau["value"] == 1
    assert tau["measured_ceiling"] <= tau["ceiling"] < 1
    assert -1 <= tau["low"] <= tau["high"] <= 1
    assert rows["regret_pp", "classes"]["value"] == 0
    assert rows["better_than_random", "classes"]["value"] == 1 - 1 / tau["n"]
    assert rows["pick_percentile", "run 0"]["value"] == pytest.approx(100 * (1 - 1 / tau["n"]))


def test_tau_is_over_one_of_each_class_and_over_all(truth: Truth) -> None:
    scores = np.random.default_rng(0).random((len(truth.architectures), 2))
    rows, values = judged(truth, scores), np.nanmean(truth.test, axis=1)
    chosen = truth.representatives(np.ones(len(scores), bool))
    for scope, kept in (("classes", chosen), ("architectures", np.arange(len(scores)))):
        expected = np.mean([kendall(column[kept], values[kept]) for column in scores.T])
        assert rows["tau", scope]["value"] == pytest.approx(expected)
        assert rows["tau", scope]["n"] == len(kept)
    assert rows["spread_within_classes", "architectures"]["value"] > 0


def test_a_pick_counts_as_its_class(truth: Truth) -> None:
    """A method may answer another text of the best function."""
    best = int(np.nanmean(truth.test, axis=1).argmax())
    scores = np.zeros((len(truth.architectures), 1))
    rows = judged(truth, scores, picks=np.array([best]))
    assert rows["regret_pp", "run 0"]["value"] == pytest.approx(0, abs=3)
    assert math.isnan(rows["tau", "classes"]["value"])  # constant scores rank nothing


def test_a_pick_that_the_truth_lacks_is_counted(truth: Truth) -> None:
    scores = np.random.default_rng(0).random((len(truth.architectures), 2))
    rows = judged(truth, scores, picks=np.array([-1, 3]))
    assert rows["picks_in_truth", "classes"]["value"] == 0.5
    assert ("regret_pp", "run 0") not in rows
    assert rows["regret_pp", "run 1"]["value"] == rows["regret_pp", "classes"]["value"]
    nowhere = judged(truth, scores, picks=np.array([-1, -1]))
    assert nowhere["picks_in_truth", "classes"]["value"] == 0
    assert ("better_than_random", "classes") not in nowhere


# --- the study --------------------------------------------------------------------------------


def test_what_costs_nothing_comes_first(study: RankStudy) -> None:
    methods = list(dict.fromkeys(study.report.column("method").to_pylist()))
    assert methods == ["random", "live_params", "live_flops", "short_training:epochs=1", METHOD]


def test_every_tau_has_what_it_needs(study: RankStudy) -> None:
    rows = rows_of(study, metric="tau")
    assert len(rows) == 8  # four predictors, over classes and over architectures
    for row in rows:
        assert row["low"] <= row["value"] <= row["high"]
        assert 0 < row["ceiling"] < 1
        assert row["n"] > 10
    assert {row["store_sha"] for row in rows} == {study.report.column("store_sha")[0].as_py()}


def test_a_short_training_needs_two_others_to_be_judged_by(truth: Truth) -> None:
    """One other alone would leave its tau without a ceiling, and no report prints that."""
    sizes = np.arange(len(truth.architectures))
    for seeds, there in ((3, True), (2, False)):
        test, valid = truth.test[:, :seeds], truth.valid[:, :seeds]
        some = dataclasses.replace(truth, test=test, valid=valid)
        names = [one.method for one in trivial_predictions(some, sizes, sizes, [])]
        assert ("short_training:epochs=1" in names) is there


def test_a_space_with_options_holds_what_they_leave_in(truth: Truth, tmp_path: Path) -> None:
    cells = [
        cell
        for k in (3, 4, 5)
        for cell in itertools.islice(get_space(f"nasbench101:vertices={k}").every(), 6)
    ]
    values = {"valid": np.array([0.4], np.float32), "test": np.array([0.5], np.float32)}
    runs = [
        Run(cell.space, cell.id, "digits", truth.recipe, seed, epochs=1, scores=values)
        for cell in cells
        for seed in ((0,) if cell.id.count("|") == 3 else (0, 1))
    ]
    store = Store.create(tmp_path / "sized")
    store.append(runs, datasets=[truth.dataset], recipes={truth.recipe: truth.settings})
    assert len(load_truth(store, "nasbench101", "digits").architectures) == 18
    some = load_truth(store, "nasbench101:vertices=4", "digits")
    assert {one.id for one in some.architectures} == {cell.id for cell in cells[6:12]}
    with pytest.raises(InputError, match="0 architectures of space 'nasbench101:vertices=6'"):
        load_truth(store, "nasbench101:vertices=6", "digits")
    with pytest.raises(InputError, match="one seed of each architecture"):
        load_truth(store, "nasbench101:vertices=5", "digits")
    with pytest.raises(InputError, match=r"DARTS weighs or draws .* expected one of fairnas"):
        run_rank(RankPlan("spos,darts"), some)


def test_a_short_training_is_not_judged_by_its_own_end(study: RankStudy) -> None:
    (row,) = rows_of(study, metric="tau", method="short_training:epochs=1", scope="classes")
    assert row["seeds"] == 2
    (images,) = rows_of(study, metric="images", method="short_training:epochs=1")
    assert images["value"] == images["n"] * 297


def test_a_run_that_ended_early_is_not_asked_for_its_stability(truth: Truth) -> None:
    from nassim.oneshot.run import OneShotRun
    from nassim.oneshot.scoring import Scores

    n = len(truth.architectures)
    one_each = truth.representatives(np.ones(n, bool))
    rising = Scores(np.arange(n) / n, np.zeros(n))
    before = Scores(rising.accuracy[one_each], rising.loss[one_each])
    names = ("images", "scoring_images", "train_seconds", "score_seconds")
    runs = [
        OneShotRun(rising, 8, found, truth.architectures[0], (), dict.fromkeys(names, 1.0), 0.1)
        for found in ((), ((6, before),))
    ]
    numbers = one_shot_prediction("darts", runs, truth).numbers
    assert numbers["stability"][0] == pytest.approx(1)
    assert "step 6" in numbers["stability"][1]
    assert "stability" not in one_shot_prediction("darts", runs[:1], truth).numbers


def test_an_untrained_supernet_is_called_so(study: RankStudy) -> None:
    (row,) = rows_of(study, metric="supernet_accuracy")
    assert row["note"].startswith("not trained: chance")
    assert row["value"] < 0.25


def test_costs_are_counted(study: RankStudy) -> None:
    (images,) = rows_of(study, metric="images", method=METHOD)
    assert images["value"] == 12 * 16
    (scored,) = rows_of(study, metric="scoring_images", method=METHOD)
    assert scored["value"] > 24 * 297


def test_scores_are_of_all_architectures_and_checkpoints(study: RankStudy, truth: Truth) -> None:
    rows = study.scores.to_pylist()
    last = [row for row in rows if row["last"]]
    assert len(last) == 2 * len(truth.architectures)
    assert {row["step"] for row in rows} == {9, 11, 12}
    row = last[0]
    assert row["truth"] == pytest.approx(np.nanmean(truth.test[0]))
    assert row["n_params"] > 0


def test_the_same_seed_gives_the_same_report(study: RankStudy, truth: Truth) -> None:
    again = run_rank(RankPlan(METHOD, seeds=2, draws=20), truth)
    assert again.scores.equals(study.scores)
    timed = pa.array(["train_seconds", "score_seconds"])
    reports = []
    for one in (study, again):
        rows = [row for row in one.report.to_pylist() if row["metric"] not in timed.to_pylist()]
        reports.append(repr(rows))
    assert reports[0] == reports[1]


def test_it_is_written_and_read(study: RankStudy, tmp_path: Path) -> None:
    paths = study.write(tmp_path / "rank.parquet")
    assert [path.name for path in paths] == [
        "rank.scores.parquet",
        "rank.traces.parquet",
        "rank.parquet",
    ]
    assert pq.read_table(paths[-1]).num_rows == study.report.num_rows


# --- scores from a file -----------------------------------------------------------------------


def write_csv(path: Path, truth: Truth, scores: np.ndarray) -> Path:
    """Scores (architectures, seeds) as text."""
    lines = ["architecture,score,seed"]
    for architecture, row in zip(truth.architectures, scores, strict=True):
        lines += [f"{architecture.id},{value},{seed}" for seed, value in enumerate(row)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_scores_of_a_file_are_judged(kind: str, truth: Truth, tmp_path: Path) -> None:
    scores = np.nanmean(truth.test, axis=1)[:, None] + [0.0, 0.1]
    path = write_csv(tmp_path / "mine.csv", truth, scores)
    if kind == "parquet":
        rows = {
            "architecture": [one.id for one in truth.architectures],
            "score": scores[:, 0].tolist(),
        }
        path = tmp_path / "mine.parquet"
        pq.write_table(pa.table(rows), path)
    study = run_rank(RankPlan("", scores=str(path), draws=5), truth)
    (row,) = rows_of(study, method=path.name, metric="tau", scope="classes")
    assert row["value"] == 1
    assert row["kind"] == "file"
    assert row["runs"] == (2 if kind == "csv" else 1)
    assert rows_of(study, method="live_params", metric="tau")


def test_scores_may_be_of_some_architectures(truth: Truth, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "some.csv", truth.select(np.arange(8)), np.ones((8, 1)))
    assert np.isfinite(read_scores(path, truth).scores).sum() == 8


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("architecture,score\n", "no rows"),
        ("name,score\na,1\n", "have columns name, score"),
        ("architecture,score\nelsewhere,1\n", "is called 'elsewhere'"),
        ("architecture,score\n{0},good\n", "'good'; expected a number"),
        ("architecture,score\n{0},1\n{0},2\n", "twice"),
        ("architecture,score\n{0},1\n", "1 different functions"),
    ],
)
def test_a_file_that_is_none_is_refused(
    text: str, complaint: str, truth: Truth, tmp_path: Path
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text.format(truth.architectures[0].id), encoding="utf-8")
    with pytest.raises(InputError, match=complaint):
        read_scores(path, truth)


def test_other_files_are_refused(truth: Truth, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no file"):
        read_scores(tmp_path / "nowhere.csv", truth)
    (tmp_path / "text.parquet").write_text("no parquet")
    with pytest.raises(InputError, match="cannot be read"):
        read_scores(tmp_path / "text.parquet", truth)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"seeds": 0}, "seeds is 0"),
        ({"draws": 0}, "draws is 0"),
        ({"sample": 4}, "sample is 4; expected 5"),
        ({"seed": -1}, "seed is -1"),
        ({"methods": " "}, "nothing to judge"),
    ],
)
def test_a_plan_is_checked(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        RankPlan(**changes)


def test_a_method_is_checked_before_the_work(truth: Truth) -> None:
    with pytest.raises(UnknownNameError, match="one-shot method"):
        run_rank(RankPlan("sposs"), truth)
    with pytest.raises(InputError, match="law is 'odd'"):
        run_rank(RankPlan("spos:law=odd"), truth)
    with pytest.raises(InputError, match="subclass of"):
        run_rank(RankPlan("collections:Counter"), truth)
