"""The HTML page: self-contained, deterministic, honest."""

import re

import pyarrow as pa
import pytest

from nassim.errors import InputError
from nassim.reports.page import findings, headline, report_page, save_figures
from nassim.reports.termination import BUDGET_MATCHED, comparison_table, termination_table


def of(study):
    return (
        termination_table(study.results, study.pool),
        comparison_table(study.results, BUDGET_MATCHED),
    )


def test_the_page_is_self_contained_well_formed_and_the_same_each_time(study, checked):
    page = report_page(study.results, study.pool, study.timings)
    assert page == report_page(study.results, study.pool, study.timings)
    checked(page)
    assert page.count("<svg") == 4


def test_the_page_says_settings_definitions_and_real_seconds(study_of):
    study = study_of(model_seeds=3)
    page = report_page(study.results, study.pool, study.timings, title="A <title> & more")
    text = re.sub(r"<svg.*?</svg>", "", page, flags=re.DOTALL)
    assert "A &lt;title&gt; &amp; more" in text
    for word in ("abc", "disjoint", "continue", "tabular", "4 orders x 3 model seeds", "1.0"):
        assert f"<dd>{word}" in text, word
    assert "100 x (best of the pool - pick)" in text
    assert "Real seconds on the machine" in text


def test_the_headline_names_a_method_by_rule_with_interval_and_random_search(study):
    sentence = headline(*of(study))
    assert "The cheapest method, fancy:option=1," in sentence
    assert "2.50 percentage points worse than the best of the pool" in sentence
    assert "95% interval 2.25 to 2.75" in sentence
    assert "11.1% of the cost" in sentence
    assert "Random search for the same cost is 4.00 worse" in sentence


def test_the_headline_says_if_random_search_is_better(study_of):
    study = study_of(random_regret_pp=0.0)
    assert "worse than chance at its price" in headline(*of(study))
    assert any("No better than random search" in note for note in findings(*of(study)))


def test_a_learned_method_behind_a_simple_one_is_the_first_finding(study_of):
    study = study_of(methods=("never", "asha", "fancy"), cost_fraction=0.2)
    table, against = of(study)
    first = findings(table, against)[0]
    assert first.startswith("fancy (2.50 pp at 20.0%) is dominated by ")
    study = study_of(methods=("never", "fancy", "asha"))  # a front: nobody is dominated
    assert not any("dominated" in note for note in findings(*of(study)))


def test_findings_warn_of_leaks_gaps_and_few_datasets(study_of):
    notes = findings(*of(study_of(leakage="merged")))
    assert "leak" in notes[0]
    assert any("cannot" in note or "no two-sided sign test" in note for note in notes)
    gap = study_of(skip=[("last_value", "red")])
    assert any(note.startswith("Not measured on every dataset") for note in findings(*of(gap)))
    alone = study_of(methods=("median",), targets=("red",), orders=1)
    notes = findings(*of(alone))
    assert any("One dataset" in note for note in notes)
    assert any("One order" in note for note in notes)


@pytest.mark.parametrize(
    "options",
    [
        {"methods": ("median",), "targets": ("red",), "orders": 1, "leakage": "test-seen"},
        {
            "targets": ("blue", "red"),
            "metric": "perplexity",
            "regret_test_pp": float("nan"),
            "skip": [("never", "red"), ("last_value", "red"), ("fancy:option=1", "blue")],
        },
    ],
)
def test_unusual_studies_have_a_page(study_of, options):
    study = study_of(**options)
    assert "</html>" in report_page(study.results, study.pool, study.timings)


def test_several_files_with_other_settings_get_a_section_each(study_of, checked):
    small = {"targets": ("red",), "orders": 1}
    one, other = study_of(**small), study_of(**small, accounting="restart")
    results, pool = (
        pa.concat_tables([getattr(one, name), getattr(other, name)]) for name in ("results", "pool")
    )
    page = report_page(results, pool)
    assert "1. accounting continue" in page
    assert "2. accounting restart" in page
    assert "Real seconds" not in page
    checked(page)


def test_no_results_are_an_error(study):
    with pytest.raises(InputError, match="no rows"):
        report_page(study.results.slice(0, 0), study.pool)


def test_figures_for_papers(study_of, tmp_path):
    study = study_of(targets=("red",), orders=1)
    written = save_figures(study.results, study.pool, tmp_path / "figures", formats=("svg",))
    assert sorted(path.name for path in written) == [
        "anytime.svg",
        "curves.svg",
        "front.svg",
        "targets.svg",
    ]
    assert all(path.stat().st_size for path in written)
