from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from nassim.errors import InputError
from nassim.spaces import get_space
from nassim.spaces.nasbench101 import EDGES, OPERATIONS, Graph, NASBench101Space, graph

SPACE = NASBench101Space()
CONV3, CONV1, MAX3 = range(3)
OUT = 6


def decisions(*edges: tuple[int, int], operations: tuple[int, ...] = (0,) * 5) -> tuple[int, ...]:
    assert set(edges) <= set(EDGES)
    return (*(int(edge in edges) for edge in EDGES), *operations)


def relabelled(cell: Graph, order: tuple[int, ...]) -> Graph | None:
    """The cell whose vertex ``k + 1`` is vertex ``order[k]``; None if an edge would lead back."""
    matrix = np.zeros((cell.vertices, cell.vertices), int)
    for to, sources in enumerate(cell.inputs, start=1):
        matrix[list(sources), to] = 1
    permutation = [0, *order, cell.vertices - 1]
    matrix = matrix[np.ix_(permutation, permutation)]
    if np.tril(matrix).any():
        return None
    inputs = tuple(tuple(np.flatnonzero(column).tolist()) for column in matrix.T[1:])
    return Graph(inputs, tuple(cell.operations[old - 1] for old in order))


def text(cell: Graph) -> str:
    names = [*(OPERATIONS[op] for op in cell.operations), "output"]
    parts = zip(names, cell.inputs, strict=True)
    return "|".join(f"{name}({','.join(map(str, sources))})" for name, sources in parts)


@pytest.mark.parametrize(("vertices", "classes"), [(2, 1), (3, 6), (4, 84), (5, 2441)])
def test_there_are_as_many_cells_as_published(vertices: int, classes: int) -> None:
    cells = list(get_space(f"nasbench101:vertices={vertices}").every())
    assert len({cell.canonical_id for cell in cells}) == classes
    assert len({cell.id for cell in cells}) == len(cells)
    assert {graph(cell.decisions).vertices for cell in cells} == {vertices}


@pytest.mark.parametrize("vertices", range(8))
def test_text_and_decisions_are_one_to_one(vertices: int) -> None:
    if vertices == 1:
        return
    space = get_space(f"nasbench101:vertices={vertices}")
    rng = np.random.default_rng(vertices)
    for _ in range(50):
        cell = space.sample(rng)
        assert SPACE.parse(cell.id) == cell
        assert SPACE.architecture(cell.decisions) == cell
        assert SPACE.format(cell.decisions) == cell.id
        assert cell.space == "nasbench101"
        n_edges = sum(map(len, graph(cell.decisions).inputs))
        assert n_edges == sum(cell.decisions[: len(EDGES)]) <= 9
        assert vertices in (0, graph(cell.decisions).vertices)


def test_what_is_on_no_path_is_removed() -> None:
    operations = (CONV1, MAX3, CONV3, CONV1, MAX3)
    edges = [(0, 2), (2, 4), (4, 6), (0, 6), (0, 1), (3, 4), (3, 6), (1, 5)]
    cell = SPACE.architecture(decisions(*edges, operations=operations))
    # 1 and 5 lead nowhere, nothing leads to 3; 2 and 4 become 1 and 2
    assert cell.id == "max3x3(0)|conv1x1(1)|output(0,2)"
    assert cell.decisions == decisions(
        (0, 1), (1, 2), (2, 6), (0, 6), operations=(MAX3, CONV1, 0, 0, 0)
    )


def test_edges_are_counted_after_pruning() -> None:
    kept = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3), (0, 6), (1, 6), (3, 6)]
    dead = [(0, 4), (1, 4), (2, 4), (4, 5)]
    assert graph(decisions(*kept, *dead)).vertices == 5
    with pytest.raises(InputError, match="has 10 edges after pruning; expected at most 9"):
        SPACE.architecture(decisions(*kept, (2, 6)))
    with pytest.raises(InputError, match="has 10 edges"):
        SPACE.parse("conv3x3(0)|conv3x3(0,1)|conv3x3(0,1,2)|output(0,1,2,3)")


@pytest.mark.parametrize("edges", [(), ((0, 1),), ((0, 1), (2, 6)), ((5, 6),)])
def test_a_cell_without_a_path_is_refused(edges: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(InputError, match="no path from its input"):
        SPACE.architecture(decisions(*edges))


@pytest.mark.parametrize("vertices", [5, 6, 7])
def test_every_order_of_the_vertices_is_a_duplicate(vertices: int) -> None:
    cell = NASBench101Space(vertices).sample(np.random.default_rng(vertices))
    own = graph(cell.decisions)
    orders = itertools.permutations(range(1, vertices - 1))
    others = {other for order in orders if (other := relabelled(own, order)) is not None}
    assert own in others
    assert {SPACE.parse(text(other)).canonical_id for other in others} == {cell.canonical_id}
    assert SPACE.parse(cell.canonical_id).canonical_id == cell.canonical_id
    assert cell.canonical_id in {text(other) for other in others}


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("conv3x3(0)|conv1x1(1)|output(2)", "conv1x1(0)|conv3x3(1)|output(2)"),
        ("conv3x3(0)|conv1x1(0)|output(1,2)", "conv3x3(0)|conv3x3(0)|output(1,2)"),
        ("conv3x3(0)|output(1)", "conv3x3(0)|output(0,1)"),
        ("output(0)", "conv1x1(0)|output(1)"),
    ],
)
def test_no_duplicates(left: str, right: str) -> None:
    assert SPACE.parse(left).canonical_id != SPACE.parse(right).canonical_id


