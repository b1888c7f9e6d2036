"""How many repetitions show a difference: normal theory, two-sided tests, plain functions.

The sizes are those of a t-test, by Guenther's correction of the normal formula ("Sample size
formulas for normal theory t tests", The American Statistician, 1981), which is exact to about one
repetition. Unknown (NaN) deviations give unknown sizes.
"""

from __future__ import annotations

import math
from statistics import NormalDist

from nassim.errors import InputError

__all__ = [
    "LEVEL",
    "POWER",
    "detectable_gap",
    "examples_needed",
    "repetitions_needed",
    "resolvable_gap",
    "runs_needed",
]

POWER = 0.8  # the chance to see a gap that is there
LEVEL = 0.05  # the chance to see one that is not, two-sided

_quantile = NormalDist().inv_cdf


def repetitions_needed(
    deviation: float, gap: float, *, power: float = POWER, level: float = LEVEL
) -> float:
    """Paired repetitions in which a mean difference of ``gap`` is seen; a whole number, or NaN.

    Parameters
    ----------
    deviation
        Standard deviation of the paired differences, in the unit of ``gap``.
    gap
        The true mean difference, above 0.

    >>> repetitions_needed(deviation=1.0, gap=0.5)
    34.0

    Raises
    ------
    InputError
        if the gap is not above 0, or a probability not between 0 and 1.
    """
    z = _checked(gap, power, level)
    ratio = (z + _quantile(power)) * deviation / gap
    return _whole(ratio * ratio + z**2 / 2)


def runs_needed(
    deviation: float, gap: float, *, power: float = POWER, level: float = LEVEL
) -> float:
    """Runs of each of two architectures whose means differ by ``gap``; a whole number, or NaN.

    ``deviation`` is that of a single run over seeds, the same for both.

    >>> runs_needed(deviation=1.0, gap=1.0)
    17.0

    Raises
    ------
    InputError
        as :func:`repetitions_needed`.
    """
    z = _checked(gap, power, level)
    ratio = (z + _quantile(power)) * deviation / gap
    return _whole(2 * ratio * ratio + z**2 / 4)


def detectable_gap(
    deviation: float, repetitions: int, *, power: float = POWER, level: float = LEVEL
) -> float:
    """The gap that so many paired repetitions show: :func:`repetitions_needed`, solved for it.

    >>> round(detectable_gap(deviation=1.0, repetitions=34), 2)
    0.49
    """
    z = _checked(1.0, power, level)
    freedom = repetitions - z**2 / 2
    return (z + _quantile(power)) * deviation / math.sqrt(freedom) if freedom > 0 else math.nan


def resolvable_gap(
    accuracy: float, examples: int, *, power: float = POWER, level: float = LEVEL
) -> float:
    """The gap of two accuracies that so many examples show, whatever the number of seeds.

    The two are taken to err independently. Architectures that err on the same examples are told
    apart better, so that this is an upper bound; of a claim about *these* examples alone it says
    nothing.

    >>> round(resolvable_gap(0.9, 10_000), 4)
    0.0119
    """
    z = _checked(1.0, power, level)
    if examples < 1 or math.isnan(accuracy):
        return math.nan
    return (z + _quantile(power)) * math.sqrt(2 * accuracy * (1 - accuracy) / examples)


def examples_needed(
    accuracy: float, gap: float, *, power: float = POWER, level: float = LEVEL
) -> float:
    """Examples that show a ``gap`` of two accuracies: :func:`resolvable_gap`, solved for them.

    >>> examples_needed(0.9, 0.01)
    14128.0
    """
    z = _checked(gap, power, level)
    ratio = (z + _quantile(power)) / gap
    return _whole(2 * accuracy * (1 - accuracy) * ratio * ratio, least=1)


def _checked(gap: float, power: float, level: float) -> float:
    """The normal quantile of the level, after the arguments were looked at."""
    if not 0 < gap < math.inf:
        raise InputError(f"gap is {gap}; expected a number above 0.")
    for name, share in (("power", power), ("level", level)):
        if not 0 < share < 1:
            raise InputError(f"{name} is {share}; expected a share between 0 and 1, as in 0.8.")
    return _quantile(1 - level / 2)


def _whole(size: float, least: int = 2) -> float:
    return float(max(least, math.ceil(size))) if math.isfinite(size) else size
