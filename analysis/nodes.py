"""Does a supernet rank cells the worse the more vertices they have, as Yu et al. (2020) found?

    python analysis/nodes.py --store cells

trains supernets of NAS-Bench-101's cells of exactly 4, 5, 6 and 7 vertices (input and output
included) and holds their scores against full trainings, each size as ``nassim rank`` does. The
methods, and so their steps, are the same at all sizes: the 500 steps of three paths of FairNAS pass
as many images as the 1,500 of SPOS. It writes analysis/results/nodes.parquet, prints tau by size
beside the predictors that cost nothing and the published numbers, and draws docs/figures/nodes.png.
Without ``--store`` it reads what was written.

Whether tau falls: the difference between the smallest and the largest cells, and the slope of a
line through all sizes, with bootstrap intervals over the architectures of each size, their
trainings, and the supernets. The ceiling differs between sizes too, so both are also given of tau
as a share of the ceiling of a perfect predictor.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from arguments import figure_path, is_there, numbers, results_path

import nassim
from nassim.ranking.clustered import Drawn, clustered_draws, contrast
from nassim.ranking.scores import tau
from nassim.records import FloatArray, IntArray
from nassim.reports.drawing import QUIET, label, looks, new_figure, save_figure, styled
from nassim.reports.text import aligned, decimals
from nassim.store import Store, find_store
from nassim.studies.fitting import mixed_seed
from nassim.studies.oneshot import RankPlan, RankStudy, run_rank
from nassim.studies.predictors import live_sizes
from nassim.studies.results import companion, read_table, to_table, write_table
from nassim.studies.truth import Truth, load_truth

METHODS = "spos:steps=1500,fairnas:steps=500"
# Yu et al., "Evaluating the Search Phase of Neural Architecture Search", ICLR 2020: Kendall's tau
# of up to 200 cells of the reduced NAS-Bench-101, with and without shared weights, on CIFAR-10
PUBLISHED = {4: 0.441, 5: 0.314, 6: 0.214, 7: 0.195}
YU = "Yu et al. (2020)"

SCHEMA = pa.schema(
    [
        ("store", pa.string()),
        ("store_sha", pa.string()),
        ("dataset", pa.string()),
        ("recipe", pa.string()),
        ("bn_mode", pa.string()),
        ("seed", pa.int64()),
        ("nassim_version", pa.string()),
        ("method", pa.string()),
        ("kind", pa.string()),  # trivial | one-shot
        (
            "metric",
            pa.string(),
        ),  # tau | difference | slope | difference of shares | slope of shares
        ("nodes", pa.int32()),  # of tau
        ("value", pa.float64()),
        ("low", pa.float64()),  # 95%
        ("high", pa.float64()),
        ("ceiling", pa.float64()),  # of a perfect predictor, simulated
        ("measured_ceiling", pa.float64()),  # of one training that predicts the others
        ("n", pa.int32()),  # architectures
        ("seeds", pa.int32()),  # trainings of each
        ("runs", pa.int32()),  # supernets
        ("supernet_accuracy", pa.float64()),
        ("verdict", pa.string()),  # trained | not trained
        ("train_seconds", pa.float64()),  # a run, without scores
    ]
)

_Row = dict[str, Any]


def tau_rows(study: RankStudy, nodes: int) -> list[_Row]:
    """The row of each method at one size."""
    report = study.report.to_pylist()
    known = {(row["method"], row["metric"], row["scope"]): row for row in report}
    rows = []
    for row in report:
        if (row["metric"], row["scope"]) != ("tau", "classes"):
            continue
        trained = known.get((row["method"], "supernet_accuracy", "run"), {})
        seconds = known.get((row["method"], "train_seconds", "run"), {})
        rows.append(
            {name: row.get(name) for name in SCHEMA.names}
            | {
                "nodes": nodes,
                "supernet_accuracy": trained.get("value", math.nan),
                "verdict": str(trained.get("note", "")).partition(":")[0],
                "train_seconds": seconds.get("value", math.nan),
            }
        )
    return rows


def scores_of(study: RankStudy, truth: Truth) -> dict[str, FloatArray]:
    """What each method says of the truth's architectures, (architectures, runs), sizes included."""
    answer = {name: size[:, None] * 1.0 for name, size in live_sizes(truth).items()}
    place = {architecture.id: k for k, architecture in enumerate(truth.architectures)}
    rows = [row for row in study.scores.to_pylist() if row["last"]]
    for method in dict.fromkeys(row["method"] for row in rows):
        own = [row for row in rows if row["method"] == method]
        scores = np.full((len(place), 1 + max(row["run"] for row in own)), np.nan)
        for row in own:
            scores[place[row["architecture"]], row["run"]] = row["accuracy"]
        answer[method] = scores
    return answer


