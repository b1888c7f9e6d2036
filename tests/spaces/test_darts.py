"""The DARTS space: texts, isomorphic cells, and counts that are known or made another way."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nassim.errors import InputError
from nassim.records import Architecture
from nassim.spaces import get_space
from nassim.spaces.darts import (
    EDGES,
    N_NODES,
    OPERATIONS,
    DARTSSpace,
    Node,
    decisions_of,
    nodes,
)
from nassim.spaces.relabel import relabelled

SPACE = DARTSSpace()
Cell = tuple[Node, ...]


def canonical(cell: Cell) -> Cell:
    return min(relabelled(cell))


def architectures() -> st.SearchStrategy[Architecture]:
    return st.integers(0, 2**32).map(lambda seed: SPACE.sample(np.random.default_rng(seed)))


def reordered(cell: Cell, order: tuple[int, ...]) -> Cell | None:
    """The same cell with its nodes in another order; None if one would come before its input."""
    new = {0: 0, 1: 1} | {old + 2: k + 2 for k, old in enumerate(order)}
    found: list[Node] = []
    for k, old in enumerate(order):
        in1, op1, in2, op2 = cell[old]
        one, two = sorted([(new[in1], op1), (new[in2], op2)])
        if two[0] >= k + 2:
            return None
        found.append((*one, *two))
    return tuple(found)


def every_cell(n_nodes: int, n_operations: int) -> list[Cell]:
    """All cells of so many nodes and of the first operations."""
    choices = [
        [
            (in1, op1, in2, op2)
            for in1, in2 in itertools.combinations(range(to), 2)
            for op1, op2 in itertools.product(range(n_operations), repeat=2)
        ]
        for to in range(2, n_nodes + 2)
    ]
    return list(itertools.product(*choices))


@settings(max_examples=40)
@given(architectures())
def test_text_and_decisions_are_one_to_one(architecture: Architecture) -> None:
    assert SPACE.parse(architecture.id) == architecture
    assert SPACE.architecture(architecture.decisions) == architecture
    normal, reduction = (nodes(architecture.decisions, cell) for cell in (0, 1))
    assert decisions_of((*normal, *reduction)) == architecture.decisions
    for cell in (normal, reduction):
        assert len(cell) == N_NODES
        assert all(0 <= node[0] < node[2] < k for k, node in enumerate(cell, start=2))


@settings(max_examples=20)
@given(architectures())
def test_every_legal_order_of_the_nodes_is_a_duplicate(architecture: Architecture) -> None:
    normal, reduction = (nodes(architecture.decisions, cell) for cell in (0, 1))
    orders = [reordered(normal, order) for order in itertools.permutations(range(N_NODES))]
    legal = [cell for cell in orders if cell is not None]
    assert normal in legal
    for cell in legal:
        same = SPACE.architecture(decisions_of((*cell, *reduction)))
        assert same.canonical_id == architecture.canonical_id
    assert SPACE.parse(architecture.canonical_id).canonical_id == architecture.canonical_id


@settings(max_examples=40)
@given(architectures(), st.integers(0, 21), st.integers(1, 9))
def test_another_decision_is_another_text(
    architecture: Architecture, position: int, shift: int
) -> None:
    other = list(architecture.decisions)
    other[position] = (other[position] + shift) % SPACE.n_choices[position]
    changed = SPACE.architecture(tuple(other))
    assert (changed.id == architecture.id) == (changed == architecture)


def test_cells_are_not_exchanged() -> None:
    architecture = SPACE.sample(np.random.default_rng(0))
    normal, reduction = (nodes(architecture.decisions, cell) for cell in (0, 1))
    exchanged = decisions_of((*reduction, *normal))
    assert SPACE.canonical(exchanged) != architecture.canonical_id


def test_as_many_as_the_paper_says() -> None:
    cells = math.prod(math.comb(k + 1, 2) * 7**2 for k in range(1, 5))  # the paper's formula
    assert math.prod(SPACE.n_choices) == cells**2
    assert len(EDGES) == 14
    assert len(every_cell(2, 2)) == 3 * 2**4


@pytest.mark.parametrize("m", [1, 2, 3])
def test_classes_of_two_nodes_are_counted_by_hand(m: int) -> None:
    """Where node 3 reads node 2 nothing commutes; else they are a multiset of m^2 kinds of node."""
    cells = every_cell(2, m)
    by_hand = 2 * m**4 + m**2 * (m**2 + 1) // 2
    assert len({canonical(cell) for cell in cells}) == by_hand


@pytest.mark.parametrize(("n_nodes", "m"), [(3, 1), (3, 2), (4, 1)])
def test_classes_are_the_orbits_of_all_orders(n_nodes: int, m: int) -> None:
    """Counted another way: cells that an order of the nodes joins are one class."""
    cells = every_cell(n_nodes, m)
    left, orbits = set(cells), 0
    while left:
        first = left.pop()
        orders = itertools.permutations(range(n_nodes))
        orbit = {cell for order in orders if (cell := reordered(first, order)) is not None}
        assert len({canonical(cell) for cell in orbit}) == 1
        left -= orbit
        orbits += 1
    assert len({canonical(cell) for cell in cells}) == orbits < len(cells)


GOOD = SPACE.sample(np.random.default_rng(0)).id


@pytest.mark.parametrize(
    "text",
    [
        "",
        GOOD.split("||")[0],  # a cell is missing
        GOOD + "||" + GOOD,
        GOOD.replace("|", ","),
        GOOD.replace("sep5", "sep9"),
        GOOD.replace("sep5", "none"),
        GOOD.replace("0dil3+1sep5", "1sep5+0dil3", 1),  # the larger input first
        GOOD.replace("0dil3+1sep5", "0dil3+0sep5", 1),  # one input twice
        GOOD.replace("0dil3+1sep5", "0dil3+2sep5", 1),  # a later node
        GOOD.replace("0dil3+1sep5", "0dil3", 1),
        GOOD.replace("||", "|", 1),
        GOOD.replace("||", "|", 1).replace("|0max3", "||0max3"),
        " " + GOOD,
    ],
)
def test_bad_texts_are_refused(text: str) -> None:
    assert GOOD.startswith("0dil3+1sep5|0avg3+2skip|0max3")
    with pytest.raises(InputError, match=r"(is not of space 'darts'|is not an input)"):
        SPACE.parse(text)


def test_the_published_cells_are_cells() -> None:
    """DARTS's second-order cells, as the paper draws them."""
    normal = "0sep3+1sep3|0sep3+1sep3|0skip+1sep3|0skip+2dil3"
    reduction = "0max3+1max3|1max3+2skip|0max3+2skip|1max3+2skip"
    found = SPACE.parse(f"{normal}||{reduction}")
    assert found.decisions[:5] == (3, 3, 0, 3, 3)
    assert {OPERATIONS[op] for op in (found.decisions[1], found.decisions[-1])} == {"sep3", "skip"}


def test_it_is_too_large_to_list() -> None:
    with pytest.raises(InputError, match=r"'darts' has .* decision tuples, too many to list"):
        SPACE.every()


def test_it_is_found_by_its_name() -> None:
    assert isinstance(get_space("darts"), DARTSSpace)


def test_a_class_is_drawn_as_often_as_any_other() -> None:
    """Kept by one over its texts, each text of a class comes as often, and classes are equal."""
    rng = np.random.default_rng(0)
    drawn = [SPACE.sample_class(rng) for _ in range(1500)]
    texts = [len(relabelled(nodes(one.decisions, cell))) for one in drawn for cell in (0, 1)]
    plain = [SPACE.sample(rng) for _ in range(1500)]
    weights = [len(relabelled(nodes(one.decisions, cell))) for one in plain for cell in (0, 1)]
    assert min(weights) == 1 < 12 <= max(weights)
    for n in (1, 2, 3):  # under weights 1 / n, the law that is aimed at
        expected = sum(1 / w for w in weights if w == n) / sum(1 / w for w in weights)
        found = texts.count(n) / len(texts)
        assert found == pytest.approx(expected, abs=0.04)
    assert np.mean(texts) < np.mean(weights) - 0.5
