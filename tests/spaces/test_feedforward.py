from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nassim.encodings.tokens import TokenEncoder
from nassim.errors import InputError
from nassim.records import Architecture
from nassim.spaces import get_space
from nassim.spaces.feedforward import VALUES, FeedforwardSpace, Settings, settings

SPACE = get_space("feedforward")
GOOD = "svd:32:frozen|2x128:relu:norm:drop0.2|lr1"


def architectures() -> st.SearchStrategy[Architecture]:
    return st.tuples(*(st.integers(0, n - 1) for n in SPACE.n_choices)).map(SPACE.architecture)


@given(architectures())
def test_text_and_decisions_are_one_to_one(architecture: Architecture) -> None:
    assert SPACE.parse(architecture.id) == architecture
    assert SPACE.architecture(architecture.decisions) == architecture


@given(architectures())
def test_the_canonical_text_is_an_architecture_and_its_own_canonical_text(
    architecture: Architecture,
) -> None:
    canonical = SPACE.parse(architecture.canonical_id)
    assert canonical.canonical_id == canonical.id == architecture.canonical_id


@given(architectures(), st.data())
def test_a_changed_decision_is_a_duplicate_only_where_it_has_no_effect(
    architecture: Architecture, data: st.DataObject
) -> None:
    position = data.draw(st.integers(0, SPACE.n_decisions - 1))
    value = data.draw(st.integers(0, SPACE.n_choices[position] - 1))
    decisions = list(architecture.decisions)
    if decisions[position] == value:
        return
    decisions[position] = value
    other = SPACE.architecture(tuple(decisions))
    field = Settings._fields[position]
    chosen = settings(architecture.decisions)
    no_effect = (field.startswith("embedding_") and chosen.embedding == "none") or (
        field in ("width", "activation", "normalisation", "dropout") and chosen.layers == 0
    )
    assert other.id != architecture.id
    assert (other.canonical_id == architecture.canonical_id) == no_effect


def test_how_many_different_ones_there_are() -> None:
    every = itertools.product(*(range(n) for n in SPACE.n_choices))
    canonical = {SPACE.canonical(decisions) for decisions in every}
    embeddings, hidden, rates = 1 + 2 * 3 * 2, 1 + 3 * 3 * 3 * 2 * 3, 4
    assert len(canonical) == embeddings * hidden * rates


def test_a_text_reads_as_its_settings() -> None:
    found = settings(SPACE.parse(GOOD).decisions)
    assert found == Settings("svd", 32, "frozen", 2, 128, "relu", "norm", 0.2, 1.0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        GOOD + "|",
        GOOD.replace("|lr1", ""),
        GOOD.replace("svd", "pca"),
        GOOD.replace("32", "33"),
        GOOD.replace("2x", "4x"),
        GOOD.replace("drop0.2", "drop0.20"),
        GOOD.replace("lr1", "lr1.0"),
        GOOD.replace("lr1", "lr1..0"),
        " " + GOOD,
    ],
)
def test_bad_texts_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="is not of space 'feedforward'; expected"):
        SPACE.parse(text)


def test_it_reads_features_alone() -> None:
    SPACE.check_input((20,))
    with pytest.raises(InputError, match=r"'feedforward' read \(features\); an input has shape"):
        SPACE.check_input((8, 8, 1))
    with pytest.raises(InputError, match=r"read \(height, width, channels\); dataset 'vowel'"):
        get_space("nasnet").check_input((13,), "dataset 'vowel'")


def test_an_encoder_takes_it() -> None:
    rng = np.random.default_rng(0)
    pool = [SPACE.sample(rng) for _ in range(200)]
    encoded = TokenEncoder.fit(pool).encode(pool)
    assert encoded.shape == (200, len(VALUES), 1)
    assert len(np.unique(encoded, axis=0)) == len({one.id for one in pool})


def test_it_is_found_by_its_name() -> None:
    assert isinstance(SPACE, FeedforwardSpace)
