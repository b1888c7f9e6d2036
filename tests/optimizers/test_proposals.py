"""Mutations are legal and change something; proposals are made once, near what was made up."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from nassim.errors import InputError
from nassim.optimizers.base import Candidates
from nassim.optimizers.proposals import Proposals, mutate
from nassim.spaces import SPACES, get_space

WITH_DECISIONS = sorted(set(SPACES) - {"table"})
SPACE = get_space("nasbench201")


@pytest.mark.parametrize("name", WITH_DECISIONS)
def test_a_mutation_is_another_legal_architecture(name: str) -> None:
    space, rng = get_space(name), np.random.default_rng(0)
    architecture = space.sample(rng)
    for _ in range(60):
        child = mutate(space, architecture, rng)
        assert child.id != architecture.id
        assert space.parse(child.id) == child
        architecture = child


# where decisions that mean nothing are put to 0, another one may put several there
PUT_TO_ZERO = {"elastic", "elastic_tiny", "nasbench101"}


@pytest.mark.parametrize("name", sorted(set(WITH_DECISIONS) - PUT_TO_ZERO))
def test_a_mutation_changes_one_decision(name: str) -> None:
    space, rng = get_space(name), np.random.default_rng(1)
    for _ in range(60):
        parent = space.sample(rng)
        child = mutate(space, parent, rng)
        changed = np.array(child.decisions) != np.array(parent.decisions)
        assert changed.sum() == 1


def test_each_decision_and_each_other_value_is_as_likely() -> None:
    rng = np.random.default_rng(0)
    parent = SPACE.architecture((2,) * 6)
    found = Counter(mutate(SPACE, parent, rng).decisions for _ in range(4800))
    assert len(found) == 24  # 6 decisions with 4 other values
    assert sum((count - 200) ** 2 / 200 for count in found.values()) < 49.7  # p = 0.001


def test_the_smallest_cell_of_nasbench101_has_mutations_too() -> None:
    """Each single change of it is illegal, or leads nowhere."""
    space = get_space("nasbench101")
    child = mutate(space, space.parse("output(0)"), np.random.default_rng(0))
    assert child.id != "output(0)"


def test_names_without_decisions_cannot_be_mutated() -> None:
    space = get_space("table")
    with pytest.raises(InputError, match="'table' has no decision"):
        mutate(space, space.parse("a"), np.random.default_rng(0))


def test_all_of_a_table_is_proposed_once() -> None:
    stored = Candidates([SPACE.sample(np.random.default_rng(k)) for k in range(12)])
    proposals = Proposals(stored, np.random.default_rng(0))
    first = proposals.random()
    assert first is not None
    found = [first, *(proposals.child(first) for _ in range(11))]
    assert sorted(found) == list(range(12))  # type: ignore[type-var]
    assert proposals.child(first) is None
    assert proposals.random() is None


def test_a_child_is_led_to_the_nearest_and_the_distance_is_noted() -> None:
    stored = Candidates([SPACE.architecture(tuple(d)) for d in ([0] * 6, [0] * 5 + [1], [4] * 6)])
    proposals = Proposals(stored, np.random.default_rng(0))
    assert proposals.mean_distance == 0
    proposals.remaining.take(0)
    assert proposals.child(0) == 1
    assert 0 <= proposals.mean_distance <= 2 / 6


def test_without_a_table_a_child_is_its_own_and_new() -> None:
    small = get_space("nasbench201_3nodes")
    free = Candidates(space=small)
    proposals = Proposals(free, np.random.default_rng(0))
    parent = proposals.random()
    assert parent is not None
    found = [parent, *(proposals.child(parent) for _ in range(124))]
    assert len(set(found)) == 125  # 12 are near the parent, so the others were random
    assert proposals.mean_distance == 0
    assert proposals.child(parent) is None
