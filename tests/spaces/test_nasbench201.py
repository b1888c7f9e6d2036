from __future__ import annotations

import itertools

import numpy as np
import pytest

from nassim.errors import InputError
from nassim.spaces import get_space
from nassim.spaces.nasbench201 import (
    EDGES,
    OPERATIONS,
    NASBench201Space,
    NASBench201ThreeNodeSpace,
    functional_class,
)

SPACE = NASBench201Space()
SMALL = NASBench201ThreeNodeSpace()
NONE, SKIP, CONV1, CONV3, POOL = range(5)


def test_the_whole_space_has_as_many_functional_classes_as_published() -> None:
    every = list(itertools.product(range(5), repeat=6))
    assert len(every) == 15_625
    classes = {SPACE.canonical(decisions) for decisions in every}
    assert len(classes) == 4_930


def test_cells_of_three_nodes() -> None:
    every = itertools.product(range(5), repeat=3)
    classes = {functional_class(SMALL.names(decisions), EDGES[:3]) for decisions in every}
    assert len(classes - {"0"}) == 59
    assert {cell.canonical_id for cell in SMALL.every()} == classes


def test_cells_of_three_nodes_are_cells_of_four_whose_last_node_copies_the_third() -> None:
    for decisions in itertools.product(range(5), repeat=3):
        small = SMALL.architecture(decisions)
        assert small.space == "nasbench201_3nodes"
        assert small.canonical_id == SPACE.canonical((*decisions, NONE, NONE, SKIP))
        assert SPACE.format((*decisions, *decisions)).startswith(f"{small.id}+|")
        assert SMALL.parse(small.id) == small


def test_every_text_is_listed_once() -> None:
    assert len({cell.id for cell in SPACE.every()}) == 15_625
    assert [cell.decisions for cell in SMALL.every()][:6] == [
        *((0, 0, k) for k in range(5)),
        (0, 1, 0),
    ]


def test_text_and_decisions_are_one_to_one() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        architecture = SPACE.sample(rng)
        assert SPACE.parse(architecture.id) == architecture
        assert SPACE.format(architecture.decisions) == architecture.id
    every = itertools.product(range(5), repeat=6)
    assert len({SPACE.format(decisions) for decisions in every}) == 15_625


def test_the_text_is_the_benchmark_s() -> None:
    text = "|nor_conv_3x3~0|+|nor_conv_1x1~0|avg_pool_3x3~1|+|skip_connect~0|none~1|skip_connect~2|"
    assert SPACE.decisions(text) == (CONV3, CONV1, POOL, SKIP, NONE, SKIP)
    assert OPERATIONS[NONE] == "none"


