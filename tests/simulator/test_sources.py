from __future__ import annotations

import copy
import gc
import weakref
from typing import Any

import numpy as np
import pytest

from nassim.checks.worlds import small_world
from nassim.errors import ContractError, InputError
from nassim.optimizers.random_search import RandomSearch
from nassim.records import Architecture, Dataset, FloatArray, Incumbent, Metric, Prefixes
from nassim.simulator import Replay, TableSource, simulate
from nassim.terminators.base import Estimator
from nassim.terminators.last_value import LastValue

NAN, INF = np.nan, np.inf


def table_of(
    curves: Any,
    *,
    candidate: Any = None,
    seconds: Any = 1.0,
    lengths: Any = None,
    failed: Any = None,
    classes: int = 0,
    **options: Any,
) -> TableSource:
    curves = np.array(curves, float)
    n, epochs = curves.shape
    candidate = np.arange(n) if candidate is None else np.array(candidate)
    return TableSource(
        Dataset("made up", "made up", classes=classes),
        [Architecture("table", (), f"run {k}", f"run {k}") for k in range(candidate.max() + 1)],
        candidate,
        curves,
        np.broadcast_to(np.array(seconds, float), curves.shape),
        np.full(n, epochs) if lengths is None else np.array(lengths),
        np.zeros(n, bool) if failed is None else np.array(failed),
        **options,
    )


# --- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize("odd", [0.0, -1.0, NAN])
def test_seconds_must_be_positive(odd: float) -> None:
    with pytest.raises(InputError, match=f"Epoch 2 of a run of 'run 1' on 'made up' took {odd}"):
        table_of(np.eye(3), seconds=[[1, 1, 1], [1, odd, 1], [1, 1, 1]])


def test_seconds_past_the_end_do_not_matter() -> None:
    table = table_of(np.eye(2), seconds=[[1, NAN], [2, 3]], lengths=[1, 2])
    assert table.cumulative.tolist() == [[0, 1, 1], [0, 2, 5]]


def test_every_candidate_needs_a_run() -> None:
    with pytest.raises(InputError, match="Candidate 'run 1' has no run on 'made up'"):
        table_of(np.eye(2), candidate=[0, 2])


def test_something_must_have_been_measured() -> None:
    for options in ({"lengths": [0, 0]}, {"failed": [True, True]}):
        with pytest.raises(InputError, match="No run on 'made up' has a finite validation value"):
            table_of(np.eye(2), **options)
    with pytest.raises(InputError, match="nothing to replay"):
        table_of(np.full((2, 2), NAN))


# --- values ------------------------------------------------------------------------------------


def test_a_gap_is_filled_with_the_value_before() -> None:
    table = table_of([[NAN, 0.1, NAN, 0.3, NAN], [0.5, NAN, NAN, NAN, 0.2]])
    assert table.values.tolist() == [[-INF, 0.1, 0.1, 0.3, 0.3], [0.5, 0.5, 0.5, 0.5, 0.2]]


def test_past_its_end_a_failed_run_is_worth_nothing_and_a_short_one_stays() -> None:
    table = table_of(np.full((2, 3), 0.5), lengths=[1, 2], failed=[True, False])
    assert table.values.tolist() == [[0.5, -INF, -INF], [0.5, 0.5, 0.5]]


def test_values_that_are_lower_the_better_are_turned_round() -> None:
    table = table_of([[3.0, 2.0], [4.0, 5.0]], metric=Metric("loss", False, (0.0, INF)))
    assert table.values.tolist() == [[-3, -2], [-4, -5]]
    assert table.qualities.tolist() == [-2, -4]


@pytest.mark.parametrize(("quality", "expected"), [("max", [0.9, 0.6]), ("final", [0.5, 0.6])])
def test_a_run_is_worth_its_best_or_its_last_value(quality: Any, expected: list[float]) -> None:
    table = table_of([[0.9, 0.5, NAN], [0.1, NAN, 0.6]], quality=quality)
    assert table.qualities.tolist() == expected


def test_a_failed_run_is_worth_as_much_as_guessing() -> None:
    curves = [[0.9, 0.9], [0.4, 0.6], [0.3, 0.2]]
    failed = [True, False, False]
    assert table_of(curves, failed=failed, classes=4).qualities.tolist() == [0.25, 0.6, 0.3]
    assert table_of(curves, failed=failed).qualities.tolist() == [0.3, 0.6, 0.3]
    loss = Metric("loss", False, (0.0, INF))
    table = table_of(curves, failed=failed, classes=4, metric=loss)
    assert table.qualities.tolist() == [-0.4, -0.4, -0.2]


def test_a_candidate_is_worth_the_mean_of_its_runs() -> None:
    table = table_of([[0.1], [0.5], [0.3]], candidate=[0, 1, 0])
    assert table.candidate_qualities.tolist() == [0.2, 0.5]
    assert table.has_several_runs
    assert table.total_seconds() == 2.0


def test_one_run_is_chosen_for_each_candidate() -> None:
    table = table_of([[0.1], [0.5], [0.3]], candidate=[0, 1, 0])
    assert table.choose(None).tolist() == [0, 1]
    chosen = {tuple(table.choose(np.random.default_rng(k)).tolist()) for k in range(20)}
    assert chosen == {(0, 1), (2, 1)}
    assert Replay(table, np.array([2, 1])).qualities == [0.3, 0.5]


