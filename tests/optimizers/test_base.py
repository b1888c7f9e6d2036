from __future__ import annotations

import numpy as np
import pytest

from nassim.errors import InputError
from nassim.optimizers.base import (
    Candidates,
    Remaining,
    check_space,
    choices_of,
    decisions_of,
    failed_as_worst,
    space_of,
)
from nassim.spaces import get_space

SPACE = get_space("nasbench201")
STORED = [SPACE.architecture((op,) * 6) for op in range(5)]


def test_a_table_has_its_architectures_and_no_others() -> None:
    candidates = Candidates(STORED)
    assert [candidates.number(architecture) for architecture in STORED] == [0, 1, 2, 3, 4]
    assert candidates.number(SPACE.architecture((0, 1, 0, 0, 0, 0))) is None
    assert (len(candidates), candidates[3]) == (5, STORED[3])


def test_without_a_table_whatever_is_named_gets_a_number_once() -> None:
    candidates = Candidates(space=SPACE)
    assert [candidates.number(STORED[k]) for k in (3, 1, 3)] == [0, 1, 0]
    assert candidates.architectures == (STORED[3], STORED[1])


def test_the_nearest_that_is_left() -> None:
    remaining = Remaining(Candidates(STORED))
    made_up = SPACE.architecture((4, 4, 4, 2, 2, 0))
    assert remaining.nearest(made_up) == (4, 0.5)
    remaining.take(4)
    assert remaining.nearest(made_up) == (2, pytest.approx(2 / 3))
    assert remaining.numbers.tolist() == [0, 1, 2, 3]
    for number in range(4):
        remaining.take(number)
    assert remaining.nearest(made_up) is None


def test_among_equally_near_ones_the_first() -> None:
    assert Remaining(Candidates(STORED)).nearest(SPACE.architecture((4, 3, 2, 1, 0, 0)))[0] == 0  # type: ignore[index]
    assert Remaining(Candidates(STORED[1:])).nearest(SPACE.architecture((4, 3, 2, 1, 0, 0))) == (
        0,
        pytest.approx(5 / 6),
    )


def test_without_a_table_the_nearest_is_itself_once() -> None:
    remaining = Remaining(Candidates(space=SPACE))
    assert remaining.nearest(STORED[2]) == (0, 0.0)
    remaining.take(0)
    assert remaining.nearest(STORED[2]) is None
    assert remaining.nearest(STORED[0]) == (1, 0.0)


def test_names_without_decisions_have_no_nearest() -> None:
    names = [get_space("table").parse(name) for name in "ab"]
    with pytest.raises(InputError, match="no decisions of one length"):
        decisions_of(names)


def test_decisions_are_a_table() -> None:
    assert np.array_equal(decisions_of(STORED), np.arange(5)[:, None].repeat(6, axis=1))


def test_the_space_of_a_table_and_of_no_table() -> None:
    for candidates in (Candidates(STORED), Candidates(space=SPACE)):
        assert space_of(candidates).name == "nasbench201"
        assert choices_of(candidates) == (5,) * 6
        check_space(candidates, "nasbench201")
        with pytest.raises(InputError, match=r"of space 'nasbench201'; expected 'nasnet'"):
            check_space(candidates, "nasnet")
    assert choices_of(Candidates()) == (1,)
    check_space(Candidates(), "nasnet")  # nothing to refuse


def test_names_without_decisions_have_no_choices() -> None:
    with pytest.raises(InputError, match="no decisions of one length"):
        choices_of(Candidates([get_space("table").parse(name) for name in "ab"]))


def test_what_failed_is_as_bad_as_the_worst() -> None:
    values = np.array([0.5, -np.inf, 0.25, np.nan], np.float32)
    known = failed_as_worst(values)
    assert (known.tolist(), known.dtype) == ([0.5, 0.25, 0.25, 0.25], np.float64)
    assert values[1] == -np.inf  # its own copy
    assert failed_as_worst(np.array([-np.inf, np.nan])).tolist() == [0.0, 0.0]
    assert failed_as_worst(np.zeros(0)).tolist() == []
