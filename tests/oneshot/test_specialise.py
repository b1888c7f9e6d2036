from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy.stats import kendalltau

from nassim.errors import InputError
from nassim.oneshot.specialise import AccuracyPredictor, evolve, one_hot
from nassim.records import Architecture, FloatArray
from nassim.spaces.elastic import ElasticSpace, ElasticTinySpace

SPACE = ElasticTinySpace()
EVERY = tuple(SPACE.every())
QUICK = {"population": 100, "generations": 5}


def worth(architectures: Sequence[Architecture]) -> FloatArray:
    """Made up: each block helps, a kernel of 5 in some places, expansions where it is narrow."""
    rng = np.random.default_rng(7)
    weights = rng.normal(size=one_hot(SPACE, EVERY[:1]).shape[1])
    x = one_hot(SPACE, architectures)
    value: FloatArray = 0.8 + 0.02 * x @ weights + 0.03 * x[:, 4] * x[:, 10]
    return value


def size(architecture: Architecture) -> int:
    """A cost that every block has."""
    _, stages = SPACE.cut(architecture.decisions)
    return sum(kernel * expansion for blocks in stages for kernel, expansion in blocks)


def test_all_architectures_are_told_apart() -> None:
    assert len(np.unique(one_hot(SPACE, EVERY), axis=0)) == len(EVERY)


@pytest.mark.parametrize("limit", [14, 25])
def test_evolution_finds_the_best_of_all_within_the_budget(limit: int) -> None:
    """At least nine times of ten, as the method's card asks."""
    best = max(
        value for each, value in zip(EVERY, worth(EVERY), strict=True) if size(each) <= limit
    )
    hits = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        found = evolve(SPACE, worth, lambda each: size(each) <= limit, rng, **QUICK)
        assert size(found.architecture) <= limit
        assert found.value == worth([found.architecture])[0]
        hits += found.value >= best - 1e-12
    assert hits >= 9


def test_as_many_random_draws_find_it_less_often() -> None:
    """Or the test above would show nothing."""
    values = worth([each for each in EVERY if size(each) <= 25])
    hits, asked = 0, []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        asked.append(evolve(SPACE, worth, lambda each: size(each) <= 25, rng, **QUICK).evaluated)
        hits += rng.permutation(values)[: asked[-1]].max() == values.max()
    assert hits < 9
    assert max(asked) < len(values) / 2


def test_nothing_is_asked_about_twice_and_nothing_beyond_the_budget() -> None:
    asked: list[str] = []

    def value(architectures: Sequence[Architecture]) -> FloatArray:
        asked.extend(each.id for each in architectures)
        return worth(architectures)

    found = evolve(SPACE, value, lambda each: size(each) <= 14, np.random.default_rng(0), **QUICK)
    assert len(set(asked)) == len(asked) == found.evaluated
    assert max(size(SPACE.parse(text)) for text in asked) <= 14


def test_a_seed_decides_what_is_found() -> None:
    found = [
        evolve(SPACE, worth, lambda _: True, np.random.default_rng(3), population=6, generations=2)
        for _ in range(2)
    ]
    assert found[0] == found[1]


def test_a_budget_that_nothing_keeps_is_refused() -> None:
    with pytest.raises(InputError, match=r"larger budget .* is '2/3\|k3e1\|k3e1'"):
        evolve(SPACE, worth, lambda _: False, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"population": 1}, "Option population is 1"),
        ({"generations": 0}, "Option generations is 0"),
        ({"parents": 2}, "Option parents is 2"),
        ({"resolution_rate": -1}, "Option resolution_rate is -1"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        # counts and shares in one dict
        evolve(SPACE, worth, lambda _: True, np.random.default_rng(0), **options)  # type: ignore[arg-type]


def test_the_predictor_ranks_parts_that_it_has_not_seen() -> None:
    rows = np.random.default_rng(0).permutation(len(EVERY))
    some, others = ([EVERY[k] for k in part] for part in (rows[:200], rows[200:]))
    predictor = AccuracyPredictor(SPACE, some, worth(some), passes=60)
    assert kendalltau(predictor(others), worth(others))[0] > 0.9
    shuffled = np.random.default_rng(1).permutation(worth(some))
    twin = AccuracyPredictor(SPACE, some, shuffled, passes=60)
    assert not kendalltau(twin(others), worth(others))[0] > 0.3


def test_a_seed_decides_what_is_predicted() -> None:
    some = EVERY[::20]
    one, again, other = (
        AccuracyPredictor(SPACE, some, worth(some), passes=2, seed=seed)(EVERY[:5])
        for seed in (0, 0, 1)
    )
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_a_predictor_needs_finite_accuracies_of_two_parts() -> None:
    with pytest.raises(InputError, match="two parts or more"):
        AccuracyPredictor(SPACE, EVERY[:1], np.array([0.5]))
    with pytest.raises(InputError, match=r"3 parts and accuracies of shape \(2,\)"):
        AccuracyPredictor(SPACE, EVERY[:3], np.array([0.5, 0.6]))
    with pytest.raises(InputError, match="is not finite"):
        AccuracyPredictor(SPACE, EVERY[:2], np.array([0.5, np.nan]))


def test_the_large_space_is_searched_too() -> None:
    space = ElasticSpace()

    def value(architectures: Sequence[Architecture]) -> FloatArray:
        return one_hot(space, architectures).sum(axis=1)  # the more blocks the better

    def blocks(architecture: Architecture) -> int:
        return sum(map(len, space.cut(architecture.decisions).stages))

    found = evolve(space, value, lambda each: blocks(each) <= 15, np.random.default_rng(0), **QUICK)
    assert blocks(found.architecture) == 15
