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
from nassim.oneshot.run import OneShotRun
from nassim.oneshot.scoring import Scores
from nassim.ranking.correlation import kendall
from nassim.ranking.intervals import holm
from nassim.records import Landmarks, Run
from nassim.reports.oneshot import rank_table
from nassim.spaces import get_space
from nassim.store import Store
from nassim.studies.comparing import comparison_rows
from nassim.studies.judging import Prediction, judge
from nassim.studies.oneshot import RankPlan, RankStudy, run_rank
from nassim.studies.predictors import (
    landmark_prediction,
    live_sizes,
    one_shot_prediction,
    read_scores,
    trivial_predictions,
)
from nassim.studies.truth import Truth, load_truth

METHOD = "spos:steps=12:batch_size=16"
SIZES = ["live_params", "live_flops", "live_convolutions"]


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
        "live_convolutions",
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


# --- comparisons ------------------------------------------------------------------------------


def compare(truth: Truth, *predictions: Prediction) -> dict[tuple[str, str], dict[str, Any]]:
    rows = comparison_rows(predictions, truth, draws=100, seed=0)
    return {(row["method"], row["against"]): row for row in rows}


def test_methods_are_compared_with_what_is_trivial_and_with_each_other(truth: Truth) -> None:
    values = np.nanmean(truth.test, axis=1)
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 1, (len(values), 3))
    rows = compare(
        truth,
        Prediction("chance", "trivial", noise[:, :1]),
        Prediction("perfect", "file", values[:, None]),
        Prediction("same", "file", 2 * values[:, None]),
        Prediction("other", "one-shot", noise[:, 1:]),
    )
    assert list(rows) == [
        ("perfect", "chance"),
        ("same", "chance"),
        ("other", "chance"),
        ("perfect", "same"),
        ("perfect", "other"),
        ("same", "other"),
    ]
    chosen = truth.representatives(np.ones(len(values), bool))
    row = rows["perfect", "chance"]
    assert row["value"] == pytest.approx(1 - kendall(noise[chosen, 0], values[chosen]))
    assert row["p"] < 0.01
    assert row["n"] == len(chosen)
    assert 0 < row["low"] < row["value"] < row["high"]
    assert rows["perfect", "same"]["value"] == 0
    assert rows["perfect", "same"]["p"] == 1
    assert rows["other", "chance"]["p"] > 0.05
    family = [rows[pair] for pair in list(rows)[3:]]
    assert [row["p_holm"] for row in family] == pytest.approx(
        holm(np.array([row["p"] for row in family]))
    )
    assert row["p_holm"] > row["p"]  # three methods were compared with chance


def test_a_pair_is_judged_on_what_both_may_be(truth: Truth) -> None:
    """Some architectures have no score of one, and one has seen a seed."""
    values = np.nanmean(truth.test, axis=1)
    some, early = values[:, None].copy(), truth.valid[:, :1, 0]
    some[:6] = np.nan
    rows = compare(
        truth,
        Prediction("early", "trivial", early, judged_by=(1, 2)),
        Prediction("some", "file", some),
        Prediction("few", "file", np.where(np.arange(len(values)) < 4, values, np.nan)[:, None]),
    )
    assert list(rows) == [("some", "early")]  # four architectures are too few to compare
    kept = truth.representatives(np.isfinite(some[:, 0]) & np.isfinite(early[:, 0]))
    judges = np.nanmean(truth.test[kept, 1:], axis=1)
    taus = [kendall(one[kept, 0], judges) for one in (some, early)]
    row = rows["some", "early"]
    assert row["value"] == pytest.approx(taus[0] - taus[1])
    assert (row["n"], row["seeds"]) == (len(kept), 2)


# --- the study --------------------------------------------------------------------------------


def test_what_costs_nothing_comes_first(study: RankStudy) -> None:
    methods = list(dict.fromkeys(study.report.column("method").to_pylist()))
    short = [f"short_training:epochs={epochs}" for epochs in (1, 2)]
    assert methods == ["random", *SIZES, *short, METHOD]


