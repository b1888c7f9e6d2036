"""Calibration of p(better than the incumbent): reliability, Brier score, the best that were killed.

Reads what ``nassim.studies.calibration`` wrote, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from nassim.errors import InputError
from nassim.records import FloatArray, IntArray
from nassim.reports.drawing import FAINT, label, looks, new_figure, styled
from nassim.reports.grid import LEVEL, Measure, measure_of
from nassim.reports.text import aligned, decimals, plural, share_percent, wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["CalibrationTable", "calibration_figure", "calibration_table"]

BINS = 10
SETTINGS = (
    *("store_sha", "metric", "pool", "leave_out", "quality", "leakage", "seed"),
    *("source_datasets", "source_architectures", "shuffled_sources"),
)


@dataclass(frozen=True, eq=False)
class CalibrationTable:
    """How true the probabilities of M methods were on T targets.

    ``brier`` is the mean of (p - outcome)**2 over the decisions of a search, ``constant`` what one
    constant p (the share of runs that beat the incumbent, by method and target) would have had,
    and ``killed`` the share of searches that stopped the best candidate: from searches to targets
    to means, as everywhere. ``predicted`` and ``observed`` (M, B) are the mean p and the share of
    runs that beat the incumbent in B bins of equal width, over all decisions; ``counts`` (M, B)
    the decisions, ``silent`` (M,) those where a method had nothing to say.
    """

    store: str
    pool: str
    methods: tuple[str, ...]
    targets: tuple[str, ...]
    brier: Measure
    constant: Measure
    killed: Measure
    predicted: FloatArray
    observed: FloatArray
    counts: IntArray
    silent: IntArray
    level: float

    def to_text(self, width: int = 120) -> str:
        """The scores, and the reliability in numbers, for a terminal."""
        interval = f"[{100 * self.level:g}%]"
        n_bins = self.counts.shape[1]
        scores = [["method", "Brier", interval, "constant", "killed best", interval, "decisions"]]
        bins = [["observed (decisions) at p", *(f"{k / n_bins:g}-" for k in range(n_bins))]]
        for m, method in enumerate(self.methods):
            brier, killed = self.brier, self.killed
            scores.append(
                [
                    method,
                    decimals(brier.mean[m], 3),
                    f"[{decimals(brier.low[m], 3)}, {decimals(brier.high[m], 3)}]",
                    decimals(self.constant.mean[m], 3),
                    share_percent(killed.mean[m]),
                    f"[{share_percent(killed.low[m])}, {share_percent(killed.high[m])}]",
                    f"{self.counts[m].sum()}",
                ]
            )
            cells = zip(self.observed[m].tolist(), self.counts[m].tolist(), strict=True)
            bins.append([method, *(f"{decimals(share)} ({count})" for share, count in cells)])
        title = (
            f"Calibration of p(better than the incumbent) on {self.store} "
            f"({plural(len(self.targets), 'dataset')}, pool {self.pool})"
        )
        lines = [*wrapped(title, width), "", *aligned(scores), "", *aligned(bins), ""]
        lines += wrapped(
            "Brier: mean of (p - outcome) squared over the decisions of a search; constant: that "
            "of always answering the share that came true; killed best: searches that stopped the "
            "best candidate. Means over datasets, with bootstrap intervals. A method is asked only "
            "about runs that it let live so far.",
            width,
        )
        return "\n".join(lines)


def calibration_table(
    decisions: pa.Table, *, bins: int = BINS, level: float = LEVEL, seed: int = 0
) -> CalibrationTable:
    """Scores and reliability of every method.

    Parameters
    ----------
    decisions
        Rows of one combination of settings.
    bins
        Of equal width, from 0 to 1; p = 1 is in the last.
    level, seed
        Of the bootstrap intervals.

    Raises
    ------
    InputError
        if there are no rows, or rows of several settings.
    """
    if decisions.num_rows == 0:
        raise InputError("There are no decisions; expected those of nassim.studies.calibration.")
    for name in SETTINGS:
        found = list(dict.fromkeys(decisions.column(name).to_pylist()))
        if len(found) > 1:
            raise InputError(
                f"The decisions mix {name} {found[0]!r} and {found[1]!r}; report them one by one."
            )
    columns = {name: decisions.column(name).to_pylist() for name in ("method", "target")}
    methods = tuple(dict.fromkeys(columns["method"]))
    targets = tuple(sorted(set(columns["target"])))
    p = np.array(decisions.column("p").to_pylist(), np.float64)
    better, stopped, best = (
        np.array(decisions.column(name).to_pylist(), np.bool_)
        for name in ("better", "stopped", "best")
    )
    orders, models = (
        np.array(decisions.column(name).to_pylist()) for name in ("order_seed", "model_seed")
    )
    method = np.array([methods.index(name) for name in columns["method"]])
    target = np.array([targets.index(name) for name in columns["target"]])
    shape = (len(methods), len(targets), orders.max() + 1, models.max() + 1)
    search = np.ravel_multi_index((method, target, orders, models), shape)
    size = int(np.prod(shape))
    known = ~np.isnan(p)

    def mean_by_search(values: FloatArray, chosen: np.ndarray) -> FloatArray:
        sums = np.bincount(search[chosen], values[chosen], size)
        with np.errstate(invalid="ignore"):
            means: FloatArray = (sums / np.bincount(search[chosen], minlength=size)).reshape(shape)
        return means  # NaN where a search has no such decision

    outcome = better.astype(np.float64)
    constant = np.full_like(p, np.nan)
    for m in range(len(methods)):
        for t in range(len(targets)):
            cell = (method == m) & (target == t) & known
            if cell.any():
                constant[cell] = (outcome[cell].mean() - outcome[cell]) ** 2
    kills = np.bincount(search, stopped & best, size).reshape(shape) > 0
    searched = np.bincount(search, minlength=size).reshape(shape) > 0
    place = np.minimum((p[known] * bins).astype(np.intp), bins - 1) + bins * method[known]
    counts = np.bincount(place, minlength=bins * len(methods))
    with np.errstate(invalid="ignore"):
        predicted = np.bincount(place, p[known], len(counts)) / counts
        observed = np.bincount(place, outcome[known], len(counts)) / counts
    by_bin = (len(methods), bins)
    return CalibrationTable(
        store=" = ".join(dict.fromkeys(decisions.column("store").to_pylist())),
        pool=decisions.column("pool")[0].as_py(),
        methods=methods,
        targets=targets,
        brier=measure_of(mean_by_search((p - outcome) ** 2, known), level, seed),
        constant=measure_of(mean_by_search(constant, known), level, seed),
        killed=measure_of(np.where(searched, kills, np.nan), level, seed),
        predicted=predicted.reshape(by_bin),
        observed=observed.reshape(by_bin),
        counts=counts.reshape(by_bin),
        silent=np.bincount(method[~known], minlength=len(methods)),
        level=level,
    )


def calibration_figure(table: CalibrationTable) -> Figure:
    """The reliability diagram: what came true against what was said, and how often it was said."""
    with styled():
        rows = -(-len(table.methods) // 3)
        figure, (upper, lower) = new_figure(5.4, 5.2 + 0.19 * rows, 2, 1, sharex=True)
        layout = upper.get_gridspec()
        assert layout is not None
        layout.set_height_ratios([3.0, 1.0])
        look = looks(table.methods)
        upper.plot(
            [0, 1], [0, 1], color=FAINT, linewidth=2, zorder=1, label="as often as it was said"
        )
        for m, method in enumerate(table.methods):
            said = table.counts[m] > 0
            style = {
                "color": look[method].color,
                "linestyle": look[method].dash,
                "marker": look[method].marker,
                "markersize": 4.5,
            }
            upper.plot(
                table.predicted[m, said],
                table.observed[m, said],
                label=label(method).replace("\n", " "),
                **style,
            )
            lower.plot(table.predicted[m, said], table.counts[m, said], **style)
        upper.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), ylabel="runs that beat the incumbent")
        lower.set_yscale("log")
        lower.set(ylabel="decisions", xlabel="p(better than the incumbent), mean of a bin")
        figure.legend(loc="outside lower center", ncols=3, handlelength=2.6)
    return figure
