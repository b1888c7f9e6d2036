from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nassim
from nassim.checks.worlds import hard_worlds
from nassim.errors import InputError, UnknownNameError
from nassim.loading import load, parse_specifications
from nassim.records import Dataset, Metric, Run
from nassim.reports import termination_table
from nassim.simulator import Episode, Replay, simulate
from nassim.store import Store
from nassim.store.importers import import_into
from nassim.studies import fitting, termination
from nassim.studies.folds import FoldPlan, load_fold
from nassim.studies.results import read_study
from nassim.studies.termination import (
    DEFAULT_METHODS,
    TerminationPlan,
    default_methods,
    run_termination,
)
from nassim.terminators import TERMINATORS

Rows = list[dict[str, Any]]
METHODS = "never,last_value,asha,successive_halving:eta=2"  # numpy only


@pytest.fixture
def folds(tiny_store: Path) -> FoldPlan:
    return FoldPlan(str(tiny_store), Store.open(tiny_store).sha, pool="all")


def rows(folds: FoldPlan, methods: str = METHODS, **options: Any) -> Rows:
    targets = options.pop("targets", None)
    options = {"orders": 3, "model_seeds": 2} | options
    study = run_termination(TerminationPlan(methods, **options), folds, targets)
    return study.results.to_pylist()


# --- the same again ----------------------------------------------------------------------------


def written(
    folds: FoldPlan, path: Path, *, workers: int = 1, ray: str | None = None, seed: int = 0
) -> bytes:
    plan = TerminationPlan(METHODS, orders=4, seed=seed)
    run_termination(plan, folds, workers=workers, ray=ray).write(path)
    return path.read_bytes()


def test_the_same_seed_gives_the_same_bytes(folds: FoldPlan, tmp_path: Path) -> None:
    once = written(folds, tmp_path / "once.parquet")
    load_fold.cache_clear()
    assert written(folds, tmp_path / "again.parquet") == once
    assert written(folds, tmp_path / "other.parquet", seed=1) != once


def test_the_bytes_depend_neither_on_processes_nor_on_load(
    folds: FoldPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = written(folds, tmp_path / "alone.parquet")
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        together = written(folds, tmp_path / "together.parquet", workers=2)
    finally:
        busy.kill()
        busy.wait()
    assert together == alone
    cluster: list[str] = []

    def each_on(address: str, function: Any, items: Any) -> Iterator[Any]:
        cluster.append(address)
        return map(function, reversed(list(items)))

    monkeypatch.setattr(fitting, "each_on", each_on)
    assert written(folds, tmp_path / "ray.parquet", ray="head:1") == alone
    assert cluster == ["head:1"]
    pools = [(tmp_path / f"{name}.pool.parquet").read_bytes() for name in ("alone", "together")]
    assert pools[0] == pools[1]


def test_results_are_sorted_by_target_method_and_seeds(folds: FoldPlan) -> None:
    found = rows(folds, "never,asha", orders=2)
    keys = [(r["target"], r["method"], r["order_seed"]) for r in found]
    assert keys == [
        (target, method, order)
        for target in ("clothes", "digits", "letters")
        for method in ("never", "asha")
        for order in (0, 1)
    ]
    chosen = rows(folds, "never", orders=1, targets=["letters", "clothes"])
    assert [r["target"] for r in chosen] == ["letters", "clothes"]


# --- paired seeds ------------------------------------------------------------------------------


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Replay, Episode]]:
    """Every search of a study, as it happens."""
    seen: list[tuple[Replay, Episode]] = []

    def watch(replay: Replay, *args: Any, **options: Any) -> Episode:
        seen.append((replay, simulate(replay, *args, **options)))
        return seen[-1][1]

    monkeypatch.setattr(termination, "simulate", watch)
    return seen


def by_order(
    found: Rows, watched: list[Any]
) -> dict[tuple[str, int], list[tuple[Replay, Episode]]]:
    """The searches of each target and order; found in the order in which they were made."""
    orders = defaultdict(list)
    for row, search in zip(found, watched, strict=True):
        orders[row["target"], row["order_seed"]].append(search)
    return orders


def test_all_methods_see_the_same_orders(folds: FoldPlan, watched: list[Any]) -> None:
    orders = by_order(rows(folds), watched)
    started = []
    for searches in orders.values():
        assert len({episode.started for _, episode in searches}) == 1
        started.append(searches[0][1].started)
    assert len(set(started)) > 6  # of nine; orders differ


