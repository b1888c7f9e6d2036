"""Architectures as words of tokens: known answers, unknown tokens, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nassim.encodings import PADDING, UNKNOWN, TokenEncoder, words
from nassim.errors import InputError
from nassim.records import Architecture
from nassim.spaces import get_space

TABLE = get_space("table")
NASNET = get_space("nasnet")


def table(*texts: str) -> list[Architecture]:
    return [TABLE.parse(text) for text in texts]


def nasnet(n: int, seed: int = 0) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    return [NASNET.sample(rng) for _ in range(n)]


def with_halves_swapped(architecture: Architecture) -> Architecture:
    halves = np.array(architecture.decisions).reshape(-1, 2, 2)[:, ::-1]
    return NASNET.architecture(tuple(int(d) for d in halves.ravel()))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[C(64,5,1), SM(10)]", (("C", "64", "5", "1"), ("SM", "10"))),
        ("[GAP(10)] lr=0.001", (("GAP", "10"), ("lr", "0.001"))),
        ("depth=3;width=16", (("depth", "3"), ("width", "16"))),
        ("conv3x3|skip|pool", (("conv3x3",), ("skip",), ("pool",))),
        ("a(b, c) d", (("a", "b", "c"), ("d",))),
        ("lr: 1e-3", (("lr",), ("1e-3",))),
        ("resnet", (("resnet",),)),
        ("(", (("(",),)),
    ],
)
def test_words_of_a_text(text: str, expected: tuple[tuple[str, ...], ...]) -> None:
    assert words(TABLE.parse(text)) == expected


def test_a_nasnet_architecture_is_twenty_words_of_input_and_operation() -> None:
    pool = nasnet(50)
    encoded = TokenEncoder.fit(pool).encode(pool)
    assert encoded.shape == (50, 20, 2)
    assert (encoded >= 2).all()  # nothing is padding or unknown


def test_a_darts_architecture_is_sixteen_words_of_input_and_operation() -> None:
    space = get_space("darts")
    cell = "0sep3+1skip|0skip+1dil5|0avg3+2avg3|0skip+4sep3"
    found = words(space.parse(f"{cell}||{cell}"))
    assert found[:8] == found[8:]
    assert found[:3] == (("from 0", "choice 3"), ("from 1", "choice 2"), ("from 0", "choice 2"))
    pool = [space.sample(np.random.default_rng(seed)) for seed in range(50)]
    assert TokenEncoder.fit(pool).encode(pool).shape == (50, 16, 2)


def test_the_two_halves_of_a_block_commute() -> None:
    pool = nasnet(20)
    swapped = [with_halves_swapped(architecture) for architecture in pool]
    assert [a.id for a in pool] != [a.id for a in swapped]
    encoder = TokenEncoder.fit(pool)
    assert (encoder.encode(pool) == encoder.encode(swapped)).all()


def test_different_architectures_have_different_tokens() -> None:
    pool = nasnet(50)
    encoded = TokenEncoder.fit(pool).encode(pool)
    assert len(np.unique(encoded.reshape(50, -1), axis=0)) == 50


def test_cells_of_nasbench101_have_words_of_an_operation_and_its_inputs() -> None:
    space = get_space("nasbench101")
    cell = space.parse("conv3x3(0)|max3x3(0,1)|output(0,2)")
    assert words(cell) == (
        ("conv3x3", "yes"),
        ("max3x3", "yes", "yes"),
        ("output", "yes", "no", "yes"),
    )
    left, right = "conv1x1(0)|conv3x3(0)|output(1,2)", "conv3x3(0)|conv1x1(0)|output(1,2)"
    assert words(space.parse(left)) == words(space.parse(right))


@pytest.mark.parametrize(("vertices", "steps"), [(2, 1), (4, 3), (6, 5)])
def test_cells_of_nasbench101_that_are_not_isomorphic_have_different_tokens(
    vertices: int, steps: int
) -> None:
    space = get_space(f"nasbench101:vertices={vertices}")
    rng = np.random.default_rng(0)
    pool = [space.sample(rng) for _ in range(40)]
    encoded = TokenEncoder.fit(pool).encode(pool)
    assert encoded.shape == (40, steps, steps + 1)
    assert UNKNOWN not in encoded
    classes = len({architecture.canonical_id for architecture in pool})
    assert len(np.unique(encoded.reshape(40, -1), axis=0)) == classes


def test_every_cell_of_three_nodes_has_tokens_of_its_own() -> None:
    pool = list(get_space("nasbench201_3nodes").every())
    encoded = TokenEncoder.fit(pool).encode(pool)
    assert encoded.shape == (125, 3, 1)
    assert len(np.unique(encoded, axis=0)) == 125


def test_the_vocabulary_comes_from_sources_only() -> None:
    encoder = TokenEncoder.fit(table("[conv(64), pool]", "[conv(64), skip]"))
    known, unknown = encoder.encode(table("[conv(64), pool]", "[conv(7), new]"))
    assert (known[0] >= 2).all()
    assert known[1, 0] >= 2
    assert unknown[0].tolist() == [known[0, 0], UNKNOWN]
    assert unknown[1].tolist() == [UNKNOWN, PADDING]


def test_what_is_shorter_is_padded_and_what_is_longer_is_cut() -> None:
    encoder = TokenEncoder.fit(table("a(x), b", "a(x), b(x)"))
    short, long = encoder.encode(table("a", "a(x,x), b, b, b"))
    assert encoder.encode(table("a")).shape == (1, 2, 2)
    assert short[1].tolist() == [PADDING, PADDING]
    assert short[0, 1] == PADDING
    assert (long[:, 0] >= 2).all()


def test_continuous_numbers_stand_for_their_magnitude() -> None:
    encoder = TokenEncoder.fit(table("lr=0.0011", "lr=0.0009", "lr=0.31"))
    small, new, large = encoder.encode(table("lr=0.0011", "lr=0.00099", "lr=0.29"))[:, 0, 1]
    assert small == new != large
    assert UNKNOWN not in (small, large)
    assert encoder.encode(table("lr=50"))[0, 0, 1] == UNKNOWN


def test_a_number_of_several_architectures_stands_for_itself() -> None:
    encoder = TokenEncoder.fit(table("k=3, a", "k=3, b", "k=4, a", "k=4, b"))
    three, four = encoder.encode(table("k=3", "k=4"))[:, 0, 1]
    assert three != four


def test_an_architecture_that_was_run_often_counts_once() -> None:
    once = TokenEncoder.fit(table("lr=0.0011", "lr=0.31"))
    often = TokenEncoder.fit(table("lr=0.0011", "lr=0.31", "lr=0.0011"))
    assert once == often


def test_the_order_of_sources_changes_nothing() -> None:
    pool = nasnet(12)
    assert TokenEncoder.fit(pool) == TokenEncoder.fit(pool[::-1])


def test_another_space_is_refused() -> None:
    with pytest.raises(InputError, match="is of space 'table'; expected 'nasnet'"):
        TokenEncoder.fit(nasnet(2)).encode(table("a"))
    with pytest.raises(InputError, match="are of spaces nasnet, table; expected one space"):
        TokenEncoder.fit([*nasnet(2), *table("a")])
    with pytest.raises(InputError, match=r"are of spaces \(none\)"):
        TokenEncoder.fit([])


@settings(deadline=None)
@given(st.lists(st.text(min_size=1), min_size=1, max_size=5), st.text(min_size=1))
def test_any_text_can_be_encoded(sources: list[str], target: str) -> None:
    encoder = TokenEncoder.fit(table(*sources))
    encoded = encoder.encode(table(*sources, target))
    assert encoded.shape == (len(sources) + 1, encoder.steps, encoder.width)
    assert (encoded >= 0).all()
    assert (encoded < np.array(encoder.sizes)).all()
    assert (encoded[:, 0, 0] != PADDING).all()  # no architecture is empty