@pytest.mark.parametrize(
    ("left", "right"),
    [
        # an identity in front of, or behind an operation
        ((SKIP, NONE, CONV3, NONE, NONE, SKIP), (CONV3, NONE, SKIP, NONE, NONE, SKIP)),
        # a node that nothing reaches
        ((NONE, CONV1, CONV3, CONV3, POOL, NONE), (NONE, NONE, NONE, CONV3, NONE, NONE)),
        # two nodes exchanged
        ((CONV1, CONV3, NONE, NONE, POOL, SKIP), (CONV3, CONV1, NONE, NONE, SKIP, POOL)),
        # a node that leads nowhere
        ((CONV1, NONE, NONE, CONV3, NONE, NONE), (NONE, NONE, NONE, CONV3, NONE, NONE)),
    ],
)
def test_duplicates(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    assert SPACE.canonical(left) == SPACE.canonical(right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((NONE, NONE, NONE, CONV3, NONE, NONE), (NONE, NONE, NONE, CONV1, NONE, NONE)),
        # once and twice the same sum: a sum is a multiset
        ((SKIP, NONE, NONE, SKIP, SKIP, NONE), (NONE, NONE, NONE, SKIP, NONE, NONE)),
        ((CONV3, NONE, POOL, NONE, NONE, SKIP), (POOL, NONE, CONV3, NONE, NONE, SKIP)),
    ],
)
def test_no_duplicates(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    assert SPACE.canonical(left) != SPACE.canonical(right)


def test_a_class_is_a_function_of_the_input() -> None:
    """Cells of one class compute the same numbers, of different classes different ones.

    Operations become made-up functions of a number that neither commute nor distribute.
    """
    functions = (
        lambda x: 0.0 * x,
        lambda x: x,
        lambda x: np.tanh(x + 0.3),
        lambda x: np.sin(1.7 * x) + 0.1,
        lambda x: 0.6 * x * x,
    )

    def output(decisions: tuple[int, ...]) -> float:
        nodes = [0.73, 0.0, 0.0, 0.0]
        fed = [True, False, False, False]  # "none" of nothing, and nothing at all, are nothing
        for op, (source, to) in zip(decisions, EDGES, strict=True):
            if op != NONE and fed[source]:
                nodes[to] += functions[op](nodes[source])
                fed[to] = True
        return round(float(nodes[3]), 9)

    rng = np.random.default_rng(0)
    outputs: dict[str, float] = {}
    for _ in range(1000):
        decisions = tuple(rng.integers(0, 5, 6).tolist())
        assert outputs.setdefault(SPACE.canonical(decisions), output(decisions)) == output(
            decisions
        )
    assert len(set(outputs.values())) == len(outputs)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "|nor_conv_3x3~0|",
        "|conv~0|+|none~0|none~1|+|none~0|none~1|none~2|",
        "|none~1|+|none~0|none~1|+|none~0|none~1|none~2|",
        "|none~0|+|none~0|none~1|+|none~0|none~1|none~2| ",
    ],
)
def test_bad_texts_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="is not of space 'nasbench201'; expected"):
        SPACE.parse(text)


def test_a_cell_of_the_other_size_is_refused() -> None:
    small, large = "|none~0|+|none~0|none~1|", SPACE.architecture((NONE,) * 6).id
    with pytest.raises(
        InputError, match=r"'nasbench201_3nodes'; expected '\|op~0\|\+\|op~0\|op~1\|'"
    ):
        SMALL.parse(large)
    with pytest.raises(InputError, match=r"'nasbench201'; expected '\|op~0.*\|op~2\|' with op"):
        SPACE.parse(small)


@pytest.mark.parametrize(
    ("decisions", "message"),
    [
        ((0,) * 5, "5 decisions were given for space 'nasbench201'; expected 6"),
        ((0, 0, 5, 0, 0, 0), "Decision 2 of space 'nasbench201' is 5; expected 0 to 4"),
        ((0, 0, 0, 0, 0, -1), "Decision 5 of space 'nasbench201' is -1; expected 0 to 4"),
    ],
)
def test_bad_decisions_are_refused(decisions: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SPACE.architecture(decisions)


def test_samples_are_uniform_and_seeded() -> None:
    rng = np.random.default_rng(0)
    counts = np.zeros((6, 5))
    for _ in range(2000):
        for position, value in enumerate(SPACE.sample(rng).decisions):
            counts[position, value] += 1
    assert np.abs(counts / 2000 - 0.2).max() < 0.04  # 4.5 standard errors
    assert SPACE.sample(np.random.default_rng(7)) == SPACE.sample(np.random.default_rng(7))


def test_it_is_found_by_its_name() -> None:
    assert isinstance(get_space("nasbench201"), NASBench201Space)


def test_pruning_keeps_the_function_and_nothing_else() -> None:
    for space, stride in ((SMALL, 1), (SPACE, 61)):
        every = itertools.product(range(5), repeat=space.n_decisions)
        for decisions in itertools.islice(every, 0, None, stride):
            pruned = space.pruned(decisions)
            assert space.canonical(pruned) == space.canonical(decisions)
            assert space.pruned(pruned) == pruned
            for edge, op in enumerate(pruned):
                less = (*pruned[:edge], 0, *pruned[edge + 1 :])
                assert op == 0 or space.canonical(less) != space.canonical(pruned)
