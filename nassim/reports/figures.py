"""Figures of the early-termination track; each draws a table of ``termination`` as it is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from nassim.reports.drawing import (
    FAINT,
    PALETTE,
    QUIET,
    Look,
    label,
    log_percent_axis,
    looks,
    new_figure,
    place_labels,
    regret_axis,
    styled,
)
from nassim.reports.searches import AnytimeTable, CurvesTable
from nassim.reports.termination import TerminationTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["anytime_figure", "curves_figure", "front_figure", "targets_figure"]

COST = "cost, % of training every candidate fully"
ROOT = "square-root scale"
STOPPED, UNSEEN = "#8f8f8f", "#e2e2e2"
DASHED = (0, (4, 2))


def front_figure(table: TerminationTable) -> Figure:
    """Mean regret against mean cost with both intervals, the front, and random search beside it.

    Filled and bold: on the front. Hollow: dominated, or not measured on every target.
    """
    with styled():
        figure, (axes,) = new_figure(7.2, 4.8)
        look = looks(table.methods)
        cost, regret = 100 * table.cost.mean, table.regret.mean
        cost_ends = 100 * np.array([table.cost.low, table.cost.high])
        regret_ends = np.array([table.regret.low, table.regret.high])
        random = table.random_regret.mean
        by_cost = np.argsort(cost, kind="stable").tolist()
        oracle = 100 * float(np.mean(table.oracle_cost))
        _cost_axis(axes, [*cost_ends.ravel(), *cost, oracle])
        highest = _largest(regret_ends, regret, random)
        regret_axis(axes, 1.1 * highest, f"regret, {table.settings.unit} ({ROOT})")
        axes.plot(
            cost[by_cost],
            random[by_cost],
            "|",
            color=QUIET,
            linestyle=DASHED,
            linewidth=1.2,
            markersize=6,
            zorder=2,
        )
        front = [m for m in by_cost if table.front[m]]
        axes.plot(cost[front], regret[front], color=FAINT, linewidth=5, zorder=1)
        bars = []
        for m, name in enumerate(table.methods):
            color = look[name].color
            bars.append([(x, regret[m]) for x in cost_ends[:, m]])
            bars.append([(cost[m], y) for y in regret_ends[:, m]])
            for bar in bars[-2:]:
                axes.plot(*np.transpose(bar), color=color, linewidth=1.1, alpha=0.75, zorder=3)
            axes.plot(cost[m], regret[m], **_marker(look[name], filled=bool(table.front[m])))
        axes.plot(oracle, 0.0, marker="*", markersize=10, color=QUIET, linestyle="none", zorder=4)
        grey = Look(QUIET, "o", "-")
        if len(table.methods) > 1:
            handles = [
                axes.plot([], [], **_marker(grey, filled=True))[0],
                axes.plot([], [], **_marker(grey, filled=False))[0],
                axes.plot([], [], color=QUIET, linewidth=1.1)[0],
            ]
            hollow = "dominated" if table.complete.all() else "dominated, or not on every dataset"
            names = ["on the front", hollow, f"{100 * table.level:g}% interval of the mean"]
            figure.legend(handles, names, loc="outside lower center", ncols=3)
        cheapest = by_cost[0]
        place_labels(
            axes,
            [*zip(cost, regret, strict=True), (oracle, 0.0), (cost[cheapest], random[cheapest])],
            [*map(label, table.methods), "oracle", "random search,\nsame cost"],
            [*(look[name].color for name in table.methods), QUIET, QUIET],
            [*bars, list(zip(cost[by_cost], random[by_cost], strict=True))],
            [*table.front, False, False],
        )
    return figure


def targets_figure(table: TerminationTable) -> Figure:
    """Regret and cost of each method: a dot for each target, the mean and its interval."""
    with styled():
        n = len(table.methods)
        figure, (left, right) = new_figure(7.2, 1.35 + 0.36 * n, 1, 2, sharey=True)
        look = looks(table.methods)
        regret = table.regret
        regret_axis(
            left,
            1.05 * _largest(regret.cells, regret.high, table.random_regret.mean),
            f"regret, {table.settings.unit} ({ROOT})",
            which="x",
        )
        _cost_axis(right, [*100 * table.cost.cells.ravel(), *100 * table.cost.high])
        for axes, measure, scale in ((left, regret, 1.0), (right, table.cost, 100.0)):
            axes.grid(axis="y", visible=False)
            axes.spines["left"].set_visible(False)
            axes.tick_params(axis="y", length=0)
            for m, name in enumerate(table.methods):
                color = look[name].color
                interval = scale * np.array([measure.low[m], measure.high[m]])
                axes.plot(
                    interval,
                    [m, m],
                    color=color,
                    linewidth=3,
                    alpha=0.45,
                    solid_capstyle="butt",
                    clip_on=False,
                    zorder=2,
                )
                axes.plot(
                    scale * measure.cells[m],
                    np.full(len(table.targets), m),
                    "o",
                    color=color,
                    markersize=4.5,
                    markeredgewidth=0.5,
                    markeredgecolor="white",
                    clip_on=False,
                    zorder=3,
                )
                axes.plot(
                    scale * measure.mean[m],
                    m,
                    "|",
                    color=color,
                    markersize=14,
                    markeredgewidth=2.2,
                    clip_on=False,
                    zorder=2.5,
                )
        diamond: dict[str, Any] = {
            "marker": "d",
            "color": QUIET,
            "linestyle": "none",
            "markerfacecolor": "white",
            "markersize": 5.5,
            "markeredgewidth": 1.1,
            "zorder": 2.7,
        }
        left.plot(table.random_regret.mean, np.arange(n), clip_on=False, **diamond)
        left.set_yticks(np.arange(n), [label(name) for name in table.methods], fontsize=8)
        left.set_ylim(n - 0.5, -0.5)
        for m, text in enumerate(left.get_yticklabels()):
            text.set_color(look[table.methods[m]].color)
            text.set_fontweight("bold" if table.front[m] and n > 1 else "normal")
        handles = [
            left.plot([], [], "o", color=QUIET, markersize=4.5)[0],
            left.plot([], [], "|", color=QUIET, markersize=11, markeredgewidth=2.2)[0],
            left.plot([], [], color=QUIET, linewidth=3, alpha=0.45)[0],
            left.plot([], [], **diamond)[0],
        ]
        names = ["a dataset", "mean", f"{100 * table.level:g}% interval", "random, same cost"]
        figure.legend(handles, names, loc="outside lower center", ncols=4)
    return figure


def anytime_figure(table: AnytimeTable) -> Figure:
    """The incumbent's regret over cost: all targets together, and a panel for each.

    Lines are medians over searches, bands reach from the 25th to the 75th percentile, a marker
    stands where a method was done.
    """
    with styled():
        n = len(table.targets)
        look = looks(table.methods)
        several = n > 1
        columns = min(n, 3)
        rows = math.ceil(n / columns) if several else 0
        legend_rows = math.ceil(len(table.methods) / 3)
        height = 3.6 + 2.0 * rows + 0.19 * legend_rows
        figure, grid = new_figure(7.2, height, 1 + rows, columns if several else 1)
        layout = grid[0].get_gridspec()
        assert layout is not None
        layout.set_height_ratios([3.0] + [2.0] * rows)
        for axes in grid[:columns]:
            axes.remove()
        panels = [(figure.add_subplot(layout[0, :]), n)]
        panels += [(axes, t) for t, axes in enumerate(grid[columns:][:n])] if several else []
        for axes in grid[columns + n :]:
            axes.remove()
        top = _largest(table.median)
        for at, (axes, t) in enumerate(panels):
            first_column = at == 0 or (at - 1) % columns == 0
            lowest = at == 0 or at + columns > n
            x = (_anytime_cost(table) if at == 0 else "cost, %") if lowest else ""
            y = f"regret, {table.settings.unit} ({ROOT})" if at == 0 else "regret"
            log_percent_axis(axes, 100 * table.costs[0], 100 * table.costs[-1], x, sparse=at > 0)
            regret_axis(axes, 1.05 * top, y if first_column else "")
            axes.tick_params(labelleft=first_column, labelbottom=lowest)
            everything = t == n and several
            title = f"all {n} datasets" if everything else table.targets[min(t, n - 1)]
            axes.set_title(title, weight="bold" if everything else "normal")
            for m, name in enumerate(table.methods):
                _anytime_line(axes, table, m, t, look[name])
        handles = [
            panels[0][0].plot(
                [],
                [],
                color=look[name].color,
                linestyle=look[name].dash,
                marker=look[name].marker,
                markersize=4.5,
                label=label(name).replace("\n", " "),
            )[0]
            for name in table.methods
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=3, handlelength=2.6)
    return figure


def curves_figure(table: CurvesTable) -> Figure:
    """Learning curves of one search: kept in colour, stopped in grey up to where they were
    stopped and faint after it (what the search never saw), the pick and the best marked."""
    with styled():
        figure, (axes,) = new_figure(7.2, 4.6)
        _, n_epochs = table.curves.shape
        epochs = np.arange(1, n_epochs + 1)
        for run, curve in enumerate(table.curves):
            trained = int(table.trained[run])
            if table.kept[run]:
                axes.plot(epochs, curve, color=PALETTE[0], linewidth=0.9, alpha=0.8, zorder=3)
                continue
            unseen = slice(max(0, trained - 1), int(table.lengths[run]))
            axes.plot(
                epochs[unseen],
                curve[unseen],
                color=UNSEEN,
                linewidth=0.5,
                linestyle=DASHED,
                zorder=1,
            )
            axes.plot(epochs[:trained], curve[:trained], color=STOPPED, linewidth=0.8, zorder=2)
            if trained:
                axes.plot(
                    trained, curve[trained - 1], "o", color="#5c5c5c", markersize=2.2, zorder=2.5
                )
        axes.set_xlim(0, 1.02 * n_epochs)
        axes.set_ylim(*_curve_limits(table))
        axes.set_xlabel("epoch")
        metric = table.settings.metric
        axes.set_ylabel(
            "validation accuracy, %"
            if metric == "accuracy"
            else f"validation {metric}, its sign such that higher is better"
        )
        axes.set_title(
            f"{table.method} on {table.target}, order {table.order_seed}: regret "
            f"{table.regret:.3g} {table.settings.unit} at {100 * table.cost:.3g}% of the cost"
        )
        kept = int(table.kept.sum())
        handles = [
            axes.plot([], [], color=PALETTE[0])[0],
            axes.plot([], [], color=STOPPED, marker="o", markersize=3)[0],
            axes.plot([], [], color="#c0c0c0", linestyle=DASHED)[0],
        ]
        names = [
            f"trained to the end ({kept})",
            f"stopped ({len(table.kept) - kept})",
            "never seen by the search",
        ]
        figure.legend(handles, names, loc="outside lower center", ncols=3)
        _mark_pick_and_best(axes, table)
    return figure


def _cost_axis(axes: Axes, percents: list[float]) -> None:
    """Cost in percent, as wide as these values and 100 need."""
    known = [percent for percent in percents if math.isfinite(percent) and percent > 0]
    log_percent_axis(axes, 0.75 * min([100.0, *known]), 1.3 * max([100.0, *known]), COST)


def _largest(*values: Any) -> float:
    """The largest finite value, or 0."""
    finite = [part[np.isfinite(part)] for part in map(np.asarray, values)]
    return max((float(part.max()) for part in finite if part.size), default=0.0)


def _marker(look: Look, *, filled: bool) -> dict[str, Any]:
    return {
        "marker": look.marker,
        "color": look.color,
        "markerfacecolor": look.color if filled else "white",
        "markersize": 7,
        "markeredgewidth": 1.4,
        "linestyle": "none",
        "zorder": 4,
    }


def _anytime_cost(table: AnytimeTable) -> str:
    workers = table.settings.workers
    if workers > 1:
        return f"time on {workers} workers, % of training every candidate fully on one"
    return COST


def _anytime_line(axes: Axes, table: AnytimeTable, m: int, t: int, look: Look) -> None:
    """One method's median and band, up to where it was done."""
    median, end = table.median[m, t], table.ends[m, t]
    drawn = (table.costs <= end * (1 + 1e-9)) & np.isfinite(median)
    if not drawn.any():
        return
    percent = 100 * table.costs
    few = len(table.methods) < 5
    if few or t == len(table.targets):  # many bands in a small panel hide each other
        axes.fill_between(
            percent,
            table.low[m, t],
            table.high[m, t],
            where=drawn,
            step="post",
            color=look.color,
            alpha=0.15 if few else 0.06,
            linewidth=0,
        )
    axes.plot(
        [*percent[drawn], 100 * end],
        [*median[drawn], median[drawn][-1]],
        color=look.color,
        linestyle=look.dash,
        drawstyle="steps-post",
        linewidth=1.4,
    )
    axes.plot(
        100 * end,
        median[drawn][-1],
        look.marker,
        color=look.color,
        markersize=4.5,
        markeredgecolor="white",
        markeredgewidth=0.4,
        zorder=4,
        clip_on=False,
    )


