"""More of a ranking report: the best of k, tau against compute, agreement, paired differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from nassim.errors import InputError
from nassim.ranking.random_search import deviation_of_best, expected_best_of
from nassim.ranking.scores import tau
from nassim.records import FloatArray
from nassim.reports.drawing import (
    INK,
    QUIET,
    label,
    looks,
    new_figure,
    place_labels,
    regret_axis,
    styled,
)
from nassim.reports.oneshot import BASELINE, RankTable
from nassim.reports.text import decimals, plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "AgreementTable",
    "BestOfTable",
    "ComputeTable",
    "DifferenceTable",
    "agreement_figure",
    "agreement_table",
    "best_of_figure",
    "best_of_table",
    "compute_figure",
    "compute_table",
    "difference_table",
    "differences_figure",
]

MANY_CELLS = 12  # rows of a matrix, above which its numbers are not written


# --- the best of k ----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class BestOfTable:
    """Regret in percentage points if the k best by score are trained: (methods, n), k from 1.

    Means over runs, over one architecture of each function. ``random`` (n,) is the mean of k
    uniform draws without replacement, ``random_deviation`` (n,) its standard deviation.
    ``live_params`` is the first method.
    """

    methods: tuple[str, ...]
    regret_pp: FloatArray
    random: FloatArray
    random_deviation: FloatArray


def best_of_table(scores: pa.Table) -> BestOfTable:
    """From the scores of a study; the last ones of each run.

    Raises
    ------
    InputError
        if there are none, or methods were not given the same architectures.
    """
    runs = _runs(scores)
    if not runs:
        raise InputError("There are no scores; expected those of a method or a file.")
    first = next(iter(runs.values()))
    alike = {name: rows for name, rows in runs.items() if len(rows) == len(first)}
    truth = np.array([row["truth"] for row in first])
    methods = list(dict.fromkeys(method for method, _ in alike))
    sizes = np.array([row["n_params"] for row in first], np.float64)
    lines = [_regrets(sizes, truth)]
    for method in methods:
        each = [
            _regrets(np.array([row["accuracy"] for row in rows]), truth)
            for (of, _), rows in alike.items()
            if of == method
        ]
        lines.append(np.mean(each, axis=0))
    ks = range(1, len(truth) + 1)
    best = truth.max()
    return BestOfTable(
        (BASELINE, *methods),
        np.array(lines),
        np.array([100 * (best - expected_best_of(truth, k)) for k in ks]),
        np.array([100 * deviation_of_best(truth, k) for k in ks]),
    )


def _regrets(scores: FloatArray, truth: FloatArray) -> FloatArray:
    """Of the best of the first k by score, for each k; of equal scores the first comes first."""
    order = np.argsort(-scores, kind="stable")
    answer: FloatArray = 100 * (truth.max() - np.maximum.accumulate(truth[order]))
    return answer


def best_of_figure(table: BestOfTable) -> Figure:
    """Regret against the number of architectures that are trained; the band is random search."""
    with styled():
        figure, (axes,) = new_figure(6.4, 4.0 + 0.19 * -(-len(table.methods) // 2))
        k = np.arange(1, table.regret_pp.shape[1] + 1)
        look = looks(table.methods)
        low = np.maximum(0.0, table.random - table.random_deviation)
        high = table.random + table.random_deviation
        axes.fill_between(k, low, high, color="#e8e8e8", linewidth=0)
        axes.plot(
            k, table.random, color=QUIET, linestyle=(0, (4, 2)), label="random, mean and deviation"
        )
        for m, method in enumerate(table.methods):
            axes.plot(
                k,
                table.regret_pp[m],
                color=INK if method == BASELINE else look[method].color,
                linestyle=look[method].dash,
                drawstyle="steps-post",
                label=label(method).replace("\n", " "),
            )
        axes.set_xscale("log")
        ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100, 200, 500) if tick <= k[-1]]
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.minorticks_off()
        axes.set_xlabel(f"best k by score, of {plural(len(k), 'architecture')}, are trained")
        highest = float(max(table.regret_pp.max(), high.max()))
        regret_axis(axes, 1.05 * highest, "regret, pp (square-root scale)")
        figure.legend(loc="outside lower center", ncols=2, handlelength=2.6)
    return figure


# --- tau against compute ----------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ComputeTable:
    """Tau (methods,) and its interval, and the images that were trained on for it (methods,).

    Only of what costs something: supernets and short trainings. ``free`` are the taus of the
    sizes, which cost nothing, by name; ``ceiling`` is the largest of any method's.
    """

    methods: tuple[str, ...]
    images: FloatArray
    tau: FloatArray
    low: FloatArray
    high: FloatArray
    free: dict[str, float]
    ceiling: float


def compute_table(table: RankTable) -> ComputeTable:
    """What a tau costs; images that went forward and back, summed over architectures."""
    ranked = [m for m in table.methods if (m, "tau", "classes") in table.rows]
    paid = tuple(m for m in ranked if (m, "images", "run") in table.rows)
    rows = [table.rows[m, "tau", "classes"] for m in paid]
    value, low, high = (
        np.array([row[name] for row in rows], np.float64) for name in ("value", "low", "high")
    )
    free = {
        m: table.value(m, "tau")
        for m in ranked
        if m not in paid and table.rows[m, "tau", "classes"]["kind"] == "trivial"
    }
    images = np.array([table.value(m, "images", "run") for m in paid])
    ceiling = float(np.nanmax([table.rows[m, "tau", "classes"]["ceiling"] for m in ranked]))
    return ComputeTable(paid, images, value, low, high, free, ceiling)


def compute_figure(table: ComputeTable) -> Figure:
    """Tau against images trained on, a logarithmic axis; lines are what costs nothing.

    Raises
    ------
    InputError
        if nothing has a cost.
    """
    if not table.methods:
        raise InputError("Nothing has a cost to draw; expected supernets, or short trainings.")
    with styled():
        figure, (axes,) = new_figure(7.2, 4.6)
        look = looks(table.methods)
        axes.set_xscale("log")
        axes.set_xlim(table.images.min() / 2, table.images.max() * 4)
        axes.axhline(table.ceiling, color=INK, linewidth=2.2)
        places = [(axes.get_xlim()[0] * 1.05, table.ceiling)]
        texts = ["perfect predictor"]
        for value in dict.fromkeys(table.free.values()):
            axes.axhline(value, color=QUIET, linestyle=(0, (4, 2)), linewidth=1.0)
            places.append((axes.get_xlim()[0] * 1.05, value))
            texts.append(", ".join(name for name, each in table.free.items() if each == value))
        for (x, y), text in zip(places, texts, strict=True):
            axes.annotate(text, (x, y), (0, 3), textcoords="offset points", fontsize=8, color=QUIET)
        for m, method in enumerate(table.methods):
            at, color = table.images[m], look[method].color
            axes.vlines(at, table.low[m], table.high[m], color=color, linewidth=1.0, alpha=0.5)
            axes.plot(at, table.tau[m], look[method].marker, color=color, markersize=6)
        axes.set_xlabel("images trained on (logarithmic scale)")
        axes.set_ylabel("Kendall's tau-b")
        place_labels(
            axes,
            list(zip(table.images.tolist(), table.tau.tolist(), strict=True)),
            [label(method) for method in table.methods],
            [look[method].color for method in table.methods],
        )
    return figure


# --- agreement of runs ------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class AgreementTable:
    """Tau-b between the scores of any two runs, (runs, runs); 1 on the diagonal.

    Over one architecture of each function that both score; NaN where one scores all alike.
    """

    runs: tuple[tuple[str, int], ...]
    tau: FloatArray


def agreement_table(scores: pa.Table) -> AgreementTable:
    """From the scores of a study; the last ones of each run."""
    runs = _runs(scores)
    if not runs:
        raise InputError("There are no scores; expected those of a method or a file.")
    found = [
        {row["architecture"]: row["accuracy"] for row in rows if math.isfinite(row["accuracy"])}
        for rows in runs.values()
    ]
    answer = np.eye(len(found))
    for i, one in enumerate(found):
        for j, other in enumerate(found[:i]):
            both = [name for name in one if name in other]
            a, b = (np.array([of[name] for name in both]) for of in (one, other))
            answer[i, j] = answer[j, i] = tau(a, b)
    return AgreementTable(tuple(runs), answer)


def agreement_figure(table: AgreementTable) -> Figure:
    """A matrix of all runs, those of a method beside each other."""
    names = [f"{label(method)} #{run}".replace("\n", " ") for method, run in table.runs]
    with styled():
        figure, axes = _matrix(table.tau, names, names, "tau between runs")
        methods = [method for method, _ in table.runs]
        for k in range(1, len(methods)):
            if methods[k] != methods[k - 1]:
                axes.axhline(k - 0.5, color="white", linewidth=2)
                axes.axvline(k - 0.5, color="white", linewidth=2)
    return figure


# --- paired differences -----------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class DifferenceTable:
    """Tau of each method (rows) less that of another, or of a trivial predictor (columns).

    ``difference``, ``low``, ``high`` and ``p`` (after Holm) are (methods, others); NaN where a
    pair was not compared.
    """

    methods: tuple[str, ...]
    others: tuple[str, ...]
    difference: FloatArray
    low: FloatArray
    high: FloatArray
    p: FloatArray


def difference_table(table: RankTable) -> DifferenceTable:
    """All comparisons of a report; those of two methods stand in it twice, with both signs."""
    methods = table.judged
    others = tuple(dict.fromkeys(against for _, against in table.differences))
    others = tuple(m for m in table.methods if m in {*others, *methods})
    cells = np.full((4, len(methods), len(others)), np.nan)
    for (method, against), row in table.differences.items():
        i, j = methods.index(method), others.index(against)
        cells[:, i, j] = row["value"], row["low"], row["high"], row["p_holm"]
        if against in methods:
            i, j = methods.index(against), others.index(method)
            cells[:, i, j] = -row["value"], -row["high"], -row["low"], row["p_holm"]
    return DifferenceTable(methods, others, *cells)


def differences_figure(table: DifferenceTable) -> Figure:
    """A matrix of differences; a dot where p after Holm is below 0.05.

    Raises
    ------
    InputError
        if nothing was compared.
    """
    if not table.difference.size:
        raise InputError(
            "Nothing was compared; expected a method or a file beside what is trivial."
        )
    with styled():
        named, others = (
            [label(name).replace("\n", " ") for name in of] for of in (table.methods, table.others)
        )
        what = "row less column"
        figure, axes = _matrix(table.difference, named, others, what)
        rows, columns = np.nonzero(table.p < 0.05)
        axes.plot(columns, rows + 0.33, "o", color=INK, markersize=3)
    return figure


# --- shared -----------------------------------------------------------------------------------


def _runs(scores: pa.Table) -> dict[tuple[str, int], list[dict[str, Any]]]:
    """The last scores of each run: rows of one architecture of each function, in their order."""
    runs: dict[tuple[str, int], dict[str, dict[str, Any]]] = {}
    for row in scores.to_pylist():
        if row["last"]:
            runs.setdefault((row["method"], row["run"]), {}).setdefault(
                row["canonical"] or row["architecture"], row
            )
    return {run: list(rows.values()) for run, rows in runs.items()}


def _matrix(
    values: FloatArray, rows: Sequence[str], columns: Sequence[str], what: str
) -> tuple[Figure, Axes]:
    """Numbers from -1 to 1 as colours, red above zero and blue below; few are written too."""
    size = 0.28 if max(values.shape) > MANY_CELLS else 0.5
    longest = 0.06 * max(map(len, (*rows, *columns)))
    figure, (axes,) = new_figure(
        max(3.6, size * len(columns) + longest + 1.4), max(2.4, size * len(rows) + longest + 0.6)
    )
    image = axes.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
    axes.set_xticks(range(len(columns)), columns, rotation=90)
    axes.set_yticks(range(len(rows)), rows)
    axes.grid(False)
    if max(values.shape) <= MANY_CELLS:
        for (i, j), value in np.ndenumerate(values):
            if math.isfinite(value):
                color = "white" if abs(value) > 0.6 else INK
                axes.text(
                    j, i, decimals(float(value)), ha="center", va="center", fontsize=7, color=color
                )
    figure.colorbar(image, ax=axes, label=what, shrink=0.8)
    return figure, axes
