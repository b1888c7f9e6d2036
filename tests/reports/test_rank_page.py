"""The figures and the page of a ranking study: numbers by hand, and what holds for every page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from nassim.errors import InputError
from nassim.ranking.random_search import expected_best_of
from nassim.reports.drawing import to_svg
from nassim.reports.oneshot import rank_table
from nassim.reports.rank_figures import (
    agreement_figure,
    agreement_table,
    best_of_figure,
    best_of_table,
    compute_figure,
    compute_table,
    difference_table,
    differences_figure,
)
from nassim.reports.rank_page import rank_findings, rank_page, save_rank_figures
from nassim.store import Store
from nassim.studies.oneshot import RANK_SCHEMA, RankPlan, RankStudy, read_rank, run_rank
from nassim.studies.results import study_kind
from nassim.studies.truth import load_truth

METHODS = ("spos:steps=12:batch_size=16", "fairnas:steps=4:batch_size=16")


@pytest.fixture(scope="module")
def study(cell_store: Path) -> RankStudy:
    truth = load_truth(Store.open(cell_store), "nasbench201_3nodes", "digits")
    return run_rank(RankPlan(",".join(METHODS), seeds=2, draws=10), truth)


def made(*runs: tuple[str, int, list[float]], truth: list[float]) -> pa.Table:
    """Scores of runs (method, number, scores); the last architecture is a copy of the first."""
    rows = []
    for method, run, scores in runs:
        for k, (score, value) in enumerate(zip([*scores, 99.0], [*truth, 0.0], strict=True)):
            last = k == len(truth)
            row = {"method": method, "run": run, "last": True, "architecture": f"a{k}"}
            row |= {"canonical": "c0" if last else f"c{k}", "accuracy": score, "truth": value}
            rows += [
                row | {"n_params": k},
                row | {"last": False, "accuracy": -score, "n_params": k},
            ]
    return pa.Table.from_pylist(rows)


def test_the_best_of_k_by_hand() -> None:
    truth = [0.5, 0.9, 0.7]
    table = best_of_table(made(("m", 0, [3, 1, 2]), ("m", 1, [1, 3, 2]), truth=truth))
    assert table.methods == ("live_params", "m")
    # by parameters a2, a1, a0; run 0 a0, a2, a1; run 1 a1, a2, a0
    assert table.regret_pp[0] == pytest.approx([20, 0, 0])
    assert table.regret_pp[1] == pytest.approx([20, 10, 0])
    assert table.random == pytest.approx(
        [100 * (0.9 - expected_best_of(truth, k)) for k in (1, 2, 3)]
    )
    assert table.random[-1] == table.random_deviation[-1] == 0
    svg = to_svg(best_of_figure(table))
    assert "random, mean and deviation" in svg
    with pytest.raises(InputError, match="no scores"):
        best_of_table(made(truth=truth))


def test_agreement_by_hand() -> None:
    scores = made(
        ("m", 0, [1, 2, 3]), ("m", 1, [1, 3, 2]), ("flat", 0, [1, 1, 1]), truth=[0.5, 0.9, 0.7]
    )
    table = agreement_table(scores)
    assert table.runs == (("m", 0), ("m", 1), ("flat", 0))
    assert table.tau[0, 1] == table.tau[1, 0] == pytest.approx(1 / 3)
    assert np.isnan(table.tau[2, :2]).all()
    assert np.diag(table.tau).tolist() == [1, 1, 1]
    assert "flat #0" in to_svg(agreement_figure(table))


def test_compute_is_of_what_costs_something(study: RankStudy) -> None:
    table = compute_table(rank_table(study.report))
    assert table.methods == ("short_training:epochs=1", "short_training:epochs=2", *METHODS)
    assert table.images[1] == 2 * table.images[0]
    assert table.images[2] == 12 * 16
    assert set(table.free) == {"live_params", "live_flops", "live_convolutions"}
    assert max(table.free.values()) < table.ceiling < 1
    assert "perfect predictor" in to_svg(compute_figure(table))
    alone = rank_table(
        pa.Table.from_pylist(
            [row for row in study.report.to_pylist() if row["metric"] != "images"], RANK_SCHEMA
        )
    )
    with pytest.raises(InputError, match="Nothing has a cost"):
        compute_figure(compute_table(alone))


def test_differences_stand_with_both_signs(study: RankStudy) -> None:
    table = rank_table(study.report)
    found = difference_table(table)
    assert found.methods == METHODS
    assert found.others[:3] == ("live_params", "live_flops", "live_convolutions")
    assert found.others[-2:] == METHODS
    first, second = found.difference[0, -1], found.difference[1, -2]
    assert first == -second == table.differences[METHODS]["value"]
    assert (found.low[0, -1], found.high[0, -1]) == (-found.high[1, -2], -found.low[1, -2])
    assert np.isnan(found.difference[0, -2])
    assert to_svg(differences_figure(found)).startswith("<svg")


def test_findings_are_unfavourable_first(study: RankStudy) -> None:
    notes = rank_findings(rank_table(study.report))
    assert notes[0].startswith(f"{METHODS[0]} was not trained (chance")
    assert any("costs nothing" in note or "Not told apart" in note for note in notes)
    rows = study.report.to_pylist()
    for row in rows:
        if (row["method"], row["against"]) == (METHODS[0], "live_params"):
            row |= {"value": 0.2, "p_holm": 0.01}
        if (row["method"], row["metric"], row["scope"]) == (METHODS[1], "tau", "classes"):
            row |= {"value": 0.999}
    told = " ".join(rank_findings(rank_table(pa.Table.from_pylist(rows, RANK_SCHEMA))))
    assert f"Ranks better than live_params (p after Holm below 0.05): {METHODS[0]}." in told
    assert f"look for leakage or duplicates: {METHODS[1]}." in told


def test_a_page_has_every_figure_with_words_for_it(
    study: RankStudy, checked: Callable[[str], None]
) -> None:
    page = rank_page([(study.report, study.scores)])
    checked(page)
    assert page.count('role="img" aria-label="') == 6
    for heading in (
        "Within the best",
        "Compared in pairs",
        "Training the best k",
        "Do runs agree?",
    ):
        assert f"<h2>{heading}</h2>" in page
    assert rank_page([(study.report, study.scores)]) == page
    twice = rank_page([(study.report, study.scores)] * 2)
    checked(twice)
    assert "2. nasbench201_3nodes on digits" in twice


def test_a_page_refuses_a_tau_without_company(study: RankStudy) -> None:
    rows = [row for row in study.report.to_pylist() if row["method"] != "live_params"]
    with pytest.raises(InputError, match="no predictor 'live_params'"):
        rank_page([(pa.Table.from_pylist(rows, RANK_SCHEMA), study.scores)])


def test_files_are_read_again(study: RankStudy, tmp_path: Path) -> None:
    path = study.write(tmp_path / "rank.parquet")[-1]
    assert study_kind(path) == "rank"
    again = read_rank(path)
    assert again.scores.equals(study.scores)
    assert rank_page([(again.report, again.scores)]) == rank_page([(study.report, study.scores)])
    names = {
        one.name for one in save_rank_figures([(study.report, study.scores)], tmp_path, ["svg"])
    }
    assert names == {
        f"{name}.svg"
        for name in ("top", "differences", "compute", "best_of", "agreement", "scores")
    }
