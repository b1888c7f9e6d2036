"""The optimizer track: regret after k evaluations, and what a method is ahead of another by.

Reads results of ``nassim search``, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from nassim.errors import unknown_name
from nassim.ranking.intervals import holm, sign_test
from nassim.ranking.random_search import expected_best_of
from nassim.records import FloatArray, IntArray
from nassim.reports.drawing import QUIET, label, looks, new_figure, regret_axis, styled
from nassim.reports.grid import LEVEL, BoolArray, Grid, Measure, Settings, measure_of, nanmean
from nassim.reports.grid import pool_of as _pool_of
from nassim.reports.text import (
    NONE,
    aligned,
    cost_percent,
    decimals,
    digits_of,
    p_value,
    plural,
    shorten,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["CHECKPOINTS", "RegretTable", "regret_figure", "regret_table"]

CHECKPOINTS = (1, 2, 5, 10, 20, 33, 50, 100)  # evaluations that tables show
EXPECTED = "random search, expected"
MANY = 8  # methods in a figure


@dataclass(frozen=True, eq=False)
class RegretTable:
    """Regret of M methods on T targets after K numbers of evaluations (``evaluations``, (K,)).

    Measures have a last axis of K: ``cells`` (M, T, K), ``mean``, ``low``, ``high`` (M, K).
    ``difference`` is regret less that of ``baseline`` in the same orders, negative is better (the
    baseline's own is 0); ``better`` and ``worse`` (M, K) count datasets, and ``p`` (M, K) is of the
    exact sign test over datasets, adjusted after Holm for the methods. ``test`` is the regret on
    test of the pick. ``expected`` (T, K) is the mean of random search in closed form, NaN without
    the pool. ``surrogates`` (T, 2) are R2 and tau, held out, of what a whole space was searched on,
    NaN for a table. ``curve`` (M, L) is the mean regret after each of 1 to L evaluations. Methods
    are in the order of their mean regret over all of those.
    """

    settings: Settings
    methods: tuple[str, ...]
    learns: BoolArray
    targets: tuple[str, ...]
    candidates: IntArray
    surrogates: FloatArray
    evaluations: tuple[int, ...]
    orders: IntArray
    model_seeds: IntArray
    regret: Measure
    test: Measure
    baseline: str
    difference: Measure
    better: IntArray
    worse: IntArray
    p: FloatArray
    cost: FloatArray
    expected: FloatArray
    curve: FloatArray
    level: float

    @property
    def title(self) -> str:
        """One line that says what was compared on what."""
        s = self.settings
        low, high = int(self.candidates.min()), int(self.candidates.max())
        sizes = f"{low}" if low == high else f"{low} to {high}"
        searched = f"pool {s.pool}, {sizes} candidates each"
        if s.source == "surrogate":
            r2, tau = np.nanmean(self.surrogates, axis=0)
            searched = (
                f"all of space {s.space} on surrogates, held-out R2 {r2:.2f} and tau {tau:.2f} in "
                "the mean"
            )
        seeds = plural(int(self.orders.max()), "order")
        if int(self.model_seeds.max()) > 1:
            seeds += f" x {int(self.model_seeds.max())} model seeds for methods that learn"
        text = (
            f"Search on {s.store} ({plural(len(self.targets), 'dataset')}, {searched}; leave one "
            f"{s.leave_out} out; {seeds}"
        )
        if s.workers > 1:
            text += f"; {s.workers} simulated workers"
        if s.leaks:
            text += f"; leakage '{s.leakage}'"
        return text + ")"

    def amount(self, regret: float) -> str:
        """A regret in as many decimals as the table needs."""
        return decimals(regret, self._digits)

    def signed(self, difference: float) -> str:
        """A difference, with its sign."""
        return decimals(difference, self._digits, signed=True)

    @property
    def _digits(self) -> int:
        return digits_of(self.settings.unit, float(np.nanmax([*self.regret.mean[:, -1], 0.0])))

    def definitions(self) -> list[tuple[str, str]]:
        """What each word of the tables means, as (word, meaning)."""
        best = "best" if self.settings.quality == "max" else "last"
        best_of = "the best of the pool"
        if self.settings.source == "surrogate":
            best_of = (
                "the best of 2,000 random architectures (both without noise, so it is negative "
                "where a search found a better one)"
            )
        words = [
            (
                "regret",
                f"distance of the best candidate found so far to {best_of}, in units of "
                f"{self.settings.unit}, on validation ({best} value of a run); before any run was "
                "trained to its end, the mean regret of a guess",
            ),
            ("k", "candidates that were started; their seconds count in cost, not in k"),
            ("test", "the same distance on test, of the pick by validation"),
            (
                f"less {self.baseline}",
                "difference of the mean regrets in the same orders, negative is better; "
                f"{100 * self.level:g}% bootstrap interval: datasets are drawn, then orders and "
                "model seeds; in brackets datasets on which it is better and worse; p of the exact "
                "sign test over datasets at the last k, after Holm",
            ),
        ]
        if np.isfinite(self.expected).all():
            words.append((EXPECTED, "the mean over all orders of the pool, in closed form"))
        return words

    def to_text(self, width: int = 120) -> str:
        """The tables for a terminal: all datasets, the differences, each dataset."""
        lines = [*wrapped(self.title, width), "", *aligned(self._mean_rows())]
        if len(self.methods) > 1:
            lines += ["", *aligned(self._difference_rows())]
        for k in dict.fromkeys((min(10, self.evaluations[-1]), self.evaluations[-1])):
            if k in self.evaluations and len(self.targets) > 1:
                lines += ["", *aligned(self._target_rows(self.evaluations.index(k)))]
        lines.append("")
        for word, meaning in self.definitions():
            lines += wrapped(f"{word}: {meaning}.", width)
        return "\n".join(lines)

    def _mean_rows(self) -> list[list[str]]:
        per_cent = f"[{100 * self.level:g}%]"
        last = len(self.evaluations) - 1
        header = [f"regret {self.settings.unit}", *(f"k = {k}" for k in self.evaluations)]
        rows = [[*header, per_cent, "test", "cost %"]]
        for m, name in enumerate(shorten(self.methods, 40)):
            interval = (self.regret.low[m, last], self.regret.high[m, last])
            rows.append(
                [
                    name,
                    *map(self.amount, self.regret.mean[m]),
                    f"[{', '.join(map(self.amount, interval))}]",
                    self.amount(self.test.mean[m, last]),
                    cost_percent(self.cost[m]),
                ]
            )
        if np.isfinite(self.expected).all():
            rows.append([EXPECTED, *map(self.amount, self.expected.mean(axis=0)), "", "", ""])
        return rows

    def _difference_rows(self) -> list[list[str]]:
        shown = [k for k, at in enumerate(self.evaluations) if at in (1, 10, self.evaluations[-1])]
        names = (f"k = {self.evaluations[k]}" for k in shown)  # others would not fit beside them
        rows = [[f"less {self.baseline}", *names, "p (Holm)"]]
        for m, name in enumerate(shorten(self.methods, 40)):
            if self.methods[m] == self.baseline:
                continue
            cells = []
            for k in shown:
                d = self.difference
                ends = ", ".join(map(self.signed, (d.low[m, k], d.high[m, k])))
                counts = f"({self.better[m, k]}/{self.worse[m, k]})"
                cells.append(f"{self.signed(d.mean[m, k])} [{ends}] {counts}")
            rows.append([name, *cells, p_value(self.p[m, -1])])
        return rows

    def _target_rows(self, k: int) -> list[list[str]]:
        rows = [[f"regret at k = {self.evaluations[k]}", *shorten(self.targets, 12)]]
        for m, name in enumerate(shorten(self.methods, 40)):
            cells = self.regret.cells[m, :, k]
            rows.append([name, *(self.amount(c) if np.isfinite(c) else NONE for c in cells)])
        if np.isfinite(self.expected).all():
            rows.append([EXPECTED, *map(self.amount, self.expected[:, k])])
        return rows


def regret_table(
    results: pa.Table,
    pool: pa.Table | None = None,
    baseline: str | None = None,
    *,
    level: float = LEVEL,
    seed: int = 0,
) -> RegretTable:
    """Regret of every method after k evaluations.

    Parameters
    ----------
    results
        Rows of one combination of settings; several files may be concatenated.
    pool
        The candidates; gives the expectation of random search.
    baseline
        A method of the results; ``random`` by default, else the first.
    level, seed
        Of the bootstrap intervals.

    Raises
    ------
    UnknownNameError
        if no method of the results is called so.
    InputError
        if there are no rows, several settings, or the same search twice with different results.
    """
    grid = Grid(results, study="search")
    if baseline is None:
        baseline = "random" if "random" in grid.methods else grid.methods[0]
    elif baseline not in grid.methods:
        raise unknown_name("method of these results", baseline, grid.methods)
    candidates = grid.of_target("candidates").astype(np.int64)
    length = grid.settings.budget
    if on_table := grid.settings.source == "tabular":
        length = int(min(length, candidates.max()))
    evaluations = tuple(sorted({*(k for k in CHECKPOINTS if k < length), length}))
    at = np.array(evaluations) - 1
    regrets = grid.lists("regret_at_pp", length)
    curve = nanmean(nanmean(regrets.reshape(*regrets.shape[:2], -1, length), axis=2), axis=1)
    order = np.argsort(curve.mean(axis=1), kind="stable")
    b = grid.methods.index(baseline)
    # a baseline that learns is averaged over its model seeds: no fit is paired with another's
    reference = nanmean(regrets[b], axis=-2)[None, :, :, None]
    difference = _measures(regrets[..., at] - reference[..., at], level, seed, order)
    signs = np.sign(np.round(difference.cells, 9))  # equal up to rounding is a tie
    p = np.array([[sign_test(cells) for cells in row.T] for row in signs])
    others = [k for k, m in enumerate(order.tolist()) if m != b]
    for k in range(len(evaluations)):
        p[others, k] = holm(p[others, k])
    tests = grid.lists("test_regret_at_pp", length)
    expected = np.full((len(grid.targets), len(evaluations)), np.nan)
    if pool is not None and on_table:
        scale = 100.0 if grid.settings.metric == "accuracy" else 1.0
        for t, target in enumerate(grid.targets):
            quality = _pool_of(pool, results, target).quality
            best = [expected_best_of(quality, min(k, len(quality))) for k in evaluations]
            expected[t] = scale * (quality.max() - np.array(best))
    return RegretTable(
        settings=grid.settings,
        methods=tuple(grid.methods[m] for m in order.tolist()),
        learns=grid.of_method("learns")[order],
        targets=grid.targets,
        candidates=candidates,
        surrogates=np.stack(
            [
                nanmean(np.moveaxis(grid.values(name), 1, 0).reshape(len(grid.targets), -1), axis=1)
                for name in ("surrogate_r2", "surrogate_tau")
            ],
            axis=-1,
        ),
        evaluations=evaluations,
        orders=grid.orders[order],
        model_seeds=grid.model_seeds[order],
        regret=_measures(regrets[..., at], level, seed, order),
        test=_measures(tests[..., at], level, seed, order),
        baseline=baseline,
        difference=difference,
        better=(signs < 0).sum(axis=1),
        worse=(signs > 0).sum(axis=1),
        p=p,
        cost=grid.measure("cost_fraction", level, seed).mean[order],
        expected=expected,
        curve=curve[order],
        level=level,
    )


def _measures(values: FloatArray, level: float, seed: int, order: IntArray) -> Measure:
    """Of an array (methods, targets, orders, model seeds, K): measures with a last axis of K."""
    parts = [measure_of(values[..., k], level, seed).take(order) for k in range(values.shape[-1])]
    return Measure(
        *(
            np.stack([getattr(part, name) for part in parts], axis=-1)
            for name in Measure.__dataclass_fields__
        )
    )


def regret_figure(table: RegretTable) -> Figure:
    """Mean regret after each number of evaluations, with intervals at those of the table (of many
    methods, at the last).

    The dashed line is random search in closed form.
    """
    with styled():
        names = table.methods
        figure, (axes,) = new_figure(7.2, 4.4 + 0.19 * -(-len(names) // 3))
        look = looks(names)
        length = table.curve.shape[1]
        axes.set_xscale("log")
        axes.set_xlim(0.93, 1.08 * length)
        axes.set_xticks(table.evaluations, [f"{k}" for k in table.evaluations])
        axes.minorticks_off()
        axes.set_xlabel("evaluations (logarithmic scale)")
        highest = float(np.nanmax([table.regret.high.max(), table.curve.max()]))
        regret_axis(axes, 1.05 * highest, f"regret, {table.settings.unit} (square-root scale)")
        k = np.arange(1, length + 1)
        for m, name in enumerate(names):
            dodge = 1 + 0.008 * (m - len(names) / 2)  # so that intervals stand beside each other
            axes.plot(
                k,
                table.curve[m],
                color=look[name].color,
                linestyle=look[name].dash,
                marker=look[name].marker,
                markevery=[evaluations - 1 for evaluations in table.evaluations],
                markersize=4,
                linewidth=1.4,
                label=label(name).replace("\n", " "),
            )
            shown = range(len(table.evaluations))
            for at in shown if len(names) <= MANY else shown[-1:]:  # others would hide the lines
                evaluations = table.evaluations[at]
                ends = [table.regret.low[m, at], table.regret.high[m, at]]
                axes.plot(
                    [dodge * evaluations] * 2,
                    ends,
                    color=look[name].color,
                    linewidth=0.8,
                    alpha=0.6,
                )
        if np.isfinite(table.expected).all():
            axes.plot(
                table.evaluations,
                table.expected.mean(axis=0),
                color=QUIET,
                linestyle=(0, (4, 2)),
                linewidth=1.2,
                label=EXPECTED,
            )
        figure.legend(loc="outside lower center", ncols=3, handlelength=3.2)
    return figure
