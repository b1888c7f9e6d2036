"""The numbers of the early-termination report."""

import math

import numpy as np
import pyarrow as pa
import pytest

from nassim.errors import InputError, UnknownNameError
from nassim.reports.grid import split_settings
from nassim.reports.searches import anytime_table, curves_table
from nassim.reports.termination import (
    BUDGET_MATCHED,
    comparison_table,
    termination_table,
    timings_table,
)


def changed(results, column, values):
    at = results.schema.get_field_index(column)
    return results.set_column(
        at, results.schema.field(at), pa.array(values, results.field(at).type)
    )


def where(results, method, target):
    rows = zip(results["method"].to_pylist(), results["target"].to_pylist(), strict=True)
    return [row == (method, target) for row in rows]


def test_means_come_from_seeds_then_targets_and_methods_are_sorted_by_cost(study):
    table = termination_table(study.results, study.pool)
    assert table.methods == ("never", "last_value", "fancy:option=1")
    assert table.targets == ("blue", "green", "red")
    np.testing.assert_allclose(table.regret.mean, [0.0, 1.5, 2.5])
    np.testing.assert_allclose(table.regret.cells[1], 1.5)  # picks 1 and 2 in turn
    np.testing.assert_allclose(table.test_regret.mean, [0.1, 1.6, 2.6])
    np.testing.assert_allclose(table.random_regret.mean, [0.0, 2.0, 4.0])
    np.testing.assert_allclose(table.killed_best.mean, [0.0, 1.0, 1.0])
    np.testing.assert_allclose(table.cost.mean, [1, 1 / 3, 1 / 9], rtol=0.02)
    np.testing.assert_allclose(table.trainings.mean, 10 * table.cost.mean)
    np.testing.assert_allclose(table.speed_up, 1 / table.cost.mean)
    error = np.std([1, 2, 1, 2], ddof=1) / 2
    np.testing.assert_allclose(table.regret.errors[1], error)
    assert (table.regret.low <= table.regret.mean).all()
    assert (table.regret.mean <= table.regret.high).all()
    np.testing.assert_allclose(table.full_seconds, 55 * 3600)


def test_every_target_weighs_the_same(study):
    one_left = study.results.filter(
        pa.array(
            target != "red" or order == 0
            for target, order in zip(
                study.results["target"].to_pylist(),
                study.results["order_seed"].to_pylist(),
                strict=True,
            )
        )
    )
    table = termination_table(one_left)
    m = table.methods.index("last_value")
    red = table.regret.cells[m, 2]
    assert (red, table.regret.cells[m, 0]) == pytest.approx((1.0, 1.5))
    assert table.regret.mean[m] == pytest.approx((1.5 + 1.5 + red) / 3)
    assert math.isnan(table.regret.errors[m, 2])  # one order: no error


def test_the_oracle_trains_the_best_alone_and_costs_the_mean_without_a_pool(study):
    np.testing.assert_allclose(termination_table(study.results, study.pool).oracle_cost, 1 / 55)
    np.testing.assert_allclose(termination_table(study.results).oracle_cost, 1 / 10)


def test_a_dominated_method_is_not_on_the_front(study):
    cost = np.array(study.results["cost_fraction"].to_pylist())
    slow = [name == "fancy:option=1" for name in study.results["method"].to_pylist()]
    table = termination_table(changed(study.results, "cost_fraction", np.where(slow, 0.5, cost)))
    assert dict(zip(table.methods, table.front.tolist(), strict=True)) == {
        "never": True,
        "fancy:option=1": False,
        "last_value": True,
    }
    assert table.dominators[1] == ("last_value",)
    assert "*" not in table.marks(1)


def test_equal_methods_are_both_on_the_front(study_of):
    study = study_of(methods=("never", "last_value"))
    names = [
        "twin" if name == "last_value" else name for name in study.results["method"].to_pylist()
    ]
    both = pa.concat_tables([study.results, changed(study.results, "method", names)])
    table = termination_table(both)
    assert table.front.all()
    assert len(table.methods) == 3


def test_a_method_that_misses_a_target_is_marked_and_dominates_nobody(study_of):
    study = study_of(skip=[("last_value", "red")])
    table = termination_table(study.results, study.pool)
    m = table.methods.index("last_value")
    assert table.complete.tolist() == [True, False, True]
    assert not table.front[m]
    assert table.marks(m) == "†"
    assert "†: not measured on every target" in table.to_text()


@pytest.mark.parametrize("leakage", ["merged", "test-seen"])
def test_leakage_is_marked_on_every_row_and_explained(study_of, leakage):
    text = termination_table(study_of(leakage=leakage).results).to_text()
    rows = [line for line in text.splitlines() if "last_value" in line]
    assert rows
    assert all("‡" in row for row in rows)
    assert f"leakage '{leakage}'" in text
    assert "‡" not in termination_table(study_of().results).to_text()


