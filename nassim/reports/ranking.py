"""Ranking performance: rank correlation with the final values against the length of the curve.

Reads what ``nassim.studies.ranking`` wrote, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa

from nassim.errors import InputError, unknown_name
from nassim.records import FloatArray
from nassim.reports.drawing import QUIET, label, looks, new_figure, styled
from nassim.reports.grid import LEVEL, Measure, measure_of, nanmean
from nassim.reports.text import NONE, aligned, decimals, plural, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["RankingTable", "ranking_figure", "ranking_table"]

SETTINGS = (
    *("store_sha", "metric", "pool", "leave_out", "quality", "leakage", "seed"),
    *("given", "source_datasets", "source_architectures", "shuffled_sources"),
)
Correlation = Literal["spearman", "kendall"]


@dataclass(frozen=True, eq=False)
class RankingTable:
    """Rank correlations of M methods on T targets after E numbers of epochs.

    ``spearman`` and ``kendall`` are measures with a last axis of epochs: ``cells`` (M, T, E),
    ``mean``, ``low`` and ``high`` (M, E). ``difference`` is Spearman's rho less that of
    ``baseline`` on the same targets; the baseline's own is 0. NaN: not measured.
    """

    store: str
    pool: str
    leave_out: str
    quality: str
    leakage: str
    methods: tuple[str, ...]
    targets: tuple[str, ...]
    epochs: tuple[int, ...]
    spearman: Measure
    kendall: Measure
    baseline: str
    difference: Measure
    level: float

    def to_text(self, width: int = 120) -> str:
        """Three tables (both correlations, and the differences) for a terminal."""
        most = "best" if self.quality == "max" else "last"
        title = (
            f"Rank correlation with the {most} value of a run on {self.store} "
            f"({plural(len(self.targets), 'dataset')}, pool {self.pool}; leave one "
            f"{self.leave_out} out)"
        )
        if self.leakage != "none":
            title += f"; leakage '{self.leakage}'"
        lines = wrapped(title, width)
        for name, measure, signed in (
            ("Spearman", self.spearman, False),
            ("Kendall (tau-b)", self.kendall, False),
            (f"Spearman less that of {self.baseline}", self.difference, True),
        ):
            rows = [[name, *(f"epoch {epoch}" for epoch in self.epochs)]]
            for m, method in enumerate(self.methods):
                if signed and method == self.baseline:
                    continue
                rows.append(
                    [method, *(_cell(measure, m, e, signed) for e in range(len(rows[0]) - 1))]
                )
            lines += ["", *aligned(rows)]
        lines.append("")
        per_cent = f"{100 * self.level:g}%"
        lines += wrapped(
            f"Mean over datasets and, in brackets, its {per_cent} bootstrap interval: datasets are "
            "drawn, then model seeds. A dataset counts where its curves go so far. "
            f"{NONE}: a method that has nothing to say.",
            width,
        )
        return "\n".join(lines)


def ranking_table(
    results: pa.Table, baseline: str = "last_value", *, level: float = LEVEL, seed: int = 0
) -> RankingTable:
    """Means and intervals of rank correlations.

    Parameters
    ----------
    results
        Rows of one combination of settings.
    baseline
        A method that all are compared with; the first one where no method is called so.
    level, seed
        Of the bootstrap intervals.

    Raises
    ------
    InputError
        if there are no rows, or rows of several settings.
    UnknownNameError
        if another baseline than the default is not among the methods.
    """
    if results.num_rows == 0:
        raise InputError("The results have no rows; expected those of nassim.studies.ranking.")
    about = {}
    for name in SETTINGS:
        found = list(dict.fromkeys(results.column(name).to_pylist()))
        if len(found) > 1:
            raise InputError(
                f"The results mix {name} {found[0]!r} and {found[1]!r}; report them one by one."
            )
        about[name] = found[0]
    columns = {name: results.column(name).to_pylist() for name in ("target", "method", "epoch")}
    methods = tuple(dict.fromkeys(columns["method"]))
    targets = tuple(sorted(set(columns["target"])))
    epochs = tuple(sorted(set(columns["epoch"])))
    if baseline not in methods:
        if baseline != "last_value":
            raise unknown_name("method of these results", baseline, methods)
        baseline = methods[0]
    seeds = np.array(results.column("model_seed").to_pylist())
    places = (
        np.array([methods.index(name) for name in columns["method"]]),
        np.array([targets.index(name) for name in columns["target"]]),
        np.array([epochs.index(epoch) for epoch in columns["epoch"]]),
        seeds,
    )
    values = {}
    for name in ("spearman", "kendall"):
        values[name] = np.full((len(methods), len(targets), len(epochs), seeds.max() + 1), np.nan)
        values[name][places] = results.column(name).to_numpy()
    # a baseline that learns is averaged over its model seeds: no fit is paired with another's
    reference = nanmean(values["spearman"][methods.index(baseline)], axis=-1)[None, ..., None]
    difference = values["spearman"] - reference
    difference[methods.index(baseline)] = 0 * reference[0]
    return RankingTable(
        store=" = ".join(dict.fromkeys(results.column("store").to_pylist())),
        pool=about["pool"],
        leave_out=about["leave_out"],
        quality=about["quality"],
        leakage=about["leakage"],
        methods=methods,
        targets=targets,
        epochs=epochs,
        spearman=_by_epoch(values["spearman"], level, seed),
        kendall=_by_epoch(values["kendall"], level, seed),
        baseline=baseline,
        difference=_by_epoch(difference, level, seed),
        level=level,
    )


def ranking_figure(table: RankingTable) -> Figure:
    """Both correlations against the length of the curve, means with their intervals."""
    with styled():
        rows = -(-len(table.methods) // 3)
        figure, (left, right) = new_figure(7.2, 3.4 + 0.19 * rows, 1, 2)
        _panel(left, table, "spearman", "Spearman's rho")
        _panel(right, table, "kendall", "Kendall's tau-b")
        handles, names = left.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=3, handlelength=2.6)
    return figure


def _panel(axes: Axes, table: RankingTable, name: Correlation, title: str) -> None:
    measure: Measure = getattr(table, name)
    look = looks(table.methods)
    where = np.arange(len(table.epochs))  # evenly: the first epochs matter most
    few = len(table.methods) < 5
    for m, method in enumerate(table.methods):
        shift = 0.0 if few else 0.06 * (m - (len(table.methods) - 1) / 2)
        at, color = where + shift, look[method].color
        if few:
            axes.fill_between(at, measure.low[m], measure.high[m], color=color, alpha=0.15, lw=0)
        else:
            for x, low, high in zip(at, measure.low[m], measure.high[m], strict=True):
                axes.plot([x, x], [low, high], color=color, linewidth=1.1, alpha=0.6)
        axes.plot(
            at,
            measure.mean[m],
            color=color,
            linestyle=look[method].dash,
            marker=look[method].marker,
            markersize=4.5,
            label=label(method).replace("\n", " "),
        )
    axes.axhline(0, color=QUIET, linewidth=0.8)
    axes.set_xticks(where, [str(epoch) for epoch in table.epochs])
    axes.set_xlabel("epochs of the curve")
    axes.set_title(title)


def _by_epoch(values: FloatArray, level: float, seed: int) -> Measure:
    """A measure with a last axis of epochs, of (methods, targets, epochs, model seeds)."""
    each = [measure_of(values[:, :, e, None], level, seed) for e in range(values.shape[2])]
    return Measure(
        *(np.stack([getattr(one, part.name) for one in each], axis=-1) for part in fields(Measure))
    )


def _cell(measure: Measure, m: int, e: int, signed: bool) -> str:
    mean, low, high = (float(part[m, e]) for part in (measure.mean, measure.low, measure.high))
    if not np.isfinite(mean):
        return NONE
    ends = ", ".join(decimals(end, 2, signed) for end in (low, high))
    return f"{decimals(mean, 2, signed)} [{ends}]"
