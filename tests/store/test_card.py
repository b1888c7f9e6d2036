import itertools
import math

import numpy as np
import pytest
import scipy.stats

from nassim.ranking import seeds
from nassim.ranking.random_search import expected_best_of
from nassim.records import Dataset, Metric, RunKey
from nassim.reports.card.text import card_text
from nassim.store import Store
from nassim.store.card import card

RECIPE = {"recipes": {"quick": {}}}


@pytest.fixture
def planted(tmp_path, make_run):
    """Twelve architectures on two datasets, three of them with seeds, known down to the digit."""
    store = Store.create(tmp_path / "planted")
    rng = np.random.default_rng(0)
    ends = {name: rng.permutation(np.linspace(0.4, 0.95, 12)) for name in ("one", "two")}
    runs = []
    for name, values in ends.items():
        for number, end in enumerate(values):
            for seed in (0, 1) if name == "one" and number < 3 else (0,):
                curve = np.linspace(0.1, end + 0.01 * seed, 8).astype(np.float32)
                curve[1] = 1 - end  # at a quarter of the epochs the order is reversed
                test = np.full(8, np.nan, np.float32)
                test[-1] = end - 0.05
                runs.append(
                    make_run(
                        f"net{number}",
                        seed,
                        dataset=name,
                        epochs=8,
                        scores={"valid": curve, "test": test},
                        epoch_seconds=np.full(8, 2, np.float32),
                        evaluation_seconds=np.full(8, 0.5, np.float32),
                    )
                )
    runs.append(make_run("broken", dataset="one", epochs=2, status="oom", reason="8 GB"))
    store.append(
        runs,
        datasets=[
            Dataset("one", "g", classes=4, n_valid=500, n_test=200, majority=0.3),
            Dataset("two", "g"),
        ],
        **RECIPE,
    )
    return store, ends


def test_planted_numbers_are_found(planted):
    store, ends = planted
    made = card(store)
    one, two = made.datasets
    assert (made.n_runs, made.sha) == (store.n_runs, store.sha)
    assert (one.n_runs, one.n_architectures, one.n_seeds) == (16, 13, 2)
    assert one.statuses == {"ok": 15, "oom": 1}
    assert one.epochs == (8, 8)
    assert (one.split, one.chance, one.majority) == ("valid", 0.25, 0.3)
    assert math.isnan(two.chance)
    assert math.isnan(two.majority)
    broken_seconds = store.curve("epoch_seconds", RunKey("table", "broken", "one", "quick", 0))
    assert one.total_seconds == pytest.approx(15 * 8 * 2.5 + broken_seconds.sum())

    means = ends["one"].copy()
    means[:3] += 0.005  # the mean of two seeds that differ by 0.01
    assert one.scores.n == 12
    assert one.scores.maximum == pytest.approx(means.max())
    assert one.scores.p10 == pytest.approx(np.percentile(means, 10))
    assert one.test.median == pytest.approx(np.median(ends["one"] - 0.05))

    assert (one.seconds.n, one.seconds.median) == (15, 8 * 2.5)

    assert one.noise.architectures == 3
    assert one.noise.pooled == pytest.approx(0.01 / math.sqrt(2), rel=1e-4)
    quartile = scipy.stats.norm.ppf(0.75)  # the median of a deviation from two seeds, of 1
    assert one.noise.median == pytest.approx(one.noise.pooled / quartile, rel=1e-4)
    middle = np.median(means)
    assert one.noise.binomial == pytest.approx(math.sqrt(middle * (1 - middle) / 500))
    assert (one.test_noise.examples, one.test_noise.architectures) == (200, 3)
    assert one.spread == pytest.approx(np.percentile(means, 90) - np.percentile(means, 10))
    assert one.spread_ratio(one.noise.pooled) == pytest.approx(one.spread / one.noise.pooled)
    apart = [abs(a - b) > 1.96 * 0.01 for a, b in itertools.combinations(means, 2)]
    assert one.apart_pooled == pytest.approx(np.mean(apart))
    assert one.apart_median == 1.0
    assert math.isnan(one.tau)  # of three architectures
    assert math.isnan(two.noise.pooled)
    assert two.noise.architectures == 0

    assert one.search.budgets[-1] == 12
    assert one.search.at(5)[0] == pytest.approx(means.max() - expected_best_of(means, 5))
    assert math.isnan(one.search.at(25)[0])
    assert two.ranking.at(2) == pytest.approx((-1, 1))
    assert two.ranking.at(4)[0] == pytest.approx(1)
    assert two.ranking.settled == 3  # after the epoch at which all is reversed
    rho = scipy.stats.spearmanr(means, ends["two"]).statistic
    np.testing.assert_allclose(made.agreement.rho, [[1, rho], [rho, 1]], atol=1e-6)
    np.testing.assert_array_equal(made.agreement.shared, 12)
    assert made.agreement.pairs == 1
    assert made.agreement.mean == pytest.approx(rho)
    assert made.agreement.pairs_apart == 0  # both are of group g
    assert math.isnan(made.agreement.mean_ceiling)


