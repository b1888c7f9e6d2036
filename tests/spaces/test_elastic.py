from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nassim.errors import InputError
from nassim.records import Architecture
from nassim.spaces import get_space
from nassim.spaces.elastic import Block, ElasticSpace, ElasticTinySpace

TINY, WHOLE = ElasticTinySpace(), ElasticSpace()
GOOD = "2/3|k3e2,k5e1|k5e2"


def architectures(space: ElasticSpace) -> st.SearchStrategy[Architecture]:
    return st.tuples(*(st.integers(0, n - 1) for n in space.n_choices)).map(space.architecture)


EITHER = st.one_of(architectures(TINY), architectures(WHOLE))


@given(EITHER)
def test_text_and_decisions_are_one_to_one(architecture: Architecture) -> None:
    space = get_space(architecture.space)
    assert space.parse(architecture.id) == architecture
    assert space.architecture(architecture.decisions) == architecture
    assert architecture.canonical_id == architecture.id


@given(architectures(TINY), st.data())
def test_a_changed_decision_means_nothing_only_on_a_block_that_is_not_there(
    architecture: Architecture, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, TINY.n_decisions - 1))
    decisions = list(architecture.decisions)
    decisions[place] = 1 - decisions[place]
    absent = {
        start + offset
        for start in TINY.places("depth")
        if architecture.decisions[start] == 0
        for offset in (3, 4)
    }
    assert (TINY.architecture(tuple(decisions)) == architecture) == (place in absent)


def test_the_tiny_space_is_listed_once_and_completely() -> None:
    every = list(TINY.every())
    tuples = itertools.product(*map(range, TINY.n_choices))
    assert len({one.id for one in every}) == len(every) == 2 * (4 + 16) ** 2
    assert set(every) == {TINY.architecture(decisions) for decisions in tuples}


def test_the_paper_s_space_has_its_sizes_and_is_not_listed() -> None:
    assert len(WHOLE.places("depth")) == 5
    assert len(WHOLE.places("kernel")) == len(WHOLE.places("expansion")) == 20
    with pytest.raises(InputError, match="too many to list"):
        WHOLE.every()


def test_a_draw_is_uniform_over_depths_first() -> None:
    rng = np.random.default_rng(0)
    depths = Counter(len(TINY.cut(TINY.sample(rng).decisions).stages[0]) for _ in range(2000))
    assert abs(depths[1] - 1000) < 4 * np.sqrt(500)


def test_decisions_of_each_kind_are_all_of_them() -> None:
    kinds = ("resolution", "depth", "kernel", "expansion")
    for space in (TINY, WHOLE):
        places = [place for kind in kinds for place in space.places(kind)]
        assert sorted(places) == list(range(space.n_decisions))


def test_a_text_reads_as_its_blocks() -> None:
    cut = TINY.cut(TINY.parse(GOOD).decisions)
    assert cut.resolution == "2/3"
    assert cut.stages == ((Block(3, 2), Block(5, 1)), (Block(5, 2),))
    assert TINY.largest.id == "1|k5e2,k5e2|k5e2,k5e2"
    assert TINY.smallest.id == "2/3|k3e1|k3e1"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2/3",
        GOOD + "|k3e1",
        GOOD.replace("2/3", "1/3"),
        GOOD.replace("k5e2", ""),
        GOOD.replace("k5e2", "k7e2"),
        GOOD.replace("k5e2", "k5e3"),
        GOOD.replace("k5e2", "k5e2,k5e2,k5e2"),
        GOOD.replace("k5e2", "k05e2"),
        GOOD.replace("k5e2", "k٥e2"),
        GOOD.replace("k5e2", " k5e2"),
        GOOD.replace("|", ","),
    ],
)
def test_other_texts_are_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(InputError, match=r"not of space 'elastic_tiny'; expected .*2/3\|k3e1"):
        TINY.parse(text)
