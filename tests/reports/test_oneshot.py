"""The ranking report's table and figures, and what it refuses to print."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from nassim.errors import InputError
from nassim.reports.drawing import to_svg
from nassim.reports.oneshot import (
    rank_table,
    score_points,
    scores_figure,
    top_figure,
    top_table,
)
from nassim.store import Store
from nassim.studies.oneshot import RANK_SCHEMA, RankPlan, RankStudy, run_rank
from nassim.studies.truth import load_truth

METHOD = "spos:steps=12:batch_size=16"


@pytest.fixture(scope="module")
def study(cell_store: Path) -> RankStudy:
    truth = load_truth(Store.open(cell_store), "nasbench201_3nodes", "digits")
    return run_rank(RankPlan(METHOD, seeds=2, draws=10), truth)


def changed(report: pa.Table, **values: object) -> pa.Table:
    """The report with the tau of the method over classes changed."""
    rows = report.to_pylist()
    for row in rows:
        if (row["method"], row["metric"], row["scope"]) == (METHOD, "tau", "classes"):
            row |= values
    return pa.Table.from_pylist(rows, RANK_SCHEMA)


def test_the_table_says_all_that_a_tau_needs(study: RankStudy) -> None:
    table = rank_table(study.report)
    text = table.to_text()
    row = table.rows[METHOD, "tau", "classes"]
    (line, *_) = (line for line in text.splitlines() if line.startswith(METHOD))
    interval = f"{row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
    assert line.split()[1] == str(row["n"])
    assert interval.replace("-0.00", "0.00") in line
    assert f"{row['ceiling']:.2f} / {row['measured_ceiling']:.2f}" in line
    for baseline in ("random", "live_params", "live_flops", "short_training:epochs=1"):
        assert f"\n{baseline}" in text
    assert f"NOT TRAINED: {METHOD}" in text
    assert table.about["store_sha"][:12] in text


def test_a_trained_supernet_has_no_verdict(study: RankStudy) -> None:
    rows = study.report.to_pylist()
    for row in rows:
        row["note"] = row["note"].replace("not trained", "trained")
    assert "NOT TRAINED" not in rank_table(pa.Table.from_pylist(rows, RANK_SCHEMA)).to_text()


@pytest.mark.parametrize("missing", [{"low": float("nan")}, {"ceiling": float("nan")}, {"n": 0}])
def test_a_tau_without_company_is_refused(study: RankStudy, missing: dict[str, float]) -> None:
    with pytest.raises(InputError, match="has no interval, ceiling or number"):
        rank_table(changed(study.report, **missing))


def test_a_report_without_trivial_predictors_is_refused(study: RankStudy) -> None:
    alone = study.report.filter(pc.equal(study.report.column("method"), METHOD))
    with pytest.raises(InputError, match="no predictor 'live_params'"):
        rank_table(alone)
    with pytest.raises(InputError, match="no rows"):
        rank_table(alone[:0])


def test_reports_are_not_mixed(study: RankStudy) -> None:
    rows = study.report.to_pylist()
    rows[0]["dataset"] = "other"
    with pytest.raises(InputError, match="mixes dataset"):
        rank_table(pa.Table.from_pylist(rows, RANK_SCHEMA))


def test_the_top_is_drawn_with_its_ceiling(study: RankStudy) -> None:
    table = top_table(rank_table(study.report))
    assert table.tau.shape == (6, 4)
    assert table.tau[-1, 0] == rank_table(study.report).value(METHOD, "tau")
    assert table.ceiling[0] > 0.5
    svg = to_svg(top_figure(table))
    assert svg.startswith("<svg")


def test_points_are_means_over_runs(study: RankStudy) -> None:
    (points,) = score_points(study.scores)
    rows = [row for row in study.scores.to_pylist() if row["last"]]
    first = [row["accuracy"] for row in rows if row["architecture"] == rows[0]["architecture"]]
    assert points.score[0] == pytest.approx(np.mean(first))
    assert points.score_deviation[0] == pytest.approx(np.std(first, ddof=1))
    assert len(points.truth) == len(rows) / 2
    assert to_svg(scores_figure([points, points])).count("<!-- spos") == 2
    with pytest.raises(InputError, match="no scores to draw"):
        scores_figure([])


def test_the_worst_few_do_not_flatten_the_figure(study: RankStudy) -> None:
    (points,) = score_points(study.scores)
    assert points.truth.min() == points.floor
    points.truth[0] = -9.0
    assert points.floor > -5
    assert to_svg(scores_figure([points]))


def test_comparisons_are_printed_and_do_not_hide_other_rows(study: RankStudy) -> None:
    table = rank_table(study.report)
    row = table.differences[METHOD, "live_params"]
    text = table.to_text()
    assert "less live_params" in text
    numbers = [f"{row[name]:+.2f}".replace("-0.00", "0.00") for name in ("value", "low", "high")]
    assert f"{numbers[0]} [{numbers[1]}, {numbers[2]}]" in text
    assert table.rows[METHOD, "tau", "classes"]["against"] == ""
    assert not any(metric == "tau_difference" for _, metric, _ in table.rows)
    assert table.judged == (METHOD,)
    assert table.best_trivial == "short_training:epochs=1"  # curves of this store are parallel
    assert f"less {table.best_trivial}" in text


def with_pair(report: pa.Table, **changes: object) -> pa.Table:
    """The report with a second method, which is compared with the first."""
    rows = report.to_pylist()
    (first,) = (r for r in rows if (r["method"], r["against"]) == (METHOD, "live_params"))
    second = [row | {"method": "other"} for row in rows if row["method"] == METHOD]
    pair = first | {"against": "other", "value": -0.3, "low": -0.5, "high": -0.1, "p_holm": 0.01}
    return pa.Table.from_pylist([*rows, *second, pair | changes], RANK_SCHEMA)


def test_pairs_that_differ_are_named_the_better_first(study: RankStudy) -> None:
    text = " ".join(rank_table(with_pair(study.report)).to_text().split())
    assert "Of 1 pair of methods, 1 differ" in text
    assert f"other above {METHOD} by +0.30 [+0.10, +0.50]" in text
    text = " ".join(rank_table(with_pair(study.report, p_holm=0.05)).to_text().split())
    assert "Of 1 pair of methods, 0 differ" in text
    assert "above" not in text


def test_memory_is_printed(study: RankStudy) -> None:
    table = rank_table(study.report)
    peak = table.value(METHOD, "peak_saved_bytes", "run")
    (line,) = (
        row
        for row in table.to_text().splitlines()
        if row.startswith(METHOD) and "," in row and f" {peak / 1000:,.0f} " in row
    )
    assert line