def test_missing_test_values_print_as_a_dash(study_of):
    table = termination_table(study_of(regret_test_pp=math.nan).results)
    assert np.isnan(table.test_regret.mean).all()
    row = next(line for line in table.to_text().splitlines() if "last_value" in line)
    assert " - " in row


def test_another_metric_has_its_own_unit(study_of):
    study = study_of(metric="perplexity")
    table = termination_table(study.results, study.pool)
    text = table.to_text()
    assert table.settings.unit == "perplexity"
    assert "pp" not in text.replace("perplexity", "")
    assert "0.015" in text  # two digits of the largest, where two decimals would hide it


def test_one_method_one_target_one_seed(study_of):
    study = study_of(methods=("median",), targets=("red",), orders=1)
    table = termination_table(study.results, study.pool)
    assert table.regret.low[0] == table.regret.high[0] == table.regret.mean[0] == 0.0
    assert "says nothing about other datasets" in table.to_text().replace("\n  ", " ")
    assert comparison_table(study.results).baseline == BUDGET_MATCHED
    assert comparison_table(study.results, "median").methods == ()
    assert "Against median" in comparison_table(study.results, "median").to_text()


def test_the_text_fits_a_terminal_with_eight_long_names(study_of):
    names = tuple(f"a-rather-long-dataset-name-{k}" for k in range(8))
    methods = ("never", "successive_halving:eta=4:min_epochs=2", "successive_halving:eta=3")
    study = study_of(methods=methods, targets=names)
    lines = termination_table(study.results, study.pool).to_text().splitlines()
    assert max(map(len, lines)) <= 120
    assert sum("a-rat…me-7" in line for line in lines) == 1
    more = study_of(methods=methods, targets=(*names, "another"))
    assert max(map(len, termination_table(more.results).to_text().splitlines())) <= 120


def test_the_text_defines_its_words_and_says_what_five_datasets_cannot_show(study_of):
    few = termination_table(study_of(targets=tuple("abcde")).results).to_text()
    assert "regret: 100 x (best of the pool - pick)" in few
    assert "no two-sided sign test can reach p < 0.0625" in few
    many = termination_table(study_of(targets=tuple("abcdef")).results).to_text()
    assert "sign test" not in many


def test_files_may_be_concatenated_if_a_search_stands_twice_it_must_agree(study_of):
    study = study_of()
    twice = pa.concat_tables([study.results, study.results])
    np.testing.assert_array_equal(
        termination_table(twice).regret.low, termination_table(study.results).regret.low
    )
    newer = changed(study.results, "nassim_version", ["2.0"] * study.results.num_rows)
    assert termination_table(pa.concat_tables([study.results, newer])).versions == ("1.0", "2.0")
    other = study_of(seed=1).results
    with pytest.raises(InputError, match="stands twice with different cost_fraction"):
        termination_table(pa.concat_tables([study.results, other]))


def test_settings_are_told_apart_and_never_mixed(study_of):
    both = pa.concat_tables([study_of().results, study_of(accounting="restart").results])
    with pytest.raises(InputError, match="mix accounting 'continue' and 'restart'"):
        termination_table(both)
    parts = split_settings(both)
    assert [part["accounting"][0].as_py() for part in parts] == ["continue", "restart"]
    assert sum(part.num_rows for part in parts) == both.num_rows


def test_what_is_no_result_is_refused(study_of):
    study = study_of()
    with pytest.raises(InputError, match="no rows"):
        termination_table(study.results.slice(0, 0))
    with pytest.raises(InputError, match="study 'search'"):
        termination_table(study_of(study="search").results)
    with pytest.raises(InputError, match="no column 'study'"):
        termination_table(study.pool)
    other = study_of(candidates=11)
    with pytest.raises(InputError, match=r"written with them"):
        termination_table(study.results, other.pool)


def test_the_right_pool_is_found_among_several(study_of):
    one, other = study_of(), study_of(candidates=12)
    pools = pa.concat_tables([other.pool, one.pool])
    for study, total in ((one, 55), (other, 78)):
        np.testing.assert_allclose(termination_table(study.results, pools).oracle_cost, 1 / total)


def test_comparison_is_paired_by_order_and_counts_datasets(study_of):
    study = study_of(targets=tuple("abcde"))
    table = comparison_table(study.results)
    assert table.baseline == "last_value"
    assert table.methods == ("never", "fancy:option=1")  # best first
    np.testing.assert_allclose(table.regret.mean, [-1.5, 1.0])
    # the order shifts both picks alike, so the paired difference does not vary within a dataset
    np.testing.assert_allclose(table.regret.errors[1], 0.0, atol=1e-12)
    assert (table.better.tolist(), table.worse.tolist()) == ([5, 0], [0, 5])
    np.testing.assert_allclose(table.p, 0.0625)
    np.testing.assert_allclose(table.p_holm, 0.125)
    np.testing.assert_allclose(table.cost_ratio, [3, 1 / 3], rtol=0.03)


