"""Scores against full training: a table that leaves nothing out, and two of its figures.

The others are in :mod:`nassim.reports.rank_figures`.

Reads what ``nassim.studies.oneshot`` wrote, and nothing else. A tau is not printed without its
interval, the number of architectures, the ceilings, and the predictors that cost nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from nassim.errors import InputError
from nassim.records import FloatArray
from nassim.reports.drawing import QUIET, label, looks, new_figure, styled
from nassim.reports.text import NONE, aligned, decimals, p_value, plural, wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "RankTable",
    "ScorePoints",
    "TopTable",
    "rank_table",
    "score_points",
    "scores_figure",
    "top_figure",
    "top_table",
]

SHARES = (100, 50, 20, 10)  # percent of the architectures
SETTINGS = ("store", "store_sha", "space", "dataset", "recipe", "bn_mode", "seed")
BASELINE = "live_params"  # without which no tau is printed
LEVEL = 0.05
MANY = 8  # pairs that differ, which are printed


@dataclass(frozen=True, eq=False)
class RankTable:
    """One ranking report. ``rows[method, metric, scope]`` is a row of the file, as a mapping.

    ``methods`` are in the order of the report: predictors that cost nothing first.
    ``differences[method, against]`` are the rows that compare two of them.
    """

    about: dict[str, Any]
    methods: tuple[str, ...]
    rows: dict[tuple[str, str, str], dict[str, Any]]
    differences: dict[tuple[str, str], dict[str, Any]]

    def value(self, method: str, metric: str, scope: str = "classes") -> float:
        """The value of a row; NaN where there is none."""
        row = self.rows.get((method, metric, scope))
        return math.nan if row is None else float(row["value"])

    @property
    def judged(self) -> tuple[str, ...]:
        """The methods and files that are no trivial predictors."""
        kinds = {method: row["kind"] for (method, *_), row in self.rows.items()}
        return tuple(method for method in self.methods if kinds[method] != "trivial")

    @property
    def best_trivial(self) -> str:
        """The trivial predictor of the highest tau."""
        known = [m for m in self.methods if m not in self.judged]
        return max(known, key=lambda m: np.nan_to_num(self.value(m, "tau"), nan=-2.0))

    @property
    def pairs(self) -> list[dict[str, Any]]:
        """Differences of two methods, neither of them trivial; the better one is ``method``."""
        found = []
        for (method, against), row in self.differences.items():
            if against not in self.judged:
                continue
            if row["value"] < 0:
                ends = {"value": -row["value"], "low": -row["high"], "high": -row["low"]}
                row = row | ends | {"method": against, "against": method}
            found.append(row)
        return found

    @property
    def untrained(self) -> dict[str, str]:
        """Methods whose supernet is hardly better than chance, and what was measured of that."""
        verdicts = {
            method: self.rows[method, "supernet_accuracy", "run"]["note"]
            for method in self.methods
            if (method, "supernet_accuracy", "run") in self.rows
        }
        return {
            method: note.partition(": ")[2]
            for method, note in verdicts.items()
            if note.startswith("not trained")
        }

    def to_text(self, width: int = 120) -> str:
        """Correlations, comparisons, picks and costs for a terminal."""
        about = self.about
        lines = wrapped(
            f"Scores against full training on {about['dataset']}, {about['space']}, store "
            f"{about['store']} (sha {about['store_sha'][:12]}), recipe {about['recipe']}; batch "
            f"norm {about['bn_mode']}",
            width,
        )
        lines += ["", *aligned(self._correlations()), ""]
        lines += wrapped(
            "tau: Kendall's tau-b over n architectures of different function, with the mean test "
            "accuracy of their trainings; mean over runs; in brackets, a 95% bootstrap interval "
            "over architectures, trainings and runs. ceiling: of a perfect predictor (simulated), "
            "and of one training that predicts the others. same params: over pairs of equally "
            "many live parameters. top: tau within the truly best, of how much a perfect "
            "predictor reaches there.",
            width,
        )
        if self.differences:
            lines += ["", *aligned(self._against()), ""]
            lines += wrapped(
                "tau less that of a predictor that costs nothing, in the same draws of "
                "architectures, trainings and runs; p: two-sided, after Holm over methods. "
                + self._said_of_pairs(),
                width,
            )
        lines += ["", *aligned(self._picks()), ""]
        lines += wrapped(
            "regret: what the pick lacks of the best mean, in percentage points, mean over runs "
            "(in brackets: 1 is the median architecture). beats random: the chance that the best "
            "pick of all runs is better than the best of as many random ones (Yu et al.); "
            "percentiles: of the pick of each run.",
            width,
        )
        if costs := self._costs():
            lines += ["", *aligned(costs), ""]
            lines += wrapped(
                "accuracy: of the supernet, mean over architectures. agreement: tau between runs. "
                "stable: tau of scores after 90% of the steps with the last ones. apart: how far "
                "scores of one function differ, of the deviation between functions. kB kept: for "
                "backward at one time, mean and most of each seventh step; held: parameters and "
                "statistics.",
                width,
            )
        lines += [
            f"{method} was told of {row['value']:.0f} architectures, which no row judges; their "
            f"trainings saw {self.value(method, 'landmark_images', 'run'):,.0f} images."
            for method in self.methods
            if (row := self.rows.get((method, "landmarks", "run")))
        ]
        lines += [
            f"NOT TRAINED: {method} ({note}); its ranks say nothing."
            for method, note in self.untrained.items()
        ]
        return "\n".join(lines)

    def _against(self) -> list[list[str]]:
        baselines = list(dict.fromkeys([BASELINE, self.best_trivial]))
        rows = [["", *(cell for name in baselines for cell in (f"less {name}", "p"))]]
        for method in self.judged:
            cells = [method]
            for name in baselines:
                row = self.differences.get((method, name))
                cells += [NONE, NONE] if row is None else [signed(row), p_value(row["p_holm"])]
            rows.append(cells)
        return rows

    def _said_of_pairs(self) -> str:
        """Which methods differ from each other, in a sentence."""
        pairs = self.pairs
        if not pairs:
            return ""
        apart = sorted(
            (row for row in pairs if row["p_holm"] < LEVEL), key=lambda row: row["p_holm"]
        )
        said = f"Of {plural(len(pairs), 'pair')} of methods, {len(apart)} differ (p < {LEVEL:g} "
        said += "after Holm over pairs)"
        if not apart:
            return said + "."
        few = [f"{row['method']} above {row['against']} by {signed(row)}" for row in apart[:MANY]]
        rest = f"; and {len(apart) - MANY} more" if len(apart) > MANY else ""
        return f"{said}: {'; '.join(few)}{rest}."

    def _correlations(self) -> list[list[str]]:
        rows = [["", "n", "tau", "ceiling", "same params", "top 50%", "top 20%", "runs", "seeds"]]
        for method in self.methods:
            row = self.rows.get((method, "tau", "classes"))
            if row is None:
                continue
            limits = f"{decimals(row['ceiling'])} / {decimals(row['measured_ceiling'])}"
            tops = []
            for share in (50, 20):
                top = self.rows[method, f"tau_true_top_{share}", "classes"]
                tops.append(f"{decimals(top['value'])} of {decimals(top['ceiling'])}")
            interval = f"[{decimals(row['low'])}, {decimals(row['high'])}]"
            cells = [f"{decimals(row['value'])} {interval}", limits]
            cells += [decimals(self.value(method, "partial_tau")), *tops]
            rows.append([method, str(row["n"]), *cells, str(row["runs"]), str(row["seeds"])])
        return rows

    def _picks(self) -> list[list[str]]:
        rows = [["", "regret (pp)", "beats random", "percentiles"]]
        for method in self.methods:
            lacks = decimals(self.value(method, "regret_pp"))
            normalised = decimals(self.value(method, "normalised_regret"))
            found = [
                row["value"]
                for (of, metric, _), row in self.rows.items()
                if of == method and metric == "pick_percentile"
            ]
            rows.append(
                [
                    method,
                    f"{lacks} ({normalised})",
                    decimals(self.value(method, "better_than_random")),
                    " ".join(f"{each:.0f}" for each in found) or NONE,
                ]
            )
        return rows

    def _costs(self) -> list[list[str]]:
        known = [m for m in self.methods if (m, "supernet_accuracy", "run") in self.rows]
        if not known:
            return []
        head = ["", "accuracy", "agreement", "stable", "apart", "images trained"]
        head += ["scored", "seconds trained", "scored", "kB kept, mean", "most", "held"]
        rows = [head]
        for method in known:
            cells = [
                decimals(self.value(method, "supernet_accuracy", "run")),
                decimals(self.value(method, "agreement_of_runs")),
                decimals(self.value(method, "stability", "run")),
                decimals(self.value(method, "spread_within_classes", "architectures")),
            ]
            for name in ("images", "scoring_images"):
                cells.append(f"{self.value(method, name, 'run'):,.0f}")
            for name in ("train_seconds", "score_seconds"):
                cells.append(f"{self.value(method, name, 'run'):,.0f}")
            for name in ("mean_saved_bytes", "peak_saved_bytes", "state_bytes"):
                value = self.value(method, name, "run") / 1000
                cells.append(f"{value:,.0f}" if math.isfinite(value) else NONE)
            rows.append([method, *cells])
        return rows


def signed(row: dict[str, Any]) -> str:
    """A difference and its interval."""
    low, high = (decimals(row[end], signed=True) for end in ("low", "high"))
    return f"{decimals(row['value'], signed=True)} [{low}, {high}]"


def rank_table(report: pa.Table) -> RankTable:
    """The table of one report.

    Raises
    ------
    InputError
        if it has no rows, mixes settings, or lacks what a tau must not be printed without.
    """
    if report.num_rows == 0:
        raise InputError("The report has no rows; expected that of nassim.studies.oneshot.")
    about = {}
    for name in SETTINGS:
        found = list(dict.fromkeys(report.column(name).to_pylist()))
        if len(found) > 1:
            raise InputError(
                f"The report mixes {name} {found[0]!r} and {found[1]!r}; report them one by one."
            )
        about[name] = found[0]
    records = report.to_pylist()
    rows = {
        (row["method"], row["metric"], row["scope"]): row for row in records if not row["against"]
    }
    differences = {(row["method"], row["against"]): row for row in records if row["against"]}
    if (BASELINE, "tau", "classes") not in rows:
        raise InputError(
            f"The report has no predictor {BASELINE!r}; a tau says nothing without those that cost "
            "nothing. Take the whole report of 'nassim rank'."
        )
    for row in records:
        whole = all(math.isfinite(row[name]) for name in ("low", "high", "ceiling"))
        if row["metric"] == "tau" and math.isfinite(row["value"]) and not (whole and row["n"]):
            raise InputError(
                f"The tau of {row['method']!r} has no interval, ceiling or number of "
                "architectures; it is not printed without. Take the report of 'nassim rank'."
            )
    methods = tuple(dict.fromkeys(row["method"] for row in records))
    return RankTable(about, methods, rows, differences)


@dataclass(frozen=True, eq=False)
class TopTable:
    """Tau within the truly best q percent: (methods, shares) each, with what is to be reached.

    ``shares`` are percentages, 100 is all; ``ceiling`` (shares,) is the largest of any method's.
    """

    methods: tuple[str, ...]
    shares: tuple[int, ...]
    n: int
    tau: FloatArray
    low: FloatArray
    high: FloatArray
    ceiling: FloatArray


def top_table(table: RankTable) -> TopTable:
    """Tau against how much of the top is looked at."""
    methods = tuple(m for m in table.methods if (m, "tau", "classes") in table.rows)
    metrics = ["tau" if share == 100 else f"tau_true_top_{share}" for share in SHARES]
    found = {
        name: np.array(
            [[table.rows[m, metric, "classes"][name] for metric in metrics] for m in methods]
        )
        for name in ("value", "low", "high", "ceiling")
    }
    n = max(int(table.rows[m, "tau", "classes"]["n"]) for m in methods)
    ceiling = np.nanmax(found["ceiling"], axis=0)
    return TopTable(methods, SHARES, n, found["value"], found["low"], found["high"], ceiling)


@dataclass(frozen=True, eq=False)
class ScorePoints:
    """Scores and truth of one method, (architectures,) each.

    ``score`` is the mean over runs, ``score_deviation`` its standard deviation (0 for one run).
    """

    method: str
    score: FloatArray
    score_deviation: FloatArray
    truth: FloatArray
    truth_deviation: FloatArray
    n_params: FloatArray

    @property
    def floor(self) -> float:
        """A truth below which architectures are too few and too bad to be drawn with the others."""
        middle, good = np.quantile(self.truth, (0.5, 0.9))
        return float(max(self.truth.min(), middle - 8 * (good - middle)))


def score_points(scores: pa.Table) -> list[ScorePoints]:
    """The last scores of each method, averaged over its runs."""
    by_method: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for row in scores.to_pylist():
        if row["last"]:
            by_method.setdefault(row["method"], {}).setdefault(row["architecture"], []).append(row)
    answer = []
    for method, of in by_method.items():
        runs = [[row["accuracy"] for row in rows] for rows in of.values()]
        first = [rows[0] for rows in of.values()]
        answer.append(
            ScorePoints(
                method,
                np.array([np.mean(each) for each in runs]),
                np.array([np.std(each, ddof=1) if len(each) > 1 else 0.0 for each in runs]),
                *(
                    np.array([row[name] for row in first], np.float64)
                    for name in ("truth", "truth_deviation", "n_params")
                ),
            )
        )
    return answer


def scores_figure(points: Sequence[ScorePoints]) -> Figure:
    """Score against truth, a panel a method; bars are deviations over seeds, shades parameters.

    Raises
    ------
    InputError
        if there is no method with scores.
    """
    if not points:
        raise InputError("There are no scores to draw; expected those of a method or a file.")
    with styled():
        columns = min(3, len(points))
        rows = -(-len(points) // columns)
        figure, panels = new_figure(3.0 * columns + 0.8, 2.8 * rows, rows, columns)
        for axes in panels[len(points) :]:
            axes.set_axis_off()
        low = min(one.n_params.min() for one in points)
        high = max(one.n_params.max() for one in points)
        for axes, one in zip(panels, points, strict=False):
            axes.errorbar(
                one.score,
                one.truth,
                one.truth_deviation,
                one.score_deviation,
                fmt="none",
                ecolor=QUIET,
                elinewidth=0.6,
                alpha=0.5,
            )
            shades = axes.scatter(
                one.score, one.truth, 14, one.n_params, vmin=low, vmax=high, zorder=3
            )
            axes.set_title(label(one.method).replace("\n", " "))
            axes.set_xlabel("score")
            if below := int((one.truth < one.floor).sum()):
                axes.set_ylim(bottom=one.floor)
                axes.set_xlabel(f"score ({below} below {one.floor:.2f} not shown)")
            axes.set_ylabel("test accuracy, fully trained")
        figure.colorbar(shades, ax=panels, label="live parameters", shrink=0.8)
    return figure


def top_figure(table: TopTable) -> Figure:
    """Tau in the truly best q percent against q, and how much a perfect predictor reaches."""
    with styled():
        figure, (axes,) = new_figure(5.2, 3.6 + 0.1 * len(table.methods))
        look = looks(table.methods)
        where = np.arange(len(table.shares))
        axes.plot(where, table.ceiling, color="black", linewidth=2.2, label="perfect predictor")
        for m, method in enumerate(table.methods):
            at = where + 0.05 * (m - (len(table.methods) - 1) / 2)
            color = look[method].color
            axes.vlines(at, table.low[m], table.high[m], color=color, linewidth=1.1, alpha=0.6)
            axes.plot(
                at,
                table.tau[m],
                color=color,
                linestyle=look[method].dash,
                marker=look[method].marker,
                markersize=4.5,
                label=label(method).replace("\n", " "),
            )
        axes.axhline(0, color=QUIET, linewidth=0.8)
        axes.set_xticks(where, [f"{share}%" for share in table.shares])
        axes.set_xlabel(f"truly best of {plural(table.n, 'architecture')}")
        axes.set_ylabel("Kendall's tau-b")
        handles, names = axes.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=2, handlelength=2.6)
    return figure
