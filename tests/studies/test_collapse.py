from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from nassim.errors import InputError
from nassim.reports.collapse import collapse_figure, collapse_table, courses
from nassim.reports.drawing import save_figure
from nassim.spaces import get_space
from nassim.spaces.nasbench201 import NASBench201Space
from nassim.spaces.restricted import most_convolutions
from nassim.studies import collapse
from nassim.studies.collapse import CollapsePlan, culprit, has_collapsed, run_collapse

TINY = CollapsePlan(
    spaces="s2_tiny_3nodes,s4_tiny_3nodes",
    methods="darts,dartspt",
    images=128,
    channels=4,
    steps=4,
    every=2,
    seeds=2,
    trainings=2,
    random=2,
)


@pytest.fixture(scope="module")
def study() -> tuple[pa.Table, pa.Table]:
    return run_collapse(TINY)


def named(name: str) -> NASBench201Space:
    space = get_space(name)
    assert isinstance(space, NASBench201Space)
    return space


@pytest.mark.parametrize(
    ("name", "share"), [("s1_tiny", 12 / 64), ("s2_tiny", 7 / 64), ("s3_tiny", 13 / 729)]
)
def test_how_many_cells_count_as_collapsed(name: str, share: float) -> None:
    """5 of 6 or 6 of 6; in S1, whose last edge has no skip, 4 or 5 of 5."""
    space = named(name)
    found = np.mean([has_collapsed(space, cell.decisions) for cell in space.every()])
    assert found == pytest.approx(share)


def test_what_a_search_collapses_to() -> None:
    assert [culprit(named(f"s{k}_tiny")) for k in range(1, 5)] == [*["skip_connect"] * 3, "noise"]
    assert not has_collapsed(named("s3_tiny"), (0,) * 6)  # nothing at all is another failure


def test_rows_are_all_searches_and_cells_to_compare_with(study: Any) -> None:
    rows = study[0].to_pylist()
    seen = [(row["space"], row["method"], row["run"]) for row in rows]
    assert len(set(seen)) == len(seen)
    methods = {m for space, m, _ in seen if space == "s2_tiny_3nodes"}
    common = {"darts", "dartspt", "all convolutions", "random cell"}
    assert methods == common | {"all skip_connect", "darts, 2 skips at most"}
    assert {m for space, m, _ in seen if space == "s4_tiny_3nodes"} == common | {"all noise"}
    for row in rows:
        space = named(row["space"])
        assert row["collapsed"] is has_collapsed(space, space.parse(row["pick"]).decisions)
        assert row["searches"] == (row["steps_done"] > 0)
    limited = [row["culprits"] for row in rows if row["method"] == "darts, 2 skips at most"]
    assert len(limited) == 2
    assert max(limited) <= 2


def test_one_function_is_trained_once_and_regret_is_from_the_best(study: Any) -> None:
    rows = study[0].to_pylist()
    values: dict[tuple[str, str], set[tuple[float, float]]] = {}
    for row in rows:
        found = values.setdefault((row["space"], row["canonical"]), set())
        found.add((row["valid"], row["test"]))
    assert all(len(found) == 1 for found in values.values())
    for space in ("s2_tiny_3nodes", "s4_tiny_3nodes"):
        here = [row for row in rows if row["space"] == space]
        best = max(row["valid"] for row in here)
        assert any(row["valid"] == best and row["regret_pp"] == 0 for row in here)


def test_traces_are_noted_while_it_searches_and_change_nothing(study: Any) -> None:
    """Looking more seldom gives the same picks; the alphas' own notes stay as they are."""
    results, traces = study
    rows = traces.to_pylist()
    assert {row["name"] for row in rows} >= {"eigenvalue", "culprits", "discretisation_gap"}
    keys = [tuple(row[name] for name in ("space", "method", "run", "step", "name")) for row in rows]
    assert len(set(keys)) == len(keys)
    noted = {row["step"] for row in rows if row["name"] == "eigenvalue"}
    assert {2, 4} <= noted
    seldom, _ = run_collapse(dataclasses.replace(TINY, every=10))
    assert seldom.column("pick").to_pylist() == results.column("pick").to_pylist()


