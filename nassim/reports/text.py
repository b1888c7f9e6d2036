"""Numbers and tables as text for a terminal."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

__all__ = [
    "aligned",
    "cost_percent",
    "decimals",
    "digits_of",
    "duration",
    "p_value",
    "plural",
    "ratio",
    "share_percent",
    "shorten",
    "times",
    "wrapped",
]

NONE = "-"  # printed where there is no number


def decimals(value: float, digits: int = 2, signed: bool = False) -> str:
    """A number with fixed decimals, or a dash; large or tiny ones with three digits.

    >>> decimals(0.1234), decimals(-0.001), decimals(0.5, signed=True), decimals(float("nan"))
    ('0.12', '0.00', '+0.50', '-')
    >>> decimals(123456.7)
    '1.23e+05'
    """
    if not math.isfinite(value):
        return NONE
    if abs(value) >= 10_000:
        return f"{value:+.3g}" if signed else f"{value:.3g}"
    value = round(value, digits) + 0.0  # no "-0.00"
    return f"{value:+.{digits}f}" if signed and value else f"{value:.{digits}f}"


def cost_percent(share: float) -> str:
    """A share of the full cost in percent, without the sign.

    >>> [cost_percent(share) for share in (1.0, 0.3344, 0.0575, 0.00523, 0.000123, 1.25)]
    ['100', '33.4', '5.8', '0.52', '0.012', '125']
    """
    percent = 100 * share
    if not math.isfinite(percent):
        return NONE
    if percent >= 99.95:
        return f"{percent:.0f}"
    if percent >= 0.995:
        return f"{percent:.1f}"
    return f"{percent:.2f}" if percent >= 0.095 else f"{percent:.2g}"


def share_percent(share: float) -> str:
    """A share in whole percent.

    >>> share_percent(0.345), share_percent(float("nan"))
    ('34%', '-')
    """
    return f"{100 * share:.0f}%" if math.isfinite(share) else NONE


def times(factor: float) -> str:
    """How many times less.

    >>> times(2.94), times(38.1), times(float("inf"))
    ('2.9x', '38x', '-')
    """
    if not math.isfinite(factor):
        return NONE
    return f"{factor:.1f}x" if factor < 9.95 else f"{factor:.0f}x"


def ratio(value: float) -> str:
    """
    >>> ratio(36.667), ratio(0.333), ratio(0.0123)
    ('36.7', '0.33', '0.012')
    """
    if not math.isfinite(value):
        return NONE
    if value >= 9.95:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.095 else f"{value:.2g}"


def digits_of(unit: str, largest: float) -> int:
    """Decimals to print regrets with: two for percentage points, else two digits of the largest.

    >>> digits_of("pp", 0.004), digits_of("perplexity", 12.0), digits_of("mse", 0.0123)
    (2, 2, 3)
    """
    if unit == "pp" or not 0 < largest < math.inf:
        return 2
    return min(6, max(2, 1 - math.floor(math.log10(largest))))


def p_value(p: float) -> str:
    """
    >>> p_value(0.0625), p_value(1.0), p_value(0.00001), p_value(float("nan"))
    ('0.0625', '1', '<0.0001', '-')
    """
    if not math.isfinite(p):
        return NONE
    if p < 0.0001:
        return "<0.0001"
    return f"{p:.3g}" if p >= 0.001 else f"{p:.4f}"


def duration(seconds: float) -> str:
    """Seconds in the unit that reads best.

    >>> duration(0.0123), duration(75), duration(36_000), duration(4_000_000)
    ('12 ms', '75 s', '10.0 h', '1,111 h')
    """
    if not math.isfinite(seconds):
        return NONE
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 600:
        return f"{seconds:.0f} s"
    hours = seconds / 3600
    return f"{hours:.1f} h" if hours < 100 else f"{hours:,.0f} h"


def plural(count: int, noun: str) -> str:
    """
    >>> plural(1, "dataset"), plural(5, "dataset")
    ('1 dataset', '5 datasets')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def shorten(names: Sequence[str], width: int) -> list[str]:
    """Names of at most ``width`` characters that can still be told apart.

    The middle is left out, because both ends tell names apart; where that is not enough, a
    number at the end does.

    >>> shorten(["cifar10", "kuzushiji-mnist", "kuzushiji-49"], 9)
    ['cifar10', 'kuzu…nist', 'kuzu…i-49']
    >>> shorten(["task-aaaaaa-01", "task-bbbbbb-01"], 7)
    ['task…-1', 'task…-2']
    """
    short = [name if len(name) <= width else _elided(name, width) for name in names]
    alike = {name for name in short if short.count(name) > 1}
    for number, name in enumerate(names):
        if short[number] in alike and len(name) > width:
            tail = f"…-{number + 1}"
            short[number] = name[: max(1, width - len(tail))] + tail
    return short


def _elided(name: str, width: int) -> str:
    tail = (width - 1) // 2
    return name[: width - 1 - tail] + "…" + name[len(name) - tail :]


def aligned(rows: Sequence[Sequence[str]], *, left: int = 1, gap: str = "  ") -> list[str]:
    """Lines of a table: the first ``left`` columns to the left, the others to the right.

    >>> aligned([["a", "x"], ["bcd", "10"]])
    ['a     x', 'bcd  10']
    """
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        gap.join(
            cell.ljust(width) if at < left else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def wrapped(text: str, width: int, indent: str = "  ") -> list[str]:
    """A sentence on lines of at most ``width``; the following lines are indented."""
    return textwrap.wrap(
        text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
