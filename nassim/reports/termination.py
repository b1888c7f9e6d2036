"""The early-termination track in numbers: what ``*_figure`` draws and ``page`` prints.

Every function takes the tables of ``nassim.studies.results`` (``pyarrow.Table``) and returns a
frozen table of plain numbers. Results of several files may be concatenated; rows of different
settings (store, pool, accounting, ...) do not belong in one table and are told apart by
:func:`split_settings`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from nassim.errors import InputError, unknown_name
from nassim.ranking.intervals import (
    bootstrap_interval,
    grand_mean,
    holm,
    sign_test,
    smallest_sign_test,
    standard_error,
)
from nassim.records import FloatArray, IntArray
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
    "AnytimeTable",
    "ComparisonTable",
    "CurvesTable",
    "Measure",
    "Settings",
    "TerminationTable",
    "TimingsTable",
    "anytime_table",
    "comparison_table",
    "curves_table",
    "split_settings",
    "termination_table",
    "timings_table",
]

BUDGET_MATCHED = "random search at the same cost"
LEVEL = 0.95
TEXT_WIDTH = 120
TARGETS_A_BLOCK = 8  # columns of targets beside each other in a text table

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Settings:
    """What the rows of one table have in common."""

    store: str
    store_sha: str
    space: str
    metric: str
    pool: str
    leave_out: str
    quality: str
    runs: str
    seed: int
    optimizer: str
    workers: int
    accounting: str
    leakage: str
    source: str

    @property
    def unit(self) -> str:
        """Of a regret: percentage points of accuracy, or the metric's own unit."""
        return "pp" if self.metric == "accuracy" else self.metric

    @property
    def leaks(self) -> bool:
        """Whether the search saw what a test should have kept."""
        return self.leakage != "none"


@dataclass(frozen=True, eq=False)
class Measure:
    """One quantity of M methods on T targets.

    ``cells`` and ``errors`` (M, T) are mean and standard error over seeds; ``mean``, ``low`` and
    ``high`` (M,) the mean over targets and its bootstrap interval. NaN: not measured.
    """

    cells: FloatArray
    errors: FloatArray
    mean: FloatArray
    low: FloatArray
    high: FloatArray

    def take(self, order: IntArray) -> Measure:
        """The same with the methods in another order."""
        return Measure(*(getattr(self, name)[order] for name in self.__dataclass_fields__))


@dataclass(frozen=True, eq=False)
class TerminationTable:
    """Regret and cost of M methods on T targets; methods from the dearest to the cheapest.

    ``regret``, ``test_regret`` and ``random_regret`` are in ``settings.unit``; ``cost`` is a share
    of training all candidates fully, ``trainings`` the same in mean full trainings;
    ``killed_best`` is the share of searches that did not train the best candidate to its end.
    ``random_regret`` is what full trainings in the same order reach for the method's own cost.
    ``complete`` and ``front`` (M,) say whether a method was measured on every target, and whether
    it is on the cost-regret front of those that were. ``oracle_cost`` (T,) is the cost of training
    the best candidate and nothing else. ``orders`` and ``model_seeds`` (M,) count seeds (the most
    on any target).
    """

    settings: Settings
    versions: tuple[str, ...]
    methods: tuple[str, ...]
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
        rows.append(["", "training everything", *(duration(self.full_seconds[t]) for t in chosen)])
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
class AnytimeTable:
    """Regret of the incumbent over cost, for M methods on T targets and, last, on all of them.

    ``costs`` (G,) are shares of the full cost on a logarithmic grid; ``median``, ``low`` and
    ``high`` (M, T + 1, G) the median and quartiles over seeds (on all targets: over targets and
    seeds, every target with the same weight), NaN until so many searches have an incumbent.
    ``ends`` (M, T + 1) is the median cost at which a method was done. A search without an
    incumbent counts as infinitely bad.
    """

    settings: Settings
    methods: tuple[str, ...]
    targets: tuple[str, ...]
    costs: FloatArray
    median: FloatArray
    low: FloatArray
    high: FloatArray
    ends: FloatArray

    @property
    def unit(self) -> str:
        return self.settings.unit


