"""SMBO: what its ensemble learns, what it proposes, and that it beats random search."""

from __future__ import annotations

import numpy as np
import pytest

from nassim.errors import InputError
from nassim.optimizers.base import Candidates, Optimizer
from nassim.optimizers.random_search import RandomSearch
from nassim.optimizers.smbo import MEMBERS, SMBO, Ensemble
from nassim.records import FloatArray
from nassim.spaces import get_space

SPACE = get_space("nasbench201")


@pytest.mark.parametrize("options", [{"initial": 0}, {"batch": 0}, {"epsilon": 1.1}])
def test_options_have_ranges(options: dict[str, float]) -> None:
    with pytest.raises(InputError, match="expected a"):
        SMBO(**options)  # type: ignore[arg-type]


def test_names_without_decisions_are_refused() -> None:
    names = Candidates([get_space("table").parse(name) for name in "ab"])
    with pytest.raises(InputError, match="no decisions"):
        SMBO().begin(names, np.random.default_rng(0))


def test_the_ensemble_answers_with_the_mean_of_its_members() -> None:
    rng = np.random.default_rng(0)
    seen = [SPACE.sample(rng) for _ in range(30)]
    ensemble = Ensemble(SPACE, seen, rng.random(30), rng)
    one_hot = np.concatenate([np.eye(5)[list(a.decisions)].reshape(1, -1) for a in seen])
    each = np.array([member.predict(one_hot) for member in ensemble.members])
    assert len(each) == MEMBERS
    assert np.ptp(each, axis=0).min() > 1e-6  # they saw different data
    assert np.allclose(ensemble.predict(seen), each.mean(axis=0))


def test_it_proposes_what_is_predicted_to_be_best() -> None:
    rng = np.random.default_rng(1)
    stored = Candidates([SPACE.sample(rng) for _ in range(60)])
    right = [sum(op == 3 for op in a.decisions) for a in stored.architectures]
    search = SMBO(initial=30, epsilon=0).begin(stored, rng)
    asked = search.ask(30)
    for run in asked:
        search.tell(run, 1, float(right[run]))
    left = sorted(set(range(60)) - set(asked), key=lambda run: -right[run])
    proposed = search.ask(6)
    assert np.mean([right[run] for run in proposed]) > np.mean([right[run] for run in left[:12]])


def test_a_failed_run_is_the_worst_that_was_told() -> None:
    stored = Candidates(
        [SPACE.architecture((op, k, 0, 0, 0, 0)) for op in (0, 1, 2) for k in range(5)]
    )
    search = SMBO(initial=6, epsilon=0).begin(stored, np.random.default_rng(2))
    first = search.ask(6)
    for run in first:
        search.tell(run, 1, {0: 0.5, 1: 0.6, 2: -np.inf}[run // 5])
    assert {run // 5 for run in first} == {0, 1, 2}
    assert 2 not in {run // 5 for run in search.ask(3)}


def test_before_any_report_it_is_random_search() -> None:
    stored = [SPACE.sample(np.random.default_rng(k)) for k in range(9)]
    search = SMBO(initial=2).begin(Candidates(stored), np.random.default_rng(0))
    first = search.ask(3)
    search.tell(first[0], 0, -np.inf)  # nothing was measured
    assert sorted(first + search.ask(20)) == list(range(9))


def target(shuffled: bool, seed: int) -> tuple[Candidates, FloatArray]:
    """200 cells, each edge with an effect of its own; or their values in another order."""
    rng = np.random.default_rng(seed)
    effect = rng.normal(size=(6, 5))
    stored = [SPACE.sample(rng) for _ in range(200)]
    values = np.array([effect[np.arange(6), list(a.decisions)].sum() for a in stored])
    values = values / values.std() + 0.3 * rng.normal(size=200)
    return Candidates(stored), rng.permutation(values) if shuffled else values


def gain(shuffled: bool, budget: int = 40) -> float:
    """How much better its ten best are than random search's, in standard deviations."""

    def ten_best(optimizer: Optimizer, seed: int) -> float:
        candidates, values = target(shuffled, seed)
        search = optimizer.begin(candidates, np.random.default_rng(seed))
        found = []
        for _ in range(budget):
            (run,) = search.ask(1)
            search.tell(run, 1, values[run])
            found.append(values[run])
        return float(np.mean(sorted(found)[-10:]))

    return float(np.mean([ten_best(SMBO(), k) - ten_best(RandomSearch(), k) for k in range(8)]))


def test_it_beats_random_search_where_there_is_something_to_learn() -> None:
    """And its negative twin, where there is not."""
    assert gain(shuffled=False) > 0.4
    assert abs(gain(shuffled=True)) < 0.2


def test_without_a_table_it_finds_the_planted_operation() -> None:
    candidates = Candidates(space=SPACE)
    search = SMBO().begin(candidates, np.random.default_rng(0))
    asked = []
    for _ in range(40):
        (run,) = search.ask(1)
        search.tell(run, 1, float(sum(op == 3 for op in candidates[run].decisions)))
        asked.append(run)
    assert len(set(asked)) == 40
    assert max(sum(op == 3 for op in candidates[run].decisions) for run in asked) == 6
