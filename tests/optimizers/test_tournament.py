"""Large-Scale Evolution: of two, the worse dies and the better has the child."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from nassim.errors import InputError
from nassim.optimizers.base import Candidates, Search
from nassim.optimizers.tournament import Tournament
from nassim.spaces import get_space

SPACE = get_space("nasbench201")


def begun(values: list[float], seed: int = 0) -> tuple[Candidates, Search]:
    """A search whose population has these values; the numbers are those of the values."""
    candidates = Candidates(space=SPACE)
    search = Tournament(population=len(values)).begin(candidates, np.random.default_rng(seed))
    for run in search.ask(len(values)):
        search.tell(run, 1, values[run])
    return candidates, search


def alive(search: Search) -> list[int]:
    return search._alive  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize("population", [1, True, 2.0])
def test_a_tournament_needs_two(population: int) -> None:
    with pytest.raises(InputError, match="expected a whole number, 2 or more"):
        Tournament(population=population)


@pytest.mark.parametrize("values", [[0.1, 0.9], [0.9, 0.1], [0.5, -np.inf]])
def test_of_two_the_worse_dies_and_the_better_has_the_child(values: list[float]) -> None:
    candidates, search = begun(values)
    (child,) = search.ask(1)
    better = int(np.argmax(values))
    assert alive(search) == [better]
    differs = np.array(candidates[child].decisions) != candidates[better].decisions
    assert differs.sum() == 1
    search.tell(child, 1, 0.3)
    assert alive(search) == [better, child]


def test_the_worse_the_likelier_it_dies_and_the_best_never() -> None:
    """P(the one of rank r dies) = 2 (r - 1) / (n (n - 1)), r = 1 for the best."""
    n, draws = 5, 3000
    killed: Counter[int] = Counter()
    for seed in range(draws):
        _, search = begun([float(-rank) for rank in range(n)], seed)
        search.ask(1)
        killed.update(set(range(n)) - set(alive(search)))
    expected = np.array([2 * rank / (n * (n - 1)) for rank in range(n)]) * draws
    assert killed[0] == 0
    found = np.array([killed[rank] for rank in range(1, n)])
    assert ((found - expected[1:]) ** 2 / expected[1:]).sum() < 16.3  # 3 degrees, p = 0.001


def test_the_latest_report_decides() -> None:
    _, search = begun([0.1, 0.9])
    search.tell(1, 2, 0.0)
    search.ask(1)
    assert alive(search) == [0]


def test_many_at_once_before_any_was_told() -> None:
    stored = [SPACE.sample(np.random.default_rng(k)) for k in range(9)]
    search = Tournament(population=3).begin(Candidates(stored), np.random.default_rng(0))
    assert sorted(search.ask(20)) == list(range(9))


def test_the_distance_to_the_table_is_noted() -> None:
    stored = [SPACE.sample(np.random.default_rng(k)) for k in range(9)]
    search = Tournament(population=3).begin(Candidates(stored), np.random.default_rng(0))
    for run in search.ask(3):
        search.tell(run, 1, 0.5)
    search.ask(1)
    assert 0 < search.notes["mean_distance"] < 1  # type: ignore[attr-defined]