def test_each_text_has_as_many_decision_tuples_as_any_of_its_size() -> None:
    """So rejection from all tuples would give the law that ``sample`` says it draws from."""
    from nassim.spaces.nasbench101 import _pruned

    tuples = Counter(
        cell
        for bits in itertools.product((0, 1), repeat=10)
        for operations in itertools.product(range(3), repeat=3)
        if (cell := _pruned((*bits, *operations), 5)) is not None
    )
    for vertices in range(2, 6):
        counts = {n for cell, n in tuples.items() if cell.vertices == vertices}
        assert len(counts) == 1


def test_samples_of_a_size_are_uniform_over_texts_and_seeded() -> None:
    space = NASBench101Space(3)
    every = [cell.id for cell in space.every()]
    rng = np.random.default_rng(0)
    counts = Counter(space.sample(rng).id for _ in range(3000))
    assert set(counts) == set(every)
    assert len(every) == 6
    assert all(abs(count / 3000 - 1 / 6) < 0.03 for count in counts.values())  # 4.4 errors
    assert space.sample(np.random.default_rng(7)) == space.sample(np.random.default_rng(7))


def test_samples_of_any_size_are_pruned_tuples() -> None:
    """Drawn here as the docstring says, by rejection of whole decision tuples."""
    rng = np.random.default_rng(0)
    expected: list[str] = []
    while len(expected) < 20:
        drawn = tuple(rng.integers(SPACE.n_choices).tolist())
        try:
            expected.append(SPACE.architecture(drawn).id)
        except InputError:
            continue
    rng = np.random.default_rng(0)
    assert [SPACE.sample(rng).id for _ in range(20)] == expected


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "output",
        "output()",
        "conv3x3(0)",
        "output(0)|output(1)",
        "conv3x3(0)|output(2)",  # the output itself
        "conv3x3(1)|output(1)",
        "conv3x3(0)|output(0)",  # vertex 1 leads nowhere
        "conv3x3(0)|conv3x3(0)|output(2,1)",
        "conv3x3(0)|output(0,0)",
        "conv5x5(0)|output(1)",
        "conv3x3(0)|output(1)|",
        " output(0)",
        "|".join(["conv3x3(0)", *(f"conv3x3({k})" for k in range(1, 6)), "output(6)"]),
    ],
)
def test_bad_texts_are_refused(bad: str) -> None:
    with pytest.raises(InputError, match="is not of space 'nasbench101'; expected at most 5"):
        SPACE.parse(bad)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ((0,) * 25, "25 decisions were given for space 'nasbench101'; expected 26"),
        ((2,) + (0,) * 25, "Decision 0 of space 'nasbench101' is 2; expected 0 to 1"),
        ((0,) * 25 + (3,), "Decision 25 of space 'nasbench101' is 3; expected 0 to 2"),
    ],
)
def test_bad_decisions_are_refused(bad: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SPACE.architecture(bad)


@pytest.mark.parametrize("vertices", [1, 8, -1, 5.0, "five"])
def test_a_size_that_no_cell_has(vertices: object) -> None:
    with pytest.raises(InputError, match=r"'vertices' of space 'nasbench101' is .*expected 2 to 7"):
        get_space(f"nasbench101:vertices={vertices}")


@pytest.mark.parametrize("name", ["nasbench101", "nasbench101:vertices=6"])
def test_too_many_to_list(name: str) -> None:
    with pytest.raises(InputError, match=r"'nasbench101' has .* decision tuples, too many to list"):
        get_space(name).every()


def test_classes_are_drawn_uniformly_and_then_their_texts() -> None:
    """And ``sample`` does not: a class of two texts comes twice as often there."""
    space, rng = NASBench101Space(4), np.random.default_rng(0)
    texts = Counter(cell.canonical_id for cell in space.every())
    assert set(texts.values()) == {1, 2}
    n = 30 * len(texts)
    for draw, uniform in ((space.sample_class, True), (space.sample, False)):
        drawn = [draw(rng) for _ in range(n)]
        counts = Counter(cell.canonical_id for cell in drawn)
        squares = sum((counts[name] - 30) ** 2 / 30 for name in texts) / len(texts)
        assert (squares < 1.5) is uniform
        first = [cell.id == cell.canonical_id for cell in drawn if texts[cell.canonical_id] == 2]
        assert len(first) > 150
        assert abs(np.mean(first) - 0.5) < 0.12  # 3 errors


@pytest.mark.parametrize("vertices", range(2, 8))
def test_a_class_that_is_drawn_is_of_the_size(vertices: int) -> None:
    space, rng = NASBench101Space(vertices), np.random.default_rng(0)
    for _ in range(20):
        cell = space.sample_class(rng)
        assert space.holds(cell)
        assert SPACE.holds(cell)
        assert not NASBench101Space(2 if vertices > 2 else 3).holds(cell)
        assert SPACE.parse(cell.id) == cell