def test_comparison_with_random_search_at_the_same_cost(study):
    table = comparison_table(study.results, BUDGET_MATCHED)
    means = dict(zip(table.methods, table.regret.mean.tolist(), strict=True))
    assert means == pytest.approx({"fancy:option=1": -1.5, "last_value": -0.5, "never": 0.0})
    assert table.tied[table.methods.index("never")] == 3
    np.testing.assert_allclose(table.cost_ratio, 1.0)


def test_differences_that_are_rounding_noise_are_ties(study):
    noise = np.array(study.results["regret_valid_pp"].to_pylist())
    noise += 1e-13 * np.arange(len(noise))
    results = changed(study.results, "random_regret_pp", noise)
    assert comparison_table(results, BUDGET_MATCHED).tied.tolist() == [3, 3, 3]


def test_a_baseline_with_several_fits_is_averaged_over_them(study_of):
    study = study_of(model_seeds=3)
    table = comparison_table(study.results, "fancy:option=1")
    picks = np.array(
        [[[2 + (t + o + k) % 2 for k in range(3)] for o in range(4)] for t in range(3)]
    )
    last = np.array([[1 + (t + o) % 2 for o in range(4)] for t in range(3)])
    expected = (last - picks.mean(axis=2)).mean(axis=1)
    m = table.methods.index("last_value")
    np.testing.assert_allclose(table.regret.cells[m], expected)


def test_an_unknown_baseline_is_named(study):
    with pytest.raises(UnknownNameError, match="Did you mean 'last_value'"):
        comparison_table(study.results, "last_valu")


def test_anytime_is_undefined_before_half_of_the_searches_have_an_incumbent(study_of):
    study = study_of(orders=4, cost_fraction=0.4, full_seconds=100.0, simulated_seconds=40.0,
                     trace_cost=[0.1, 0.4], trace_regret_pp=[3.0, 1.0])  # fmt: skip
    late = study.results["order_seed"].to_pylist()
    traces = [[0.2, 0.4] if order >= 2 else [0.1, 0.4] for order in late]
    table = anytime_table(changed(study.results, "trace_cost", traces), ["last_value"], points=400)
    at = {cost: int(np.searchsorted(table.costs, cost)) for cost in (0.09, 0.15, 0.3, 0.41)}
    median, high = table.median[0, 0], table.high[0, 0]
    assert math.isnan(median[at[0.09]])
    assert median[at[0.15]] == 3.0
    assert math.isnan(high[at[0.15]])  # a quarter of the searches has none yet
    assert high[at[0.3]] == 3.0
    assert median[at[0.41]] == 1.0
    assert table.ends[0].tolist() == pytest.approx([0.4] * 4)
    assert (table.costs[0], table.costs[-1]) == pytest.approx((0.005, 1.0))


def test_anytime_over_all_targets_weighs_them_alike(study_of):
    many, few = study_of(targets=("a",), orders=30), study_of(targets=("b",), orders=3)
    both = pa.concat_tables([many.results, few.results])
    trace = [[2.0, 2.0] if target == "a" else [1.0, 1.0] for target in both["target"].to_pylist()]
    table = anytime_table(changed(both, "trace_regret_pp", trace), ["last_value"])
    last = -1
    assert table.low[0, 2, last] == table.median[0, 2, last] == 1.0  # not the 30 to 3 majority
    assert table.high[0, 2, last] == 2.0
    with pytest.raises(UnknownNameError):
        anytime_table(both, ["nobody"])


def test_anytime_begins_early_enough_for_the_cheapest_search(study_of):
    study = study_of(simulated_seconds=0.001 * 55 * 3600)
    assert anytime_table(study.results).costs[0] == pytest.approx(0.001)


def test_curves_of_one_search(study):
    table = curves_table(study.results, study.pool, "last_value", "green", order_seed=1)
    assert table.curves.shape == (10, 6)
    np.testing.assert_allclose(table.curves[:, -1], 90 - np.arange(10))
    assert (table.pick, table.best) == (1, 0)
    assert table.kept.tolist() == [True, True] + [False] * 8
    assert table.trained.tolist() == [6, 6] + [2] * 8
    assert table.regret == pytest.approx(1.0)
    with pytest.raises(InputError, match="no order 9"):
        curves_table(study.results, study.pool, "last_value", "green", order_seed=9)
    with pytest.raises(UnknownNameError, match="target"):
        curves_table(study.results, study.pool, "last_value", "gren")
    with pytest.raises(UnknownNameError, match="method"):
        curves_table(study.results, study.pool, "last", "green")


def test_timings_are_means_over_fits(study_of):
    table = timings_table(study_of(model_seeds=3).timings)
    m = table.methods.index("fancy:option=1")
    assert (table.fits[m], table.fit[m], table.fit_most[m]) == (9, 2.0, 3.0)
    assert "fancy" in table.to_text()


def test_the_same_results_give_the_same_text_in_any_order_of_rows(study):
    backwards = study.results.take(pa.array(range(study.results.num_rows)[::-1]))
    assert (
        termination_table(study.results, study.pool).to_text()
        == termination_table(backwards, study.pool).to_text()
    )
