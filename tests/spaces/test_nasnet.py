from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nassim.errors import InputError
from nassim.records import Architecture
from nassim.spaces import get_space
from nassim.spaces.nasnet import N_BLOCKS, OPERATIONS, NASNetSpace, blocks
from nassim.spaces.relabel import relabelled

SPACE = NASNetSpace()
Cell = tuple[tuple[int, int, int, int], ...]


def architectures() -> st.SearchStrategy[Architecture]:
    return st.integers(0, 2**32).map(lambda seed: SPACE.sample(np.random.default_rng(seed)))


def joined(*cells: Cell) -> tuple[int, ...]:
    return tuple(value for cell in cells for block in cell for value in block)


def swapped(cell: Cell, which: int) -> Cell:
    """The same cell with the halves of one block exchanged."""
    return tuple(
        (block[2], block[3], block[0], block[1]) if k == which else block
        for k, block in enumerate(cell)
    )


def reordered(cell: Cell, order: tuple[int, ...]) -> Cell | None:
    """The same cell with its blocks in another order; None if one would come before its input."""
    new = {0: 0, 1: 1} | {old + 2: k + 2 for k, old in enumerate(order)}
    cells = tuple(
        (new[cell[old][0]], cell[old][1], new[cell[old][2]], cell[old][3]) for old in order
    )
    legal = all(max(block[0], block[2]) < k + 2 for k, block in enumerate(cells))
    return cells if legal else None


@settings(max_examples=30, deadline=None, derandomize=True)
@given(architectures())
def test_text_and_decisions_are_one_to_one(architecture: Architecture) -> None:
    assert SPACE.parse(architecture.id) == architecture
    assert len(architecture.decisions) == 40
    assert SPACE.architecture(architecture.decisions) == architecture


@settings(max_examples=30, deadline=None, derandomize=True)
@given(architectures(), st.integers(0, 1), st.integers(0, N_BLOCKS - 1))
def test_exchanging_the_halves_of_a_block_makes_a_duplicate(
    architecture: Architecture, which: int, block: int
) -> None:
    cells = [blocks(architecture.decisions, cell) for cell in (0, 1)]
    cells[which] = swapped(cells[which], block)  # type: ignore[assignment]
    assert SPACE.architecture(joined(*cells)).canonical_id == architecture.canonical_id


@settings(max_examples=8, deadline=None, derandomize=True)
@given(architectures())
def test_every_legal_order_of_the_blocks_is_a_duplicate(architecture: Architecture) -> None:
    normal, reduction = (blocks(architecture.decisions, cell) for cell in (0, 1))
    orders = [reordered(normal, order) for order in itertools.permutations(range(N_BLOCKS))]
    legal = [cell for cell in orders if cell is not None]
    assert normal in legal
    for cell in legal:
        assert SPACE.canonical(joined(cell, reduction)) == architecture.canonical_id


def test_some_blocks_can_be_reordered() -> None:
    flat: Cell = tuple((0, op, 1, op) for op in range(5))
    orders = [reordered(flat, order) for order in itertools.permutations(range(N_BLOCKS))]
    assert len([cell for cell in orders if cell is not None]) == 120


@settings(max_examples=30, deadline=None, derandomize=True)
@given(architectures(), st.integers(0, 39), st.integers(1, 6))
def test_another_decision_is_another_architecture(
    architecture: Architecture, position: int, shift: int
) -> None:
    choices = SPACE.n_choices[position]
    other = list(architecture.decisions)
    other[position] = (other[position] + shift) % choices
    if other[position] == architecture.decisions[position]:
        return
    changed = SPACE.architecture(tuple(other))
    assert changed.id != architecture.id
    if changed.canonical_id == architecture.canonical_id:  # then it is one by exchange and order
        assert sorted(used(changed)) == sorted(used(architecture))


def used(architecture: Architecture) -> list[int]:
    """The operations of an architecture, which no exchange changes."""
    return list(architecture.decisions[1::2])


def test_cells_are_not_exchanged() -> None:
    architecture = SPACE.sample(np.random.default_rng(0))
    normal, reduction = (blocks(architecture.decisions, cell) for cell in (0, 1))
    assert SPACE.canonical(joined(reduction, normal)) != architecture.canonical_id


def test_the_canonical_form_is_its_own() -> None:
    for seed in range(20):
        architecture = SPACE.sample(np.random.default_rng(seed))
        assert SPACE.parse(architecture.canonical_id).canonical_id == architecture.canonical_id


def test_inputs_are_earlier_blocks_only() -> None:
    assert SPACE.n_decisions == 40
    assert SPACE.n_choices[:20:4] == (2, 3, 4, 5, 6)
    assert set(SPACE.n_choices[1::2]) == {len(OPERATIONS)}


GOOD = SPACE.sample(np.random.default_rng(0)).id


@pytest.mark.parametrize(
    "text",
    [
        "",
        GOOD.split("||")[0],  # a cell is missing
        GOOD + "||" + GOOD,
        GOOD.replace("|", ","),
        GOOD.replace("sep5", "sep9"),
        GOOD.replace("1max3", "7max3", 1),
        GOOD.replace("1max3", "x", 1),
        GOOD.replace("||", "|", 1),
        " " + GOOD,
    ],
)
def test_bad_texts_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"(is not of space 'nasnet'|is not an input|Decision)"):
        SPACE.parse(text)


def test_an_input_that_comes_later_is_refused() -> None:
    first, rest = GOOD.split("|", 1)
    with pytest.raises(InputError, match="Decision 0 of space 'nasnet' is 2; expected 0 to 1"):
        SPACE.parse(f"2{first[1:]}|{rest}")


def test_it_is_too_large_to_list() -> None:
    with pytest.raises(InputError, match=r"'nasnet' has .* decision tuples, too many to list"):
        SPACE.every()


def test_it_is_found_by_its_name() -> None:
    assert isinstance(get_space("nasnet"), NASNetSpace)


def test_a_class_is_drawn_as_often_as_any_other() -> None:
    """Of cells with equal halves there are fewer texts, and of cells with few orders."""
    rng = np.random.default_rng(0)
    drawn = [SPACE.sample_class(rng) for _ in range(400)]
    assert all(SPACE.parse(one.id) == one for one in drawn[:20])
    first = [block for one in drawn for cell in (0, 1) for block in blocks(one.decisions, cell)[:1]]
    orders = [len(relabelled(blocks(one.decisions, cell))) for one in drawn for cell in (0, 1)]
    plain = [SPACE.sample(rng) for _ in range(400)]
    weights = [len(relabelled(blocks(one.decisions, cell))) for one in plain for cell in (0, 1)]
    expected = len(weights) / sum(1 / w for w in weights)  # the mean under weights 1 / n
    assert np.mean(orders) == pytest.approx(expected, rel=0.2)
    assert np.mean(orders) < 0.6 * np.mean(weights)
    # halves come in either order
    assert np.mean([block[:2] > block[2:] for block in first]) == pytest.approx(0.45, abs=0.07)