# --- estimates ---------------------------------------------------------------------------------


class Watches(Estimator):
    """Keeps the beginnings that it is handed."""

    def __init__(self) -> None:
        super().__init__(delta=0.5)
        self.seen: list[Prefixes] = []

    def estimate(self, prefixes: Prefixes) -> FloatArray:
        self.seen.append(prefixes)
        return np.stack([prefixes.curves[:, -1], np.full(len(prefixes), 0.1)], axis=1)


def test_an_estimator_is_handed_beginnings_and_no_more() -> None:
    table = table_of(np.arange(12).reshape(3, 4) / 12, lengths=[4, 1, 2])
    watches = Watches()
    estimates = table.estimates(watches, 2)
    (prefixes,) = watches.seen
    assert prefixes.epoch == 2
    assert [a.id for a in prefixes.architectures] == ["run 0", "run 2"]  # the other was over
    assert prefixes.curves.tolist() == table.values[[0, 2], :2].tolist()
    assert prefixes.max_epochs == 4
    assert np.isnan(estimates[1]).all()
    base: Any = prefixes.curves
    while base is not None:  # nor is the rest of the curves behind the array
        assert base.size <= 4
        base = base.base


def test_an_estimator_cannot_change_the_record() -> None:
    table = table_of(np.eye(3))
    watches = Watches()
    table.estimates(watches, 2)
    watches.seen[0].curves[:] = 9.0
    assert table.values.max() == 1.0


def test_estimates_are_remembered_as_long_as_the_estimator_lives() -> None:
    table = table_of(np.eye(3))
    replay = Replay(table)
    watches = Watches()
    for _ in range(2):
        replay.probabilities(watches, 2, incumbent=0)
    replay.probabilities(watches, 2, incumbent=1)
    assert len(watches.seen) == 1
    gone = weakref.ref(watches)
    del watches
    gc.collect()
    assert gone() is None


def test_rules_of_one_estimator_share_what_it_says_in_all_orders() -> None:
    table = table_of(np.eye(3))
    asked: list[int] = []

    class Counting(Watches):
        def probability(self, estimates: FloatArray, incumbent: Incumbent) -> FloatArray:
            asked.append(len(estimates))
            return super().probability(estimates, incumbent)

    first, rule = Counting(), Counting()
    rule.delta = 0.1
    twin = first.with_rule_of(rule)
    for estimator in (first, twin, twin.with_rule_of(first)):
        for _ in range(2):  # each order has a replay of its own
            Replay(table).probabilities(estimator, 2, incumbent=0)
    assert (len(first.seen), asked) == (1, [3])
    learned = copy.copy(twin)  # as ``trained_on`` makes one: it may have learned something else
    learned.seen = []
    Replay(table).probabilities(learned, 2, incumbent=0)
    assert len(learned.seen) == 1
    Replay(table).probabilities(rule, 2, incumbent=0)
    assert len(rule.seen) == 1


@pytest.mark.parametrize("shape", [(2, 1), (3, 1, 1), ()])
def test_estimates_must_have_a_row_for_each_run(shape: tuple[int, ...]) -> None:
    class Odd(Watches):
        def estimate(self, prefixes: Prefixes) -> FloatArray:
            return np.zeros(shape)

    with pytest.raises(ContractError, match=r"Odd.estimate returned shape .*expected \(3,\)"):
        table_of(np.eye(3)).estimates(Odd(), 1)


def test_probabilities_must_have_a_number_for_each_run() -> None:
    class Odd(Watches):
        def probability(self, estimates: FloatArray, incumbent: Incumbent) -> FloatArray:
            return np.zeros((3, 1))

    with pytest.raises(ContractError, match=r"Odd.probability returned shape \(3, 1\)"):
        Replay(table_of(np.eye(3))).probabilities(Odd(), 1, incumbent=0)


def test_a_run_that_outlives_the_incumbent_goes_on() -> None:
    curves = [[0.9, 0.9, 0.9, 0.9], [0.1, 0.1, 0.1, 0.1], [0.2, 0.2, 0.2, 0.2]]
    replay = Replay(table_of(curves, lengths=[2, 4, 4]))
    p = replay.probabilities(LastValue(), 3, incumbent=0)
    assert np.isnan(p).all()


# --- future scramble (transfer.md, 5.12 a) -----------------------------------------------------


@pytest.mark.parametrize("epoch", [1, 2, 5, 12, 20])
def test_scrambling_what_comes_after_an_epoch_changes_no_estimate_until_then(epoch: int) -> None:
    world = small_world()
    noise = np.random.default_rng(0).random(world.target.curves.shape)
    keep = np.arange(noise.shape[1]) < epoch
    other = world.with_curves(np.where(keep, world.target.curves, noise))
    for until in range(1, epoch + 1):
        estimates = [w.table().estimates(LastValue(), until) for w in (world, other)]
        assert np.array_equal(estimates[0], estimates[1])


def test_searches_that_share_a_table_do_not_disturb_one_another() -> None:
    replay = small_world().replay()
    first = simulate(replay, RandomSearch(), LastValue(), np.random.default_rng(0))
    for seed in (1, 2):
        simulate(replay, RandomSearch(), LastValue("best"), np.random.default_rng(seed))
    again = simulate(replay, RandomSearch(), LastValue(), np.random.default_rng(0))
    assert first.epochs.tolist() == again.epochs.tolist()
