"""The early-termination track in numbers: regret and cost, comparisons, real seconds.

Every function takes the tables of ``nassim.studies.results`` and returns a frozen table of plain
numbers, which ``*_figure`` draws and ``page`` prints.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from nassim.errors import unknown_name
from nassim.ranking.intervals import grand_mean, holm, sign_test, smallest_sign_test
from nassim.records import FloatArray, IntArray
from nassim.reports.grid import (
    LEVEL,
    BoolArray,
    Grid,
    Measure,
    Settings,
    measure_of,
    nanmean,
    pool_of,
)
from nassim.reports.text import (
    NONE,
    aligned,
    cost_percent,
    decimals,
    digits_of,
    duration,
    p_value,
    plural,
    ratio,
    share_percent,
    shorten,
    times,
    wrapped,
)

__all__ = [
    "BUDGET_MATCHED",
    "ComparisonTable",
    "TerminationTable",
    "TimingsTable",
    "comparison_table",
    "termination_table",
    "timings_table",
]

BUDGET_MATCHED = "random search at the same cost"
TEXT_WIDTH = 120
TARGETS_A_BLOCK = 8  # columns of targets beside each other in a text table


@dataclass(frozen=True, eq=False)
class TerminationTable:
    """Regret and cost of M methods on T targets; methods from the dearest to the cheapest.

    ``regret``, ``test_regret`` and ``random_regret`` are in ``settings.unit``; ``cost`` is a share
    of training all candidates fully, ``trainings`` the same in mean full trainings;
    ``killed_best`` is the share of searches that did not train the best candidate to its end.
    ``random_regret`` is what full trainings in the same order reach for the method's own cost.
    ``learns`` (M,) marks methods that learn from other datasets.
    ``complete`` and ``front`` (M,) say whether a method was measured on every target, and whether
    it is on the cost-regret front of those that were. ``oracle_cost`` (T,) is the cost of training
    the best candidate and nothing else. ``orders`` and ``model_seeds`` (M,) count seeds (the most
    on any target).
    """

    settings: Settings
    versions: tuple[str, ...]
    methods: tuple[str, ...]
    learns: BoolArray
    targets: tuple[str, ...]
    candidates: IntArray
    full_seconds: FloatArray
    oracle_cost: FloatArray
    orders: IntArray
    model_seeds: IntArray
    complete: BoolArray
    regret: Measure
    cost: Measure
    test_regret: Measure
    random_regret: Measure
    killed_best: Measure
    trainings: Measure
    level: float

    @cached_property
    def dominators(self) -> tuple[tuple[str, ...], ...]:
        """For each method, those that are as good on both means and better on one."""
        regret, cost = self.regret.mean, self.cost.mean
        answer = []
        for m in range(len(self.methods)):
            as_good = (regret <= regret[m]) & (cost <= cost[m])
            better = (regret < regret[m]) | (cost < cost[m])
            found = np.flatnonzero(as_good & better & self.complete & self.complete[m])
            answer.append(tuple(self.methods[other] for other in found.tolist()))
        return tuple(answer)

    @property
    def front(self) -> BoolArray:
        """(M,) whether no other method dominates this one."""
        dominated = np.array([bool(names) for names in self.dominators])
        front: BoolArray = self.complete & ~dominated
        return front

    @property
    def speed_up(self) -> FloatArray:
        """(M,) how many times less than training everything: 1 / mean cost."""
        with np.errstate(divide="ignore"):
            answer: FloatArray = 1 / self.cost.mean
        return answer

    def amount(self, regret: float) -> str:
        """A regret in as many decimals as the table needs."""
        digits = digits_of(self.settings.unit, float(np.nanmax([*self.regret.mean, 0.0])))
        return decimals(regret, digits)

    @property
    def seeds_text(self) -> str:
        """``20 orders x 3 model seeds``."""
        text = plural(int(self.orders.max()), "order")
        if int(self.model_seeds.max()) > 1:
            text += f" x {int(self.model_seeds.max())} model seeds for methods that learn"
        return text

    def marks(self, m: int) -> str:
        """Footnote marks of a method: ``*`` front, ``†`` targets missing, ``‡`` leakage."""
        front = "*" if self.front[m] and len(self.methods) > 1 else ""
        return front + ("" if self.complete[m] else "†") + ("‡" if self.settings.leaks else "")

    def definitions(self) -> list[tuple[str, str]]:
        """What each word of the table means, as (word, meaning)."""
        s, unit = self.settings, self.settings.unit
        regret = f"distance of the pick to the best of the pool, in units of {unit}"
        if unit == "pp":
            regret = "100 x (best of the pool - pick), in percentage points (pp)"
        n = len(self.targets)
        per_cent = f"{100 * self.level:g}%"
        most = "best" if s.quality == "max" else "last"
        searched = {"merged": "validation and test in one", "test-seen": "the test set"}
        split = searched.get(s.leakage, "validation")
        definitions = [
            (
                "regret",
                f"{regret}, on {split}; the value of a run is "
                f"its {most} one, of a candidate the mean over its training seeds",
            ),
            (
                "test",
                "(best test value of the pool - that of the pick, which was chosen on "
                f"{split}); {NONE} where test was not measured",
            ),
            (
                "cost",
                "recorded training seconds that were charged, as a share of training every "
                "candidate fully; 'trainings': the same in mean full trainings; 'speed-up': "
                "1 / mean cost",
            ),
            (
                "random",
                "regret of full trainings in the same order for the same cost, at least one; what "
                "a method does not beat, it does not earn",
            ),
            (
                "killed",
                "share of searches in which the best candidate was not trained to its end",
            ),
            (
                "oracle",
                "trains the best candidate and nothing else; no method can cost less without "
                "regret",
            ),
            (
                per_cent,
                f"bootstrap interval of the mean over {plural(n, 'dataset')}: datasets are drawn, "
                "then seeds"
                + (
                    "; one dataset, so the interval says nothing about other datasets"
                    if n == 1
                    else "; from so few datasets it is too narrow"
                    if n < 20  # below, coverage is under 93%: see nassim.ranking.intervals
                    else ""
                ),
            ),
        ]
        if len(self.methods) > 1:
            definitions.append(
                (
                    "*",
                    "on the cost-regret front: no other method is as good on both means and "
                    "better on one",
                )
            )
        if not self.complete.all():
            definitions.append(
                ("†", "not measured on every target: its means are not comparable, no front")
            )
        if s.leaks:
            definitions.append(
                (
                    "‡",
                    f"leakage '{s.leakage}': the search itself saw {split}, so this is no "
                    "estimate of what a search on validation would reach",
                )
            )
        if smallest_sign_test(n) > 1 - self.level:
            definitions.append(
                (
                    "test of significance",
                    f"with {plural(n, 'dataset')} no two-sided sign test can reach p < "
                    f"{smallest_sign_test(n):.3g}: read effect sizes and intervals",
                )
            )
        return definitions

    def to_text(self, width: int = TEXT_WIDTH) -> str:
        """Both tables and the definitions for a terminal, at most ``width`` columns where the
        names of the methods allow it."""
        lines = wrapped(self.title, width)
        lines += ["", *self._summary_lines(width)]
        for start in range(0, len(self.targets), TARGETS_A_BLOCK):
            lines += [
                "",
                *self._target_lines(range(len(self.targets))[start:][:TARGETS_A_BLOCK], width),
            ]
        lines.append("")
        for word, meaning in self.definitions():
            lines += wrapped(f"{word}: {meaning}.", width)
        return "\n".join(lines)

    @property
    def title(self) -> str:
        """One line that says what was compared on what."""
        s = self.settings
        low, high = int(self.candidates.min()), int(self.candidates.max())
        sizes = f"{low}" if low == high else f"{low} to {high}"
        text = (
            f"Early termination on {s.store} ({plural(len(self.targets), 'dataset')}, pool "
            f"{s.pool}, {sizes} candidates each; leave one {s.leave_out} out; {self.seeds_text}"
        )
        if s.workers > 1:
            text += f"; {s.workers} simulated workers"
        if s.accounting != "continue":
            text += f"; accounting: {s.accounting}"
        if s.source != "tabular":
            text += f"; source: {s.source}"
        return text + ")"

    def _summary_lines(self, width: int) -> list[str]:
        interval = f"[{100 * self.level:g}%]"
        unit = self.settings.unit
        header = [
            *("", "method", f"regret {unit}", interval, "random", "test"),
            *("cost %", interval, "trainings", "speed-up", "killed"),
        ]
        rows = [header]
        for m in range(len(self.methods)):
            rows.append(
                [
                    self.marks(m),
                    "",
                    self.amount(self.regret.mean[m]),
                    _bracket(self.amount, self.regret.low[m], self.regret.high[m]),
                    self.amount(self.random_regret.mean[m]),
                    self.amount(self.test_regret.mean[m]),
                    cost_percent(self.cost.mean[m]),
                    _bracket(cost_percent, self.cost.low[m], self.cost.high[m]),
                    decimals(self.trainings.mean[m], 1),
                    times(self.speed_up[m]),
                    share_percent(self.killed_best.mean[m]),
                ]
            )
        oracle = float(np.mean(self.oracle_cost))
        trainings = float(np.mean(self.oracle_cost * self.candidates))
        rows.append(
            [
                *("", "oracle", self.amount(0.0), "", "", "", cost_percent(oracle), ""),
                *(decimals(trainings, 1), times(1 / oracle), share_percent(0.0)),
            ]
        )
        return _with_names(rows, self.methods, 1, width)

    def _target_lines(self, chosen: range, width: int) -> list[str]:
        names = shorten(self.targets, 12 if len(chosen) < 7 else 10)
        rows = [["", f"regret {self.settings.unit} / cost %", *(names[t] for t in chosen)]]
        for m in range(len(self.methods)):
            cells = [
                f"{self.amount(self.regret.cells[m, t])}/{cost_percent(self.cost.cells[m, t]):<4}"
                if np.isfinite(self.regret.cells[m, t])
                else NONE
                for t in chosen
            ]
            rows.append([self.marks(m), "", *cells])
        oracle = [f"{self.amount(0.0)}/{cost_percent(self.oracle_cost[t]):<4}" for t in chosen]
        rows.append(["", "oracle", *oracle])
        rows.append(
            ["", "training everything", *map(self.settings.time, self.full_seconds[chosen])]
        )
        return _with_names(rows, self.methods, 1, width)


@dataclass(frozen=True, eq=False)
class ComparisonTable:
    """Paired differences of M methods to one baseline, on T targets; negative is better.

    ``regret`` holds regret(method) - regret(baseline) in ``unit``, paired by order, over the
    targets and orders that both have. ``cost_ratio`` (M,) is mean cost / mean cost of the
    baseline. ``better``, ``worse`` and ``tied`` (M,) count datasets by the sign of the mean
    difference; ``p`` and ``p_holm`` (M,) are of the exact sign test over datasets.
    """

    baseline: str
    unit: str
    methods: tuple[str, ...]
    targets: tuple[str, ...]
    regret: Measure
    cost_ratio: FloatArray
    better: IntArray
    worse: IntArray
    tied: IntArray
    p: FloatArray
    p_holm: FloatArray
    level: float

    def amount(self, difference: float) -> str:
        """A difference in as many decimals as the table needs."""
        largest = float(np.nanmax([*np.abs(self.regret.mean), 0.0]))
        return decimals(difference, digits_of(self.unit, largest), signed=True)

    def definitions(self) -> list[tuple[str, str]]:
        """What each word of the table means, as (word, meaning)."""
        n = len(self.targets)
        return [
            (
                "difference",
                f"mean regret of the method - that of {self.baseline}, in the same orders; "
                "negative is better; read it together with the cost ratio",
            ),
            ("better / worse", "datasets on which the mean difference is below / above zero"),
            (
                "p",
                "two-sided exact sign test over datasets (ties left out), adjusted after Holm for "
                f"{plural(len(self.methods), 'comparison')}; with {plural(n, 'dataset')} it cannot "
                f"fall below {smallest_sign_test(n):.3g} before the adjustment",
            ),
        ]

    def to_text(self, width: int = TEXT_WIDTH) -> str:
        """The table for a terminal."""
        interval = f"[{100 * self.level:g}%]"
        rows = [
            [
                *("method", f"difference {self.unit}", interval),
                *("better", "worse", "tied", "p", "p (Holm)", "cost ratio"),
            ]
        ]
        for m in range(len(self.methods)):
            rows.append(
                [
                    "",
                    self.amount(self.regret.mean[m]),
                    _bracket(self.amount, self.regret.low[m], self.regret.high[m]),
                    *(f"{count[m]}" for count in (self.better, self.worse, self.tied)),
                    p_value(self.p[m]),
                    p_value(self.p_holm[m]),
                    ratio(self.cost_ratio[m]),
                ]
            )
        lines = [f"Against {self.baseline}", "", *_with_names(rows, self.methods, 0, width), ""]
        for word, meaning in self.definitions():
            lines += wrapped(f"{word}: {meaning}.", width)
        return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class TimingsTable:
    """Real seconds of the methods' own computing on the machine of the study, (M,) each.

    ``fit`` is the mean of one fit (one target, one model seed); ``search`` the mean of replaying
    all orders after it. Neither moves the virtual clock.
    """

    methods: tuple[str, ...]
    fits: IntArray
    fit: FloatArray
    fit_most: FloatArray
    search: FloatArray

    def to_text(self) -> str:
        """The table for a terminal."""
        rows = [["method", "fits", "a fit", "longest fit", "replay of all orders"]]
        for m, name in enumerate(self.methods):
            seconds = (self.fit[m], self.fit_most[m], self.search[m])
            rows.append([name, f"{self.fits[m]}", *map(duration, seconds)])
        return "\n".join(aligned(rows))


def termination_table(
    results: pa.Table,
    pool: pa.Table | None = None,
    *,
    level: float = LEVEL,
    seed: int = 0,
) -> TerminationTable:
    """Regret and cost of every method on every target.

    Parameters
    ----------
    results
        Rows of one combination of settings; several files may be concatenated.
    pool
        The candidates; gives the oracle its exact cost. Without it, the best candidate is taken
        to cost as much as the mean one.
    level
        Of the intervals.
    seed
        Of the bootstrap.

    Raises
    ------
    InputError
        if there are no rows, several settings, or the same search twice with different results.
    """
    grid = Grid(results)
    regret = grid.measure("regret_valid_pp", level, seed)
    cost = grid.measure("cost_fraction", level, seed)
    order = np.lexsort((regret.mean, -cost.mean))  # by cost downwards, then by regret
    candidates = grid.of_target("candidates").astype(np.int64)
    methods = tuple(grid.methods[m] for m in order.tolist())
    oracle_cost = 1.0 / candidates
    if pool is not None:
        for t, target in enumerate(grid.targets):
            found = pool_of(pool, results, target)
            best = found.quality == found.quality.max()
            oracle_cost[t] = found.full_seconds[best].min() / found.full_seconds.sum()
    return TerminationTable(
        settings=grid.settings,
        versions=tuple(sorted(set(results.column("nassim_version").to_pylist()))),
        methods=methods,
        learns=grid.of_method("learns")[order],
        targets=grid.targets,
        candidates=candidates,
        full_seconds=grid.of_target("full_seconds"),
        oracle_cost=oracle_cost,
        orders=grid.orders[order],
        model_seeds=grid.model_seeds[order],
        complete=np.isfinite(regret.take(order).cells).sum(axis=1) == len(grid.targets),
        regret=regret.take(order),
        cost=cost.take(order),
        test_regret=grid.measure("regret_test_pp", level, seed).take(order),
        random_regret=grid.measure("random_regret_pp", level, seed).take(order),
        killed_best=grid.measure("killed_best", level, seed).take(order),
        trainings=grid.measure("cost_fraction", level, seed, scale=candidates).take(order),
        level=level,
    )


def comparison_table(
    results: pa.Table,
    baseline: str | None = None,
    *,
    level: float = LEVEL,
    seed: int = 0,
) -> ComparisonTable:
    """Every method against one baseline, paired by order.

    Parameters
    ----------
    results
        As in :func:`termination_table`.
    baseline
        A method of the results, or :data:`BUDGET_MATCHED`: each method against full trainings in
        its own orders at its own cost. By default ``last_value``, else ``never``, else the latter.
    level, seed
        As in :func:`termination_table`.

    Raises
    ------
    UnknownNameError
        if no method of the results is called so.
    InputError
        as in :func:`termination_table`.
    """
    grid = Grid(results)
    if baseline is None:
        known = [name for name in ("last_value", "never") if name in grid.methods]
        baseline = known[0] if known else BUDGET_MATCHED
    elif baseline != BUDGET_MATCHED and baseline not in grid.methods:
        raise unknown_name("method of these results", baseline, (*grid.methods, BUDGET_MATCHED))
    regrets, costs = grid.values("regret_valid_pp"), grid.values("cost_fraction")
    if baseline == BUDGET_MATCHED:
        references = grid.values("random_regret_pp")
        reference_costs = costs
        chosen = list(range(len(grid.methods)))
    else:
        # a baseline that learns is averaged over its model seeds: no fit is paired with another's
        b = grid.methods.index(baseline)
        references = np.broadcast_to(nanmean(regrets[b], axis=-1)[None, ..., None], regrets.shape)
        reference_costs = np.broadcast_to(nanmean(costs[b], -1)[None, ..., None], costs.shape)
        chosen = [m for m in range(len(grid.methods)) if m != b]
    differences = regrets - references
    paired = np.where(np.isnan(differences), np.nan, costs)
    measures = measure_of(differences[chosen], level, seed)
    ratios = [
        grand_mean(list(paired[m]))
        / grand_mean(list(np.where(np.isnan(paired[m]), np.nan, reference_costs[m])))
        for m in chosen
    ]
    order = np.argsort(measures.mean, kind="stable")
    regret = measures.take(order)
    signs = np.sign(np.round(regret.cells, 9))  # equal up to rounding is a tie
    p = np.array([sign_test(cells) for cells in signs])
    p[np.isnan(regret.mean)] = np.nan
    return ComparisonTable(
        baseline=baseline,
        unit=grid.settings.unit,
        methods=tuple(grid.methods[chosen[m]] for m in order.tolist()),
        targets=grid.targets,
        regret=regret,
        cost_ratio=np.array(ratios)[order] if ratios else np.zeros(0),
        better=(signs < 0).sum(axis=1),
        worse=(signs > 0).sum(axis=1),
        tied=(signs == 0).sum(axis=1),
        p=p,
        p_holm=holm(p),
        level=level,
    )


def timings_table(timings: pa.Table) -> TimingsTable:
    """Real seconds of the methods' own computing, over all targets and model seeds."""
    methods = timings.column("method").to_pylist()
    fit = np.array(timings.column("fit_seconds").to_pylist(), np.float64)
    search = np.array(timings.column("search_seconds").to_pylist(), np.float64)
    names = tuple(dict.fromkeys(methods))
    rows = [np.array([m == name for m in methods]) for name in names]
    return TimingsTable(
        methods=names,
        fits=np.array([int(chosen.sum()) for chosen in rows]),
        fit=np.array([fit[chosen].mean() for chosen in rows]),
        fit_most=np.array([fit[chosen].max() for chosen in rows]),
        search=np.array([search[chosen].mean() for chosen in rows]),
    )


def _with_names(
    rows: list[list[str]], methods: Sequence[str], column: int, width: int
) -> list[str]:
    """Aligned lines of rows (a header, one a method, others) with as much of the methods' names
    in ``column`` as the width allows."""
    taken = max(len(line) for line in aligned(rows, left=column + 1))
    own = max(len(row[column]) for row in rows)
    for row, name in zip(rows[1:], shorten(methods, max(12, width - taken + own)), strict=False):
        row[column] = name
    return aligned(rows, left=column + 1)


def _bracket(form: Callable[[float], str], low: float, high: float) -> str:
    return f"[{form(low)}, {form(high)}]" if math.isfinite(low) else ""