def test_orders_differ_between_seeds_of_a_study(folds: FoldPlan, watched: list[Any]) -> None:
    rows(folds, "never", seed=0)
    rows(folds, "never", seed=1)
    assert watched[0][1].started != watched[9][1].started


def test_training_seeds_are_drawn_anew_for_each_order_alike_for_all_methods(
    folds: FoldPlan, watched: list[Any]
) -> None:
    orders = by_order(rows(folds, orders=12, targets=["digits"]), watched)
    replayed = []
    for searches in orders.values():
        qualities = {tuple(replay.qualities) for replay, _ in searches}
        assert len(qualities) == 1
        replayed += qualities
    assert len(set(replayed)) == 2  # one candidate has two runs


def test_or_the_first_seed_is_replayed_always(folds: FoldPlan, watched: list[Any]) -> None:
    found = rows(folds, runs="first", orders=12, targets=["digits"])
    assert len({tuple(replay.qualities) for replay, _ in watched}) == 1
    assert {r["runs"] for r in found} == {"first"}


# --- what a row says ---------------------------------------------------------------------------


def test_a_row_is_what_happened(folds: FoldPlan, watched: list[Any]) -> None:
    for row, (replay, episode) in zip(rows(folds), watched, strict=True):
        fold = load_fold(folds, row["target"])
        qualities, test = fold.table.candidate_qualities, fold.sealed.test
        full = float(replay.cumulative_array[:, -1].sum())
        assert row["regret_valid_pp"] == pytest.approx(
            100 * (qualities.max() - qualities[episode.pick])
        )
        assert row["regret_test_pp"] == pytest.approx(100 * (test.max() - test[episode.pick]))
        assert row["pick"] == fold.table.architectures[episode.pick].id
        assert row["cost_fraction"] == pytest.approx(episode.busy_seconds / full)
        assert row["full_seconds"] == pytest.approx(full)
        assert row["simulated_seconds"] == episode.seconds
        assert row["epochs_charged"] == episode.epochs_charged == episode.epochs.sum()
        assert row["epochs_trained"] == episode.epochs.tolist()
        assert (row["started"], row["evaluations"]) == (8, len(episode.completed))
        assert row["killed_best"] == (int(np.argmax(qualities)) not in episode.completed)
        assert row["candidates"] == 8
        for name in ("regret_valid_pp", "regret_test_pp", "random_regret_pp"):
            assert row[name] >= 0


def test_every_row_says_where_it_comes_from(folds: FoldPlan) -> None:
    (row,) = rows(folds, "asha:eta=4:min_epochs=2", orders=1, targets=["digits"])
    expected = {
        "study": "termination",
        "store": "tiny",
        "store_sha": folds.store_sha,
        "space": "nasnet",
        "metric": "accuracy",
        "pool": "all",
        "leave_out": "dataset",
        "quality": "max",
        "runs": "drawn",
        "target": "digits",
        "method": "asha:eta=4:min_epochs=2",
        "order_seed": 0,
        "model_seed": 0,
        "optimizer": "random",
        "workers": 1,
        "accounting": "continue",
        "leakage": "none",
        "source": "tabular",
        "nassim_version": nassim.__version__,
    }
    assert {key: row[key] for key in expected} == expected
    assert json.loads(row["options"]) == {"eta": 4, "min_epochs": 2}


def test_full_trainings_cost_everything_and_have_no_regret(folds: FoldPlan) -> None:
    for row in rows(folds, "never", runs="first", targets=["clothes"]):
        assert row["cost_fraction"] == pytest.approx(1, rel=1e-12)
        assert not row["killed_best"]
        assert row["evaluations"] == 7  # one diverged
        assert row["random_regret_pp"] == row["regret_valid_pp"]


def test_the_anytime_curve_falls_to_the_regret_of_the_pick(folds: FoldPlan) -> None:
    for row in rows(folds, "never", runs="first"):
        cost, regret = row["trace_cost"], row["trace_regret_pp"]
        assert len(cost) == len(regret) > 0
        assert all(np.diff(cost) > 0)
        assert 0 < cost[0] <= cost[-1] <= 1 + 1e-12
        assert regret[-1] == row["regret_valid_pp"]


def test_random_search_of_the_same_cost_follows_the_same_order(
    folds: FoldPlan, watched: list[Any]
) -> None:
    for row, (replay, episode) in zip(rows(folds, "asha"), watched, strict=True):
        table = load_fold(folds, row["target"]).table
        left, seen = episode.busy_seconds, []
        for run in episode.started:  # with one worker these are all, in order
            left -= replay.cumulative[run, replay.lengths[run]]
            if left < -1e-9 and seen:
                break
            seen.append(run)
        best = max(seen, key=lambda run: replay.qualities[run])
        regret = 100 * (table.candidate_qualities.max() - table.candidate_qualities[best])
        assert row["random_regret_pp"] == pytest.approx(regret)