def test_every_tau_has_what_it_needs(study: RankStudy) -> None:
    rows = rows_of(study, metric="tau")
    assert len(rows) == 12  # six predictors, over classes and over architectures
    for row in rows:
        assert row["low"] <= row["value"] <= row["high"]
        assert 0 < row["ceiling"] < 1
        assert row["n"] > 10
    assert {row["store_sha"] for row in rows} == {study.report.column("store_sha")[0].as_py()}


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
    with pytest.raises(InputError, match=r"DARTS weighs all operations .* expected one of fairnas"):
        run_rank(RankPlan("spos,darts"), some)


def test_convolutions_that_lead_somewhere_are_counted(truth: Truth) -> None:
    """Edges 0-1, 0-2, 1-2; three stages of one cell, so three networks' worth of each."""
    sizes = live_sizes(truth)
    convolutions = {
        one.decisions: count
        for one, count in zip(truth.architectures, sizes["live_convolutions"], strict=True)
    }
    (rest,) = {
        count - 3 * sum(op in (2, 3) for op in decisions)
        for decisions, count in convolutions.items()
        if 0 not in decisions
    }  # the stem and what reduces
    assert any(0 in decisions and 3 in decisions for decisions in convolutions)
    for (first, direct, second), count in convolutions.items():
        live = [direct, *([first, second] if 0 not in (first, second) else [])]
        assert count == rest + 3 * sum(op in (2, 3) for op in live)


def test_a_curve_is_looked_at_early_and_at_equal_compute(truth: Truth) -> None:
    images = 3 * 297 * len(truth.architectures)
    found = {one.method: one.numbers["images"] for one in trivial_predictions(truth, {}, [images])}
    assert list(found) == [f"short_training:epochs={epochs}" for epochs in (1, 2, 3)]
    value, note = found["short_training:epochs=3"]
    assert value == images
    assert note.endswith("nearest to a supernet's compute")
    assert "nearest" not in found["short_training:epochs=2"][1]


def test_a_short_training_is_not_judged_by_its_own_end(study: RankStudy) -> None:
    (row,) = rows_of(study, metric="tau", method="short_training:epochs=1", scope="classes")
    assert row["seeds"] == 2
    (images,) = rows_of(study, metric="images", method="short_training:epochs=1")
    assert images["value"] == images["n"] * 297


def test_a_run_that_ended_early_is_not_asked_for_its_stability(truth: Truth) -> None:
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


@pytest.mark.parametrize(("share", "verdict"), [(0.0, "not trained"), (0.19, "not trained")])
def test_the_verdict_is_of_how_far_above_chance_it_is(
    share: float, verdict: str, truth: Truth
) -> None:
    """Of the way from chance to the stand-alone networks, a fifth at least."""
    n, chance = len(truth.architectures), 0.1
    one_each = truth.representatives(np.ones(n, bool))
    way = float(np.nanmean(truth.valid[one_each, :, -1])) - chance
    for reached, expected in ((share, verdict), (share + 0.21, "trained")):
        scores = Scores(np.full(n, chance + reached * way), np.zeros(n))
        run = OneShotRun(scores, 8, (), truth.architectures[0], (), {}, chance)
        found, note = one_shot_prediction("x", [run], truth).numbers["supernet_accuracy"]
        assert found == pytest.approx(chance + reached * way)
        assert note.partition(":")[0] == expected


def test_costs_are_counted(study: RankStudy) -> None:
    (images,) = rows_of(study, metric="images", method=METHOD)
    assert images["value"] == 12 * 16
    (scored,) = rows_of(study, metric="scoring_images", method=METHOD)
    assert scored["value"] > 24 * 297
    (peak,) = rows_of(study, metric="peak_saved_bytes", method=METHOD)
    (mean,) = rows_of(study, metric="mean_saved_bytes", method=METHOD)
    assert 0 < mean["value"] <= peak["value"]
    (state,) = rows_of(study, metric="state_bytes", method=METHOD)
    assert state["value"] > 4 * 1000


