"""Regularized evolution: who is born, who dies, and that it finds what random search does not."""

from __future__ import annotations

import numpy as np
import pytest

from nassim.errors import InputError
from nassim.optimizers.base import Candidates, Optimizer
from nassim.optimizers.evolution import Evolution
from nassim.optimizers.random_search import RandomSearch
from nassim.optimizers.tournament import Tournament
from nassim.spaces import get_space

SPACE = get_space("nasbench201")
Decisions = tuple[int, ...]


def free() -> Candidates:
    return Candidates(space=SPACE)


def distance(candidates: Candidates, a: int, b: int) -> int:
    first, second = (np.array(candidates[k].decisions) for k in (a, b))
    return int((first != second).sum())


@pytest.mark.parametrize("options", [{"population": 0}, {"sample": 0}, {"population": True}])
def test_options_must_count_something(options: dict[str, int]) -> None:
    with pytest.raises(InputError, match="expected a whole number, 1 or more"):
        Evolution(**options)


def test_a_sample_is_no_larger_than_the_population() -> None:
    with pytest.raises(InputError, match="sample is 5, of a population of 4"):
        Evolution(population=4)


def test_with_a_sample_of_many_the_best_has_the_child() -> None:
    """Twenty draws with replacement of two: the better is almost surely among them."""
    candidates = free()
    search = Evolution(population=20, sample=20).begin(candidates, np.random.default_rng(0))
    for run in search.ask(20):
        search.tell(run, 1, float(run == 7))
    children = search.ask(30)
    near = [distance(candidates, 7, child) == 1 for child in children]
    assert 0.4 < np.mean(near) < 0.9  # 1 - (19 / 20) ** 20 = 0.64


def test_the_oldest_dies_even_if_it_is_the_best() -> None:
    candidates = free()
    search = Evolution(population=2, sample=2).begin(candidates, np.random.default_rng(0))
    for run, value in zip(search.ask(2), (1.0, 0.1), strict=True):
        search.tell(run, 1, value)
    (child,) = search.ask(1)
    search.tell(child, 1, 0.2)  # now the best, number 0, is dead
    for _ in range(20):
        (child,) = search.ask(1)
        alive = (child - 2, child - 1)
        assert any(distance(candidates, parent, child) == 1 for parent in alive)
        search.tell(child, 1, 0.0)


def test_the_age_counts_from_the_first_report() -> None:
    candidates = free()
    search = Evolution(population=2, sample=2).begin(candidates, np.random.default_rng(3))
    first, second = search.ask(2)
    search.tell(second, 1, 0.1)
    search.tell(first, 1, 0.2)
    search.tell(second, 2, 0.9)  # a later report makes nobody younger
    (third,) = search.ask(1)
    search.tell(third, 1, 0.0)  # kills the second, the best
    for _ in range(8):
        (child,) = search.ask(1)
        assert 1 in (distance(candidates, first, child), distance(candidates, third, child))


def test_a_later_report_replaces_the_earlier_one() -> None:
    candidates = free()
    search = Evolution(population=2, sample=2).begin(candidates, np.random.default_rng(0))
    a, b = search.ask(2)
    search.tell(a, 1, 0.9)
    search.tell(b, 1, 0.5)
    search.tell(a, 2, -np.inf)  # it failed
    children = search.ask(30)
    from_b = np.mean([distance(candidates, b, child) == 1 for child in children])
    assert from_b > 0.55  # 3 / 4 are expected; it would be 1 / 4


def test_it_is_random_search_until_the_population_is_full_and_told() -> None:
    stored = [SPACE.sample(np.random.default_rng(k)) for k in range(9)]
    search = Evolution(population=5, sample=2).begin(Candidates(stored), np.random.default_rng(0))
    assert sorted(search.ask(20)) == list(range(9))  # before any was told
    search = Evolution(population=5, sample=2).begin(Candidates(stored), np.random.default_rng(0))
    for run in search.ask(5):
        search.tell(run, 1, 0.5)
    assert search.notes == {"mean_distance": 0.0}  # type: ignore[attr-defined]
    search.ask(1)
    assert search.notes["mean_distance"] > 0  # type: ignore[attr-defined]


def best_of(optimizer: Optimizer, n_choices_right: int, seed: int) -> int:
    """The most decisions that 100 evaluations got right, in a free space."""
    candidates = free()
    search = optimizer.begin(candidates, np.random.default_rng(seed))
    best = 0
    for _ in range(100):
        (run,) = search.ask(1)
        right = sum(value == n_choices_right for value in candidates[run].decisions)
        best = max(best, right)
        search.tell(run, 1, float(right))
    return best


@pytest.mark.parametrize("optimizer", [Evolution(), Tournament()], ids=["evolution", "tournament"])
def test_in_a_whole_space_it_beats_random_search(optimizer: Optimizer) -> None:
    """Paired over twenty seeds, with as many evaluations."""
    gains = [best_of(optimizer, 3, seed) - best_of(RandomSearch(), 3, seed) for seed in range(20)]
    assert np.mean(gains) > 0.5
    assert sum(gain < 0 for gain in gains) <= 3


def test_where_nothing_is_inherited_it_gains_nothing() -> None:
    """The negative twin: values that have nothing to do with the architecture."""
    luck = np.random.default_rng(0).random(15_625)

    def lucky(optimizer: Optimizer, seed: int) -> float:
        candidates = free()
        search = optimizer.begin(candidates, np.random.default_rng(seed))
        best = 0.0
        for _ in range(100):
            (run,) = search.ask(1)
            value = luck[np.ravel_multi_index(candidates[run].decisions, SPACE.n_choices)]
            best = max(best, float(value))
            search.tell(run, 1, float(value))
        return best

    gains = [lucky(Evolution(), seed) - lucky(RandomSearch(), seed) for seed in range(20)]
    assert abs(np.mean(gains)) < 0.01