def test_simulated_workers_and_accounting_are_handed_on(folds: FoldPlan) -> None:
    one, four = (
        rows(folds, "never", runs="first", simulated_workers=w, targets=["digits"]) for w in (1, 4)
    )
    for alone, together in zip(one, four, strict=True):
        assert together["workers"] == 4
        assert together["simulated_seconds"] < 0.5 * alone["simulated_seconds"]
        assert together["cost_fraction"] == pytest.approx(alone["cost_fraction"])
    cheap, dear = (rows(folds, "successive_halving", accounting=a) for a in ("continue", "restart"))
    for resumed, anew in zip(cheap, dear, strict=True):
        assert anew["epochs_charged"] > resumed["epochs_charged"]
        assert anew["accounting"] == "restart"


def test_the_pool_is_written_down(folds: FoldPlan) -> None:
    study = run_termination(TerminationPlan("never", orders=1), folds, ["digits"])
    table = load_fold(folds, "digits").table
    pool = study.pool.to_pylist()
    assert [row["architecture"] for row in pool] == [a.id for a in table.architectures]
    assert [row["candidate"] for row in pool] == list(range(8))
    assert [row["quality"] for row in pool] == table.candidate_qualities.tolist()
    assert sorted({len(row["valid"]) for row in pool}) == [2, 6]  # one diverged after two epochs
    assert all(row["full_seconds"] > 0 for row in pool)


def test_timings_are_real_and_apart(folds: FoldPlan) -> None:
    study = run_termination(TerminationPlan("never,asha", orders=1), folds, ["digits"])
    timings = study.timings.to_pylist()
    assert [row["method"] for row in timings] == ["never", "asha"]
    assert all(row["search_seconds"] > 0 and row["fit_seconds"] >= 0 for row in timings)
    assert not [name for name in study.results.schema.names if "real" in name or "fit" in name]


def test_another_metric_is_reported_in_its_own_unit(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "text", Metric("perplexity", False, (1.0, float("inf"))))
    runs = [
        Run(
            "table",
            f"model {k}",
            "books",
            "short",
            0,
            epochs=2,
            scores={"valid": np.array([90, 80 - k], np.float32)},
            epoch_seconds=np.ones(2, np.float32),
        )
        for k in range(4)
    ]
    store.append(runs, datasets=[Dataset("books", "books")], recipes={"short": {}})
    folds = FoldPlan(str(tmp_path / "text"), store.sha)
    for row in rows(folds, "never,asha:eta=2,last_value,median:grace_epochs=1"):
        k = int(row["pick"].split()[1])
        assert row["regret_valid_pp"] == 3 - k  # no hundredth of it
        assert np.isnan(row["regret_test_pp"])  # never measured
        assert row["metric"] == "perplexity"


def test_a_leaking_split_is_marked_in_every_row(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "leaky")
    runs = [
        Run(
            "table",
            f"{dataset}{k}",
            dataset,
            "short",
            0,
            epochs=3,
            scores={s: np.array([0.1, 0.2, 0.3 + k / 9], np.float32) for s in ("merged", "test")},
            epoch_seconds=np.ones(3, np.float32),
        )
        for dataset in ("a", "b")
        for k in range(3)
    ]
    datasets = [Dataset("a", "a"), Dataset("b", "b")]
    store.append(runs, datasets=datasets, recipes={"short": {}})
    path = str(tmp_path / "leaky")
    with pytest.raises(InputError, match="--split merged, and every result will be marked"):
        rows(FoldPlan(path, store.sha))
    for split, leakage in (("merged", "merged"), ("test", "test-seen")):
        assert {row["leakage"] for row in rows(FoldPlan(path, store.sha, split=split))} == {leakage}


# --- methods that learn ------------------------------------------------------------------------

LEARNER = '''
from pathlib import Path

import numpy as np

from nassim.terminators.base import Estimator


class Mean(Estimator):
    """A run will end as the sources did on average, plus what its seed says; notes its fits."""

    uses_sources = True

    def __init__(self, delta=0.5, epochs="every", at_zero=False, width=0.1, log=""):
        super().__init__(delta, epochs, at_zero)
        self.width = width
        self.log = log

    def fit(self, sources, seed):
        names = ",".join(task.dataset.name for task in sources.tasks)
        with Path(self.log).open("a") as file:
            file.write(f"{names} {seed} {self.width}\\n")
        self.noise = np.random.default_rng(seed).normal()

    def estimate(self, prefixes):
        last = prefixes.curves[:, -1]
        return np.stack([last + 0.2 * self.noise, np.full(len(last), self.width)], axis=1)
'''


