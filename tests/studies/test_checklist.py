"""The checklist: each answer, and what turns it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nassim.errors import InputError
from nassim.reports.text import duration
from nassim.store import Store
from nassim.studies.checklist import LISTS, Item, checklist, checklist_text
from nassim.studies.folds import FoldPlan
from nassim.studies.results import companion
from nassim.studies.search import SearchPlan, run_search
from nassim.studies.termination import TerminationPlan, run_termination


@pytest.fixture(scope="module")
def folds(tiny_store_master: Path) -> FoldPlan:
    store = Store.open(tiny_store_master)
    return FoldPlan(str(store.path), store.sha, pool="all")


@pytest.fixture(scope="module")
def terminated(folds: FoldPlan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    plan = TerminationPlan(
        "never,last_value,lcranknet:steps=2,lcranknet:steps=2:at_zero=true", orders=3, model_seeds=2
    )
    path = tmp_path_factory.mktemp("results") / "terminated.parquet"
    run_termination(plan, folds).write(path)
    return path


@pytest.fixture(scope="module")
def searched(folds: FoldPlan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    plan = SearchPlan("random,average_rank", budget=3, orders=3, model_seeds=2)
    path = tmp_path_factory.mktemp("results") / "searched.parquet"
    run_search(plan, folds).write(path)
    return path


@pytest.fixture
def changed(tmp_path: Path) -> Callable[..., Path]:
    """A copy of a study with another value in all rows, or with some rows only."""

    def change(
        path: Path, keep: Callable[[dict[str, Any]], bool] | None = None, **columns: object
    ) -> Path:
        copy = tmp_path / f"{len(list(tmp_path.iterdir()))}.parquet"
        for kind in ("", "pool", "timings"):
            source, target = (companion(p, kind) if kind else p for p in (path, copy))
            table = pq.read_table(source)
            if not kind:
                rows = [row | columns for row in table.to_pylist() if keep is None or keep(row)]
                table = pa.Table.from_pylist(rows, schema=table.schema)
            pq.write_table(table, target)
        return copy

    return change


@pytest.fixture
def ranked(nassim: Callable[..., Any], cell_store: Path, tmp_path: Path) -> Callable[..., Path]:
    """A ranking of a supernet that hardly learned, with so many seeds."""

    def rank(seeds: int, *more: str) -> Path:
        out = tmp_path / "rank.parquet"
        where = ("--store", cell_store, "--space", "nasbench201_3nodes", "--dataset", "digits")
        methods = ("--methods", "spos:steps=2:batch_size=16", "--seeds", seeds, "--draws", 20)
        assert nassim("rank", *where, *methods, *more, "--out", out).exit_code == 0
        return out

    return rank


def items(*paths: Path, store: Path | None = None) -> dict[int, Item]:
    return {int(item.number): item for item in checklist(paths, store)}


def conference(*paths: Path, store: Path | None = None) -> dict[str, Item]:
    return {item.number: item for item in checklist(paths, store, "automl")}


def test_a_comparison_of_terminators(terminated: Path, tiny_store_master: Path) -> None:
    found = items(terminated, store=tiny_store_master)
    assert {number: item.answer for number, item in found.items()} == {
        **dict.fromkeys((1, 2, 4, 6, 7, 8, 9, 10, 13, 14), "yes"),
        **dict.fromkeys((3, 12), "yours"),
        5: "partly",
        11: "partly",  # the made-up store does not say on what it was trained
    }
    assert "all 27 runs of store 'tiny' (recipe `short`)" in found[1].evidence
    assert "`lcranknet` with 2 settings" in found[5].evidence
    assert found[9].evidence.startswith("3 orders of the candidates on 3 targets, 2 fits")
    assert "`lcranknet:steps=2:at_zero=true`" in found[12].evidence
    assert re.search(r"takes \d+ s \(`.+`\) to \d+ s \(`never`\)", found[13].evidence)
    seconds = Store.open(tiny_store_master).curves("epoch_seconds")
    sources = float(seconds[seconds == seconds].sum()) * 2 / 3  # two of three datasets
    assert f"in no cost: {sources:.0f} s for a target" in found[13].evidence
    assert "pool all" in found[14].evidence
    assert "seed 0" in found[14].evidence


def test_a_comparison_of_optimizers(searched: Path, tiny_store_master: Path) -> None:
    found = items(searched, store=tiny_store_master)
    assert found[8].answer == "yes"
    assert found[5].answer == "no"
    assert found[12].evidence.startswith("All methods are at their defaults.")
    assert "budget 3" in found[14].evidence


def test_a_ranking(
    nassim: Callable[..., Any], ranked: Callable[..., Path], cell_store: Path
) -> None:
    out = ranked(1)
    found = items(out, store=cell_store)
    assert found[1].answer == "yes"
    assert found[4].answer == "yes"
    assert "dataset digits" in found[4].evidence
    assert found[6].answer == "yes"
    assert (found[7].answer, found[13].answer) == ("partly", "partly")
    assert found[9].answer == "no"
    assert found[9].evidence.startswith("1 run of each method, ")
    code, said, _ = nassim("checklist", out, "--store", cell_store)
    assert code == 0
    assert said == checklist_text(list(found.values())) + "\n"


def test_a_store_that_is_not_here(terminated: Path) -> None:
    found = items(terminated)
    assert found[1].answer == "yours"
    assert "name it with --store" in found[1].evidence
    assert found[11].answer == "partly"
    assert found[13].answer == "partly"  # what was learned from is not shown
    assert found[4].answer == "yes"


def test_another_store_is_refused(terminated: Path, cell_store: Path) -> None:
    with pytest.raises(InputError, match=r"has sha .*; the results were made on 'tiny', sha "):
        checklist([terminated], cell_store)


def test_an_imported_store_has_its_authors(
    terminated: Path, changed: Callable[..., Path], tiny_store_master: Path, tmp_path: Path
) -> None:
    tiny = Store.open(tiny_store_master)
    store = Store.create(tmp_path / "imported", importer={"format": "nats-bench"})
    store.append(tiny.runs(), datasets=tiny.datasets, recipes=tiny.recipes)
    item = items(changed(terminated, store_sha=store.sha), store=Path(store.path))[1]
    assert item.answer == "yours"
    assert "imported (nats-bench)" in item.evidence


@pytest.mark.parametrize(
    ("number", "answer", "change", "evidence"),
    [
        (2, "yours", {"method": "mine:Method"}, "Release `mine:Method`."),
        (5, "no", {"method": "never"}, "Every method has one setting"),
        (7, "partly", {"time_unit": "epochs"}, "in epochs"),
        (13, "no", {"time_unit": "epochs"}, "no measured seconds"),
        (9, "no", {"order_seed": 0}, "1 order of the candidates"),
        (9, "partly", {"model_seed": 0}, "1 fit of what learns"),
        (11, "no", {"leakage": "test-seen"}, "test-seen"),
    ],
)
def test_what_turns_an_answer(
    terminated: Path,
    changed: Callable[..., Path],
    tiny_store_master: Path,
    number: int,
    answer: str,
    change: dict[str, object],
    evidence: str,
) -> None:
    before = items(terminated, store=tiny_store_master)[number]
    item = items(changed(terminated, **change), store=tiny_store_master)[number]
    assert item.answer == answer
    assert evidence in item.evidence
    assert (before.answer, before.evidence) != (item.answer, item.evidence)


def test_without_random_search(searched: Path, changed: Callable[..., Path]) -> None:
    item = items(changed(searched, lambda row: row["method"] != "random"))[8]
    assert item.answer == "no"
    assert "--methods" in item.evidence


def test_a_method_that_lacks_a_search(terminated: Path, changed: Callable[..., Path]) -> None:
    def keep(row: dict[str, Any]) -> bool:
        return (row["method"], row["target"], row["order_seed"]) != ("last_value", "digits", 1)

    item = items(changed(terminated, keep))[6]
    assert item.answer == "no"
    assert item.evidence.endswith("the others: `last_value`.")


def test_files_of_several_stores(terminated: Path, changed: Callable[..., Path]) -> None:
    item = items(terminated, changed(terminated, store="other", store_sha="0" * 64))[4]
    assert item.answer == "no"
    assert "other / tiny" in item.evidence


def test_files_of_several_kinds(terminated: Path, searched: Path) -> None:
    with pytest.raises(InputError, match="several kinds"):
        checklist([terminated, searched])


def test_a_file_without_rows(terminated: Path, changed: Callable[..., Path]) -> None:
    with pytest.raises(InputError):
        checklist([changed(terminated, lambda row: False)])


@pytest.mark.parametrize(("practices", "count"), [("nas", 14), ("automl", 28)])
def test_every_practice_has_a_line(terminated: Path, practices: str, count: int) -> None:
    text = checklist_text(checklist([terminated], practices=practices))
    for practice in LISTS[practices]:
        line = rf"^- \[[x~? ]\] {practice.number}\. {practice.text}\.( .+\.)?$"
        assert re.search(line, text, re.MULTILINE)
    counts = [int(each) for each in re.findall(r": (\d+)", text.splitlines()[-1])]
    assert sum(counts) == len(LISTS[practices]) == count


def test_the_conference_of_a_comparison(terminated: Path, tiny_store_master: Path) -> None:
    found = conference(terminated, store=tiny_store_master)
    answers = {number: item.answer for number, item in found.items()}
    theirs = {"2a": "yes", "2c": "yes", "2d": "yes", "2f": "yes", "2e": "no"}
    partly = ("2g", "2h", "2i", "3a")
    assert answers == dict.fromkeys(answers, "yours") | theirs | dict.fromkeys(partly, "partly")
    assert "on 3 targets its p cannot be below 0.25" in found["2e"].evidence
    assert "all 27 runs of store 'tiny'" in found["3a"].evidence
    assert "Seed 0." in found["3a"].evidence
    assert "`lcranknet:steps=2:at_zero=true`" in found["2b"].evidence
    assert "digits" in found["4a"].evidence


def test_the_conference_of_searches_on_a_store_that_is_not_here(searched: Path) -> None:
    found = conference(searched)
    assert "after 3 evaluations; why so many is yours" in found["2g"].evidence
    assert "not here" in found["2h"].evidence
    assert "name it with --store" in found["3a"].evidence
    assert found["4b"].answer == "yours"


@pytest.mark.parametrize(
    ("number", "answer", "change", "evidence"),
    [
        ("2a", "no", {"store_sha": "0" * 64}, "Several: "),
        ("2c", "no", {"order_seed": 0}, "1 order of the candidates"),
        ("2d", "partly", {"target": "digits"}, "One target"),
        ("2g", "partly", {"time_unit": "epochs"}, "no measured seconds"),
    ],
)
def test_what_turns_an_answer_of_the_conference(
    terminated: Path,
    changed: Callable[..., Path],
    number: str,
    answer: str,
    change: dict[str, object],
    evidence: str,
) -> None:
    files = [terminated] if number == "2a" else []
    item = conference(*files, changed(terminated, **change))[number]
    assert item.answer == answer
    assert evidence in item.evidence


def test_significance_needs_targets(terminated: Path, changed: Callable[..., Path]) -> None:
    one = conference(terminated)["2e"]
    assert (one.answer, "claim none" in one.evidence) == ("no", True)
    more = [changed(terminated, target=f"target {k}") for k in range(6)]
    six = conference(*more)["2e"]
    assert six.answer == "yes"
    assert "cannot be below 0.031" in six.evidence


def test_the_compute_of_a_store_that_says_it(
    terminated: Path, changed: Callable[..., Path], tiny_store_master: Path, tmp_path: Path
) -> None:
    tiny = Store.open(tiny_store_master)
    store = Store.create(tmp_path / "measured")
    runs = [replace(run, hardware="Some GPU") for run in tiny.runs()]
    store.append(runs, datasets=tiny.datasets, recipes=tiny.recipes)
    item = conference(changed(terminated, store_sha=store.sha), store=tmp_path / "measured")["2h"]
    seconds = float(np.nansum(store.curves("epoch_seconds"), dtype=np.float64))
    assert item.evidence.startswith(f"Training the store took {duration(seconds)} on Some GPU.")


def test_the_conference_of_a_ranking(
    nassim: Callable[..., Any], ranked: Callable[..., Path], cell_store: Path
) -> None:
    out = ranked(2)
    code, said, _ = nassim("checklist", out, "--store", cell_store, "--list", "automl")
    assert code == 0
    assert "[x] 2d. The uncertainty of results is reported. Each tau has" in said
    rows = [row for row in pq.read_table(out).to_pylist() if row["method"].startswith("spos")]
    seconds = sum(row["value"] for row in rows if row["metric"].endswith("_seconds"))
    assert f"own computing took {duration(2 * seconds)} in all" in said  # of two supernets


def test_a_supernet_is_trained_once_for_all_modes(ranked: Callable[..., Path]) -> None:
    out = ranked(2, "--bn-mode", "batch,running")
    rows = pq.read_table(out).to_pylist()
    trained = {row["value"] for row in rows if row["metric"] == "train_seconds"}
    scored = [row["value"] for row in rows if row["metric"] == "score_seconds"]
    assert (len(trained), len(scored)) == (1, 2)
    total = duration(2 * (sum(trained) + sum(scored)))
    assert f"own computing took {total} in all" in conference(out)["2h"].evidence


def test_a_list_that_there_is_not(terminated: Path) -> None:
    with pytest.raises(InputError, match=r"no checklist 'mine'; expected nas or automl\."):
        checklist([terminated], practices="mine")
