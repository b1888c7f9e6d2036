import math

import numpy as np
import pytest

from nassim.errors import InputError
from nassim.store import Store


@pytest.fixture
def lookup(tmp_path, make_run, descriptions):
    """Architecture ``a`` with one seed and three epochs, ``b`` with two seeds and two epochs."""
    store = Store.create(tmp_path / "store")
    curve = lambda *values: {"scores": {"valid": np.array(values, np.float32)}}  # noqa: E731
    store.append(
        [
            make_run("a", 7, epochs=3, **curve(0.125, 0.25, 0.5)),
            make_run("b", 7, epochs=2, **curve(0.5, 0.625)),
            make_run("b", 8, epochs=2, **curve(0.75, 0.875)),
        ],
        **descriptions,
    )
    return store.lookup("valid_accuracy", "digits")


def test_by_name(lookup):
    assert [lookup("a", epoch) for epoch in (1, 2, 3)] == [0.125, 0.25, 0.5]
    assert type(lookup("a", np.int64(2))) is float
    assert lookup("b", 2, seed=8) == 0.875
    assert lookup("a", 1, 7) == 0.125
    assert math.isnan(lookup("b", 3, seed=7)), "past a run's end nothing was measured"


def test_many_at_once(lookup):
    np.testing.assert_array_equal(lookup.many(["a", "a"], [3, 1]), [0.5, 0.125])
    np.testing.assert_array_equal(lookup.many(["a", "b", "b"], 2, [7, 8, 7]), [0.25, 0.875, 0.625])
    np.testing.assert_array_equal(lookup.many(np.array(["a"]), 1, seeds=7), [0.125])
    assert lookup.many([], 1).shape == (0,)


def test_by_row(lookup):
    assert lookup.architectures.tolist() == ["a", "b", "b"]
    assert lookup.seeds.tolist() == [7, 7, 8]
    np.testing.assert_array_equal(lookup.at([2, 0], [1, 3]), [0.75, 0.5])
    np.testing.assert_array_equal(lookup.at(np.arange(3), 2), lookup.values[:, 1])
    assert lookup.at([], 1).shape == (0,)


SEVERAL = "Architecture 'b' has several seeds: 7, 8; say which: seed=7"
NO_SEED = "Architecture 'b' was not trained with seed 9 on dataset 'digits'; seeds that exist: 7, 8"
NO_NAME = "No architecture 'c' was trained on dataset 'digits'; 2 others were"
NO_EPOCH = "Epoch {} was asked for; expected an integer from 1 to 3"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("b", 1), SEVERAL),
        (("b", 1, 9), NO_SEED),
        (("c", 1), NO_NAME),
        (("c", 1, 7), NO_NAME),
        ((["a"], 1), r"No architecture \['a'\]"),
        (("a", 0), NO_EPOCH.format(0)),
        (("a", -1), NO_EPOCH.format(-1)),
        (("a", 4), NO_EPOCH.format(4)),
        (("a", 1.0), NO_EPOCH.format("1.0")),
        (("a", "1"), NO_EPOCH.format("1")),
        (("a", None), NO_EPOCH.format("None")),
    ],
)
def test_a_wrong_argument_of_a_single_lookup_is_named(lookup, arguments, message):
    with pytest.raises(InputError, match=message):
        lookup(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["a", "b"], 1), SEVERAL),
        ((["a", "b"], 1, [7, 9]), NO_SEED),
        ((["a", "c"], 1), NO_NAME),
        ((["a", "a"], [1, 4]), NO_EPOCH.format(r"1 to 4 \(int64\)")),
        ((["a", "a"], [0, 1]), NO_EPOCH.format(r"0 to 1 \(int64\)")),
        ((["a", "a"], [1.0, 2.0]), NO_EPOCH.format(r"1.0 to 2.0 \(float64\)")),
        ((["a", "a"], [1, 2, 3]), r"2 runs but epochs \(3,\)"),
        ((["a", "a"], [1]), r"2 runs but epochs \(1,\)"),
        ((["a", "a"], 1, [7, 7, 7]), r"2 runs but seeds \(3,\)"),
    ],
)
def test_a_wrong_argument_among_many_is_named(lookup, arguments, message):
    with pytest.raises(InputError, match=message):
        lookup.many(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 3], 1), "Rows 0 to 3 .*expected integers from 0 to 2"),
        (([-1, 0], 1), "Rows -1 to 0"),
        (([0.0], 1), "Rows 0.0 to 0.0"),
        ((["a"], 1), "Rows of kind <U1"),
        (([0, 1], 0), NO_EPOCH.format(r"0 to 0 \(int64\)")),
        (([0, 1], [1, 2, 3]), r"2 runs but epochs \(3,\)"),
    ],
)
def test_a_wrong_argument_by_row_is_named(lookup, arguments, message):
    with pytest.raises(InputError, match=message):
        lookup.at(*arguments)


def test_recipe_and_space_must_be_said_where_there_are_several(store):
    with pytest.raises(InputError, match=r"several recipes.*long, quick.*recipe='long'"):
        store.lookup("valid_accuracy", "digits")
    lookup = store.lookup("valid_accuracy", "digits", recipe="long")
    assert len(lookup) == len(store.index(dataset="digits", recipe="long"))
