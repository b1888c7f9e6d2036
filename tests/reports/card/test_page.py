"""The card for people: sentences, reasons for what is missing, the page and its figures."""

import math
import re

import numpy as np
import pytest

from nassim.records import Metric
from nassim.reports.card.figures import accuracy_figure
from nassim.reports.card.notes import headline, unknowns
from nassim.reports.card.page import card_page, save_card_figures
from nassim.reports.card.text import card_text

SECTIONS = (
    "What is not known (n/a)",
    "Results of the architectures",
    "Noise",
    "When the ranking settles",
    "Do datasets rank architectures alike?",
    "Random search",
    "What it takes to see a difference",
    "Runs and their cost",
    "Definitions",
)


def test_the_page_has_every_section_and_needs_nothing_beside_it(several, checked):
    page = card_page(several)
    assert page == card_page(several)
    checked(page)
    titles = re.findall(r"<h2[^>]*>(.*?)</h2>", page)
    assert titles == [title for title in SECTIONS if "n/a" not in title or unknowns(several)]
    assert page.count("<svg") == 7
    assert "&lt;c&amp;d&gt;" in page
    assert "<c&d>" not in page
    for sentence in headline(several):
        assert sentence in page


def test_the_sentences_say_spread_seeds_size_agreement_and_orders(several):
    spread, seeds, valid, test, agreement, orders = headline(several)
    assert "more than 4 times the seed noise on 3 of 3 datasets" in spread
    assert "Kendall tau of 0." in seeds
    assert valid.startswith("On the validation split")
    assert "larger than the noise of its size (binomial) on 3 of 3" in test  # n_test is large
    assert "Over 3 pairs of datasets" in agreement
    assert "equal orders would reach 0.9" in agreement
    assert "(other groups)" in agreement
    assert "random searches of 10 architectures" in orders


def test_each_number_that_is_missing_has_its_reason(card_of, recorded):
    results = np.random.default_rng(0).random((6, 1))
    notes = unknowns(card_of(recorded(results, seconds=0.0), recorded(results, name="two")))
    for reason in (
        "no architecture has two measured runs",
        "no test value",
        "values are known at one epoch only",
        "the number of classes is not known",
        "how frequent the classes are",
        "the size of the split",
        "the ceiling of the correlation",
        "seconds: no time was recorded (digits)",
    ):
        assert any(reason in note for note in notes), reason


def test_nothing_is_missing_where_all_was_measured(several):
    assert unknowns(several) == [
        "regret and orders of large budgets: where a search trains every architecture, it finds "
        "the best."
    ]


def test_many_datasets_and_long_names_have_a_page(card_of, recorded, checked):
    rng = np.random.default_rng(0)
    names = [f"a-dataset-with-a-long-name-{n}" for n in range(18)]
    parts = [recorded(rng.random((6, 2)), name=name, early=rng.random((12, 2))) for name in names]
    checked(card_page(card_of(*parts)))


@pytest.mark.parametrize(
    "options",
    [
        {"results": [[0.5]]},
        {"results": [[0.5], [0.5]], "seconds": 0.0},
        {"results": np.full((3, 2), np.nan)},
        {"results": np.full((6, 2), 0.5), "early": np.full((12, 3), 0.5)},
        {"results": np.linspace(0, 1, 7)[:, None], "early": np.full((7, 3), np.nan)},
        {"results": np.arange(12.0).reshape(6, 2), "status": ["oom"] * 12},
    ],
    ids=["one run", "no time", "no value", "all equal", "end only", "all failed"],
)
def test_unusual_recordings_have_a_page_and_a_text(card_of, recorded, options):
    card = card_of(recorded(**options))
    assert "</html>" in card_page(card)
    assert "nan" not in card_text(card)


def test_an_unbounded_metric_is_printed_as_it_is(card_of, recorded):
    rng = np.random.default_rng(0)
    metric = Metric("perplexity", False, (0.0, math.inf))
    part = recorded(100 + 20 * rng.random((60, 2)), early=500 * rng.random((120, 3)), n_valid=9)
    card = card_of(part, metric=metric, gap=0.1)
    page, text = card_page(card), card_text(card)
    assert "pp" not in re.sub(r"perplexity|apple|mapp|<svg.*?</svg>|[uw]pp", "", text, flags=re.S)
    assert "a gap of 0.100 perplexity" in text
    assert "perplexity does not count hits" in page


def test_an_empty_store_has_a_page(card_of):
    assert "No runs yet" in card_page(card_of())


def test_a_legend_fits_beside_a_single_dataset(card_of, recorded):
    part = recorded(np.random.default_rng(0).random((9, 2)), classes=4, majority=0.3)
    figure = accuracy_figure(card_of(part))
    figure.draw_without_rendering()
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert len(legend.get_texts()) == 4
    assert figure.bbox.x0 <= box.x0
    assert box.x1 <= figure.bbox.x1


def test_figures_for_papers(several, tmp_path):
    written = save_card_figures(several, tmp_path, formats=("svg",))
    names = ["accuracy", "noise", "ranking", "agreement", "search", "power", "cost"]
    assert written == [tmp_path / f"{name}.svg" for name in names]
    assert all(path.stat().st_size > 1000 for path in written)
