"""The numbers of a card as tables of text, for the terminal and for the page."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nassim.ranking.seeds import FEWEST
from nassim.reports.card.records import Card, DatasetCard, Noise
from nassim.reports.card.tables import BUDGETS, EPOCH_SHARES, ORDERS, SETTLED, at_share
from nassim.reports.text import shorten

__all__ = ["Sheet", "amount", "number", "sheets", "value"]

UNKNOWN = "n/a"
CROSSING_SHARE = 0.25


@dataclass(frozen=True)
class Sheet:
    """One table; the first cell of a row is its name."""

    key: str
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def sheets(card: Card) -> dict[str, Sheet]:
    """All tables of a card with runs, by their keys, in the order in which they are read."""
    makers = [_runs, _results, _noise, _apart, _search, _ranking, _power, _architectures]
    if len(card.datasets) > 1:
        makers.insert(6, _agreement)
    made = [make(card) for make in makers]
    return {sheet.key: sheet for sheet in made}


def number(value: float, digits: int, unit: str = "") -> str:
    """A number with fixed decimals.

    >>> number(0.1234, 2), number(0.5, 0, "%"), number(float("nan"), 2)
    ('0.12', '0%', 'n/a')
    """
    if math.isnan(value):
        return UNKNOWN
    return f"{round(value, digits) + 0.0:,.{digits}f}{unit}"  # no "-0.00"


def value(card: Card, amount: float, digits: int = 2) -> str:
    """A value of the metric: shares in percent, others as they are."""
    return number(100 * amount, digits) if card.is_share else number(amount, digits + 1)


def amount(card: Card, difference: float, digits: int = 2) -> str:
    """A difference with its unit."""
    return f"{value(card, difference, digits)} {unit(card)}"


def unit(card: Card) -> str:
    """Of a difference of values."""
    return "pp" if card.is_share else card.metric.name


def _rows(card: Card, cells: Callable[[DatasetCard], Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (label, *cells(made)) for label, made in zip(card.labels, card.datasets, strict=True)
    )


def _runs(card: Card) -> Sheet:
    def cells(made: DatasetCard) -> Sequence[str]:
        failed = [f"{n} {status}" for status, n in made.statuses.items() if status != "ok"]
        low, high = made.epochs
        return [
            str(made.n_runs),
            str(made.n_architectures),
            str(made.n_seeds),
            str(high) if low == high else f"{low}-{high}",
            str(made.statuses.get("ok", 0)),
            ", ".join(failed) or "0",
            *(number(s, _digits(s)) for s in (made.seconds.p10, made.seconds.median)),
            number(made.seconds.p90, _digits(made.seconds.p90)),
            number(made.total_seconds / 3600, 2),
        ]

    counted = ("", "runs", "architectures", "seeds", "epochs", "ok", "not ok")
    timed = ("s/run p10", "median", "p90", "hours")
    return Sheet(
        "runs", "Runs, and seconds of a successful one", counted + timed, _rows(card, cells)
    )


def _digits(seconds: float) -> int:
    return 0 if seconds >= 100 else 1 if seconds >= 1 else 3


def _results(card: Card) -> Sheet:
    rows = []
    for label, made in zip(card.labels, card.datasets, strict=True):
        for split, found in ({made.split: made.scores} | {"test": made.test}).items():
            spread = (found.minimum, found.p10, found.median, found.p90, found.maximum)
            numbers = [value(card, each) for each in (made.chance, made.majority, *spread)]
            rows.append((label, split, str(found.n), *numbers))
    in_percent = ", in percent" if card.is_share else ""
    header = ("", "split", "n", "chance", "majority", "min", "p10", "median", "p90", "max")
    return Sheet("results", f"Results over architectures{in_percent}", header, tuple(rows))


def _noise(card: Card) -> Sheet:
    def cells(noise: Noise) -> list[str]:
        deviations = [value(card, each, 3) for each in (noise.pooled, noise.median, noise.binomial)]
        ratio = noise.median / noise.binomial if noise.binomial else math.nan
        examples = f"{noise.examples:,}" if noise.examples else UNKNOWN
        return [noise.split, str(noise.architectures), *deviations[:2], examples, deviations[2],
                number(ratio, 1)]  # fmt: skip

    rows = [
        (label, *cells(noise))
        for label, made in zip(card.labels, card.datasets, strict=True)
        for noise in {made.split: made.noise, "test": made.test_noise}.values()
    ]
    title = f"Seed noise, and the noise of a split's size (s.d., {unit(card)})"
    header = ("", "split", "n with 2+ seeds", "seeds, pooled", "seeds, median", "examples",
              "binomial", "median / binomial")  # fmt: skip
    return Sheet("noise", title, header, tuple(rows))


def _apart(card: Card) -> Sheet:
    def cells(made: DatasetCard) -> Sequence[str]:
        return [
            value(card, made.spread),
            number(made.spread_ratio(made.noise.pooled), 1),
            number(made.spread_ratio(made.noise.median), 1),
            number(100 * made.apart_pooled, 1, "%"),
            number(100 * made.apart_median, 1, "%"),
            number(made.tau, 2),
            interval(made.tau_low, made.tau_high),
        ]

    title = (
        "Spread of architectures (p10-p90) against seed noise, pairs that one run of each tells "
        "apart, and one seed's ranking against another's"
    )
    header = ("", f"spread, {unit(card)}", "/ pooled", "/ median", "apart, pooled",
              "apart, median", "Kendall tau", "95% interval")  # fmt: skip
    return Sheet("apart", title, header, _rows(card, cells))


def interval(low: float, high: float) -> str:
    """Both ends of an interval.

    >>> interval(0.123, 0.5)
    '0.12 to 0.50'
    """
    return UNKNOWN if math.isnan(low) else f"{low:.2f} to {high:.2f}"


def _search(card: Card) -> Sheet:
    title = f"Random search: expected regret after so many architectures, {unit(card)}"
    return Sheet(
        "search",
        title,
        ("", *map(str, BUDGETS)),
        _rows(card, lambda made: [value(card, made.search.at(k)[0], 3) for k in BUDGETS]),
    )


def _ranking(card: Card) -> Sheet:
    def cells(made: DatasetCard) -> Sequence[str]:
        longest = made.epochs[1]
        epochs = [1, *(at_share(share, longest) for share in EPOCH_SHARES)]
        rhos = [number(_before_the_end(made, epoch)[0], 2) for epoch in epochs]
        crossing = _before_the_end(made, at_share(CROSSING_SHARE, longest))[1]
        settled = made.ranking.settled
        return [
            *rhos,
            f"{settled} of {longest}" if settled else UNKNOWN,
            number(100 * crossing, 1, "%"),
        ]

    title = (
        "Rank correlation (Spearman) of early values with results, the epoch from which on it is "
        f"{SETTLED} or more, and pairs that change order after {CROSSING_SHARE:.0%} of the epochs"
    )
    marks = (f"{share:.0%} of epochs" for share in EPOCH_SHARES)
    header = ("", "epoch 1", *marks, "settled", "crossing")
    return Sheet("ranking", title, header, _rows(card, cells))


def _before_the_end(made: DatasetCard, epoch: int) -> tuple[float, float]:
    return made.ranking.at(epoch) if epoch < made.epochs[1] else (math.nan, math.nan)


def _agreement(card: Card) -> Sheet:
    rows = [
        (label, *(f"{number(rho, 2)} ({n})" for rho, n in zip(rhos, counts, strict=True)))
        for label, rhos, counts in zip(
            card.labels, card.agreement.rho.tolist(), card.agreement.shared.tolist(), strict=True
        )
    ]
    title = (
        "Rank correlation (Spearman) between datasets, and the number of architectures shared "
        f"({UNKNOWN} below {FEWEST})"
    )
    return Sheet("agreement", title, ("", *shorten(card.labels, 12)), tuple(rows))


def _power(card: Card) -> Sheet:
    power = card.power
    rows = [
        (
            label,
            *(value(card, each) for each in power.deviations[d]),
            *(number(each, 0) for each in power.orders[d]),
            *(value(card, each) for each in power.visible[d]),
        )
        for d, label in enumerate(card.labels)
    ]
    if len(card.datasets) > 1:
        blank = ("",) * len(power.budgets)
        orders = (number(each, 0) for each in power.all_orders)
        rows.append(("mean of all", *blank, *orders, *blank))
    title = (
        f"Orders needed to see a gap of {amount(card, power.gap)} in mean regret between two "
        f"random searches (80% power, 5% two-sided); s.d. of a difference, and the gap that "
        f"{ORDERS} orders show, {unit(card)}"
    )
    header = ("", *(f"s.d.@{k}" for k in power.budgets), *(f"orders@{k}" for k in power.budgets),
              *(f"gap@{k}" for k in power.budgets))  # fmt: skip
    return Sheet("power", title, header, tuple(rows))


def _architectures(card: Card) -> Sheet:
    power = card.power
    rows = tuple(
        (
            label,
            number(power.seeds_pooled[d], 0),
            number(power.seeds_median[d], 0),
            value(card, power.resolvable[d]),
            number(power.examples[d], 0),
        )
        for d, label in enumerate(card.labels)
    )
    title = (
        f"Seeds of each of two architectures that are {amount(card, power.gap)} apart, to see it "
        f"on the same examples; on new examples: the gap that this split shows at best "
        f"({unit(card)}), and the examples needed"
    )
    header = ("", "seeds, pooled noise", "seeds, median noise", "smallest gap", "examples needed")
    return Sheet("architectures", title, header, rows)
