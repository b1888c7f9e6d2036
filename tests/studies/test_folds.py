from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nassim.errors import InputError, UnknownNameError
from nassim.records import Dataset, Metric, Run
from nassim.store import Store
from nassim.studies.folds import Fold, FoldPlan, load_fold, target_names

Make = Callable[..., FoldPlan]


@pytest.fixture
def plan(tiny_store: Path) -> Make:
    """``plan(pool="all")`` of the tiny store; see ``tests/conftest.py``."""
    sha = Store.open(tiny_store).sha
    return lambda **options: FoldPlan(str(tiny_store), sha, **options)


@pytest.fixture
def store_of(tmp_path: Path) -> Callable[..., FoldPlan]:
    """A plan over a store of these runs (of datasets a, b, ... each a group of its own)."""

    def make(runs: list[Run], metric: Metric | None = None, **options: Any) -> FoldPlan:
        path = tmp_path / "own"
        store = Store.create(path) if metric is None else Store.create(path, metric)
        names = sorted({run.dataset for run in runs})
        recipes = {run.recipe: {} for run in runs}
        store.append(runs, datasets=[Dataset(name, name) for name in names], recipes=recipes)
        return FoldPlan(str(path), store.sha, **options)

    return make


def run_of(dataset: str, architecture: str, valid: Any, **changes: Any) -> Run:
    valid = np.array(valid, np.float32)
    scores = {"valid": valid} | {
        split: np.array(changes.pop(split), np.float32)
        for split in ("test", "merged")
        if split in changes
    }
    defaults = {"recipe": "short", "seed": 0, "canonical_id": architecture}
    return Run(
        changes.pop("space", "table"),
        architecture,
        dataset,
        **(defaults | changes),
        epochs=len(valid),
        scores=scores,
        epoch_seconds=np.ones(len(valid), np.float32),
    )


def ids(fold: Fold) -> set[str]:
    return {architecture.id for architecture in fold.table.architectures}


def source_ids(fold: Fold, name: str) -> set[str]:
    (task,) = (task for task in fold.sources.tasks if task.dataset.name == name)
    return {architecture.id for architecture in task.architectures}


# --- pools -------------------------------------------------------------------------------------


def test_a_disjoint_pool_has_what_no_other_dataset_has(plan: Make) -> None:
    for target in ("clothes", "digits", "letters"):
        fold = load_fold(plan(pool="disjoint"), target)
        assert len(ids(fold)) == 4
        for task in fold.sources.tasks:
            assert not ids(fold) & source_ids(fold, task.dataset.name)


def test_a_shared_pool_has_what_all_have_and_all_has_both(plan: Make) -> None:
    pools = {
        pool: ids(load_fold(plan(pool=pool), "digits")) for pool in ("disjoint", "shared", "all")
    }
    assert len(pools["shared"]) == 4
    assert pools["all"] == pools["shared"] | pools["disjoint"]
    assert pools["shared"] <= source_ids(load_fold(plan(pool="shared"), "digits"), "letters")


def test_sources_are_whole_whatever_the_pool(plan: Make) -> None:
    for pool in ("disjoint", "shared", "all"):
        fold = load_fold(plan(pool=pool), "digits")
        for task in fold.sources.tasks:
            assert len(task.architectures) == 9  # eight, one of them with two seeds
            assert len(set(task.seeds.tolist())) == 2


def test_an_isomorphic_duplicate_is_not_disjoint(store_of: Make) -> None:
    own = [run_of(d, f"{d}{k}", [0.1, 0.2]) for d in "ab" for k in range(3)]
    twin = dataclasses.replace(own[0], dataset="b", architecture="other text")  # canonical a0
    fold = load_fold(store_of([*own, twin]), "a")
    assert ids(fold) == {"a1", "a2"}


def test_a_pool_may_be_drawn_smaller(plan: Make) -> None:
    whole = ids(load_fold(plan(pool="all"), "digits"))
    drawn = [ids(load_fold(plan(pool="all", size=3, pool_seed=k), "digits")) for k in (0, 0, 1, 2)]
    assert [len(pool) for pool in drawn] == [3] * 4
    assert drawn[0] == drawn[1]
    assert all(pool < whole for pool in drawn)
    assert len({frozenset(pool) for pool in drawn}) > 1
    assert ids(load_fold(plan(pool="all", size=99), "digits")) == whole