def _curve_limits(table: CurvesTable) -> tuple[float, float]:
    """From where most runs are after a few epochs: failed ones would squeeze the rest."""
    later = table.curves[:, min(2, table.curves.shape[1] - 1) :]
    values = later[np.isfinite(later)]
    if not len(values):
        return 0.0, 1.0
    low, high = float(np.quantile(values, 0.01)), float(values.max())
    margin = 0.04 * (high - low) or 1.0
    return low - margin, high + 2.5 * margin


def _mark_pick_and_best(axes: Axes, table: CurvesTable) -> None:
    """The highest points of the two runs that the regret compares."""
    if table.pick == table.best:
        marked = [(table.best, "pick = best of the pool", PALETTE[1], "*", 11.0)]
    else:
        marked = [
            (table.best, "best of the pool", PALETTE[2], "*", 11.0),
            (table.pick, "pick", PALETTE[1], "o", 7.0),
        ]
    points, texts, colors, lines = [], [], [], []
    for run, text, color, marker, size in marked:
        curve = table.curves[run]
        if not np.isfinite(curve).any():
            continue
        top, trained = int(np.nanargmax(curve)), int(table.trained[run])
        points.append((top + 1.0, float(curve[top])))
        texts.append(text if table.kept[run] else f"{text}, stopped after epoch {trained}")
        colors.append(color)
        lines.append(list(zip(range(1, len(curve) + 1), curve.tolist(), strict=True)))
        axes.plot(
            *np.transpose(lines[-1]),
            color=color,
            linewidth=1.4,
            zorder=3.5,
            linestyle="-" if table.kept[run] else DASHED,
        )
        axes.plot(
            *points[-1], marker, color=color, markersize=size, markeredgecolor="white", zorder=5
        )
    place_labels(axes, points, texts, colors, lines, [True] * len(points))