@pytest.fixture
def learner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Path]:
    """The specification of a method that learns, and the file in which it notes its fits."""
    (tmp_path / "learner.py").write_text(LEARNER)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "learner", raising=False)
    log = tmp_path / "fits.txt"
    return f"learner:Mean:log={log}", log


def test_a_method_that_learns_is_fitted_for_each_target_and_model_seed(
    folds: FoldPlan, learner: tuple[str, Path]
) -> None:
    specification, log = learner
    found = rows(folds, f"never,{specification}", model_seeds=3, orders=2)
    fits = [line.split() for line in log.read_text().splitlines()]
    assert len(fits) == 9
    assert {names for names, *_ in fits} == {"clothes,digits", "clothes,letters", "digits,letters"}
    assert len({seed for _, seed, _ in fits}) == 9
    seeds = defaultdict(set)
    for row in found:
        seeds[row["method"]].add((row["target"], row["model_seed"], row["order_seed"]))
    assert (len(seeds["never"]), len(seeds[specification])) == (3 * 2, 3 * 3 * 2)


def test_methods_that_differ_in_their_rule_only_share_a_fit(
    folds: FoldPlan, learner: tuple[str, Path]
) -> None:
    specification, log = learner
    rules = ["", ":delta=0.1", ":epochs=(2, 4)", ":width=0.3", ":width=0.3:delta=0.9"]
    methods = ",".join(specification + rule for rule in rules)
    together = rows(folds, methods, targets=["digits"])
    widths = [line.split()[2] for line in log.read_text().splitlines()]
    assert sorted(widths) == ["0.1", "0.1", "0.3", "0.3"]  # two model seeds
    alone = [rows(folds, specification + rule, targets=["digits"]) for rule in rules]
    assert together == [row for part in alone for row in part]
    assert len({tuple(row["epochs_trained"]) for row in together}) > 5  # and yet rules differ


def test_a_group_may_be_left_out(folds: FoldPlan, learner: tuple[str, Path]) -> None:
    specification, log = learner
    groups = FoldPlan(folds.store, folds.store_sha, pool="all", leave_out="group")
    found = rows(groups, specification, model_seeds=1, orders=1)
    learned = [line.split()[0] for line in log.read_text().splitlines()]
    assert learned == ["digits,letters", "clothes", "clothes"]
    assert {row["leave_out"] for row in found} == {"group"}


# --- progress and what is refused --------------------------------------------------------------


def test_progress_is_told_after_each_fit(folds: FoldPlan) -> None:
    told: list[tuple[int, int, str]] = []
    plan = TerminationPlan("never,asha", orders=1)
    run_termination(plan, folds, ["digits", "clothes"], progress=lambda *args: told.append(args))
    assert [(done, total) for done, total, _ in told] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert {what for *_, what in told} == {
        f"{target} {method}" for target in ("digits", "clothes") for method in ("never", "asha")
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"orders": 0}, "orders is 0; expected a whole number, 1 or more"),
        ({"model_seeds": 0}, "model_seeds is 0; expected a whole number"),
        ({"simulated_workers": 1.5}, "simulated_workers is 1.5; expected a whole number"),
        ({"seed": -1}, "seed is -1; expected 0 or more"),
        ({"accounting": "free"}, "accounting is 'free'; expected 'continue' or 'restart'"),
        ({"runs": "last"}, "runs is 'last'; expected 'drawn' or 'first'"),
    ],
)
def test_odd_plans_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        TerminationPlan(METHODS, **options)