def test_too_small_a_pool_is_refused(store_of: Make) -> None:
    same = [run_of(d, f"x{k}", [0.1, 0.2]) for d in "ab" for k in range(3)]
    plan = store_of(same)
    with pytest.raises(InputError, match=r"Pool 'disjoint' has 0 candidates on 'a'.*--pool all"):
        load_fold(plan, "a")
    assert len(ids(load_fold(dataclasses.replace(plan, pool="shared"), "a"))) == 3


# --- sources and target ------------------------------------------------------------------------


def test_the_target_is_none_of_its_sources(plan: Make) -> None:
    for target in ("clothes", "digits", "letters"):
        fold = load_fold(plan(pool="all"), target)
        names = {task.dataset.name for task in fold.sources.tasks}
        assert names == {"clothes", "digits", "letters"} - {target}
        assert fold.target.name == fold.table.dataset.name == target


def test_leaving_a_group_out_leaves_its_relatives_out(plan: Make) -> None:
    fold = load_fold(plan(leave_out="group"), "digits")
    assert [task.dataset.name for task in fold.sources.tasks] == ["clothes"]
    fold = load_fold(plan(leave_out="group"), "clothes")
    assert [task.dataset.name for task in fold.sources.tasks] == ["digits", "letters"]


def test_sources_may_be_fewer(plan: Make) -> None:
    whole = load_fold(plan(), "digits")
    for count in (1, 2, 9):
        drawn = [
            [
                task.dataset.name
                for task in load_fold(plan(source_datasets=count, **o), "digits").sources.tasks
            ]
            for o in ({}, {}, {"source_architectures": 3})
        ]
        assert drawn[0] == drawn[1] == drawn[2]
        assert len(drawn[0]) == min(count, 2)
    firsts = {
        load_fold(plan(source_datasets=1, pool_seed=seed), "digits").sources.tasks[0].dataset.name
        for seed in range(6)
    }
    assert firsts == {"clothes", "letters"}
    assert load_fold(plan(source_datasets=1), "digits").table.architectures == (
        whole.table.architectures
    )


def test_sources_may_have_fewer_architectures_with_all_their_runs(plan: Make) -> None:
    whole = load_fold(plan(), "digits")
    kept: list[set[str]] = []
    for count in (1, 3, 7, 8, 99):
        fold = load_fold(plan(source_architectures=count), "digits")
        assert np.array_equal(fold.table.values, whole.table.values)
        kept.append(source_ids(fold, "letters"))
        assert len(kept[-1]) == min(count, 8)
        for task, all_of_it in zip(fold.sources.tasks, whole.sources.tasks, strict=True):
            ids_of_all = [a.id for a in all_of_it.architectures]
            chosen = [
                k
                for k, name in enumerate(ids_of_all)
                if name in source_ids(fold, task.dataset.name)
            ]
            assert task.values.tolist() == all_of_it.values[chosen].tolist()
    assert all(few <= more for few, more in itertools.pairwise(kept))  # the same ones, and more
    others = source_ids(load_fold(plan(source_architectures=3, pool_seed=1), "digits"), "letters")
    assert others != kept[1]


def test_shuffled_sources_keep_results_and_architectures_but_not_which_is_whose(
    plan: Make,
) -> None:
    whole = load_fold(plan(), "digits")
    shuffled = load_fold(plan(shuffled_sources=True), "digits")
    assert np.array_equal(shuffled.table.values, whole.table.values)  # the target is as it was
    for task, true in zip(shuffled.sources.tasks, whole.sources.tasks, strict=True):
        assert np.array_equal(task.values, true.values)
        assert np.array_equal(task.curves, true.curves, equal_nan=True)
        names, true_names = ([a.id for a in each.architectures] for each in (task, true))
        assert sorted(names) == sorted(true_names)
        assert sum(a == b for a, b in zip(names, true_names, strict=True)) < len(names) / 2
    other = load_fold(plan(shuffled_sources=True, pool_seed=1), "digits").sources.tasks[0]
    assert other.architectures != shuffled.sources.tasks[0].architectures


