"""Checks of the options that methods are built with: each returns the value, or refuses it."""

from __future__ import annotations

import math

from nassim.errors import InputError

__all__ = ["check_count", "check_number", "check_share"]


def check_count(name: str, value: int, least: int = 1) -> int:
    """A whole number of at least ``least``, or an InputError.

    >>> check_count("steps", 0)
    Traceback (most recent call last):
    nassim.errors.InputError: Option steps is 0; expected a whole number, 1 or more.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(f"Option {name} is {value!r}; expected a whole number, {least} or more.")
    return value


def check_share(name: str, value: float) -> float:
    """A number in [0, 1], or an InputError."""
    if not (_is_number(value) and 0 <= value <= 1):
        raise InputError(f"Option {name} is {value!r}; expected a number from 0 to 1.")
    return float(value)


def check_number(
    name: str,
    value: float,
    *,
    least: float = 0,
    above: float = -math.inf,
    most: float = math.inf,
) -> float:
    """A finite number of at least ``least``, above ``above``, at most ``most``; or an InputError.

    >>> check_number("learning_rate", 0, above=0)
    Traceback (most recent call last):
    nassim.errors.InputError: Option learning_rate is 0; expected a number above 0.
    """
    if not (_is_number(value) and least <= value <= most and above < value < math.inf):
        low = f" above {above:g}" if above >= least else f", {least:g} or more"
        high = "" if most == math.inf else f", {most:g} at the most"
        raise InputError(f"Option {name} is {value!r}; expected a number{low}{high}.")
    return float(value)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
