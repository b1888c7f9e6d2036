from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nassim.errors import InputError
from nassim.options import check_count, check_number, check_share


@pytest.mark.parametrize("value", [0, -1, 1.5, 2.0, "3", True, None])
def test_odd_counts_are_refused(value: Any) -> None:
    with pytest.raises(InputError, match=r"Option n is .*; expected a whole number, 1 or more\."):
        check_count("n", value)


def test_a_count_may_have_another_least() -> None:
    assert check_count("n", 0, least=0) == 0
    with pytest.raises(InputError, match=r"Option n is 1; expected a whole number, 2 or more\."):
        check_count("n", 1, least=2)


@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan, "x", True, None])
def test_odd_shares_are_refused(value: Any) -> None:
    with pytest.raises(InputError, match=r"Option delta is .*; expected a number from 0 to 1\."):
        check_share("delta", value)


@pytest.mark.parametrize("value", [-0.1, np.inf, np.nan, "3", True, None])
def test_odd_numbers_are_refused(value: Any) -> None:
    with pytest.raises(InputError, match=r"Option rate is .*; expected a number, 0 or more\."):
        check_number("rate", value)


@pytest.mark.parametrize("value", [0, -1.0, np.inf, np.nan, "3", True, None])
def test_numbers_that_are_not_above_a_bound_are_refused(value: Any) -> None:
    with pytest.raises(InputError, match=r"Option rate is .*; expected a number above 0\."):
        check_number("rate", value, above=0)


def test_a_bound_from_above_is_said() -> None:
    message = r"Option clip is 2; expected a number above 0, 1 at the most\."
    with pytest.raises(InputError, match=message):
        check_number("clip", 2, above=0, most=1)


def test_what_is_sound_is_returned() -> None:
    assert (check_count("n", 3), check_share("delta", 1), check_number("rate", 0)) == (3, 1.0, 0.0)
    assert isinstance(check_share("delta", 1), float)
    assert check_number("clip", 1, above=0, most=1) == 1.0
