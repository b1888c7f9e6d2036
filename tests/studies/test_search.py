from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nassim.checks.planted import planted_tasks
from nassim.errors import InputError, UnknownNameError
from nassim.loading import parse_specifications
from nassim.optimizers import OPTIMIZERS
from nassim.ranking.random_search import expected_best_of
from nassim.records import Dataset, Run
from nassim.reports.optimizers import regret_table
from nassim.simulator.surrogate import Surrogates
from nassim.spaces import get_space
from nassim.store import Store
from nassim.studies.folds import FoldPlan, load_fold
from nassim.studies.results import read_study
from nassim.studies.search import DEFAULT_OPTIMIZERS, SearchPlan, run_search
from nassim.studies.surrogate import fit_surrogates

Rows = list[dict[str, Any]]


@pytest.fixture
def folds(tiny_store: Path) -> FoldPlan:
    return FoldPlan(str(tiny_store), Store.open(tiny_store).sha, pool="all")


def rows(folds: FoldPlan, **options: Any) -> Rows:
    targets = options.pop("targets", None)
    plan = SearchPlan(
        **({"methods": "random", "orders": 3, "model_seeds": 2, "budget": 5} | options)
    )
    found: Rows = run_search(plan, folds, targets).results.to_pylist()
    return found


LEARNER = """
from pathlib import Path

from nassim.optimizers.base import Optimizer, Search


class Best(Optimizer):
    '''Proposes by number, from a place that its fit chose; notes its fits.'''

    uses_sources = True

    def __init__(self, log=""):
        self.log = log

    def fit(self, sources, seed):
        names = ",".join(task.dataset.name for task in sources.tasks)
        with Path(self.log).open("a") as file:
            file.write(f"{names} {seed}\\n")
        self.start = seed

    def begin(self, candidates, rng):
        return _Best(self.start % len(candidates), len(candidates))


class _Best:
    listens = True

    def __init__(self, start, n):
        self.left = [(start + k) % n for k in range(n)]
        self.told = []
        self.notes = {}

    def ask(self, count):
        asked, self.left = self.left[:count], self.left[count:]
        return asked

    def tell(self, run, epoch, value):
        self.told.append((run, epoch, value))
        self.notes["told"] = len(self.told)
"""


@pytest.fixture
def learner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Path]:
    (tmp_path / "searcher.py").write_text(LEARNER)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "searcher", raising=False)
    log = tmp_path / "fits.txt"
    return f"searcher:Best:log={log}", log


@pytest.mark.parametrize("workers", [1, 2])
def test_the_same_seed_gives_the_same_bytes(folds: FoldPlan, tmp_path: Path, workers: int) -> None:
    def written(name: str, seed: int, workers: int = 1) -> bytes:
        load_fold.cache_clear()
        plan = SearchPlan("random", "never,asha", orders=3, seed=seed)
        run_search(plan, folds, workers=workers).write(tmp_path / name)
        return (tmp_path / name).read_bytes()

    once = written("once.parquet", 0)
    assert written("again.parquet", 0, workers) == once
    assert written("other.parquet", 1) != once


def test_every_optimizer_searches_with_every_terminator(folds: FoldPlan) -> None:
    found = rows(folds, methods="random", terminators="never,asha:eta=2")
    assert [row["method"] for row in found[::3]] == ["random", "random + asha:eta=2"] * 3
    assert {(row["optimizer"], row["terminator"]) for row in found} == {
        ("random", "never"),
        ("random", "asha:eta=2"),
    }


def test_a_row_is_what_happened(folds: FoldPlan) -> None:
    for row in rows(folds, targets=["digits"]):
        table = load_fold(folds, "digits").table
        test = load_fold(folds, "digits").sealed.test
        best = table.candidate_qualities.max()
        assert (row["started"], len(row["proposed"]), len(row["regret_at_pp"])) == (5, 5, 5)
        pick = [a.id for a in table.architectures].index(row["pick"])
        assert pick in row["proposed"]
        assert row["regret_valid_pp"] == row["regret_at_pp"][-1] == row["trace_regret_pp"][-1]
        assert row["regret_valid_pp"] == pytest.approx(
            100 * (best - table.candidate_qualities[pick])
        )
        assert row["regret_test_pp"] == pytest.approx(100 * (np.nanmax(test) - test[pick]))
        assert row["test_regret_at_pp"][-1] == row["regret_test_pp"]
        assert row["budget"] == 5
        assert 0 < row["cost_fraction"] < 1
        assert row["trace_cost"] == sorted(row["trace_cost"])


