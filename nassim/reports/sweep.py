"""The cost-regret front of a sweep: many settings of some methods, and who is dominated surely.

Reads results of ``nassim terminate``, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from nassim.ranking.intervals import bootstrap_interval
from nassim.reports.drawing import (
    FAINT,
    MARKERS,
    PALETTE,
    QUIET,
    family,
    log_percent_axis,
    new_figure,
    regret_axis,
    styled,
)
from nassim.reports.grid import LEVEL, BoolArray, Grid, nanmean
from nassim.reports.termination import TerminationTable, termination_table
from nassim.reports.text import aligned, cost_percent, wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["SweepTable", "sweep_figure", "sweep_table"]


@dataclass(frozen=True, eq=False)
class SweepTable:
    """M settings, from the dearest to the cheapest, with their families (the method's name).

    ``table`` has means and intervals. ``best`` (M,) marks those that no setting of their own
    family dominates. ``surely`` lists for each setting those that have lower regret and lower cost
    beyond the bootstrap intervals of both differences, paired by dataset and order.
    """

    table: TerminationTable
    families: tuple[str, ...]
    best: BoolArray
    surely: tuple[tuple[str, ...], ...]

    def to_text(self, width: int = 120) -> str:
        """One line a setting for a terminal."""
        table = self.table
        rows = [
            ["", "setting", f"regret {table.settings.unit}", "cost %", "dominated by", "surely"]
        ]
        for m, name in enumerate(table.methods):
            rows.append(
                [
                    table.marks(m),
                    name,
                    table.amount(table.regret.mean[m]),
                    cost_percent(table.cost.mean[m]),
                    f"{len(table.dominators[m])}",
                    f"{len(self.surely[m])}"
                    + (f", as {self.surely[m][0]}" if self.surely[m] else ""),
                ]
            )
        lines = [*wrapped(table.title, width), "", *aligned(rows, left=2), ""]
        lines += wrapped(
            f"dominated by: settings as good on both means and better on one (none on the front, "
            "marked *). surely: settings with lower regret and lower cost, the whole "
            f"{100 * table.level:g}% bootstrap intervals of both differences below zero; datasets "
            "are drawn, then orders, and a method that learns is averaged over its model seeds. "
            "A sweep is a search on the targets: read its front as a bound of what tuning could "
            "reach, not as what a method with this setting reaches on the next dataset.",
            width,
        )
        return "\n".join(lines)


def sweep_table(results: pa.Table, *, level: float = LEVEL, seed: int = 0) -> SweepTable:
    """The settings of a sweep and who dominates them.

    Parameters
    ----------
    results, level, seed
        As of ``termination_table``.

    Raises
    ------
    InputError
        as ``termination_table``.
    """
    table = termination_table(results, level=level, seed=seed)
    grid = Grid(results)
    order = [grid.methods.index(name) for name in table.methods]
    regret, cost = (
        nanmean(grid.values(name), axis=-1)[order] for name in ("regret_valid_pp", "cost_fraction")
    )
    families = tuple(family(name) for name in table.methods)
    surely, best = [], []
    for m, names in enumerate(table.dominators):
        dominators = [table.methods.index(name) for name in names]
        best.append(all(families[other] != families[m] for other in dominators))
        surely.append(
            tuple(
                table.methods[other]
                for other in dominators
                if all(
                    bootstrap_interval(list(values[other] - values[m]), level=level, seed=seed).high
                    < 0
                    for values in (regret, cost)
                )
            )
        )
    return SweepTable(table, families, np.array(best), tuple(surely))


def sweep_figure(sweep: SweepTable) -> Figure:
    """Mean regret against mean cost: a colour a family, its own front as a line.

    Grey and wide: the front of all. Hollow: surely dominated.
    """
    table = sweep.table
    with styled():
        names = sorted(set(sweep.families))
        figure, (axes,) = new_figure(7.2, 4.6 + 0.19 * -(-len(names) // 4))
        cost, regret = 100 * table.cost.mean, table.regret.mean
        known = cost[np.isfinite(cost) & (cost > 0)]
        low, high = 0.75 * min([100.0, *known]), 1.3 * max([100.0, *known])
        log_percent_axis(axes, low, high, "cost, % of training every candidate fully")
        regret_axis(
            axes,
            1.1 * float(np.nanmax(regret)),
            f"regret, {table.settings.unit} (square-root scale)",
        )
        front = [m for m in np.argsort(cost, kind="stable").tolist() if table.front[m]]
        axes.plot(cost[front], regret[front], color=FAINT, linewidth=6, zorder=1)
        for number, name in enumerate(names):
            color, marker = PALETTE[number % len(PALETTE)], MARKERS[number % len(MARKERS)]
            own = [m for m in np.argsort(cost, kind="stable") if sweep.families[m] == name]
            line = [m for m in own if sweep.best[m]]
            axes.plot(cost[line], regret[line], color=color, linewidth=1.2, zorder=2)
            for m in own:
                axes.plot(
                    cost[m],
                    regret[m],
                    marker,
                    color=color,
                    markerfacecolor="white" if sweep.surely[m] else color,
                    markersize=5,
                    alpha=1.0 if sweep.best[m] else 0.6,
                    zorder=3,
                )
            axes.plot([], [], marker=marker, color=color, linewidth=1.2, label=name)
        axes.plot([], [], "o", color=QUIET, markerfacecolor="white", label="surely dominated")
        figure.legend(loc="outside lower center", ncols=4)
    return figure
