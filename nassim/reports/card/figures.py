"""Figures of a card; each draws its numbers as they are.

A dataset is a panel or a row, not a colour, so that there may be any number of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nassim.records import FloatArray
from nassim.reports.card.records import Card, DatasetCard
from nassim.reports.card.sheets import amount, number, unit
from nassim.reports.card.tables import ORDERS, SETTLED
from nassim.reports.drawing import (
    FAINT,
    INK,
    PALETTE,
    QUIET,
    new_figure,
    regret_axis,
    styled,
)
from nassim.reports.text import shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "accuracy_figure",
    "agreement_figure",
    "cost_figure",
    "noise_figure",
    "power_figure",
    "ranking_figure",
    "search_figure",
]

WIDTH = 7.2  # inches: a page of a paper
MOST_BEHIND = 16  # datasets that are drawn in grey behind each panel


def accuracy_figure(card: Card) -> Figure:
    """Share of architectures up to a value: a panel for each dataset, p10 to p90 shaded."""
    scale = 100.0 if card.is_share else 1.0
    with styled():
        figure, panels = _panels(card)
        ends = [scale * made.scores.percentiles[[1, 99]] for made in card.datasets]
        marks = [scale * made.chance for made in card.datasets if math.isfinite(made.chance)]
        low, high = _limits(np.concatenate([*ends, np.array(marks)]))
        percent = np.arange(101)
        for at, (axes, made) in enumerate(zip(panels, card.datasets, strict=True)):
            _behind(axes, card, at, lambda other: (scale * other.scores.percentiles, percent))
            axes.plot(scale * made.scores.percentiles, percent, color=PALETTE[0], zorder=3)
            if made.scores.n:
                axes.axvspan(
                    scale * made.scores.p10, scale * made.scores.p90, color=PALETTE[0], alpha=0.12
                )
            for level, dash in ((made.chance, ":"), (made.majority, "--")):
                if math.isfinite(level):
                    axes.axvline(scale * level, color=PALETTE[1], linestyle=dash, linewidth=1.2)
            axes.set_xlim(low, high)
            axes.set_ylim(0, 102)
        _outer_labels(panels, _value_label(card), "architectures, %")
        handles = [
            panels[0].plot([], [], color=PALETTE[0])[0],
            panels[0].fill_between([], [], [], color=PALETTE[0], alpha=0.12),
            panels[0].plot([], [], color=PALETTE[1], linestyle=":")[0],
            panels[0].plot([], [], color=PALETTE[1], linestyle="--")[0],
        ]
        names = ["architectures up to this value", "p10 to p90", "chance", "majority class"]
        kept = [True, True, bool(marks), any(math.isfinite(m.majority) for m in card.datasets)]
        _legend(figure, [(h, n) for h, n, k in zip(handles, names, kept, strict=True) if k])
    return figure


def noise_figure(card: Card) -> Figure:
    """Left: what moves a result, beside the spread of architectures. Right: seed against seed."""
    scale = 100.0 if card.is_share else 1.0
    series: list[tuple[str, Callable[[DatasetCard], float], dict[str, Any]]] = [
        ("spread of architectures, p10 to p90", lambda made: made.spread, _dot("s", PALETTE[0])),
        ("seeds, pooled", lambda made: made.noise.pooled, _dot("o", PALETTE[1], hollow=True)),
        ("seeds, median", lambda made: made.noise.median, _dot("o", PALETTE[1])),
        ("size of validation split", lambda made: _binomial(made, "valid"), _dot("|", INK)),
        ("size of test split", lambda made: _binomial(made, "test"), _dot("x", INK)),
    ]
    with styled():
        figure, (left, right) = _row_figure(card.labels, 2, legend_rows=2)
        kept = []
        for name, of, look in series:
            values = np.array([scale * of(made) for made in card.datasets])
            if (values > 0).any():
                shown = np.where(values > 0, values, np.nan)
                (handle,) = left.plot(shown, np.arange(len(values)), linestyle="none", **look)
                kept.append((handle, name))
        _log_axis(left, f"standard deviation or spread, {unit(card)}")
        _legend(figure, kept, columns=3)
        for row, made in enumerate(card.datasets):
            right.plot([made.tau_low, made.tau_high], [row, row], color=PALETTE[2], linewidth=1.6)
            right.plot(made.tau, row, **_dot("D", PALETTE[2]))
        right.set_xlim(min(-0.05, _lowest([made.tau_low for made in card.datasets])), 1.02)
        right.set_xlabel("Kendall tau of two seeds, 95% interval")
    return figure


def _binomial(made: DatasetCard, split: str) -> float:
    found = [noise for noise in (made.noise, made.test_noise) if noise.split == split]
    return found[0].binomial if found else math.nan


def ranking_figure(card: Card) -> Figure:
    """Rank correlation with the end over epochs, and where it settles."""
    with styled():
        figure, panels = _panels(card)
        lowest = _lowest([float(rho) for made in card.datasets for rho in made.ranking.rho])
        for at, (axes, made) in enumerate(zip(panels, card.datasets, strict=True)):
            _behind(axes, card, at, lambda other: _relative(other))
            axes.axhline(SETTLED, color=QUIET, linewidth=0.8, linestyle=(0, (4, 2)))
            if math.isfinite(made.seed_rho):
                axes.axhline(made.seed_rho, color=PALETTE[1], linewidth=1.2, linestyle=":")
            axes.plot(*_relative(made), color=PALETTE[0], zorder=3)
            settled = made.ranking.settled
            if settled:
                place = 100 * settled / made.epochs[1]
                axes.plot(place, made.ranking.at(settled)[0], **_dot("o", PALETTE[0]))
            axes.text(
                0.97,
                0.04,
                f"settled: {settled} of {made.epochs[1]}" if settled else "settled: n/a",
                transform=axes.transAxes,
                ha="right",
                fontsize=8,
                color=PALETTE[0],
            )
            axes.set_xlim(0, 101)
            axes.set_ylim(min(0.0, lowest) - 0.03, 1.04)
        _outer_labels(panels, "epochs, % of a full training", "Spearman's rho with the end")
        handles = [
            (panels[0].plot([], [], color=PALETTE[0])[0], "this dataset"),
            (panels[0].plot([], [], color=FAINT)[0], "the others"),
            (panels[0].plot([], [], color=QUIET, linestyle=(0, (4, 2)))[0], f"{SETTLED}: settled"),
            (panels[0].plot([], [], color=PALETTE[1], linestyle=":")[0], "end of another seed"),
        ]
        several = 1 < len(card.datasets) <= MOST_BEHIND
        _legend(figure, [h for h in handles if several or h[1] != "the others"])
    return figure


def _relative(made: DatasetCard) -> tuple[FloatArray, FloatArray]:
    known = np.isfinite(made.ranking.rho)
    longest = max(1, made.epochs[1])
    return 100 * made.ranking.epochs[known] / longest, made.ranking.rho[known]


def agreement_figure(card: Card) -> Figure:
    """Correlations between datasets below the diagonal, what seed noise leaves of 1 above it."""
    from matplotlib.colors import Normalize

    agreement = card.agreement
    n = len(card.datasets)
    with styled():
        side = min(WIDTH - 0.7, 1.4 + 0.48 * n)
        figure, (axes,) = new_figure(side + 0.7, side)
        below = np.tril(np.ones((n, n), bool), -1)
        above = below.T
        shown = np.where(below, agreement.rho, np.where(above, agreement.ceiling, np.nan))
        norm = Normalize(-1, 1)
        image = axes.imshow(shown, cmap="RdBu", norm=norm)
        size = 8 if n <= 10 else 6
        for row, column in np.argwhere(np.isfinite(shown)):
            dark = abs(shown[row, column]) > 0.6
            axes.text(
                column,
                row,
                number(shown[row, column], 2).replace("-", "−"),
                ha="center",
                va="center",
                fontsize=size,
                color="white" if dark else INK,
                style="italic" if column > row else "normal",
            )
        names = shorten(card.labels, 16)
        axes.set_xticks(np.arange(n), names, rotation=40, ha="right", rotation_mode="anchor")
        axes.set_yticks(np.arange(n), names)
        axes.tick_params(length=0)
        axes.grid(visible=False)
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.plot([-0.5, n - 0.5], [-0.5, n - 0.5], color=QUIET, linewidth=0.8)
        bar = figure.colorbar(image, ax=axes, shrink=0.7, pad=0.02)
        bar.set_label("Spearman's rho")
        bar.outline.set_visible(False)
        axes.set_title("below: measured; above, italic: ceiling given seed noise")
    return figure


def search_figure(card: Card) -> Figure:
    """Expected regret of random search over the number of architectures, and its deviation."""
    scale = 100.0 if card.is_share else 1.0
    with styled():
        figure, panels = _panels(card)
        tops = [scale * made.search.regret[:1] for made in card.datasets]
        top = float(np.max(np.concatenate([*tops, np.zeros(1)])))
        most = max([2, *(made.scores.n for made in card.datasets)])
        for at, (axes, made) in enumerate(zip(panels, card.datasets, strict=True)):
            _behind(
                axes, card, at, lambda other: (other.search.budgets, scale * other.search.regret)
            )
            found = made.search
            axes.fill_between(
                found.budgets,
                scale * np.maximum(0, found.regret - found.deviation),
                scale * (found.regret + found.deviation),
                color=PALETTE[0],
                alpha=0.15,
                linewidth=0,
            )
            axes.plot(found.budgets, scale * found.regret, color=PALETTE[0], zorder=3)
            axes.set_xscale("log")
            axes.set_xlim(1, most)
            _plain_ticks(axes, 1, most)
            regret_axis(axes, 1.25 * top, "")
        _outer_labels(panels, "architectures trained", f"regret, {unit(card)}")
        handles = [
            (panels[0].plot([], [], color=PALETTE[0])[0], "mean"),
            (
                panels[0].fill_between([], [], [], color=PALETTE[0], alpha=0.15, linewidth=0),
                "± s.d. over searches",
            ),
        ]
        _legend(figure, handles)
    return figure


def cost_figure(card: Card) -> Figure:
    """Seconds of a run: all, p10 to p90, median."""
    with styled():
        figure, (axes,) = _row_figure(card.labels, 1, legend_rows=1)
        for row, made in enumerate(card.datasets):
            found = made.seconds
            axes.plot([found.minimum, found.maximum], [row, row], color=QUIET, linewidth=1)
            axes.plot(
                [found.p10, found.p90],
                [row, row],
                color=PALETTE[0],
                linewidth=6,
                alpha=0.5,
                solid_capstyle="butt",
            )
            axes.plot(found.median, row, "|", color=INK, markersize=11, markeredgewidth=1.8)
        _log_axis(axes, "seconds of a successful run, evaluation included")
        handles = [
            (axes.plot([], [], color=QUIET, linewidth=1)[0], "all"),
            (axes.plot([], [], color=PALETTE[0], linewidth=6, alpha=0.5)[0], "p10 to p90"),
            (axes.plot([], [], "|", color=INK, markersize=11)[0], "median"),
        ]
        _legend(figure, handles)
    return figure


def power_figure(card: Card) -> Figure:
    """Orders that show the gap, for searches of several sizes."""
    power = card.power
    several = len(card.datasets) > 1
    labels = [*card.labels, "mean of all"] if several else card.labels
    orders = np.vstack([power.orders, power.all_orders]) if several else power.orders
    with styled():
        figure, (axes,) = _row_figure(labels, 1, legend_rows=1)
        axes.axvline(ORDERS, color=QUIET, linewidth=1, linestyle=(0, (4, 2)))
        looks = [_dot(marker, color) for marker, color in zip("osD^", PALETTE, strict=False)]
        kept = []
        for budget, needed, look in zip(power.budgets, orders.T, looks, strict=True):
            if np.isfinite(needed).any():
                (handle,) = axes.plot(needed, np.arange(len(needed)), linestyle="none", **look)
                kept.append((handle, f"{budget} architectures"))
        kept.append(
            (axes.plot([], [], color=QUIET, linestyle=(0, (4, 2)))[0], f"{ORDERS} orders (default)")
        )
        if several:
            axes.axhline(len(card.datasets) - 0.5, color=FAINT, linewidth=1)
        _log_axis(axes, f"orders that show a gap of {amount(card, power.gap)} in mean regret")
        _legend(figure, kept, columns=5)
    return figure


# --- what several figures need --------------------------------------------------------------


def _panels(card: Card) -> tuple[Figure, list[Axes]]:
    """A small panel for each dataset, on common axes."""
    n = len(card.datasets)
    columns = min(4, n)
    rows = math.ceil(n / columns)
    width = WIDTH if n > 2 else 1.9 + 2.2 * n
    figure, grid = new_figure(width, 0.95 + 1.55 * rows, rows, columns)
    for axes in grid[n:]:
        axes.remove()
    for axes, label in zip(grid, shorten(card.labels, 26), strict=False):
        axes.set_title(label)
    return figure, grid[:n]


def _behind(
    axes: Axes,
    card: Card,
    at: int,
    of: Callable[[DatasetCard], tuple[FloatArray | np.ndarray, FloatArray | np.ndarray]],
) -> None:
    """The lines of the other datasets in grey, to compare with."""
    if len(card.datasets) <= MOST_BEHIND:
        for other, made in enumerate(card.datasets):
            if other != at:
                axes.plot(*of(made), color=FAINT, linewidth=0.8, zorder=1)


def _outer_labels(panels: Sequence[Axes], x: str, y: str) -> None:
    """Axis labels once for all panels, ticks at the left column and above each gap below."""
    figure = panels[0].get_figure()
    assert figure is not None
    columns = min(4, len(panels))
    for at, axes in enumerate(panels):
        axes.tick_params(labelleft=at % columns == 0, labelbottom=at + columns >= len(panels))
    figure.supxlabel(x, fontsize=9)
    figure.supylabel(y, fontsize=9)


def _row_figure(
    labels: Sequence[str], columns: int, *, legend_rows: int
) -> tuple[Figure, list[Axes]]:
    """A row for each label, the first at the top."""
    height = 0.75 + 0.25 * len(labels) + 0.2 * legend_rows
    ratios = [1.6, 1] if columns == 2 else [1]
    figure, grid = new_figure(WIDTH, height, 1, columns, sharey=True, width_ratios=ratios)
    for axes in grid:
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
    grid[0].set_yticks(np.arange(len(labels)), shorten(labels, 26))
    grid[0].set_ylim(len(labels) - 0.5, -0.5)
    return figure, grid


def _dot(marker: str, color: str, *, hollow: bool = False) -> dict[str, Any]:
    return {
        "marker": marker,
        "color": color,
        "markerfacecolor": "white" if hollow else color,
        "markersize": {"|": 10, "D": 4.5}.get(marker, 5.5),
        "markeredgewidth": 1.4,
        "clip_on": False,
        "zorder": 4,
    }


def _log_axis(axes: Axes, label: str) -> None:
    """A logarithmic x axis with plain numbers."""
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    _plain_ticks(axes, low, high)
    axes.set_xlabel(label)


def _plain_ticks(axes: Axes, low: float, high: float) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    steps = (1, 2, 5) if high < 150 * low else (1,)
    ticks = [step * 10.0**power for power in range(-9, 13) for step in steps]
    axes.xaxis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))


def _value_label(card: Card) -> str:
    split = "validation " if all(made.split == "valid" for made in card.datasets) else ""
    return f"{split}{card.metric.name}{', %' if card.is_share else ''}"


def _limits(values: FloatArray) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    if not len(known):
        return 0.0, 1.0
    low, high = float(known.min()), float(known.max())
    margin = 0.03 * (high - low) or 0.5
    return low - margin, high + margin


def _lowest(values: Sequence[float]) -> float:
    return min((each for each in values if math.isfinite(each)), default=0.0)


def _legend(figure: Figure, entries: Sequence[tuple[Any, str]], columns: int = 4) -> None:
    """Above everything: below are the labels that panels share."""
    room = int(figure.get_figwidth() / 1.4)  # inches that an entry takes
    figure.legend(
        [handle for handle, _ in entries],
        [name for _, name in entries],
        loc="outside upper center",
        ncols=max(1, min(columns, room, len(entries))),
    )