def test_before_anything_has_ended_well_the_pick_is_a_guess(folds: FoldPlan) -> None:
    table = load_fold(folds, "digits").table
    failed = {int(c) for c in table.candidate[table.failed]}
    guess = 100 * float((table.candidate_qualities.max() - table.candidate_qualities).mean())
    seen = 0
    for row in rows(folds, targets=["digits"], orders=40, budget=1):
        if row["proposed"][0] in failed:
            seen += 1
            assert row["regret_at_pp"] == [pytest.approx(guess)]
            assert row["evaluations"] == 0
        else:
            assert row["evaluations"] == 1
    assert 0 < seen < 40


def test_random_search_reaches_its_closed_form(folds: FoldPlan) -> None:
    found = rows(folds, targets=["digits"], orders=600, budget=4, runs="first")
    table = load_fold(folds, "digits").table
    quality = table.candidate_qualities
    regrets = 100 * (quality.max() - np.array([expected_best_of(quality, k) for k in (2, 3, 4)]))
    measured = np.array([row["regret_at_pp"][1:] for row in found])
    error = measured.std(axis=0) / np.sqrt(len(found))
    # a failed run is no pick, while in the closed form it is a bad one: hardly a difference
    assert np.all(np.abs(measured.mean(axis=0) - regrets) < 4 * error + 0.5)


def test_all_methods_are_seeded_alike_and_studies_apart(folds: FoldPlan) -> None:
    found = rows(folds, terminators="never,last_value", budget=8)
    orders = {
        name: [row["proposed"] for row in found if row["method"] == name]
        for name in ("random", "random + last_value")
    }
    assert orders["random"] == orders["random + last_value"]
    assert orders["random"] != [row["proposed"] for row in rows(folds, budget=8, seed=1)]


def test_an_optimizer_that_learns_is_fitted_for_each_target_and_model_seed(
    folds: FoldPlan, learner: tuple[str, Path]
) -> None:
    specification, log = learner
    found = rows(folds, methods=f"random,{specification}")
    fits = [line.split() for line in log.read_text().splitlines()]
    assert {names for names, _ in fits} == {"clothes,digits", "clothes,letters", "digits,letters"}
    assert (len(fits), len({seed for _, seed in fits})) == (6, 6)
    own = [row for row in found if row["method"] == specification]
    assert (len(own), len(found)) == (3 * 2 * 3, 3 * 2 * 3 + 3 * 3)
    assert all(row["learns"] == (row["method"] != "random") for row in found)


def test_notes_of_a_search_are_written_down(folds: FoldPlan, learner: tuple[str, Path]) -> None:
    found = rows(folds, methods=learner[0], targets=["digits"])
    assert all(json.loads(row["notes"]) == {"told": 5.0} for row in found)
    assert rows(folds)[0]["notes"] == "{}"


def test_a_study_can_be_read_again(folds: FoldPlan, tmp_path: Path) -> None:
    study = run_search(SearchPlan("random", orders=2), folds)
    study.write(tmp_path / "results.parquet")
    again = read_study(tmp_path / "results.parquet")
    assert again.kind == study.kind == "search"
    assert again.results.equals(study.results)
    assert again.pool.equals(study.pool)


def test_progress_is_told_after_each_fit(folds: FoldPlan) -> None:
    told: list[tuple[int, int, str]] = []
    run_search(SearchPlan("random", orders=1), folds, progress=lambda *step: told.append(step))
    assert told == [
        (k, 3, f"{name} random") for k, name in enumerate(("clothes", "digits", "letters"), 1)
    ]


