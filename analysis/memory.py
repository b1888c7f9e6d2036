"""How much do one-shot methods keep in memory, and how long is a step?

    python analysis/memory.py --store cells

trains each method for some steps with the same batch and network, and writes what autograd keeps
for backward (bytes of distinct storages, parameters left out) to analysis/results/memory.parquet,
beside a single path and the sum of all paths. It prints how many paths each method keeps, and draws
docs/figures/memory.png. Without ``--store`` it reads what was written. Bytes are the same on every
machine, seconds are not.

ProxylessNAS is said to need the memory of two paths, and PC-DARTS 1/K of what DARTS needs; the last
lines hold them to it. What a path keeps is counted above what the network keeps without any
operation, as no method saves there.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pyarrow as pa
import torch
import torch.nn.functional as F
from arguments import figure_path, is_there, one_truth, rank_parser, rank_tables, results_path
from matplotlib.figure import Figure

from nassim.oneshot.data import SearchData, search_data
from nassim.oneshot.memory import SavedBytes
from nassim.oneshot.mixed import Gates
from nassim.oneshot.supernet import build_supernet
from nassim.reports.drawing import INK, PALETTE, QUIET, label, new_figure, save_figure, styled
from nassim.reports.oneshot import RankTable
from nassim.reports.text import aligned, decimals
from nassim.spaces import get_space
from nassim.studies.results import read_table, to_table, write_table
from nassim.studies.truth import Truth

# warm-ups, in which alphas rest, are left out
METHODS = (
    "spos",
    "gdas",
    "proxylessnas:warm_up=0",
    "pcdarts:parts=4:warmup=0.0",
    "pcdarts:parts=2:warmup=0.0",
    "darts",
    "darts:order=2",
)
SINGLE, EVERY = "one path", "all paths, one by one"
SCHEMA = pa.schema(
    [
        ("store_sha", pa.string()),
        ("space", pa.string()),
        ("dataset", pa.string()),
        ("batch_size", pa.int32()),
        ("seed", pa.int64()),
        ("method", pa.string()),
        ("mean_bytes", pa.float64()),  # kept for backward, over steps
        ("peak_bytes", pa.float64()),
        ("outside_bytes", pa.float64()),  # of these, what a network without operations keeps
        ("state_bytes", pa.float64()),  # parameters and statistics; NaN of a path
        ("step_seconds", pa.float64()),  # NaN of a path
    ]
)


def path_rows(truth: Truth, data: SearchData, batch_size: int, seed: int) -> list[dict[str, Any]]:
    """What single paths keep, and all of them one beside the other."""
    recipe, space = truth.trained_by(), get_space(truth.space)
    supernet = build_supernet(
        space,
        channels=recipe.channels,
        cells=recipe.cells,
        classes=data.classes,
        inputs=truth.dataset.shape[-1],
        generator=torch.Generator().manual_seed(seed),
    )
    x, y = next(data.weight_batches(batch_size, np.random.default_rng(seed)))

    def kept(gates: Gates) -> int:
        with SavedBytes() as saved:
            F.cross_entropy(supernet(x, gates), y).backward()
        return saved.peak

    n = space.n_decisions
    outside = kept((0,) * n)
    rng = np.random.default_rng(seed)
    drawn = [kept(space.sample(rng).decisions) for _ in range(100)]
    operations = range(1, space.n_choices[0])
    every = outside + sum(kept((op,) * n) - outside for op in operations)
    common = {"outside_bytes": outside, "state_bytes": np.nan, "step_seconds": np.nan}
    return [
        common | {"method": SINGLE, "mean_bytes": np.mean(drawn), "peak_bytes": max(drawn)},
        common | {"method": EVERY, "mean_bytes": every, "peak_bytes": every},
    ]


def method_rows(table: RankTable, outside: float) -> list[dict[str, Any]]:
    """What a study counted of each method."""
    rows = []
    for method in table.judged:
        value = {
            name: table.value(method, name, "run")
            for name in (
                *("mean_saved_bytes", "peak_saved_bytes", "state_bytes"),
                *("train_seconds", "steps"),
            )
        }
        rows.append(
            {
                "method": method.partition(":steps=")[0],
                "mean_bytes": value["mean_saved_bytes"],
                "peak_bytes": value["peak_saved_bytes"],
                "outside_bytes": outside,
                "state_bytes": value["state_bytes"],
                "step_seconds": value["train_seconds"] / value["steps"],
            }
        )
    return rows


def paths(row: dict[str, Any], rows: list[dict[str, Any]]) -> float:
    """How many mean single paths a method keeps in its mean step."""
    (one,) = (each for each in rows if each["method"] == SINGLE)
    return (row["mean_bytes"] - row["outside_bytes"]) / (one["mean_bytes"] - one["outside_bytes"])


def said(rows: list[dict[str, Any]]) -> str:
    lines = [["", "kB kept, mean", "most", "paths", "kB held", "ms a step"]]
    for row in rows:
        numbers = [row[name] / 1000 for name in ("mean_bytes", "peak_bytes")]
        cells = [row["method"], *(f"{number:,.0f}" for number in numbers)]
        cells += [decimals(paths(row, rows)), decimals(row["state_bytes"] / 1000, 0)]
        lines.append([*cells, decimals(1000 * row["step_seconds"], 1)])
    by_name = {row["method"]: row["mean_bytes"] - row["outside_bytes"] for row in rows}
    claims = []
    if "proxylessnas:warm_up=0" in by_name:
        ratio = by_name["proxylessnas:warm_up=0"] / by_name[SINGLE]
        claims.append(f"ProxylessNAS keeps {ratio:.2f} paths (claim: 2)")
    for parts in (2, 4):
        if (name := f"pcdarts:parts={parts}:warmup=0.0") in by_name and "darts" in by_name:
            ratio = by_name[name] / by_name["darts"]
            claims.append(f"PC-DARTS, K = {parts}, {ratio:.2f} of DARTS (claim: {1 / parts:g})")
    outside = f"{rows[0]['outside_bytes'] / 1000:,.0f} kB are kept without any operation."
    return "\n".join([*aligned(lines), "", outside, *claims])


def memory_figure(rows: list[dict[str, Any]]) -> Figure:
    """Bars of the mean step, a mark at the most; beside them the length of a step."""
    with styled():
        figure, (left, right) = new_figure(7.2, 1.2 + 0.36 * len(rows), 1, 2, sharey=True)
        at = np.arange(len(rows))
        colors = [QUIET if row["method"] in (SINGLE, EVERY) else PALETTE[0] for row in rows]
        left.barh(at, [row["mean_bytes"] / 1000 for row in rows], color=colors, height=0.65)
        left.plot([row["peak_bytes"] / 1000 for row in rows], at, "|", color=INK, markersize=9)
        left.axvline(rows[0]["outside_bytes"] / 1000, color=INK, linewidth=0.8, linestyle="--")
        left.set_yticks(at, [label(row["method"]) for row in rows])
        left.invert_yaxis()
        left.set_xlabel("kB kept for backward (dashed: without operations)")
        right.barh(at, [1000 * row["step_seconds"] for row in rows], color=colors, height=0.65)
        right.set_xlabel("milliseconds a step")
    return figure


def main() -> None:
    parser = rank_parser(__doc__, name="memory", methods=",".join(METHODS))
    parser.add_argument(
        "--steps", type=int, default=70, help="of each method; a seventh is watched"
    )
    parser.add_argument("--batch-size", type=int, default=64)
    parser.set_defaults(seeds=1, sample=5, draws=10)
    options = parser.parse_args()
    results = results_path(options)
    if options.store is not None:
        truth, images = one_truth(options)
        data = search_data(images, truth.trained_by(), seed=options.seed)
        rows = path_rows(truth, data, options.batch_size, options.seed)
        length = f":steps={options.steps}:batch_size={options.batch_size}"
        of_ranking = copy.copy(options)  # which itself says nothing after so few steps
        of_ranking.name = f"{options.name}.rank"
        of_ranking.methods = ",".join(f"{name}{length}" for name in options.methods.split(","))
        (table,) = rank_tables(of_ranking)
        one, every = rows
        rows = [one, *method_rows(table, one["outside_bytes"]), every]
        common = {"store_sha": truth.store_sha, "space": truth.space, "seed": options.seed}
        common |= {"dataset": truth.dataset.name, "batch_size": options.batch_size}
        print(f"wrote {write_table(to_table([common | row for row in rows], SCHEMA), results)}")
    elif not is_there(results):
        return
    rows = read_table(results, SCHEMA).to_pylist()
    print(said(rows))
    print(f"wrote {save_figure(memory_figure(rows), figure_path(options))}")


if __name__ == "__main__":
    main()