def refused(folds: FoldPlan, *args: Any, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        run_termination(TerminationPlan(*args, orders=1), folds, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_odd_studies_are_refused_before_any_work(folds: FoldPlan, watched: list[Any]) -> None:
    assert "Did you mean 'asha'" in refused(folds, "never,ahsa")
    assert "named twice" in refused(folds, "never,asha:eta=4,asha:eta=4")
    assert "is no class" in refused(folds, "nassim.errors:__all__")
    assert "expected a subclass of nassim.terminators" in refused(folds, "nassim.records:Metric")
    assert "workers is 0" in refused(folds, "never", workers=0)
    with pytest.raises(UnknownNameError, match="Did you mean 'digits'"):
        run_termination(TerminationPlan("never"), folds, ["clothes", "digit"])
    assert "'digits' is named twice" in refused(folds, "never", targets=["digits", "digits"])
    assert "No target" in refused(folds, "never", targets=[])
    assert watched == []


def test_values_of_the_last_epoch_alone_are_refused(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "last")
    runs = [
        Run(
            "table",
            f"model {k}",
            "a",
            "short",
            0,
            epochs=3,
            scores={"valid": np.array([np.nan, np.nan, 0.5], np.float32)},
            epoch_seconds=np.ones(3, np.float32),
        )
        for k in range(3)
    ]
    store.append(runs, datasets=[Dataset("a", "a")], recipes={"short": {}})
    folds = FoldPlan(str(tmp_path / "last"), store.sha)
    assert "validated after the last epoch only" in refused(folds, "never")


def test_the_default_methods_are_all() -> None:
    parsed = parse_specifications(DEFAULT_METHODS, TERMINATORS, "terminator")
    assert parsed[0].name == "never"
    assert {p.name for p in parsed} == set(TERMINATORS) - {"lcranknet_nested"}


@pytest.mark.parametrize("name", sorted(TERMINATORS))
def test_methods_say_whether_they_need_bounds(name: str) -> None:
    world = hard_worlds()["lower_is_better"]
    kind = load(TERMINATORS[name])
    terminator = kind(**kind.quick_options)
    if kind.needs_bounds:
        with pytest.raises(InputError, match="bounds"):
            terminator.fit(world.sources, 0)
    else:
        terminator.fit(world.sources, 0)


def test_default_methods_are_those_that_can_work(folds: FoldPlan, tmp_path: Path) -> None:
    kept, left_out = default_methods(folds)
    assert (kept, left_out) == (DEFAULT_METHODS, {})
    kept, left_out = default_methods(dataclasses.replace(folds, pool="disjoint"))
    assert left_out.keys() == {"rush"}
    assert "--pool shared or all" in left_out["rush"]
    assert ",rush," in DEFAULT_METHODS
    assert kept == DEFAULT_METHODS.replace(",rush", "")

    lines = ["dataset,architecture,epoch,valid_perplexity"]
    lines += [f"a,a{k},{epoch},{9 - k - epoch}" for k in range(3) for epoch in (1, 2, 3)]
    (tmp_path / "curves.csv").write_text("\n".join(lines))
    import_into("table", tmp_path / "curves.csv", tmp_path / "loss", metric="perplexity")
    alone = FoldPlan(str(tmp_path / "loss"), Store.open(tmp_path / "loss").sha)
    kept, left_out = default_methods(alone)
    assert "no other dataset" in left_out["lcranknet"]
    assert "two bounds" in left_out["domhan"]
    assert "asha" in kept.split(",")
    study = run_termination(
        TerminationPlan(orders=1, model_seeds=1), dataclasses.replace(alone, size=2)
    )
    assert sorted(set(study.results["method"].to_pylist())) == sorted(kept.split(","))


def test_a_study_of_one_method_can_be_read_again(folds: FoldPlan, tmp_path: Path) -> None:
    study = run_termination(TerminationPlan("asha", orders=1), folds)
    study.write(tmp_path / "deep" / "results.parquet")
    again = read_study(tmp_path / "deep" / "results.parquet")
    assert again.results.equals(study.results)
    assert again.pool.equals(study.pool)


def test_a_table_without_times_is_counted_in_epochs(tmp_path: Path, folds: FoldPlan) -> None:
    table = tmp_path / "curves.csv"
    lines = ["dataset,architecture,epoch,valid_accuracy"]
    lines += [
        f"{dataset},{dataset}{k},{epoch},{0.1 * epoch + 0.05 * k}"
        for dataset in ("a", "b")
        for k in range(3)
        for epoch in (1, 2, 3)
    ]
    table.write_text("\n".join(lines))
    import_into("table", table, tmp_path / "store")
    plan = FoldPlan(str(tmp_path / "store"), Store.open(tmp_path / "store").sha)
    study = run_termination(TerminationPlan("never", orders=1), plan)
    assert {row["time_unit"] for row in study.results.to_pylist()} == {"epochs"}
    assert "9 epochs" in termination_table(study.results, study.pool).to_text()
    assert {row["time_unit"] for row in rows(folds, "never")} == {"seconds"}


def test_results_say_which_methods_learn(folds: FoldPlan) -> None:
    found = {row["method"]: row["learns"] for row in rows(folds, "never,lcranknet:steps=1")}
    assert found == {"never": False, "lcranknet:steps=1": True}