def test_a_source_says_what_was_recorded(plan: Make, tiny_store: Path) -> None:
    fold = load_fold(plan(), "digits")
    store = Store.open(tiny_store)
    for task in fold.sources.tasks:
        name = task.dataset.name
        index = store.index(dataset=name)
        assert [a.id for a in task.architectures] == index.architecture.tolist()
        assert np.allclose(
            task.curves, store.curves("valid_accuracy", dataset=name), equal_nan=True
        )
        assert np.allclose(
            task.seconds, store.curves("epoch_seconds", dataset=name), equal_nan=True
        )
        assert task.failed.tolist() == (index.status != "ok").tolist()
        assert task.failed.sum() == 1
        assert task.n_params.tolist() == index.n_params.tolist()
        ok = ~task.failed
        assert np.allclose(task.values[ok], np.nanmax(task.curves[ok], axis=1))
        assert np.allclose(task.values[~ok], 0.25)  # guessing, of four classes


def test_the_target_s_table_says_what_was_recorded(plan: Make, tiny_store: Path) -> None:
    fold = load_fold(plan(pool="all"), "digits")
    index = Store.open(tiny_store).index(dataset="digits")
    assert len(fold.table.candidate) == len(index) == 9
    runs = [fold.table.architectures[c].id for c in fold.table.candidate.tolist()]
    assert runs == index.architecture.tolist()
    assert fold.table.has_several_runs
    assert (fold.metric.name, fold.space) == ("accuracy", "nasnet")
    decisions = {len(a.decisions) for a in fold.table.architectures}
    assert decisions == {40}


def test_test_values_are_sealed_and_the_mean_over_seeds(store_of: Make) -> None:
    nan = np.nan
    plan = store_of(
        [
            run_of("a", "x", [0.1, 0.2], test=[0.3, 0.4]),
            run_of("a", "x", [0.1, 0.2], test=[nan, 0.6], seed=1),
            run_of("a", "y", [0.1, 0.2], test=[0.7, nan]),
            run_of("a", "z", [0.1, 0.2]),
        ]
    )
    fold = load_fold(plan, "a")
    assert [a.id for a in fold.table.architectures] == ["x", "y", "z"]
    assert fold.sealed.test[:2] == pytest.approx([0.5, 0.7])  # the last measured of each run
    assert np.isnan(fold.sealed.test[2])
    assert not hasattr(fold.table, "test")


def test_the_quality_may_be_the_last_value(store_of: Make) -> None:
    plan = store_of([run_of("a", "x", [0.9, 0.2]), run_of("a", "y", [0.1, 0.5])])
    for quality, expected in (("max", [0.9, 0.5]), ("final", [0.2, 0.5])):
        fold = load_fold(dataclasses.replace(plan, quality=quality), "a")
        assert fold.table.qualities == pytest.approx(expected)


def test_values_that_are_lower_the_better(store_of: Make) -> None:
    perplexity = Metric("perplexity", False, (0.0, float("inf")))
    runs = [
        run_of("a", "x", [3.0, 2.0], test=[3.0, 2.5]),
        run_of("a", "y", [4.0, 5.0], test=[1, 6]),
    ]
    fold = load_fold(store_of(runs, perplexity), "a")
    assert fold.table.qualities.tolist() == [-2, -4]
    assert fold.sealed.test.tolist() == [-2.5, -6]  # higher is better here too


# --- what leaks is refused unless asked for ----------------------------------------------------


def test_a_merged_split_is_refused_unless_asked_for(store_of: Make) -> None:
    nan = [np.nan, np.nan]
    plan = store_of([run_of("a", k, nan, merged=[0.1, v]) for k, v in (("x", 0.5), ("y", 0.7))])
    with pytest.raises(InputError, match=r"no values in column 'valid_accuracy'.*--split merged"):
        load_fold(plan, "a")
    fold = load_fold(dataclasses.replace(plan, split="merged"), "a")
    assert fold.table.qualities == pytest.approx([0.5, 0.7])


