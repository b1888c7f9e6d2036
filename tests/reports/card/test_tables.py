"""Each number of a card, where it is known by hand."""

import math

import numpy as np
import pytest
import scipy.stats

from nassim.errors import InputError
from nassim.ranking.power import repetitions_needed
from nassim.ranking.seeds import reliability
from nassim.records import Metric

NAN = math.nan
PERPLEXITY = Metric("perplexity", False, (0.0, math.inf))


def noisy(n, k, noise, seed=0, spread=0.1):
    rng = np.random.default_rng(seed)
    truth = np.random.default_rng(99).normal(0.7, spread, (n, 1))
    return truth + noise * rng.normal(size=(n, k))


def test_levels_of_guessing_follow_the_metric(card_of, recorded):
    part = recorded(noisy(6, 1, 0.01), classes=4, majority=0.3)
    (made,) = card_of(part).datasets
    assert (made.chance, made.majority) == (0.25, 0.3)
    (made,) = card_of(part, metric=Metric("error", False, (0.0, 1.0))).datasets
    assert (made.chance, made.majority) == (0.75, 0.7)
    (made,) = card_of(part, metric=PERPLEXITY).datasets
    assert math.isnan(made.chance)
    assert math.isnan(made.majority)


def test_the_ranking_settles_where_it_stays(card_of, recorded):
    ends = np.linspace(0.1, 0.9, 10)
    early = np.stack([ends, ends[::-1], ends, ends], axis=1)  # right, reversed, right, right
    (made,) = card_of(recorded(ends[:, None], early=early)).datasets
    np.testing.assert_array_equal(made.ranking.epochs, [1, 2, 3, 4, 5])
    np.testing.assert_allclose(made.ranking.rho, [1, -1, 1, 1, 1])
    np.testing.assert_allclose(made.ranking.crossing, [0, 1, 0, 0, 0])
    assert made.ranking.settled == 3


def test_values_at_the_end_alone_do_not_say_when_it_settled(card_of, recorded):
    (made,) = card_of(recorded(noisy(10, 1, 0), early=np.full((10, 4), NAN))).datasets
    assert made.ranking.settled == 0
    assert np.isfinite(made.ranking.rho).sum() == 1


def test_long_curves_are_compared_at_some_epochs_with_the_named_ones_among_them(card_of, recorded):
    rng = np.random.default_rng(0)
    (made,) = card_of(recorded(noisy(6, 1, 0), early=rng.random((6, 999)))).datasets
    assert len(made.ranking.epochs) < 260
    assert {1, 50, 100, 250, 500, 1000} <= {*made.ranking.epochs.tolist()}


def test_datasets_are_compared_on_what_they_share_and_with_their_ceiling(card_of, recorded):
    one = recorded(noisy(40, 3, 0.1, seed=1), name="one", group="g")
    other = recorded(noisy(40, 2, 0.1, seed=2), name="other", group="g")
    third = recorded(
        -noisy(40, 2, 0.05, seed=3), name="third", architectures=[*range(100, 110), *range(10, 40)]
    )
    card = card_of(one, other, third)
    found, made = card.agreement, card.datasets
    expected = scipy.stats.spearmanr(noisy(40, 3, 0.1, 1).mean(1), noisy(40, 2, 0.1, 2).mean(1))
    assert found.rho[0, 1] == pytest.approx(expected.statistic)
    assert found.shared.tolist() == [[40, 40, 30], [40, 40, 30], [30, 30, 40]]
    assert found.ceiling[0, 1] == pytest.approx(
        math.sqrt(reliability(made[0].seed_rho, 3) * reliability(made[1].seed_rho, 2))
    )
    assert found.low[0, 1] < found.rho[0, 1] < found.high[0, 1]
    assert found.rho[0, 1] == pytest.approx(found.ceiling[0, 1], abs=0.1)  # one true order
    assert found.rho[0, 2] < 0
    assert (found.pairs, found.pairs_apart) == (3, 2)
    assert found.mean == pytest.approx(found.rho[np.triu_indices(3, 1)].mean())
    assert found.mean_apart == pytest.approx(found.rho[:2, 2].mean())
    assert found.mean_ceiling == pytest.approx(found.ceiling[np.triu_indices(3, 1)].mean())