def test_the_default_methods_are_all(folds: FoldPlan) -> None:
    parsed = parse_specifications(DEFAULT_OPTIMIZERS, OPTIMIZERS, "optimizer")
    assert {specification.name for specification in parsed} == set(OPTIMIZERS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget": 0}, "budget is 0"),
        ({"orders": 0}, "orders is 0"),
        ({"model_seeds": 1.5}, r"model_seeds is 1\.5"),
        ({"simulated_workers": 0}, "simulated_workers is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"accounting": "free"}, "accounting is 'free'"),
        ({"runs": "all"}, "runs is 'all'"),
    ],
)
def test_odd_plans_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SearchPlan(**options)


def test_odd_studies_are_refused_before_any_work(folds: FoldPlan) -> None:
    for options, error, message in (
        ({"methods": "randm"}, UnknownNameError, "random"),
        ({"terminators": "nver"}, UnknownNameError, "never"),
        ({"methods": "random,random"}, InputError, "twice"),
        ({"methods": "nassim.terminators.never:Never"}, InputError, "Never; expected"),
        ({"targets": ["digits", "digits"]}, InputError, "twice"),
        ({"targets": []}, InputError, "No target"),
        ({"targets": ["digts"]}, UnknownNameError, "digits"),
    ):
        with pytest.raises(error, match=message):
            rows(folds, **options)
    with pytest.raises(InputError, match="workers is 0"):
        run_search(SearchPlan(), folds, workers=0)


# --- on a surrogate ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> tuple[FoldPlan, str]:
    """A store with enough architectures for a surrogate, and the surrogate."""
    path = tmp_path_factory.mktemp("wide") / "store"
    store = Store.create(path)
    runs, datasets = [], [Dataset(name, name, classes=10) for name in ("clothes", "digits")]
    for dataset, task in zip(datasets, planted_tasks(n=24, epochs=4), strict=False):
        for k, architecture in enumerate(task.architectures):
            values = task.curves[k].astype(np.float32)
            runs.append(
                Run(
                    architecture.space,
                    architecture.id,
                    dataset.name,
                    "short",
                    0,
                    canonical_id=architecture.canonical_id,
                    epochs=4,
                    scores={"valid": values, "test": values - np.float32(0.01)},
                    epoch_seconds=task.seconds[k].astype(np.float32),
                )
            )
    store.append(runs, datasets=datasets, recipes={"short": {"epochs": 4}})
    folds = FoldPlan(str(path), Store.open(path).sha, pool="all")
    fit_surrogates(folds).save(path.parent / "wide.npz")
    return folds, str(path.parent / "wide.npz")


def test_a_whole_space_is_searched_on_a_surrogate(wide: tuple[FoldPlan, str]) -> None:
    folds, path = wide
    found = rows(folds, terminators="never,asha", surrogate=path, budget=4)
    surrogates = Surrogates.load(path)
    stored = set(Store.open(folds.store).index().architecture.tolist())
    for row in found:
        assert (row["source"], row["candidates"], row["started"]) == ("surrogate", 0, 4)
        assert row["pick"] not in stored
        own = surrogates[row["target"]]
        assert row["surrogate_tau"] == own.held_out.tau
        expected = float(own.curves.expected([get_space("nasnet").parse(row["pick"])])[0])
        assert row["regret_valid_pp"] == pytest.approx(100 * (own.best_expected - expected))
        assert row["regret_at_pp"][-1] == row["regret_valid_pp"]
    assert len({row["pick"] for row in found}) > 6
    assert found == rows(folds, terminators="never,asha", surrogate=path, budget=4)
    table = regret_table(run_search(SearchPlan("random", surrogate=path, budget=4), folds).results)
    assert "all of space nasnet on surrogates" in table.title


def test_a_surrogate_of_something_else_is_refused(
    wide: tuple[FoldPlan, str], folds: FoldPlan, tiny_store: Path
) -> None:
    own, path = wide
    with pytest.raises(InputError, match="other quality: max, not final"):
        rows(dataclasses.replace(own, quality="final"), surrogate=path)
    with pytest.raises(InputError, match="other contents of the store"):
        rows(folds, surrogate=path)
    with pytest.raises(InputError, match="no surrogate that can be read"):
        rows(own, surrogate=str(tiny_store / "manifest.json"))