@dataclass(frozen=True, eq=False)
class CurvesTable:
    """What one search did: N candidates and their curves of E epochs.

    ``curves`` (N, E) is in percent for accuracies, else in the metric with the sign that makes
    higher better; NaN past a run's end. ``trained`` (N,) counts epochs paid for, ``lengths`` (N,)
    those recorded; ``kept`` (N,) were trained to their end. ``pick`` and ``best`` are rows.
    """

    settings: Settings
    method: str
    target: str
    order_seed: int
    model_seed: int
    curves: FloatArray
    lengths: IntArray
    trained: IntArray
    kept: BoolArray
    pick: int
    best: int
    regret: float
    cost: float


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


def split_settings(results: pa.Table) -> list[pa.Table]:
    """The rows of each combination of settings, in the order in which they first appear."""
    names = _setting_columns(results)
    columns = [results.column(name).to_pylist() for name in names]
    rows: dict[tuple[object, ...], list[int]] = {}
    for row, key in enumerate(zip(*columns, strict=True)):
        rows.setdefault(key, []).append(row)
    return [results.take(pa.array(chosen)) for chosen in rows.values()]


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
    grid = _Grid(results)
    regret = grid.measure("regret_valid_pp", level, seed)
    cost = grid.measure("cost_fraction", level, seed)
    order = np.lexsort((regret.mean, -cost.mean))  # by cost downwards, then by regret
    candidates = grid.of_target("candidates").astype(np.int64)
    methods = tuple(grid.methods[m] for m in order.tolist())
    oracle_cost = 1.0 / candidates
    if pool is not None:
        for t, target in enumerate(grid.targets):
            found = _pool_of(pool, results, target)
            best = found.quality == found.quality.max()
            oracle_cost[t] = found.full_seconds[best].min() / found.full_seconds.sum()
    return TerminationTable(
        settings=grid.settings,
        versions=tuple(sorted(set(results.column("nassim_version").to_pylist()))),
        methods=methods,
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
    grid = _Grid(results)
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
        references = np.broadcast_to(_nanmean(regrets[b], axis=-1)[None, ..., None], regrets.shape)
        reference_costs = np.broadcast_to(_nanmean(costs[b], -1)[None, ..., None], costs.shape)
        chosen = [m for m in range(len(grid.methods)) if m != b]
    differences = regrets - references
    paired = np.where(np.isnan(differences), np.nan, costs)
    measures = _measure(differences[chosen], level, seed)
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


def anytime_table(
    results: pa.Table,
    methods: Sequence[str] | None = None,
    *,
    least: float = 0.005,
    points: int = 200,
) -> AnytimeTable:
    """Median and quartiles of the incumbent's regret over cost.

    Parameters
    ----------
    results
        As in :func:`termination_table`.
    methods
        Some of the methods, in this order; all by default, from the dearest to the cheapest.
    least, points
        The grid begins at this share of the full cost, or earlier if a search ended earlier, and
        has so many points.

    Raises
    ------
    UnknownNameError
        if no method of the results is called so.
    InputError
        as in :func:`termination_table`.
    """
    grid = _Grid(results)
    if methods is None:
        spent = grid.measure("cost_fraction", LEVEL, 0).mean
        methods = [grid.methods[m] for m in np.argsort(-spent, kind="stable").tolist()]
    for name in methods:
        if name not in grid.methods:
            raise unknown_name("method of these results", name, grid.methods)
    ended = grid.elapsed[grid.elapsed > 0]  # not NaN
    costs = np.geomspace(min(least, *ended), max(1.0, *ended), points)
    shape = (len(methods), len(grid.targets) + 1)
    quartiles = np.full((3, *shape, points), np.nan)
    ends = np.full(shape, np.nan)
    for at, name in enumerate(methods):
        m = grid.methods.index(name)
        steps = [grid.traces(m, t, costs) for t in range(len(grid.targets))]
        elapsed = [grid.elapsed[m, t].ravel() for t in range(len(grid.targets))]
        elapsed = [found[np.isfinite(found)] for found in elapsed]
        for t in range(len(grid.targets) + 1):
            some = range(len(grid.targets)) if t == len(grid.targets) else [t]
            weights = np.concatenate(
                [np.full(len(steps[k]), 1 / max(1, len(steps[k]))) for k in some]
            )
            stacked = np.concatenate([steps[k] for k in some])
            if not len(stacked):
                continue
            for q, share in enumerate((0.25, 0.5, 0.75)):
                quartiles[q, at, t] = _weighted_quantile(stacked, weights, share)
            ended = np.concatenate([elapsed[k] for k in some])[:, None]
            ends[at, t] = _weighted_quantile(ended, weights, 0.5)[0]
    quartiles[np.isinf(quartiles)] = np.nan
    return AnytimeTable(
        settings=grid.settings,
        methods=tuple(methods),
        targets=grid.targets,
        costs=costs,
        low=quartiles[0],
        median=quartiles[1],
        high=quartiles[2],
        ends=ends,
    )


def curves_table(
    results: pa.Table,
    pool: pa.Table,
    method: str,
    target: str,
    order_seed: int | None = None,
    model_seed: int | None = None,
) -> CurvesTable:
    """What one search did with every candidate.

    Parameters
    ----------
    results, pool
        As in :func:`termination_table`.
    method, target
        Of the results.
    order_seed, model_seed
        The lowest of the results by default.

    Raises
    ------
    UnknownNameError
        if the results have no such method or target.
    InputError
        if they have no such search, or the pool does not belong to them.
    """
    grid = _Grid(results)
    for kind, name, known in (
        ("method of these results", method, grid.methods),
        ("target of these results", target, grid.targets),
    ):
        if name not in known:
            raise unknown_name(kind, name, known)
    row = grid.row(method, target, order_seed, model_seed)
    found = _pool_of(pool, results, target)
    record = (
        results.select(
            [
                "order_seed",
                "model_seed",
                "pick",
                "regret_valid_pp",
                "cost_fraction",
                "epochs_trained",
            ]
        )
        .slice(row, 1)
        .to_pylist()[0]
    )
    scale = 100.0 if grid.settings.metric == "accuracy" else 1.0
    lengths = np.array([len(curve) for curve in found.curves])
    curves = np.full((len(lengths), int(lengths.max())), np.nan)
    for candidate, curve in enumerate(found.curves):
        curves[candidate, : len(curve)] = curve
    curves[~np.isfinite(curves)] = np.nan
    trained = np.array(record["epochs_trained"])
    return CurvesTable(
        settings=grid.settings,
        method=method,
        target=target,
        order_seed=record["order_seed"],
        model_seed=record["model_seed"],
        curves=scale * curves,
        lengths=lengths,
        trained=trained,
        kept=(trained >= lengths) & (lengths > 0),
        pick=found.architectures.index(record["pick"]),
        best=int(np.argmax(found.quality)),
        regret=record["regret_valid_pp"],
        cost=record["cost_fraction"],
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


class _Grid:
    """Rows of one combination of settings as arrays (methods, targets, orders, model seeds)."""

    def __init__(self, results: pa.Table) -> None:
        names = _setting_columns(results)
        if results.num_rows == 0:
            raise InputError("The results have no rows; run 'nassim terminate' first.")
        values = {}
        for name in names:
            found = list(dict.fromkeys(results.column(name).to_pylist()))
            if len(found) > 1:
                raise InputError(
                    f"The results mix {name} {found[0]!r} and {found[1]!r}, which do not belong "
                    "in one table; tell them apart with split_settings()."
                )
            values[name] = found[0]
        if (study := values.pop("study")) != "termination":
            raise InputError(
                f"These are results of study {study!r}; expected those of 'nassim terminate'."
            )
        stores = dict.fromkeys(results.column("store").to_pylist())
        self.settings = Settings(store=" = ".join(stores), **values)
        self._results = results
        self.methods: tuple[str, ...] = tuple(dict.fromkeys(results.column("method").to_pylist()))
        self.targets: tuple[str, ...] = tuple(sorted(set(results.column("target").to_pylist())))
        self._order_seeds = sorted(set(results.column("order_seed").to_pylist()))
        self._model_seeds = sorted(set(results.column("model_seed").to_pylist()))
        axes = (
            ("method", self.methods),
            ("target", self.targets),
            ("order_seed", self._order_seeds),
            ("model_seed", self._model_seeds),
        )
        places = tuple(
            np.array([{value: at for at, value in enumerate(known)}[v] for v in column])
            for name, known in axes
            for column in [results.column(name).to_pylist()]
        )
        self._rows = np.full([len(known) for _, known in axes], -1)
        self._rows[places] = np.arange(results.num_rows)
        self._refuse_contradictions(places)

    def _refuse_contradictions(self, places: tuple[NDArray[np.intp], ...]) -> None:
        """The same search may stand in two files, but then with the same outcome."""
        kept = self._rows[places]
        for row in np.flatnonzero(kept != np.arange(len(kept))).tolist():
            first, second = (
                self._results.slice(at, 1).drop_columns(["nassim_version"]).to_pylist()[0]
                for at in (row, int(kept[row]))
            )
            different = [name for name in first if not _same(first[name], second[name])]
            if different:
                name = different[0]
                raise InputError(
                    f"Method {first['method']!r} on {first['target']!r}, order "
                    f"{first['order_seed']}, model seed {first['model_seed']} stands twice with "
                    f"different {name} ({first[name]!r} and {second[name]!r}): the files "
                    "come from different --seed or versions; report them one by one."
                )

    def values(self, column: str) -> FloatArray:
        """A column, (methods, targets, orders, model seeds), NaN where there is no row."""
        flat = np.array(self._results.column(column).to_pylist(), np.float64)
        answer: FloatArray = np.where(self._rows >= 0, flat[self._rows], np.nan)
        return answer

    def measure(
        self, column: str, level: float, seed: int, scale: IntArray | None = None
    ) -> Measure:
        """Means, errors and intervals of a column; ``scale`` (targets,) is multiplied first."""
        values = self.values(column)
        if scale is not None:
            values = values * scale[None, :, None, None]
        return _measure(values, level, seed)

    def of_target(self, column: str) -> FloatArray:
        """The mean of a column on each target, (targets,)."""
        return np.array([np.nanmean(values) for values in np.moveaxis(self.values(column), 1, 0)])

    @property
    def orders(self) -> IntArray:
        """The most orders on any target, (methods,)."""
        most: IntArray = (self._rows >= 0).any(axis=3).sum(axis=2).max(axis=1)
        return most

    @property
    def model_seeds(self) -> IntArray:
        """The most model seeds on any target, (methods,)."""
        most: IntArray = (self._rows >= 0).any(axis=2).sum(axis=2).max(axis=1)
        return most

    @cached_property
    def elapsed(self) -> FloatArray:
        """When each search ended, in full costs; with one worker, its cost."""
        return self.values("simulated_seconds") / self.values("full_seconds")

    def traces(self, m: int, t: int, costs: FloatArray) -> FloatArray:
        """Regret of the incumbent at each cost, (searches, G), inf before there is one."""
        rows = self._rows[m, t].ravel()
        rows = rows[rows >= 0]
        chosen = self._results.select(["trace_cost", "trace_regret_pp"]).take(pa.array(rows))
        at = chosen.column("trace_cost").to_pylist()
        regrets = chosen.column("trace_regret_pp").to_pylist()
        steps = np.full((len(rows), len(costs)), np.inf)
        for search, (when, regret) in enumerate(zip(at, regrets, strict=True)):
            known = np.searchsorted(when, costs * (1 + 1e-12), side="right")
            steps[search] = np.array([np.inf, *regret])[known]
        return steps

    def row(self, method: str, target: str, order: int | None, model: int | None) -> int:
        """The row of one search."""
        m, t = self.methods.index(method), self.targets.index(target)
        rows = self._rows[m, t]
        if order is not None:
            rows = rows[[o == order for o in self._order_seeds]]
        if model is not None:
            rows = rows[:, [k == model for k in self._model_seeds]]
        rows = rows[rows >= 0]
        if not len(rows):
            raise InputError(
                f"The results of {method!r} on {target!r} have no order {order} with model seed "
                f"{model}; they have {plural(int(self.orders[m]), 'order')} and "
                f"{plural(int(self.model_seeds[m]), 'model seed')}."
            )
        return int(rows[0])


@dataclass(frozen=True, eq=False)
class _Pool:
    """The candidates of one target."""

    architectures: list[str]
    quality: FloatArray
    full_seconds: FloatArray
    curves: list[list[float]]


def _pool_of(pool: pa.Table, results: pa.Table, target: str) -> _Pool:
    """The candidates of a target that the results were made with.

    Pools of several files may stand below each other; the right one has as many candidates, and
    every pick with its regret.
    """
    columns = ["candidates", "pick", "regret_valid_pp"]
    rows = results.filter(pc.field("target") == target).select(columns).to_pydict()
    scale = 100.0 if results.column("metric")[0].as_py() == "accuracy" else 1.0
    names = pool.column("target").to_pylist()
    numbers = pool.column("candidate").to_pylist()
    starts = [row for row, number in enumerate(numbers) if number == 0 and names[row] == target]
    for start in starts:
        length = next(
            (k for k, number in enumerate(numbers[start:]) if number != k), len(numbers) - start
        )
        if length != rows["candidates"][0]:
            continue
        block = pool.slice(start, length)
        architectures = block.column("architecture").to_pylist()
        quality = np.array(block.column("quality").to_pylist(), np.float64)
        regret = dict(zip(architectures, (scale * (quality.max() - quality)).tolist(), strict=True))
        if all(
            math.isclose(regret.get(pick, math.inf), found, rel_tol=1e-6, abs_tol=1e-9)
            for pick, found in zip(rows["pick"], rows["regret_valid_pp"], strict=True)
        ):
            return _Pool(
                architectures,
                quality,
                np.array(block.column("full_seconds").to_pylist(), np.float64),
                block.column("valid").to_pylist(),
            )
    raise InputError(
        f"The pool has no {rows['candidates'][0]} candidates of {target!r} with the picks of these "
        "results; expected the .pool.parquet that was written with them."
    )


def _setting_columns(results: pa.Table) -> list[str]:
    """Columns that must agree within one table; the store goes by its content, not its name."""
    names = [name for name in Settings.__dataclass_fields__ if name != "store"]
    for name in ("study", *names):
        if name not in results.schema.names:
            raise InputError(f"The results have no column {name!r}; expected a results table.")
    return ["study", *names]


def _measure(values: FloatArray, level: float, seed: int) -> Measure:
    """Of an array (methods, targets, orders, model seeds)."""
    intervals = [
        bootstrap_interval([_trimmed(cell) for cell in row], level=level, seed=seed)
        for row in values
    ]
    ends = np.array(intervals, np.float64).reshape(len(values), 2)
    return Measure(
        cells=_nanmean(values.reshape(*values.shape[:2], math.prod(values.shape[2:])), axis=-1),
        errors=np.array(
            [[standard_error(_trimmed(cell)) for cell in row] for row in values]
        ).reshape(values.shape[:2]),
        mean=np.array([grand_mean(list(row)) for row in values]),
        low=ends[:, 0],
        high=ends[:, 1],
    )


def _trimmed(cell: FloatArray) -> FloatArray:
    """Without orders and model seeds that have no value at all."""
    kept = ~np.isnan(cell)
    trimmed: FloatArray = cell[kept.any(axis=1)][:, kept.any(axis=0)]
    return trimmed if trimmed.size else np.full((1, 1), np.nan)


def _nanmean(values: FloatArray, axis: int) -> FloatArray:
    """Mean without NaN; NaN, and no warning, where there is nothing else."""
    kept = ~np.isnan(values)
    sums, counts = np.where(kept, values, 0.0).sum(axis=axis), kept.sum(axis=axis)
    with np.errstate(invalid="ignore"):
        means: FloatArray = sums / counts
    return means


def _weighted_quantile(values: FloatArray, weights: FloatArray, share: float) -> FloatArray:
    """The smallest value of each column that this share of the weight does not exceed, (G,).

    >>> _weighted_quantile(np.array([[1.0], [2.0], [np.inf]]), np.ones(3), 0.5)
    array([2.])
    """
    order = np.argsort(values, axis=0, kind="stable")
    reached = np.cumsum(weights[order], axis=0) >= share * weights.sum() * (1 - 1e-12)
    rank = reached.argmax(axis=0)
    answer: FloatArray = np.take_along_axis(values, order, axis=0)[rank, np.arange(values.shape[1])]
    return answer


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


def _same(one: object, other: object) -> bool:
    return one == other or (one != one and other != other)