def test_two_recipes_of_one_dataset_are_no_pair_of_datasets(card_of, recorded):
    card = card_of(*(recorded(noisy(9, 1, 0), recipe=recipe) for recipe in ("long", "quick")))
    assert card.agreement.rho[0, 1] == pytest.approx(1)
    assert card.agreement.pairs == 0
    assert math.isnan(card.agreement.mean)
    assert card.labels == ["digits (long)", "digits (quick)"]


def test_orders_are_enough_for_two_simulated_random_searches(card_of, recorded):
    """One whose regret is larger by the gap: paired t-tests see it in 80% of the studies."""
    values = noisy(60, 1, 0)[:, 0]
    gap = 0.02
    card = card_of(recorded(values[:, None]), gap=gap)
    at = card.power.budgets.index(10)
    orders = int(card.power.orders[0, at])
    rng = np.random.default_rng(0)
    ranks = rng.random((2, 3000 * orders, 60)).argpartition(10, axis=2)[:, :, :10]
    picks = values[ranks].max(axis=2)
    differences = picks[0] - picks[1]
    assert card.power.deviations[0, at] == pytest.approx(differences.std(), rel=0.02)
    tests = scipy.stats.ttest_1samp(differences.reshape(3000, orders) + gap, 0, axis=1)
    assert np.mean(tests.pvalue < 0.05) == pytest.approx(0.8, abs=0.04)


def test_orders_for_the_mean_over_datasets(card_of, recorded):
    parts = [recorded(noisy(60, 1, 0, spread=s), name=f"d{s}") for s in (0.01, 0.03)]
    power = card_of(*parts).power
    of_mean = np.hypot(*power.deviations) / 2
    assert power.all_orders.tolist() == [repetitions_needed(sd, 0.001) for sd in of_mean]
    assert np.all(np.diff(power.orders, axis=0) > 0)


def test_a_search_of_everything_needs_no_power(card_of, recorded):
    power = card_of(recorded(noisy(10, 1, 0))).power
    assert np.isfinite(power.orders[0]).tolist() == [True, False, False, False]


def test_examples_limit_what_seeds_can_show(card_of, recorded):
    part = recorded(noisy(20, 2, 0.01), n_valid=900, n_test=100)
    card = card_of(part, gap=0.01)
    (made,) = card.datasets
    assert made.noise.binomial == pytest.approx(
        math.sqrt(made.scores.median * (1 - made.scores.median) / 900)
    )
    assert card.power.resolvable[0] > 0.01
    assert card.power.examples[0] > 900
    expected = 2 * (2.8016 * made.noise.pooled / 0.01) ** 2  # 2.8016 = z(0.975) + z(0.8)
    assert card.power.seeds_pooled[0] == pytest.approx(expected, abs=2)
    unbounded = card_of(part, metric=PERPLEXITY)
    assert np.isnan(unbounded.power.resolvable).all()
    assert math.isnan(unbounded.datasets[0].noise.binomial)


def test_failed_and_missing_runs_are_left_out(card_of, recorded):
    results = noisy(6, 2, 0.01)
    results[5, 1] = NAN
    status = ["ok"] * 12
    status[0] = "diverged"
    (made,) = card_of(recorded(results, status=status)).datasets
    assert (made.n_runs, made.noise.architectures) == (12, 4)
    assert made.statuses == {"ok": 11, "diverged": 1}
    assert made.seconds.n == 11
    assert made.total_seconds == 120


def test_no_time_is_not_no_cost(card_of, recorded):
    (made,) = card_of(recorded(noisy(6, 1, 0), seconds=0.0)).datasets
    assert made.seconds.n == 0
    assert math.isnan(made.total_seconds)


def test_equal_seeds_are_no_noise_and_every_pair_is_told_apart(card_of, recorded):
    (made,) = card_of(recorded(np.repeat(noisy(6, 1, 0), 2, axis=1))).datasets
    assert (made.noise.pooled, made.apart_pooled) == (0, 1)
    assert made.spread_ratio(made.noise.pooled) == math.inf
    assert made.tau == pytest.approx(1)


@pytest.mark.parametrize("gap", [0.0, -0.1, NAN, math.inf])
def test_a_gap_is_a_number_above_zero(card_of, gap):
    with pytest.raises(InputError, match="gap is"):
        card_of(gap=gap)