def test_one_training_is_scored_in_several_modes(truth: Truth, study: RankStudy) -> None:
    both = run_rank(RankPlan(METHOD, seeds=2, draws=20, bn_mode="recal,running"), truth)
    names = [f"{METHOD}:bn_mode={mode}" for mode in ("recal", "running")]
    scores = {
        name: [row["accuracy"] for row in both.scores.to_pylist() if row["method"] == name]
        for name in names
    }
    alone = study.scores.column("accuracy").to_pylist()
    assert scores[names[0]] == alone
    assert scores[names[1]] != alone
    images = [rows_of(both, metric="scoring_images", method=name)[0]["value"] for name in names]
    assert images[0] == rows_of(study, metric="scoring_images", method=METHOD)[0]["value"]
    assert images[1] < images[0]  # it collects no statistics
    (row,) = rows_of(both, metric="tau_difference", against=names[1])
    assert row["method"] == names[0]
    assert both.report.column("bn_mode").unique().to_pylist() == ["recal,running"]


def test_the_report_compares_methods(study: RankStudy) -> None:
    rows = rows_of(study, metric="tau_difference", method=METHOD)
    assert [row["against"] for row in rows] == [
        *SIZES,
        "short_training:epochs=1",
        "short_training:epochs=2",
    ]
    (tau,) = rows_of(study, metric="tau", method=METHOD, scope="classes")
    (trivial,) = rows_of(study, metric="tau", method="live_params", scope="classes")
    assert rows[0]["value"] == pytest.approx(tau["value"] - trivial["value"])
    assert all(row["against"] == "" for row in rows_of(study, metric="tau"))


def test_two_seeds_are_enough_for_all_that_a_tau_needs(truth: Truth, tmp_path: Path) -> None:
    """A short training is judged by the other seed, and both tell of noise."""
    two = dataclasses.replace(truth, test=truth.test[:, :2], valid=truth.valid[:, :2])
    path = write_csv(tmp_path / "mine.csv", two, np.nanmean(two.test, axis=1)[:, None])
    study = run_rank(RankPlan("", scores=str(path), draws=10), two)
    short = rows_of(study, metric="tau", method="short_training:epochs=1")
    assert [row["seeds"] for row in short] == [1, 1]
    for row in rows_of(study, metric="tau"):
        assert 0 < row["measured_ceiling"] < 1
        assert 0 < row["ceiling"] < 1


def test_workers_change_nothing(truth: Truth, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "mine.csv", truth, np.nanmean(truth.test, axis=1)[:, None])
    plan = RankPlan("", scores=str(path), draws=5)
    one, two = (run_rank(plan, truth, workers=workers).report for workers in (1, 2))
    assert repr(one.to_pylist()) == repr(two.to_pylist())


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


# --- landmarks --------------------------------------------------------------------------------

TOLD = "landmark:landmarks=4:steps=12:batch_size=16"
FEWER = "landmark:landmarks=2:steps=12:batch_size=16"


@pytest.fixture(scope="module")
def told(truth: Truth) -> RankStudy:
    return run_rank(RankPlan(f"{TOLD},{FEWER},{METHOD}", seeds=1, draws=5), truth)


def scrambled(truth: Truth, known: Landmarks) -> Truth:
    """Another truth, but for the validation values of some."""
    rng = np.random.default_rng(7)
    kept = np.array([one in known.architectures for one in truth.architectures])
    valid = np.where(kept[:, None, None], truth.valid, rng.random(truth.valid.shape))
    return dataclasses.replace(truth, valid=valid, test=rng.random(truth.test.shape))


def test_landmarks_are_chosen_by_seed_and_known_by_validation(truth: Truth) -> None:
    known = truth.landmarks(4, seed=0)
    assert len({one.canonical_id for one in known.architectures}) == len(known) == 4
    rows = [truth.architectures.index(one) for one in known.architectures]
    assert known.values == pytest.approx(np.nanmean(truth.valid[rows, :, -1], axis=1))
    assert truth.landmarks(2, seed=0).architectures == known.architectures[:2]
    other = scrambled(truth, known).landmarks(4, seed=0)
    assert other.architectures == known.architectures
    assert other.values.tolist() == known.values.tolist()
    assert truth.landmarks(4, seed=1).architectures != known.architectures
    assert len(truth.landmarks(0, seed=0)) == 0


