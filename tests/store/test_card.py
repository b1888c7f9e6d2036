import itertools
import math

import numpy as np
import pytest
import scipy.stats

import nassim.store.card
from nassim.ranking.random_search import expected_best_of
from nassim.records import Dataset, Metric, RunKey
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
    store.append(runs, datasets=[Dataset("one", "g", classes=4), Dataset("two", "g")], **RECIPE)
    return store, ends


def test_planted_numbers_are_found(planted):
    store, ends = planted
    made = card(store)
    one, two = made.datasets
    assert (made.n_runs, made.sha) == (store.n_runs, store.sha)
    assert (one.n_runs, one.n_architectures, one.n_seeds) == (16, 13, 2)
    assert one.statuses == {"ok": 15, "oom": 1}
    assert one.epochs == (8, 8)
    assert (one.split, one.chance) == ("valid", 0.25)
    assert math.isnan(two.chance)
    broken_seconds = store.curve("epoch_seconds", RunKey("table", "broken", "one", "quick", 0))
    assert one.seconds == pytest.approx(15 * 8 * 2.5 + broken_seconds.sum())

    means = ends["one"].copy()
    means[:3] += 0.005  # the mean of two seeds that differ by 0.01
    assert one.scores.n == 12
    assert one.scores.maximum == pytest.approx(means.max())
    assert one.scores.p10 == pytest.approx(np.percentile(means, 10))
    assert one.test.median == pytest.approx(np.median(ends["one"] - 0.05))

    assert one.noise_architectures == 3
    assert one.noise == pytest.approx(0.01 / math.sqrt(2), rel=1e-4)
    apart = [abs(a - b) > 1.96 * 0.01 for a, b in itertools.combinations(means, 2)]
    assert one.distinguishable == pytest.approx(np.mean(apart))
    assert math.isnan(two.noise)
    assert two.noise_architectures == 0

    assert one.random_search.keys() == {1, 5, 10}
    assert one.random_search[5] == pytest.approx(means.max() - expected_best_of(means, 5))
    assert one.crossing_epoch == 2
    assert two.crossing == 1.0
    assert two.early_ranks[2] == pytest.approx(-1)
    assert two.early_ranks[4] == pytest.approx(1)
    rho = scipy.stats.spearmanr(means, ends["two"]).statistic
    np.testing.assert_allclose(made.agreement, [[1, rho], [rho, 1]], atol=1e-6)
    np.testing.assert_array_equal(made.shared, 12)


def test_the_text_holds_the_numbers_in_aligned_columns(planted):
    text = card(planted[0]).to_text()
    lines = text.splitlines()
    assert lines[0] == "Store planted, 28 runs on 2 datasets; accuracy, higher is better"
    assert any(
        line.split() == ["one", "16", "13", "2", "8", "15", "1", "oom", "0.08"] for line in lines
    )
    assert "0.707" in text  # the seed noise, in percentage points
    assert "nan" not in text
    for block in text.strip().split("\n\n")[1:]:
        table = block.splitlines()[1:]
        assert len({len(line) for line in table[1:]}) == 1, block
        assert max(map(len, lines)) <= 120


def test_an_empty_store_and_one_of_failures_have_a_card(tmp_path, make_run):
    store = Store.create(tmp_path / "sad")
    assert "No runs yet" in card(store).to_text()
    store.append(
        [make_run("a", epochs=0, scores={}, status="oom", reason="x"),
         make_run("b", epochs=3, status="diverged", reason="x")],
        datasets=[Dataset("digits", "g"), Dataset("unused", "g")], **RECIPE,
    )  # fmt: skip
    made = card(store)
    assert len(made.datasets) == 1
    assert made.datasets[0].scores.n == 0
    assert "1 diverged, 1 oom" in made.to_text()


def test_one_run_is_enough_for_a_card(tmp_path, make_run):
    store = Store.create(tmp_path / "one")
    store.append([make_run("a", epochs=1)], datasets=[Dataset("digits", "g")], **RECIPE)
    (made,) = card(store).datasets
    assert made.random_search == {1: 0.0}
    assert math.isnan(made.crossing)
    assert math.isnan(made.distinguishable)


def test_recipes_are_kept_apart_and_too_few_shared_are_not_correlated(store, monkeypatch):
    made = card(store)
    text = made.to_text()
    assert "digits (long)" in text
    assert "circles (quick)" in text
    assert len(made.datasets) == 4
    assert np.isfinite(made.agreement).all()
    monkeypatch.setattr(nassim.store.card, "FEWEST_SHARED", 6)
    assert np.isnan(card(store).agreement).all()
    assert "n/a (5)" in card(store).to_text()


def test_lower_is_better_turns_regret_and_prints_no_percent(tmp_path, make_run):
    store = Store.create(tmp_path / "lower", Metric("perplexity", False, (0.0, math.inf)))
    runs = [
        make_run(f"n{n}", epochs=2, scores={"valid": np.array([99, value], np.float32)})
        for n, value in enumerate((20.0, 30.0, 40.0))
    ]
    store.append(runs, datasets=[Dataset("digits", "g", classes=10)], **RECIPE)
    made = card(store)
    assert made.datasets[0].random_search[1] == pytest.approx(10)
    assert math.isnan(made.datasets[0].chance)
    assert "percent" not in made.to_text()


def test_without_validation_the_split_says_so(tmp_path, make_run):
    store = Store.create(tmp_path / "merged")
    runs = [make_run(f"n{n}", epochs=1, scores={"merged": np.array([n / 9])}) for n in range(9)]
    store.append(runs, datasets=[Dataset("digits", "g")], **RECIPE)
    assert card(store).datasets[0].split == "merged"
    assert "merged  9" in card(store).to_text()