def test_the_text_holds_the_numbers_in_aligned_columns(planted):
    text = card_text(card(planted[0]))
    lines = text.splitlines()
    assert lines[0] == "Store planted, 28 runs on 2 datasets; accuracy, higher is better"
    assert any(
        " ".join(line.split()) == "one 16 13 2 8 15 1 oom 20.0 20.0 20.0 0.08" for line in lines
    )
    assert "0.707" in text  # the seed noise, in percentage points
    assert "nan" not in text
    assert max(map(len, lines)) <= 125
    for block in text.strip().split("\n\n")[2:-1]:  # head, sentences, tables, what is missing
        table = [line for line in block.splitlines() if line.startswith("  ")]
        assert len(table) >= 3, block
        lengths = {len(line) for line in table[1:] if not line.startswith("  mean of all")}
        assert len(lengths) == 1, block


def test_an_empty_store_and_one_of_failures_have_a_card(tmp_path, make_run):
    store = Store.create(tmp_path / "sad")
    assert "No runs yet" in card_text(card(store))
    store.append(
        [make_run("a", epochs=0, scores={}, status="oom", reason="x"),
         make_run("b", epochs=3, status="diverged", reason="x")],
        datasets=[Dataset("digits", "g"), Dataset("unused", "g")], **RECIPE,
    )  # fmt: skip
    made = card(store)
    assert len(made.datasets) == 1
    assert made.datasets[0].scores.n == 0
    assert "1 diverged, 1 oom" in card_text(made)


def test_one_run_is_enough_for_a_card(tmp_path, make_run):
    store = Store.create(tmp_path / "one")
    store.append([make_run("a", epochs=1)], datasets=[Dataset("digits", "g")], **RECIPE)
    (made,) = card(store).datasets
    assert made.search.at(1) == (0.0, 0.0)
    assert made.ranking.settled == 0
    assert math.isnan(made.apart_pooled)


def test_recipes_are_kept_apart_and_too_few_shared_are_not_correlated(store, monkeypatch):
    made = card(store)
    text = card_text(made)
    assert "digits (long)" in text
    assert "circles (quick)" in text
    assert len(made.datasets) == 4
    assert np.isfinite(made.agreement.rho).all()
    monkeypatch.setattr(seeds, "FEWEST", 6)
    assert np.isnan(card(store).agreement.rho).all()
    assert "n/a (5)" in card_text(card(store))


def test_lower_is_better_turns_regret_and_prints_no_percent(tmp_path, make_run):
    store = Store.create(tmp_path / "lower", Metric("perplexity", False, (0.0, math.inf)))
    runs = [
        make_run(f"n{n}", epochs=2, scores={"valid": np.array([99, value], np.float32)})
        for n, value in enumerate((20.0, 30.0, 40.0))
    ]
    store.append(runs, datasets=[Dataset("digits", "g", classes=10)], **RECIPE)
    made = card(store)
    assert made.datasets[0].search.at(1)[0] == pytest.approx(10)
    assert math.isnan(made.datasets[0].chance)
    assert "percent" not in card_text(made)


def test_without_validation_the_split_says_so(tmp_path, make_run):
    store = Store.create(tmp_path / "merged")
    runs = [make_run(f"n{n}", epochs=1, scores={"merged": np.array([n / 9])}) for n in range(9)]
    store.append(runs, datasets=[Dataset("digits", "g")], **RECIPE)
    assert card(store).datasets[0].split == "merged"
    assert "merged  9" in card_text(card(store))