def test_without_any_values_there_is_nothing_to_search_on(store_of: Make) -> None:
    plan = store_of([run_of("a", k, [np.nan], test=[0.5]) for k in "xy"])
    with pytest.raises(InputError, match="nothing can be searched on"):
        load_fold(plan, "a")


# --- choices -----------------------------------------------------------------------------------


def test_of_several_spaces_or_recipes_one_must_be_chosen(store_of: Make) -> None:
    runs = [run_of("a", k, [0.1, 0.2]) for k in "xy"]
    runs += [run_of("a", k, [0.3, 0.4], recipe="long") for k in "xyz"]
    plan = store_of(runs)
    with pytest.raises(InputError, match=r"2 recipes \(long, short\); choose one with --recipe"):
        load_fold(plan, "a")
    assert len(ids(load_fold(dataclasses.replace(plan, recipe="long"), "a"))) == 3
    with pytest.raises(UnknownNameError, match=r"No recipe is called 'lang'. Did you mean 'long'"):
        load_fold(dataclasses.replace(plan, recipe="lang"), "a")


def test_each_dataset_may_have_a_recipe_of_its_own(store_of: Make) -> None:
    runs = [run_of("a", f"a{k}", [0.1, 0.2]) for k in range(2)]
    runs += [run_of("b", f"b{k}", [0.3], recipe="long") for k in range(2)]
    assert len(load_fold(store_of(runs), "a").sources.tasks) == 1


def test_of_several_spaces_one_must_be_chosen(store_of: Make) -> None:
    runs = [run_of("a", k, [0.1, 0.2], space=s) for k in "xy" for s in ("table", "other")]
    plan = store_of(runs)
    with pytest.raises(InputError, match=r"2 spaces \(other, table\); choose one with --space"):
        load_fold(plan, "a")
    assert load_fold(dataclasses.replace(plan, space="other"), "a").space == "other"


def test_an_unknown_target_is_refused(plan: Make) -> None:
    with pytest.raises(
        UnknownNameError, match=r"No target dataset is called 'digit'. Did you mean"
    ):
        load_fold(plan(), "digit")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pool": "half"}, "pool is 'half'; expected one of disjoint, shared, all"),
        ({"leave_out": "none"}, "leave_out is 'none'; expected one of dataset, group"),
        ({"split": "train"}, "split is 'train'; expected one of valid, merged, test"),
        ({"quality": "mean"}, "quality is 'mean'; expected one of max, final"),
        ({"size": 1}, "size is 1; expected at least 2 candidates"),
        ({"source_datasets": 0}, "source_datasets is 0; expected 1 or more"),
        ({"source_architectures": 0}, "source_architectures is 0; expected 1 or more"),
    ],
)
def test_odd_options_are_refused(plan: Make, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        plan(**options)


def test_targets_are_datasets_that_have_runs(tiny_store: Path) -> None:
    store = Store.open(tiny_store)
    store.append([], datasets=[Dataset("empty", "empty")])
    assert target_names(store) == ["clothes", "digits", "letters"]


def test_the_order_in_which_runs_were_appended_means_nothing(tmp_path: Path) -> None:
    runs = [run_of(d, f"{d}{k}", [0.1, k / 10]) for d in "ab" for k in range(4)]
    folds = []
    for name, ordered in (("one", runs), ("two", runs[::-1])):
        store = Store.create(tmp_path / name)
        datasets = [Dataset("a", "a"), Dataset("b", "b")]
        store.append([], datasets=datasets, recipes={"short": {}})
        for run in ordered:
            store.append([run])
        folds.append(load_fold(FoldPlan(str(tmp_path / name), store.sha), "a"))
    assert np.array_equal(folds[0].table.values, folds[1].table.values)
    assert [a.id for a in folds[0].table.architectures] == ["a0", "a1", "a2", "a3"]
    assert folds[0].sources.tasks[0].values.tolist() == folds[1].sources.tasks[0].values.tolist()