def test_what_is_the_same_function_as_a_landmark_is_cut_too(truth: Truth) -> None:
    classes, times = np.unique(truth.classes, return_counts=True)
    row = int(np.flatnonzero(truth.classes == classes[times.argmax()])[0])
    known = Landmarks((truth.architectures[row],), np.ones(1))
    left = truth.without(known)
    assert len(left.architectures) == len(truth.architectures) - times.max()
    assert truth.architectures[row].canonical_id not in {
        one.canonical_id for one in left.architectures
    }
    assert truth.without(Landmarks()).architectures == truth.architectures


def test_landmarks_are_judged_by_no_row(told: RankStudy, truth: Truth) -> None:
    ids = {one.canonical_id for one in truth.landmarks(4, seed=0).architectures}
    assert not ids & set(told.scores.column("canonical").to_pylist())
    rows = rows_of(told, metric="tau", scope="classes")
    assert {row["n"] for row in rows} == {17 - 4}
    methods = [row["method"] for row in rows]
    assert methods[-5:] == ["ridge:landmarks=2", "ridge:landmarks=4", TOLD, FEWER, METHOD]
    assert "live_params" in methods[:-5]


def test_landmarks_are_named_and_paid_for(told: RankStudy, truth: Truth) -> None:
    known = truth.landmarks(4, seed=0)
    for method, n in ((TOLD, 4), (FEWER, 2), ("ridge:landmarks=4", 4)):
        (row,) = rows_of(told, metric="landmarks", method=method)
        assert row["value"] == n
        assert row["note"].split(" ") == [one.id for one in known.architectures[:n]]
        (images,) = rows_of(told, metric="landmark_images", method=method)
        assert images["value"] == n * 3 * 4 * truth.dataset.n_train  # seeds, epochs
    assert not rows_of(told, metric="landmarks", method=METHOD)
    text = rank_table(told.report).to_text()
    assert f"{FEWER} was told of 2 architectures, which no row judges; their trainings saw" in text
    assert f"{METHOD} was told" not in text


def test_scores_do_not_depend_on_other_trainings(told: RankStudy, truth: Truth) -> None:
    other = scrambled(truth, truth.landmarks(4, seed=0))
    again = run_rank(RankPlan(f"{TOLD},{FEWER},{METHOD}", seeds=1, draws=5), other)
    for name in ("method", "architecture", "accuracy", "loss"):
        assert again.scores.column(name) == told.scores.column(name)
    assert again.scores.column("truth") != told.scores.column("truth")


def test_a_ridge_knows_what_landmarks_say(truth: Truth) -> None:
    """The made-up truth counts convolutions, so that a dozen landmarks tell it all."""
    known = truth.landmarks(12, seed=0)
    left = truth.without(known)
    (row,) = [
        row
        for row in judge(
            landmark_prediction(known, left), left, np.arange(len(left.classes)), draws=5, seed=0
        )
        if (row["metric"], row["scope"]) == ("tau", "classes")
    ]
    assert row["n"] == 5
    assert row["value"] > 0.5


def test_a_file_may_have_scores_of_landmarks(truth: Truth, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "mine.csv", truth, np.nanmean(truth.test, axis=1)[:, None])
    study = run_rank(RankPlan(TOLD, scores=str(path), seeds=1, draws=5), truth)
    (row,) = rows_of(study, method="mine.csv", metric="tau", scope="classes")
    assert (row["value"], row["n"]) == (1, 17 - 4)


def test_too_many_landmarks_are_refused(truth: Truth) -> None:
    with pytest.raises(InputError, match="13 landmarks were asked for, of 17 different functions"):
        run_rank(RankPlan("landmark:landmarks=13"), truth)


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
        ({"bn_mode": "recall"}, "bn_mode is 'recall'; expected one of recal, batch, running"),
        ({"bn_mode": "batch,batch"}, "bn_mode is 'batch,batch'"),
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
