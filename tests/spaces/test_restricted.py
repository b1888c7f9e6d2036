from __future__ import annotations

import itertools

import numpy as np
import pytest

from nassim.errors import InputError
from nassim.spaces import get_space
from nassim.spaces.nasbench201 import OPERATIONS, NASBench201Space, live_edges
from nassim.spaces.restricted import S1Space, most_convolutions

NAMES = [f"s{k}_tiny{nodes}" for k in range(1, 5) for nodes in ("", "_3nodes")]
FULL = {6: get_space("nasbench201"), 3: get_space("nasbench201_3nodes")}


def restricted(name: str) -> NASBench201Space:
    space = get_space(name)
    assert isinstance(space, NASBench201Space)
    assert space.name == name
    return space


@pytest.mark.parametrize(
    ("name", "cells"),
    list(zip(NAMES, (64, 8, 64, 8, 729, 27, 64, 8), strict=True)),
)
def test_how_many_cells_there_are_and_that_texts_name_them(name: str, cells: int) -> None:
    space = restricted(name)
    every = list(space.every())
    assert len(every) == len({one.id for one in every}) == cells
    assert tuple(map(len, space.options)) == space.n_choices
    assert all(space.parse(one.id) == one for one in every)


@pytest.mark.parametrize(
    ("name", "functions"),
    list(zip(NAMES, (56, 6, 32, 5, 78, 9, 34, 6), strict=True)),
)
def test_how_many_functions_there_are(name: str, functions: int) -> None:
    """Those of three nodes are b + c(a): counted by hand; the others guard the rule."""
    assert len({one.canonical_id for one in restricted(name).every()}) == functions


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("s4")])
def test_a_cell_is_that_of_the_full_space(name: str) -> None:
    space = restricted(name)
    full = FULL[space.n_decisions]
    for one in space.every():
        same = full.architecture(
            tuple(OPERATIONS.index(operation) for operation in space.names(one.decisions))
        )
        assert (one.id, one.canonical_id) == (same.id, same.canonical_id)


def test_s1_offers_different_pairs() -> None:
    assert len(set(S1Space.options)) == 4
    skips = S1Space().offers("skip_connect")
    assert skips.sum(axis=1).tolist() == [1, 1, 1, 1, 1, 0]
    assert not S1Space().offers("none").any()


@pytest.mark.parametrize("name", NAMES)
def test_pruning_keeps_the_function(name: str) -> None:
    space = restricted(name)
    for one in space.every():
        pruned = space.pruned(one.decisions)
        assert space.canonical(pruned) == one.canonical_id
        assert space.pruned(pruned) == pruned


def test_what_noise_hides_is_pruned() -> None:
    space = restricted("s4_tiny")
    noise, conv = 0, 1
    # node 1 is a convolution that two edges with noise do not look at
    hidden = (conv, conv, noise, conv, noise, conv)
    assert space.pruned(hidden) == (noise, *hidden[1:])
    seen = (*hidden[:2], conv, *hidden[3:])
    assert space.pruned(seen) == seen


def test_edges_of_noise_live_without_an_input() -> None:
    edges = ((0, 1), (0, 2), (1, 2))
    assert live_edges(("none", "none", "noise"), edges) == (False, False, True)
    assert live_edges(("none", "none", "skip_connect"), edges) == (False, False, False)
    assert live_edges(("noise", "none", "skip_connect"), edges) == (True, False, True)


def test_cells_of_equal_noise_are_one_function() -> None:
    """Both edges into node 2 are noise, or both convolutions: only the number of each counts."""
    space = restricted("s4_tiny_3nodes")
    classes = {tuple(d): space.canonical(d) for d in itertools.product((0, 1), repeat=3)}
    assert classes[0, 0, 0] == classes[1, 0, 0] == "noise+noise"
    assert classes[0, 1, 1] == "nor_conv_3x3(noise)+nor_conv_3x3(x)"
    assert classes[1, 1, 0] == classes[0, 1, 0] == "noise+nor_conv_3x3(x)"


def test_most_convolutions_prefers_what_has_weights() -> None:
    for name in NAMES:
        space = restricted(name)
        cell = space.names(most_convolutions(space))
        assert not {"none", "skip_connect", "noise"} & set(cell)
        assert cell.count("nor_conv_3x3") >= 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("|none~0|+|none~0|none~1|", "'s2_tiny_3nodes'.*op one of skip_connect, nor_conv_3x3.$"),
        ("|noise~0|+|noise~0|noise~1|", "'s2_tiny_3nodes'"),
        ("", "'s2_tiny_3nodes'"),
    ],
)
def test_operations_that_are_not_offered_are_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        get_space("s2_tiny_3nodes").parse(text)


def test_a_refusal_names_the_options_of_each_edge() -> None:
    text = "|nor_conv_1x1~0|+|skip_connect~0|skip_connect~1|"
    message = "skip_connect, nor_conv_3x3; then of skip_connect, nor_conv_1x1; then of"
    with pytest.raises(InputError, match=message):
        get_space("s1_tiny_3nodes").parse(text)


def test_samples_are_seeded_and_use_all_options() -> None:
    space = restricted("s3_tiny")
    rng = np.random.default_rng(0)
    drawn = np.array([space.sample(rng).decisions for _ in range(300)])
    assert all(set(column) == {0, 1, 2} for column in drawn.T.tolist())
