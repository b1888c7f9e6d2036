"""What optimizers' predictors know of a dataset: tau against evaluations, predicted against true.

Reads what ``nassim.studies.prediction`` wrote, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from nassim.errors import InputError
from nassim.records import FloatArray
from nassim.reports.drawing import PALETTE, QUIET, label, looks, new_figure, styled
from nassim.reports.grid import LEVEL, Measure, measure_of
from nassim.reports.text import NONE, aligned, decimals, plural, wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["PredictionTable", "prediction_figure", "prediction_table"]

MEASURES = ("kendall", "spearman", "r2", "mse")


@dataclass(frozen=True, eq=False)
class PredictionTable:
    """How well M methods predict T targets after N numbers of evaluations (``told``, (N,)).

    ``measures[name][n]`` is of Kendall's tau, Spearman's rho, R2 and the mean squared error. NaN:
    a method that knows nothing yet, or does not predict in the metric's unit. ``pairs[target]`` are
    the predicted and the true values, (2, scored), of ``unit_method`` (the first method that
    predicts in the metric's unit, None if none does) after the most evaluations, first fit.
    """

    store: str
    pool: str
    methods: tuple[str, ...]
    targets: tuple[str, ...]
    told: tuple[int, ...]
    model_seeds: int
    measures: dict[str, tuple[Measure, ...]]
    unit_method: str | None
    pairs: dict[str, FloatArray]
    level: float

    def to_text(self, width: int = 120) -> str:
        """Means over datasets, with intervals, and each dataset, for a terminal."""
        title = (
            f"Predictions of unseen candidates on {self.store} "
            f"({plural(len(self.targets), 'dataset')}, pool {self.pool}; "
            f"{plural(self.model_seeds, 'fit')})"
        )
        lines = wrapped(title, width)
        for name, heading in (("kendall", "Kendall's tau"), ("spearman", "Spearman's rho")):
            rows = [[heading, *(f"told {n}" for n in self.told)]]
            for m, method in enumerate(self.methods):
                rows.append([method, *(_cell(one, m) for one in self.measures[name])])
            lines += ["", *aligned(rows)]
        last = len(self.told) - 1
        rows = [[f"tau, told {self.told[last]}", *self.targets]]
        for m, method in enumerate(self.methods):
            cells = self.measures["kendall"][last].cells[m]
            rows.append([method, *(decimals(c, 2) if np.isfinite(c) else NONE for c in cells)])
        lines += ["", *aligned(rows)]
        if self.unit_method is not None:
            m = self.methods.index(self.unit_method)
            rows = [[self.unit_method, *self.targets]]
            for name, digits in (("r2", 2), ("mse", 5)):
                cells = self.measures[name][last].cells[m]
                rows.append([name, *(decimals(c, digits) for c in cells)])
            lines += ["", *aligned(rows)]
        lines.append("")
        lines += wrapped(
            f"Means over datasets with {100 * self.level:g}% bootstrap intervals: datasets are "
            "drawn, then fits. Told: random candidates of the target, whose values a method has "
            "learned from; the scored ones are others, the same for all numbers.",
            width,
        )
        return "\n".join(lines)


def _cell(measure: Measure, m: int) -> str:
    if not np.isfinite(measure.mean[m]):
        return NONE
    low, high = decimals(measure.low[m], 2), decimals(measure.high[m], 2)
    return f"{decimals(measure.mean[m], 2)} [{low}, {high}]"


def prediction_table(results: pa.Table, *, level: float = LEVEL, seed: int = 0) -> PredictionTable:
    """Means and intervals of how well methods predict.

    Raises
    ------
    InputError
        if there are no rows, or rows of several stores or pools.
    """
    if results.num_rows == 0:
        raise InputError("The results have no rows; expected those of nassim.studies.prediction.")
    columns = {name: results.column(name).to_pylist() for name in results.schema.names}
    for name in ("store_sha", "pool", "seed"):
        if len(set(columns[name])) > 1:
            raise InputError(f"The results mix several values of {name}; report them one by one.")
    methods = tuple(dict.fromkeys(columns["method"]))
    targets = tuple(sorted(set(columns["target"])))
    told = tuple(sorted(set(columns["told"])))
    fits = max(columns["model_seed"]) + 1
    values = np.full((len(MEASURES), len(told), len(methods), len(targets), 1, fits), np.nan)
    pairs: dict[str, dict[str, FloatArray]] = {}
    for row in results.to_pylist():
        n, m, t = (
            told.index(row["told"]),
            methods.index(row["method"]),
            targets.index(row["target"]),
        )
        values[:, n, m, t, 0, row["model_seed"]] = [row[name] for name in MEASURES]
        if row["told"] == told[-1] and row["model_seed"] == 0 and np.isfinite(row["mse"]):
            both = np.array([row["predicted"], row["true"]])
            pairs.setdefault(row["method"], {})[row["target"]] = both
    measures = {
        name: tuple(measure_of(values[k, n], level, seed) for n in range(len(told)))
        for k, name in enumerate(MEASURES)
    }
    first = next((method for method in methods if method in pairs), None)
    return PredictionTable(
        columns["store"][0],
        columns["pool"][0],
        methods,
        targets,
        told,
        fits,
        measures,
        first,
        {} if first is None else pairs[first],
        level,
    )


def prediction_figure(table: PredictionTable) -> Figure:
    """Left: mean tau against evaluations, with intervals. Right: predicted against true values."""
    with styled():
        figure, (left, right) = new_figure(7.6, 3.9, 1, 2)
        look = looks(table.methods)
        where = np.arange(len(table.told))
        for m, method in enumerate(table.methods):
            tau = table.measures["kendall"]
            at = where + 0.06 * (m - (len(table.methods) - 1) / 2)
            for x, one in zip(at, tau, strict=True):
                left.plot([x, x], [one.low[m], one.high[m]], color=look[method].color, alpha=0.6)
            left.plot(
                at,
                [one.mean[m] for one in tau],
                color=look[method].color,
                marker=look[method].marker,
                linestyle=look[method].dash,
                label=label(method).replace("\n", " "),
            )
        left.axhline(0, color=QUIET, linewidth=0.8)
        left.set_xticks(where, [str(n) for n in table.told])
        left.set_xlabel("evaluations of the target that were told")
        left.set_title("Kendall's tau")
        left.legend()
        for t, (target, (predicted, true)) in enumerate(table.pairs.items()):
            right.plot(
                true, predicted, "o", markersize=2.5, color=PALETTE[t % len(PALETTE)], label=target
            )
        if table.pairs:
            ends = [right.get_xlim(), right.get_ylim()]
            line = [min(low for low, _ in ends), max(high for _, high in ends)]
            right.plot(line, line, color=QUIET, linewidth=0.8)
            right.legend(fontsize=6)
        right.set_xlabel("true")
        right.set_ylabel("predicted")
        right.set_title(table.unit_method or "no method predicts in the metric's unit")
    return figure