@pytest.mark.slow
def test_the_number_of_processes_changes_no_byte(study: Any) -> None:
    again = run_collapse(TINY, workers=2)
    assert all(one.equals(other) for one, other in zip(again, study, strict=True))


def test_the_report_says_what_the_rows_say(study: Any, tmp_path: Path) -> None:
    results, traces = study
    table = collapse_table(results)
    text = table.to_text()
    assert "darts, 2 skips at most" in text
    assert "s4_tiny_3nodes: collapsed is noise on four fifths of 3 edges" in text
    assert [line.searches for line in table.spaces["s4_tiny_3nodes"]] == [True] * 2 + [False] * 3
    rows = [
        row
        for row in results.to_pylist()
        if row["space"] == "s2_tiny_3nodes" and row["method"] == "darts"
    ]
    line = table.spaces["s2_tiny_3nodes"][0]
    assert (line.method, line.runs) == ("darts", 2)
    assert line.collapsed == sum(row["collapsed"] for row in rows)
    assert line.regret_pp == pytest.approx(np.mean([row["regret_pp"] for row in rows]))
    course = courses(traces, "s2_tiny_3nodes", "culprits")["darts"]
    assert course.steps.tolist() == [2, 4]
    assert (course.low <= course.mean).all()
    path = save_figure(collapse_figure(table, traces), tmp_path / "collapse.png")
    assert path.stat().st_size > 10_000
    with pytest.raises(InputError, match="'s9' is not in the results"):
        collapse_figure(table, traces, "s9")


def test_results_of_two_studies_are_refused(study: Any) -> None:
    other = study[0].set_column(
        study[0].schema.get_field_index("seed"), "seed", pa.array([7] * len(study[0]), pa.int64())
    )
    with pytest.raises(InputError, match="several values of 'seed'"):
        collapse_table(pa.concat_tables([study[0], other]))
    with pytest.raises(InputError, match="no rows"):
        collapse_table(study[0].slice(0, 0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seeds": 0}, "seeds is 0; expected 1 or more"),
        ({"images": 100}, "images is 100; expected 128 or more"),
        ({"methods": "spos"}, "'spos' trains no mixture"),
        ({"spaces": "nasnet"}, "no supernet of mixtures for space 'nasnet'"),
        ({"dataset": "vowel"}, "has no images"),
        ({"dataset": "digits", "images": 9999}, "images is 9999; dataset 'digits' has 297"),
    ],
)
def test_what_cannot_work_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        run_collapse(dataclasses.replace(TINY, **options))


@pytest.mark.slow
@pytest.mark.parametrize(("images", "method"), [(256, "darts"), (0, "darts"), (256, "frozen")])
def test_darts_collapses_on_few_images_alone(images: int, method: str) -> None:
    """Under much noise; its twins do not show it: more images, or alphas that rest."""
    options = {"darts": "darts", "frozen": "darts:warmup=0.999"}
    plan = CollapsePlan(
        spaces="s2_tiny",
        methods=options[method],
        images=images,
        noise=0.35,
        every=1000,
        seeds=1,
        trainings=1,
        random=0,
    )
    space = named("s2_tiny")
    (spec,) = collapse._parse(plan.methods)
    task = collapse._Search(plan, "s2_tiny", collapse._with_steps(spec, plan.steps), 0)
    name, pick = collapse._search(task).picks[0]
    assert name == options[method]
    skips = space.names(pick.decisions).count("skip_connect")
    assert (skips >= 5) is (images == 256 and method == "darts"), skips


def test_the_cell_of_convolutions_is_none_that_counts() -> None:
    for k in range(1, 5):
        space = named(f"s{k}_tiny")
        assert not has_collapsed(space, most_convolutions(space))
