"""Does a single-path supernet know more than the number of parameters?

    python analysis/parameter_count.py --store cells --datasets mnist,optdigits,photos --workers 2

judges the method beside the number of live parameters: tau, the paired difference, and tau within
equally many live parameters, where counting them says nothing. It writes
analysis/results/parameter_count.parquet, prints the table and draws
docs/figures/parameter_count.png. Without ``--store`` it reads what was written.

    python analysis/parameter_count.py --table nb201.parquet --columns cellstr,cifar10-test,score

says the same of published scores on NAS-Bench-201 itself: columns of the architecture's text, of
the accuracy after full training and of the score, in a CSV or Parquet file. Nothing is written.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from arguments import figure_path, rank_parser, rank_tables
from matplotlib.figure import Figure

from nassim.errors import InputError
from nassim.ranking.correlation import kendall
from nassim.records import FloatArray, IntArray
from nassim.reports.drawing import INK, PALETTE, QUIET, label, new_figure, save_figure, styled
from nassim.reports.oneshot import RankTable, signed
from nassim.reports.text import aligned, decimals, p_value, plural
from nassim.spaces import get_space
from nassim.spaces.nasbench201 import OPERATIONS

DRAWS = 200  # of the bootstrap over functions, for a whole space


def said(table: RankTable) -> list[list[str]]:
    """A line for each method on one dataset."""
    lines = []
    for method in table.judged:
        difference = table.differences[method, "live_params"]
        within = table.rows[method, "partial_tau", "classes"]
        ends = f"[{decimals(within['low'])}, {decimals(within['high'])}]"
        lines.append(
            [
                table.about["dataset"],
                method,
                str(difference["n"]),
                decimals(table.value(method, "tau")),
                decimals(table.value("live_params", "tau")),
                signed(difference),
                p_value(difference["p_holm"]),
                f"{decimals(within['value'])} {ends} of {decimals(within['ceiling'])}",
            ]
        )
    return lines


def parameters_figure(tables: list[RankTable]) -> Figure:
    """On each dataset: tau of the method, of the count, and within equal counts."""
    entries = [(table, method) for table in tables for method in table.judged]
    with styled():
        figure, (axes,) = new_figure(7.2, 1.5 + 0.5 * len(entries))
        kinds = (
            ("tau", PALETTE[0], "o", "method"),
            ("count", INK, "D", "number of live parameters"),
            ("partial_tau", PALETTE[1], "s", "method, within equally many parameters"),
        )
        for shift, (metric, color, marker, name) in zip((-0.2, 0.0, 0.2), kinds, strict=True):
            for k, (table, method) in enumerate(entries):
                of = ("live_params", "tau") if metric == "count" else (method, metric)
                row = table.rows[(*of, "classes")]
                axes.hlines(k + shift, row["low"], row["high"], color=color, linewidth=1.2)
                legend = name if k == 0 else None
                axes.plot(row["value"], k + shift, marker, color=color, markersize=5, label=legend)
        axes.axvline(0, color=QUIET, linewidth=0.8)
        texts = [f"{table.about['dataset']}\n{label(method)}" for table, method in entries]
        axes.set_yticks(range(len(entries)), texts)
        axes.invert_yaxis()
        axes.set_xlabel("Kendall's tau-b with full training")
        figure.legend(loc="outside lower center", ncols=3)
    return figure


# --- published scores on NAS-Bench-201 --------------------------------------------------------


def live_weights(texts: list[str]) -> tuple[IntArray, list[str]]:
    """For each cell, weights on paths from input to output in units of a 1x1 convolution's, and
    the name of its function."""
    space = get_space("nasbench201")
    worth = {OPERATIONS.index("nor_conv_1x1"): 1, OPERATIONS.index("nor_conv_3x3"): 9}
    found = [space.parse(text) for text in texts]
    counts = [sum(worth.get(op, 0) for op in space.pruned(one.decisions)) for one in found]
    return np.array(counts), [one.canonical_id for one in found]


def read_columns(path: Path, names: list[str]) -> list[list[Any]]:
    """Columns of a CSV or Parquet file."""
    if not path.exists():
        raise InputError(
            f"There is no file {str(path)!r}; expected a CSV or Parquet file of scores."
        )
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            rows: list[dict[str, Any]] = list(csv.DictReader(file))
    else:
        rows = pq.ParquetFile(path).read().to_pylist()
    if missing := [name for name in names if not rows or name not in rows[0]]:
        raise InputError(f"{str(path)!r} has no column {missing[0]!r}; name three with --columns.")
    return [[row[name] for row in rows] for name in names]


def within_equal(scores: FloatArray, truth: FloatArray, strata: IntArray) -> float:
    """The mean tau over strata, each weighed by its pairs; one that is constant is left out."""
    taus, pairs = [], []
    for stratum in np.unique(strata):
        rows = np.flatnonzero(strata == stratum)
        value = kendall(scores[rows], truth[rows])
        if np.isfinite(value):
            taus.append(value)
            pairs.append(len(rows) * (len(rows) - 1) / 2)
    return float(np.average(taus, weights=pairs)) if taus else float("nan")


def published(path: Path, columns: list[str], seed: int) -> str:
    """What the score and the count know of the truth, over one cell of each function."""
    texts, truth, scores = read_columns(path, columns)
    counts, functions = live_weights(texts)
    first = np.unique(functions, return_index=True)[1]
    y, x, n = (np.array(side, np.float64)[first] for side in (truth, scores, counts))

    def numbers(rows: IntArray) -> list[float]:
        score, count = kendall(x[rows], y[rows]), kendall(n[rows], y[rows])
        return [score, count, score - count, within_equal(x[rows], y[rows], n[rows])]

    rng = np.random.default_rng(seed)
    drawn = [numbers(rng.integers(len(y), size=len(y))) for _ in range(DRAWS)]
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    names = (columns[2], "live parameters", "difference", "within equal parameters")
    lines = [["", "tau", "95%"]]
    for name, value, *ends in zip(names, numbers(np.arange(len(y))), low, high, strict=True):
        lines.append([name, decimals(value), f"[{decimals(ends[0])}, {decimals(ends[1])}]"])
    head = f"{plural(len(y), 'function')} of {plural(len(texts), 'cell')}, by {columns[1]}:"
    return "\n".join([head, *aligned(lines)])


def main() -> None:
    parser = rank_parser(__doc__, name="parameter_count", methods="spos")
    parser.add_argument("--table", type=Path, help="published scores on NAS-Bench-201")
    parser.add_argument(
        "--columns", default="architecture,truth,score", help="of the table, separated by commas"
    )
    options = parser.parse_args()
    if options.table is not None:
        print(published(options.table, options.columns.split(","), options.seed))
        return
    tables = rank_tables(options)
    if not tables:
        return
    head = ["", "", "n", "tau", "live_params", "difference", "p (Holm)", "within equal parameters"]
    print("\n".join(aligned([head, *(line for table in tables for line in said(table))], left=2)))
    print(f"wrote {save_figure(parameters_figure(tables), figure_path(options))}")


if __name__ == "__main__":
    main()
