"""Regret of made-up optimizers, worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from nassim.errors import InputError, UnknownNameError
from nassim.ranking.random_search import expected_best_of
from nassim.reports.optimizers import regret_figure, regret_table
from nassim.reports.search_page import save_search_figures, search_findings, search_page
from nassim.studies.results import POOL_SCHEMA, SEARCH_SCHEMA, TIMINGS_SCHEMA, Study, to_table

TARGETS = ("blue", "green", "red")
QUALITY = 0.9 - 0.01 * np.arange(12)
REGRET = 100 * (QUALITY.max() - QUALITY)


def study_of(
    methods: tuple[str, ...] = ("random", "good", "bad"), orders: int = 4, **stamp: Any
) -> Study:
    """Candidate c is worth 0.9 - c / 100. ``good`` proposes 3, 2, 1, 0 and on, ``random`` begins
    at 6, and ``bad`` at 9; the order shifts the beginning by 0 or 1."""
    results, pool, timings = [], [], []
    for target in TARGETS:
        for c, quality in enumerate(QUALITY):
            pool.append(
                {
                    "target": target,
                    "candidate": c,
                    "architecture": f"{target}-{c}",
                    "quality": quality,
                    "full_seconds": 60.0,
                    "n_params": 0,
                    "valid": [quality],
                }
            )
        for method in methods:
            timings.append(
                {
                    "target": target,
                    "method": method,
                    "model_seed": 0,
                    "fit_seconds": 1.0,
                    "search_seconds": 0.1,
                }
            )
            for order in range(orders):
                start = {"random": 6, "good": 3, "bad": 9}[method] + order % 2
                proposed = [max(0, start - k) for k in range(6)]
                regrets = [float(REGRET[c]) for c in proposed]
                results.append(
                    {
                        "study": "search",
                        "store": "toy",
                        "store_sha": "abc",
                        "space": "table",
                        "metric": "accuracy",
                        "pool": "disjoint",
                        "leave_out": "dataset",
                        "quality": "max",
                        "source_datasets": None,
                        "source_architectures": None,
                        "shuffled_sources": False,
                        "runs": "drawn",
                        "seed": 0,
                        "target": target,
                        "method": method,
                        "order_seed": order,
                        "model_seed": 0,
                        "optimizer": method,
                        "terminator": "never",
                        "options": "{}",
                        "learns": method == "good",
                        "workers": 1,
                        "accounting": "continue",
                        "budget": 6,
                        "candidates": len(QUALITY),
                        "regret_valid_pp": regrets[-1],
                        "regret_test_pp": regrets[-1] + 0.5,
                        "cost_fraction": 0.5,
                        "time_unit": "seconds",
                        "simulated_seconds": 360.0,
                        "full_seconds": 720.0,
                        "epochs_charged": 60,
                        "started": 6,
                        "evaluations": 6,
                        "pick": f"{target}-{proposed[-1]}",
                        "leakage": "none",
                        "source": "tabular",
                        "surrogate_r2": None,
                        "surrogate_tau": None,
                        "nassim_version": "1.0",
                        "regret_at_pp": regrets,
                        "test_regret_at_pp": [regret + 0.5 for regret in regrets],
                        "trace_cost": [(k + 1) / 12 for k in range(6)],
                        "trace_regret_pp": regrets,
                        "proposed": proposed,
                        "notes": "{}",
                    }
                    | stamp
                )
    return Study(
        to_table(results, SEARCH_SCHEMA),
        to_table(pool, POOL_SCHEMA),
        to_table(timings, TIMINGS_SCHEMA),
    )


def test_means_after_k_evaluations() -> None:
    study = study_of()
    table = regret_table(study.results, study.pool)
    assert table.methods == ("good", "random", "bad")  # by regret
    assert table.evaluations == (1, 2, 5, 6)
    assert table.regret.mean[1] == pytest.approx([6.5, 5.5, 2.5, 1.5])  # random
    assert table.regret.mean[0] == pytest.approx([3.5, 2.5, 0.0, 0.0])
    assert table.test.mean[2, -1] == pytest.approx(4.5 + 0.5)
    assert table.curve[1] == pytest.approx([6.5, 5.5, 4.5, 3.5, 2.5, 1.5])
    assert table.learns.tolist() == [True, False, False]
    assert table.cost == pytest.approx([0.5] * 3)


def test_differences_are_paired_by_order() -> None:
    table = regret_table(study_of().results)
    at = table.methods.index("good")
    assert table.baseline == "random"
    assert table.difference.mean[at] == pytest.approx([-3.0, -3.0, -2.5, -1.5])
    # the orders shift both alike, so there is no doubt of the first difference
    assert (table.difference.low[at, 0], table.difference.high[at, 0]) == pytest.approx((-3, -3))
    assert (table.better[at] == 3).all()
    assert (table.worse[table.methods.index("bad")] == 3).all()
    assert table.p[at, -1] == pytest.approx(0.5)  # 2 x 1/8, twice after Holm
    assert np.abs(table.difference.mean[table.methods.index("random")]).max() == 0


def test_random_search_in_closed_form() -> None:
    study = study_of()
    table = regret_table(study.results, study.pool)
    expected = [100 * (0.9 - expected_best_of(QUALITY, k)) for k in (1, 2, 5, 6)]
    assert table.expected == pytest.approx(np.tile(expected, (3, 1)))
    assert np.isnan(regret_table(study.results).expected).all()


def test_another_baseline() -> None:
    table = regret_table(study_of().results, baseline="bad")
    assert table.difference.mean[table.methods.index("random"), 0] == pytest.approx(-3.0)
    with pytest.raises(UnknownNameError, match="good"):
        regret_table(study_of().results, baseline="god")


def test_results_of_terminators_or_of_two_budgets_are_refused(study_of: Any) -> None:
    with pytest.raises(InputError, match="'termination'; expected those of 'nassim search'"):
        regret_table(study_of().results)


def test_two_budgets_do_not_belong_in_one_table() -> None:
    both = pa.concat_tables([study_of().results, study_of(budget=4).results])
    with pytest.raises(InputError, match="mix budget"):
        regret_table(both)
    study = study_of()
    page = search_page(both, study.pool)
    assert "1. Search on toy" in page
    assert "2. Search on toy" in page


def test_the_text_fits_a_terminal_and_has_the_numbers() -> None:
    study = study_of()
    text = regret_table(study.results, study.pool).to_text()
    lines = text.splitlines()
    assert max(map(len, lines)) <= 120
    assert any(line.startswith("good") and "3.50" in line for line in lines)
    assert "random search, expected" in text
    assert "-3.00 [-3.00, -3.00] (3/0)" in text


def test_findings_say_who_is_not_ahead() -> None:
    notes = search_findings(regret_table(study_of().results))
    assert "No better than random after 6 evaluations: bad." in notes
    assert any(note.startswith("Better than random") and "good" in note for note in notes)
    leaking = search_findings(regret_table(study_of(leakage="test-seen").results))
    assert leaking[0].startswith("These results leak")


def test_the_page_has_every_figure_and_no_links(tmp_path: Any) -> None:
    study = study_of()
    page = search_page(study.results, study.pool, study.timings)
    assert page == search_page(study.results, study.pool, study.timings)
    assert page.count("<svg") == 2
    assert "http" not in page.replace("http://www.w3.org", "")
    paths = save_search_figures(study.results, study.pool, tmp_path, ["png"])
    assert sorted(path.name for path in paths) == ["anytime.png", "regret.png"]


def test_the_figure_draws_the_table_as_it_is() -> None:
    study = study_of()
    table = regret_table(study.results, study.pool)
    (axes,) = regret_figure(table).axes
    lines = {line.get_label(): np.asarray(line.get_ydata(), float) for line in axes.get_lines()}
    for m, name in enumerate(table.methods):
        assert lines[name] == pytest.approx(table.curve[m])
    assert lines["random search, expected"] == pytest.approx(table.expected.mean(axis=0))
