"""What the numbers of a card come to, in sentences, and why a number is not there."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from nassim.ranking.seeds import FEWEST
from nassim.reports.card.records import Card, DatasetCard
from nassim.reports.card.sheets import amount
from nassim.reports.card.tables import MOST_CROSSED, ORDERS, SETTLED
from nassim.reports.text import plural

__all__ = ["definitions", "headline", "unknowns"]

ENOUGH = 4  # times the seed noise, which the spread of architectures should be


def headline(card: Card) -> list[str]:
    """The card in a few sentences, the favourable and the other by the same rules."""
    if not card.datasets:
        return []
    return [*_spread(card), *_seeds(card), *_sizes(card), *_agreement(card), *_orders(card)]


def _spread(card: Card) -> list[str]:
    known = [made for made in card.datasets if math.isfinite(made.noise.median)]
    if not known:
        return []
    by = [
        sum(made.spread_ratio(getattr(made.noise, kind)) > ENOUGH for made in known)
        for kind in ("median", "pooled")
    ]
    return [
        f"The spread of architectures (p10 to p90) is more than {ENOUGH} times the seed noise on "
        f"{by[0]} of {plural(len(known), 'dataset')} by the median deviation, on {by[1]} by the "
        "pooled one, which the noisiest architectures decide."
    ]


def _seeds(card: Card) -> list[str]:
    taus = [made.tau for made in card.datasets if math.isfinite(made.tau)]
    if not taus:
        return []
    return [
        f"One seed ranks the architectures with several seeds as another does with a Kendall tau "
        f"of {_range(taus)}."
    ]


def _range(values: Sequence[float]) -> str:
    low, high = (f"{end:.2f}" for end in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def _sizes(card: Card) -> list[str]:
    notes = []
    for split in ("search", "test"):
        noises = [made.noise if split == "search" else made.test_noise for made in card.datasets]
        known = [noise for noise in noises if math.isfinite(noise.median / (noise.binomial or 1))]
        known = [noise for noise in known if math.isfinite(noise.binomial)]
        if not known or (split == "test" and all(made.split == "test" for made in card.datasets)):
            continue
        seeds = sum(noise.median > noise.binomial for noise in known)
        name = "validation" if split == "search" and known[0].split == "valid" else known[0].split
        notes.append(
            f"On the {name} split, seed noise (median) is larger than the noise of its size "
            f"(binomial) on {seeds} of {plural(len(known), 'dataset')}."
        )
    return notes


def _agreement(card: Card) -> list[str]:
    found = card.agreement
    if not found.pairs:
        return []
    text = (
        f"Over {plural(found.pairs, 'pair')} of datasets, the results of shared architectures "
        f"correlate with a mean Spearman rho of {found.mean:.2f}"
    )
    if math.isfinite(found.mean_ceiling):
        text += f"; equal orders would reach {found.mean_ceiling:.2f}, given the seed noise"
    if 0 < found.pairs_apart < found.pairs:
        text += f". Between unrelated datasets (other groups) the mean is {found.mean_apart:.2f}"
    return [text + "."]


def _orders(card: Card) -> list[str]:
    power = card.power
    budget = next((b for b in (1, 0) if np.isfinite(power.orders[:, b]).any()), None)
    if budget is None:
        return []
    orders, visible = power.orders[:, budget], power.visible[:, budget]
    orders, visible = orders[np.isfinite(orders)], visible[np.isfinite(visible)]
    span = f"{orders.min():,.0f}"
    if orders.max() > orders.min():
        span += f" to {orders.max():,.0f}"
    shown = amount(card, float(visible.min()))
    if visible.max() > visible.min():
        shown += f" to {amount(card, float(visible.max()))}"
    return [
        f"To see a gap of {amount(card, power.gap)} in mean regret between two random searches of "
        f"{power.budgets[budget]} architectures takes {span} orders on one dataset; {ORDERS} "
        f"orders show a gap of {shown}."
    ]


def unknowns(card: Card) -> list[str]:
    """For each number that is missing somewhere: where, and why."""
    hits = card.metric.name in ("accuracy", "error")
    one = [card.datasets[0]] if card.datasets else []
    cases: list[tuple[str, str, Callable[[DatasetCard], bool]]] = [
        ("results", "no run has a value", lambda made: made.scores.n == 0),
        (
            "test results",
            "no test value was recorded",
            lambda made: made.test.n == 0 and made.split != "test",
        ),
        (
            "seed noise, ratios to it and pairs told apart",
            "no architecture has two measured runs",
            lambda made: made.scores.n > 0 and made.noise.architectures == 0,
        ),
        (
            "Kendall's tau between seeds",
            f"fewer than {FEWEST} architectures have two measured runs, or all are equal",
            lambda made: made.noise.architectures > 0 and math.isnan(made.tau),
        ),
        (
            "early ranks",
            "values are known at one epoch only",
            lambda made: made.scores.n >= FEWEST and np.isfinite(made.ranking.rho).sum() == 1,
        ),
        (
            "early ranks",
            f"fewer than {FEWEST} architectures have a value",
            lambda made: 0 < made.scores.n < FEWEST,
        ),
        (
            "early ranks",
            "all values at an epoch are equal, or nearly no curve is that long",
            lambda made: made.scores.n >= FEWEST and not np.isfinite(made.ranking.rho).any(),
        ),
        ("seconds", "no time was recorded", lambda made: made.seconds.n == 0),
    ]
    if hits:
        cases += [
            ("chance", "the number of classes is not known", lambda made: math.isnan(made.chance)),
            (
                "the majority level",
                "the store does not record how frequent the classes are",
                lambda made: math.isnan(made.majority),
            ),
            (
                "binomial noise and the smallest gap",
                "the size of the split is not known",
                lambda made: made.scores.n > 0 and not made.noise.examples,
            ),
        ]
    notes = []
    for what, why, missing in cases:
        where = [
            label for label, made in zip(card.labels, card.datasets, strict=True) if missing(made)
        ]
        if where:
            everywhere = len(where) == len(card.datasets)
            notes.append(f"{what}: {why}{'' if everywhere else f' ({_some(where)})'}.")
    if one and not hits:
        notes.append(
            f"chance, majority, binomial noise: {card.metric.name} does not count hits, so that "
            "neither classes nor the size of a split give a level or a noise."
        )
    if any(made.scores.n <= max(card.power.budgets) for made in card.datasets):
        notes.append(
            "regret and orders of large budgets: where a search trains every architecture, it "
            "finds the best."
        )
    if len(card.datasets) > 1 and math.isnan(card.agreement.mean_ceiling):
        notes.append(
            "the ceiling of the correlation between datasets: it needs two seeds of "
            f"{FEWEST} architectures on each, and {FEWEST} that they share."
        )
    return notes


def _some(names: Sequence[str], most: int = 8) -> str:
    """
    >>> _some(["a", "b", "c"], most=2)
    'a and 2 others'
    """
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} others"


def definitions(card: Card) -> list[tuple[str, str]]:
    """How each number came to be."""
    return [
        ("result", "the last measured value of a successful run; of an architecture, the mean "
         "over its seeds."),
        ("chance, majority", "what guessing gets with equally frequent classes; what naming the "
         "most frequent class of the validation examples gets."),
        ("seeds, pooled", "standard deviation over seeds of an architecture, the root of the mean "
         "variance; architectures with large noise decide it."),
        ("seeds, median", "the median of the architectures' deviations, each divided by the "
         "median that it would have, from so few seeds, under normal noise of deviation 1."),
        ("binomial", "sqrt(p (1 - p) / n): deviation of the median architecture's p over draws of "
         "n examples. Seeds see the same examples, so that it is not part of the seed noise, and "
         "more seeds do not make it smaller."),
        ("pairs told apart", "pairs whose results differ by more than 1.96 sqrt(2) deviations."),
        ("Kendall tau", "tau-b between first and second, first and third, ... run of each "
         "architecture with several, averaged; the interval draws architectures (bootstrap)."),
        ("settled", f"the first epoch from which on the Spearman correlation of the values with "
         f"the results of the same runs stays at {SETTLED} or more; one run of each "
         f"architecture, and those runs that are as long."),
        ("crossing", "share of pairs, untied at both times, whose order is not their final one; "
         f"above {MOST_CROSSED:,} architectures, of so many evenly spaced in the order of their "
         "names."),
        ("ceiling", "the square root of the product of two reliabilities (Spearman-Brown from the "
         "rank correlation of seeds, for as many seeds as were averaged). It is an estimate "
         "from few architectures, and measured correlations may exceed it."),
        ("intervals", "95%; of a correlation between datasets by Fisher's transformation "
         "(Bonett and Wright), over architectures, for these datasets."),
        ("random search", "exact mean and deviation over all draws without replacement."),
        ("orders", "repetitions of two searches that are independent of each other, for a paired "
         "t-test at 5%, two-sided, with 80% power. Methods that are given the same orders, as "
         "'nassim terminate' does, have correlated regrets and need fewer. More orders make the "
         "claim about these datasets surer, not that about others."),
        ("smallest gap", "of two architectures on new examples, for the number of examples of the "
         "split, if both err independently: an upper bound."),
    ]  # fmt: skip