def tau_draws(scores: FloatArray, truth: Truth, *, draws: int, seed: int) -> Drawn:
    """Tau over one architecture of each class, and its bootstrap."""
    rows = truth.representatives(np.ones(len(truth.architectures), bool))

    def statistics(some: FloatArray, values: FloatArray, _: IntArray) -> dict[str, float]:
        return {"tau": tau(some, values)}

    return clustered_draws(
        statistics, scores[rows], truth.test[rows], np.arange(len(rows)), draws=draws, seed=seed
    )["tau"]


def contrasts(nodes: Sequence[int], taus: Sequence[Drawn], ceilings: Sequence[float]) -> list[_Row]:
    """Difference and slope of one method's taus, as they are and as shares of the ceilings."""
    shares = [
        Drawn(one.value / ceiling, one.drawn / ceiling)
        for one, ceiling in zip(taus, ceilings, strict=True)
    ]
    away = np.array(nodes) - np.mean(nodes)
    weights = {
        "difference": [1.0, *(0.0 for _ in nodes[2:]), -1.0],  # of the smallest, less the largest
        "slope": (away / (away @ away)).tolist(),  # of least squares, a vertex
    }
    rows = []
    for suffix, parts in (("", taus), (" of shares", shares)):
        for name, each in weights.items():
            value, (low, high) = contrast(parts, each)
            rows.append({"metric": name + suffix, "value": value, "low": low, "high": high})
    return rows


def run(options: argparse.Namespace) -> tuple[pa.Table, pa.Table]:
    """Rows of :data:`SCHEMA`, and the scores of all sizes."""
    store = Store.open(find_store(options.store))
    plan = RankPlan(
        options.methods,
        seeds=options.seeds,
        bn_mode=options.bn_mode,
        draws=options.draws,
        sample=options.sample,
        seed=options.seed,
        checkpoints=False,  # how stable scores are is not asked here, and it takes as long again
    )
    truths = {
        nodes: load_truth(
            store, f"nasbench101:vertices={nodes}", options.dataset, options.recipe
        ).sample(plan.sample, plan.seed)
        for nodes in options.nodes  # all of them first: what is missing shows before the work
    }
    rows, scores = [], []
    drawn: dict[str, list[Drawn]] = {}
    for nodes, truth in truths.items():

        def progress(done: int, total: int, what: str, nodes: int = nodes) -> None:
            print(f"{nodes} vertices: {done}/{total} {what}", file=sys.stderr)

        study = run_rank(plan, truth, workers=options.workers, progress=progress)
        rows += tau_rows(study, nodes)
        scores.append(study.scores)
        seed = mixed_seed(plan.seed, nodes, "bootstrap")  # sizes are drawn apart
        for method, each in scores_of(study, truth).items():
            one = tau_draws(each, truth, draws=plan.draws, seed=seed)
            drawn.setdefault(method, []).append(one)
    stamp = {
        "store": store.name,
        "store_sha": store.sha,
        "dataset": options.dataset,
        "recipe": next(iter(truths.values())).recipe,
        "bn_mode": plan.bn_mode,
        "seed": plan.seed,
        "nassim_version": nassim.__version__,
    }
    for method, taus in drawn.items():
        own = [row for row in rows if row["method"] == method and row["metric"] == "tau"]
        if len(taus) > 1:
            common = dict.fromkeys(SCHEMA.names)
            common |= {name: own[0][name] for name in ("method", "kind", "seeds", "runs")}
            found = contrasts(list(truths), taus, [row["ceiling"] for row in own])
            rows += [common | row for row in found]
    return to_table([row | stamp for row in rows], SCHEMA), pa.concat_tables(scores)


