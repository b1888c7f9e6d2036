"""Names and numbers as text."""

import math

from hypothesis import given
from hypothesis import strategies as st

from nassim.reports.text import aligned, cost_percent, decimals, duration, shorten


@given(st.lists(st.text("ab-", min_size=1, max_size=20), unique=True, max_size=8))
def test_shortened_names_fit_and_can_be_told_apart(names):
    short = shorten(names, 9)
    assert all(len(name) <= 9 for name in short)
    assert len({*short}) == len(names)


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_every_number_can_be_printed(value):
    assert decimals(value)
    assert cost_percent(abs(value))
    assert duration(abs(value))


def test_nothing_is_printed_as_negative_zero():
    assert decimals(-1e-9, signed=True) == "0.00"
    assert decimals(math.nan) == "-"


def test_columns_line_up():
    assert aligned([["a", "1.00"], ["long", "10.00"]]) == ["a      1.00", "long  10.00"]