def to_text(table: pa.Table) -> str:
    """Tau by size, the published numbers, and whether it falls."""
    rows = table.to_pylist()
    taus = [row for row in rows if row["metric"] == "tau"]
    sizes = sorted({row["nodes"] for row in taus})
    methods = list(dict.fromkeys(row["method"] for row in taus))
    first = taus[0]
    lines = [
        f"tau with full training on {first['dataset']}, store {first['store']} (sha "
        f"{first['store_sha'][:12]}), by vertices; 95% intervals",
        "",
    ]
    cells = [["", *map(str, sizes)]]
    for method in methods:
        each = {row["nodes"]: row for row in taus if row["method"] == method}
        cells.append([method, *(_interval(each[size]) for size in sizes)])
    own = {row["nodes"]: row for row in taus}
    ceilings = [
        f"{decimals(own[k]['ceiling'])} / {decimals(own[k]['measured_ceiling'])}" for k in sizes
    ]
    cells += [
        ["ceiling / of one training", *ceilings],
        ["architectures", *(str(own[k]["n"]) for k in sizes)],
        [
            f"published, {YU}",
            *(decimals(PUBLISHED[k]) if k in PUBLISHED else "-" for k in sizes),
        ],
    ]
    lines += aligned(cells)
    names = ("difference", "slope", "difference of shares", "slope of shares")
    falls = [["", *names]]
    for method in methods:
        found = {row["metric"]: row for row in rows if row["method"] == method}
        if "slope" in found:
            falls.append([method, *(_interval(found[name], 3) for name in names)])
    if len(falls) > 1:
        lines += ["", *aligned(falls), ""]
        lines += [
            f"difference: tau at {sizes[0]} less that at {sizes[-1]} vertices; slope: a vertex; of",
            "shares: of tau divided by the ceiling. An interval without 0 is a change.",
        ]
    lines += [
        f"NOT TRAINED: {row['method']} at {row['nodes']} vertices; its ranks say nothing."
        for row in taus
        if row["verdict"] == "not trained"
    ]
    return "\n".join(lines)


def _interval(row: _Row, places: int = 2) -> str:
    return f"{row['value']:.{places}f} [{row['low']:.{places}f}, {row['high']:.{places}f}]"


def figure_of(table: pa.Table) -> Any:
    """Tau against vertices: methods with intervals, the ceiling, and what was published."""
    taus = [row for row in table.to_pylist() if row["metric"] == "tau"]
    methods = list(dict.fromkeys(row["method"] for row in taus))
    look = looks(methods)
    sizes = sorted({row["nodes"] for row in taus})
    with styled():
        figure, (axes,) = new_figure(5.6, 4.0)
        for k, method in enumerate(methods):
            own = [row for row in taus if row["method"] == method]
            value = np.array([row["value"] for row in own])
            ends = np.array([[row["low"], row["high"]] for row in own]).T
            axes.errorbar(
                np.array([row["nodes"] for row in own]) + 0.06 * (k - (len(methods) - 1) / 2),
                value,
                np.abs(ends - value),
                color=look[method].color,
                marker=look[method].marker,
                linestyle="-" if own[0]["kind"] == "one-shot" else ":",
                label=label(method).replace("\n", " "),
            )
        own = {row["nodes"]: row["ceiling"] for row in taus if row["method"] == methods[-1]}
        axes.plot(sizes, [own[k] for k in sizes], "--", color=QUIET, label="perfect predictor")
        known = [k for k in sizes if k in PUBLISHED]
        axes.plot(
            known,
            [PUBLISHED[k] for k in known],
            "*",
            color="black",
            markersize=9,
            markerfacecolor="none",
            label=f"published, {YU}: CIFAR-10",
        )
        axes.set_xticks(sizes)
        axes.set_xlabel("vertices of a cell, input and output included")
        axes.set_ylabel("Kendall's tau with full training")
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--store", help="run the study on it")
    parser.add_argument("--dataset", default="mnist", help="of the full trainings")
    parser.add_argument("--recipe", help="of the full trainings, where the store has several")
    parser.add_argument("--methods", default=METHODS, help="the same at all sizes")
    parser.add_argument("--nodes", type=numbers, default=(4, 5, 6, 7), help="vertices of the cells")
    parser.add_argument("--seeds", type=int, default=3, help="supernets of each method and size")
    parser.add_argument("--sample", type=int, default=200, help="cells of a size at most")
    parser.add_argument("--draws", type=int, default=500, help="of the bootstrap")
    parser.add_argument("--bn-mode", default="recal", help="statistics while cells are scored")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--name", default="nodes", help="of the results and the figure")
    options = parser.parse_args()
    results = results_path(options)
    if options.store is not None:
        table, scores = run(options)
        write_table(scores, companion(results, "scores"))
        print(f"wrote {write_table(table, results)}")
    elif not is_there(results):
        return
    table = read_table(results, SCHEMA)
    print(to_text(table))
    print(f"wrote {save_figure(figure_of(table), figure_path(options))}")


if __name__ == "__main__":
    main()
